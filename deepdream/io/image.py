"""Image files <-> arrays.

An array is an image as in `deepdream.io.arrays`: float32 (H, W, 3), RGB, 0..255. Every format that Pillow reads can be
read; PNG, JPEG, TIFF and WebP can be written.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from .._types import Image
from ..errors import ImageError, ParameterError
from ..validation import check_count, short_repr
from .arrays import check_image
from .background import WHITE
from .carried_metadata import Metadata
from .decoding import DecodedImage, check_decoding_memory, image_errors
from .encoding import encode
from .files import atomic_path, check_path, check_regular_file, why_not_a_folder
from .gain_maps import has_gain_map, has_other_images
from .heif import prepare_heif
from .jpeg2000 import Jpeg2000Source, read_header
from .metadata import check_text, embedded_text, needs_decoding
from .raw import refuse_raw
from .source import ImageSource
from .tiff_pixels import TiffSource, is_misread, is_tiff

log = logging.getLogger(__name__)


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


NO_METADATA = Metadata()  # of an image that was not read from a file
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
        refuse_raw(file, name)
        prepare_heif(file, name)
        try:
            opened = Pillow.open(file)
        except UnidentifiedImageError:
            if not is_tiff(file):
                raise
            return TiffSource(file, name, max_size, colour)
        with opened:
            if is_misread(opened):
                return TiffSource(file, name, max_size, colour)
            has_others = has_other_images(opened)
            if has_gain_map(opened):
                log.info("%s has an HDR gain map, which is left out: the dream begins with its SDR image", name)
                has_others = False
            dropped = ("the other images",) if has_others else ()
            if opened.format == "JPEG2000":
                header = read_header(opened, file)
                if header.is_deep_colour:
                    return Jpeg2000Source(opened, file, header, name, max_size, colour)
                dropped = ("the EXIF data",) if header.has_exif else ()
            return DecodedImage(opened, name, max_size, colour, dropped)


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
    with _open_file(path) as (file, name):
        prepare_heif(file, name)
        return _embedded_text(file, name)


def _embedded_text(file: BinaryIO, name: str) -> str | None:
    """The text in an open file; see `read_embedded_text`."""
    with Pillow.open(file) as opened:
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
    check_format_size(os.fspath(path), output_format(path), height, width)


def check_format_size(name: str, output: OutputFormat, height: int, width: int) -> None:
    """Raise `ImageError` if a format cannot hold an image of this size; `name` is for the message."""
    if output.max_side and max(height, width) > output.max_side:
        raise ImageError(
            f"{name}: {output.name} holds at most {output.max_side} pixels per side, the image has "
            f"{max(height, width)}; write a PNG"
        )


def write_image(
    path: str | os.PathLike[str],
    img: ArrayLike,
    recipe: SupportsJson | None = None,
    *,
    metadata: Metadata | None = NO_METADATA,
    alpha: NDArray[np.float32] | None = None,
    quality: int | None = None,
) -> None:
    """Write an image as PNG, TIFF (lossless), JPEG or WebP (quality 95), by the path's suffix.

    The file is written under a temporary name and then renamed, so an older file is replaced only by a complete one.

    Args:
        path: the path to write to; its folder must exist.
        img: (H, W, 3), RGB; values are clipped to 0..255 and rounded.
        recipe: a `Recipe` to write into the file; `Recipe.from_image` reads it back.
        metadata: that of an `ImageSource`, to write as well; `None`: none, not even that the colours are sRGB.
        alpha: (H, W), 0..1: how opaque the image is, in PNG, TIFF and WebP; `None`: all of it is. A JPEG holds the
            image as it looks on white.
        quality: of JPEG and WebP, 1..100; `None`: 95.

    Raises:
        ImageError: the suffix is unknown, the image is too large for the format, or the folder cannot be written.
        ParameterError: `path` is not a path, `recipe` not a recipe, `alpha` not of the image's size or out of its
            range, or `quality` out of its range.

    Example:
        >>> dd.write_image("cat.jpg", dd.picture("cat"))
        >>> dd.read_image("cat.jpg").shape
        (300, 451, 3)
    """
    output = output_format(path)
    try:
        # In memory first: on a full disk, an encoder that writes to a file may print lines of its own, or stay silent.
        encoded = encode_image(os.fspath(path), output, img, recipe, metadata, alpha, quality)
        with atomic_path(path) as temporary:
            temporary.write_bytes(encoded)
    except OSError as error:
        folder = Path(path).parent
        if not folder.exists():
            raise ImageError(f"{path}: the folder {folder} {why_not_a_folder(folder)}") from None
        raise ImageError(f"{path} cannot be written: {error.strerror or error}") from None


def encode_image(
    name: str,
    output: OutputFormat,
    img: ArrayLike,
    recipe: SupportsJson | None = None,
    metadata: Metadata | None = NO_METADATA,
    alpha: NDArray[np.float32] | None = None,
    quality: int | None = None,
) -> bytes:
    """The bytes of the file that `write_image` writes; what its format cannot hold is logged.

    Args:
        name: for messages.
        output: its format.
        img: see `write_image`.
        recipe: see `write_image`.
        metadata: see `write_image`.
        alpha: see `write_image`.
        quality: see `write_image`.

    Raises:
        ImageError, ParameterError: as in `write_image`.
    """
    text = None
    if recipe is not None:
        if isinstance(recipe, type) or not callable(getattr(recipe, "to_json", None)):
            raise ParameterError(f"recipe={short_repr(recipe)}: it must be a deepdream.Recipe, or None")
        text = recipe.to_json()
        check_text(text)
    image = check_image(img)
    check_format_size(name, output, *image.shape[:2])
    if alpha is not None:
        alpha = _checked_alpha(alpha, *image.shape[:2])
    options = output.options
    if quality is not None:
        check_count("quality", quality, 1, "the quality of a JPEG or WebP", 100)
        options = {**options, "quality": quality} if "quality" in options else options
    encoded, lost = encode(output.name, options, image, text, metadata, alpha)
    if lost:
        log.info("%s lacks %s", name, ", ".join(lost))
    return encoded


def _checked_alpha(alpha: Any, height: int, width: int) -> NDArray[np.float32]:
    """An alpha as float32.

    Raises:
        ParameterError: it is not of this size, or has values outside 0..1.
    """
    try:
        values = np.asarray(alpha, np.float32)
    except (TypeError, ValueError):
        raise ParameterError(f"alpha={short_repr(alpha)}: it must be an array of numbers, 0 to 1") from None
    if values.shape != (height, width):
        raise ParameterError(f"alpha has the shape {values.shape}, but the image's is {(height, width)}; resize one")
    if not ((values >= 0) & (values <= 1)).all():
        raise ParameterError("alpha has values outside 0..1, or that are not numbers; divide one of 8 bits by 255")
    return values
