"""Weights that Keras wrote as HDF5, read without Keras.

HDF5's library is asked, in a process of its own, for names, shapes and places in the file. The numbers are read from
these places directly, so nothing that the format allows besides (other files, filters, virtual data) is ever followed.
"""

from __future__ import annotations

import functools
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ...errors import WeightsError
from ...validation import short_repr
from . import hdf5_arrays
from .tensors import Storage, Tensor, check_total, contiguous_strides, read_range

HDF5_START = b"\x89HDF\r\n\x1a\n"
_TIMEOUT_S = 60  # the process may compute for less; but a slow disk may keep it waiting
# Kernels as Caffe and PyTorch have them: (out, in, height, width) of (height, width, in, out), (out, in) of (in, out).
_AXES = {4: (3, 2, 0, 1), 2: (1, 0)}
_PARTS = {"kernel": "weight", "W": "weight", "0": "weight", "bias": "bias", "b": "bias", "1": "bias"}


def read_keras(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of `save_weights` or `save`: `.h5` of Keras 1 to 3, or `.weights.h5` of Keras 3.

    Args:
        path: the file.

    Returns:
        {name: tensor}, such as "block1_conv1.weight", with the axes in PyTorch's order; in a `.weights.h5`, layers are
        called by their kind and number, such as "conv2d_1.weight". No numbers have been read yet.

    Raises:
        WeightsError: the file is damaged, or its arrays are not plain numbers within it.
    """
    listed = _list_arrays(path)
    if "refused" in listed:
        name, reason = listed["refused"]
        raise WeightsError(f"{short_repr(name)} {reason}" if name else reason)
    if listed["backend"] == "theano":
        raise WeightsError("Keras wrote it with Theano, whose kernels are turned by 180 degrees")
    size = path.stat().st_size
    tensors: dict[str, Tensor] = {}
    for name, dtype, shape, place in listed["arrays"]:
        key = _tensor_name(name)
        if key in tensors:
            raise WeightsError(f"it has two arrays for {short_repr(key)}")
        tensors[key] = _tensor(path, size, name, dtype, tuple(shape), place)
    check_total(tensors.values(), size)
    return tensors


def _list_arrays(path: Path) -> dict[str, Any]:
    """What the script `hdf5_arrays` says of a file."""
    command = [sys.executable, hdf5_arrays.__file__, str(path.resolve())]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise WeightsError("its HDF5 is damaged (its library does not come to an end)") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").splitlines()
        last = lines[-1] if done.returncode == 1 and lines else f"its library was ended by {done.returncode}"
        raise WeightsError(f"its HDF5 is damaged ({short_repr(last)})")
    table: dict[str, Any] = json.loads(done.stdout)
    return table


def _tensor(path: Path, file_bytes: int, name: str, dtype: str, shape: tuple[int, ...], place: int) -> Tensor:
    """An array of the file; its shape and place are compared with the file's size before anything is read."""
    unread = Storage(dtype, math.prod(shape), bytes)
    if place + unread.nbytes > file_bytes:
        raise WeightsError(
            f"{short_repr(name)} has the shape {short_repr(shape)}, and the file does not have that many numbers"
        )
    storage = Storage(dtype, unread.count, functools.partial(read_range, path, place, unread.nbytes))
    axes = _AXES.get(len(shape), tuple(range(len(shape))))
    strides = contiguous_strides(shape)
    return Tensor(storage, 0, tuple(shape[axis] for axis in axes), tuple(strides[axis] for axis in axes))


def _tensor_name(path: str) -> str:
    """What an array is called: layer and part, whatever the version that wrote it.

    Older files name the layer twice: block1_conv1/block1_conv1_W_1:0, later block1_conv1/block1_conv1/kernel:0. In
    `.weights.h5` it is layers/conv2d/vars/0.
    """
    numbered = re.search(r"([^/]+)/vars/([01])$", path)
    if numbered:
        return f"{numbered[1]}.{_PARTS[numbered[2]]}"
    named = re.search(r"(?:/(kernel|bias)|_([Wb])(?:_\d+)?)(?::\d+)?$", path)
    if not named:
        return path
    steps = path[: named.start()].split("/")
    if steps[0] == "model_weights":
        del steps[0]
    half = len(steps) // 2
    once, twice = "/".join(steps[:half]), "/".join(steps[half:])
    layer = once if once and re.fullmatch(re.escape(once) + r"(_\d+)?", twice) else "/".join(steps)
    return f"{layer}.{_PARTS[named[1] or named[2]]}"
