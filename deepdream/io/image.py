"""Image files <-> arrays.

An array is an image as in `deepdream.io.arrays`: float32 (H, W, 3), RGB, 0..255. Every format that Pillow reads can be
read; PNG, JPEG, TIFF and WebP can be written.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from numpy.typing import ArrayLike
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from .._types import Image
from ..errors import ImageError, ParameterError
from ..validation import check_count, short_repr
from .arrays import check_image, to_uint8
from .decoding import WHITE, DecodedImage, check_decoding_memory, image_errors
from .files import atomic_path, check_path, check_regular_file, why_not_a_folder
from .metadata import embedded_text, needs_decoding, text_options
from .source import ImageSource
from .tiff_pixels import TiffSource, is_misread, is_tiff


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
    """The part of a recipe that a file needs."""

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


def read_image(path: str | os.PathLike[str] | BinaryIO, max_size: int | None = None) -> Image:
    """Read an image file.

    The pixels are those that a viewer shows: a camera's rotation (EXIF) is applied, transparent parts become white,
    embedded colour profiles are converted to sRGB, and grey, palette, CMYK and 16-bit images become RGB values in
    0..255. For an animation, the first frame is read.

    Args:
        path: a path, or a binary file object.
        max_size: the longer side, in pixels, that a larger image is scaled down to, which needs a fraction of the
            memory of the whole; `None`: it is not scaled.

    Returns:
        float32 (H, W, 3), RGB, 0..255.

    Raises:
        ImageError: the file does not exist, cannot be decoded whole, or needs more memory than is free.
        ParameterError: `path` is neither a path nor a file object, or `max_size` is not a whole number from 1.

    Example:
        >>> dd.write_image("clouds.png", dd.picture("clouds"))
        >>> img = dd.read_image("clouds.png")
        >>> img.shape, img.dtype
        ((575, 1024, 3), dtype('float32'))
        >>> dd.read_image("clouds.png", max_size=512).shape
        (288, 512, 3)
    """
    return open_image(path, max_size).fit(max_size)


def open_image(
    path: str | os.PathLike[str] | BinaryIO, max_size: int | None = None, background: Sequence[float] = WHITE
) -> ImageSource:
    """Decode an image file, as `read_image` does, without making a float32 array of it yet.

    Args:
        path: a path, or a binary file object.
        max_size: the longer side of the version that is used later, which must also fit into memory; `None`: the
            whole.
        background: the RGB colour, 0..255, that transparent parts are laid on.

    Returns:
        The image in full size.

    Raises:
        ImageError: as in `read_image`.
        ParameterError: as in `read_image`.
    """
    check_max_size(max_size)
    colour = tuple(background)
    with _open_file(path) as (file, name):
        try:
            opened = Pillow.open(file)
        except UnidentifiedImageError:
            if not is_tiff(file):
                raise
            return TiffSource(file, name, max_size, colour)
        with opened:
            if is_misread(opened):
                return TiffSource(file, name, max_size, colour)
            return DecodedImage(opened, name, max_size, colour)


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
    with _open_file(path) as (file, name), Pillow.open(file) as opened:
        if needs_decoding(opened):
            check_decoding_memory(opened, name)
        return embedded_text(opened)


def check_max_size(max_size: int | None) -> None:
    """Raise `ParameterError` unless `max_size` is a number of pixels or `None`."""
    if max_size is not None:
        check_count("max_size", max_size, 1, "the longer side in pixels")


@contextlib.contextmanager
def _open_file(path: str | os.PathLike[str] | BinaryIO) -> Iterator[tuple[BinaryIO, str]]:
    """Open an image file; every error, here or while it is used, becomes an `ImageError`.

    Yields:
        (file, name for messages).
    """
    with contextlib.ExitStack() as stack:
        if isinstance(path, (str, os.PathLike)):
            name = os.fspath(path)
            check_regular_file(path, math.inf, ImageError)
            stack.enter_context(image_errors(name))
            # Pillow would map a file of this name into memory, and the process would die if it were cut short later.
            file: BinaryIO = stack.enter_context(open(path, "rb"))
        elif hasattr(path, "read"):
            name = getattr(path, "name", "the image")
            stack.enter_context(image_errors(name))
            file = path
        else:
            raise ParameterError(f"path={short_repr(path)}: it must be a path or a binary file object")
        # Pillow warns from 89 megapixels on and refuses twice as many; only the refusal is a limit here.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield file, name


def output_format(path: str | os.PathLike[str]) -> OutputFormat:
    """The format that a path's suffix stands for.

    Args:
        path: the path to write an image to.

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


def check_output_size(path: str | os.PathLike[str], height: int, width: int) -> None:
    """Raise `ImageError` if the format that a path's suffix stands for cannot hold an image of this size."""
    format_name, _, max_side = output_format(path)
    if max_side and max(height, width) > max_side:
        raise ImageError(
            f"{path}: {format_name} holds at most {max_side} pixels per side, the image has {max(height, width)}; "
            "write a PNG"
        )


def write_image(path: str | os.PathLike[str], img: ArrayLike, recipe: SupportsJson | None = None) -> None:
    """Write an image as PNG, TIFF (lossless), JPEG or WebP (quality 95), by the path's suffix.

    The file is written under a temporary name and then renamed, so an older file is replaced only by a complete one.

    Args:
        path: the path to write to; its folder must exist.
        img: (H, W, 3), RGB; values are clipped to 0..255 and rounded.
        recipe: a `Recipe` to write into the file; `Recipe.from_image` reads it back.

    Raises:
        ImageError: the suffix is unknown, the image is too large for the format, or the folder cannot be written.
        ParameterError: `path` is not a path, or `recipe` not a recipe.

    Example:
        >>> dd.write_image("cat.jpg", dd.picture("cat"))
        >>> dd.read_image("cat.jpg").shape
        (300, 451, 3)
    """
    format_name, options, _ = output_format(path)
    if recipe is not None:
        if isinstance(recipe, type) or not callable(getattr(recipe, "to_json", None)):
            raise ParameterError(f"recipe={short_repr(recipe)}: it must be a deepdream.Recipe, or None")
        options = {**options, **text_options(format_name, recipe.to_json())}
    image = check_image(img)
    check_output_size(path, *image.shape[:2])
    encoded = io.BytesIO()
    try:
        # In memory first: on a full disk, an encoder that writes to a file may print lines of its own, or stay silent.
        Pillow.fromarray(to_uint8(image)).save(encoded, format_name, **options)
        with atomic_path(path) as temporary:
            temporary.write_bytes(encoded.getbuffer())
    except OSError as error:
        folder = Path(path).parent
        if not folder.exists():
            raise ImageError(f"{path}: the folder {folder} {why_not_a_folder(folder)}") from None
        raise ImageError(f"{path} cannot be written: {error.strerror or error}") from None
