"""Damaged files: every kind of file that deepdream reads, damaged at random, given to the commands that read it.

`case` draws one, `run` runs them in sandboxes and counts the outcomes. Case N of a seed is the same in every run.
"""

import collections
import concurrent.futures
import functools
import io
import json
import random
import re
import tempfile
from pathlib import Path

from caffe.proto import caffe_pb2
from google.protobuf import text_format
from PIL import Image, PngImagePlugin

from fuzz import mutate, sandbox, seeds

# Of each thousand files, how many are of this kind.
SHARES = {
    "picture": 280,
    "guide": 40,
    "classified": 40,
    "prototxt": 220,
    "caffemodel": 130,
    "model.toml": 60,
    "labels": 20,
    "gallery": 70,
    "recipe": 60,
    "video": 50,
    "zoom folder": 30,
}
END = {"tiny": "both", "zoo": "concat", "squeezenet_v1.1": "fire2/concat", "bvlc_googlenet": "conv2/norm2"}
QUICK = ["--model", "model", "--iters", "1", "--octaves", "1", "--jitter", "4", "--seed", "1"]


class Seeds:
    """The whole files, made once."""

    def __init__(self):
        with tempfile.TemporaryDirectory() as folder:
            self.weights = seeds.tiny_weights(Path(folder))
        self.model = seeds.tiny_model(self.weights)
        self.pictures = seeds.pictures()
        self.videos = seeds.videos()
        self.definitions = seeds.definitions()
        self.photo = {"photo.png": self.pictures["rgb.png"]}

    @functools.cached_property
    def zoom_folder(self):
        """{name: bytes}: a folder of two frames of a zoom, which a third would be added to."""
        import subprocess
        import sys

        with tempfile.TemporaryDirectory() as folder:
            for name, content in {**self.model, **self.photo}.items():
                (Path(folder) / name).parent.mkdir(exist_ok=True)
                (Path(folder) / name).write_bytes(content)
            subprocess.run(
                [sys.executable, "-m", "deepdream", *zoom(2)],
                cwd=folder,
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**sandbox.ENVIRONMENT},
            )
            return {
                path.relative_to(folder).as_posix(): path.read_bytes()
                for path in sorted(Path(folder, "frames").iterdir())
                if path.is_file()
            }


def zoom(frames):
    return ["zoom", "photo.png", "-o", "frames", "--frames", str(frames), *QUICK]


def case(kind, rng, whole):
    """The keyword arguments of `Sandbox.run` for one damaged file of a kind."""
    return globals()[f"_{kind.replace('.', '_').replace(' ', '_')}"](rng, whole)


def _damaged_picture(rng, whole):
    name, content = rng.choice(list(whole.pictures.items()))
    if name.endswith(".png") and rng.random() < 0.6:
        content = mutate.mutate_png(rng, content)
    else:
        content = mutate.mutate_bytes(rng, content, list(whole.pictures.values()))
    if rng.random() < 0.1:  # called by another format's name
        name = "picture." + rng.choice(("png", "jpg", "tif", "webp", "gif", "bmp"))
    return name, content


def _picture(rng, whole):
    name, content = _damaged_picture(rng, whole)
    output = rng.choice(("dream.png", "dream.jpg", "dream.tif", "dream.webp"))
    return {
        "files": {**whole.model, name: content},
        "writes": (output,),
        "look": look_at_picture,
        "command": ["dream", name, *QUICK, "-o", output, "--max-size", "100"],
    }


def _guide(rng, whole):
    name, content = _damaged_picture(rng, whole)
    return {
        "files": {**whole.model, **whole.photo, name: content},
        "writes": ("dream.png",),
        "look": look_at_picture,
        "command": ["dream", "photo.png", *QUICK, "--guide", name],
    }


def _classified(rng, whole):
    name, content = _damaged_picture(rng, whole)
    return {"files": {**whole.model, name: content}, "command": ["classify", name, "--model", "model"]}


