"""The `deepdream` command as a whole: help, bad input of any command, and names that are long or no text."""

import json
import os

import pytest
from helpers import SMALL_DREAM, SQUEEZENET, assert_refused, without_device


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


def bad_commands(name):
    """Commands that cannot do what is asked with a file, a folder or a value of this name, and how the message ends."""
    net = ["--model", "squeezenet_v1.1"]
    return {
        ("dream", f"{name}.png"): "",
        ("dream", "noise:40x40", "-o", f"{name}/a.png"): "create it first",
        ("dream", "noise:40x40", "-o", f"{name}.bad"): ".webp",
        ("dream", "noise:40x40", "--guide", f"{name}.png"): "",
        ("dream", "noise:40x40", "--model", name): "is also a model",
        ("dream", "noise:40x40", "--end", name, *net): "lists them)",
        ("dream", "noise:40x40", "--end", f"{name}=x"): "=0.5",
        ("dream", "noise:40x40", "--label", name, *net): "",
        ("dream", "noise:40x40", "--tile", name): "64 or more",
        ("dream", "noise:40x40", "--gpu", name): "from 0 to 2147483647",
        ("dream", "noise:40x40", "--animate", f"{name}.avi"): ".webm or .gif",
        ("dream", f"noise:{name}"): "per side",
        ("dream", f"--{name}"): "",
        ("label", name, *net): "",
        ("replay", f"{name}.png", "-o", "a.png"): "",
        ("gallery", f"{name}.toml", "-o", "out"): "",
        ("gallery", "original", "-o", f"{name}/in/it"): "create it first",
        ("layers", "--model", name): "is also a model",
        ("classify", f"{name}.png"): "",
        ("zoom", "noise:40x40", "-o", f"{name}/in/run"): "create it first",
        ("zoom", "noise:40x40", "-o", "run", "--mp4", f"{name}/a.mp4"): "create it first",
        ("video", f"{name}.mp4", "out.mp4"): "",
        (name,): "",
    }


@pytest.mark.parametrize(
    "name",
    ["two words " * 24, "/".join(["f" * 250] * 12), "b" * 240 + "\udcff"],
    ids=["words", "deep", "bytes"],
)
def test_no_message_is_long_whatever_it_quotes(place, name):
    """At most 300 characters in one line, and what to do is still at its end."""
    commands = bad_commands(name)
    for (command, ending), done in zip(commands.items(), place.run_many(list(commands))):
        assert_refused(done)
        assert done.stderr.endswith(f"{ending}\n"), (command[:2], done.stderr)
        assert "udcff" not in done.stderr


def test_a_name_that_is_not_text(place):
    """A byte that is not UTF-8 is shown as that byte; what is printed, and what the recipe records, is the name."""
    name = os.fsdecode(b"a\xff")
    small = [*SMALL_DREAM, *SQUEEZENET]
    done = place.run("dream", "cat", *small, "-o", f"{name}.png")
    assert done.stdout == f"{place.folder / name}.png\n"
    commands = [
        ["dream", f"{name}.png", "-o", f"{name}-2.png", "--guide", f"{name}.png", *small],
        ["replay", f"{name}-2.png", "-o", f"{name}-3.png"],
        ["zoom", f"{name}.png", "-o", f"run{name}", "--frames", "1", *small],
        ["classify", f"{name}.png", *SQUEEZENET],
    ]
    for command in commands:
        done = place.run(*command)
        assert done.returncode == 0, done.stderr
        assert "\\udcff" not in done.stderr
        if command[0] != "classify":
            assert "a\\xff" in without_device(done.stderr)
    assert (place.folder / f"{name}-3.png").read_bytes() == (place.folder / f"{name}-2.png").read_bytes()
    record = json.loads((place.folder / f"run{name}" / "zoom.json").read_text(encoding="utf-8"))
    assert record["input"] == f"{name}.png"
