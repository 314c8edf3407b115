"""A text inside a picture file: a PNG's text, EXIF's user comment in JPEG and WebP, TIFF's image description.

The central type is an ASCII string: what each of these places holds without loss in every reader.
"""

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .errors import ImageError

KEY = "deepdream"  # of the PNG text chunk
_DESCRIPTION, _EXIF, _COMMENT = 0x010E, 0x8769, 0x9286  # tags of EXIF and TIFF
_ASCII = b"ASCII\0\0\0"  # how a user comment says its encoding
MOST = 60_000  # bytes: EXIF has 64 KiB in a JPEG


def with_text(format_name, text):
    """Options for Pillow's `save` that put an ASCII `text` into a file of this format.

    **Raises:** `ImageError` if the text is too long to be held.
    """
    if len(text) > MOST:
        raise ImageError(f"the recipe has {len(text):,} characters, a picture file holds at most {MOST:,}")
    if format_name == "PNG":
        info = PngInfo()
        info.add_text(KEY, text)
        return {"pnginfo": info}
    exif = Image.Exif()
    if format_name == "TIFF":  # its writer knows no EXIF folder with this compression
        exif[_DESCRIPTION] = text
    else:
        exif[_EXIF] = {_COMMENT: _ASCII + text.encode("ascii")}
    return {"exif": exif}


def text_of(picture):
    """The text inside an opened Pillow picture, or `None`. The pixels are not decoded."""
    if isinstance(picture.info.get(KEY), str):
        return picture.info[KEY]
    try:
        exif = picture.getexif()
        comment = exif.get_ifd(_EXIF).get(_COMMENT)
        if isinstance(comment, bytes) and comment.startswith(_ASCII):
            return comment[len(_ASCII):].decode("ascii")
        description = exif.get(_DESCRIPTION)
        return description if isinstance(description, str) else None
    except Exception:  # Pillow's reader raises whatever the damage makes it stumble over
        return None
