"""A text inside an image file: a PNG's text, EXIF's user comment in JPEG and WebP, TIFF's image description.

The central type is an ASCII string: each of these places holds it without loss in every reader.
"""

from __future__ import annotations

from PIL import Image as Pillow

from ..errors import ImageError

KEY = "deepdream"  # of the PNG text chunk
MAX_TEXT_BYTES = 60_000  # EXIF has 64 KiB in a JPEG
# Tags of EXIF and TIFF.
_DESCRIPTION_TAG, _EXIF_FOLDER_TAG, _COMMENT_TAG = 0x010E, 0x8769, 0x9286
_ASCII_PREFIX = b"ASCII\0\0\0"  # how a user comment names its encoding


def check_text(text: str) -> None:
    """Raise `ImageError` if a text is too long for an image file."""
    if len(text) > MAX_TEXT_BYTES:
        raise ImageError(
            f"the recipe has {len(text):,} characters, and an image file holds at most {MAX_TEXT_BYTES:,}: use fewer "
            "keyframes, guides, channels or labels"
        )


def user_comment(text: str) -> bytes:
    """The value of EXIF's user comment for a text of ASCII."""
    return _ASCII_PREFIX + text.encode("ascii")


def needs_decoding(opened: Pillow.Image) -> bool:
    """Whether `embedded_text` decodes the pixels: those of a PNG whose EXIF data, if any, comes after them."""
    return opened.format == "PNG" and KEY not in opened.info and "exif" not in opened.info


def embedded_text(opened: Pillow.Image) -> str | None:
    """The text inside an opened Pillow image, or `None`. The pixels are decoded only if `needs_decoding` is true."""
    text = opened.info.get(KEY)
    if isinstance(text, str):
        return text
    try:
        exif = opened.getexif()
        comment = exif.get_ifd(_EXIF_FOLDER_TAG).get(_COMMENT_TAG)
        if isinstance(comment, bytes) and comment.startswith(_ASCII_PREFIX):
            return comment[len(_ASCII_PREFIX) :].decode("ascii")
        description = exif.get(_DESCRIPTION_TAG)
        return description if isinstance(description, str) else None
    except Exception:  # damage may make Pillow's reader raise any error
        return None
