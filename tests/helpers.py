"""What the tests share beside fixtures: small networks, commands, servers, videos, and assertions.

An image is float32 (H, W, 3), RGB, 0..255, as everywhere; *planes* are an image as the network sees it, float32
(3, H, W).
"""

import contextlib
import hashlib
import heapq
import http.server
import io
import json
import os
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import zipfile
import zlib
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


# Memory

PASS = """
import pathlib, sys, tempfile
import numpy as np, deepdream as dd
from deepdream.network import memory, tiling
{load}
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
def gradient(height, width):
    tiling.set_input(net, np.ones((3, height, width), np.float32))
    net.input_gradient(net.end, dd.objective_L2)
gradient(64, 64)
before = resident()
gradient(1000, 1500)
print(resident() - before, memory.gradient_bytes(net, net.end, 1000, 1500))
"""


def memory_of_a_pass(load, layers):
    """(taken, estimated) bytes of a gradient of 1000×1500 pixels.

    `load` is the code that sets `net`; `layers` as in DEEPDREAM_LAYERS.
    """
    done = subprocess.run(
        [sys.executable, "-c", PASS.format(load=load)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        env={**os.environ, "DEEPDREAM_LAYERS": layers, "PYTHONPATH": str(Path(__file__).parent)},
    )
    return tuple(map(int, done.stdout.split()))


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


def why_no_gpu():
    """Why GPU 0 cannot compute here; `None` if it can."""
    from deepdream.network import device

    try:
        device.choose_device(0)
    except dd.DreamError as refusal:
        return str(refusal)
    return None


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
from deepdream.cli import commands, main
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
    assert len(done.stderr) <= 301  # with the end of the line
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


def upload_requests(name, data, role, piece):
    """(bytes, the rest of the request and the answers to wait for) of each piece of a file, as the page sends them."""
    for start in range(0, max(1, len(data)), piece):
        yield (
            data[start : start + piece],
            {
                "name": name,
                "size": len(data),
                "first": start == 0,
                "for": role,
                "until": ("more", "picture", "refused"),
            },
        )


# Images as files


# The columns of sRGB, and of Display P3, to XYZ with the white D50, as published profiles have them.
SRGB_COLORANTS = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
P3_COLORANTS = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))


def gamma_profile(gamma, grey=False, **options):
    """An ICC profile of sRGB's primaries (or of grey) with a pure power as its curve; `options` as `icc_profile`."""
    return icc_profile(struct.pack(">4sIIH", b"curv", 0, 1, round(gamma * 256)) + b"\0\0", grey=grey, **options)


def srgb_curve():
    """sRGB's curve as ICC's parametric one of type 3."""
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return b"para\0\0\0\0\0\3\0\0" + b"".join(s15(number) for number in numbers)


def s15(value):
    """A number of ICC's type s15Fixed16."""
    return struct.pack(">i", round(value * 65536))


def icc_profile(curve, grey=False, colorants=SRGB_COLORANTS, description="test"):
    """An ICC profile with this curve for grey or for all of red, green and blue, written from the ICC's text."""
    name = description.encode() + b"\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78),
        b"wtpt": b"XYZ \0\0\0\0" + s15(0.9642) + s15(1) + s15(0.8249),
    }
    if grey:
        tags[b"kTRC"] = curve
    else:
        for tag, xyz in zip((b"r", b"g", b"b"), colorants):
            tags[tag + b"XYZ"] = b"XYZ \0\0\0\0" + b"".join(map(s15, xyz))
            tags[tag + b"TRC"] = curve
    table, content, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        value += bytes(-len(value) % 4)
        table += tag + struct.pack(">II", at + len(content), len(value))
        content += value
    header = (
        struct.pack(
            ">I4sI4s4s4s", at + len(content), b"\0\0\0\0", 0x02100000, b"mntr", b"GRAY" if grey else b"RGB ", b"XYZ "
        )
        + bytes(12)
        + b"acsp"
        + bytes(28)
    )
    header += s15(0.9642) + s15(1) + s15(0.8249)
    return header.ljust(128, b"\0") + table + content


def png_file(width, height, depth, colour, rows, *chunks):
    """A PNG written by hand, for the kinds that Pillow does not write.

    `rows` are its bytes, row by row; `chunks` are (name, content) of those before the pixels.
    """

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
        + b"".join(chunk(*each) for each in chunks)
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
        + chunk(b"IEND", b"")
    )


