"""HEIC images, which iPhones make. The package pillow-heif, of the extra `heif`, teaches Pillow to read them."""

from __future__ import annotations

from typing import BinaryIO

from ..errors import DreamError, ImageError
from ..extras import require_extra

HEIF_SUFFIXES = (".heic", ".heif", ".hif")
_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}  # Pillow reads them itself
_MAX_BOX_BYTES = 512


def prepare_heif(file: BinaryIO, name: str) -> bool:
    """If a file is a HEIC image, teach Pillow to read it.

    Args:
        file: the file; its position is then the start.
        name: for the message.

    Returns:
        Whether it is one.

    Raises:
        ImageError: it is one, and the extra `heif` is not installed.
    """
    file.seek(0)
    head = file.read(_MAX_BOX_BYTES)
    file.seek(0)
    if head[4:8] != b"ftyp":
        return False
    box = head[: int.from_bytes(head[:4], "big")]
    brands = {box[8:12], *(box[start : start + 4] for start in range(16, len(box), 4))}
    if not brands & _BRANDS or brands & _AVIF_BRANDS:
        return False
    try:
        pillow_heif = require_extra("pillow_heif", f"{name} is a HEIC image, and reading it", "heif")
    except DreamError as error:
        raise ImageError(str(error)) from None
    pillow_heif.register_heif_opener(thumbnails=False)
    return True