def _prototxt(rng, whole):
    name, text = rng.choice(list(whole.definitions.items()) + [("tiny", seeds.TINY), ("zoo", seeds.ZOO)] * 5)
    damage = rng.random()
    if damage < 0.55:
        message = text_format.Parse(text, caffe_pb2.NetParameter())
        mutate.mutate_message(rng, message)
        content = text_format.MessageToString(message).encode()
        if rng.random() < 0.03:
            content = message.SerializePartialToString()
    elif damage < 0.85:
        content = mutate.mutate_text(rng, text).encode(errors="replace")
    else:
        content = mutate.mutate_bytes(rng, text.encode(), [each.encode() for each in whole.definitions.values()])
    toml, weights = seeds.MODEL_TOML, rng.random() < 0.4 and name == "tiny"
    end = END[name]
    # The weights are made by the definition's fillers where no file of weights fits.
    files = {
        **whole.model,
        "model/deploy.prototxt": content,
        **whole.photo,
        "model/model.toml": toml.replace('end = "both"', f'end = "{end}"').encode(),
    }
    if weights:
        return {
            "files": files,
            "writes": ("dream.png",),
            "look": look_at_picture,
            "command": ["dream", "photo.png", *QUICK],
        }
    return {"files": files, "call": ("files", "dream_unweighted", end)}


def dream_unweighted(end):
    """Dream on a definition whose weights are what its fillers make; in the sandbox."""
    import sys

    import deepdream as dd

    try:
        net = dd.Net("model/deploy.prototxt", None, (104, 117, 123), end)
        net.labels = [str(number) for number in range(net.blobs[net.outputs[-1]].count)]
        image = dd.read_image("photo.png")
        dd.deepdream(net, image, iter_n=1, octave_n=1, jitter=4, seed=1)
        dd.classify(net, image)
    except (dd.DreamError, MemoryError) as error:
        print(f"deepdream: {error or 'not enough memory'}", file=sys.stderr)
        return 2


def _caffemodel(rng, whole):
    content, damage = whole.weights, rng.random()
    if damage < 0.6:
        message = caffe_pb2.NetParameter.FromString(content)
        mutate.mutate_message(rng, message)
        content = message.SerializePartialToString()
        if rng.random() < 0.05:
            content = text_format.MessageToString(message).encode()
    else:
        content = mutate.mutate_bytes(rng, content, [whole.photo["photo.png"], whole.weights])
    return {
        "files": {**whole.model, **whole.photo, "model/tiny.caffemodel": content},
        "writes": ("dream.png",),
        "look": look_at_picture,
        "command": ["dream", "photo.png", *QUICK],
    }


def _model_toml(rng, whole):
    if rng.random() < 0.6:
        table = {
            "title": "A small network",
            "mean": [104, 117, 123],
            "end": "both",
            "labels": "labels.txt",
            "ladder": {"conv1": "strokes", "both": "all"},
            "weights": {
                "file": "tiny.caffemodel",
                "sha256": "0" * 64,
                "size": 2554,
                "urls": ["http://127.0.0.1:9/x"],
                "wheel": {"name": "x", "version": "1", "sha256": "0" * 64, "member": "y"},
            },
        }
        for key in ("sha256", "size", "urls", "wheel"):
            if rng.random() < 0.7:
                del table["weights"][key]
        content = seeds.as_toml(mutate.mutate_values(rng, table)).encode(errors="surrogatepass")
    else:
        content = mutate.mutate_text(rng, seeds.MODEL_TOML).encode(errors="replace")
    return {"files": {**whole.model, "model/model.toml": content}, "command": ["layers", "--model", "model"]}


def _labels(rng, whole):
    content = mutate.mutate_bytes(rng, mutate.mutate_text(rng, seeds.LABELS).encode(errors="replace"))
    return {
        "files": {**whole.model, "model/labels.txt": content, **whole.photo},
        "command": ["classify", "photo.png", "--model", "model"],
    }


def _in_time(text):
    """A recipe's text with no more steps than can be waited for: a million are no fault of the file."""
    return re.sub(r"(iter_n\W{1,4})\d{3,}", r"\g<1>30", text)


