"""The images of a gallery, made once."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import SMALL_RECIPE, small_gallery

import deepdream as dd
from deepdream import Recipe
from deepdream.recipes.gallery import is_made, make_gallery
from deepdream.recipes.gallery_file import Entry, Gallery, read_gallery


def test_a_picture_that_cannot_be_written_does_not_stop_the_others(tmp_path, squeezenet):
    (tmp_path / "n00.png").mkdir()
    first, second = make_gallery(small_gallery(2), tmp_path)
    assert "n00.png cannot be written: Is a directory" in first.error
    assert (second.made, second.error) == (True, None)
    assert (tmp_path / "n01.png").is_file()
    assert "n00.png cannot be written" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_the_pictures_are_those_of_their_recipes(gallery_toml, tmp_path, squeezenet):
    outcomes = {outcome.entry.name: outcome for outcome in make_gallery(read_gallery(gallery_toml), tmp_path)}
    assert {name: outcome.made for name, outcome in outcomes.items()} == {"first": True, "second": False, "third": True}
    for name in ("first", "third"):
        expected = np.rint(outcomes[name].entry.recipe.render(net=squeezenet))
        np.testing.assert_array_equal(dd.read_image(tmp_path / f"{name}.png"), expected)


def test_what_is_there_already(tmp_path, monkeypatch, sky, squeezenet):
    monkeypatch.chdir(tmp_path)
    dd.write_image("sky.png", sky)
    recipe = Recipe(**{**SMALL_RECIPE, "input": "sky.png", "seed": 1})
    path = tmp_path / "a.png"
    assert not is_made(recipe, path)
    list(make_gallery(Gallery("", "", (Entry("a", recipe),)), tmp_path))
    assert is_made(recipe, path)
    assert is_made(replace(recipe, tile="auto"), path)
    for change in (
        {"seed": 2},
        {"iter_n": 2},
        {"end": "fire4/concat"},
        {"end": None},
        {"max_size": 63},
        {"objective": {"objective": "channels", "indices": [1]}},
        {"strength": 0.5},
        {"input": "cat"},
    ):
        assert not is_made(replace(recipe, **change), path), change
    dd.write_image("sky.png", 255 - sky)
    assert not is_made(recipe, path)  # the input is another one now
    (tmp_path / "sky.png").unlink()
    assert is_made(recipe, path)  # it cannot be asked, and nothing else has changed
    path.write_bytes(path.read_bytes()[:20])
    assert not is_made(recipe, path)


@pytest.mark.usefixtures("squeezenet_file")
def test_the_model_s_own_layer_is_the_same_as_naming_it(tmp_path):
    recipe = Recipe(**{**SMALL_RECIPE, "end": None, "seed": 1})
    list(make_gallery(Gallery("", "", (Entry("a", recipe),)), tmp_path))
    assert is_made(recipe, tmp_path / "a.png")
    assert is_made(replace(recipe, end="fire8/concat"), tmp_path / "a.png")
