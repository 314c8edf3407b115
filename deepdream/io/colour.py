"""The conversion of an opened image's colours to sRGB, chosen by what its file says.

The central function is `find_conversion`. What a profile is called does not count: a profile is sRGB if LittleCMS
converts with it and changes nothing.
"""

from __future__ import annotations

import io
import logging
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms

from .._types import Image
from .cicp import UNSPECIFIED, colour_space
from .colour_spaces import SRGB, ColourSpace, Floats
from .icc import read_profile
from .nclx import read_nclx
from .png_colour import png_colour_space

log = logging.getLogger(__name__)

_SIDES = 9  # colours along each side of the cube on which a profile is compared with sRGB


class ProfileConversion:
    """An ICC profile applied by LittleCMS, with eight bits a channel.

    Args:
        profile: the bytes of the profile.
        mode: Pillow's mode of the images, "L", "RGB" or "CMYK".

    Raises:
        ImageCms.PyCMSError, OSError, TypeError, ValueError: the profile is damaged or of another kind of colours.
    """

    def __init__(self, profile: bytes, mode: str) -> None:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        self._mode = mode
        self._transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        self.apply(Pillow.new(mode, (1, 1)))

    def apply(self, decoded: Pillow.Image) -> Pillow.Image:
        """An image of the mode as an sRGB one."""
        return self._transform.apply(decoded)

    def to_srgb(self, values: Floats) -> Image:
        """Values, float32 (h, w, 1 or 3), 0..1, as sRGB, float32 (h, w, 3), 0..255."""
        eight_bit = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
        decoded = Pillow.fromarray(eight_bit[:, :, 0] if self._mode == "L" else eight_bit)
        return np.asarray(self.apply(decoded)).astype(np.float32)

    def is_identity(self) -> bool:
        """Whether the profile is sRGB: the conversion changes no value by more than its rounding does."""
        if self._mode == "CMYK":
            return False
        colours = _sample_greys() if self._mode == "L" else _sample_colours()
        converted = np.asarray(self.apply(Pillow.fromarray(colours))).astype(int)
        return bool(np.abs(converted - (colours[:, :, None] if self._mode == "L" else colours)).max() <= 1)


Conversion = Union[ColourSpace, ProfileConversion]


def find_conversion(opened: Pillow.Image, mode: str, file: Any, deep: bool = False) -> Conversion | None:
    """The conversion of an image's colours to sRGB.

    Args:
        opened: the opened image.
        mode: Pillow's mode of its colours without transparency and palette.
        file: the binary file that it was opened from, of which the chunks of a PNG and the boxes of an AVIF are
            read; `None`: they are not.
        deep: whether it has more than eight bits a channel.

    Returns:
        The conversion; `None` if the colours are sRGB, nothing is said about them, or what is said is useless.
    """
    if mode not in ("L", "RGB", "CMYK"):
        return None
    named = _named_space(opened, file)
    if named is not None:
        return None if named is SRGB else named
    embedded = opened.info.get("icc_profile")
    return profile_conversion(embedded, mode, deep) if embedded else None


def profile_conversion(profile: bytes, mode: str, deep: bool) -> Conversion | None:
    """The conversion of an ICC profile; the arguments and the result are as in `find_conversion`."""
    try:
        conversion = ProfileConversion(profile, mode)
        if conversion.is_identity():
            return None  # converting would only round the values once more
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
        log.warning("the image's colour profile cannot be used (%s): assuming sRGB colours", error)
        return None
    space = read_profile(profile) if deep else None
    if deep and space is None:
        log.info("the image's colour profile is a table, so its values are converted with 8 bits")
    return space or conversion


def _named_space(opened: Pillow.Image, file: Any) -> ColourSpace | None:
    """The space that a PNG's chunks name, or the code points of a HEIC or AVIF without an ICC profile."""
    if opened.format == "PNG" and file is not None:
        return png_colour_space(file)
    codes = None if opened.info.get("icc_profile") else _code_points(opened, file)
    if codes is None:
        return None
    primaries, transfer = codes
    # Cameras of SDR write the transfer of BT.709 and mean sRGB, as viewers take it.
    transfer = 13 if transfer in (1, 6, UNSPECIFIED) else transfer
    try:
        return colour_space(1 if primaries == UNSPECIFIED else primaries, transfer)
    except ValueError:
        return None


def _code_points(opened: Pillow.Image, file: Any) -> tuple[int, int] | None:
    """(primaries, transfer) of a HEIC or AVIF; `None` if there are none."""
    if opened.format == "AVIF" and file is not None:
        return read_nclx(file)
    codes = opened.info.get("nclx_profile")
    if not isinstance(codes, dict):
        return None
    primaries, transfer = (int(codes.get(name, UNSPECIFIED)) for name in _NCLX_NAMES)
    return primaries, transfer


_NCLX_NAMES = ("color_primaries", "transfer_characteristics")


def _sample_greys() -> NDArray[np.uint8]:
    """Every grey, uint8 (1, 256)."""
    return np.arange(256, dtype=np.uint8)[None]


def _sample_colours() -> NDArray[np.uint8]:
    """Colours over the whole cube of RGB, and every grey, uint8 (1, N, 3)."""
    side = np.linspace(0, 255, _SIDES).astype(np.uint8)
    cube = np.stack(np.meshgrid(side, side, side), axis=-1).reshape(-1, 3)
    return np.concatenate([cube, np.repeat(_sample_greys().T, 3, axis=1)])[None]
