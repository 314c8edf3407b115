"""The code points of an AVIF's colours: its box "colr" of the kind "nclx" (ISO/IEC 23008-12 and 14496-12).

Pillow does not read them. pillow-heif does so for HEIC.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

_MAX_META_BYTES = 2**20


def read_nclx(file: BinaryIO) -> tuple[int, int] | None:
    """The code points of the main image.

    Args:
        file: the file; its position is kept.

    Returns:
        (primaries, transfer) by ITU-T H.273; `None` if the file names none, or is damaged.
    """
    position = file.tell()
    try:
        meta = _read_meta(file)
        return None if meta is None else _main_codes(meta)
    except (LookupError, struct.error, ValueError):
        return None
    finally:
        file.seek(position)


def _read_meta(file: BinaryIO) -> bytes | None:
    """The content of the box "meta", without its version."""
    file.seek(0)
    while len(header := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", header)
        size -= 8
        if size == 1 - 8:
            size = int.from_bytes(file.read(8), "big") - 16
        if kind == b"meta":
            return file.read(min(size, _MAX_META_BYTES))[4:] if size > 0 else None
        if size <= 0:  # to the end of the file, or damaged
            return None
        file.seek(size, 1)
    return None


def _main_codes(meta: bytes) -> tuple[int, int] | None:
    """The code points among the properties of the main item."""
    boxes = dict(_boxes(meta))
    version, content = boxes[b"pitm"][0], boxes[b"pitm"][4:]
    main = int.from_bytes(content[: 4 if version else 2], "big")
    properties = dict(_boxes(boxes[b"iprp"]))
    stored = list(_boxes(properties[b"ipco"]))
    for number in _associations(properties[b"ipma"])[main]:
        kind, content = stored[number - 1]
        if kind == b"colr" and content[:4] == b"nclx":
            primaries, transfer = struct.unpack_from(">2H", content, 4)
            return primaries, transfer
    return None


def _associations(ipma: bytes) -> dict[int, list[int]]:
    """{item: the numbers of its properties, from 1}."""
    version, wide = ipma[0], ipma[3] & 1
    (count,) = struct.unpack_from(">I", ipma, 4)
    at, found = 8, {}
    for _ in range(min(count, len(ipma))):
        (item,) = struct.unpack_from(">I" if version else ">H", ipma, at)
        at += 4 if version else 2
        (properties_n,) = struct.unpack_from(">B", ipma, at)
        numbers = struct.unpack_from(f">{properties_n}{'H' if wide else 'B'}", ipma, at + 1)
        found[item] = [number & (0x7FFF if wide else 0x7F) for number in numbers]
        at += 1 + properties_n * (2 if wide else 1)
    return found


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, content) of each box."""
    at = 0
    while at + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        if size < 8:
            raise ValueError("a box of an unusual size")
        yield kind, content[at + 8 : at + size]
        at += size
