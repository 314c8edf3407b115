"""Image files <-> arrays.

An array is an image as `deepdream.io.arrays` has it: float32 (H, W, 3), RGB, 0..255. A file may be of any kind that
Pillow reads; written are PNG, JPEG, TIFF and WebP.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from numpy.typing import ArrayLike
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from .._types import Image
from ..errors import ImageError, ParameterError
from ..validation import short_repr
from .arrays import check_image, to_uint8
from .decoding import decode
from .files import atomic_path, check_path, check_regular_file, why_not_a_folder
from .metadata import embedded_text, text_options


class OutputFormat(NamedTuple):
    """A format that images are written in.

    Attributes:
        name: Pillow's name of it.
        options: keyword arguments of Pillow's `save`.
        max_side: the longest side that it can hold, in pixels; `None`: any.
    """

    name: str
    options: dict[str, Any]
    max_side: int | None


class SupportsJson(Protocol):
    """A recipe, as far as a file needs to know it."""

    def to_json(self) -> str:
        """The recipe as one line of ASCII."""


_JPEG = OutputFormat("JPEG", {"quality": 95, "subsampling": 0}, 65500)
_TIFF = OutputFormat("TIFF", {"compression": "tiff_adobe_deflate"}, None)
_OUTPUT_FORMATS = {
    ".png": OutputFormat("PNG", {}, None),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": OutputFormat("WEBP", {"quality": 95, "method": 4}, 16383),
}


def read_image(path: str | os.PathLike[str] | BinaryIO) -> Image:
    """Read an image file.

    Every common kind comes in as it looks in a viewer: a camera's rotation (EXIF) is applied, transparency is laid on
    white, embedded colour profiles are converted to sRGB, grey, palette, CMYK and 16-bit images become RGB values
    in 0..255. Of an animation the first frame is read.

    Args:
        path: a path, or a binary file object.

    Returns:
        float32 (H, W, 3), RGB, 0..255.

    Raises:
        ImageError: the file does not exist, or cannot be decoded whole.
        ParameterError: `path` is neither a path nor a file object.

    Example:
        >>> dd.write_image("clouds.png", dd.picture("clouds"))
        >>> img = dd.read_image("clouds.png")
        >>> img.shape, img.dtype
        ((575, 1024, 3), dtype('float32'))
    """
    with _open_image(path) as opened:
        return decode(opened)


def read_embedded_text(path: str | os.PathLike[str] | BinaryIO) -> str | None:
    """The text that `write_image` wrote into an image file with the image.

    Args:
        path: a path, or a binary file object.

    Returns:
        The text; `None` if the file has none.

    Raises:
        ImageError: the file does not exist, or is not an image.
        ParameterError: `path` is neither a path nor a file object.
    """
    with _open_image(path) as opened:
        return embedded_text(opened)


@contextlib.contextmanager
def _open_image(path: str | os.PathLike[str] | BinaryIO) -> Iterator[Pillow.Image]:
    """Open an image with Pillow; whatever is wrong with it, here or while it is used, is an `ImageError`."""
    if isinstance(path, (str, os.PathLike)):
        name = os.fspath(path)
        check_regular_file(path, math.inf, ImageError)
    elif hasattr(path, "read"):
        name = getattr(path, "name", "the image")
    else:
        raise ParameterError(f"path={short_repr(path)}: it must be a path or a binary file object")
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels on and refuses twice as many; only the refusal is a limit here.
            warnings.simplefilter("ignore")
            with Pillow.open(path) as opened:
                yield opened
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise ImageError(f"{name} is a folder, not an image") from None
    except PermissionError:
        raise ImageError(f"{name} cannot be read: permission denied") from None
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not an image that can be read; use a PNG, JPEG, TIFF, WebP, GIF or BMP") from None
    except Pillow.DecompressionBombError:
        limit = 2 * (Pillow.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise ImageError(f"{name} has more than {limit} megapixels; scale it down first") from None
    except MemoryError:
        raise ImageError(f"{name} does not fit into memory; scale it down first") from None
    except Exception as error:  # Pillow's decoders raise anything that the damage leads to
        if getattr(error, "errno", None) or "null byte" in str(error):  # the system refused; no decoder was asked
            raise ImageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        raise ImageError(f"{name} is damaged or cut short ({error}); export it again as PNG or JPEG") from None


def output_format(path: str | os.PathLike[str]) -> OutputFormat:
    """The format that a path's suffix stands for.

    Args:
        path: where an image is to be written.

    Returns:
        The format.

    Raises:
        ImageError: the suffix is unknown.
        ParameterError: `path` is not a path.
    """
    check_path("path", path)
    suffix = Path(path).suffix.lower()
    if suffix not in _OUTPUT_FORMATS:
        known = ", ".join(_OUTPUT_FORMATS)
        raise ImageError(f"{path}: cannot write {suffix or 'a file without suffix'}; end the name in one of {known}")
    return _OUTPUT_FORMATS[suffix]


def write_image(path: str | os.PathLike[str], img: ArrayLike, recipe: SupportsJson | None = None) -> None:
    """Write an image as PNG, TIFF (lossless), JPEG or WebP (quality 95), by the path's suffix.

    The file is written under a temporary name and renamed: it is whole, or the older one stays.

    Args:
        path: where to write; its folder must exist.
        img: (H, W, 3), RGB; values are clipped to 0..255 and rounded.
        recipe: a `Recipe` to write into the file, from where `Recipe.from_image` reads it.

    Raises:
        ImageError: the suffix is unknown, the image is too large for the format, or the folder cannot be written.
        ParameterError: `path` is not a path, or `recipe` not a recipe.

    Example:
        >>> dd.write_image("cat.jpg", dd.picture("cat"))
        >>> dd.read_image("cat.jpg").shape
        (300, 451, 3)
    """
    format_name, options, max_side = output_format(path)
    if recipe is not None:
        if isinstance(recipe, type) or not callable(getattr(recipe, "to_json", None)):
            raise ParameterError(f"recipe={short_repr(recipe)}: it must be a deepdream.Recipe, or None")
        options = {**options, **text_options(format_name, recipe.to_json())}
    image = check_image(img)
    height, width = image.shape[:2]
    if max_side and max(height, width) > max_side:
        raise ImageError(
            f"{path}: {format_name} holds at most {max_side} pixels a side, the image has {max(height, width)}; "
            "write a PNG"
        )
    encoded = io.BytesIO()
    try:
        # In memory first: on a full disk an encoder that writes itself may print lines of its own, or stay silent.
        Pillow.fromarray(to_uint8(image)).save(encoded, format_name, **options)
        with atomic_path(path) as temporary:
            temporary.write_bytes(encoded.getbuffer())
    except OSError as error:
        folder = Path(path).parent
        if not folder.exists():
            raise ImageError(f"{path}: the folder {folder} {why_not_a_folder(folder)}") from None
        raise ImageError(f"{path} cannot be written: {error.strerror or error}") from None
