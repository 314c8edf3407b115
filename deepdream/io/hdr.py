"""Video signals of HDR and of wide gamuts -> the SDR of HDTV (ITU-R BT.709).

The light that a display would emit is kept, with the white of SDR at 203 cd/m² (ITU-R BT.2408). Brighter and more
saturated colours are clipped. FFmpeg's filter does the same through a table, up to 5 of 255 off, and FFmpeg 7 lacks it.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from .cicp import UNSPECIFIED, colour_space
from .colour_spaces import BT709, ColourSpace, primaries_to_xyz

PQ, HLG = 16, 18  # the transfers of HDR, by their numbers in ITU-T H.273, which are FFmpeg's
_BT2020, _WIDE_GAMUTS = 9, (9, 11, 12)  # BT.2020 and two kinds of P3
_UNKNOWN_PRIMARIES = (0, UNSPECIFIED)
_BT709_TRANSFER = 1
_WHITE_SIGNAL = 255 * 256  # FFmpeg shifts the bits: white is 65280, and not 65535
_SDR_GAMMA = 2.4  # of a display (ITU-R BT.1886)
_BLOCK_ROWS = 64  # a whole frame of floats would need much memory


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
    decode, encode = _decoding_table(transfer), _encoding_table()
    space = _space(transfer, primaries)
    to_bt709 = np.float32(np.eye(3) if space.to_xyz is None else _xyz_to_bt709() @ space.to_xyz).T
    for first in range(0, len(signal), _BLOCK_ROWS):
        rows = slice(first, first + _BLOCK_ROWS)
        light = decode[signal[rows]]  # of the display; 1 is the white of SDR
        if space.scene_to_display is not None:
            light = space.scene_to_display(light)
        relative = np.clip(light @ to_bt709, 0, 1)
        result[rows] = encode[np.rint(np.sqrt(relative) * (len(encode) - 1)).astype(np.uint16)]
    return result


def _space(transfer: int, primaries: int) -> ColourSpace:
    known_transfer = transfer if transfer in (PQ, HLG) else _BT709_TRANSFER
    try:
        return colour_space(_BT2020 if primaries in _UNKNOWN_PRIMARIES else primaries, known_transfer)
    except ValueError:  # primaries that are hardly ever used
        return colour_space(_BT2020, known_transfer)


@functools.lru_cache(maxsize=3)
def _decoding_table(transfer: int) -> NDArray[np.float32]:
    """The light for each value 0..65535 of a signal: that of the display, or of HLG that of the scene."""
    signal = np.float32(np.minimum(np.arange(65536) / _WHITE_SIGNAL, 1))
    if transfer in (PQ, HLG):
        return np.float32(_space(transfer, _BT2020).curves[0](signal))
    return signal ** np.float32(_SDR_GAMMA)


@functools.lru_cache(maxsize=1)
def _encoding_table() -> NDArray[np.uint8]:
    """The value 0..255 of BT.709 for the square root of the light in 0..1, in 65536 steps, which suffice for black."""
    root = np.arange(65536) / 65535
    return np.rint(255 * root ** (2 / _SDR_GAMMA)).astype(np.uint8)


@functools.lru_cache(maxsize=1)
def _xyz_to_bt709() -> NDArray[np.float64]:
    return np.asarray(np.linalg.inv(primaries_to_xyz(BT709)), np.float64)
