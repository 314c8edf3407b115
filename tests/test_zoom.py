"""The zoom: its arithmetic against a calculation by hand, its frames against the loop written out, its folder."""

import itertools
import json
import random
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import assert_refused, command_environment, run_command, run_commands
from PIL import Image

import deepdream as dd
from deepdream import tiles
from deepdream.frames import FrameFolder
from deepdream.zoom import frame_seed, zoom

SMALL = {"iter_n": 2, "octave_n": 2, "jitter": 4}


@pytest.fixture
def img():
    return np.float32(np.random.RandomState(3).uniform(0, 255, (40, 56, 3)))


def bilinear(img, y, x):
    """The picture's value between four pixels, by hand; outside, its mirror image."""
    def mirrored(n, length):
        n = abs(n) % (2 * length - 2)
        return n if n < length else 2 * length - 2 - n
    top, left = int(np.floor(y)), int(np.floor(x))
    corners = [[img[mirrored(top + i, img.shape[0]), mirrored(left + j, img.shape[1])] for j in (0, 1)] for i in (0, 1)]
    upper, lower = (a * (1 - (x - left)) + b * (x - left) for a, b in corners)
    return upper * (1 - (y - top)) + lower * (y - top)


@pytest.mark.parametrize(("scale", "rotate"), [(0.05, 0), (-0.2, 0), (0.05, 10), (0, -90)])
def test_zoom_is_interpolated_between_the_pixels_it_shows(img, scale, rotate):
    out = zoom(img, scale, rotate)
    assert out.shape == img.shape
    assert out.dtype == np.float32
    angle, (cy, cx) = np.radians(rotate), np.array(img.shape[:2]) / 2
    for row, column in itertools.product((0, 7, 20, 39), (0, 5, 28, 55)):
        # Turned counterclockwise as seen, with y growing downwards; what is shown there comes from the turn back.
        y, x = (1 - scale) * (row - cy), (1 - scale) * (column - cx)
        y, x = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
        np.testing.assert_allclose(out[row, column], bilinear(img, cy + y, cx + x), atol=0.05)


def test_zoom_turns_counterclockwise(img):
    marked = np.zeros((41, 41, 3), np.float32)
    marked[19:22, 35:38] = 255  # at the right: after a quarter turn counterclockwise it is at the top
    turned = zoom(marked, 0, 90)[:, :, 0]
    rows, columns = np.nonzero(turned > 100)
    assert rows.max() < 10
    assert 15 < columns.mean() < 25


@pytest.mark.parametrize("aim", [{}, {"objective": dd.channels([1])}, {"end": {"left": 1.0, "conv1": 0.5}}])
def test_frames_are_the_loop_written_out(tiny, img, aim):
    image = img
    for frame in dd.zoom_frames(tiny, img, 3, scale=0.1, rotate=5, seed=8, **aim, **SMALL):
        if frame.index:
            image = zoom(image, 0.1, 5)
        image = dd.deepdream(tiny, image, seed=frame.seed, **aim, **SMALL)
        np.testing.assert_array_equal(frame.image, image)
    assert frame.index == 2


def test_float_pictures_are_fed_back(tiny, img):
    """Frames fed back as 8 bits would be others."""
    first, second = dd.zoom_frames(tiny, img, 2, seed=8, **SMALL)
    rounded = dd.deepdream(tiny, zoom(np.rint(first.image.clip(0, 255))), seed=second.seed, **SMALL)
    assert np.abs(rounded - second.image).max() > 0


def test_first_frame_is_the_dream_of_the_seed(tiny, img):
    first = next(dd.zoom_frames(tiny, img, None, seed=5, **SMALL))
    np.testing.assert_array_equal(first.image, dd.deepdream(tiny, img, seed=5, **SMALL))


def test_every_frame_has_shifts_of_its_own():
    seeds = [frame_seed(5, index) for index in range(1000)]
    assert seeds[0] == 5
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert frame_seed(5, 1) == 3796490668  # frozen: a run of today can be continued in ten years


def test_going_on_behind_a_frame_gives_the_same_frames(tiny, img):
    whole = list(dd.zoom_frames(tiny, img, 4, seed=8, tile=64, **SMALL))
    whole[1].image.setflags(write=False)
    rest = list(dd.zoom_frames(tiny, img, 4, seed=8, tile=64, after=whole[1], **SMALL))
    assert [frame.index for frame in rest] == [2, 3]
    for one, other in zip(whole[2:], rest):
        np.testing.assert_array_equal(one.image, other.image)
        assert one.seed == other.seed


def test_a_frame_can_be_drawn_on(tiny, img):
    untouched = list(dd.zoom_frames(tiny, img, 3, seed=8, **SMALL))
    for frame, expected in zip(dd.zoom_frames(tiny, img, 3, seed=8, **SMALL), untouched):
        np.testing.assert_array_equal(frame.image, expected.image)
        frame.image[...] = 0


