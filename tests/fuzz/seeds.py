"""Whole files of every kind that deepdream reads, small ones: what the suite damages."""

import io
import json
import math
from fractions import Fraction

import av
import numpy as np
from helpers import TINY
from PIL import Image, ImageCms, PngImagePlugin

import deepdream as dd

MODEL_TOML = """title = "A small network"
mean = [104, 117, 123]
end = "both"
labels = "labels.txt"
[ladder]
conv1 = "strokes"
both = "all there is"
[weights]
file = "tiny.caffemodel"
"""
LABELS = "ant\nbee\ncat\ndog\neel\n"
# One of every kind of layer that deploy definitions are made of, after one another.
ZOO = """
name: "zoo"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 24 dim: 24 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 8 kernel_h: 3 kernel_w: 5 stride: 2 pad_h: 1 pad_w: 2 group: 1 dilation: 1
  weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" batch_norm_param { use_global_stats: true eps: 1e-4 } }
layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }
layer { name: "prelu" type: "PReLU" bottom: "bn" top: "bn" }
layer { name: "norm" type: "LRN" bottom: "bn" top: "norm" lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 } }
layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool" pooling_param {
  pool: MAX kernel_size: 3 stride: 1 pad: 1 } }
layer { name: "slice" type: "Slice" bottom: "pool" top: "half1" top: "half2" slice_param { axis: 1 slice_point: 4 } }
layer { name: "sum" type: "Eltwise" bottom: "half1" bottom: "half2" top: "sum" eltwise_param {
  operation: SUM coeff: 1 coeff: -1 } }
layer { name: "up" type: "Deconvolution" bottom: "sum" top: "up" convolution_param {
  num_output: 4 kernel_size: 4 stride: 2 pad: 1 bias_term: false weight_filler { type: "bilinear" } } }
layer { name: "crop" type: "Crop" bottom: "up" bottom: "sum" top: "crop" crop_param { axis: 2 offset: 2 } }
layer { name: "power" type: "Power" bottom: "crop" top: "power" power_param { power: 2 scale: 0.5 shift: 1 } }
layer { name: "elu" type: "ELU" bottom: "power" top: "elu" elu_param { alpha: 1 } }
layer { name: "sigmoid" type: "Sigmoid" bottom: "elu" top: "sigmoid" }
layer { name: "tanh" type: "TanH" bottom: "elu" top: "tanh" }
layer { name: "concat" type: "Concat" bottom: "sigmoid" bottom: "tanh" top: "concat" concat_param { axis: 1 } }
layer { name: "drop" type: "Dropout" bottom: "concat" top: "concat" dropout_param { dropout_ratio: 0.5 } }
layer { name: "flat" type: "Flatten" bottom: "concat" top: "flat" }
layer { name: "back" type: "Reshape" bottom: "concat" top: "back" reshape_param {
  shape { dim: 0 dim: -1 dim: 1 dim: 1 } } }
layer { name: "bias" type: "Bias" bottom: "back" top: "bias" }
layer { name: "tile" type: "Tile" bottom: "concat" top: "tile" tile_param { axis: 1 tiles: 2 } }
layer { name: "mean" type: "Reduction" bottom: "tile" top: "mean" reduction_param { operation: MEAN axis: 1 } }
layer { name: "mvn" type: "MVN" bottom: "concat" top: "mvn" }
layer { name: "abs" type: "AbsVal" bottom: "mvn" top: "abs" }
layer { name: "bnll" type: "BNLL" bottom: "abs" top: "bnll" }
layer { name: "log" type: "Log" bottom: "bnll" top: "log" log_param { shift: 1 } }
layer { name: "exp" type: "Exp" bottom: "log" top: "exp" }
layer { name: "im2col" type: "Im2col" bottom: "concat" top: "im2col" convolution_param { kernel_size: 2 stride: 1 } }
layer { name: "spp" type: "SPP" bottom: "concat" top: "spp" spp_param { pyramid_height: 2 pool: MAX } }
layer { name: "step" type: "Threshold" bottom: "concat" top: "step" threshold_param { threshold: 0.5 } }
layer { name: "best" type: "ArgMax" bottom: "concat" top: "best" argmax_param { top_k: 1 axis: 1 } }
layer { name: "quiet" type: "Silence" bottom: "best" }
layer { name: "prob" type: "Softmax" bottom: "concat" top: "prob" softmax_param { axis: 1 } }
"""


