"""What goes into the commands and comes out besides pixels: metadata, transparency, streams, folders."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import command_environment, without_device
from PIL import Image

import deepdream as dd
from deepdream import Recipe
from deepdream.cli.image_output import image_targets
from deepdream.io.image_sequence import image_files

PIXELS = np.random.RandomState(0).randint(0, 256, (40, 60, 3), np.uint8)
QUICK = ["--octaves", "1", "--iters", "1", "--seed", "5"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def dream(run, tiny_model):
    """Dreams with a small network; (exit code, standard output, standard error)."""
    return lambda *arguments: run("dream", *arguments, *QUICK, "--model", tiny_model)


def camera_photo():
    """A JPEG as a phone makes it: turned, with a date, a place, notes of its maker, and 240 dpi."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x8298] = "Canon", 6, "(c) Jane"
    exif[0x8769] = {0x9003: "2024:05:06 07:08:09", 0x927C: b"secret"}
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 12.0)}
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", exif=exif, dpi=(240, 240), quality=95)
    return file.getvalue()


def rgba(seed=1):
    """Pixels with every alpha."""
    return np.dstack([PIXELS, np.random.RandomState(seed).randint(0, 256, PIXELS.shape[:2], np.uint8)])


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_what_the_camera_wrote_goes_out(place, dream, suffix):
    (place / "photo.jpg").write_bytes(camera_photo())
    code, _, said = dream("photo.jpg", "-o", f"a.{suffix}")
    assert code == 0, said
    assert "photo.jpg: left out the maker notes, the place (--keep-location keeps it)\n" in said
    with Image.open(f"a.{suffix}") as made:
        made.load()
        exif = made.getexif()
        assert made.size == (40, 60)  # upright
    assert (exif[0x010F], exif[0x0112], exif[0x8298]) == ("Canon", 1, "(c) Jane")
    assert exif.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09" and 0x927C not in exif.get_ifd(0x8769)
    assert not exif.get_ifd(0x8825)
    assert Recipe.from_image(f"a.{suffix}").input == "photo.jpg"


def test_the_place_if_asked_for_and_nothing_at_all(place, dream, run):
    (place / "photo.jpg").write_bytes(camera_photo())
    assert dream("photo.jpg", "-o", "place.png", "--keep-location")[0] == 0
    code, _, said = dream("photo.jpg", "-o", "bare.png", "--no-metadata")
    assert code == 0 and "left out" not in said
    with Image.open("place.png") as made:
        made.load()
        assert made.getexif().get_ifd(0x8825)[1] == "N"
    with Image.open("bare.png") as made:
        made.load()
        assert not made.info and not made.getexif()
    np.testing.assert_array_equal(dd.read_image("bare.png"), dd.read_image("place.png"))
    code, _, said = run("replay", "bare.png", "-o", "again.png")
    assert code == 2 and "has no recipe" in said
    code, _, said = dream("photo.jpg", "--no-metadata", "--keep-location")
    assert code == 2 and "--no-metadata and --keep-location" in said


def test_replay_keeps_what_the_dream_carries(place, dream, run):
    (place / "photo.jpg").write_bytes(camera_photo())
    dream("photo.jpg", "-o", "a.png", "--keep-location")
    before = Path("a.png").read_bytes()
    code, _, said = run("replay", "a.png", "-o", "b.png", "--keep-location")
    assert (code, said) == (0, "every pixel is the same as in a.png\n")
    assert Path("b.png").read_bytes() == before
    code, _, said = run("replay", "a.png", "-o", "c.png")
    assert said == "a.png: left out the place (--keep-location keeps it)\nevery pixel is the same as in a.png\n"


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
@pytest.mark.parametrize("max_size, shape", [(None, (40, 60)), ("45", (30, 45))])
def test_transparency_goes_out(place, dream, run, suffix, max_size, shape):
    Image.fromarray(rgba()).save("in.png")
    size = [] if max_size is None else ["--max-size", max_size]
    code, _, said = dream("in.png", "-o", f"a.{suffix}", *size)
    assert code == 0, said
    with Image.open(f"a.{suffix}") as made:
        assert made.mode == "RGBA"
        alpha = np.asarray(made)[:, :, 3]
    assert alpha.shape == shape
    if max_size is None:
        np.testing.assert_array_equal(alpha, rgba()[:, :, 3])
    else:
        whole = Image.fromarray(rgba()[:, :, 3].astype(np.float32))
        expected = np.asarray(whole.resize((45, 30), Image.Resampling.BICUBIC)).clip(0, 255)
        assert np.abs(alpha - expected).max() <= 0.51
    code, _, said = run("replay", f"a.{suffix}", "-o", f"b.{suffix}")
    assert code == 0, said
    if suffix != "webp":
        assert said == f"every pixel is the same as in a.{suffix}\n"
        assert Path(f"b.{suffix}").read_bytes() == Path(f"a.{suffix}").read_bytes()