def test_tiles_are_chosen_once_for_all_frames(tiny, img, monkeypatch):
    wide = np.tile(img, (16, 16, 1))
    needed = tiles.gradient_bytes(tiny, "both", 640, 896) + tiles.picture_bytes(640, 896)
    # Just too little, then ever less: chosen anew, every frame would get smaller tiles.
    free = itertools.count(int(needed / tiles.SHARE) - 1, -needed // 50)
    chosen = []

    def plan(net, end, shapes, tile):
        chosen.append(real(net, end, shapes, tile))
        return chosen[-1]
    real = tiles.plan
    monkeypatch.setattr(tiles, "free_bytes", lambda gpu: next(free))
    monkeypatch.setattr(dd.dream, "plan", plan)
    list(dd.zoom_frames(tiny, wide, 3, seed=8, tile="auto", iter_n=1, octave_n=1, jitter=0))
    assert len(chosen) == 4  # the check, and three frames
    assert len(set(chosen[1:])) == 1
    assert 64 <= chosen[-1] < 896


def test_wrong_arguments_are_refused_before_the_first_frame(tiny, img):
    for settings, value in [({"frame_n": 0}, "0"), ({"frame_n": 2.5}, "2.5"), ({"scale": 1}, "1"),
                            ({"scale": float("nan")}, "nan"), ({"rotate": float("inf")}, "inf"), ({"seed": -1}, "-1"),
                            ({"iter_n": 0}, "0"), ({"tile": 3}, "3")]:
        with pytest.raises(dd.ParameterError, match=f"={value}"):
            dd.zoom_frames(tiny, img, **{**SMALL, **settings})
    with pytest.raises(dd.LayerError, match="nowhere"):
        dd.zoom_frames(tiny, img, end="nowhere", **SMALL)
    with pytest.raises(dd.ImageError, match=r"\(40, 56\)"):
        dd.zoom_frames(tiny, img[:, :, 0], **SMALL)


# The folder

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


@pytest.mark.parametrize(("change", "says"), [
    ({"seed": 4}, "seed 3 and not 4"), ({"end": "fire8/concat"}, "end None and not 'fire8/concat'"),
    ({"input_sha256": "0" * 64}, "another picture"), ({"weights_sha256": "0" * 64}, "other weights"),
    ({"more": {"scale": 0.05, "rotate": 2.0}}, "rotate 0.0 and not 2.0")])
def test_a_folder_keeps_another_run_out(tmp_path, recipe, change, says):
    with FrameFolder(tmp_path, "zoom") as run:
        run.begin(recipe)
        with pytest.raises(dd.DreamError, match=says):
            run.begin(replace(recipe, **change))
        run.begin(replace(recipe, input="the same cat, elsewhere"))


def test_a_folder_is_used_by_one_process_at_a_time(tmp_path, recipe):
    with FrameFolder(tmp_path, "zoom"), pytest.raises(dd.DreamError, match="another process is at work"):
        FrameFolder(tmp_path, "zoom")
    FrameFolder(tmp_path, "zoom").close()


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


# The command

DREAM = ["noise:192x128", "-o", "run", "--octaves", "2", "--iters", "10", "--seed", "4", "--rotate", "3"]

# Forks a process for each run of the command, kills it when it has changed its folder a few times, and looks at what
# is there then; so on until ten were killed. One more run finishes.
KILLER = """
import io, json, os, random, signal, sys, time
import numpy as np
from PIL import Image
from deepdream.cli import main

arguments, seed = json.load(sys.stdin)
chance = random.Random(seed)
sys.stdout = sys.stderr = open(os.devnull, "w")

def start():
    child = os.fork()
    if not child:
        main(arguments)
    return child

def listing():
    return sorted(os.listdir("run")) if os.path.isdir("run") else []

def look():
    frames = [name for name in listing() if name.endswith(".png") and not name.startswith(".")]
    for name in frames:
        with Image.open(os.path.join("run", name)) as frame:
            frame.load()  # raises if it is half-written
    if "zoom.npz" in listing():
        with np.load("run/zoom.npz") as state:
            assert f"{int(state['index']):05d}.png" in frames
            assert state["image"].shape == (128, 192, 3)
    return len(frames)

killed, leftovers, progress = 0, 0, []
while killed < 10:
    child = start()
    if killed % 3 == 0:
        time.sleep(chance.uniform(0, 0.15))
    else:
        changes, seen, until = chance.randint(1, 2), listing(), time.monotonic() + 5
        while changes and time.monotonic() < until:
            now = listing()
            changes, seen = changes - (now != seen), now
        time.sleep(chance.uniform(0, 0.01))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    killed += os.WIFSIGNALED(status)
    assert os.WIFSIGNALED(status), "it was done before it could be killed ten times"
    leftovers += any(name.startswith(".") for name in listing())
    progress.append(look())
code = os.waitstatus_to_exitcode(os.waitpid(start(), 0)[1])
print(json.dumps([code, killed, leftovers, progress, look()]), file=sys.__stdout__)
"""


def test_killed_ten_times_the_frames_are_the_same(tmp_path, tiny_model):
    arguments = ["zoom", *DREAM, "--frames", "12", "--model", str(tiny_model)]
    whole = tmp_path / "whole"
    whole.mkdir()
    assert run_command(whole, *arguments).returncode == 0
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    seed = random.randrange(1000)
    done = subprocess.run([sys.executable, "-c", KILLER], cwd=stopped, env=command_environment(), capture_output=True,
                          input=json.dumps([arguments, seed]), text=True, timeout=120)
    assert done.returncode == 0, (seed, done.stderr)
    code, killed, _, progress, frames = json.loads(done.stdout)
    assert (code, killed, frames) == (0, 10, 12), seed
    assert progress == sorted(progress)
    assert len(set(progress)) > 3, progress  # it was killed on the way, not only before or after
    names = sorted(path.name for path in (whole / "run").iterdir())
    assert names == sorted(path.name for path in (stopped / "run").iterdir())
    for name in names:
        if name.endswith(".png"):
            assert (whole / "run" / name).read_bytes() == (stopped / "run" / name).read_bytes(), (seed, name)


def test_frames_are_added_and_films_made_without_dreaming(tmp_path, tiny_model):
    def run(*arguments):
        return run_command(tmp_path, "zoom", *arguments, "--model", tiny_model)

    done = run(*DREAM, "--frames", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "run" / f"0000{index}.png") for index in range(2)]
    first = (tmp_path / "run" / "00000.png").stat()
    done = run(*DREAM[:-4], "--rotate", "3", "--frames", "4", "--gif", "film.gif")  # the seed is the run's
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*(str(tmp_path / "run" / f"0000{index}.png") for index in (2, 3)),
                                   str(tmp_path / "film.gif")]
    assert (tmp_path / "run" / "00000.png").stat().st_mtime_ns == first.st_mtime_ns
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 4
    # Without a network: the model's folder is gone.
    tiny_model.rename(tmp_path / "gone")
    done = run("-o", "run", "--gif", "again.gif", "--fps", "5")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "again.gif")]
    with Image.open(tmp_path / "again.gif") as film:
        assert film.n_frames == 4
        assert film.info["duration"] == 200
    # The first frames alone.
    assert run("-o", "run", "--frames", "3", "--gif", "first.gif").returncode == 0
    with Image.open(tmp_path / "first.gif") as film:
        assert film.n_frames == 3
    # Frames of one go and of several are the same.
    (tmp_path / "gone").rename(tiny_model)
    assert run(*DREAM[:2], "other", *DREAM[3:], "--frames", "4").returncode == 0
    for index in range(4):
        name = f"0000{index}.png"
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_what_cannot_be_is_refused(tmp_path, tiny_model):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "00000.png").write_bytes(b"a holiday")
    refused = [([*DREAM, "--frames", "1"], ["00000.png"]), ([*DREAM, "--frames", "0"], ["--frames 0"]),
               ([*DREAM, "--scale", "1"], ["--scale 1"]), ([*DREAM, "--mp4", "film.avi"], ["must end in .mp4"]),
               ([*DREAM, "--gif", "no/film.gif"], ["--gif no/film.gif", "create it first"]),
               (["no.jpg", "-o", "other"], ["no.jpg: no such file"])]
    done = run_commands(tmp_path, *(["zoom", *arguments, "--model", tiny_model] for arguments, _ in refused))
    for (_, says), each in zip(refused, done):
        assert_refused(each, *says)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "tiny-model", "tiny.prototxt"]


