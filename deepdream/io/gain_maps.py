"""Finds out what a file holds besides its first image: others, or a gain map, of which a phone makes HDR.

None of them is used here.
"""

from __future__ import annotations

import contextlib
from typing import Any

from PIL import Image as Pillow

_XMP_MARKS = (b"http://ns.adobe.com/hdr-gain-map/", b"http://ns.apple.com/HDRGainMap/", b"hdrgainmap")
_ISO_MARK = b"urn:iso:std:iso:ts:21496"  # in a JPEG's APP2 segment


def has_gain_map(opened: Pillow.Image) -> bool:
    """Whether an opened image has a gain map: of Adobe and Android, of Apple, or of ISO 21496-1."""
    info: dict[Any, Any] = opened.info
    if any("hdrgainmap" in str(name) for name in info.get("aux") or ()):  # a HEIC's
        return True
    if any(content.startswith(_ISO_MARK) for _, content in getattr(opened, "applist", ())):
        return True
    return _is_marked(info.get("xmp")) or (opened.format == "MPO" and _is_second_image(opened))


def has_other_images(opened: Pillow.Image) -> bool:
    """Whether an opened file holds more images: an animation's, a burst's, further pages."""
    with contextlib.suppress(Exception):  # damage may make Pillow's reader raise any error
        return bool(getattr(opened, "is_animated", False))
    return False


def _is_second_image(opened: Any) -> bool:
    """Whether the second image of an MPO is a gain map, as Apple's JPEGs have it."""
    with contextlib.suppress(Exception):  # damage may make Pillow's reader raise any error
        try:
            opened.seek(1)
            return _is_marked(opened.info.get("xmp"))
        finally:
            opened.seek(0)
    return False


def _is_marked(xmp: Any) -> bool:
    return isinstance(xmp, bytes) and any(mark in xmp for mark in _XMP_MARKS)