def test_a_jpeg_says_that_it_lies_on_white(place, dream):
    Image.fromarray(rgba()).save("in.png")
    code, _, said = dream("in.png", "-o", "a.jpg")
    assert code == 0 and "a.jpg lacks the transparency: it lies on white\n" in said


def test_a_background(place, dream, run):
    pixels = rgba()
    Image.fromarray(pixels).save("in.png")
    code, _, said = dream("in.png", "-o", "a.png", "--background", "#ff8000", "--strength", "0")
    assert code == 0, said
    with Image.open("a.png") as made:
        assert made.mode == "RGB"
        stored = np.asarray(made).astype(float)
    share = pixels[:, :, 3:] / 255
    assert np.abs(stored - (share * pixels[:, :, :3] + (1 - share) * (255, 128, 0))).max() <= 0.51
    assert Recipe.from_image("a.png").more == {"background": "#ff8000"}
    code, _, said = run("replay", "a.png", "-o", "b.png")
    assert (code, said) == (0, "every pixel is the same as in a.png\n")
    assert Path("b.png").read_bytes() == Path("a.png").read_bytes()
    for colour in ("blu", "#ff80", "rgba(1,2,3,4)", "rgb(300,0,0)", "x" * 500):
        code, out, said = dream("in.png", "--background", colour)
        assert (code, out, said.count("\n")) == (2, "", 1)
        assert said.startswith("deepdream: --background=") and "must be an opaque colour" in said


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_quality(place, dream, suffix):
    Image.fromarray(PIXELS).save("in.png")
    for quality in ("5", "100"):
        code, _, said = dream("in.png", "-o", f"{quality}.{suffix}", "--quality", quality, "--no-metadata")
        assert code == 0, said
    assert Path(f"5.{suffix}").stat().st_size < Path(f"100.{suffix}").stat().st_size / 2
    code, _, said = dream("in.png", "-o", "a.png", "--quality", "50")
    assert code == 2 and "--quality 50: PNG is lossless" in said
    assert dream("in.png", "-o", "a.jpg", "--quality", "101")[0] == 2


# Streams


def piped(place, *arguments, stdin=b"", **options):
    """The command in a process of its own: (exit code, the bytes on standard output, standard error)."""
    done = subprocess.run(
        [sys.executable, "-m", "deepdream", *map(str, arguments)],
        cwd=place,
        input=stdin,
        capture_output=True,
        env=command_environment(),
        timeout=120,
        **options,
    )
    return done.returncode, done.stdout, without_device(done.stderr.decode())


def test_dream_and_replay_from_stream_to_stream(place, tiny_model):
    quick = [*QUICK, "--model", tiny_model]
    code, made, said = piped(place, "dream", "-", "-o", "-", *quick, stdin=camera_photo())
    assert code == 0, said
    assert said.startswith("-: left out the maker notes") and "- dreamt at both, seed 5\n" in said
    with Image.open(io.BytesIO(made)) as image:
        assert (image.format, image.size) == ("PNG", (40, 60))
    assert Recipe.from_image(io.BytesIO(made)).input == "-"
    (place / "photo.jpg").write_bytes(camera_photo())
    code, again, said = piped(place, "replay", "-", "-o", "-", "--input", "photo.jpg", stdin=made)
    assert (code, said) == (0, "every pixel is the same as in standard input\n")
    np.testing.assert_array_equal(dd.read_image(io.BytesIO(again)), dd.read_image(io.BytesIO(made)))
    (place / "dreamt.png").write_bytes(made)
    code, other, said = piped(
        place, "replay", "dreamt.png", "-o", "-", "--format", "jpg", "--input", "-", stdin=camera_photo()
    )
    assert code == 0 and "every pixel is the same" in said
    with Image.open(io.BytesIO(other)) as image:
        assert image.format == "JPEG"
    code, out, said = piped(place, "replay", "dreamt.png", "-o", "a.png")
    assert (code, out) == (2, b"") and "came from standard input" in said and "--input" in said
    assert sorted(os.listdir(place)) == ["dreamt.png", "photo.jpg"]


