"""`deepdream zoom`: killed and gone on with, added to, written as a video."""

import errno
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import assert_refused, camera_photo, command_environment, run_command, run_commands, write_png_header
from PIL import Image

import deepdream as dd
from deepdream.data import clouds

DREAM = ["noise:192x128", "-o", "run", "--octaves", "2", "--iters", "10", "--seed", "4", "--rotate", "3"]


# Forks a process for each run of the command, kills it when it has changed its folder a few times, and looks at what
# is there then; so on until ten were killed. One more run finishes.
KILLER = """
import io, json, os, random, signal, sys, time
import numpy as np
from PIL import Image
from deepdream.cli import commands, main

arguments, seed = json.load(sys.stdin)
chance = random.Random(seed)

def start():
    child = os.fork()
    if not child:
        sys.stdout = sys.stderr = open(os.devnull, "w")
        main(arguments)
    return child

def listing():
    return sorted(os.listdir("run")) if os.path.isdir("run") else []

def frames():
    return [name for name in listing() if name.endswith(".png") and not name.startswith(".")]

def look():
    for name in frames():
        with Image.open(os.path.join("run", name)) as frame:
            frame.load()  # raises if it is half-written
    if "zoom.npz" in listing():
        with np.load("run/zoom.npz") as state:
            assert f"{int(state['index']):05d}.png" in frames()
            assert state["image"].shape == (128, 192, 3)
    return len(frames())

killed, leftovers, progress = 0, 0, []
while killed < 10:
    child = start()
    if killed % 3 == 0:  # while it starts
        time.sleep(chance.uniform(0, 0.15))
    else:  # when a frame is new, or when any file is, hidden ones of a half-written frame among them
        watched = frames if killed % 3 == 1 else listing
        seen, until = watched(), time.monotonic() + 20
        while watched() == seen and time.monotonic() < until:
            pass
        time.sleep(chance.uniform(0, 0.01))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    killed += os.WIFSIGNALED(status)
    assert os.WIFSIGNALED(status), "it was done before it could be killed ten times"
    leftovers += any(name.startswith(".") for name in listing())
    progress.append(look())
code = os.waitstatus_to_exitcode(os.waitpid(start(), 0)[1])
print(json.dumps([code, killed, leftovers, progress, look()]))
"""


