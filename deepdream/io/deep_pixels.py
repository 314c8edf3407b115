"""Images with more than eight bits a channel.

The central type is `DeepPixels`. Pillow keeps such grey values whole, but only the high bytes of such colours. Its
decoders are therefore run twice: the second time they are told the other byte order, and so keep the low bytes.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from .arrays import blocks
from .colour import Conversion, find_conversion
from .pixels import Part, Pixels

log = logging.getLogger(__name__)

_GREY_MODES = {"I;16", "I;16L", "I;16B", "I;16N", "I", "F"}
_SAMPLES = {"RGB": 3, "RGBX": 3, "RGBA": 4, "RGBa": 4, "LA": 2}  # of a pixel, by the start of Pillow's raw mode
_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
_PHOTOMETRIC_TAG, _MAX_VALUE_TAG, _BITS_TAG, _FORMAT_TAG = 262, 281, 258, 339  # of TIFF
_OVERSHOOT = 2  # a float above it means that white is 255 and not 1
_DARK = 16  # an image whose largest value is this fraction of white is nearly black


@dataclass
class Samples:
    """Values as they are stored.

    Attributes:
        values: (H, W, C): grey or RGB, and alpha if `has_alpha`.
        white: the value of white.
        black: the value of black.
        has_alpha: whether the last channel is alpha.
        premultiplied: whether the colours were multiplied by it.
        transparent: the stored colour that is transparent, C numbers; `None`: there is none.
    """

    values: NDArray[Any]
    white: float
    black: float = 0
    has_alpha: bool = False
    premultiplied: bool = False
    transparent: tuple[int, ...] | None = None

    @property
    def colours_n(self) -> int:
        """The number of channels without alpha."""
        return self.values.shape[2] - self.has_alpha


class DeepPixels(Pixels):
    """The pixels of an image with more than eight bits a channel.

    Args:
        samples: the values, upright.
        conversion: that of their colours.
    """

    def __init__(self, samples: Samples, conversion: Conversion | None) -> None:
        self._samples, self._conversion = samples, conversion
        self.height, self.width = samples.values.shape[:2]
        self.has_alpha = samples.has_alpha or samples.transparent is not None

    def part(self, rows: slice, columns: slice) -> Part:
        """See `Pixels.part`."""
        samples = self._samples
        stored = samples.values[rows, columns]
        alpha = None
        colours = _to_levels(stored[:, :, : samples.colours_n], samples.black, samples.white)
        if samples.has_alpha:
            alpha = _to_levels(stored[:, :, -1:], 0, max(samples.white, samples.black)).clip(0, 255) / np.float32(255)
            if samples.premultiplied:
                colours = colours / np.maximum(alpha, np.float32(1e-6))
        elif samples.transparent is not None:
            alpha = (stored != samples.transparent).any(axis=2, keepdims=True).astype(np.float32)
        colours = colours.clip(0, 255)
        if self._conversion is not None:
            return self._conversion.to_srgb(colours / np.float32(255)), alpha
        return np.repeat(colours, 3, axis=2) if samples.colours_n == 1 else colours, alpha


def is_deep(opened: Pillow.Image) -> bool:
    """Whether an opened image has more than eight bits a channel, and `read_samples` can read them."""
    return opened.mode in _GREY_MODES or _samples_n(opened) is not None


def deep_bytes(opened: Pillow.Image) -> int:
    """The memory that the samples of an opened deep image need, in bytes."""
    size = 2 if opened.mode.startswith("I;16") else 4
    return opened.width * opened.height * (2 * (_samples_n(opened) or 0) or size)


def deep_pixels(opened: Pillow.Image, load: Callable[[Pillow.Image], Pillow.Image], name: str) -> DeepPixels:
    """Decode an opened deep image.

    Args:
        opened: the image, not decoded yet; the file that it was opened from must allow seeking.
        load: a function that decodes an image and turns it upright.
        name: for messages.

    Raises:
        ValueError: there are values that are not numbers.
    """
    file = getattr(opened, "fp", None)
    samples = _grey_samples(opened, load) if opened.mode in _GREY_MODES else _colour_samples(opened, load, file)
    warn_if_dark(samples, name)
    mode = "L" if samples.colours_n == 1 else "RGB"
    return DeepPixels(samples, find_conversion(opened, mode, file, deep=True))


def white_of_floats(values: NDArray[Any]) -> float:
    """The value of white among floats: 1 if all are within 0..1, or nearly; else 255, or the largest above that.

    Raises:
        ValueError: there are values that are not numbers.
    """
    top = _largest(values)
    return 1 if top <= _OVERSHOOT else 255 if top <= 255 else top


def warn_if_dark(samples: Samples, name: str) -> None:
    """Say so if no value comes near that of white, as where values of 12 bits are stored as they are in 16."""
    if samples.values.dtype.kind == "u" and samples.black == 0:
        top = int(_largest(samples.values[:, :, : samples.colours_n]))
        if 0 < top * _DARK <= samples.white:
            log.warning(
                "%s is nearly black: its largest value is %d, and white is %d; if its values have fewer bits, multiply "
                "them first",
                name,
                top,
                samples.white,
            )


def _grey_samples(opened: Pillow.Image, load: Callable[[Pillow.Image], Pillow.Image]) -> Samples:
    """The values of a grey image, which Pillow keeps."""
    tags: Any = getattr(opened, "tag_v2", None) or {}
    mode = opened.mode
    values = np.asarray(load(opened))[:, :, None]
    if mode == "F":
        white = white_of_floats(values)
    elif mode == "I":  # older Pillow's mode for 16-bit grey PNGs; or a genuine 32-bit image
        unsigned = opened.format == "TIFF" and tags.get(_FORMAT_TAG, (1,))[0] == 1
        values = values.view(np.uint32) if unsigned else values
        white = 65535 if _largest(values) <= 65535 else 2**32 - 1 if unsigned else 2**31 - 1
    else:
        white = white_of_bits(tags.get(_BITS_TAG, (16,))[0], tags.get(_MAX_VALUE_TAG))
    if tags.get(_PHOTOMETRIC_TAG) == 0:
        return Samples(values, 0, white)
    transparent = opened.info.get("transparency")
    return Samples(values, white, transparent=(transparent,) if isinstance(transparent, int) else None)


def white_of_bits(bits: int, max_value: Any = None) -> int:
    """The value of white of integers.

    Args:
        bits: how many are stored.
        max_value: TIFF's MaxSampleValue. It may be a statistic, so it counts only if it is the most for so many bits.
    """
    top = max(max_value) if isinstance(max_value, tuple) and max_value else max_value
    if isinstance(top, int) and 255 < top < 2**bits - 1 and top & (top + 1) == 0:
        return top
    return int(2**bits - 1)


def _colour_samples(opened: Pillow.Image, load: Callable[[Pillow.Image], Pillow.Image], file: Any) -> Samples:
    """The values of an image whose colours, or whose grey and alpha, have 16 bits."""
    count, raw_mode = _samples_n(opened), _raw_mode(opened.tile[0])  # type: ignore[attr-defined]
    tags: Any = getattr(opened, "tag_v2", None) or {}
    if count == 2:  # both bytes of both are four channels
        values = np.asarray(load(_with_raw_mode(opened, "RGBA"))).view(">u2")
    else:
        plain = raw_mode.replace("RGBa", "RGBA")
        values = np.asarray(load(_with_raw_mode(Pillow.open(file), plain)))[:, :, :count].astype(np.uint16)
        values <<= 8
        low_bytes = plain[:-1] + _OTHER_ORDER[plain[-1]]
        values |= np.asarray(load(_with_raw_mode(opened, low_bytes)))[:, :, :count]
    transparent = opened.info.get("transparency")
    return Samples(
        values,
        white_of_bits(16, tags.get(_MAX_VALUE_TAG)),
        has_alpha=count in (2, 4),
        premultiplied=raw_mode.startswith("RGBa"),
        transparent=transparent if isinstance(transparent, tuple) and count == 3 else None,
    )


def _samples_n(opened: Pillow.Image) -> int | None:
    """The number of 16-bit samples of a pixel, without padding; `None` if the image is not of that kind."""
    raw_modes = {_raw_mode(tile) for tile in getattr(opened, "tile", ())}
    if opened.format not in ("PNG", "TIFF") or len(raw_modes) != 1 or opened.tell():
        return None
    base, _, depth = raw_modes.pop().partition(";")
    return _SAMPLES.get(base) if depth in ("16L", "16B", "16N") else None


def _raw_mode(tile: Any) -> str:
    """The raw mode of one of Pillow's tiles."""
    arguments = tile[3]
    return str(arguments if isinstance(arguments, str) else arguments[0] if arguments else "")