@pytest.fixture
def labelled(tiny_model):
    """The small network with labels."""
    (tiny_model / "labels.txt").write_text("a\nb\nc\nd\ne\n", encoding="utf-8")
    described = (tiny_model / "model.toml").read_text(encoding="utf-8")
    (tiny_model / "model.toml").write_text('labels = "labels.txt"\n' + described, encoding="utf-8")
    return tiny_model


def test_label_and_classify_with_streams(place, labelled):
    code, made, said = piped(
        place, "label", "b", "-o", "-", "--size", 40, "--iters", 1, "--octaves", 1, "--format", "webp",
        "--model", labelled,
    )  # fmt: skip
    assert code == 0, said
    with Image.open(io.BytesIO(made)) as image:
        assert (image.format, image.size) == ("WEBP", (40, 40))
    code, out, said = piped(place, "classify", "-", "--model", labelled, stdin=made)
    assert code == 0 and len(out.splitlines()) == 5, said


def test_streams_that_cannot_be_used(place, tiny_model):
    Image.fromarray(PIXELS).save(place / "in.png")
    quick = [*QUICK, "--model", tiny_model]
    for arguments, stdin, says in (
        (["dream", "-", "-o", "a.png", *quick], b"", "standard input is empty"),
        (["dream", "-", "-o", "a.png", *quick], b"junk", "standard input is not an image that can be read"),
        (["dream", "-", "-", "-o", "new/", *quick], b"junk", "- is given twice"),
        (["replay", "-", "--input", "-", "-o", "a.png"], b"junk", "- is given twice"),
        (["dream", "in.png", "in.png", "-o", "-", *quick], b"", "standard output holds one image"),
        (["dream", "in.png", "-o", "-", "--format", "gif", *quick], b"", "--format gif: must be one of png, jpg"),
        (["dream", "in.png", "-o", "a.png", "--format", "jpg", *quick], b"", "--format jpg, but a.png has the name"),
        (["replay", "-", "-o", "a.png"], b"junk", "standard input is not an image that can be read"),
    ):
        code, out, said = piped(place, *arguments, stdin=stdin)
        assert (code, out, said.count("\n")) == (2, b"", 1), said
        assert says in said
    assert os.listdir(place) == ["in.png"]


