"""Options that several commands take: which network, and what to dream."""

import shutil
from urllib.parse import urlsplit

import numpy as np
import pytest
from helpers import SMALL_DREAM, assert_refused, read_pixels

import deepdream as dd
from deepdream.cli import main
from deepdream.data import clouds
from deepdream.io.arrays import to_uint8
from deepdream.recipes.recipe import Recipe
from deepdream.zoo import registry


def test_squeezenet_stands_in_where_googlenet_cannot_be_had(place):
    done = place.run("dream", "cat", *SMALL_DREAM)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "bvlc_googlenet" in line]
    assert len(lines) == 1
    assert lines[0].startswith("Using squeezenet_v1.1: could not get the weights of bvlc_googlenet")
    for url in registry.find_model("bvlc_googlenet").weights["urls"]:
        assert urlsplit(url).hostname in lines[0]
    assert lines[0].endswith("put it into models/bvlc_googlenet of a folder that DEEPDREAM_DATA names")
    assert len(lines[0]) <= 300
    assert "cat dreamt at fire8/concat" in done.stderr
    assert read_pixels(place.folder / "dream.png").shape == (80, 120, 3)


@pytest.mark.parametrize("arguments", [["--model", "bvlc_googlenet"], ["--end", "fire8/concat"]])
def test_nothing_stands_in_for_what_was_asked_for(place, arguments):
    done = place.run("dream", "cat", *SMALL_DREAM, *arguments)
    assert_refused(done, "could not get the weights of bvlc_googlenet")
    assert place.files() == []


def test_the_other_commands_fall_back_as_well(place):
    for command in (["layers"], ["classify", "cat"]):
        done = place.run(*command)
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("Using squeezenet_v1.1: ")
        assert len(done.stderr.splitlines()) == 1


def test_googlenet_is_used_where_it_is(place, googlenet_weights):
    data = place.folder.parent / "data" / "models" / "bvlc_googlenet"
    data.mkdir(parents=True)
    (data / googlenet_weights.name).symlink_to(googlenet_weights)
    done = place.run("dream", "cat", *SMALL_DREAM, env={"DEEPDREAM_DATA": str(place.folder.parent / "data")})
    assert done.returncode == 0, done.stderr
    assert "cat dreamt at inception_4c/output" in done.stderr
    assert "Using" not in done.stderr


def test_another_file_of_googlenet_is_used_or_refused_but_never_replaced(place, squeezenet_file):
    data = place.folder.parent / "data" / "models" / "bvlc_googlenet"
    data.mkdir(parents=True)
    shutil.copy(squeezenet_file, data / "bvlc_googlenet.caffemodel")
    done = place.run("dream", "cat", *SMALL_DREAM, env={"DEEPDREAM_DATA": str(place.folder.parent / "data")})
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].endswith("it is used if its layers and shapes fit")
    assert "holds the weights of another network" in done.stderr.splitlines()[1]
    assert len(done.stderr.splitlines()) == 2


SETTINGS = {"iter_n": 1, "octave_n": 1, "seed": 1}
SEVERAL = {"fire3/concat": 1, "fire6/concat": 2.5}
SEVERAL_ENDS = ["--end", "fire3/concat", "--end", "fire6/concat=2.5"]


@pytest.fixture
def dream(squeezenet_file, tmp_path, monkeypatch):
    """Runs `deepdream dream` on a small picture with SqueezeNet: (exit code, path of the dream)."""
    monkeypatch.chdir(tmp_path)
    dd.write_image("small.png", clouds.clouds(60, 80))

    def run(*arguments):
        with pytest.raises(SystemExit) as done:
            main(
                [
                    "dream",
                    "small.png",
                    "--model",
                    "squeezenet_v1.1",
                    "--iters",
                    "1",
                    "--octaves",
                    "1",
                    "--seed",
                    "1",
                    "-o",
                    "out.png",
                    *arguments,
                ]
            )
        return done.value.code

    return run


