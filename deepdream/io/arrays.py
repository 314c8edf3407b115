"""The image as an array: float32 (H, W, 3), red, green, blue, 0..255.

It has this form everywhere outside the network. Values may lie outside 0..255 (a dream with `clip=False`); `to_uint8`
clips and rounds them.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import PIL
from numpy.typing import ArrayLike, NDArray
from PIL import Image as Pillow

from .._types import Image
from ..errors import ImageError, ParameterError
from ..memory import describe_shortage
from ..validation import check_count, short_repr

log = logging.getLogger(__name__)

# Images are processed in blocks of about this many pixels, so that the additional memory stays small.
BLOCK_PIXELS = 2**18
BLOCK_BYTES = 60  # for each pixel of a block that is converted and resized
_PILLOW_MAJOR = int(PIL.__version__.split(".")[0])


def check_image(img: ArrayLike) -> Image:
    """Convert an array to an image of this library.

    Args:
        img: (H, W, 3), finite numbers of any type.

    Returns:
        float32 (H, W, 3); a copy of `img` only if necessary.

    Raises:
        ImageError: the shape is different, there are no pixels, or there are values that are not finite numbers.
    """
    if isinstance(img, (str, os.PathLike)):
        raise ImageError(
            f"an image must be an array of numbers; got {short_repr(img)}: read the file with deepdream.read_image"
        )
    try:
        array = np.asarray(img)
        if array.dtype.kind not in "uifb":
            raise TypeError
        with np.errstate(over="ignore"):  # values too large for float32 become infinite and are refused below
            image = array.astype(np.float32, copy=False)
    except (TypeError, ValueError):
        raise ImageError(f"an image must be an array of numbers, (H, W, 3); got {type(img).__name__}") from None
    if image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(f"an image must have the shape (H, W, 3), RGB; got {image.shape}")
    if 0 in image.shape:
        raise ImageError(f"the image has no pixels: its shape is {image.shape}")
    height, width = image.shape[:2]
    if not all(np.isfinite(image[rows]).all() for rows in blocks(height, width)):
        bad = int(np.count_nonzero(~np.isfinite(image)))
        raise ImageError(f"the image has {bad} values that are NaN or infinite; replace them, as numpy.nan_to_num does")
    return image


def warn_if_unit_range(img: Image) -> None:
    """Say so if values are fractions within 0..1, as `caffe.io.load_image` returns them: nearly black."""
    if 0 < img.max() <= 1 and img.min() >= 0 and (img != np.rint(img)).any():
        log.warning(
            "the values of the image are within 0..1, so it is nearly black; if it comes from caffe.io.load_image or "
            "skimage, multiply it by 255"
        )


def blocks(length: int, across: int) -> Iterator[slice]:
    """The rows of an image, or its columns, as slices of at most `BLOCK_PIXELS`, but not less than one of them.

    Args:
        length: the number of rows.
        across: the number of pixels in each.
    """
    count = max(1, BLOCK_PIXELS // max(1, across))
    return (slice(start, min(start + count, length)) for start in range(0, length, count))


def to_uint8(img: NDArray[np.generic]) -> NDArray[np.uint8]:
    """An image in the form of a file: uint8 of the same shape, clipped to 0..255 and rounded."""
    result = np.empty(img.shape, np.uint8)
    for rows in blocks(len(img), img[0].size // 3 if len(img) else 1):
        result[rows] = np.rint(np.clip(img[rows], 0, 255))
    return result


def format_size(shape: tuple[int, ...]) -> str:
    """The size of an image, from its shape (H, W, …), for a person: width×height."""
    return f"{shape[1]}×{shape[0]}"


def fit(img: Image, max_size: int | None) -> Image:
    """An image scaled down so that its longer side has at most `max_size` pixels; `None` leaves it as it is."""
    height, width = img.shape[:2]
    size = fitted_size(height, width, max_size)
    if size == (height, width):
        return img
    smaller = resize(img, *size)
    return smaller.clip(0, 255, out=smaller)


def fitted_size(height: int, width: int, max_size: int | None) -> tuple[int, int]:
    """(height, width) of an image after `fit`."""
    if max_size is None or max(height, width) <= max_size:
        return height, width
    factor = max_size / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def resize(img: Image, height: int, width: int) -> Image:
    """Resize an image; if it shrinks, neighbouring pixels are averaged.

    The filter is Pillow's bicubic one, which may overshoot 0..255 at sharp edges.

    Args:
        img: (H, W, 3), RGB.
        height: the new height in pixels.
        width: the new width in pixels.

    Returns:
        float32 (height, width, 3).

    Raises:
        ImageError: `img` is not an image.
        ParameterError: a size is not a whole number from 1, or the result does not fit into memory.

    Example:
        >>> dd.resize(dd.picture("cat"), 90, 120).shape
        (90, 120, 3)
    """
    img = check_image(img)
    check_count("height", height, 1, "the height in pixels")
    check_count("width", width, 1, "the width in pixels")
    shortage = describe_shortage(resizing_bytes(img.shape[:2], (height, width)))
    if shortage is not None:
        raise ParameterError(f"{width}×{height} pixels need {shortage}; choose a smaller size")
    try:
        return resize_blocks(lambda rows, columns: img[rows, columns], img.shape[:2], (height, width))
    except (
        MemoryError,
        OverflowError,
        ValueError,
    ):  # NumPy raises the last of these for sizes that no machine could hold
        raise ParameterError(f"{width}×{height} pixels do not fit into memory; choose a smaller size") from None


def resize_blocks(block: Callable[[slice, slice], Image], size: tuple[int, int], new_size: tuple[int, int]) -> Image:
    """As `resize`, for an image that is made block by block and need not be in memory.

    Pillow's filter takes two passes, one along the rows and one along the columns, each value of which depends on its
    row or column alone. So the first pass is made block by block, and every bit is the same as for the whole image.

    Args:
        block: a function that returns these rows and columns of the image, float32 (h, w, 3).
        size: (height, width) of the image.
        new_size: the same of the result.

    Returns:
        float32 (*new_size, 3).
    """
    (height, width), (new_height, new_width) = size, new_size
    if _is_resized_vertically_first(size, new_size):
        between = np.empty((3, new_height, width), np.float32)
        for columns in blocks(width, height):
            _resize_planes(block(slice(None), columns), between[:, :, columns])
    else:
        between = np.empty((3, height, new_width), np.float32)
        for rows in blocks(height, width):
            _resize_planes(block(rows, slice(None)), between[:, rows])
    result = np.empty((new_height, new_width, 3), np.float32)
    _resize_planes(between.transpose(1, 2, 0), result.transpose(2, 0, 1))
    return result


def resizing_bytes(size: tuple[int, int], new_size: tuple[int, int]) -> int:
    """The memory that `resize_blocks` needs, including its result; the arguments are the same."""
    (height, width), (new_height, new_width) = size, new_size
    vertically_first = _is_resized_vertically_first(size, new_size)
    between = new_height * width if vertically_first else height * new_width
    block = max(BLOCK_PIXELS, height if vertically_first else width)
    # In the second pass Pillow has a copy of a plane, and makes two of the result's. A block is copied on the way.
    return 16 * between + 20 * new_height * new_width + BLOCK_BYTES * min(block, height * width)


def _is_resized_vertically_first(size: tuple[int, int], new_size: tuple[int, int]) -> bool:
    """Whether Pillow's own `resize` makes the pass along the columns first.

    Since Pillow 13 it does so if the height shrinks by more than twice as many pixels as the width. The order affects
    the last bits.
    """
    (height, width), (new_height, new_width) = size, new_size
    loss = height - new_height
    return _PILLOW_MAJOR >= 13 and loss > 0 and loss > 2 * (width - new_width)


def _resize_planes(img: Image, planes: NDArray[np.float32]) -> None:
    """Resize an image, (H, W, 3), with Pillow, into planes, (3, h, w)."""
    height, width = planes.shape[1:]
    for channel, plane in enumerate(planes):
        whole = Pillow.fromarray(np.ascontiguousarray(img[:, :, channel]))
        plane[:] = np.asarray(whole.resize((width, height), Pillow.Resampling.BICUBIC))


def image_sha256(img: ArrayLike) -> str:
    """The sha256 of an image's size and pixels, hexadecimal: the same for every kind of file that holds them."""
    image = check_image(img)
    height, width = image.shape[:2]
    return sha256_of_rows((image[rows] for rows in blocks(height, width)), height, width)


def sha256_of_rows(strips: Iterable[Image], height: int, width: int) -> str:
    """As `image_sha256`, for an image in strips, float32 (h, width, 3), from top to bottom."""
    digest = hashlib.sha256(f"{width}x{height}:".encode())
    for strip in strips:
        digest.update(np.ascontiguousarray(strip, "<f4").tobytes())
    return digest.hexdigest()
