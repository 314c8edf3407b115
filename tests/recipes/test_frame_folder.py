"""A folder of frames: what cannot be written is found before the first frame."""

import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import deepdream as dd
from deepdream.recipes.frame_folder import FrameFolder
from deepdream.recipes.recipe import Recipe

NOISE = np.float32(np.random.RandomState(0).uniform(0, 255, (40, 60, 3)))  # 7 kB as a PNG


@pytest.fixture
def free(monkeypatch):
    """A function that sets how many bytes are free."""

    def set_free(count):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=count))

    return set_free


def test_only_frames_that_surely_do_not_fit_are_refused(tmp_path, free):
    with FrameFolder(tmp_path / "run", "zoom") as run:
        for count, bytes_free, fits in [(10, 100_000, True), (10, 68_000, True), (10, 60_000, False), (0, 0, True)]:
            free(bytes_free)
            if fits:
                run.check_room(count, NOISE)
                continue
            with pytest.raises(dd.DreamError) as error:
                run.check_room(count, NOISE)
            said = str(error.value).removeprefix(str(tmp_path))
            assert said.startswith("/run: 10 more frames need 6")
            assert "or more, and 60,000 are free; free some space" in said
            assert len(said) < 250


def test_the_frames_that_are_there_tell_how_large_they_are(tmp_path, free):
    with FrameFolder(tmp_path / "run", "zoom") as run:
        run.begin(Recipe(kind="zoom"))
        run.save(0, NOISE)
        free(20_000)
        run.check_room(5, np.zeros_like(NOISE))
        with pytest.raises(dd.DreamError, match="9 more frames need"):
            run.check_room(10, np.zeros_like(NOISE))
        run.path(0).unlink()  # then the next best
        run.check_room(10, np.zeros_like(NOISE))


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_frame(tmp_path, unprivileged):
    """Also that of a run that goes on, where the recipe is there already."""
    recipe = Recipe(kind="zoom", seed=1)
    with FrameFolder(tmp_path / "run", "zoom") as run:
        run.begin(recipe)
        run.save(0, NOISE)
    (tmp_path / "run").chmod(0o555)
    with unprivileged(), FrameFolder(tmp_path / "run", "zoom") as run:
        assert run.paths(1)
        with pytest.raises(dd.DreamError, match="run cannot be written: Permission denied"):
            run.begin(recipe)
    assert sorted(os.listdir(tmp_path / "run")) == ["00000.png", "zoom.json", "zoom.npz"]


def test_names_that_no_folder_can_have(tmp_path):
    for name, says in (("nu\0ll", "null (byte|character)"), ("a" * 300, "File name too long")):
        with pytest.raises(dd.DreamError, match=f"cannot be written .*{says}"):
            FrameFolder(tmp_path / name, "zoom")
