"""The decoded pixels of an image, as compact as they were stored, and their conversion to RGB a part at a time.

The central type is `Pixels`. Here are those of Pillow's modes with eight bits a channel; those with more are in
`deep_pixels`.
"""

from __future__ import annotations

import abc
from typing import Optional

import numpy as np
from PIL import Image as Pillow

from .._types import Image
from .colour import Conversion, ProfileConversion
from .colour_spaces import Floats

_ALPHA_MODES = {"RGBA", "LA", "PA", "La", "RGBa"}
Part = tuple[Image, Optional[Floats]]


class Pixels(abc.ABC):
    """The pixels of a decoded, upright image.

    Attributes:
        height: in pixels.
        width: in pixels.
        has_alpha: whether a pixel may be transparent.
    """

    height: int
    width: int
    has_alpha: bool

    @abc.abstractmethod
    def part(self, rows: slice, columns: slice) -> Part:
        """A part of the image: sRGB, float32 (h, w, 3), 0..255, and its alpha, float32 (h, w, 1), 0..1, or `None`."""


class EightBitPixels(Pixels):
    """The pixels of a Pillow image with eight bits a channel.

    Args:
        decoded: the image, decoded and upright.
        conversion: that of its colours, from `find_conversion`.

    Raises:
        ValueError: Pillow cannot convert the mode.
    """

    def __init__(self, decoded: Pillow.Image, conversion: Conversion | None) -> None:
        self._decoded, self._conversion = decoded, conversion
        self.height, self.width = decoded.height, decoded.width
        self.has_alpha = _has_alpha(decoded)
        self.part(slice(0, 1), slice(0, 1))

    def part(self, rows: slice, columns: slice) -> Part:
        """See `Pixels.part`."""
        top, bottom, _ = rows.indices(self.height)
        left, right, _ = columns.indices(self.width)
        decoded = self._decoded.crop((left, top, right, bottom))
        alpha: Floats | None = None
        mode = opaque_mode(decoded)
        if self.has_alpha:
            decoded = decoded.convert("RGBA")
            alpha = np.asarray(decoded.getchannel("A")).astype(np.float32)[:, :, None] / np.float32(255)
        return self._to_rgb(decoded.convert(mode)), alpha

    def _to_rgb(self, decoded: Pillow.Image) -> Image:
        """An image without transparency and palette as float32 (h, w, 3), sRGB."""
        if isinstance(self._conversion, ProfileConversion):
            decoded = self._conversion.apply(decoded)
        elif self._conversion is not None:
            values = np.asarray(decoded).astype(np.float32) / np.float32(255)
            return self._conversion.to_srgb(values if values.ndim == 3 else values[:, :, None])
        return np.asarray(decoded.convert("RGB")).astype(np.float32)


def opaque_mode(decoded: Pillow.Image) -> str:
    """The mode of an image's colours, without its transparency and its palette."""
    if _has_alpha(decoded):
        return "L" if decoded.mode[0] == "L" else "RGB"
    return "RGB" if decoded.mode == "P" else decoded.mode


def _has_alpha(decoded: Pillow.Image) -> bool:
    return decoded.mode in _ALPHA_MODES or "transparency" in decoded.info
