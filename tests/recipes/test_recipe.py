"""A dream as data: what a recipe holds, refuses, and reads back."""

import json

import numpy as np
import pytest
from helpers import write_with_recipe

from deepdream import ImageError, ParameterError, Recipe

SMALL = {"model": "squeezenet_v1.1", "input": "cat", "max_size": 72, "iter_n": 1, "octave_n": 2, "seed": 1}


def test_the_defaults_are_those_of_deepdream():
    recipe = Recipe()
    assert (recipe.iter_n, recipe.octave_n, recipe.octave_scale, recipe.step_size) == (10, 4, 1.4, 1.5)
    assert recipe.objective == {"objective": "L2"}
    assert Recipe(guide="flowers.jpg").objective == {"objective": "guided"}
    assert Recipe().seed != Recipe().seed  # drawn here, so that it is known afterwards


def test_json_holds_everything():
    recipe = Recipe(
        input="ä\udcff",
        end={"a": 1, "b": np.float32(0.5)},
        seed=np.int64(7),
        tile=128,
        step_size=0.1,
        input_sha256="0" * 64,
        versions={"numpy": "1"},
    )
    text = recipe.to_json()
    assert text.isascii()
    assert Recipe.from_json(text) == recipe
    assert json.loads(text)["end"] == {"a": 1, "b": 0.5}


@pytest.mark.parametrize(
    "values, says",
    [
        ({"iter_n": "10"}, "iter_n='10'"),
        ({"clip": 1}, "clip=1"),
        ({"jitter": True}, "jitter=True"),
        ({"input": None}, "input=None"),
        ({"end": ["a"]}, "end="),
        ({"versions": 3}, "versions=3"),
        ({"input_sha256": "00"}, "64 hexadecimal"),
        ({"strength": 2.0}, "strength=2.0"),
        ({"max_size": 0}, "max_size=0"),
        ({"strength": float("nan")}, "strength=nan"),
    ],
)
def test_what_is_no_recipe_is_refused(values, says):
    with pytest.raises(ParameterError, match=says):
        Recipe(**values)


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "not a recipe"),
        ("{", "not a recipe"),
        ("[1]", "not a recipe"),
        ("{}", "not a recipe"),
        ("[" * 100_000, "not a recipe"),
        ('{"recipe": 2}', "format 2, but this deepdream reads format 1"),
        ('{"recipe": null}', "format None"),
        ('{"recipe": 1, "colour": 3}', "'colour'"),
        ('{"recipe": 1, "seed": "x"}', "seed='x'"),
    ],
)
def test_what_is_no_recipe_is_not_read(text, says):
    with pytest.raises(ParameterError, match=says):
        Recipe.from_json(text)


def test_damaged_files_are_image_errors(tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        Recipe.from_image(tmp_path / "none.png")
    whole = write_with_recipe(tmp_path / "whole.jpg", Recipe(**SMALL)).read_bytes()
    damaged = tmp_path / "damaged.jpg"
    for at in range(0, 700, 23):  # through the header, EXIF and the recipe
        damaged.write_bytes(whole[:at] + b"\xff\x00\x80" + whole[at + 3 :])
        try:
            assert isinstance(Recipe.from_image(damaged), Recipe)
        except ImageError as error:
            assert str(damaged) in str(error)
    damaged.write_bytes(b"not a picture")
    with pytest.raises(ImageError, match="not an image"):
        Recipe.from_image(damaged)


@pytest.mark.parametrize("text", [None, 3, []])
def test_what_is_no_text_is_no_recipe(text):
    with pytest.raises(ParameterError, match="not a recipe"):
        Recipe.from_json(text)


@pytest.mark.parametrize("depth", [40, 300, 900, 5000, 100_000])
@pytest.mark.parametrize("entry", ['"more": {"x": %s}', '"objective": {"label": %s}', '"end": {"fire2/concat": %s}'])
def test_a_recipe_nested_deep_is_refused(entry, depth):
    """Within Python's limit as well, where something later would meet it."""
    for opening, middle, closing in (("[", "", "]"), ('{"a":', "1", "}")):
        with pytest.raises(ParameterError, match="not a recipe"):
            Recipe.from_json('{"recipe": 1, %s}' % (entry % (opening * depth + middle + closing * depth)))