def in_terminal(place, *arguments, stdout=None):
    """The command with standard input, error and, unless a file is given, output on a terminal: (exit code, text)."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "deepdream", *map(str, arguments)],
        cwd=place,
        stdin=follower,
        stdout=follower if stdout is None else stdout,
        stderr=follower,
        env={**command_environment(), "TERM": "xterm"},
    )
    os.close(follower)
    text = b""
    try:
        while part := os.read(leader, 4096):
            text += part
    except OSError:  # Linux says so when the last process has closed it
        pass
    os.close(leader)
    return process.wait(), text.decode()


def test_a_terminal_neither_gives_nor_takes_an_image(place, tiny_model):
    code, text = in_terminal(place, "dream", "-", *QUICK, "--model", tiny_model)
    assert code == 2 and "- reads an image from standard input" in text
    code, text = in_terminal(place, "dream", "cat", "-o", "-", *QUICK, "--model", tiny_model)
    assert code == 2 and "-o - writes the image to standard output" in text


def test_paths_go_to_standard_output_beside_a_progress_line_on_a_terminal(place, tiny_model):
    with open(place / "paths", "wb") as file:
        arguments = ["noise:40x40", "noise:50x40", "-o", "new/", *QUICK, "--model", tiny_model]
        code, text = in_terminal(place, "dream", *arguments, stdout=file)
    assert code == 0 and "2/2 noise:50x40: octave 1/1" in text, text
    expected = [str(place / "new" / f"noise-{size}-dream.png") for size in ("40x40", "50x40")]
    assert (place / "paths").read_text().splitlines() == expected


# Many images


def photos(place):
    """A folder of two images that can be read, one that cannot, and other files."""
    folder = place / "photos"
    folder.mkdir()
    Image.fromarray(PIXELS).save(folder / "img10.png")
    Image.fromarray(PIXELS[:30]).save(folder / "img9.jpg")
    (folder / "img11.png").write_bytes(b"not an image")
    (folder / "notes.txt").write_text("hello")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def test_a_folder(place, dream):
    photos(place)
    code, printed, said = dream("photos", "-o", "new/", "--format", "jpg")
    assert code == 2
    assert printed.split() == [str(place / "new" / f"img{number}-dream.jpg") for number in (9, 10)]
    lines = said.splitlines()
    assert lines[0] == "photos: 1 of 4 files are not images, and left out"
    assert [line.split(" dreamt")[0] for line in lines[1:3]] == ["photos/img9.jpg", "photos/img10.png"]
    assert lines[3].startswith("photos/img11.png could not be dreamt: photos/img11.png is not an image")
    assert lines[4:] == ["2 images dreamt, 1 failed"]
    assert sorted(os.listdir("new")) == ["img10-dream.jpg", "img9-dream.jpg"]
    seeds = re.findall(r"seed (\d+)", said)
    assert seeds == ["5", "5"]


def test_a_pattern(place, dream):
    photos(place)
    code, printed, said = dream("photos/img?.jpg", "photos/*0.png", "-o", "new/")
    assert code == 0, said
    assert [Path(line).name for line in printed.split()] == ["img9-dream.png", "img10-dream.png"]
    code, _, said = dream("photos/*.bmp", "-o", "new/")
    assert (code, said) == (2, "deepdream: photos/*.bmp: no such file\n")
    (place / "a[1].png").write_bytes((place / "photos" / "img10.png").read_bytes())
    assert dream("a[1].png", "-o", "a.png")[0] == 0  # a file of this name


def test_folders_that_cannot_be_used(place, dream):
    photos(place)
    (place / "empty").mkdir()
    (place / "file").write_text("")
    for arguments, says in (
        (["empty", "-o", "new/"], "empty holds no images"),
        (["photos", "-o", "new"], "-o new: several images need a folder; -o dreams/ makes one"),
        (["photos"], "-o dream.png: several images need a folder"),
        (["photos", "-o", "file/"], "-o file/ is a file; name a folder"),
        (["photos", "-o", "no/new/"], "the folder no does not exist"),
    ):
        code, out, said = dream(*arguments)
        assert (code, out) == (2, ""), said
        assert says in said.splitlines()[-1]
    assert sorted(os.listdir(place)) == ["empty", "file", "photos"]


def test_a_new_folder_for_one_image(place, dream):
    assert dream("noise:40x40", "-o", "new/")[0] == 0
    assert os.listdir("new") == ["dream.png"]
    code, _, said = dream("noise:40x40000", "--max-size", "30", "-o", "other/")
    assert code == 2 and not Path("other").exists(), said


def test_a_phones_two_files_of_one_photo(place):
    names = ["a/IMG_1.HEIC", "a/IMG_1.JPG", "a/IMG_2.JPG"]
    (place / "out").mkdir()
    targets = image_targets(names, "out", None, several=True)
    assert [target.path.name for target in targets] == [
        "IMG_1-HEIC-dream.png",
        "IMG_1-JPG-dream.png",
        "IMG_2-dream.png",
    ]
    (place / "photo.HEIC").write_bytes(b"")
    assert image_files(place) == ([Path(place / "photo.HEIC")], 0)


def test_classify_a_folder(place, run, labelled):
    photos(place)
    code, printed, said = run("classify", "photos", "--model", labelled, "--top", "2")
    assert code == 2
    assert [line for line in printed.splitlines() if line.endswith(":")] == ["photos/img9.jpg:", "photos/img10.png:"]
    assert "photos/img11.png could not be classified: photos/img11.png is not an image" in said


def test_worker_processes_dream_the_same(place, dream):
    photos(place)
    Image.fromarray(rgba()).save("photos/alpha.png")
    code, _, said = dream("photos", "-o", "here/", "--max-size", "50")
    assert code == 2, said
    code, printed, said = dream("photos", "-o", "there/", "--max-size", "50", "--workers", "2")
    assert code == 2 and len(printed.split()) == 3
    assert "photos/img11.png could not be dreamt" in said and "3 images dreamt, 1 failed" in said
    assert sorted(os.listdir("here")) == sorted(os.listdir("there")) and len(os.listdir("here")) == 3
    for name in os.listdir("here"):
        assert Path("here", name).read_bytes() == Path("there", name).read_bytes()
    for arguments in (["--workers", "0"], ["--workers", "2", "--scheduler", "tcp://x:1"]):
        assert dream("photos", "-o", "here/", *arguments)[0] == 2
    code, _, said = dream("noise:40x40", "--animate", "a.gif", "--workers", "1")
    assert code == 2 and "--animate" in said
