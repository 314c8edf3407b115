"""The image as an array: float32 (H, W, 3), red, green, blue, 0..255.

It is this everywhere outside the network. Values may lie outside 0..255 (a dream with `clip=False`); `to_uint8` clips
and rounds them.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image as Pillow

from .._types import Image
from ..errors import ImageError, ParameterError
from ..validation import check_count


def check_image(img: ArrayLike) -> Image:
    """An array as an image of this library.

    Args:
        img: (H, W, 3), finite numbers of any type.

    Returns:
        float32 (H, W, 3); a copy of `img` only if need be.

    Raises:
        ImageError: another shape, no pixels, or values that are not finite numbers.
    """
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
    if not np.isfinite(image).all():
        bad = int(np.count_nonzero(~np.isfinite(image)))
        raise ImageError(f"the image has {bad} values that are NaN or infinite; replace them, as numpy.nan_to_num does")
    return image


def to_uint8(img: NDArray[np.generic]) -> NDArray[np.uint8]:
    """An image as a file holds it: uint8 of the same shape, clipped to 0..255 and rounded."""
    return np.rint(np.clip(img, 0, 255)).astype(np.uint8)


def fit(img: Image, max_size: int | None) -> Image:
    """An image scaled down so that its longer side has at most `max_size` pixels; `None` leaves it as it is."""
    height, width = img.shape[:2]
    if max_size is None or max(height, width) <= max_size:
        return img
    factor = max_size / max(height, width)
    return resize(img, max(1, round(height * factor)), max(1, round(width * factor))).clip(0, 255)


def resize(img: Image, height: int, width: int) -> Image:
    """Resize an image; where it shrinks, neighbouring pixels are averaged.

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
    try:
        channels = [
            Pillow.fromarray(np.ascontiguousarray(img[:, :, c])).resize((width, height), Pillow.Resampling.BICUBIC)
            for c in range(3)
        ]
        return np.stack([np.asarray(channel) for channel in channels], axis=-1)
    except (MemoryError, OverflowError):
        raise ParameterError(f"{width}×{height} pixels do not fit into memory; choose a smaller size") from None


def image_sha256(img: ArrayLike) -> str:
    """The sha256 of an image's size and pixels, hexadecimal: the same for every kind of file that holds them."""
    pixels = np.ascontiguousarray(check_image(img), "<f4")
    return hashlib.sha256(f"{pixels.shape[1]}x{pixels.shape[0]}:".encode() + pixels.tobytes()).hexdigest()
