"""`deepdream label`."""

import numpy as np
import pytest

import deepdream as dd
from deepdream.cli import main
from deepdream.recipes.recipe import Recipe

SHORT = {"size": 64, "iter_n": 3, "octave_n": 2}


def run(*arguments):
    """The exit code of the command."""
    with pytest.raises(SystemExit) as done:
        main([str(argument) for argument in arguments])
    return done.value.code


def test_the_command_writes_the_picture_with_its_recipe(squeezenet, tmp_path, capsys):
    path = tmp_path / "banana.png"
    quick = ("--model", "squeezenet_v1.1", "--size", 64, "--iters", 3, "--octaves", 2, "--seed", 5)
    assert run("label", "banana", "-o", path, *quick) == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(path)
    assert "banana, seed 5: the classifier sees " in err
    expected = np.rint(dd.label_picture(squeezenet, "banana", **SHORT, seed=5))
    assert np.array_equal(dd.read_image(path), expected)
    recipe = Recipe.from_image(path)
    assert recipe.objective == {"objective": "label", "label": "banana", "index": 954}
    assert np.array_equal(np.rint(recipe.render()), expected)
    assert run("replay", path, "-o", tmp_path / "again.png") == 0
    assert "every pixel is the same" in capsys.readouterr().err


def test_in_a_folder_it_is_called_label(squeezenet_file, tmp_path, capsys):
    assert run("label", "banana", "-o", tmp_path, "--model", "squeezenet_v1.1", "--size", 64, "--iters", 1) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "label.png")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("bananna",), "the network does not know 'bananna'; did you mean 'banana'"),
        (("banana", "--size", 0), "--size 0: must be 1 or more"),
        (("banana", "--size", 20), "too few to dream 'pool10'"),
        (("banana", "--iters", 0), "--iters 0: must be 1 or more"),
        (("banana", "-o", "no/such.png"), "does not exist"),
        (("banana", "-o", "x.xyz"), "x.xyz"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(squeezenet_file, arguments, reason, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run("label", *arguments, "--model", "squeezenet_v1.1") == 2
    err = capsys.readouterr().err
    assert reason in err and len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
