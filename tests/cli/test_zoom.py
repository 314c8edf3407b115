"""`deepdream zoom`: killed and gone on with, added to, written as a video."""

import json
import random
import subprocess
import sys

from helpers import assert_refused, command_environment, run_command, run_commands
from PIL import Image

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
    done = subprocess.run(
        [sys.executable, "-c", KILLER],
        cwd=stopped,
        env=command_environment(),
        capture_output=True,
        input=json.dumps([arguments, seed]),
        text=True,
        timeout=120,
    )
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
        "deepdream: nothing holds 0 frames; to dream more, name the image, and repeat the other options\n"
    )
    assert "run holds 1 frames" in more.stderr
    assert not (tmp_path / "nothing").exists() and not (tmp_path / "a.mp4").exists()