@pytest.mark.parametrize(
    ("arguments", "said", "make"),
    [
        (
            ["--end", "fire3/concat", "--end", "fire6/concat=2.5"],
            "fire3/concat=1, fire6/concat=2.5",
            lambda net: {"end": SEVERAL},
        ),
        (["--end", "fire4/concat"], "dreamt at fire4/concat, seed", lambda net: {"end": "fire4/concat"}),
        (
            ["--end", "fire6/concat", "--channel", "7", "--channel", "5"],
            "fire6/concat; channel 5, 7",
            lambda net: {"objective": dd.channels([5, 7], net, "fire6/concat")},
        ),
        (["--label", "Starfish"], "pool10; label starfish, sea star", lambda net: {"objective": dd.label(net, 327)}),
        (
            ["--guide", "coffee", "--end", "fire5/concat"],
            "fire5/concat; guided by coffee",
            lambda net: {"objective": dd.guided(net, dd.picture("coffee"), "fire5/concat")},
        ),
        (
            ["--guide", "small.png", "--end", "fire3/concat", "--end", "fire6/concat=2.5"],
            "guided by small.png",
            lambda net: {"objective": dd.guided(net, dd.read_image("small.png"), SEVERAL)},
        ),
        (
            ["--guide", "coffee", "--guide", "small.png=-0.5", "--end", "fire5/concat"],
            "fire5/concat; guided by coffee, small.png=-0.5",
            lambda net: {
                "objective": dd.guided(net, dd.picture("coffee"), "fire5/concat")
                - 0.5 * dd.guided(net, dd.read_image("small.png"), "fire5/concat")
            },
        ),
        (
            ["--label", "starfish", "--label", "ant=-0.3"],
            "pool10; label starfish, ant=-0.3",
            lambda net: {"objective": dd.label(net, "starfish") - 0.3 * dd.label(net, "ant")},
        ),
        (
            ["--end", "fire6/concat", "--channel", "7", "--channel", "90=-1", "--channel", "5"],
            "fire6/concat; channel 5, 7, 90=-1",
            lambda net: {"objective": dd.channels([5, 7], net, "fire6/concat") - dd.channels(90, net, "fire6/concat")},
        ),
        (
            ["--guide=coffee", "--guide=cat=2", "--channel=3=4", "--label=ant=-.3", *SEVERAL_ENDS],
            "fire6/concat=2.5, pool10=1; channel 3=4; guided by coffee, cat=2; label ant=-0.3",
            lambda net: {
                "objective": dd.guided(net, dd.picture("coffee"), SEVERAL)
                + 2 * dd.guided(net, dd.picture("cat"), SEVERAL)
                + 4 * (dd.channels(3, net, "fire3/concat") + 2.5 * dd.channels(3, net, "fire6/concat"))
                - 0.3 * dd.label(net, "ant")
            },
        ),
    ],
)
def test_the_dream_is_the_library_s_and_its_recipe_makes_it_again(dream, squeezenet, arguments, said, make, capsys):
    assert dream(*arguments) == 0
    assert said in capsys.readouterr().err
    expected = dd.deepdream(squeezenet, dd.read_image("small.png"), **SETTINGS, **make(squeezenet))
    assert np.array_equal(dd.read_image("out.png"), to_uint8(expected))
    assert np.array_equal(to_uint8(Recipe.from_image("out.png").render(net=squeezenet)), to_uint8(expected))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--guide", "cat=0"], "--guide cat=0: the weight must be a number other than 0"),
        (["--guide", "cat", "--guide", "none.jpg=0.5"], "none.jpg: no such file"),
        (["--label", "banana=inf"], "--label banana=inf: the weight must be a number other than 0"),
        (["--label", "banana", "--label", "bananna=-1"], "the network does not know 'bananna'"),
        (["--channel", "7=1e99"], "--channel 7=1e99: the weight must be a number other than 0"),
        (["--channel", "seven"], "--channel seven: channels are whole numbers from 0, as in --channel 7"),
        (["--channel", "7=half"], "--channel 7=half: channels are whole numbers from 0"),
        (["--channel", "1", "--guide", "cat", "--channel", "512=-1"], "there is no channel 512"),
        (
            ["--label", "banana", "--end", "fire3/concat"],
            "--label and --end: a label has its own layer",
        ),
        (["--end", "fire3/concat", "--end", "fire3/concat=2"], "--end fire3/concat is given twice"),
        (["--end", "fire3/concat=0"], "--end fire3/concat=0: the weight must be a number other than 0"),
        (["--channel", "7=1e-300"], "--channel 7=1e-300: the weight must be a number other than 0, from 1.2e-38"),
        (["--channel", "7", "--channel", "7=-1"], "--channel 7 is given twice; give it once, with a weight if"),
        (["--guide", "cat", "--guide", "cat=-1"], "--guide cat is given twice; give it once, with a weight if"),
        (["--label", "banana", "--label", "Banana=2"], "--label banana is given twice"),
        (["--label", "banana=x"], "does not know 'banana=x'; a weight is a number, as in banana=0.5"),
        (["--guide", "-"], "--guide -: standard input can only be the image that is dreamt on; give a file"),
        (["--guide", ""], "--guide '' is not the name of an image; give a file, or a built-in one: sky"),
        (["--wrap", ""], "--wrap '': must be x or xy"),
        (["--channel", "1=3e38", "--channel", "2=3e38"], "is not finite: the objective or the weights overflow; make"),
        (["--end", "fire3/concat="], "--end fire3/concat=: the weight must be a number"),
        (["--end", "fire3/concat=nan"], "the weight must be a number"),
        (["--end", "fire3/concat", "--end", "fire33"], "no layer 'fire33' to dream"),
        (["--channel", "512"], "there is no channel 512: 'fire8/concat' has 512 channels, 0 to 511"),
        (["--channel", "-1"], "channels are whole numbers from 0"),
        (["--label", "bananna"], "the network does not know 'bananna'; did you mean 'banana'"),
        (["--guide", "none.jpg"], "none.jpg: no such file"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(dream, arguments, reason, capsys, tmp_path):
    assert dream(*arguments) == 2
    err = capsys.readouterr().err
    assert reason in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out.png").exists()
