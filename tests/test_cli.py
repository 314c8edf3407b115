"""The `deepdream` command, run as a user runs it: in a process of its own."""

import os
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from conftest import run_commands, without_device
from PIL import Image

import deepdream
from deepdream import models, pictures
from deepdream.cli import screen

HERE = str(Path(deepdream.__file__).resolve().parent.parent)
TINY = ["--max-size", "120", "--iters", "1", "--octaves", "1"]
SQUEEZENET = ["--model", "squeezenet_v1.1"]


@pytest.fixture
def place(tmp_path, squeezenet_file):
    """An empty current folder, and an environment in which SqueezeNet is the only network that can be had."""
    cached = tmp_path / "cache" / "deepdream" / "models" / "squeezenet_v1.1" / squeezenet_file.name
    cached.parent.mkdir(parents=True)
    shutil.copy(squeezenet_file, cached)
    (tmp_path / "here").mkdir()
    return Place(tmp_path / "here", tmp_path / "cache")


class Place:
    def __init__(self, folder, cache):
        self.folder = folder
        kept = {key: value for key, value in os.environ.items()
                if not key.startswith(("DEEPDREAM", "COLUMNS")) and not key.lower().endswith("_proxy")}
        # Requests to sites go to a proxy that refuses them, so that no test waits for the network.
        self.environment = {**kept, "PYTHONPATH": HERE, "XDG_CACHE_HOME": str(cache),
                            "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}

    def start(self, *arguments, **options):
        environment = {**self.environment, **options.pop("env", {})}
        return subprocess.Popen([sys.executable, "-m", "deepdream", *map(str, arguments)], cwd=self.folder,
                                env=environment, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})

    def run(self, *arguments, **options):
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=120)
        decoded = [(text or b"").decode("utf-8", "surrogateescape") for text in (out, err)]
        return subprocess.CompletedProcess(arguments, process.returncode, *decoded)

    def run_many(self, commands):
        """Many commands in a short time."""
        return run_commands(self.folder, *commands, env=self.environment)

    def dream(self, *arguments, **options):
        """Dream with SqueezeNet at a tiny size; the path of the picture it says it made."""
        done = self.run("dream", *arguments, *SQUEEZENET, *TINY, **options)
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.splitlines()[-1])

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())


def pixels(path):
    with Image.open(path) as picture:
        picture.load()
        return np.asarray(picture.convert("RGB")).astype(int)


def refused(done, *says):
    """Bad input: exit code 2, one line on standard error that says these things, nothing else."""
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("deepdream: ")
    assert len(lines[0]) <= 1000
    for text in says:
        assert text in lines[0]


# Dreaming

def test_a_dream_of_the_default_picture(place):
    done = place.run("dream", *SQUEEZENET, *TINY)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{place.folder / 'dream.png'}\n"
    assert pixels(place.folder / "dream.png").shape == (67, 120, 3)  # 1024×575 at 120
    assert place.files() == ["dream.png"]
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch(r"sky dreamt at fire8/concat, seed \d+, scaled from 1024×575 to 120×67", last)
    assert "" not in done.stderr.splitlines()