def iso_box(kind, content):
    """A box of a JPEG 2000 or HEIC file."""
    return struct.pack(">I4s", 8 + len(content), kind) + content


def deep_jpeg2000(values, bits=16):
    """A lossless JPEG 2000 image of colours, uint16 (h, w, 3 or 4), with so many bits; the sides are at least 32."""
    cv2 = pytest.importorskip("cv2")
    shifted = values + np.uint16(2**15 - 2 ** (bits - 1))  # so that the coded values are those of fewer bits
    stored = np.ascontiguousarray(shifted[:, :, [2, 1, 0, 3][: values.shape[2]]])
    done, content = cv2.imencode(".jp2", stored, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
    assert done
    content = bytearray(content)
    sizes = content.index(b"\xff\x4f\xff\x51") + 42
    for channel in range(values.shape[2]):
        content[sizes + 3 * channel] = bits - 1
    content[content.index(b"ihdr") + 14] = bits - 1
    return bytes(content)


def jpeg2000_with_profile(content, profile):
    """A JPEG 2000 file whose first colour specification is this profile."""
    start = content.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", content, start)
    added = iso_box(b"colr", b"\2\0\0" + profile)
    ihdr = start + 8 + 22
    return content[:start] + struct.pack(">I", size + len(added)) + content[start + 4 : ihdr] + added + content[ihdr:]


# Photographs

CAMERA_PIXELS = np.random.RandomState(0).randint(0, 256, (20, 30, 3), np.uint8)
CAMERA_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
    'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmp:Rating="4" tiff:Orientation="6" '
    'exif:GPSLatitude="48,8.2N" photoshop:City="Stuttgart"><xmp:Label>Größe</xmp:Label></rdf:Description></rdf:RDF>'
    '</x:xmpmeta><?xpacket end="w"?>'
).encode()


def iptc_record(data_set, content):
    return struct.pack(">BBBH", 0x1C, 2, data_set, len(content)) + content


CAMERA_IPTC = iptc_record(5, b"A title") + iptc_record(80, b"Jane Doe") + iptc_record(90, b"Stuttgart")


def camera_exif():
    """EXIF as a phone writes it."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112], exif[0x0132] = "Canon", "EOS", 6, "2024:05:06 07:08:09"
    exif[0x8298], exif[0x013B], exif[0x010E] = "(c) Jane", "Jane", "On the hill"
    exif[0x8769] = {
        0x9003: "2024:05:06 07:08:09",
        0x829A: 0.005,
        0xA002: 30,
        0xA001: 65535,
        0x927C: b"secret",
        0xA434: "50mm",
    }
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 12.0), 3: "E", 4: (9.0, 10.0, 0.0)}
    return exif


def camera_photo(xmp=CAMERA_XMP, **options):
    """The bytes of a JPEG as a phone and an agency make it."""
    app1 = b"http://ns.adobe.com/xap/1.0/\0" + xmp
    app13 = b"Photoshop 3.0\0008BIM" + struct.pack(">HHI", 0x0404, 0, len(CAMERA_IPTC)) + CAMERA_IPTC
    app13 += bytes(len(CAMERA_IPTC) % 2)
    extra = b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
        for marker, content in ((0xE1, app1), (0xED, app13))
    )
    file = io.BytesIO()
    Image.fromarray(CAMERA_PIXELS).save(file, "JPEG", exif=camera_exif(), dpi=(240, 240), extra=extra, **options)
    return file.getvalue()


def write_black_png(path, side):
    """A black image of one bit a pixel, a few kilobytes for any size."""
    path.write_bytes(png_file(side, side, 1, 0, [bytes(-(-side // 8))] * side))
    return path


def resized_whole(img, height, width):
    """An image in another size, (height, width, 3), by Pillow's bicubic filter, a channel at a time."""
    planes = [Image.fromarray(np.ascontiguousarray(img[:, :, channel])) for channel in range(3)]
    resized = [np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC)) for plane in planes]
    return np.stack(resized, axis=-1)


# For the code of a new process: the memory that it takes, in bytes, under the names of /proc/self/status.
TAKEN = """
def taken(name):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(name))
def reset_peak():
    open("/proc/self/clear_refs", "w").write("5")  # the most so far is now what it takes at this moment
"""


