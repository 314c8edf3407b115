"""`deepdream dream`, run as a user runs it: in a process of its own."""

import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from helpers import (
    SMALL_DREAM,
    SQUEEZENET,
    TAKEN,
    assert_refused,
    command_environment,
    read_pixels,
    run_command,
    run_commands,
    write_black_png,
    write_png_header,
)
from PIL import Image

from deepdream import Recipe


def test_a_dream_of_the_default_picture(place):
    done = place.run("dream", *SQUEEZENET, *SMALL_DREAM)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{place.folder / 'dream.png'}\n"
    assert read_pixels(place.folder / "dream.png").shape == (67, 120, 3)  # 1024×575 at 120
    assert place.files() == ["dream.png"]
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch(r"sky dreamt at fire8/concat, seed \d+, scaled from 1024×575 to 120×67", last)
    assert "" not in done.stderr.splitlines()


def test_strength(place):
    whole = read_pixels(place.dream("cat", "--seed", "1", "-o", "whole.png"))
    half = read_pixels(place.dream("cat", "--seed", "1", "--strength", "0.5", "-o", "half.png"))
    none = read_pixels(place.dream("cat", "--strength", "0", "-o", "none.png"))
    assert 1 < np.abs(whole - none).mean() < 2  # the step is 1.5
    assert np.abs(half - (whole + none) / 2).max() <= 1
    # 0 is the original: the cat, averaged down.
    cat = skimage.data.chelsea()
    small = np.asarray(Image.fromarray(cat).resize((120, 80), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(none - small).max() <= 1


def test_strength_zero_at_full_size_is_the_original(place):
    original = np.random.RandomState(0).randint(0, 256, (60, 70, 3), np.uint8)
    Image.fromarray(original).save(place.folder / "in.png")
    np.testing.assert_array_equal(read_pixels(place.dream("in.png", "--strength", "0")), original)


def test_a_seed_makes_it_the_same(place):
    one, two, other = (
        place.dream("cat", "--seed", seed, "-o", f"{name}.png").read_bytes()
        for seed, name in (("7", "a"), ("7", "b"), ("8", "c"))
    )
    assert one == two
    assert one != other


def test_the_seed_that_is_said_gives_the_picture_again(place):
    done = place.run("dream", "cat", *SQUEEZENET, *SMALL_DREAM, "-o", "a.png")
    seed = re.search(r"seed (\d+)", done.stderr).group(1)
    again = place.dream("cat", "--seed", seed, "-o", "b.png")
    assert again.read_bytes() == (place.folder / "a.png").read_bytes()


def test_max_size_does_not_enlarge(place):
    assert read_pixels(place.dream("noise:50x40")).shape == (40, 50, 3)


@pytest.mark.parametrize("suffix, kind", [("jpg", "JPEG"), ("tif", "TIFF"), ("webp", "WEBP")])
def test_other_formats(place, suffix, kind):
    with Image.open(place.dream("noise:40x40", "-o", f"a.{suffix}")) as picture:
        assert picture.format == kind


def test_several_pictures_into_a_folder(place):
    (place.folder / "out").mkdir()
    Image.new("RGB", (50, 40), "red").save(place.folder / "red sky.png")
    done = place.run("dream", "red sky.png", "noise:40x30", "cat", "-o", "out", *SQUEEZENET, *SMALL_DREAM)
    assert done.returncode == 0, done.stderr
    made = [Path(line).name for line in done.stdout.splitlines()]
    assert made == ["red sky-dream.png", "noise-40x30-dream.png", "cat-dream.png"]
    assert [read_pixels(line).shape for line in done.stdout.splitlines()] == [(40, 50, 3), (30, 40, 3), (80, 120, 3)]


def test_one_picture_into_a_folder(place):
    (place.folder / "out").mkdir()
    assert place.dream("noise:40x40", "-o", "out") == place.folder / "out" / "dream.png"


def test_an_older_picture_is_replaced(place):
    (place.folder / "dream.png").write_bytes(b"older")
    assert read_pixels(place.dream("noise:40x40")).shape == (40, 40, 3)
    assert place.files() == ["dream.png"]


def test_any_name_of_a_file(place):
    name = b"caf\xe9 \xf0\x9f\x90\xb1 [red].png"  # not UTF-8, and not rich's markup
    Image.new("RGB", (40, 40)).save(place.folder / os.fsdecode(name))
    out = place.dream(os.fsdecode(name), "-o", b"out-".decode() + os.fsdecode(name))
    assert read_pixels(out).shape == (40, 40, 3)


def test_a_locale_without_unicode(place):
    done = place.run(
        "dream", "cat", *SQUEEZENET, *SMALL_DREAM, env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


BAD_INPUT = [
    (["two\nlines\x1b[2J.png"], [r"two\nlines\x1b[2J.png: no such file"]),
    (["no.jpg"], ["no.jpg: no such file"]),
    (["."], ["-o dream.png: several images need a folder"]),
    (["fifo.png"], ["fifo.png is not a file but a device, a pipe", "name a regular file"]),
    (["cat", "-o", "loop/a.png"], ["the folder loop cannot be reached, because its symbolic links go round in a loop"]),
    (["text.png"], ["text.png is not an image", "use a PNG, JPEG"]),
    (["a" * 5000 + ".png"], ["aaa…aaa", "File name too long"]),
    (["a word " * 500 + ".png"], ["a word a wo", "File name too long"]),
    (["--seed", "1" * 400], ["--seed 1111", "1…1", "from 0 to 4294967295"]),
    (["empty.jpg"], ["empty.jpg is not an image"]),
    (["cut.jpg"], ["cut.jpg is damaged or cut short", "export it again"]),
    (["nan.tif"], ["nan.tif", "not numbers"]),
    (["pixel.png"], ["1×1 pixels", "use a larger image"]),
    (["noise:40x40", "--octaves", "9"], ["octave 1 of 9", "use at most 3 octaves"]),
    (["noise:40"], ["noise:WIDTHxHEIGHT"]),
    (["noise:0x9"], ["noise:WIDTHxHEIGHT"]),
    (["--model", "gogglenet"], ["'gogglenet'", "did you mean bvlc_googlenet"]),
    (["--end", "fire9/conkat"], ["fire9/conkat", "did you mean fire9/concat", "deepdream layers"]),
    (["--model", "tiny-unparsed"], ["deploy.prototxt is not a prototxt", "line"]),
    (["--model", "tiny-jpeg"], ["w.caffemodel is not a caffemodel"]),
    (["--model", "tiny-cut"], ["w.caffemodel is not a caffemodel, or is damaged or cut short"]),
    (["--model", "tiny-other"], ["w.caffemodel holds the weights of another network"]),
    (["--iters", "0"], ["--iters 0", "1 or more"]),
    (["--iters", "-3"], ["--iters -3", "1 or more"]),
    (["--iters", "many"], ["--iters"]),
    (["--octaves", "0"], ["--octaves 0", "1 or more"]),
    (["--octave-scale", "0.9"], ["--octave-scale 0.9", "1 or more"]),
    (["--octave-scale", "nan"], ["--octave-scale nan", "1 or more"]),
    (["--step", "inf"], ["--step inf", "from -1000000 to 1000000"]),
    (["--jitter", "-1"], ["--jitter -1", "from 0 to 100000"]),
    (["--jitter", "9" * 20], ["--jitter 9999", "from 0 to 100000"]),
    (["--step", "1e38"], ["--step 1e+38", "from -1000000 to 1000000"]),
    (["--seed", "-1"], ["--seed -1", "from 0 to 4294967295"]),
    (["--seed", "4294967296"], ["--seed 4294967296", "from 0 to 4294967295"]),
    (["--strength", "1.5"], ["--strength 1.5", "from 0 to 1"]),
    (["--strength", "nan"], ["--strength nan", "from 0 to 1"]),
    (["--max-size", "0"], ["--max-size 0", "1 or more"]),
    (["--gpu", "first"], ["--gpu first", "auto, none, or the number of a GPU"]),
    (["--gpu", "99"], ["GPU 99 cannot be used: ", "Compute on the CPU instead (gpu=None, --gpu none)"]),
    (["cat", "--max-size", "3"], ["pixels are too few", "use a larger image"]),
    (["-o", "/proc/a.png"], ["-o /proc/a.png", "the folder /proc cannot be written"]),
    (["-o", "a.bmp"], ["a.bmp", ".png, .jpg"]),
    (["-o", "a"], ["a file without suffix", ".png, .jpg"]),
    (["-o", "no/a.png"], ["-o no/a.png", "the folder no does not exist; create it first"]),
    (["-o", "text.png/a.png"], ["-o text.png/a.png", "text.png is a file"]),
    (["cat", "sky", "-o", "a.png"], ["-o a.png", "several images need a folder; -o dreams/ makes one"]),
    (["cat", "no.jpg", "-o", "folder"], ["no.jpg: no such file"]),
    (["text.png", "./text.png", "-o", "folder"], ["text.png and ./text.png have the same name"]),
    (["cat", "-o", "taken"], ["-o taken", "is a folder"]),
    (["--no-such-option"], ["--no-such-option"]),
]


def test_bad_input_of_a_dream(place, squeezenet_file):
    broken_inputs(place.folder, squeezenet_file)
    before = place.files()
    # For a bad picture or number nothing is asked of a network; where one is needed, it is SqueezeNet.
    needs_one = ("1×1", "octave 1", "pixels are", "fire9")
    cases = [
        ["dream", *arguments, *(SQUEEZENET if says[0].startswith(needs_one) else [])] for arguments, says in BAD_INPUT
    ]
    for done, (arguments, says) in zip(place.run_many(cases), BAD_INPUT):
        assert_refused(done, *says)
        assert done.args[1 : 1 + len(arguments)] == arguments
    assert place.files() == before
    assert os.listdir(place.folder / "folder") == []


def broken_inputs(folder, squeezenet_file):
    """Files and folders with something wrong with them."""
    (folder / "text.png").write_text("a letter, no picture")
    (folder / "empty.jpg").write_bytes(b"")
    os.mkfifo(folder / "fifo.png")
    (folder / "loop").symlink_to("loop")
    Image.effect_noise((200, 200), 90).save(folder / "cut.jpg")
    whole = (folder / "cut.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.full((40, 40), np.nan, np.float32)).save(folder / "nan.tif")
    Image.new("RGB", (1, 1)).save(folder / "pixel.png")
    (folder / "folder").mkdir()
    (folder / "taken" / "dream.png").mkdir(parents=True)
    definition = """
        layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
        layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
                convolution_param { num_output: 4 kernel_size: 3 } }"""
    content = squeezenet_file.read_bytes()
    for name, weights in (("unparsed", content), ("jpeg", whole), ("cut", content[:-5000]), ("other", content)):
        model = folder / f"tiny-{name}"
        model.mkdir()
        (model / "model.toml").write_text('mean = [0, 0, 0]\nend = "conv1"\n[weights]\nfile = "w.caffemodel"\n')
        (model / "deploy.prototxt").write_text(definition if name != "unparsed" else "layer { name: ")
        (model / "w.caffemodel").write_bytes(weights)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_a_full_disk(place, suffix):
    def no_file_over_a_kilobyte():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    name = f"a.{suffix}"
    (place.folder / name).write_bytes(b"older")
    done = place.run(
        "dream",
        "cat",
        *SQUEEZENET,
        *SMALL_DREAM,
        "-o",
        name,
        preexec_fn=no_file_over_a_kilobyte,
        env={"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(place.folder.parent)},
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("deepdream: ")
    assert (place.folder / name).read_bytes() == b"older"
    assert place.files() == [name]


def test_the_command_animates(tmp_path, tiny_model):
    settings = ["--octaves", "2", "--iters", "3", "--model", tiny_model]
    done, several, other = run_commands(
        tmp_path,
        ["dream", "noise:64x48", "--animate", "steps.gif", *settings],
        ["dream", "noise:64x48", "cat", "-o", ".", "--animate", "steps.gif", *settings],
        ["dream", "noise:64x48", "--animate", "steps.avi", *settings],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "dream.png"), str(tmp_path / "steps.gif")]
    with Image.open(tmp_path / "steps.gif") as film:
        assert film.n_frames == 6
        assert film.size == (64, 48)
    assert_refused(several, "--animate steps.gif", "give one image")
    assert_refused(other, "end the name in .mp4, .mov, .mkv, .webm or .gif")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--tile", "9" * 5000),
        ("--gpu", "9" * 5000),
        ("--gpu", str(2**31)),
        ("--label", "9" * 5000),
        ("--iters", "1" * 400),
        ("--step", "1e999"),
        ("--end", "both=1e40"),
    ],
)
def test_the_command_refuses_numbers_of_any_length_in_a_line(tmp_path, tiny_model, arguments):
    if arguments[0] == "--label":
        (tiny_model / "labels.txt").write_text("a\nb\nc\nd\ne\n", encoding="utf-8")
        described = (tiny_model / "model.toml").read_text(encoding="utf-8")
        (tiny_model / "model.toml").write_text('labels = "labels.txt"\n' + described, encoding="utf-8")
    done = run_command(tmp_path, "dream", "noise:40x40", "--model", tiny_model, *arguments, "-o", "a.png")
    assert_refused(done, "is not a label" if arguments[0] == "--label" else arguments[0])
    assert len(done.stderr) < 400
    assert not (tmp_path / "a.png").exists()


def test_an_image_too_large_for_the_memory_is_refused_before_anything_else(tmp_path, monkeypatch, run, little_memory):
    monkeypatch.chdir(tmp_path)
    write_png_header(tmp_path / "a.png", 3000, 2000)
    for arguments in (["a.png"], ["a.png", "--max-size", "64"], ["cat", "--guide", "a.png"]):
        code, out, err = run("dream", *arguments, "--model", "no-such-model")
        assert (code, out) == (2, "")
        assert re.fullmatch(
            r"deepdream: (--guide )?a\.png has 3000×2000 pixels and needs about .*; scale it down first.*\n", err
        )
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("name", ["noise:9000x9000", "noise:20000x20000"])
def test_noise_too_large_for_the_memory(name, tmp_path, monkeypatch, run, little_memory):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("dream", name, "--model", "no-such-model", "--max-size", "64")
    assert (code, out) == (2, "")
    assert "pixels and needs about" in err


# What the command takes besides its libraries, and how much memory it may have.
_MEASURED_DREAM = f"""
{TAKEN}
import resource, sys
from deepdream.cli import commands, main
limit = int(sys.argv.pop(1))
reset_peak()
if limit:
    resource.setrlimit(resource.RLIMIT_AS, [taken("VmSize") + limit] * 2)
before = taken("VmHWM")
try:
    main(sys.argv[1:])
finally:
    print("peak", (taken("VmHWM") - before) // 2**20)
"""


def _run_measured(folder, limit, *arguments):
    """Run `deepdream dream`; (exit code, standard error, MiB it took at most); `limit` is in bytes, 0: none.

    The MiB are those beyond what the imports take: with a Caffe that comes with many libraries these differ by 140 MiB
    from one process to the next.
    """
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED_DREAM, str(limit), "dream", *map(str, arguments)],
        cwd=folder,
        env=command_environment(),
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr, int(done.stdout.split()[-1])


def test_a_small_version_of_a_large_image_costs_little(tmp_path, tiny_model):
    """As an array it takes 454 MiB, and its hash twice as much again."""
    options = ["a.png", "--model", tiny_model, "--max-size", "64", "--iters", "1", "--octaves", "1"]
    write_black_png(tmp_path / "a.png", 64)
    small = _run_measured(tmp_path, 0, *options)[2]
    write_black_png(tmp_path / "a.png", 6300)
    code, err, peak = _run_measured(tmp_path, 0, *options)
    assert code == 0, err
    assert "scaled from 6300×6300 to 64×64" in err
    assert peak < small + 100
    assert Recipe.from_image(tmp_path / "dream.png").input_sha256.startswith("39feb8b6")


@pytest.mark.slow
def test_a_small_version_of_the_largest_image_costs_little(tmp_path, squeezenet_file):
    """The largest that Pillow reads. As an array it takes 2 GiB."""
    write_black_png(tmp_path / "a.png", 13_300)
    options = ["a.png", *SQUEEZENET, "--max-size", "64", "--iters", "1", "--octaves", "1"]
    code, err, peak = _run_measured(tmp_path, 0, *options)
    assert code == 0, err
    assert peak < 400


def test_a_process_that_may_not_take_the_memory_says_so(tmp_path, tiny_model):
    options = ["a.png", "--model", tiny_model, "--max-size", "64", "--iters", "1", "--octaves", "1"]
    write_black_png(tmp_path / "a.png", 64)
    small = _run_measured(tmp_path, 0, *options)[2]
    write_black_png(tmp_path / "a.png", 13_300)
    for arguments in (["--max-size", "64"], []):
        code, err, peak = _run_measured(tmp_path, 100 * 2**20, "a.png", "--model", tiny_model, *arguments)
        assert code == 2
        assert re.fullmatch(r"deepdream: a\.png has 13300×13300 pixels and needs about .* are free; .*\n", err)
        assert peak < small + 30