def test_killed_ten_times_the_frames_are_the_same(tmp_path, tiny_model):
    arguments = ["zoom", *DREAM, "--frames", "16", "--model", str(tiny_model)]
    whole = tmp_path / "whole"
    whole.mkdir()
    assert run_command(whole, *arguments).returncode == 0
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    seed = random.randrange(1000)
    done = subprocess.run(
        [sys.executable, "-c", KILLER],
        cwd=stopped,
        env=command_environment(),
        capture_output=True,
        input=json.dumps([arguments, seed]),
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, (seed, done.stderr)
    code, killed, _, progress, frames = json.loads(done.stdout)
    assert (code, killed, frames) == (0, 10, 16), seed
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
    assert done.stdout.split() == [
        *(str(tmp_path / "run" / f"0000{index}.png") for index in (2, 3)),
        str(tmp_path / "film.gif"),
    ]
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
    refused = [
        ([*DREAM, "--frames", "1"], ["00000.png"]),
        ([*DREAM, "--frames", "0"], ["--frames 0"]),
        ([*DREAM, "--scale", "1"], ["--scale 1"]),
        ([*DREAM, "--mp4", "film.avi"], ["must end in .mp4"]),
        ([*DREAM, "--gif", "no/film.gif"], ["--gif no/film.gif", "create it first"]),
        (["no.jpg", "-o", "other"], ["no.jpg: no such file"]),
    ]
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
    none, _, more = run_commands(
        tmp_path,
        ["zoom", "-o", "nothing", "--mp4", "a.mp4"],
        ["zoom", "noise:40x40", *settings, "-o", "run", "--frames", 1],
        ["zoom", "-o", "run", "--frames", 3, "--mp4", "a.mp4"],
    )
    assert none.returncode == more.returncode == 2
    assert none.stderr == (
        "deepdream: nothing holds 0 frames; to dream more, give the image and the other options again\n"
    )
    assert "run holds 1 frames" in more.stderr
    assert not (tmp_path / "nothing").exists() and not (tmp_path / "a.mp4").exists()


SMALL = ["zoom", "noise:48x40", "-o", "run", "--octaves", "1", "--iters", "1", "--seed", "4", "--frames", "4"]


def frames_of(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_a_disk_that_fills_in_the_middle(tmp_path, tiny_model, run, monkeypatch):
    """The run stops with one line; the frames that are there stay, and it goes on when there is room."""
    monkeypatch.chdir(tmp_path)
    arguments = [*SMALL, "--model", tiny_model, "--mp4", "zoom.mp4"]
    assert run(*arguments)[0] == 0
    whole, film = frames_of(tmp_path / "run"), (tmp_path / "zoom.mp4").read_bytes()
    shutil.rmtree("run")
    (tmp_path / "zoom.mp4").unlink()
    write, left = Path.write_bytes, [5]

    def write_until_full(path, data):
        left[0] -= 1
        if left[0] < 0:
            write(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_until_full)
    code, _, said = run(*arguments)
    reason = f"deepdream: {Path('run') / 'zoom.npz'} cannot be written: No space left on device; free some space"
    assert code == 2 and said.startswith(reason) and said.count("\n") == 1
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run").glob("*.png")}
    assert sorted(kept) == ["00000.png", "00001.png", "00002.png"]  # the state is that of the second
    assert not list((tmp_path / "run").glob(".*"))
    left[0] = 100
    assert run(*arguments)[0] == 0
    assert frames_of(tmp_path / "run") == whole
    assert (tmp_path / "zoom.mp4").read_bytes() == film
    for name in ("00000.png", "00001.png"):
        assert (tmp_path / "run" / name).stat().st_mtime_ns == kept[name]


def test_frames_that_do_not_fit_are_refused(tmp_path, tiny_model, run, monkeypatch):
    """Before the first one if its image tells, else after it."""
    monkeypatch.chdir(tmp_path)
    settings = [*SMALL[2:], "--model", tiny_model]
    dd.write_image("flat.png", np.full((40, 48, 3), 90))
    free = itertools.chain([24_000, 24_000], itertools.repeat(1000))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=next(free)))
    code, printed, said = run("zoom", "noise:48x40", *settings)
    assert (code, printed, said.count("\n")) == (2, "", 1)
    assert "run: 4 more frames need" in said and "24,000 are free; free some space" in said
    assert not (tmp_path / "run").exists()
    code, printed, said = run("zoom", "flat.png", *settings)
    assert (code, said.count("\n")) == (2, 1)
    assert "run: 3 more frames need" in said
    assert [path.name for path in (tmp_path / "run").glob("*.png")] == ["00000.png"]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert run("zoom", "flat.png", *settings)[0] == 0


def test_a_clock_that_is_set_back(tmp_path, tiny_model, run, monkeypatch):
    """From frame to frame by a year, down to before 1980, which ZIP files cannot hold."""
    monkeypatch.chdir(tmp_path)
    arguments = [*SMALL, "--model", tiny_model]
    assert run(*arguments)[0] == 0
    whole = frames_of(tmp_path / "run")
    shutil.rmtree("run")
    clock = itertools.count(1_000_000_000, -31_536_000)
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    monkeypatch.setattr(time, "time_ns", lambda: next(clock) * 1_000_000_000)
    for count in (2, 3, 4):
        assert run(*arguments[:-3], count, *arguments[-2:])[0] == 0
        for path in (tmp_path / "run").iterdir():
            os.utime(path, (next(clock), next(clock)))
    assert frames_of(tmp_path / "run") == whole


def test_an_image_too_large_for_the_memory(tmp_path, monkeypatch, run, little_memory):
    monkeypatch.chdir(tmp_path)
    write_png_header(tmp_path / "a.png", 3000, 2000)
    code, out, err = run("zoom", "a.png", "-o", "run", "--model", "no-such-model", "--max-size", "64")
    assert (code, out) == (2, "")
    assert "a.png has 3000×2000 pixels and needs about" in err
    assert not (tmp_path / "run").exists()


# Several images


SEVERAL = ["--model", "squeezenet_v1.1", "--iters", 1, "--octaves", 2, "--seed", 1, "--end", "fire4/concat"]


@pytest.fixture
def photos(tmp_path, monkeypatch, squeezenet_file):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in (1, 2):
        dd.write_image(f"photos/IMG_{number}.png", clouds.clouds(60, 80, seed=number))
    return tmp_path


def pixels_of(folder):
    return {path.name: dd.read_image(path).tobytes() for path in sorted(folder.glob("*.png"))}


