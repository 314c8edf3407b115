"""Masks: which parts of an image are dreamt.

A mask is float32 (H, W), from 0 to 1: the share of each pixel's gradient that a step adds. Where it is 1 the image is
dreamt, where it is 0 it stays as it is, bit for bit, and between them it changes less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage as nd
from numpy.typing import ArrayLike, NDArray
from PIL import Image as Pillow

from ._types import Image
from .data.bundled import open_picture
from .errors import ImageError, ParameterError
from .io.arrays import format_size
from .io.source import ArraySource, ImageSource, source_of
from .validation import check_count, check_flag, check_number, check_wrap, short_repr

Mask = NDArray[np.float32]

MAX_FEATHER = 10_000  # pixels
_MAX_STRETCH = 0.02  # a mask may have other proportions than its image by this share, as after it was scaled


def read_mask(
    image: str | Path | ArrayLike | ImageSource,
    size: tuple[int, int] | None = None,
    feather: float = 0,
    invert: bool = False,
    wrap: str | None = None,
) -> Mask:
    """A mask from an image: white is dreamt, black stays as it is, grey is between.

    Args:
        image: a file or a name that `picture` accepts, or an array (H, W, 3), 0..255.
        size: (height, width) of the image that is dreamt on, to which the mask is scaled; `None`: the mask's own.
        feather: the width of the edges in pixels, over which the dream fades inside of the white parts.
        invert: black is dreamt instead.
        wrap: that of the dream: over edges that join, the dream fades, too.

    Returns:
        float32 (H, W), 0..1.

    Raises:
        ImageError: the image cannot be read, has other proportions, or leaves nothing to dream.
        ParameterError: another argument is out of its range.

    Example:
        >>> mask = dd.read_mask("coffee", size=(64, 96), feather=8)
        >>> mask.shape, mask.dtype
        ((64, 96), dtype('float32'))
        >>> out = dd.deepdream(net, dd.picture("cat")[:64, :96], iter_n=1, octave_n=1, mask=mask)
    """
    check_number("feather", feather, 0, "the width of the mask's edges in pixels", MAX_FEATHER)
    check_flag("invert", invert, "whether black is dreamt instead of white")
    check_wrap(wrap)
    source = open_picture(image) if isinstance(image, (str, Path)) else source_of(image)
    what = "the mask" if isinstance(source, ArraySource) else f"the mask {source.name}"
    mask = source.full().mean(axis=2, dtype=np.float32).clip(0, 255) / np.float32(255)
    height, width = mask.shape if size is None else size
    mask = check_mask(mask, height, width, allow_empty=True, what=what)
    if invert:
        mask = 1 - mask
    if feather and not mask.all():
        mask = mask * np.minimum(_distance_to_black(mask, feather, wrap) / (feather + 1), 1).astype(np.float32)
    return _check_not_empty(mask, what)


def _distance_to_black(mask: Mask, limit: float, wrap: str | None) -> NDArray[np.float64]:
    """The distance of each pixel to the nearest black one, exact up to `limit` over edges that join."""
    far = [min(math.ceil(limit) + 1, n) if letter in (wrap or "") else 0 for letter, n in zip("yx", mask.shape)]
    wider = np.pad(mask, [(n, n) for n in far], mode="wrap")
    distance = nd.distance_transform_edt(wider > 0)
    return distance[far[0] : far[0] + mask.shape[0], far[1] : far[1] + mask.shape[1]]


def equirectangular_mask(height: int, width: int) -> Mask:
    """A mask for a panorama all around: the cosine of each row's latitude.

    Towards the poles of such an image a part of the sphere has more and more pixels, and the dream is drawn out as
    they are; with this mask it fades there.

    Args:
        height: the image's, in pixels; its rows are the latitudes from 90° to -90°.
        width: the image's.

    Returns:
        float32 (H, W), 1 at the equator and nearly 0 at the poles.

    Example:
        >>> mask = dd.equirectangular_mask(90, 180)
        >>> mask.shape, bool(mask[45, 0] > 0.999), bool(mask[0, 0] < 0.02)
        ((90, 180), True, True)
    """
    check_count("height", height, 1, "the image's height in pixels")
    check_count("width", width, 1, "the image's width in pixels")
    latitude = np.pi * ((np.arange(height) + 0.5) / height - 0.5)
    return np.repeat(np.cos(latitude).astype(np.float32)[:, None], width, axis=1)


def check_mask(mask: Any, height: int, width: int, allow_empty: bool = False, what: str = "the mask") -> Mask:
    """A mask at the size of its image.

    Args:
        mask: (H, W), numbers from 0 to 1.
        height: the image's, in pixels.
        width: the image's.
        allow_empty: whether it may be 0 everywhere.
        what: the mask, for the message.

    Raises:
        ImageError: it has other proportions, or is 0 everywhere.
        ParameterError: it is something else.
    """
    try:
        checked = np.asarray(mask)
        if checked.dtype.kind not in "uifb" or checked.ndim != 2 or not checked.size:
            raise ValueError
    except (TypeError, ValueError):
        raise ParameterError(
            f"mask={short_repr(mask)}: it must be an array (H, W) of numbers from 0 to 1; read_mask makes one of a file"
        ) from None
    if not (checked.min() >= 0 and checked.max() <= 1):  # false for NaN as well
        raise ParameterError(
            f"mask has values from {checked.min():g} to {checked.max():g}: they must be from 0, which stays, to "
            "1, which is dreamt"
        )
    rows, columns = checked.shape
    if abs(math.log((columns / rows) / (width / height))) > _MAX_STRETCH and abs(columns * height / rows - width) >= 1:
        raise ImageError(
            f"{what} has {format_size(checked.shape)} pixels and the image {width}×{height}: give it the same "
            "proportions"
        )
    scaled = _scale(np.ascontiguousarray(checked, np.float32), (height, width))
    return scaled if allow_empty else _check_not_empty(scaled, what)


def octave_masks(mask: Mask, shapes: Sequence[tuple[int, int]]) -> list[Mask]:
    """A mask at the size of each octave, the smallest first."""
    return [_scale(mask, shape) for shape in shapes]


def keep_outside(image: Image, original: Image, mask: Mask | None) -> Image:
    """An image that is `original`, bit for bit, where its mask is 0; `None`: there is no mask."""
    return image if mask is None else np.where(mask[:, :, None] > 0, image, original)


def _scale(mask: Mask, shape: tuple[int, int]) -> Mask:
    """A mask at another size; each value is a mean, so none is outside 0..1, and black stays black away from edges."""
    if mask.shape == shape or mask.min() == mask.max():
        return np.broadcast_to(mask.flat[0], shape) if mask.shape != shape else mask
    height, width = shape
    scaled = np.asarray(Pillow.fromarray(mask).resize((width, height), Pillow.Resampling.BILINEAR))
    return scaled.clip(0, 1)


def _check_not_empty(mask: Mask, what: str) -> Mask:
    if not mask.any():
        raise ImageError(f"{what} is black everywhere, so nothing would be dreamt; invert it, or paint a part white")
    return mask
