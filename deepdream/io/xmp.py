"""XMP packets: which of their properties a dream keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.dom import Node, minidom
from xml.parsers.expat import ExpatError

_MAX_BYTES = 60_000  # a JPEG holds 65,502 in one segment
_EXIF, _TIFF = "http://ns.adobe.com/exif/1.0/", "http://ns.adobe.com/tiff/1.0/"
_PHOTOSHOP, _IPTC = "http://ns.adobe.com/photoshop/1.0/", "http://iptc.org/std/Iptc4xmp"
_LOCATIONS = {
    (_PHOTOSHOP, "City"),
    (_PHOTOSHOP, "State"),
    (_PHOTOSHOP, "Country"),
    (f"{_IPTC}Core/1.0/xmlns/", "Location"),
    (f"{_IPTC}Core/1.0/xmlns/", "CountryCode"),
    (f"{_IPTC}Ext/2008-02-29/", "LocationCreated"),
    (f"{_IPTC}Ext/2008-02-29/", "LocationShown"),
}
# What describes the old pixels, or parts of the file that a dream lacks: gain maps, depth, films of motion photos.
_OLD_PIXELS = {
    (_TIFF, "Orientation"),
    (_TIFF, "ImageWidth"),
    (_TIFF, "ImageLength"),
    (_EXIF, "PixelXDimension"),
    (_EXIF, "PixelYDimension"),
    (_EXIF, "ColorSpace"),
    (_PHOTOSHOP, "ICCProfile"),
    ("http://ns.adobe.com/xap/1.0/", "Thumbnails"),
    ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"),
}
_OLD_PARTS = (
    "http://ns.adobe.com/hdr-gain-map/",
    "http://ns.apple.com/HDRGainMap/",
    "http://ns.apple.com/pixeldatainfo/",
    "http://ns.google.com/photos/",
)


def cleaned(packet: bytes) -> bytes | None:
    """A packet without what describes the old pixels; `None` if it is damaged or too long."""
    return _without(packet, lambda space, name: (space, name) in _OLD_PIXELS or space.startswith(_OLD_PARTS))[0]


def without_location(packet: bytes) -> tuple[bytes | None, bool]:
    """(the packet without the place where a picture was taken, whether it named one)."""
    return _without(packet, _is_location)


def _is_location(space: str, name: str) -> bool:
    # Drones write the position under names of their own, such as drone-dji:GpsLatitude.
    position = name.lower().startswith("gps") or any(word in name.lower() for word in ("latitude", "longitude"))
    return position or (space, name) in _LOCATIONS


def _without(packet: bytes, is_dropped: Callable[[str, str], bool]) -> tuple[bytes | None, bool]:
    """(the packet without the properties that a function of namespace and name chooses, whether it had one)."""
    if len(packet) > _MAX_BYTES or b"<!" in packet:  # no packet has a DTD, whose entities may grow without limit
        return None, False
    try:
        document = minidom.parseString(packet.strip(b"\0"))
    except (ExpatError, ValueError, LookupError):
        return None, False
    with document:
        found = _remove(document, is_dropped)
        return "".join(node.toxml() for node in document.childNodes).encode(), found


def _remove(node: Any, is_dropped: Callable[[str, str], bool]) -> bool:
    """Remove the chosen elements and attributes below a node; whether there was one."""
    found = False
    for child in list(node.childNodes):
        if child.nodeType == Node.ELEMENT_NODE:
            if is_dropped(child.namespaceURI or "", child.localName or ""):
                node.removeChild(child)
                found = True
            else:
                found |= _remove(child, is_dropped)
    if node.nodeType == Node.ELEMENT_NODE:
        for attribute in list(node.attributes.values()):
            if is_dropped(attribute.namespaceURI or "", attribute.localName or ""):
                node.removeAttributeNode(attribute)
                found = True
    return found