def peak_bytes(before, code):
    """How much memory a new process takes at most beyond what it has after the lines `before`, while it runs `code`."""
    measured = f"""
{TAKEN}
{before}
reset_peak()
start = taken("VmHWM")
{code}
print(taken("VmHWM") - start)
"""
    done = subprocess.run(
        [sys.executable, "-c", measured],
        capture_output=True,
        text=True,
        check=True,
        env=command_environment(),
    )
    return int(done.stdout.splitlines()[-1])


def write_png_header(path, width, height):
    """A PNG whose header promises this size and whose pixels are missing: decoding it would find it damaged."""
    path.write_bytes(png_file(width, height, 8, 2, [b"\0\0\0"]))
    return path


def write_wheel(folder, name, version):
    """The path of a wheel without files, written into `folder`; `name` is spelt with underscores."""
    info = f"{name}-{version}.dist-info"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


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


def write_recording(
    path,
    codec="libvpx",
    sound="libopus",
    seconds=2.0,
    rate=15,
    sound_rate=48000,
    sound_seconds=None,
    gap=0.0,
    begins=(0.0, 0.0),
    size=(96, 64),
    options=None,
    **settings,
):
    """A video file that flashes and beeps for a tenth of each second, picture and sound interleaved as a recorder does.

    `gap` seconds of sound are missing after the first; `begins` tells when picture and sound begin; `settings` are
    the encoder's, `options` the container's.
    """
    import av

    with av.open(str(path), "w", options=options or {}) as container:
        picture = container.add_stream(codec, rate=rate, options={key: str(value) for key, value in settings.items()})
        picture.width, picture.height = size
        picture.pix_fmt = "yuv420p"
        tone = None
        if sound:
            tone = container.add_stream(sound, rate=sound_rate, options={"strict": "experimental"})
            tone.layout = "stereo"

        def frames():
            for index in range(round(seconds * rate)):
                image = np.full((size[1], size[0], 3), 250 if index / rate % 1 < 0.1 else 40, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = index + round(begins[0] * rate), Fraction(1, rate)
                yield picture, frame

        def samples():
            total = round((seconds if sound_seconds is None else sound_seconds) * sound_rate) if sound else 0
            for first in range(0, total, 1024):
                times = np.arange(first, min(first + 1024, total)) / sound_rate
                wave = np.where(times % 1 < 0.1, 0.5, 0.02) * np.sin(times * 2 * np.pi * 880)
                chunk = av.AudioFrame.from_ndarray(np.float32([wave, wave]), format="fltp", layout="stereo")
                late = begins[1] + (gap if times[0] >= 1 else 0)
                chunk.sample_rate, chunk.pts, chunk.time_base = (
                    sound_rate,
                    first + round(late * sound_rate),
                    Fraction(1, sound_rate),
                )
                yield tone, chunk

        for stream, frame in heapq.merge(frames(), samples(), key=lambda each: each[1].pts * each[1].time_base):
            container.mux(stream.encode(frame))
        for stream in filter(None, (picture, tone)):
            container.mux(stream.encode(None))
    return path


def glue(path, *parts):
    """A file of the bytes of others, one after the other."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def flashes_and_beeps(path):
    """When the flashes and the beeps of recordings begin, in seconds, and when picture and sound end."""
    import av

    with av.open(str(path)) as container:
        frames = [(frame.time, frame.to_ndarray(format="gray").mean() > 150) for frame in container.decode(video=0)]
        has_sound = bool(container.streams.audio)
    ends = [2 * frames[-1][0] - frames[-2][0]]
    flashes = [time for (time, on), (_, before) in zip(frames, [(0, False), *frames]) if on and not before]
    beeps, loud_until = [], -1.0
    if has_sound:
        with av.open(str(path)) as container:
            for frame in container.decode(audio=0):
                wave = np.abs(frame.to_ndarray().astype(float))
                wave = wave / 32768 if "s16" in frame.format.name else wave
                wave = wave[0] if frame.format.is_planar else wave[0, :: frame.layout.nb_channels]
                for position in np.flatnonzero(wave > 0.2):
                    time = frame.time + position / frame.sample_rate
                    if time > loud_until + 0.05:
                        beeps.append(time)
                    loud_until = time
                end = frame.time + frame.samples / frame.sample_rate
            ends.append(end)
    return flashes, beeps, ends
