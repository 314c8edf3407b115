"""The records of IPTC-IIM: captions, keywords, credits, as news agencies write them.

A record is 0x1C, its number, the number of its data set, and two bytes of length before the content (IIM, chapter 1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

_TIFF_TAG, _RESOURCE = 33723, 0x0404  # of Photoshop's resources in a JPEG
_MARKER = 0x1C
_MAX_BYTES = 60_000
_APPLICATION_RECORD = 2
_LOCATIONS = {26, 27, 90, 92, 95, 100, 101}  # content location, city, part of it, state, country
_PREVIEWS = {200, 201, 202}


def read(opened: Any, dropped: list[str]) -> bytes | None:
    """The records of an opened image; `None` if it has none.

    Args:
        opened: the image.
        dropped: the words for records that cannot be kept are added here.
    """
    resources: Any = opened.info.get("photoshop")
    tags: Any = getattr(opened, "tag_v2", None) or {}
    records = resources.get(_RESOURCE) if isinstance(resources, dict) else tags.get(_TIFF_TAG)
    if isinstance(records, tuple):  # some writers call the bytes numbers of 32 bits
        records = struct.pack(f"<{len(records)}I", *(number & 0xFFFFFFFF for number in records))
    if not isinstance(records, bytes) or not records:
        return None
    try:
        return _without(records, _PREVIEWS)[0]
    except (ValueError, struct.error):
        dropped.append("the IPTC data, which is damaged or too long")
        return None


def without_location(records: bytes) -> tuple[bytes, bool]:
    """(the records without the place where a picture was taken, whether they named one)."""
    return _without(records, _LOCATIONS)


def jpeg_segment(records: bytes) -> bytes:
    """The records as a JPEG's segment APP13, a resource of Photoshop's."""
    content = b"Photoshop 3.0\0" + b"8BIM" + struct.pack(">HHI", _RESOURCE, 0, len(records)) + records
    content += bytes(len(records) % 2)
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


def _without(records: bytes, dropped: set[int]) -> tuple[bytes, bool]:
    """(the records without these data sets of the application record, whether it had one)."""
    if len(records) > _MAX_BYTES:
        raise ValueError("too long")
    kept = list(_split(records))
    rest = [whole for record, data_set, whole in kept if record != _APPLICATION_RECORD or data_set not in dropped]
    return b"".join(rest), len(rest) < len(kept)


def _split(records: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(record, data set, all its bytes) of each."""
    at = 0
    while at + 5 <= len(records) and records[at] == _MARKER:
        record, data_set, length = struct.unpack_from(">BBH", records, at + 1)
        end = at + 5 + length
        if length >= 0x8000 or end > len(records):
            raise ValueError("damaged")
        yield record, data_set, records[at:end]
        at = end
    if records[at:].strip(b"\0"):
        raise ValueError("damaged")
