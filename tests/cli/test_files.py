"""Where a command writes is tried before anything is read, fetched or dreamt; what is read is not written over."""

import errno
import os
import tempfile

import numpy as np
import pytest
from helpers import write_clip, write_with_recipe

import deepdream as dd
from deepdream.recipes.recipe import Recipe

COMMANDS = {  # name: (arguments, the suffix of what is written); {} is what is written
    "dream": (["dream", "in.png", "-o", "{}"], ".png"),
    "animation": (["dream", "in.png", "--animate", "{}"], ".gif"),
    "label": (["label", "3", "-o", "{}"], ".webp"),
    "replay": (["replay", "dreamt.png", "-o", "{}"], ".tif"),
    "zoom to mp4": (["zoom", "in.png", "-o", "frames", "--mp4", "{}"], ".mp4"),
    "zoom to gif": (["zoom", "in.png", "-o", "frames", "--gif", "{}"], ".gif"),
    "video": (["video", "in.mp4", "{}"], ".mp4"),
    "zoom": (["zoom", "in.png", "-o", "{}"], ""),
    "gallery": (["gallery", "pictures.toml", "-o", "{}"], ""),
}
FILES = [name for name, (_, suffix) in COMMANDS.items() if suffix]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current folder, with what the commands read. They name a network that does not exist: none can be loaded."""
    monkeypatch.chdir(tmp_path)
    dd.write_image("in.png", np.zeros((40, 60, 3)))
    write_with_recipe(tmp_path / "dreamt.png", Recipe(model="nowhere", input="in.png"))
    write_clip(tmp_path / "in.mp4", [np.zeros((48, 64, 3))] * 2)
    (tmp_path / "pictures.toml").write_text('[[picture]]\nname = "n"\nmodel = "nowhere"\ninput = "in.png"\n')
    return tmp_path


@pytest.fixture
def refused(place, run):
    """Asserts that a command, writing to a path, is refused at once in one line, and that nothing is written."""

    def refused(name, path, *says):
        arguments = [each.replace("{}", str(path)) for each in COMMANDS[name][0]]
        if name not in ("replay", "gallery"):
            arguments += ["--model", "nowhere"]
        before = snapshot(place)
        code, printed, said = run(*arguments)
        assert (code, printed, said.count("\n")) == (2, "", 1), said
        assert len(said) <= 301
        for text in says:
            assert text in said
        assert snapshot(place) == before

    return refused


def snapshot(folder):
    return {str(path): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("name", COMMANDS)
def test_where_a_link_leads_counts(place, refused, name):
    suffix = COMMANDS[name][1]
    (place / f"link{suffix}").symlink_to(f"missing/file{suffix}")
    (place / f"loop{suffix}").symlink_to(f"loop{suffix}")
    (place / f"further{suffix}").symlink_to(f"link{suffix}")
    for link in ("link", "further"):
        refused(name, f"{link}{suffix}", f"{link}{suffix}", "does not exist; create it first")
    refused(name, f"loop{suffix}", f"loop{suffix}", "loop" if not suffix else "symbolic links")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_name_that_no_file_can_have(refused, name):
    suffix = COMMANDS[name][1]
    refused(name, "a" * (256 - len(suffix)) + suffix, "aaa", "File name too long")
    refused(name, f"nu\0ll{suffix}", "null byte")


def test_a_video_whose_frames_have_no_name(refused):
    refused("video", "a" * 250 + ".mp4", "File name too long")


@pytest.mark.parametrize("name", FILES)
def test_a_device_is_not_replaced(place, refused, name):
    suffix = COMMANDS[name][1]
    (place / f"device{suffix}").symlink_to(os.devnull)
    refused(name, f"device{suffix}", "is a device, a pipe or the like")


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_is_found_at_once(refused, monkeypatch, name):
    class Full:
        def __init__(self, file):
            self._file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._file.close()

        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    create = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **given: Full(create(**given)))
    refused(name, f"out{COMMANDS[name][1]}", "cannot be written (No space left on device)")


def test_what_is_read_is_not_written_over(place, run):
    os.link("in.png", "hard.png")
    (place / "soft.png").symlink_to("in.png")
    (place / "in-dream.png").write_bytes((place / "in.png").read_bytes())
    write_clip(place / "moving.gif", [np.zeros((48, 64, 3))] * 2, sound=None, codec="gif", pix_fmt="rgb8")
    os.link("moving.gif", "same.gif")
    os.link("in.mp4", "same.mp4")
    before = snapshot(place)
    for arguments, says in [
        (["dream", "in.png", "-o", "in.png"], "-o in.png is the input file in.png; write to another file"),
        (["dream", "in.png", "-o", "hard.png"], "-o hard.png is the input file in.png; write to another file"),
        (["dream", "hard.png", "-o", "soft.png"], "-o soft.png is the input file hard.png; write to another file"),
        (
            ["dream", "cat", "--guide", "in.png", "-o", "soft.png"],
            "-o soft.png is the input file in.png; write to another file",
        ),
        (
            ["dream", "in.png", "in-dream.png", "-o", "."],
            "-o in-dream.png is the input file in-dream.png; write to another file",
        ),
        (
            ["dream", "moving.gif", "--animate", "same.gif"],
            "--animate same.gif is the input file moving.gif; write to another file",
        ),
        (
            ["zoom", "moving.gif", "-o", "run", "--gif", "same.gif"],
            "--gif same.gif is the input file moving.gif; write to another",
        ),
        (["video", "in.mp4", "same.mp4"], "same.mp4 is the input video"),
        (
            ["replay", "dreamt.png", "--input", "in.png", "-o", "hard.png"],
            "-o hard.png is the input file in.png; write to another",
        ),
    ]:
        code, printed, said = run(*arguments, *(["--model", "nowhere"] if arguments[0] != "replay" else []))
        assert (code, printed, said.count("\n")) == (2, "", 1), said
        assert said.startswith(f"deepdream: {says}")
    assert snapshot(place) == before


def test_an_image_that_its_format_cannot_hold(place, run, tiny_model):
    dd.write_image("wide.png", np.zeros((20, 17000, 3), np.float32))
    webp = "out.webp: WEBP holds at most 16383 pixels per side, the image has 17000; write a PNG"
    mp4 = "out.mp4 cannot be written: an MP4 holds at most 16384 pixels per side"
    for arguments, says in (
        (["dream", "wide.png", "-o", "out.webp"], webp),
        (["label", "0", "--size", "17000", "-o", "out.webp"], webp),
        (["dream", "wide.png", "--animate", "out.mp4"], mp4),
        (["zoom", "wide.png", "-o", "run", "--mp4", "out.mp4"], mp4),
    ):
        code, printed, said = run(*arguments, "--octaves", 1, "--model", tiny_model)
        assert (code, printed, said.count("\n")) == (2, "", 1), said
        assert says in said
    assert not list(place.glob("out.*"))
