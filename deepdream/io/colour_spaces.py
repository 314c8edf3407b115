"""Colour spaces, by their curves and primaries, and the conversion of their values to sRGB.

The central type is `ColourSpace`. Light outside sRGB's gamut is clipped, as by a viewer. White stays white: another
white point is adapted by Bradford's method, which is that of ICC profiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._types import Image

Floats = NDArray[np.float32]
Curve = Callable[[Floats], Floats]  # a signal, 0..1 -> linear light, 0..1
Primaries = Sequence[tuple[float, float]]  # x, y of red, green and blue

D50, D65, DCI_WHITE = (0.34567, 0.35850), (0.3127, 0.3290), (0.314, 0.351)
BT709: Primaries = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_D50_XYZ = np.array((0.9642, 1.0, 0.8249))  # as ICC profiles write it
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SAME_COLOUR = 0.002  # of a coefficient of a matrix: half a level


@dataclass(frozen=True)
class ColourSpace:
    """What the values of an image mean.

    Attributes:
        curves: the curve of grey, or those of red, green and blue.
        to_xyz: the matrix from linear RGB to CIE XYZ with the white D50; `None`: the primaries are those of sRGB, or
            the image is grey.
        scene_to_display: a function of linear RGB, (h, w, 3), before the matrix; `None`: there is none.
    """

    curves: tuple[Curve, ...]
    to_xyz: NDArray[np.float64] | None = None
    scene_to_display: Callable[[Floats], Floats] | None = None

    def to_srgb(self, values: Floats) -> Image:
        """Convert values.

        Args:
            values: float32 (h, w, 1 or 3), 0..1.

        Returns:
            float32 (h, w, 3), sRGB, 0..255.
        """
        values = np.clip(values, 0, 1)
        grey = values.shape[2] == 1
        channels = [self.curves[0 if len(self.curves) == 1 else n](values[:, :, n]) for n in range(values.shape[2])]
        light = np.stack(channels, axis=-1).astype(np.float32, copy=False)
        if self.scene_to_display is not None:
            light = self.scene_to_display(light)
        if self.to_xyz is not None and not grey:
            light = light @ np.float32(_XYZ_TO_SRGB @ self.to_xyz).T
        srgb = np.float32(255) * encode_srgb(np.clip(light, 0, 1))
        return np.repeat(srgb, 3, axis=2) if grey else srgb


def primaries_to_xyz(primaries: Primaries, white: tuple[float, float] = D65) -> NDArray[np.float64]:
    """The matrix from linear RGB with these primaries to CIE XYZ with the white D50.

    Args:
        primaries: x, y of red, green and blue.
        white: x, y of white.

    Raises:
        ValueError: the primaries span no colours.
    """
    columns = np.array([_xyz(*point) for point in primaries]).T
    white_xyz = _xyz(*white)
    try:
        matrix = columns * np.linalg.solve(columns, white_xyz)
    except np.linalg.LinAlgError:
        raise ValueError("the primaries lie on a line") from None
    if not np.isfinite(matrix).all():
        raise ValueError("the primaries are not finite")
    cones = (_BRADFORD @ _D50_XYZ) / (_BRADFORD @ white_xyz)
    return np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ matrix


def are_srgb_primaries(to_xyz: NDArray[np.float64]) -> bool:
    """Whether a matrix from linear RGB to XYZ is that of sRGB but for its rounding, which is less than a level."""
    return bool(np.abs(_XYZ_TO_SRGB @ to_xyz - np.eye(3)).max() < _SAME_COLOUR)


def power_curve(exponent: float) -> Curve:
    """The curve of a pure power."""
    return lambda signal: signal ** np.float32(exponent)


def decode_srgb(signal: Floats) -> Floats:
    """The light of an sRGB signal (IEC 61966-2-1)."""
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** np.float32(2.4))


def encode_srgb(light: Floats) -> Floats:
    """The sRGB signal of light in 0..1 (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** np.float32(1 / 2.4) - 0.055)


def decode_bt709(signal: Floats) -> Floats:
    """The light of the scene for a signal of a camera of HDTV (ITU-R BT.709)."""
    return np.where(signal < 0.081, signal / 4.5, ((signal + 0.099) / 1.099) ** np.float32(1 / 0.45))


def _xyz(x: float, y: float) -> NDArray[np.float64]:
    """CIE XYZ of a chromaticity, with Y = 1."""
    if not 0 < y <= 1:
        raise ValueError("a chromaticity is out of range")
    return np.array((x / y, 1, (1 - x - y) / y))


_XYZ_TO_SRGB = np.linalg.inv(primaries_to_xyz(BT709))
SRGB = ColourSpace((decode_srgb,))
