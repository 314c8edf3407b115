"""What a PNG says about its colours, in the order of the PNG specification's third edition (section 4.3).

That is cICP, then iCCP, sRGB, and at last gAMA with cHRM.
"""

from __future__ import annotations

import contextlib
import struct
from typing import BinaryIO

from .cicp import colour_space
from .colour_spaces import SRGB, ColourSpace, are_srgb_primaries, power_curve, primaries_to_xyz

_SIGNATURE_BYTES = 8
_LENGTHS = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}
_SRGB_GAMMA = 1 / 2.2  # files that are sRGB name it, though sRGB's curve is not a power
_SAME_GAMMA = 0.01  # relative: a difference of a level


def png_colour_space(file: BinaryIO) -> ColourSpace | None:
    """The colour space that a PNG's chunks describe.

    Args:
        file: the file; its position is kept.

    Returns:
        The space, `SRGB` if that is what the file says; `None` if an ICC profile (iCCP) or nothing describes it.
    """
    chunks = _read_chunks(file)
    with contextlib.suppress(KeyError, ValueError):  # codes that are not known count as if there were none
        primaries, transfer, _, full_range = struct.unpack(">4B", chunks[b"cICP"])
        return colour_space(primaries, transfer, bool(full_range))
    if b"iCCP" in chunks:
        return None
    if b"sRGB" in chunks:
        return SRGB
    with contextlib.suppress(KeyError, ValueError):
        return _gamma_space(chunks)
    return None


def _gamma_space(chunks: dict[bytes, bytes]) -> ColourSpace:
    """The space of gAMA and cHRM."""
    gamma = struct.unpack(">I", chunks[b"gAMA"])[0] / 100_000
    if not 0.01 <= gamma <= 10:
        raise ValueError("an impossible gamma")
    matrix = None
    if b"cHRM" in chunks:
        white, *primaries = [(x / 100_000, y / 100_000) for x, y in struct.iter_unpack(">2I", chunks[b"cHRM"])]
        to_xyz = primaries_to_xyz(primaries, white)
        matrix = None if are_srgb_primaries(to_xyz) else to_xyz
    if matrix is None and abs(gamma / _SRGB_GAMMA - 1) < _SAME_GAMMA:
        return SRGB
    return ColourSpace((power_curve(1 / gamma),), matrix)


def _read_chunks(file: BinaryIO) -> dict[bytes, bytes]:
    """The chunks about colours that come before the pixels; of iCCP only that it is there."""
    position = file.tell()
    found: dict[bytes, bytes] = {}
    try:
        file.seek(_SIGNATURE_BYTES)
        while len(header := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", header)
            if name == b"IDAT":
                break
            content = file.read(length) if _LENGTHS.get(name) == length else b""
            if content or name == b"iCCP":
                found.setdefault(name, content)
            file.seek(length - len(content) + 4, 1)  # and the checksum
    finally:
        file.seek(position)
    return found
