"""`deepdream replay`: dreams made again to the bit."""

import importlib

import numpy as np
import pytest
from helpers import write_png_header, write_with_recipe

import deepdream as dd
from deepdream import ImageError, Recipe
from deepdream.io import arrays
from deepdream.io.arrays import to_uint8
from deepdream.io.image import open_image

SMALL = {"model": "squeezenet_v1.1", "input": "cat", "max_size": 72, "iter_n": 1, "octave_n": 2, "seed": 1}


@pytest.mark.parametrize("text", ["", "a caption", '{"recipe": ', '{"recipe": 1, "tile": []}', '{"recipe": 99}'])
def test_a_tampered_recipe_is_one_clear_error(tmp_path, text, run):
    class Tampered:
        def to_json(self):
            return text

    path = write_with_recipe(tmp_path / "a.jpg", Tampered())
    with pytest.raises(ImageError, match=str(path)) as refused:
        Recipe.from_image(path)
    assert "\n" not in str(refused.value)
    code, out, err = run("replay", path, "-o", tmp_path / "b.png")
    assert (code, out, len(err.splitlines())) == (2, "", 1)


@pytest.mark.usefixtures("squeezenet_file")
def test_dream_writes_a_recipe_and_replay_makes_it_again(tmp_path, monkeypatch, run, sky):
    monkeypatch.chdir(tmp_path)
    dd.write_image("Wölkchen.png", sky)
    code, _, err = run(
        "dream",
        "Wölkchen.png",
        "--model",
        "squeezenet_v1.1",
        "--iters",
        1,
        "--octaves",
        2,
        "--max-size",
        80,
        "--tile",
        64,
        "--end",
        "fire4/concat",
    )
    assert code == 0, err
    recipe = Recipe.from_image("dream.png")
    assert (recipe.input, recipe.tile, recipe.max_size, recipe.end) == ("Wölkchen.png", 64, 80, "fire4/concat")
    code, out, err = run("replay", "dream.png", "-o", "again.png")
    assert (code, err) == (0, "every pixel is the same as in dream.png\n")
    assert out == f"{tmp_path / 'again.png'}\n"
    np.testing.assert_array_equal(dd.read_image("again.png"), dd.read_image("dream.png"))
    assert Recipe.from_image("again.png") == recipe
    np.testing.assert_array_equal(to_uint8(recipe.render()), dd.read_image("dream.png"))

    dd.write_image("Wölkchen.png", 255 - sky)
    code, _, err = run("replay", "dream.png", "-o", "again.png")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "has different pixels" in err
    code, _, err = run("replay", "dream.png", "-o", "again.png", "--input", "Wölkchen.png")
    assert code == 0
    assert "another input: sha256" in err
    assert " pixels differ from dream.png\n" in err


@pytest.mark.usefixtures("squeezenet_file")
def test_replay_over_itself(tmp_path, run):
    path = tmp_path / "a.png"
    run("dream", "cat", "--model", "squeezenet_v1.1", "--iters", 1, "--octaves", 1, "--max-size", 60, "-o", path)
    before = path.read_bytes()
    code, _, err = run("replay", path, "-o", path)
    assert (code, err) == (0, f"every pixel is the same as in {path}\n")
    assert path.read_bytes() == before


@pytest.mark.usefixtures("squeezenet_file")
def test_a_frame_of_a_zoom_is_made_again(tmp_path, run):
    code, _, err = run(
        "zoom",
        "cat",
        "-o",
        tmp_path / "z",
        "--frames",
        3,
        "--scale",
        0.1,
        "--rotate",
        3,
        "--seed",
        5,
        "--model",
        "squeezenet_v1.1",
        "--iters",
        1,
        "--octaves",
        1,
        "--max-size",
        60,
        "--strength",
        0.5,
    )
    assert code == 0, err
    last = sorted((tmp_path / "z").glob("*.png"))[-1]
    assert Recipe.from_image(last).more["frame"] == 2
    code, _, err = run("replay", last, "-o", tmp_path / "again.png")
    assert (code, err) == (0, f"every pixel is the same as in {last}\n")


