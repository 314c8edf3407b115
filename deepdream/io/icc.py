"""ICC profiles that consist of curves and primaries: those of cameras, displays and working spaces.

LittleCMS, through Pillow, converts eight bits a channel only, so images with more are converted here. The layout is
that of ICC.1 (sections 7, 9.2 and 10). Profiles with tables, as of printers, are not read: `read_profile` returns
`None`.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from .colour_spaces import ColourSpace, Curve, Floats, power_curve

_HEADER_BYTES = 128
_MAX_TAGS = 100
# How many parameters the parametric curves have, by their type.
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}


def read_profile(profile: bytes) -> ColourSpace | None:
    """The colour space that a profile describes.

    Args:
        profile: the bytes of the ICC profile.

    Returns:
        The space; `None` if the profile does not consist of curves and primaries, or is damaged.
    """
    try:
        tags = _tags(profile)
        if profile[20:24] != b"XYZ " or any(tag[:3] == b"A2B" or tag[:3] == b"D2B" for tag in tags):
            return None
        if profile[16:20] == b"GRAY":
            return ColourSpace((_curve(tags[b"kTRC"]),))
        if profile[16:20] != b"RGB ":
            return None
        curves = tuple(_curve(tags[name + b"TRC"]) for name in (b"r", b"g", b"b"))
        return ColourSpace(curves, np.array([_xyz(tags[name + b"XYZ"]) for name in (b"r", b"g", b"b")]).T)
    except (KeyError, ValueError, struct.error):
        return None


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """The tagged elements of a profile, by their signature."""
    (count,) = struct.unpack_from(">I", profile, _HEADER_BYTES)
    if count > _MAX_TAGS:
        raise ValueError("too many tags")
    entries = [struct.unpack_from(">4sII", profile, _HEADER_BYTES + 4 + 12 * number) for number in range(count)]
    return {signature: profile[start : start + size] for signature, start, size in entries}


def _xyz(element: bytes) -> NDArray[np.float64]:
    """The XYZ value of an element."""
    if element[:4] != b"XYZ ":
        raise ValueError("not XYZ")
    return _fixed(element, 8, 3)


def _fixed(element: bytes, start: int, count: int) -> NDArray[np.float64]:
    """Numbers of the type s15Fixed16."""
    return np.array(struct.unpack_from(f">{count}i", element, start)) / 65536


def _curve(element: bytes) -> Curve:
    """The curve of an element of the type `curveType` or `parametricCurveType`."""
    if element[:4] == b"para":
        (kind,) = struct.unpack_from(">H", element, 8)
        return _parametric(kind, [float(number) for number in _fixed(element, 12, _PARAMETERS[kind])])
    if element[:4] != b"curv":
        raise ValueError("not a curve")
    (count,) = struct.unpack_from(">I", element, 8)
    if count == 0:
        return power_curve(1)
    if count == 1:
        return power_curve(struct.unpack_from(">H", element, 12)[0] / 256)
    table = np.frombuffer(element, ">u2", count, 12) / 65535
    places = np.linspace(0, 1, count)
    return lambda signal: np.interp(signal, places, table).astype(np.float32)


def _parametric(kind: int, parameters: list[float]) -> Curve:
    """A parametric curve (ICC.1, table 68)."""
    g, a, b, c, d, e, f = [*parameters, *[1.0, 0.0, 0.0, 0.0, 0.0, 0.0][len(parameters) - 1 :]]
    if kind in (1, 2):  # they have no line: below -b / a they are constant
        e, f, c, d = (c, c, 0.0, -b / a) if kind == 2 else (0.0, 0.0, 0.0, -b / a)

    def curve(signal: Floats) -> Floats:
        power = np.maximum(a * signal + b, 0) ** np.float32(g) + e
        return np.float32(np.where(signal >= d, power, c * signal + f))

    return curve
