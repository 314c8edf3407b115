"""The folder of a run, which is stopped and gone on with."""

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import deepdream as dd
from deepdream.recipes.runs import FrameFolder


@pytest.fixture
def img():
    return np.float32(np.random.RandomState(3).uniform(0, 255, (40, 56, 3)))


@pytest.fixture
def recipe():
    return dd.Recipe(input="cat", seed=3, kind="zoom", more={"scale": 0.05, "rotate": 0.0})


def test_a_folder_remembers_its_run(tmp_path, img, recipe):
    with FrameFolder(tmp_path / "run", "zoom") as run:
        assert run.recipe is None
        assert run.done == 0
        run.begin(recipe)
        run.save(0, img, recipe, image=img)
        run.save(1, img + 0.25, image=img + 0.25)
    with FrameFolder(tmp_path / "run", "zoom") as run:
        run.begin(recipe)
        assert run.recipe == recipe
        assert run.done == 2
        np.testing.assert_array_equal(run.state["image"], img + 0.25)
        assert run.paths() == [tmp_path / "run" / "00000.png", tmp_path / "run" / "00001.png"]
        assert run.paths(1) == run.paths()[:1]
        assert dd.Recipe.from_image(run.path(0)) == recipe


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 4}, "seed 3 and not 4"),
        ({"end": "fire8/concat"}, "end None and not 'fire8/concat'"),
        ({"input_sha256": "0" * 64}, "another image"),
        ({"weights_sha256": "0" * 64}, "other weights"),
        ({"more": {"scale": 0.05, "rotate": 2.0}}, "rotate 0.0 and not 2.0"),
    ],
)
def test_a_folder_keeps_another_run_out(tmp_path, recipe, change, says):
    with FrameFolder(tmp_path, "zoom") as run:
        run.begin(recipe)
        with pytest.raises(dd.DreamError, match=says):
            run.begin(replace(recipe, **change))
        run.begin(replace(recipe, input="the same cat, elsewhere"))


def test_a_folder_is_used_by_one_process_at_a_time(tmp_path, recipe):
    with FrameFolder(tmp_path, "zoom"), pytest.raises(dd.DreamError, match="another process is using this folder"):
        FrameFolder(tmp_path, "zoom")
    FrameFolder(tmp_path, "zoom").close()


def test_a_folder_that_two_processes_create_at_once_stays(tmp_path, img, recipe, monkeypatch):
    """Whoever comes second must not remove the folder, which is still empty, from under the first."""
    first, mkdir = [], Path.mkdir

    def while_the_other_creates_it(self, *arguments, **options):
        monkeypatch.undo()
        first.append(FrameFolder(tmp_path / "run", "zoom"))
        mkdir(self, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", while_the_other_creates_it)
    with pytest.raises(dd.DreamError, match="another process is using this folder"):
        FrameFolder(tmp_path / "run", "zoom")
    with first[0] as run:
        run.begin(recipe)
        assert run.save(0, img).exists()


def test_a_run_without_a_frame_leaves_nothing_and_takes_nothing(tmp_path, recipe):
    """What else lies in the folder stays there."""
    for name in ("mine.json", "photo.png"):
        (tmp_path / name).write_text("mine", encoding="utf-8")
    with FrameFolder(tmp_path, "zoom") as run:
        run.begin(recipe)
        assert (tmp_path / "zoom.json").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.json", "photo.png"]


def test_a_folder_that_another_process_removes_meanwhile_is_made_again(tmp_path, img, recipe, monkeypatch):
    other, opened = FrameFolder(tmp_path / "run", "zoom"), os.open

    def while_the_other_leaves(*arguments):
        monkeypatch.undo()
        descriptor = opened(*arguments)
        other.close()
        assert not (tmp_path / "run").exists()
        return descriptor

    monkeypatch.setattr(os, "open", while_the_other_leaves)
    with FrameFolder(tmp_path / "run", "zoom") as run:
        run.begin(recipe)
        assert run.save(0, img).exists()


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "00000.png").write_bytes(b"a holiday")
    with pytest.raises(dd.DreamError, match=r"holds 00000\.png"):
        FrameFolder(tmp_path, "zoom")
    assert (tmp_path / "00000.png").read_bytes() == b"a holiday"


def test_what_is_wrong_with_a_folder_is_said(tmp_path, img, recipe):
    (tmp_path / "file").write_text("")
    with pytest.raises(dd.DreamError, match="is a file"):
        FrameFolder(tmp_path / "file", "zoom")
    with pytest.raises(dd.DreamError, match="does not exist; create it first"):
        FrameFolder(tmp_path / "no" / "run", "zoom")
    with FrameFolder(tmp_path / "run", "zoom") as run:
        run.begin(recipe)
        run.save(0, img, image=img)
        run.save(1, img, image=img)
        run.path(0).unlink()
        with pytest.raises(dd.DreamError, match=r"00000\.png is missing"):
            run.paths()
    state = (tmp_path / "run" / "zoom.npz").read_bytes()
    # A flag in the zip's directory that zipfile knows and cannot do: it raises NotImplementedError.
    state = re.sub(rb"(?s)(PK\x01\x02.{4}).", lambda found: found[1] + b"\x20", state)
    for damaged in (b"PK\3\4 cut short", state):
        (tmp_path / "run" / "zoom.npz").write_bytes(damaged)
        with pytest.raises(dd.DreamError, match=r"zoom\.npz is damaged"):
            FrameFolder(tmp_path / "run", "zoom")
    (tmp_path / "run" / "zoom.json").write_text("{}")
    with pytest.raises(dd.DreamError, match=r"zoom\.json: this is not a recipe"):
        FrameFolder(tmp_path / "run", "zoom")
