"""An image -> the bytes of a file, with its recipe, its metadata and its alpha."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms
from PIL.PngImagePlugin import PngInfo

from .._types import Image
from . import iptc
from .alpha import with_alpha
from .arrays import to_uint8
from .carried_metadata import COMMENT_TAG, DESCRIPTION_TAG, EXIF_FOLDER_TAG, XMP_HEADER, Metadata
from .metadata import KEY, user_comment
from .tiff_tags import add_tags

_XMP_TAG, _IPTC_TAG, _BYTE, _UNDEFINED = 700, 33723, 1, 7  # TIFF's tags and types
_MAX_EXIF_BYTES = 65_000  # of a JPEG's segment


def encode(
    format_name: str,
    options: dict[str, Any],
    image: Image,
    text: str | None,
    metadata: Metadata | None,
    alpha: NDArray[np.float32] | None = None,
) -> tuple[bytes, list[str]]:
    """Encode an image.

    Args:
        format_name: Pillow's name of the format: "PNG", "JPEG", "TIFF" or "WEBP".
        options: keyword arguments of Pillow's `save`.
        image: (H, W, 3), RGB, 0..255.
        text: the recipe; `None`: there is none.
        metadata: what is written besides it; `None`: nothing, not even that the colours are sRGB.
        alpha: (H, W), 0..1; `None`, or for a JPEG: the image is opaque.

    Returns:
        (the bytes of the file, what the format cannot hold, in words).
    """
    lost: list[str] = []
    if alpha is not None and format_name == "JPEG":
        lost.append("the transparency: it lies on white")
        alpha = None
    pixels = to_uint8(image) if alpha is None else with_alpha(image, alpha)
    options = dict(options)
    tags: dict[int, Any] = {}
    if metadata is not None and metadata.dpi is not None:
        options["dpi"] = metadata.dpi
    if format_name == "PNG":
        options["pnginfo"] = _png_chunks(text, metadata)
    elif metadata is not None:
        options["icc_profile"] = srgb_profile()
    kept = metadata or Metadata()
    if format_name == "TIFF":
        tags = _tiff_tags(kept, text, lost, *pixels.shape[:2])
    else:
        options.update(_exif_options(format_name, kept, text, lost, *pixels.shape[:2]))
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, format_name, **options)
    types = {_XMP_TAG: _BYTE, _IPTC_TAG: _UNDEFINED}
    return (add_tags(file.getvalue(), tags, types) if tags else file.getvalue()), lost


def srgb_profile() -> bytes:
    """The bytes of an ICC profile of sRGB, the same every time."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    date = b"\x07\xdf\0\1\0\1\0\0\0\0\0\0"  # LittleCMS writes the time of day
    return profile[:24] + date + profile[36:]


def _png_chunks(text: str | None, metadata: Metadata | None) -> PngInfo:
    """The chunks of a PNG beside EXIF and the resolution."""
    info = PngInfo()
    if metadata is not None:
        info.add(b"sRGB", b"\0")
        if metadata.xmp is not None:
            info.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode())
        if metadata.iptc is not None:  # PNG has no chunk for it; this is ImageMagick's and exiftool's text
            digits = metadata.iptc.hex()
            lines = "\n".join(digits[start : start + 72] for start in range(0, len(digits), 72))
            info.add_text("Raw profile type iptc", f"\niptc\n{len(metadata.iptc):8}\n{lines}\n", zip=True)
    if text is not None:
        info.add_text(KEY, text)
    return info


def _exif_options(
    format_name: str, metadata: Metadata, text: str | None, lost: list[str], height: int, width: int
) -> dict[str, Any]:
    """The keyword arguments for the metadata of a PNG, JPEG or WebP."""
    options: dict[str, Any] = {}
    exif = metadata.to_exif(height, width)
    if format_name == "JPEG":
        options["extra"] = b""
        if metadata.xmp is not None:
            content = XMP_HEADER + metadata.xmp
            options["extra"] += b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content
        if metadata.iptc is not None:
            options["extra"] += iptc.jpeg_segment(metadata.iptc)
    elif format_name == "WEBP":
        if metadata.xmp is not None:
            options["xmp"] = metadata.xmp
        if metadata.iptc is not None:
            lost.append("the IPTC data")
    if text is not None and format_name != "PNG":
        folder = dict(metadata.exif and exif[EXIF_FOLDER_TAG])
        if COMMENT_TAG in folder:
            lost.append("the comment, in whose place the recipe is")
        exif[EXIF_FOLDER_TAG] = {**folder, COMMENT_TAG: user_comment(text)}
        if len(exif.tobytes()) > _MAX_EXIF_BYTES:
            lost.append("the EXIF data, which are too long beside the recipe")
            exif = Pillow.Exif()
            exif[EXIF_FOLDER_TAG] = {COMMENT_TAG: user_comment(text)}
    if len(exif):
        options["exif"] = exif
    return options


def _tiff_tags(metadata: Metadata, text: str | None, lost: list[str], height: int, width: int) -> dict[int, Any]:
    """The additional tags of a TIFF."""
    tags: dict[int, Any] = dict(metadata.to_exif(height, width))
    if metadata.xmp is not None:
        tags[_XMP_TAG] = metadata.xmp
    if metadata.iptc is not None:
        tags[_IPTC_TAG] = metadata.iptc
    if text is not None:
        if DESCRIPTION_TAG in tags:
            lost.append("the description, in whose place the recipe is")
        tags[DESCRIPTION_TAG] = text
    return tags