def _gallery(rng, whole):
    if rng.random() < 0.6:
        text = seeds.as_toml(mutate.mutate_values(rng, seeds.gallery()))
    else:
        text = mutate.mutate_text(rng, seeds.as_toml(seeds.gallery()))
    content = _in_time(text).encode(errors="replace")
    if rng.random() < 0.1:
        content = mutate.mutate_bytes(rng, content)
    return {
        "files": {**whole.model, **whole.photo, "g.toml": content},
        "writes": ("out/",),
        "command": ["gallery", "g.toml", "-o", "out", "--max-size", "64"],
    }


def _recipe(rng, whole):
    if rng.random() < 0.75:
        text = json.dumps(mutate.mutate_values(rng, seeds.recipe()))
    else:
        text = mutate.mutate_text(rng, json.dumps(seeds.recipe()))
    text = _in_time(text)
    notes, buffer = PngImagePlugin.PngInfo(), io.BytesIO()
    notes.add_itxt("deepdream", text.replace("\0", "0").encode(errors="replace").decode(), zip=rng.random() < 0.3)
    Image.open(io.BytesIO(whole.photo["photo.png"])).save(buffer, "PNG", pnginfo=notes)
    content = buffer.getvalue()
    if rng.random() < 0.15:
        content = mutate.mutate_png(rng, content)
    return {
        "files": {**whole.model, **whole.photo, "made.png": content},
        "writes": ("again.png",),
        "look": look_at_picture,
        "command": ["replay", "made.png", "-o", "again.png"],
    }


def _video(rng, whole):
    name, content = rng.choice(list(whole.videos.items()))
    content = mutate.mutate_bytes(rng, content, list(whole.videos.values()))
    output = rng.choice(("dreamt.mp4", "dreamt.gif"))
    return {
        "files": {**whole.model, name: content},
        "writes": (output, f"{output}.frames/"),
        "look": look_at_film,
        "command": ["video", name, output, *QUICK, "--max-size", "64"],
    }


def _zoom_folder(rng, whole):
    files = dict(whole.zoom_folder)
    name = rng.choice(list(files))
    files[name] = mutate.mutate_bytes(rng, files[name], list(files.values()))
    return {"files": {**whole.model, **whole.photo, **files}, "writes": ("frames/",), "command": zoom(3)}


def look_at_picture(path):
    """Raise unless a picture is whole."""
    with Image.open(path) as picture:
        picture.load()


def look_at_film(path):
    """Raise unless a film is whole."""
    import av

    with av.open(str(path)) as film:
        if not list(film.decode(video=0)):
            raise ValueError("it has no frames")


def kinds(count):
    """The kinds of `count` cases, in an order in which any first part has them all in their shares."""
    total = sum(SHARES.values())
    owed = dict.fromkeys(SHARES, 0.0)
    for _ in range(count):
        for kind, share in SHARES.items():
            owed[kind] += share / total
        kind = max(owed, key=owed.get)
        owed[kind] -= 1
        yield kind


def run(count, seed, folder, workers=2, report=lambda *_: None, first=0):
    """Run `count` cases; case N is drawn from (seed, N) alone.

    Args:
        count: how many cases.
        seed: of the whole run.
        folder: where the sandboxes make their folders.
        workers: how many cases run at a time.
        report: called with each (kind, N, what was given, Outcome).
        first: the number of the first case.

    Returns:
        ({kind: {outcome: number}}, [(kind, N, Outcome) of those that failed], the most memory of a case in bytes).
    """
    whole, counts, bad, most = Seeds(), collections.defaultdict(collections.Counter), [], 0
    numbered = list(enumerate(kinds(first + count)))[first:]
    iterator = iter(numbered)

    def work(worker):
        with sandbox.Sandbox(Path(folder) / f"worker-{worker}") as box:
            for number, kind in iterator:
                given = case(kind, random.Random(f"{seed} {number}"), whole)
                yield kind, number, given, box.run(**given)

    def collect(worker):
        nonlocal most
        for kind, number, given, outcome in work(worker):
            counts[kind][outcome.kind] += 1
            most = max(most, outcome.memory)
            report(kind, number, given, outcome)
            if not outcome.good:
                bad.append((kind, number, outcome))

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(collect, range(workers)))
    return {kind: dict(counts[kind]) for kind in SHARES if kind in counts}, sorted(bad, key=lambda each: each[1]), most
