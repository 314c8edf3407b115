"""Several processes that write to the same place at the same time: what they leave is whole, and is one of theirs."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers import command_environment, write_tiny_model
from PIL import Image

import deepdream as dd
from deepdream.io.arrays import to_uint8
from deepdream.recipes import gallery_file
from deepdream.recipes.gallery import make_gallery

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no locks of folders")
QUICK = ["--model", "tiny", "--iters", "2", "--octaves", "1", "--jitter", "4", "--gpu", "none"]
GALLERY = "".join(
    f'[[picture]]\nname = "n{number}"\nseed = {number}\n'
    'input = "noise:60x50"\nmodel = "tiny"\niter_n = 2\noctave_n = 1\n'
    for number in range(6)
)


@pytest.fixture
def place(tmp_path):
    """A folder with a small model and a picture."""
    write_tiny_model(tmp_path / "tiny")
    dd.write_image(tmp_path / "photo.png", dd.picture("cat")[:64, :80])
    return tmp_path


def start(place, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "deepdream", *arguments],
        cwd=place,
        env={**command_environment(), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(*processes):
    """[(exit code, what it said)]"""
    found = []
    try:
        for process in processes:
            _, said = process.communicate(timeout=120)
            assert "Traceback" not in said, said
            found.append((process.returncode, said))
    finally:
        for process in processes:
            process.kill()
    return found


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).tobytes()


def hidden(folder):
    return [path.name for path in folder.rglob(".*")]


def test_four_dreams_into_one_file(place):
    """The file is, at every moment, one of the four dreams."""
    net, photo = dd.load(place / "tiny"), dd.read_image(place / "photo.png")
    dreams = [dd.deepdream(net, photo, iter_n=2, octave_n=1, jitter=4, seed=seed) for seed in range(4)]
    alone = {to_uint8(dream).tobytes() for dream in dreams}
    assert len(alone) == 4
    processes = [start(place, "dream", "photo.png", *QUICK, "--seed", str(seed), "-o", "out.png") for seed in range(4)]
    seen, over = set(), threading.Event()

    def look():
        while not over.wait(0.01):
            if (place / "out.png").exists():
                seen.add(pixels(place / "out.png"))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        outcomes = ended(*processes)
    finally:
        over.set()
        looking.join()
    assert [code for code, _ in outcomes] == [0] * 4, outcomes
    assert pixels(place / "out.png") in alone
    assert seen and seen <= alone
    assert hidden(place) == []


def test_four_zooms_in_one_folder(place):
    """One of them makes the frames; the others make way, or go on where it has ended."""
    net, photo = dd.load(place / "tiny"), dd.read_image(place / "photo.png")
    alone = dd.zoom_frames(net, photo, 3, seed=1, iter_n=2, octave_n=1, jitter=4)
    zoom = ["zoom", "photo.png", *QUICK, "--seed", "1", "--frames", "3", "-o", "frames"]
    outcomes = ended(*(start(place, *zoom) for _ in range(4)))
    assert any(code == 0 for code, _ in outcomes), outcomes
    for code, said in outcomes:
        assert code == 0 or (code == 2 and "another process is using this folder" in said), outcomes
    for frame in alone:
        assert pixels(place / "frames" / f"{frame.index:05d}.png") == to_uint8(frame.image).tobytes()
    assert len(list((place / "frames").glob("*.png"))) == 3
    assert hidden(place) == []


def test_one_gallery_twice(place, monkeypatch):
    (place / "g.toml").write_text(GALLERY, encoding="utf-8")
    monkeypatch.chdir(place)
    Path("alone").mkdir()
    gallery = gallery_file.read_gallery("g.toml")
    assert all(outcome.made for outcome in make_gallery(gallery, "alone"))
    outcomes = ended(*(start(place, "gallery", "g.toml", "-o", "out", "--gpu", "none") for _ in range(2)))
    assert [code for code, _ in outcomes] == [0, 0], outcomes
    names = sorted(path.name for path in Path("alone").iterdir())
    assert sorted(path.name for path in Path("out").iterdir()) == names
    for name in names:  # with the recipes inside
        assert (Path("out") / name).read_bytes() == (Path("alone") / name).read_bytes(), name
    assert not any(outcome.made for outcome in make_gallery(gallery, "out"))
