"""Files of the safetensors format: a length, a header in JSON, and the numbers."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import WeightsError
from ...validation import parse_int, short_repr
from .tensors import MAX_DIMENSIONS, Storage, Tensor, contiguous_strides, read_range

if TYPE_CHECKING:
    from typing import TypeGuard  # since Python 3.10

MAX_HEADER_BYTES = 2**20  # GoogLeNet's has 40 thousand
_LENGTH_BYTES = 8
_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64"}
_METADATA = "__metadata__"


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file.

    Args:
        path: the file.

    Returns:
        {name: tensor}; no numbers have been read yet.

    Raises:
        WeightsError: the header is damaged, or does not describe the rest of the file byte for byte.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        limit = min(MAX_HEADER_BYTES, size - _LENGTH_BYTES)
        if length > limit:
            raise WeightsError(f"its header claims {length:,} bytes, and at most {max(0, limit):,} are possible")
        header = _parse_header(file.read(length))
    start = _LENGTH_BYTES + length
    tensors: dict[str, Tensor] = {}
    ranges: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        if name != _METADATA:
            tensors[name], begin, end = _parse_entry(path, start, name, entry)
            ranges.append((begin, end, name))
    _check_ranges(ranges, size - start)
    return tensors


def _parse_header(content: bytes) -> dict[str, Any]:
    try:
        header = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_int=_int,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
    except (ValueError, RecursionError) as error:  # of which broken UTF-8 and broken JSON are kinds
        raise WeightsError(f"its header is not what the format says ({short_repr(str(error))})") from None
    if not isinstance(header, dict):
        raise WeightsError("its header is not a table of tensors")
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name, value in pairs:
        if name in table:
            raise ValueError(f"{short_repr(name)} is there twice")
        table[name] = value
    return table


def _int(text: str) -> int:
    # Python needs hours for a million digits.
    number = parse_int(text) if len(text) < 20 else None
    return number if number is not None else _no_number(text)


def _no_number(text: str) -> int:
    raise ValueError(f"{short_repr(text)} is not a size")


def _parse_entry(path: Path, start: int, name: str, entry: Any) -> tuple[Tensor, int, int]:
    """(tensor, first byte, byte after the last) of an entry of the header; the bytes are counted from `start`."""
    described = entry if isinstance(entry, dict) else {}
    dtype, shape, offsets = described.get("dtype"), described.get("shape"), described.get("data_offsets")
    if type(dtype) is not str or not _are_ints(shape, MAX_DIMENSIONS) or not _are_ints(offsets, 2) or len(offsets) != 2:
        raise WeightsError(
            f"its header describes {short_repr(name)} without a dtype, a shape of at most {MAX_DIMENSIONS} sizes and "
            "two data_offsets"
        )
    if dtype not in _DTYPES:
        raise WeightsError(f"{short_repr(name)} has the type {short_repr(dtype)}; it must be {', '.join(_DTYPES)}")
    begin, end = offsets
    count = math.prod(shape)
    storage = Storage(_DTYPES[dtype], count, functools.partial(read_range, path, start + begin, end - begin))
    if end - begin != storage.nbytes:
        raise WeightsError(
            f"{short_repr(name)} has the shape {short_repr(shape)} of {dtype}, which needs {storage.nbytes:,} bytes; "
            f"its data_offsets are {begin:,} and {end:,}"
        )
    return Tensor(storage, 0, tuple(shape), contiguous_strides(shape)), begin, end


def _are_ints(values: Any, max_count: int) -> TypeGuard[list[int]]:
    return isinstance(values, list) and len(values) <= max_count and all(type(value) is int for value in values)


def _check_ranges(ranges: list[tuple[int, int, str]], data_bytes: int) -> None:
    """Raise `WeightsError` unless the tensors cover the rest of the file, without gaps and without overlaps."""
    place = 0
    for begin, end, name in sorted(ranges):
        if begin != place:
            raise WeightsError(
                f"{short_repr(name)} begins at byte {begin:,} of the data, and the tensor before it ends at {place:,}"
            )
        place = end
    if place != data_bytes:
        raise WeightsError(f"its tensors need {place:,} bytes, and the file has {data_bytes:,}")
