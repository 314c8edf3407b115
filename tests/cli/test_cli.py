"""The `deepdream` command as a whole: help, and bad input of any command."""

from helpers import assert_refused


def test_help(place):
    for arguments in ([], ["--help"]):
        done = place.run(*arguments)
        assert done.returncode == 0
        assert done.stdout.startswith("Usage: ")
        assert done.stderr == ""
    helped = " ".join(place.run("dream", "--help", env={"COLUMNS": "200"}).stdout.split())
    for default in ("[default: 10]", "[default: 4]", "[default: 1.4]", "[default: 1.5]", "[default: 32]"):
        assert default in helped


def test_bad_input_in_a_process_of_its_own(place):
    assert_refused(place.run("dream", "no.jpg"), "no.jpg: no such file")


def test_bad_input_of_the_other_commands(place):
    cases = {
        ("classify", "no.jpg"): "no.jpg: no such file",
        ("classify",): "IMAGE",
        ("classify", "cat", "--top", "0"): "--top 0: must be 1 or more",
        ("layers", "--model", "nothing"): "'nothing'",
        ("dreem",): "dreem",
    }
    for done, says in zip(place.run_many(list(cases)), cases.values()):
        assert_refused(done, says)


def test_a_relative_data_folder(place):
    place.environment["DEEPDREAM_DATA"] = "shared"
    for done in place.run_many([["dream", "cat"], ["dream"], ["models"], ["layers"]]):
        assert_refused(done, "DEEPDREAM_DATA", "'shared'", "absolute")