RECIPES = {
    "plain": {},
    "guided": {"guide": "coffee", "end": "fire4/concat"},
    "channels": {"objective": {"objective": "channels", "indices": list(range(0, 384, 9))}, "end": "fire6/concat"},
    "label": {"objective": {"objective": "label", "label": "tabby"}},
    "several layers": {"end": {"fire3/concat": 1.0, "fire6/concat": 0.5}},
    "an objective for each": {
        "objective": {
            "objective": "layers",
            "layers": {"fire3/concat": {"objective": "L2"}, "fire5/concat": {"objective": "channels", "indices": [0]}},
        }
    },
    "tiles": {"tile": 64, "max_size": 120, "end": "fire4/concat"},
    "guided in tiles": {"tile": 64, "max_size": 100, "guide": "coffee", "end": "fire4/concat"},
    "not clipped, blended": {"clip": False, "strength": 0.4, "jitter": 3, "step_size": 4.0},
    "noise": {"input": "noise:50x70", "max_size": None, "octave_scale": 1.2},
    "several guides": {
        "guide": ["coffee", "rocket"],
        "end": "fire4/concat",
        "objective": {
            "objective": "sum",
            "terms": [
                {"objective": "guided", "guide": 1},
                {"objective": "guided", "weight": 0.5},
                {"objective": "channels", "indices": [3], "weight": -1},
            ],
        },
    },
    "a mixture": {
        "guide": ["coffee", "rocket"],
        "end": {"fire4/concat": 1.0, "pool10": -0.3},
        "objective": {
            "objective": "layers",
            "layers": {
                "fire4/concat": {"objective": "guided", "guide": 1},
                "pool10": {"objective": "sum", "terms": [{"objective": "label", "label": "ant", "weight": 2}]},
            },
        },
    },
}


@pytest.mark.usefixtures("squeezenet_file")
@pytest.mark.parametrize("changes", RECIPES.values(), ids=RECIPES)
def test_recipes_replayed_give_identical_pixels(tmp_path, run, changes):
    recipe = Recipe(**{**SMALL, "end": "fire6/concat" if "objective" not in changes else None, "iter_n": 2, **changes})
    img, done = recipe.make()
    dd.write_image(tmp_path / "a.png", img, recipe=done)
    code, _, err = run("replay", tmp_path / "a.png", "-o", tmp_path / "b.png")
    assert (code, err) == (0, f"every pixel is the same as in {tmp_path / 'a.png'}\n")
    assert Recipe.from_image(tmp_path / "b.png") == done
    assert np.abs(img - recipe.fit(recipe.pictures()[0])).mean() > 0.3


def test_googlenet_replayed(tmp_path, run, googlenet):
    done = Recipe(**{**SMALL, "model": "bvlc_googlenet", "guide": "coffee", "end": "inception_3b/output"})
    img, done = done.make(net=googlenet)
    dd.write_image(tmp_path / "a.png", img, recipe=done)
    code, _, err = run("replay", tmp_path / "a.png", "-o", tmp_path / "b.png")
    assert code == 0
    assert err.endswith(f"every pixel is the same as in {tmp_path / 'a.png'}\n")


@pytest.mark.usefixtures("squeezenet_file")
def test_the_picture_of_a_label_is_made_again(tmp_path, run):
    path = tmp_path / "a.png"
    code, _, err = run(
        "label", "starfish", "-o", path, "--size", 64, "--iters", 3, "--octaves", 2, "--model", "squeezenet_v1.1"
    )
    assert code == 0, err
    recipe = Recipe.from_image(path)
    assert (recipe.kind, recipe.input, recipe.objective["label"]) == ("label", "noise:64x64", "starfish, sea star")
    code, _, err = run("replay", path, "-o", tmp_path / "again.png")
    assert (code, err) == (0, f"every pixel is the same as in {path}\n")


@pytest.mark.usefixtures("squeezenet_file")
def test_a_recipe_of_endless_octaves_is_refused_at_once(tmp_path, run):
    """A picture of somebody else's may ask for anything."""
    recipe = Recipe(**{**SMALL, "octave_n": 2**31})
    code, _, said = run("replay", write_with_recipe(tmp_path / "made.png", recipe), "-o", tmp_path / "again.png")
    assert (code, said.count("\n")) == (2, 1), said
    assert "octave_n=2147483648: the number of octaves must be a whole number, from 1 to 100" in said


