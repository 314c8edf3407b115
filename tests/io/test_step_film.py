"""The steps of a dream on disk."""

import shutil
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest

import deepdream as dd
from deepdream.io.step_film import StepFilm


def test_steps_come_back_as_often_as_asked():
    images = [np.full((4, 6, 3), value, np.float32) for value in (0, 90.4, 300)]
    with StepFilm() as film:
        assert list(film) == []
        for image in images:
            film.add(image)
        for _ in range(2):
            assert [int(image[0, 0, 0]) for image in film] == [0, 90, 255]


def test_room_for_all_steps_is_looked_for_before_the_first(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=7200))
    with StepFilm() as film:
        film.check_room(100, (4, 6, 3))
        with pytest.raises(dd.ImageError) as error:
            film.check_room(101, (4, 6, 3))
    folder = tempfile.gettempdir()
    said = f"101 steps of the dream need 7,272 bytes, and {folder} has 7,200 left; set TMPDIR to a folder"
    assert str(error.value).startswith(said)