def photo(height=48, width=64):
    """A picture with smooth and sharp parts: uint8 (height, width, 3)."""
    return np.rint(dd.resize(dd.picture("cat"), height, width).clip(0, 255)).astype(np.uint8)


def pictures():
    """{name: bytes}: pictures of every format and of the kinds that each has."""
    colour = Image.fromarray(photo())
    grey, palette = colour.convert("L"), colour.convert("P", palette=Image.Palette.ADAPTIVE)
    alpha = colour.copy()
    alpha.putalpha(grey)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a cat"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "x" * 60)
    notes.add_itxt("Title", "a cät", zip=True)
    deep = Image.fromarray(photo()[:, :, 0].astype(np.uint16) * 257)
    found = {}
    for name, picture, options in (
        ("rgb.png", colour, {}),
        ("notes.png", colour, {"pnginfo": notes, "icc_profile": profile, "exif": exif}),
        ("grey.png", grey, {}),
        ("palette.png", palette, {"transparency": 3}),
        ("alpha.png", alpha, {}),
        ("bit.png", colour.convert("1"), {}),
        ("deep.png", deep, {}),
        ("base.jpg", colour, {}),
        ("progressive.jpg", colour, {"progressive": True, "exif": exif}),
        ("grey.jpg", grey, {"icc_profile": profile}),
        ("cmyk.jpg", colour.convert("CMYK"), {}),
        ("raw.tif", colour, {}),
        ("lzw.tif", colour, {"compression": "tiff_lzw", "exif": exif}),
        ("deflate.tif", deep, {"compression": "tiff_adobe_deflate"}),
        ("jpeg.tif", colour, {"compression": "jpeg"}),
        ("float.tif", grey.convert("F"), {}),
        ("fax.tif", colour.convert("1"), {"compression": "group4"}),
        ("lossy.webp", colour, {"exif": exif}),
        ("lossless.webp", alpha, {"lossless": True}),
        ("still.gif", palette, {}),
        ("moving.gif", palette, {"save_all": True, "append_images": [palette.rotate(90)]}),
        ("plain.bmp", colour, {}),
        ("palette.bmp", palette, {}),
        ("plain.ppm", colour, {}),
    ):
        buffer = io.BytesIO()
        picture.save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(name[-3:], name.rpartition(".")[2].upper()), **options)
        found[name] = buffer.getvalue()
    return found


def videos():
    """{name: bytes}: short videos in the usual containers, with and without sound."""
    found = {}
    for name, codec, sound in (
        ("a.mp4", "libx264", "aac"),
        ("b.mkv", "libx264", None),
        ("c.webm", "libvpx-vp9", "libopus"),
        ("d.avi", "mpeg4", "mp2"),
        ("e.mov", "mjpeg", None),
        ("f.gif", "gif", None),
        ("g.ogv", "libtheora", None),
        ("h.mpg", "mpeg2video", None),
    ):
        buffer = io.BytesIO()
        try:
            _film(buffer, name.rpartition(".")[2], codec, sound)
        except (av.FFmpegError, ValueError):  # this build of FFmpeg has no such encoder
            continue
        found[name] = buffer.getvalue()
    return found