@pytest.mark.usefixtures("squeezenet_file")
@pytest.mark.parametrize("text, said_of_it", [("Unable to allocate 8 GiB", " (Unable to allocate 8 GiB)"), ("", "")])
def test_memory_that_runs_out_is_said_in_a_line(tmp_path, run, monkeypatch, text, said_of_it):
    def no_memory(*_, **__):
        raise MemoryError(text)

    monkeypatch.setattr(importlib.import_module("deepdream.cli.replay"), "to_uint8", no_memory)
    made = write_with_recipe(tmp_path / "made.png", Recipe(**SMALL))
    code, _, said = run("replay", made, "-o", tmp_path / "again.png")
    assert code == 2
    assert said.splitlines()[-1].startswith(f"deepdream: not enough memory{said_of_it}; close other programs")
    assert not (tmp_path / "again.png").exists()


def test_a_png_too_large_for_the_memory(tmp_path, run, little_memory):
    """A recipe may stand behind the pixels."""
    path = write_png_header(tmp_path / "a.png", 3000, 2000)
    code, out, err = run("replay", path, "-o", tmp_path / "b.png")
    assert (code, out) == (2, "")
    assert "3000×2000 pixels and needs about" in err


def test_an_input_too_large_for_the_memory(tmp_path, monkeypatch, run, little_memory):
    path = write_with_recipe(tmp_path / "a.jpg", Recipe(**{**SMALL, "model": "no-such-model"}))
    large = write_png_header(tmp_path / "large.png", 3000, 2000)
    for option in ("--input", "--guide"):
        code, out, err = run("replay", path, "-o", tmp_path / "b.png", option, large)
        assert (code, out) == (2, "")
        assert "3000×2000 pixels and needs about" in err


def test_an_edited_image_is_compared_a_part_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK_PIXELS", 40)
    module = importlib.import_module("deepdream.cli.replay")
    path = write_with_recipe(tmp_path / "a.png", Recipe(**SMALL))
    pixels = dd.read_image(path)

    def compare(pixels):
        return module._compare(str(path), str(path), open_image(path), pixels, None, [])

    assert compare(pixels) == f"every pixel is the same as in {path}"
    for y, x in ((0, 0), (7, 3), (19, 29)):
        pixels[y, x] = 255 - pixels[y, x]
    assert compare(pixels).startswith(f"3 of 600 pixels differ from {path}: it was edited, or another build")
    assert compare(pixels[1:]) == f"{path} has a different size, 30×20"


@pytest.mark.usefixtures("squeezenet_file")
def test_a_sum_of_guides_is_made_again_from_its_files(tmp_path, run, monkeypatch, sky):
    monkeypatch.chdir(tmp_path)
    dd.write_image("one.png", sky[:50])
    dd.write_image("two.png", sky[50:])
    small = ["--model", "squeezenet_v1.1", "--iters", 1, "--octaves", 1, "--max-size", 60, "--seed", 1]
    guides = ["--guide", "one.png", "--guide", "two.png=0.5", "--label", "ant=-0.01"]
    code, _, err = run("dream", "cat", *small, *guides, "-o", "a.png")
    assert code == 0, err
    recipe = Recipe.from_image("a.png")
    assert recipe.guide == ["one.png", "two.png"]
    assert [len(sha) for sha in recipe.guide_sha256] == [64, 64]
    assert recipe.end == {"fire8/concat": 1.0, "pool10": -0.01}
    assert recipe.objective["layers"]["fire8/concat"]["terms"] == [
        {"weight": 1.0, "objective": "guided"},
        {"weight": 0.5, "objective": "guided", "guide": 1},
    ]
    code, _, err = run("replay", "a.png", "-o", "b.png")
    assert (code, err) == (0, "every pixel is the same as in a.png\n")
    code, _, err = run("replay", "a.png", "-o", "b.png", "--guide", "one.png")
    assert code == 2 and "the recipe has 2 guides and 1 was given; give each of them, in its order" in err
    code, _, err = run("replay", "a.png", "-o", "b.png", "--guide", "two.png", "--guide", "one.png")
    assert code == 0 and err.count("another guide: sha256") == 2 and "pixels differ from a.png" in err
    assert Recipe.from_image("b.png").guide == ["two.png", "one.png"]
