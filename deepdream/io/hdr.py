"""Video signals of HDR and of wide gamuts -> the SDR of HDTV (ITU-R BT.709).

The light that a display would emit is kept, with the white of SDR at 203 cd/m² (ITU-R BT.2408). Brighter and more
saturated colours are clipped. FFmpeg's filter does the same through a table, up to 5 of 255 off, and FFmpeg 7 lacks it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PQ, HLG = 16, 18  # the transfers of HDR, by their numbers in ITU-T H.273, which are FFmpeg's
_WHITE_SIGNAL = 255 * 256  # FFmpeg shifts the bits: white is 65280, and not 65535
_SDR_WHITE = 203.0  # cd/m²
_SDR_GAMMA = 2.4  # of a display (ITU-R BT.1886)
_HLG_PEAK, _HLG_GAMMA = 1000.0, 1.2  # cd/m² of the reference display, and its gamma (ITU-R BT.2100)
_BLOCK_ROWS = 64  # a whole frame as float64 would need much memory
_D65 = (0.3127, 0.3290)
_BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))  # x, y of red, green and blue
_BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_WIDE_GAMUTS = {9: _BT2020, 11: _P3, 12: _P3}  # by the numbers of ITU-T H.273


def needs_conversion(transfer: int, primaries: int) -> bool:
    """Whether a video is HDR or has a wide gamut, by the numbers of ITU-T H.273."""
    return transfer in (PQ, HLG) or primaries in _WIDE_GAMUTS


def to_sdr(signal: NDArray[np.uint16], transfer: int, primaries: int) -> NDArray[np.uint8]:
    """Convert the signal of a frame.

    Args:
        signal: R'G'B' as FFmpeg's "rgb48" has it, (H, W, 3).
        transfer: its number in ITU-T H.273: PQ, HLG or any other, which is taken for that of SDR.
        primaries: theirs; unknown ones are taken for those of BT.2020.

    Returns:
        uint8 (H, W, 3), BT.709 RGB.
    """
    result = np.empty(signal.shape, np.uint8)
    to_bt709 = np.float32(np.linalg.inv(_to_xyz(_BT709)) @ _to_xyz(_WIDE_GAMUTS.get(primaries, _BT2020)) / _SDR_WHITE).T
    decode, encode = _decoding_table(transfer), _encoding_table()
    for first in range(0, len(signal), _BLOCK_ROWS):
        rows = slice(first, first + _BLOCK_ROWS)
        light = decode[signal[rows]]
        if transfer == HLG:
            light = _hlg_display_light(light)
        relative = np.clip(light @ to_bt709, 0, 1)
        result[rows] = encode[np.rint(np.sqrt(relative) * (len(encode) - 1)).astype(np.uint16)]
    return result


def _hlg_display_light(scene: NDArray[np.float32]) -> NDArray[np.float32]:
    """The light of HLG's reference display, in cd/m², for that of the scene, 0..1 (BT.2100, table 5)."""
    luminance = scene @ np.array((0.2627, 0.6780, 0.0593), np.float32)
    return np.float32(_HLG_PEAK) * luminance[:, :, None] ** np.float32(_HLG_GAMMA - 1) * scene


@functools.lru_cache(maxsize=3)
def _decoding_table(transfer: int) -> NDArray[np.float32]:
    """The light for each value 0..65535 of a signal: of the display in cd/m², of HLG that of the scene in 0..1."""
    signal = np.minimum(np.arange(65536) / _WHITE_SIGNAL, 1)
    if transfer == PQ:  # BT.2100, table 4
        power = signal ** (32 / 2523)
        light = 10000 * (np.maximum(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power)) ** (16384 / 2610)
    elif transfer == HLG:  # BT.2100, table 5
        a = 0.17883277
        b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
        light = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    else:
        light = _SDR_WHITE * signal**_SDR_GAMMA
    return np.float32(light)


@functools.lru_cache(maxsize=1)
def _encoding_table() -> NDArray[np.uint8]:
    """The value 0..255 of BT.709 for the square root of the light in 0..1, in 65536 steps, which suffice for black."""
    root = np.arange(65536) / 65535
    return np.rint(255 * root ** (2 / _SDR_GAMMA)).astype(np.uint8)


def _to_xyz(primaries: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """The matrix from linear RGB with these primaries and the white D65 to CIE XYZ (SMPTE RP 177)."""
    columns, white = (np.array([(x / y, 1, (1 - x - y) / y) for x, y in points]).T for points in (primaries, [_D65]))
    return columns * np.linalg.solve(columns, white[:, 0])
