"""What the command dreams: several layers, a guide, channels, a label."""

import numpy as np
import pytest

import deepdream as dd
from deepdream import pictures
from deepdream.cli import main
from deepdream.image import to_bytes
from deepdream.recipe import Recipe

SETTINGS = {"iter_n": 1, "octave_n": 1, "seed": 1}
SEVERAL = {"fire3/concat": 1, "fire6/concat": 2.5}


@pytest.fixture
def dream(squeezenet_file, tmp_path, monkeypatch):
    """Runs `deepdream dream` on a small picture with SqueezeNet: (exit code, path of the dream)."""
    monkeypatch.chdir(tmp_path)
    dd.write_image("small.png", pictures.clouds(60, 80))

    def run(*arguments):
        with pytest.raises(SystemExit) as done:
            main(["dream", "small.png", "--model", "squeezenet_v1.1", "--iters", "1", "--octaves", "1", "--seed", "1",
                  "-o", "out.png", *arguments])
        return done.value.code

    return run


@pytest.mark.parametrize(("arguments", "said", "make"), [
    (["--end", "fire3/concat", "--end", "fire6/concat=2.5"], "fire3/concat=1, fire6/concat=2.5",
     lambda net: {"end": SEVERAL}),
    (["--end", "fire4/concat"], "dreamt at fire4/concat, seed", lambda net: {"end": "fire4/concat"}),
    (["--end", "fire6/concat", "--channel", "7", "--channel", "5"], "fire6/concat, channel 5, 7",
     lambda net: {"end": "fire6/concat", "objective": dd.channels([5, 7])}),
    (["--label", "Starfish"], "pool10: starfish, sea star", lambda net: {"objective": dd.label(net, 327)}),
    (["--guide", "coffee", "--end", "fire5/concat"], "fire5/concat, guided by coffee",
     lambda net: {"objective": dd.guided(net, dd.picture("coffee"), "fire5/concat")}),
    (["--guide", "small.png", "--end", "fire3/concat", "--end", "fire6/concat=2.5"], "guided by small.png",
     lambda net: {"objective": dd.guided(net, dd.read_image("small.png"), SEVERAL)}),
])
def test_the_dream_is_the_library_s_and_its_recipe_makes_it_again(dream, squeezenet, arguments, said, make, capsys):
    assert dream(*arguments) == 0
    assert said in capsys.readouterr().err
    expected = dd.deepdream(squeezenet, dd.read_image("small.png"), **SETTINGS, **make(squeezenet))
    assert np.array_equal(dd.read_image("out.png"), to_bytes(expected))
    assert np.array_equal(to_bytes(Recipe.from_image("out.png").render(net=squeezenet)), to_bytes(expected))


@pytest.mark.parametrize(("arguments", "reason"), [
    (["--guide", "cat", "--label", "banana"], "--guide and --label: a dream has one objective; choose one of them"),
    (["--guide", "cat", "--channel", "1"], "--guide and --channel: a dream has one objective"),
    (["--channel", "0", "--label", "banana"], "--channel and --label: a dream has one objective"),
    (["--label", "banana", "--end", "fire3/concat"], "--label and --end: a label is raised at the classifier's own"),
    (["--end", "fire3/concat", "--end", "fire3/concat=2"], "--end fire3/concat is given twice"),
    (["--end", "fire3/concat=0"], "--end fire3/concat=0: the weight must be a number other than 0"),
    (["--end", "fire3/concat="], "--end fire3/concat=: the weight must be a number"),
    (["--end", "fire3/concat=nan"], "the weight must be a number"),
    (["--end", "fire3/concat", "--end", "fire33"], "no layer 'fire33' to dream"),
    (["--channel", "512"], "there is no channel 512: 'fire8/concat' has 512 channels, 0 to 511"),
    (["--channel", "-1"], "channels are whole numbers from 0"),
    (["--label", "bananna"], "the network knows no 'bananna'; did you mean 'banana'"),
    (["--guide", "none.jpg"], "none.jpg: no such file"),
])
def test_what_does_not_fit_is_said_in_one_line(dream, arguments, reason, capsys, tmp_path):
    assert dream(*arguments) == 2
    err = capsys.readouterr().err
    assert reason in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out.png").exists()