def test_what_is_refused_leaves_no_folder_behind(tmp_path, tiny_model):
    """And the folder can be used for what is asked next."""
    settings = ["--model", tiny_model, "--octaves", 1, "--iters", 1]
    done = run_commands(tmp_path, ["zoom", "noise:10x10", *settings, "-o", "run", "--frames", 1])[0]
    assert done.returncode == 2 and "10×10 pixels are too few" in done.stderr
    assert not (tmp_path / "run").exists()
    (tmp_path / "mine").mkdir()
    run_commands(tmp_path, ["zoom", "noise:10x10", *settings, "-o", "mine", "--frames", 1])
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_film_of_no_frames_is_refused_and_dreams_nothing(tmp_path, tiny_model):
    settings = ["--model", tiny_model, "--octaves", 1, "--iters", 1]
    none, _, more = run_commands(tmp_path, ["zoom", "-o", "nothing", "--mp4", "a.mp4"],
                                 ["zoom", "noise:40x40", *settings, "-o", "run", "--frames", 1],
                                 ["zoom", "-o", "run", "--frames", 3, "--mp4", "a.mp4"])
    assert none.returncode == more.returncode == 2
    assert none.stderr == ("deepdream: nothing holds 0 frames; to dream more, name the picture, and what else was "
                           "asked for\n")
    assert "run holds 1 frames" in more.stderr
    assert not (tmp_path / "nothing").exists() and not (tmp_path / "a.mp4").exists()