def test_each_image_has_a_zoom_of_its_own(photos, run):
    code, out, err = run("zoom", "photos", *SEVERAL, "--frames", 2, "-o", "zooms")
    assert code == 0 and "2 zooms in zooms, 0 failed" in err, err
    assert sorted(path.name for path in (photos / "zooms").iterdir()) == ["IMG_1", "IMG_2"]
    assert len(out.splitlines()) == 4
    run("zoom", "photos/IMG_2.png", *SEVERAL, "--frames", 2, "-o", "alone")
    assert pixels_of(photos / "zooms" / "IMG_2") == pixels_of(photos / "alone")


def test_workers_make_the_same_frames_and_go_on(photos, run):
    pytest.importorskip("distributed")
    run("zoom", "photos", *SEVERAL, "--frames", 3, "-o", "here")
    code, out, err = run("zoom", "photos", *SEVERAL, "--frames", 2, "-o", "there", "--workers", 2, "--gpu", "none")
    assert code == 0 and len(out.splitlines()) == 4, err
    code, out, err = run("zoom", "photos", *SEVERAL, "--frames", 3, "-o", "there", "--workers", 2, "--gpu", "none")
    assert code == 0 and len(out.splitlines()) == 2, err
    for name in ("IMG_1", "IMG_2"):
        assert pixels_of(photos / "there" / name) == pixels_of(photos / "here" / name)


def opened(pid):
    """The files and folders that a process has open."""
    try:
        return {Path(os.readlink(entry)) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:  # it has ended
        return set()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not list open files")
def test_when_a_worker_dies_another_one_goes_on(photos):
    pytest.importorskip("distributed")
    words = [str(word) for word in SEVERAL]
    command = [sys.executable, "-m", "deepdream", "zoom", "photos", *words, "--max-size", "200", "--gpu", "none"]
    # Dask gives each worker one thread, and with a stock Caffe the number of threads changes the last bits.
    env = {**command_environment(), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, "--frames", "12", "-o", "there", "--workers", "2"], env=env, text=True)
    try:
        begun, end = photos / "there" / "IMG_1" / "00003.png", time.monotonic() + 60
        while not begun.exists() and time.monotonic() < end:
            time.sleep(0.01)
        workers = [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if begun.parent in opened(pid)]
        assert workers
        os.kill(workers[0], 9)
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()
    subprocess.run([*command, "--frames", "12", "-o", "here"], env=env, check=True, capture_output=True)
    for name in ("IMG_1", "IMG_2"):
        assert pixels_of(photos / "there" / name) == pixels_of(photos / "here" / name)


def test_an_image_that_fails_does_not_end_the_others(photos, run):
    (photos / "photos" / "IMG_0.png").write_bytes(b"no picture")
    code, _, err = run("zoom", "photos", *SEVERAL, "--frames", 1, "-o", "zooms")
    assert code == 2 and "IMG_0.png could not be zoomed into" in err and "2 zooms in zooms, 1 failed" in err
    assert sorted(path.name for path in (photos / "zooms").iterdir()) == ["IMG_1", "IMG_2"]


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photos", "--mp4", "zoom.mp4"], "--mp4: a video shows one zoom; give one image"),
        (["cat", "--workers", 2], "--workers: a zoom is one process"),
        (["photos", "--workers", 0], "--workers 0: must be 1 or more"),
        (["photos/IMG_1.png", "photos/IMG_1.png"], "have the same name"),
    ],
)
def test_what_several_zooms_cannot_have(run, arguments, message):
    code, _, err = run("zoom", *arguments, *SEVERAL, "-o", "zooms")
    assert code == 2 and message in err and len(err.splitlines()[-1]) <= 300


@pytest.mark.parametrize("more", [[], ["--workers", 2, "--gpu", "none"]])
def test_what_the_frames_lack_is_said_once(photos, run, more):
    if more:
        pytest.importorskip("distributed")
    for number in (1, 2):
        (photos / "photos" / f"IMG_{number}.png").unlink()
        (photos / "photos" / f"IMG_{number}.jpg").write_bytes(camera_photo())
    code, _, err = run("zoom", "photos", *SEVERAL[:-4], "--octaves", 1, "--frames", 1, "-o", "zooms", *more)
    assert code == 0, err
    [line] = [line for line in err.splitlines() if "lack" in line]
    assert line.endswith("IMG_1.jpg: the frames will lack the metadata of the image (date, camera, author and so on)")
