"""What the tests share beside fixtures: small networks, commands, servers, videos, and assertions.

An image is float32 (H, W, 3), RGB, 0..255, as everywhere; *planes* are an image as the network sees it, float32
(3, H, W).
"""

import contextlib
import hashlib
import http.server
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import deepdream as dd
from deepdream.io.arrays import to_uint8
from deepdream.playground.form import default_form
from deepdream.playground.uploads import Limits
from deepdream.recipes.gallery_file import Entry, Gallery
from deepdream.recipes.recipe import Recipe
from deepdream.zoo import registry

ROOT = Path(__file__).resolve().parent.parent
NO_SITE = "http://127.0.0.1:9"  # a proxy that refuses, so that no test waits for a site


def skip_or_fail(reason):
    """Skip the test because of what this machine lacks, or fail it where DEEPDREAM_TEST_DEMAND is set."""
    if os.environ.get("DEEPDREAM_TEST_DEMAND"):
        pytest.fail(f"demanded, but {reason}")
    pytest.skip(reason)


# Networks

TINY = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 32 dim: 32 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param {
  num_output: 6 kernel_size: 3 stride: 2 pad: 1 weight_filler { type: "gaussian" std: 0.05 }
  bias_filler { type: "constant" value: 0.1 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "left" type: "Convolution" bottom: "pool1" top: "left" convolution_param {
  num_output: 4 kernel_size: 1 weight_filler { type: "gaussian" std: 0.2 } } }
layer { name: "right" type: "Convolution" bottom: "pool1" top: "right" convolution_param {
  num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "gaussian" std: 0.2 } } }
layer { name: "both" type: "Concat" bottom: "left" bottom: "right" top: "both" }
layer { name: "pool2" type: "Pooling" bottom: "both" top: "pool2" pooling_param { pool: AVE kernel_size: 8 stride: 1 } }
layer { name: "score" type: "InnerProduct" bottom: "pool2" top: "score" inner_product_param {
  num_output: 5 weight_filler { type: "gaussian" std: 0.5 } } }
layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }
"""


def tiny_net(prototxt):
    """The small network of this definition with seeded random weights."""
    import caffe

    caffe.set_random_seed(7)
    return dd.Net(prototxt, None, (104, 117, 123), "both", labels=["a", "b", "c", "d", "e"])


def write_tiny_model(folder, definition=TINY):
    """A new folder with a small network as a model that `--model` takes."""
    folder.mkdir()
    (folder / "deploy.prototxt").write_text(definition, encoding="utf-8")
    (folder / "model.toml").write_text(
        'mean = [104, 117, 123]\nend = "both"\n[weights]\nfile = "tiny.caffemodel"\n', encoding="utf-8"
    )
    tiny_net(folder / "deploy.prototxt").save(str(folder / "tiny.caffemodel"))
    return folder


def set_image(net, planes):
    """Put an image, (3, H, W), into the network's input blob."""
    net.input.reshape(1, *planes.shape)
    net.input.data[0] = planes


def noise(height, width, seed=0):
    """An image as the network sees it, (3, height, width)."""
    return np.random.RandomState(seed).uniform(-100, 130, (3, height, width)).astype(np.float32)


def has_clip_layer():
    """Whether this Caffe knows the one layer with a field that it requires; older ones lack it."""
    from caffe.proto import caffe_pb2

    return hasattr(caffe_pb2.LayerParameter, "clip_param")


# Models whose weights come from a site

CONTENT = bytes(range(256)) * 1000  # stands for weights: 256,000 bytes
CONTENT_SHA256 = hashlib.sha256(CONTENT).hexdigest()
MODEL_PROTOTXT = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
"""
MODEL_TOML = """
title = "tiny"
mean = [1, 2, 3]
end = "conv"
[weights]
file = "tiny.caffemodel"
"""


def write_model(tmp_path, toml=MODEL_TOML, prototxt=MODEL_PROTOTXT):
    """The new folder `tiny` with a model of one layer and without weights."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "model.toml").write_text(toml, encoding="utf-8")
    (folder / "deploy.prototxt").write_text(prototxt, encoding="utf-8")
    return folder


def model_from_site(tmp_path, *urls, size=len(CONTENT)):
    """A model whose weights, CONTENT, are to be fetched from these places."""
    toml = MODEL_TOML + f'sha256 = "{CONTENT_SHA256}"\nurls = {list(urls)}\n' + (f"size = {size}\n" if size else "")
    return registry.find_model(write_model(tmp_path, toml))