def test_strength(place):
    whole = pixels(place.dream("cat", "--seed", "1", "-o", "whole.png"))
    half = pixels(place.dream("cat", "--seed", "1", "--strength", "0.5", "-o", "half.png"))
    none = pixels(place.dream("cat", "--strength", "0", "-o", "none.png"))
    assert 1 < np.abs(whole - none).mean() < 2  # the step is 1.5
    assert np.abs(half - (whole + none) / 2).max() <= 1
    # 0 is the original: the cat, averaged down.
    cat = skimage.data.chelsea()
    small = np.asarray(Image.fromarray(cat).resize((120, 80), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(none - small).max() <= 1


def test_strength_zero_at_full_size_is_the_original(place):
    original = np.random.RandomState(0).randint(0, 256, (60, 70, 3), np.uint8)
    Image.fromarray(original).save(place.folder / "in.png")
    np.testing.assert_array_equal(pixels(place.dream("in.png", "--strength", "0")), original)


def test_a_seed_makes_it_the_same(place):
    one, two, other = (place.dream("cat", "--seed", seed, "-o", f"{name}.png").read_bytes()
                       for seed, name in (("7", "a"), ("7", "b"), ("8", "c")))
    assert one == two
    assert one != other


def test_the_seed_that_is_said_gives_the_picture_again(place):
    done = place.run("dream", "cat", *SQUEEZENET, *TINY, "-o", "a.png")
    seed = re.search(r"seed (\d+)", done.stderr).group(1)
    again = place.dream("cat", "--seed", seed, "-o", "b.png")
    assert again.read_bytes() == (place.folder / "a.png").read_bytes()


def test_max_size_does_not_enlarge(place):
    assert pixels(place.dream("noise:50x40")).shape == (40, 50, 3)


@pytest.mark.parametrize("suffix, kind", [("jpg", "JPEG"), ("tif", "TIFF"), ("webp", "WEBP")])
def test_other_formats(place, suffix, kind):
    with Image.open(place.dream("noise:40x40", "-o", f"a.{suffix}")) as picture:
        assert picture.format == kind


def test_several_pictures_into_a_folder(place):
    (place.folder / "out").mkdir()
    Image.new("RGB", (50, 40), "red").save(place.folder / "red sky.png")
    done = place.run("dream", "red sky.png", "noise:40x30", "cat", "-o", "out", *SQUEEZENET, *TINY)
    assert done.returncode == 0, done.stderr
    made = [Path(line).name for line in done.stdout.splitlines()]
    assert made == ["red sky-dream.png", "noise-40x30-dream.png", "cat-dream.png"]
    assert [pixels(line).shape for line in done.stdout.splitlines()] == [(40, 50, 3), (30, 40, 3), (80, 120, 3)]


def test_one_picture_into_a_folder(place):
    (place.folder / "out").mkdir()
    assert place.dream("noise:40x40", "-o", "out") == place.folder / "out" / "dream.png"


def test_an_older_picture_is_replaced(place):
    (place.folder / "dream.png").write_bytes(b"older")
    assert pixels(place.dream("noise:40x40")).shape == (40, 40, 3)
    assert place.files() == ["dream.png"]


def test_any_name_of_a_file(place):
    name = b"caf\xe9 \xf0\x9f\x90\xb1 [red].png"  # not UTF-8, and not rich's markup
    Image.new("RGB", (40, 40)).save(place.folder / os.fsdecode(name))
    out = place.dream(os.fsdecode(name), "-o", b"out-" .decode() + os.fsdecode(name))
    assert pixels(out).shape == (40, 40, 3)


def test_a_locale_without_unicode(place):
    done = place.run("dream", "cat", *SQUEEZENET, *TINY, env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0",
                                                            "PYTHONUTF8": "0"})
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


# Bad input

BAD_INPUT = [
    (["two\nlines\x1b[2J.png"], [r"two\nlines\x1b[2J.png: no such file"]),
    (["no.jpg"], ["no.jpg: no such file"]),
    (["."], [". is a folder"]),
    (["fifo.png"], ["fifo.png is no file but a device, a pipe", "name a regular file"]),
    (["cat", "-o", "loop/a.png"], ["the folder loop cannot be reached, because its symbolic links go round in a loop"]),
    (["text.png"], ["text.png is not a picture", "use a PNG, JPEG"]),
    (["a" * 5000 + ".png"], ["aaa…aaa", "File name too long"]),
    (["a word " * 500 + ".png"], ["a word a wo", "File name too long"]),
    (["--seed", "1" * 400], ["--seed 1111", "1…1", "from 0 to 4294967295"]),
    (["empty.jpg"], ["empty.jpg is not a picture"]),
    (["cut.jpg"], ["cut.jpg is damaged or cut short", "export it again"]),
    (["nan.tif"], ["nan.tif", "not numbers"]),
    (["pixel.png"], ["1×1 pixels", "use a larger picture"]),
    (["noise:40x40", "--octaves", "9"], ["octave 1 of 9", "ask for at most 3 octaves"]),
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
    (["cat", "--max-size", "3"], ["pixels are too few", "use a larger picture"]),
    (["-o", "/proc/a.png"], ["-o /proc/a.png", "the folder /proc cannot be written"]),
    (["-o", "a.bmp"], ["a.bmp", ".png, .jpg"]),
    (["-o", "a"], ["a file without suffix", ".png, .jpg"]),
    (["-o", "no/a.png"], ["-o no/a.png", "the folder no does not exist; create it first"]),
    (["-o", "text.png/a.png"], ["-o text.png/a.png", "text.png is a file"]),
    (["cat", "sky", "-o", "a.png"], ["-o a.png", "existing folder"]),
    (["cat", "no.jpg", "-o", "folder"], ["no.jpg: no such file"]),
    (["cat", "a/cat.jpg", "-o", "folder"], ["same name"]),
    (["cat", "-o", "taken"], ["-o taken", "is a folder"]),
    (["--no-such-option"], ["--no-such-option"]),
]


def test_bad_input_of_a_dream(place, squeezenet_file):
    broken_inputs(place.folder, squeezenet_file)
    before = place.files()
    # For a bad picture or number nothing is asked of a network; where one is needed, it is SqueezeNet.
    needs_one = ("1×1", "octave 1", "pixels are", "fire9")
    cases = [["dream", *arguments, *(SQUEEZENET if says[0].startswith(needs_one) else [])]
             for arguments, says in BAD_INPUT]
    for done, (arguments, says) in zip(place.run_many(cases), BAD_INPUT):
        refused(done, *says)
        assert done.args[1:1 + len(arguments)] == arguments
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
    (folder / "cut.jpg").write_bytes(whole[:len(whole) // 2])
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


def test_what_a_refusal_quotes_is_shortened_in_the_middle():
    assert screen.shortened("deepdream: a.png: no such file") == "deepdream: a.png: no such file"
    digits = "x=" + "1" * 80 + ": it must be 1"
    assert screen.shortened(digits) == "x=" + "1" * 20 + "…" + "1" * 20 + ": it must be 1"
    for quoted in ("a" * 5000, "a word " * 700, "\x1b" * 900):
        line = screen.shortened(f"deepdream: {quoted}: name another")
        assert len(line) <= 1000
        assert line.startswith(f"deepdream: {screen.printable(quoted)[:80]}")
        assert line.endswith(": name another")
        assert "…" in line
        assert "\x1b" not in line


def test_bad_input_in_a_process_of_its_own(place):
    refused(place.run("dream", "no.jpg"), "no.jpg: no such file")


def test_bad_input_of_the_other_commands(place):
    cases = {("classify", "no.jpg"): "no.jpg: no such file", ("classify",): "IMAGE",
             ("classify", "cat", "--top", "0"): "--top 0: must be 1 or more",
             ("layers", "--model", "nothing"): "'nothing'", ("dreem",): "dreem"}
    for done, says in zip(place.run_many(list(cases)), cases.values()):
        refused(done, says)


def test_a_relative_data_folder(place):
    place.environment["DEEPDREAM_DATA"] = "shared"
    for done in place.run_many([["dream", "cat"], ["dream"], ["models"], ["layers"]]):
        refused(done, "DEEPDREAM_DATA", "'shared'", "absolute")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_a_full_disk(place, suffix):
    def no_file_over_a_kilobyte():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    name = f"a.{suffix}"
    (place.folder / name).write_bytes(b"older")
    done = place.run("dream", "cat", *SQUEEZENET, *TINY, "-o", name, preexec_fn=no_file_over_a_kilobyte,
                     env={"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(place.folder.parent)})
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("deepdream: ")
    assert (place.folder / name).read_bytes() == b"older"
    assert place.files() == [name]


# Networks

def test_squeezenet_stands_in_where_googlenet_cannot_be_had(place):
    done = place.run("dream", "cat", *TINY)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "bvlc_googlenet" in line]
    assert len(lines) == 1
    assert lines[0].startswith("Using squeezenet_v1.1: the weights of bvlc_googlenet could not be had")
    for url in models.find_model("bvlc_googlenet").weights["urls"]:
        assert f"{url}: " in lines[0]
    assert "DEEPDREAM_DATA" in lines[0]
    assert "cat dreamt at fire8/concat" in done.stderr
    assert pixels(place.folder / "dream.png").shape == (80, 120, 3)


@pytest.mark.parametrize("arguments", [["--model", "bvlc_googlenet"], ["--end", "fire8/concat"]])
def test_nothing_stands_in_for_what_was_asked_for(place, arguments):
    refused(place.run("dream", "cat", *TINY, *arguments), "the weights of bvlc_googlenet could not be had")
    assert place.files() == []


def test_the_other_commands_fall_back_as_well(place):
    for command in (["layers"], ["classify", "cat"]):
        done = place.run(*command)
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("Using squeezenet_v1.1: ")
        assert len(done.stderr.splitlines()) == 1


def test_googlenet_is_used_where_it_is(place, googlenet_weights):
    data = place.folder.parent / "data" / "models" / "bvlc_googlenet"
    data.mkdir(parents=True)
    (data / googlenet_weights.name).symlink_to(googlenet_weights)
    done = place.run("dream", "cat", *TINY, env={"DEEPDREAM_DATA": str(place.folder.parent / "data")})
    assert done.returncode == 0, done.stderr
    assert "cat dreamt at inception_4c/output" in done.stderr
    assert "Using" not in done.stderr


def test_another_file_of_googlenet_is_used_or_refused_but_never_replaced(place, squeezenet_file):
    data = place.folder.parent / "data" / "models" / "bvlc_googlenet"
    data.mkdir(parents=True)
    shutil.copy(squeezenet_file, data / "bvlc_googlenet.caffemodel")
    done = place.run("dream", "cat", *TINY, env={"DEEPDREAM_DATA": str(place.folder.parent / "data")})
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].endswith("it is used if its layers and shapes fit")
    assert "holds the weights of another network" in done.stderr.splitlines()[1]
    assert len(done.stderr.splitlines()) == 2


def test_layers(place):
    done = place.run("layers", *SQUEEZENET)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    ladder = models.find_model("squeezenet_v1.1").ladder
    assert [line[2:].split()[0] for line in lines[:-1]] == list(ladder)
    assert [line for line in lines if line.startswith("*")] == [
        "* fire8/concat                 512 channels  furry faces with eyes, birds, insects: the default",
        "* the default of squeezenet_v1.1"]
    assert done.stderr == ""


def test_all_layers(place, squeezenet):
    done = place.run("layers", "--all", *SQUEEZENET)
    names = [line[2:].split()[0] for line in done.stdout.splitlines()[:-1]]
    assert names == squeezenet.dreamable
    assert {"conv1", "fire2/squeeze1x1", "pool1", "prob"} <= set(names)


def test_layers_of_a_model_whose_ladder_is_wrong(place, squeezenet_file):
    model = place.folder / "mine"
    shutil.copytree(models.find_model("squeezenet_v1.1").folder, model)
    toml = (model / "model.toml").read_text(encoding="utf-8").replace('labels = "../imagenet_labels.txt"', "")
    (model / "model.toml").write_text(toml.replace('"fire2/concat" =', '"fire2/conkat" ='), encoding="utf-8")
    shutil.copy(squeezenet_file, model)
    done = place.run("layers", "--model", "mine")
    assert done.returncode == 2
    assert "fire2/conkat" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_model_says_of_itself_commands_no_terminal(place, squeezenet_file):
    model = place.folder / "two\nlines"
    shutil.copytree(models.find_model("squeezenet_v1.1").folder, model)
    toml = (model / "model.toml").read_text(encoding="utf-8").replace('labels = "../imagenet_labels.txt"', "")
    ladder, said = re.subn(r'("fire2/concat" = ")', r"\1\\u001b[2J\\n", toml)
    assert said == 1
    (model / "model.toml").write_text(ladder, encoding="utf-8")
    shutil.copy(squeezenet_file, model)
    done = place.run("layers", "--model", model)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert r"channels  \x1b[2J\n" in done.stdout
    assert done.stdout.splitlines()[-1] == r"* the default of two\nlines"


def test_models(place):
    done = place.run("models")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    google, squeeze = done.stdout.index("bvlc_googlenet\n"), done.stdout.index("squeezenet_v1.1\n")
    assert google < squeeze
    assert "not on this machine; fetched when first used" in done.stdout[google:squeeze]
    assert "squeezenet_v1.1.caffemodel" in done.stdout[squeeze:]
    assert "dreams fire8/concat by default" in done.stdout[squeeze:]


def test_classify(place):
    done = place.run("classify", "cat", *SQUEEZENET, "--top", "3")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert re.match(r" +\d\d\.\d%  (Egyptian cat|tabby, tabby cat|tiger cat)\n", done.stdout)
    several = place.run("classify", "cat", "coffee", *SQUEEZENET).stdout.splitlines()
    assert several[0] == "cat:"
    assert several[6] == "coffee:"
    assert len(several) == 12


# The built-in pictures

def test_the_names_of_pictures():
    assert set(pictures.BUILT_IN) == {"sky", "clouds", "cat", "face", "coffee", "rocket"}
    for name in ("clouds", "cat", "face", "coffee", "rocket"):
        img = deepdream.picture(name)
        assert img.dtype == np.float32
        assert img.shape[2] == 3
        assert 0 <= img.min() < 60
        assert 200 < img.max() <= 255
    np.testing.assert_array_equal(pictures.clouds(), pictures.clouds())


def test_noise():
    img = deepdream.picture("noise:40x30")
    assert img.shape == (30, 40, 3)
    # What the release began from: np.random.uniform(size=(…, 3)) + 100.
    np.testing.assert_array_equal(img, np.float32(np.random.RandomState(0).uniform(size=(30, 40, 3)) + 100))


# Output, interruption, terminals

def test_help(place):
    for arguments in ([], ["--help"]):
        done = place.run(*arguments)
        assert done.returncode == 0
        assert done.stdout.startswith("Usage: ")
        assert done.stderr == ""
    helped = " ".join(place.run("dream", "--help", env={"COLUMNS": "200"}).stdout.split())
    for default in ("[default: 10]", "[default: 4]", "[default: 1.4]", "[default: 1.5]", "[default: 32]"):
        assert default in helped


def test_nobody_reads_the_output(place):
    for command in (["layers", *SQUEEZENET], ["dream", "noise:40x40", *SQUEEZENET, *TINY], ["models"], ["--help"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = place.run(*command, stdout=writer)
        os.close(writer)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "BrokenPipe" not in done.stderr


def test_no_output_at_all(place):
    done = place.run("layers", *SQUEEZENET, preexec_fn=lambda: os.close(1))
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr


def test_the_output_is_full(place):
    with open("/dev/full", "wb") as full:
        refused(place.run("layers", *SQUEEZENET, stdout=full), "output cannot be written", "No space left")


@pytest.mark.parametrize("older", [None, b"older"])
def test_an_interruption_leaves_nothing_half_written(place, older):
    if older:
        (place.folder / "dream.png").write_bytes(older)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    process, said = in_terminal(place, "dream", "cat", *SQUEEZENET, "--iters", "100000", "--octaves", "1",
                                "--max-size", "120")
    signal.signal(signal.SIGINT, before)
    try:
        said.wait_for(r"iteration ([2-9]|\d\d+)/100000 ")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert "interrupted" in said.rest()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        said.close()
    assert "Traceback" not in said.text
    assert place.files() == (["dream.png"] if older else [])
    if older:
        assert (place.folder / "dream.png").read_bytes() == older


def test_the_progress_line_on_a_terminal(place):
    process, said = in_terminal(place, "dream", "noise:40x40", *SQUEEZENET, "--iters", "40", "--octaves", "2")
    try:
        said.wait_for(r"octave 1/2, iteration \d+/40 .* left ")
        said.wait_for(r"octave 2/2, iteration \d+/40 ")
        said.rest()
        assert process.wait(timeout=20) == 0
        assert process.stdout.read().decode() == f"{place.folder / 'dream.png'}\n"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        said.close()


def test_no_progress_line_into_a_file(place):
    done = place.run("dream", "noise:40x40", *SQUEEZENET, "--iters", "2", "--octaves", "1")
    assert done.returncode == 0
    assert len(without_device(done.stderr).splitlines()) == 1
    assert "\x1b" not in done.stderr


def in_terminal(place, *arguments):
    """A run whose standard error is a terminal: (process, what the terminal shows)."""
    ours, theirs = pty.openpty()
    process = place.start(*arguments, stderr=theirs, env={"TERM": "xterm", "COLUMNS": "120"})
    os.close(theirs)
    return process, Terminal(ours)


class Terminal:
    """What a program writes to its terminal."""

    def __init__(self, descriptor):
        self.descriptor, self.text = descriptor, ""

    def wait_for(self, pattern, seconds=60):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            assert time.monotonic() < end, f"{pattern} did not come; there is {self.text[-500:]!r}"
            assert self._read(1) is not False, f"{pattern} did not come before the end: {self.text[-500:]!r}"

    def rest(self):
        while self._read(60):
            pass
        return self.text

    def _read(self, seconds):
        if not select.select([self.descriptor], [], [], seconds)[0]:
            return None
        try:
            chunk = os.read(self.descriptor, 65536)
        except OSError:  # Linux's way of saying that the other side is closed
            return False
        self.text += chunk.decode("utf-8", "replace")
        return bool(chunk)

    def close(self):
        os.close(self.descriptor)
