"""The images that a recipe names, found again by their pixels."""

import numpy as np
import pytest

import deepdream as dd
from deepdream import ImageError
from deepdream.io.arrays import image_sha256
from deepdream.recipes import inputs
from deepdream.recipes.inputs import abbreviate_home, expand_home


def test_pictures_are_found_by_their_pixels(tmp_path, monkeypatch, sky):
    folders = [tmp_path / name for name in ("work", "beside", "data/images")]
    for folder in folders:
        folder.mkdir(parents=True)
    monkeypatch.setenv("DEEPDREAM_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(folders[0])
    dd.write_image("a.png", sky)
    sha256 = image_sha256(dd.read_image("a.png"))
    for folder in folders[1:]:  # the same pixels in another kind of file are the same picture
        (folders[0] / "a.png").rename(tmp_path / "moved.png")
        dd.write_image("a.png", 255 - sky)
        (tmp_path / "moved.png").rename(folder / "a.png")
        found = inputs.find_image("a.png", sha256, search_dir=folders[1])
        assert image_sha256(found.full()) == found.sha256 == sha256
        (folder / "a.png").rename(folders[0] / "a.png")
    dd.write_image("a.png", 255 - sky)
    with pytest.raises(
        ImageError, match=r"a\.png has different pixels.*no such file.*give another one .in a replay: --input"
    ):
        inputs.find_image("a.png", sha256, search_dir=folders[1])
    assert image_sha256(sky) != image_sha256(np.swapaxes(sky, 0, 1))


def test_a_recipe_does_not_tell_who_made_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "alice"))
    name = abbreviate_home(str(tmp_path / "alice" / "a.png"))
    assert name == "~/a.png"
    assert expand_home(name) == str(tmp_path / "alice" / "a.png")
    assert abbreviate_home("b/a.png") == "b/a.png"