def _with_raw_mode(opened: Any, raw_mode: str) -> Pillow.Image:
    """The opened image, whose decoder now takes the stored bytes for those of another raw mode."""
    for index, tile in enumerate(opened.tile):
        arguments = raw_mode if isinstance(tile[3], str) else (raw_mode, *tile[3][1:])
        # Older Pillows have plain tuples.
        opened.tile[index] = tile._replace(args=arguments) if hasattr(tile, "_replace") else (*tile[:3], arguments)
    return opened


def _to_levels(stored: NDArray[Any], black: float, white: float) -> NDArray[np.float32]:
    """Stored values as float32, with black as 0 and white as 255."""
    if stored.dtype.itemsize <= 2 and stored.dtype.kind == "u":
        return (stored.astype(np.float32) - np.float32(black)) / np.float32((white - black) / 255)
    exact = np.float32 if stored.dtype.kind == "f" else np.float64
    return ((stored.astype(exact) - exact(black)) * exact(255 / (white - black))).astype(np.float32)


def _largest(values: NDArray[Any]) -> float:
    """The largest value.

    Raises:
        ValueError: there are values that are not numbers.
    """
    parts = [values[rows] for rows in blocks(*values.shape[:2])]
    if values.dtype.kind == "f" and not all(np.isfinite(part).all() for part in parts):
        raise ValueError("it has pixels that are not numbers")
    return float(max(part.max() for part in parts))
