"""Refuses cameras' raw files by name: Pillow would read the small preview that many of them begin with."""

from __future__ import annotations

import contextlib
from typing import Any, BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ..errors import ImageError

# (place, bytes, kind) of the beginning of a file.
_SIGNATURES = (
    (0, b"FUJIFILMCCD-RAW", "RAF"),
    (0, b"IIRO", "ORF"),
    (0, b"IIRS", "ORF"),
    (0, b"MMOR", "ORF"),
    (0, b"IIU\0", "RW2"),
    (4, b"ftypcrx ", "CR3"),
    (8, b"CR\x02\0", "CR2"),
)
_TIFF = (b"II*\0", b"MM\0*")
_KIND_TAG, _WIDTH_TAG, _HEIGHT_TAG, _FURTHER_IMAGES_TAG, _DNG_TAG = 254, 256, 257, 330, 50706
_REDUCED = 1  # a bit of the first tag: the image is a smaller version of another


def refuse_raw(file: BinaryIO, name: str) -> None:
    """Raise `ImageError` if a file is a camera's raw file; its position is then the start.

    Args:
        file: the file.
        name: for the message.
    """
    file.seek(0)
    head = file.read(16)
    kind = next((kind for at, mark, kind in _SIGNATURES if head[at:].startswith(mark)), None)
    preview = ""
    if kind is None and head[:4] in _TIFF:
        tags = _first_tags(file)
        if _DNG_TAG in tags:
            kind = "DNG"
        elif _FURTHER_IMAGES_TAG in tags and _is_reduced(tags.get(_KIND_TAG)):
            kind = "of a kind like NEF or ARW"
        preview = f", of which only a preview of {tags.get(_WIDTH_TAG)}×{tags.get(_HEIGHT_TAG)} pixels could be read"
    file.seek(0)
    if kind is not None:
        raise ImageError(f"{name} is a camera's raw file ({kind}){preview}; develop it first and export a TIFF or JPEG")


def _first_tags(file: BinaryIO) -> dict[int, Any]:
    """The tags of a TIFF's first image, as far as they can be read."""
    with contextlib.suppress(Exception):  # damage may make Pillow's reader raise any error
        file.seek(0)
        directory = ImageFileDirectory_v2(file.read(8))
        file.seek(directory.next)
        directory.load(file)
        return dict(directory)
    return {}


def _is_reduced(kind: Any) -> bool:
    return isinstance(kind, int) and bool(kind & _REDUCED)
