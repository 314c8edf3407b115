"""What an image file says about its picture besides the pixels: EXIF, XMP, IPTC and the resolution.

The central type is `Metadata`. What does not hold of a dream is left out: the rotation (the pixels are upright), the
thumbnail, the makers' own notes, the place unless it is asked for; each is named in `dropped`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image as Pillow

from . import iptc, xmp

EXIF_FOLDER_TAG, GPS_FOLDER_TAG = 0x8769, 0x8825
DESCRIPTION_TAG, COMMENT_TAG = 0x010E, 0x9286
_ORIENTATION_TAG, _COLOUR_SPACE_TAG, _WIDTH_TAG, _HEIGHT_TAG = 0x0112, 0xA001, 0xA002, 0xA003
_MAKER_NOTE_TAG, _INTEROPERABILITY_TAG = 0x927C, 0xA005
# Of the main directory: description, make, model, software, date, artist, host, rating, copyright, Windows'
# title, comment, author, keywords and subject. The others say how a TIFF is stored.
_KEPT_TAGS = {0x010D, 0x010E, 0x010F, 0x0110, 0x011D, 0x0131, 0x0132, 0x013B, 0x013C}
_KEPT_TAGS |= {0x4746, 0x4749, 0x8298, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F}
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"  # of a JPEG's segment
# Of a motion photo: a JPEG or HEIC with a short film at its end.
_FILM_MARKS = (b'MotionPhoto="1"', b'MicroVideo="1"', b"MotionPhoto>1<", b"MicroVideo>1<")
_THUMBNAIL_FOLDER = -1  # Pillow's number of the second directory
_SRGB = 1
_DPI_TAGS, _UNIT_TAG, _INCH = (0x011A, 0x011B), 0x0128, 2
_MAX_DPI = 100_000
KEEPS_LOCATION = " (--keep-location keeps it)"  # in what is left out, by commands that have the option
_RECIPE_MARK = '"recipe"'


@dataclass(frozen=True)
class Metadata:
    """The metadata of an image.

    Attributes:
        tags: the tags of EXIF's main directory: {number: value}.
        exif: those of its Exif directory, with the camera's settings.
        gps: those of its GPS directory.
        xmp: the XMP packet.
        iptc: the records of IPTC-IIM.
        dpi: the resolution, horizontal and vertical.
        dropped: what was left out, in words.
    """

    tags: Mapping[int, Any] = field(default_factory=dict)
    exif: Mapping[int, Any] = field(default_factory=dict)
    gps: Mapping[int, Any] = field(default_factory=dict)
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    dropped: tuple[str, ...] = ()

    @property
    def tells(self) -> bool:
        """Whether it says anything besides the resolution."""
        return bool(self.tags or self.exif or self.gps or self.xmp or self.iptc)

    def without_location(self) -> Metadata:
        """The same without the place where the picture was taken."""
        cleaned, had_place = (None, False) if self.xmp is None else xmp.without_location(self.xmp)
        records, had_names = (None, False) if self.iptc is None else iptc.without_location(self.iptc)
        place = (f"the place{KEEPS_LOCATION}",) if self.gps or had_place or had_names else ()
        return replace(self, gps={}, xmp=cleaned, iptc=records, dropped=self.dropped + place)

    def to_exif(self, height: int, width: int) -> Pillow.Exif:
        """The EXIF data of an image of this size; empty if there is none."""
        exif = Pillow.Exif()
        for number, value in sorted(self.tags.items()):
            exif[number] = value
        if self.exif:
            size = {_COLOUR_SPACE_TAG: _SRGB, _WIDTH_TAG: width, _HEIGHT_TAG: height}
            exif[EXIF_FOLDER_TAG] = dict(sorted({**self.exif, **size}.items()))
        if self.gps:
            exif[GPS_FOLDER_TAG] = dict(sorted(self.gps.items()))
        if len(exif):
            exif[_ORIENTATION_TAG] = 1
        if self.dpi is not None:
            exif[_UNIT_TAG] = _INCH
            for number, value in zip(_DPI_TAGS, self.dpi):
                exif[number] = value
        return exif


def read_metadata(opened: Any) -> Metadata:
    """The metadata of an opened image, which must be decoded: some formats have it behind the pixels.

    Args:
        opened: the `PIL.Image.Image`, or another object with its `format`, `info` and `getexif`.

    Returns:
        All that is kept, with the place.
    """
    dropped: list[str] = []
    tags, exif, gps = _read_exif(opened, dropped)
    return Metadata(
        tags, exif, gps, _read_xmp(opened, dropped), iptc.read(opened, dropped), _read_dpi(opened), tuple(dropped)
    )


def _read_exif(opened: Any, dropped: list[str]) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    """(main directory, Exif directory, GPS directory), without what is not kept."""
    try:
        whole = opened.getexif()
        tags = {number: value for number, value in whole.items() if number in _KEPT_TAGS}
        exif, gps = dict(whole.get_ifd(EXIF_FOLDER_TAG)), dict(whole.get_ifd(GPS_FOLDER_TAG))
        if opened.format != "TIFF" and whole.get_ifd(_THUMBNAIL_FOLDER):  # there, it is the second page
            dropped.append("the thumbnail")
        if exif.pop(_MAKER_NOTE_TAG, None):
            dropped.append("the maker notes")
        exif.pop(_INTEROPERABILITY_TAG, None)
        if _is_recipe(tags.get(DESCRIPTION_TAG)):
            del tags[DESCRIPTION_TAG]
        if _is_recipe(exif.get(COMMENT_TAG)):
            del exif[COMMENT_TAG]
        Metadata(tags, exif, gps).to_exif(1, 1).tobytes()
        return tags, exif, gps
    except Exception:  # damage may make Pillow's reader and writer raise any error
        dropped.append("the EXIF data, which is damaged")
        return {}, {}, {}


def _read_xmp(opened: Any, dropped: list[str]) -> bytes | None:
    """The XMP packet, without what does not hold of a dream."""
    packet = opened.info.get("xmp") or opened.info.get("XML:com.adobe.xmp") or _tag(opened, 700)
    if packet is None:  # older Pillows leave a JPEG's among its segments
        segments = [content for marker, content in getattr(opened, "applist", ()) if content.startswith(XMP_HEADER)]
        packet = segments[0][len(XMP_HEADER) :] if segments else None
    packet = packet.encode() if isinstance(packet, str) else packet
    if not isinstance(packet, bytes) or not packet:
        return None
    if any(mark in packet for mark in _FILM_MARKS):
        dropped.append("the film of the motion photo")
    cleaned = xmp.cleaned(packet)
    if cleaned is None:
        dropped.append("the XMP data, which is damaged or too long")
    return cleaned


def _read_dpi(opened: Any) -> tuple[float, float] | None:
    """The resolution in dots per inch; `None` if there is none, or an impossible one."""
    try:
        # PNG counts dots per metre, so that 240 dpi come back as 240.0046.
        across, down = (round(float(value), 1) for value in opened.info["dpi"])
        # A TIFF without a unit has 1 dpi.
        return (across, down) if 1 < across <= _MAX_DPI and 1 < down <= _MAX_DPI else None
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _tag(opened: Any, number: int) -> Any:
    """A tag of a TIFF; `None` if it has none."""
    tags: Any = getattr(opened, "tag_v2", None)
    return None if tags is None else tags.get(number)


def _is_recipe(value: Any) -> bool:
    """Whether a comment is the recipe of an earlier dream."""
    text = value.decode("ascii", "ignore") if isinstance(value, bytes) else value
    return isinstance(text, str) and _RECIPE_MARK in text
