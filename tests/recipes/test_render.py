"""Recipes made into images, and what differs here from where they were made."""

import logging
from dataclasses import asdict, replace

import numpy as np
import pytest

import deepdream as dd
from deepdream import ImageError, ParameterError, Recipe
from deepdream.io.arrays import image_sha256

SMALL = {"model": "squeezenet_v1.1", "input": "cat", "max_size": 72, "iter_n": 1, "octave_n": 2, "seed": 1}


def test_complete_records_what_decides_the_pixels(squeezenet, squeezenet_file):
    recipe = Recipe(**SMALL)
    cat = dd.picture("cat")
    done = recipe.complete(squeezenet, cat)
    assert done.end == "fire8/concat"
    assert done.input_sha256 == image_sha256(cat)
    assert done.weights_sha256.startswith("dd48cbdc")
    assert done.versions["kind of layers"] == ("fast" if squeezenet.fast else "upstream")
    assert done.versions["device"] == "CPU"
    assert done.versions["deepdream"] == dd.__version__
    assert not done.differences(done)
    changed = {"input_sha256", "weights_sha256", "end", "versions"}
    assert {key for key, value in asdict(done).items() if value != asdict(recipe)[key]} == changed


def test_tiles_of_octaves_that_are_nothing_are_refused(squeezenet):
    recipe = Recipe(**{**SMALL, "octave_n": 3}, octave_scale=1e300, tile=64)
    with pytest.raises(ImageError, match="0×0 pixels are too few"):
        recipe.complete(squeezenet, dd.picture("cat"))


def test_render_is_the_dream_that_deepdream_makes(squeezenet):
    recipe = Recipe(**SMALL, end="fire6/concat", step_size=2.0, jitter=5, strength=0.25)
    cat = recipe.fit(dd.picture("cat"))
    assert max(cat.shape) == 72
    dream = dd.deepdream(squeezenet, cat, iter_n=1, octave_n=2, end="fire6/concat", step_size=2.0, jitter=5, seed=1)
    np.testing.assert_array_equal(recipe.render(net=squeezenet), cat + np.float32(0.25) * (dream - cat))


def test_what_differs_is_said(squeezenet, caplog):
    recipe = replace(
        Recipe(**SMALL),
        weights_sha256="0" * 64,
        input_sha256="1" * 64,
        versions={"numpy": "0.1"},
    )
    caplog.set_level(logging.WARNING, "deepdream")
    recipe.render(image="coffee", net=squeezenet)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert said[0].startswith("another input: sha256 ")
    assert said[0].endswith("… here, 11111111… in the recipe")
    assert said[1] == "other weights: sha256 dd48cbdc… here, 00000000… in the recipe"
    assert said[2] == f"another numpy: {np.__version__} here, 0.1 in the recipe"


def test_tiles_of_before_they_had_a_version_are_said(squeezenet):
    cat = dd.picture("cat")
    whole = Recipe(**SMALL).complete(squeezenet, cat)
    tiled = Recipe(**SMALL, tile=64).complete(squeezenet, cat)
    assert "tiling" not in whole.versions
    assert tiled.versions["tiling"] == "2"
    before = replace(tiled, versions={name: value for name, value in tiled.versions.items() if name != "tiling"})
    assert before.differences(tiled) == ["another tiling: 2 here, none in the recipe"]
    assert whole.differences(whole) == tiled.differences(tiled) == []
    assert replace(before, versions={}).differences(tiled) == []


def test_other_kinds_are_refused(squeezenet):
    with pytest.raises(ParameterError, match=r"kind 'film'.* knows channel, dream, "):
        Recipe(**SMALL, kind="film").render(net=squeezenet)
    with pytest.raises(ParameterError, match="'zoom' needs 'frame' in its more"):
        Recipe(**SMALL, kind="zoom").render(net=squeezenet)