def _film(buffer, container, codec, sound):
    kind = {"mkv": "matroska", "mpg": "mpeg", "ogv": "ogg"}.get(container, container)
    with av.open(buffer, "w", format=kind) as film:
        stream = film.add_stream(codec, rate=25)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        tone = film.add_stream(sound, rate=48000) if sound else None
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(np.roll(photo(), 3 * index, 1), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
        if tone:
            wave = np.sin(np.arange(5760) * 0.05) * 0.3
            kind = tone.codec_context.format.name
            samples = av.AudioFrame.from_ndarray(
                np.stack([wave, wave]).astype(np.float32), format="fltp", layout="stereo"
            )
            samples.sample_rate, samples.pts = 48000, 0
            for each in av.AudioResampler(format=kind, layout="stereo", rate=48000).resample(samples):
                film.mux(tone.encode(each))
            film.mux(tone.encode(None))


def definitions():
    """{name: text}: networks' definitions."""
    found = {"tiny": TINY, "zoo": ZOO}
    for name in ("squeezenet_v1.1", "bvlc_googlenet"):
        found[name] = dd.find_model(name).prototxt.read_text(encoding="utf-8")
    return found


def tiny_weights(folder):
    """The bytes of a caffemodel for TINY, with seeded weights."""
    import caffe

    prototxt, weights = folder / "seed.prototxt", folder / "seed.caffemodel"
    prototxt.write_text(TINY, encoding="utf-8")
    caffe.set_random_seed(7)
    caffe.Net(str(prototxt), caffe.TEST).save(str(weights))
    return weights.read_bytes()


def tiny_model(weights):
    """{name: bytes}: the files of TINY as a model in the folder `model`."""
    return {
        "model/model.toml": MODEL_TOML.encode(),
        "model/labels.txt": LABELS.encode(),
        "model/deploy.prototxt": TINY.encode(),
        "model/tiny.caffemodel": weights,
    }


def recipe():
    """A recipe of a dream that TINY makes in a moment, as JSON holds it."""
    made = dd.Recipe(
        input="photo.png",
        model="model",
        end={"conv1": 0.5, "both": 1},
        iter_n=2,
        octave_n=2,
        jitter=3,
        seed=5,
        objective="L2",
        max_size=60,
        strength=0.9,
        tile=None,
    )
    return json.loads(made.to_json())


# What else a recipe may be, beside what `recipe` returns.
RECIPES = (
    {},
    {"objective": {"objective": "channels", "indices": [1, 3]}, "end": "both"},
    {"objective": {"objective": "label", "label": "cat", "index": 2}, "end": "score"},
    {"objective": {"objective": "guided"}, "guide": "photo.png", "end": "both"},
    {"objective": {"objective": "layers", "layers": {"conv1": {"objective": "L2"}, "both": {"objective": "L2"}}}},
    {"kind": "stopped dream", "more": {"octave": 1, "iteration": 0}},
    {"kind": "zoom", "more": {"frame": 1, "scale": 0.05, "rotate": 1.5}},
    {
        **{"kind": "label", "input": "noise:40x40", "end": None, "more": {"blur": [2, 0.5]}},
        "objective": {"objective": "label", "label": "cat", "index": 2},
    },
    {"tile": 64, "max_size": None, "versions": {"deepdream": "9.0", "tiling": "1"}},
)


def model_table():
    """A `model.toml`, as TOML holds it."""
    return {
        "title": "A small network",
        "mean": [104, 117, 123.5],
        "end": "both",
        "labels": "labels.txt",
        "ladder": {"conv1": "strokes", "both": "all"},
        "weights": {"file": "tiny.caffemodel", "licence": "none"},
    }


def gallery():
    """A gallery file, as TOML holds it."""
    common = {"input": "photo.png", "model": "model", "iter_n": 1, "octave_n": 1, "max_size": 40, "seed": 1}
    return {
        "title": "Two",
        "about": "Small ones.",
        "picture": [
            {"name": "first", "title": "One", "alt": "a cat", "known": "x", "guess": "y", "source": "z", **common},
            {"name": "second", "end": {"conv1": 1, "both": 0.5}, **common},
        ],
    }


def as_toml(table):
    """A table as TOML, in which even what no TOML could hold is written down."""
    lines, nested = [], []
    for key, value in table.items():
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            nested += [f"[[{_key(key)}]]\n{as_toml(each)}" for each in value]
        else:
            lines.append(f"{_key(key)} = {_toml(value)}")
    return "\n".join([*lines, *nested]) + "\n"


def _key(key):
    return key if key.isidentifier() and key.isascii() else json.dumps(key, ensure_ascii=False)


def _toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False)
