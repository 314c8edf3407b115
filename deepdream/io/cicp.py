"""Colour spaces by their code points in ITU-T H.273, which PNG, AVIF and HEIC name in "cICP" and "nclx".

HDR is converted as `deepdream.io.hdr` does for videos: the light of the display is kept, with the white of SDR at 203
cd/m² (ITU-R BT.2408), and what is brighter is clipped.
"""

from __future__ import annotations

import numpy as np

from .colour_spaces import (
    BT709,
    D65,
    DCI_WHITE,
    SRGB,
    ColourSpace,
    Curve,
    Floats,
    Primaries,
    decode_bt709,
    decode_srgb,
    power_curve,
    primaries_to_xyz,
)

UNSPECIFIED = 2
_SDR_WHITE = 203.0  # cd/m²
_HLG = 18
_HLG_PEAK, _HLG_GAMMA = 1000.0, 1.2  # cd/m² of the reference display, and its gamma (ITU-R BT.2100)
_BT2020: Primaries = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
_P3: Primaries = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_SMPTE_170M: Primaries = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070))
_PRIMARIES: dict[int, tuple[Primaries, tuple[float, float]]] = {
    1: (BT709, D65),
    4: (((0.67, 0.33), (0.21, 0.71), (0.14, 0.08)), (0.310, 0.316)),
    5: (((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)), D65),
    6: (_SMPTE_170M, D65),
    7: (_SMPTE_170M, D65),
    9: (_BT2020, D65),
    11: (_P3, DCI_WHITE),
    12: (_P3, D65),
}


def colour_space(primaries: int, transfer: int, full_range: bool = True) -> ColourSpace:
    """The colour space of RGB values, by the code points of ITU-T H.273.

    Args:
        primaries: the code of the primaries.
        transfer: the code of the transfer characteristics.
        full_range: whether black is 0 and white the largest value; otherwise they are 16 and 235 of 255.

    Returns:
        The space; `SRGB` itself if that is what the codes say.

    Raises:
        ValueError: a code is not known here, or says that the space is not specified.
    """
    if primaries not in _PRIMARIES or transfer not in _CURVES:
        raise ValueError(f"unknown code points: primaries {primaries}, transfer {transfer}")
    if primaries == 1 and transfer == 13 and full_range:
        return SRGB
    curve = _CURVES[transfer]
    matrix = None if primaries == 1 else primaries_to_xyz(*_PRIMARIES[primaries])
    return ColourSpace(
        (curve if full_range else _narrow(curve),), matrix, _hlg_display_light if transfer == _HLG else None
    )


def _narrow(curve: Curve) -> Curve:
    """A curve of a signal whose black is 16 of 255, and whose white is 235."""
    return lambda signal: curve(np.clip((255 * signal - 16) / np.float32(219), 0, 1))


def _decode_pq(signal: Floats) -> Floats:
    """The light of the display for a signal of PQ (ITU-R BT.2100, table 4); 1 is the white of SDR."""
    power = np.float64(signal) ** (32 / 2523)
    light = 10000 * (np.maximum(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power)) ** (16384 / 2610)
    return np.float32(light / _SDR_WHITE)


def _decode_hlg(signal: Floats) -> Floats:
    """The light of the scene, 0..1, for a signal of HLG (ITU-R BT.2100, table 5)."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return np.float32(np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12))


def _hlg_display_light(scene: Floats) -> Floats:
    """The light of HLG's reference display for that of the scene, 0..1; 1 is the white of SDR."""
    weights = np.array((0.2627, 0.6780, 0.0593), np.float32)  # of luminance, in BT.2020
    luminance = scene @ weights if scene.shape[2] == 3 else scene[:, :, 0]
    return np.float32(_HLG_PEAK / _SDR_WHITE) * luminance[:, :, None] ** np.float32(_HLG_GAMMA - 1) * scene


_CURVES: dict[int, Curve] = {
    **dict.fromkeys((1, 6, 14, 15), decode_bt709),
    4: power_curve(2.2),
    5: power_curve(2.8),
    8: power_curve(1),
    13: decode_srgb,
    16: _decode_pq,
    17: lambda signal: np.float32(52.37 / 48) * signal ** np.float32(2.6),  # SMPTE ST 428-1
    _HLG: _decode_hlg,
}
