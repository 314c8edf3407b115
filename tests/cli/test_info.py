"""`deepdream layers` and `classify`."""

import re
import shutil

from helpers import SQUEEZENET, write_png_header

from deepdream.zoo import registry


def test_layers(place):
    done = place.run("layers", *SQUEEZENET)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    ladder = registry.find_model("squeezenet_v1.1").ladder
    assert [line[2:].split()[0] for line in lines[:-1]] == list(ladder)
    assert [line for line in lines if line.startswith("*")] == [
        "* fire8/concat                 512 channels  furry faces with eyes, birds, insects: the default",
        "* the default of squeezenet_v1.1",
    ]
    assert done.stderr == ""


def test_all_layers(place, squeezenet):
    done = place.run("layers", "--all", *SQUEEZENET)
    names = [line[2:].split()[0] for line in done.stdout.splitlines()[:-1]]
    assert names == squeezenet.dreamable
    assert {"conv1", "fire2/squeeze1x1", "pool1", "prob"} <= set(names)


def test_layers_of_a_model_whose_ladder_is_wrong(place, squeezenet_file):
    model = place.folder / "mine"
    shutil.copytree(registry.find_model("squeezenet_v1.1").folder, model)
    toml = (model / "model.toml").read_text(encoding="utf-8").replace('labels = "../imagenet_labels.txt"', "")
    (model / "model.toml").write_text(toml.replace('"fire2/concat" =', '"fire2/conkat" ='), encoding="utf-8")
    shutil.copy(squeezenet_file, model)
    done = place.run("layers", "--model", "mine")
    assert done.returncode == 2
    assert "fire2/conkat" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_model_says_of_itself_commands_no_terminal(place, squeezenet_file):
    model = place.folder / "two\nlines"
    shutil.copytree(registry.find_model("squeezenet_v1.1").folder, model)
    toml = (model / "model.toml").read_text(encoding="utf-8").replace('labels = "../imagenet_labels.txt"', "")
    ladder, said = re.subn(r'("fire2/concat" = ")', r"\1\\u001b[2J\\n", toml)
    assert said == 1
    (model / "model.toml").write_text(ladder, encoding="utf-8")
    shutil.copy(squeezenet_file, model)
    done = place.run("layers", "--model", model)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert r"channels  \x1b[2J\n" in done.stdout
    assert done.stdout.splitlines()[-1] == r"* the default of two\nlines"


def test_classify(place):
    done = place.run("classify", "cat", *SQUEEZENET, "--top", "3")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert re.match(r" +\d\d\.\d%  (Egyptian cat|tabby, tabby cat|tiger cat)\n", done.stdout)
    several = place.run("classify", "cat", "coffee", *SQUEEZENET).stdout.splitlines()
    assert several[0] == "cat:"
    assert several[6] == "coffee:"
    assert len(several) == 12


def test_an_image_too_large_for_the_memory_is_not_classified(tmp_path, run, tiny_model, little_memory):
    path = write_png_header(tmp_path / "a.png", 3000, 2000)
    code, out, err = run("classify", path, "--model", tiny_model)
    assert (code, out) == (2, "")
    assert "3000×2000 pixels and needs about" in err
