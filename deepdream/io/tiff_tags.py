"""Adds tags to a TIFF that Pillow has written: with its compression, it writes no EXIF folders.

The layout is that of TIFF 6.0, section 2: the new directory is appended, and the header points to it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

_ENTRY_BYTES = 12


def add_tags(content: bytes, tags: Mapping[int, Any], types: Mapping[int, int]) -> bytes:
    """A TIFF with additional tags in its first directory.

    Args:
        content: the bytes of the file.
        tags: {number: value}; a mapping as the value becomes a directory of its own.
        types: TIFF's types of tags that Pillow does not know.
    """
    order = "<" if content[:2] == b"II" else ">"
    (start,) = struct.unpack_from(f"{order}I", content, 4)
    entries = _entries(content, start, order)
    content += bytes(len(content) % 2)
    directory = ImageFileDirectory_v2(prefix=content[:2])
    for number, value in tags.items():
        if number in types:
            directory.tagtype[number] = types[number]
        directory[number] = value
    values = directory.tobytes(len(content))
    values += bytes(len(values) % 2)
    entries.update(_entries(values, 0, order))
    place = struct.pack(f"{order}I", len(content) + len(values))
    merged = struct.pack(f"{order}H", len(entries)) + b"".join(entry for _, entry in sorted(entries.items())) + bytes(4)
    return content[:4] + place + content[8:] + values + merged


def _entries(content: bytes, start: int, order: str) -> dict[int, bytes]:
    """The entries of the directory at a place: {tag: bytes}."""
    (count,) = struct.unpack_from(f"{order}H", content, start)
    places = [start + 2 + _ENTRY_BYTES * index for index in range(count)]
    return {struct.unpack_from(f"{order}H", content, at)[0]: content[at : at + _ENTRY_BYTES] for at in places}