def tar_gz(*members):
    """An archive as bytes; members are (name, content) or TarInfo."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for member in members:
            info, content = (
                (member, b"") if isinstance(member, tarfile.TarInfo) else (tarfile.TarInfo(member[0]), member[1])
            )
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def files_below(folder):
    """The files in a folder and the folders in it, as relative paths, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def pip_cache():
    """The folder in which pip keeps what it has downloaded."""
    return subprocess.run(
        [sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True, check=True
    ).stdout.strip()


# Servers on this machine


@contextlib.contextmanager
def serving(handler):
    """A running web server of this machine that answers with a `BaseHTTPRequestHandler`, and its `address`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port():
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# The command

SQUEEZENET = ["--model", "squeezenet_v1.1"]
SMALL_DREAM = ["--max-size", "120", "--iters", "1", "--octaves", "1"]

# Imports the library once, then forks for each command.
_FORKS = """
import json, os, sys, tempfile
from deepdream.cli import main
for arguments in json.load(sys.stdin):
    files = [tempfile.TemporaryFile() for _ in range(2)]
    child = os.fork()
    if not child:
        for number, file in enumerate(files, 1):
            os.dup2(file.fileno(), number)
        main(arguments)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for file in files:
        file.seek(0)
    print(json.dumps([code, *(file.read().decode() for file in files)]), flush=True)
"""


def command_environment():
    """The environment of a process that runs this checkout's `deepdream` command, and asks no site for anything."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "http_proxy": NO_SITE, "https_proxy": NO_SITE}


def run_commands(folder, *commands, env=None):
    """Run the `deepdream` command with each of these lists of arguments, in a folder, in processes of their own."""
    commands = [list(map(str, arguments)) for arguments in commands]
    done = subprocess.run(
        [sys.executable, "-c", _FORKS],
        cwd=folder,
        env=env or command_environment(),
        check=True,
        input=json.dumps(commands),
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
    )
    return [
        subprocess.CompletedProcess(arguments, *json.loads(line))
        for arguments, line in zip(commands, done.stdout.splitlines())
    ]


def run_command(folder, *arguments):
    """Run the `deepdream` command once."""
    return run_commands(folder, arguments)[0]


def without_device(said):
    """What a command said, without the line in which a Caffe for GPUs says that there is none."""
    return "".join(line for line in said.splitlines(keepends=True) if not line.startswith("dreaming on the CPU: "))


def assert_refused(done, *says):
    """Bad input: exit code 2, one line on standard error that says these things, and nothing else."""
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stdout == ""
    assert done.stderr.count("\n") == len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("deepdream: ")
    assert len(done.stderr) <= 1001
    for text in says:
        assert text in done.stderr


# Dreams


def correlation(a, b):
    """The correlation of two arrays' values."""
    return float(np.corrcoef(np.ravel(a), np.ravel(b))[0, 1])


def assert_rises(net, img, end, **settings):
    """Dream, and assert that the objective at `end` rises from the image to the dream at full size."""

    def objective_of(image):
        first = next(iter(dd.dream_steps(net, image, iter_n=1, octave_n=1, jitter=0, end=end, seed=0)))
        return first.objective

    before, after = objective_of(img), objective_of(dd.deepdream(net, img, end=end, seed=0, **settings))
    assert after > before * 1.1, f"{end}: {before} -> {after}"


def assert_is_the_gradient(net, end, objective):
    """What the objective writes into the diff is the gradient of what it returns, by finite differences at the layer.

    The layer's values are changed and the objective asked again, so nothing but the objective is measured.
    """
    set_image(net, noise(20, 26))
    net.forward(end=end)
    blob = net.blobs[end]
    blob.diff[...] = np.nan  # whatever is not written shows
    objective(blob)
    found, before, rng = blob.diff.copy(), blob.data.copy(), np.random.RandomState(1)
    for _ in range(5):
        direction, step = rng.normal(size=before.shape), 1e-3 * np.abs(before).max()
        values = []
        for sign in (1, -1):
            blob.data[...] = before + sign * step * direction
            values.append(objective(blob))
        slope = (values[0] - values[1]) / (2 * step)
        expected = float((found * direction).sum())
        assert slope == pytest.approx(expected, rel=2e-2, abs=1e-3 * float(np.abs(found * direction).sum()))


# Image files


def image_error(call, *arguments):
    """The text of the `ImageError` that a call raises, which must be a single line."""
    with pytest.raises(dd.ImageError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    return text


def assert_rgb(img, expected, tolerance=0.01):
    """It is a float32 image of these values."""
    assert img.dtype == np.float32
    np.testing.assert_allclose(img, np.broadcast_to(expected, img.shape), atol=tolerance)


def png_bytes(img, **options):
    """The bytes of a PNG of this image."""
    file = io.BytesIO()
    Image.fromarray(to_uint8(img)).save(file, "PNG", **options)
    return file.getvalue()


def read_pixels(path):
    """The pixels of an image file as Pillow reads it: int (H, W, 3)."""
    with Image.open(path) as picture:
        picture.load()
        return np.asarray(picture.convert("RGB")).astype(int)


def write_with_recipe(path, recipe, seed=3):
    """Write noise of 30×20 pixels with this recipe in it."""
    dd.write_image(path, np.float32(np.random.RandomState(seed).uniform(0, 255, (20, 30, 3))), recipe=recipe)
    return path


# Galleries

SMALL_RECIPE = {
    "model": "squeezenet_v1.1",
    "input": "cat",
    "max_size": 64,
    "iter_n": 1,
    "octave_n": 1,
    "end": "fire3/concat",
}


GALLERY_TOML = """
title = "Two & more"
about = "Small <ones>."

[[picture]]
name = "first"
title = "The first"
alt = 'a "cat"'
known = "All of it."
guess = "Nothing."
source = "made up, https://example.org/?a&b"
input = "cat"
model = "squeezenet_v1.1"
end = "fire3/concat"
max_size = 64
iter_n = 1
octave_n = 1

[[picture]]
name = "second"
input = "nowhere.png"
model = "squeezenet_v1.1"

[[picture]]
name = "third"
input = "coffee"
model = "squeezenet_v1.1"
end = {"fire2/concat" = 1, "fire3/concat" = 0.5}
max_size = 64
iter_n = 1
octave_n = 1
seed = 4
"""


def small_gallery(count, **changes):
    """A gallery of small recipes, no two of them the same."""
    recipes = [
        Recipe(**{**SMALL_RECIPE, "seed": i, "max_size": 40 + i, "step_size": 1 + i % 3, **changes})
        for i in range(count)
    ]
    return Gallery("many", "", tuple(Entry(f"n{i:02}", recipe) for i, recipe in enumerate(recipes)))


def read_folder(folder):
    """{name without .png: image} of a folder."""
    return {path.stem: dd.read_image(path) for path in sorted(folder.glob("*.png"))}


# The playground

FORM = {
    **default_form(Limits()),
    "model": "squeezenet_v1.1",
    "end": "fire5/concat",
    "max_size": 96,
    "octave_n": 2,
    "iter_n": 3,
    "seed": 5,
}


# Videos


def view(scene, index, height=64, width=96):
    """A camera that pans by 2 pixels a frame over clouds, before which a cat moves to the right by 3.

    Returns the frame, the true flow to the frame before, and where that is to be seen in both: (H, W, 3), (H, W, 2),
    (H, W) bool. `scene` is the fixture of this name.
    """
    sky, cat = scene
    image = sky[20 : 20 + height, 2 * index : 2 * index + width].copy()
    flow = np.zeros((height, width, 2), np.float32)
    flow[:, :, 0] = 2
    left, top = 6 + 3 * index, height // 2 - 20
    box = slice(top, top + 40), slice(left, left + 48)
    image[box] = cat[:, : width - left]
    flow[box][..., 0] = -3
    seen = np.ones((height, width), bool)
    seen[:, -2:] = seen[top : top + 40, left - 5 : left] = False
    return image, flow, seen


def write_clip(path, images, rate=15, sound="aac", times=None, codec="libx264", **stream_settings):
    """A video file of these images, with a tone if `sound` names a codec, made with PyAV alone."""
    import av

    time_base = Fraction(1, 1000) if times else Fraction(1, rate)
    images = list(images)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = stream_settings.pop("pix_fmt", "yuv420p")
        stream.codec_context.time_base = time_base
        for name, value in stream_settings.items():
            getattr(stream, name)(*value) if callable(getattr(stream, name)) else setattr(stream, name, value)
        tone = container.add_stream(sound, rate=44100) if sound else None
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rint(image).astype(np.uint8)), format="rgb24")
            frame.pts, frame.time_base = times[index] if times else index, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone:
            wave = np.sin(np.arange(44100 * len(images) // rate) * 2 * np.pi * 440 / 44100) * 0.3
            samples = av.AudioFrame.from_ndarray(np.float32([wave, wave]), format="fltp", layout="stereo")
            samples.sample_rate, samples.pts = 44100, 0
            container.mux(tone.encode(samples))
            container.mux(tone.encode(None))
    return path


def probe(path):
    """What is in a file: its frames' times and pixels, of each track the codec and the seconds, the sound's packets."""
    import av

    with av.open(str(path)) as container:
        tracks = [
            (stream.codec_context.name, float((stream.duration or 0) * stream.time_base))
            for stream in container.streams
        ]
        frames = list(container.decode(video=0))
    with av.open(str(path)) as container:
        sound = [bytes(packet) for packet in container.demux(audio=0) if packet.size] if len(tracks) > 1 else []
    return [frame.time for frame in frames], [frame.to_ndarray(format="rgb24") for frame in frames], tracks, sound
