"""The shots of a video on a Dask cluster, whose workers may die, and in the folder of a stopped run."""

import os
import signal

import numpy as np
import pytest
from helpers import view

import deepdream as dd
from deepdream.recipes.runs import FrameFolder, video_into
from deepdream.recipes.shots import ShotRun, recorded_shots
from deepdream.video import find_shots

SETTINGS = {"iter_n": 2, "octave_n": 1, "jitter": 4, "seed": 3}


@pytest.fixture
def cluster():
    """Two worker processes with one thread each."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture
def images(scene):
    """Fifteen frames: five shots of three. At each cut at most 0.01 of a frame is found in the one before."""
    shots = [[view(scene, 5 * shot + n)[0] for n in range(3)] for shot in range(5)]
    return [255 - image[::-1, ::-1] if number % 2 else image for number, shot in enumerate(shots) for image in shot]


@pytest.fixture
def recipe(tiny_model):
    net = dd.load(tiny_model)
    return dd.Recipe(model=str(tiny_model), kind="video", end=net.end, **SETTINGS)


def frames_of(run, count):
    return [dd.read_image(path) for path in run.paths(count)]


def whole_run(folder, recipe, net, images):
    with FrameFolder(folder, "video") as run:
        run.begin(recipe)
        list(video_into(run, net, images, 0.7, **SETTINGS))
        return frames_of(run, len(images))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_worker_that_dies_costs_one_frame(tmp_path, tiny_model, images, recipe, cluster):
    net = dd.load(tiny_model)
    expected = whole_run(tmp_path / "one", recipe, net, images)
    starts = list(find_shots(images))
    assert starts == [0, 3, 6, 9, 12]
    with FrameFolder(tmp_path / "many", "video") as run:
        run.begin(recipe)
        shots = ShotRun(run, starts, len(images))
        victim = next(iter(cluster.workers.values())).process.pid
        for number, _ in enumerate(
            shots.dream_on_cluster(lambda first: iter(images[first:]), 0.7, scheduler=cluster.scheduler_address)
        ):
            if number == 4:
                os.kill(victim, signal.SIGKILL)
        assert (number, shots.done, run.done) == (14, 15, 15)
        for one, other in zip(expected, frames_of(run, 15)):
            np.testing.assert_array_equal(one, other)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_frame_that_cannot_be_dreamt_is_named(tmp_path, tiny_model, images, recipe, cluster):
    with FrameFolder(tmp_path / "run", "video") as run:
        run.begin(dd.Recipe(model=str(tiny_model), kind="video", end="nowhere", **SETTINGS))
        shots = ShotRun(run, [0, 3], 6)
        with pytest.raises(dd.VideoError, match=r"frame \d could not be dreamt: .*no layer 'nowhere'"):
            list(shots.dream_on_cluster(lambda first: iter(images[first:]), 0.7, scheduler=cluster.scheduler_address))


@pytest.mark.parametrize("stopped_after", [0, 1, 4, 5, 6, 14])
@pytest.mark.parametrize("first_run", ["shots", "whole"])
def test_stopped_anywhere_it_goes_on(tmp_path, tiny_model, images, recipe, first_run, stopped_after):
    net, starts = dd.load(tiny_model), list(find_shots(images))
    assert starts == [0, 3, 6, 9, 12]
    expected = whole_run(tmp_path / "one", recipe, net, images)

    def read(first):
        return iter(images[first:])

    with FrameFolder(tmp_path / "run", "video") as run:
        run.begin(recipe)
        if first_run == "shots":
            frames = ShotRun(run, starts, 15).dream(net, read, 0.7, None, **SETTINGS)
        else:
            frames = video_into(run, net, images, 0.7, **SETTINGS)
        for _, _ in zip(range(stopped_after), frames):
            pass
        frames.close()
    with FrameFolder(tmp_path / "run", "video") as run:
        run.begin(recipe)
        assert recorded_shots(run) == (starts if first_run == "shots" and stopped_after else None)
        shots = ShotRun(run, starts, 15)
        assert shots.done == stopped_after
        assert len(list(shots.dream(net, read, 0.7, None, **SETTINGS))) == 15 - stopped_after
        for one, other in zip(expected, frames_of(run, 15)):
            np.testing.assert_array_equal(one, other)
        run.remove()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", ["", "[]", "[3]", "[0, 2, 2]", '["a"]', "{}", "[0, null]"])
def test_a_damaged_list_of_shots_is_refused(tmp_path, recipe, content):
    with FrameFolder(tmp_path / "run", "video") as run:
        run.begin(recipe)
        assert recorded_shots(run) is None
        (tmp_path / "run" / "shots.json").write_text(content)
        with pytest.raises(dd.DreamError, match=r"shots\.json is damaged; remove the folder"):
            recorded_shots(run)


def test_a_run_whose_first_shot_has_no_frame_yet_is_kept(tmp_path, tiny_model, images, recipe):
    """On a cluster a later shot may be the first to have a frame."""
    with FrameFolder(tmp_path / "run", "video") as run:
        run.begin(recipe)
        shots = ShotRun(run, [0, 3], 6)
        shots._save(shots._shots[1], 3, images[3])
    with FrameFolder(tmp_path / "run", "video") as run:
        assert run.recipe == recipe
        assert ShotRun(run, recorded_shots(run), 6).done == 1
