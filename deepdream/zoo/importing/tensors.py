"""A tensor of a file, checked before any of its numbers is read.

The central type is `Tensor`: a view of a storage, which is a run of numbers of one type. A file of one is foreign, so
its sizes, strides and offsets are compared with the bytes that are there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import WeightsError
from ...validation import short_repr

MAX_DIMENSIONS = 8
# The types of numbers by the names that both formats can be mapped to: NumPy's type, little-endian. NumPy has no
# bfloat16: it is the upper half of a float32.
_BFLOAT16 = "bfloat16"
_NUMPY = {"float64": "<f8", "float32": "<f4", "float16": "<f2", _BFLOAT16: "<u2", "int64": "<i8"}


@dataclass(frozen=True)
class Storage:
    """A run of numbers in a file.

    Attributes:
        dtype: "float32", "float64", "float16", "bfloat16" or "int64".
        count: how many numbers it has.
        read: reads its bytes.
    """

    dtype: str
    count: int
    read: Callable[[], bytes]

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return self.count * item_size(self.dtype)


@dataclass(frozen=True)
class Tensor:
    """A view of a storage.

    Attributes:
        storage: the storage.
        offset: the number of the storage that comes first.
        shape: its sizes.
        strides: the distances between neighbours along each axis, in numbers.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> NDArray[np.float32]:
        """Read it.

        Raises:
            WeightsError: the file has become shorter, or a value is not finite in float32.
        """
        content = self.storage.read()
        if len(content) != self.storage.nbytes:
            raise WeightsError(f"the file is cut short: {len(content):,} bytes of a storage of {self.storage.nbytes:,}")
        flat = np.frombuffer(content, _NUMPY[self.storage.dtype])
        if self.storage.dtype == _BFLOAT16:
            flat = (flat.astype("<u4") << 16).view("<f4")
        strides = [stride * flat.itemsize for stride in self.strides]
        # `check_view` has made sure that the view stays within the storage.
        view = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides, writeable=False)
        with np.errstate(over="ignore"):  # values too large for float32 become infinite
            return np.ascontiguousarray(view, dtype=np.float32)


def item_size(dtype: str) -> int:
    """The bytes of one number of a type."""
    return np.dtype(_NUMPY[dtype]).itemsize


def read_range(path: Path, start: int, count: int) -> bytes:
    """Read `count` bytes of a file from the byte number `start` on; fewer if it ends before."""
    with open(path, "rb") as file:
        file.seek(start)
        return file.read(count)


def contiguous_strides(shape: Iterable[int]) -> tuple[int, ...]:
    """The strides of a tensor whose numbers lie in order.

    Args:
        shape: its sizes.
    """
    strides: list[int] = []
    step = 1
    for size in reversed(tuple(shape)):
        strides.insert(0, step)
        step *= size
    return tuple(strides)


def check_view(name: str, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    """Raise `WeightsError` unless a view stays within its storage.

    Args:
        name: the tensor's name, for the message.
        storage: the storage.
        offset: as in `Tensor`.
        shape: as in `Tensor`.
        strides: as in `Tensor`.
    """
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS:
        raise WeightsError(
            f"{name} has {len(shape)} sizes and {len(strides)} strides; at most {MAX_DIMENSIONS} of each are read"
        )
    if any(type(number) is not int or number < 0 for number in numbers):  # not shown: it may be a list without end
        raise WeightsError(f"{name} has sizes, strides or an offset that are negative or not whole numbers")
    # A stride of zero repeats numbers: a few bytes would become any number of them.
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))
    if math.prod(shape) > storage.count or (0 not in shape and last >= storage.count):
        raise WeightsError(
            f"{name} has the sizes {short_repr(shape)}, the strides {short_repr(strides)} and the offset "
            f"{short_repr(offset)}, which need more than the {storage.count:,} numbers of its storage"
        )


def check_total(tensors: Iterable[Tensor], file_bytes: int) -> None:
    """Raise `WeightsError` for tensors that share storages to be more, together, than the file has bytes.

    Args:
        tensors: all tensors of the file.
        file_bytes: the size of the file.
    """
    total = sum(math.prod(tensor.shape) * item_size(tensor.storage.dtype) for tensor in tensors)
    if total > file_bytes:
        raise WeightsError(f"its tensors would have {total:,} bytes, and the file has {file_bytes:,}")
