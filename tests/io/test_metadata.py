"""Recipes inside image files, found there by other programs as well."""

import numpy as np
import pytest
from helpers import write_with_recipe
from PIL import Image

import deepdream as dd
from deepdream import ImageError, Recipe

SMALL = {"model": "squeezenet_v1.1", "input": "cat", "max_size": 72, "iter_n": 1, "octave_n": 2, "seed": 1}


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_a_picture_file_holds_its_recipe(tmp_path, suffix):
    recipe = Recipe(**{**SMALL, "input": "Größe 大.jpg"}, strength=0.3)
    path = write_with_recipe(tmp_path / f"dream.{suffix}", recipe)
    assert Recipe.from_image(path) == recipe
    without = write_with_recipe(tmp_path / f"without.{suffix}", None)
    np.testing.assert_array_equal(dd.read_image(path), dd.read_image(without))
    with pytest.raises(ImageError, match="has no recipe"):
        Recipe.from_image(without)


def test_pillow_finds_it_where_other_programs_look(tmp_path):
    """A PNG's text, EXIF's user comment, TIFF's image description: read here without our own code."""
    text = Recipe(**SMALL).to_json()
    for suffix in ("png", "jpg", "webp", "tif"):
        with Image.open(write_with_recipe(tmp_path / f"a.{suffix}", Recipe.from_json(text))) as picture:
            exif = picture.getexif()
            found = {"png": lambda info=picture.info: info["deepdream"], "tif": lambda exif=exif: exif[270]}.get(
                suffix, lambda exif=exif: exif.get_ifd(0x8769)[0x9286].removeprefix(b"ASCII\0\0\0").decode()
            )()
        assert found == text, suffix


def test_a_recipe_too_long_for_a_picture_is_refused(tmp_path):
    recipe = Recipe(objective={"objective": "channels", "indices": list(range(20_000))})
    with pytest.raises(ImageError, match="holds at most"):
        write_with_recipe(tmp_path / "a.png", recipe)
    assert list(tmp_path.iterdir()) == []
