"""The sizes that an image is dreamt at, and whether a layer can be dreamt at them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from ._types import Layers
from .errors import ImageError
from .network.layers import format_layers
from .network.net import Net
from .validation import check_count, check_number

MAX_OCTAVES = 100
MIN_SIDE = 16  # pixels: below this even the first layers see next to nothing


def octave_shapes(height: int, width: int, octave_n: int, octave_scale: float) -> list[tuple[int, int]]:
    """The sizes of a dream.

    Args:
        height: the image's, in pixels.
        width: the image's.
        octave_n: the number of octaves (image sizes).
        octave_scale: the ratio of one size to the next.

    Returns:
        (height, width) of each octave, the smallest first; the last is the image's own.

    Raises:
        ParameterError: a number or scale out of its range.
    """
    check_octaves(octave_n, octave_scale)
    shapes = [(height, width)]
    for _ in range(octave_n - 1):
        height, width = (round(n * (1.0 / octave_scale)) for n in shapes[0])
        shapes.insert(0, (height, width))
    return shapes


def check_octaves(octave_n: Any, octave_scale: Any) -> None:
    """Raise `ParameterError` if the number of octaves or their scale is out of its range."""
    check_count("octave_n", octave_n, 1, "the number of octaves", MAX_OCTAVES)
    check_number("octave_scale", octave_scale, 1, "the octave scale")


def check_sizes(net: Net, end: Layers, shapes: Sequence[tuple[int, int]], octave_scale: float) -> None:
    """Raise `ImageError` for octaves that are too small for the network; the message names settings that would fit."""
    if _large_enough(net, end, *shapes[0]):  # then the larger ones are, too
        return
    fit = sum(_large_enough(net, end, *shape) for shape in shapes)
    height, width = shapes[0]
    needed = next(n for n in itertools.count(MIN_SIDE) if _large_enough(net, end, n, n))
    refusal = f"{width}×{height} pixels are too few to dream {format_layers(end)}; each side needs at least {needed}"
    if not fit:
        raise ImageError(f"{refusal}: use a larger image or a shallower layer")
    raise ImageError(
        f"{refusal} (octave 1 of {len(shapes)}, the smallest): use at most {fit} "
        f"octave{'s' * (fit > 1)} at scale {octave_scale:g}, or a larger image"
    )


def _large_enough(net: Net, end: Layers, height: int, width: int) -> bool:
    """Whether an image of this size leaves every layer up to `end` at least one value."""
    sizes = net.sizes(height, width, end).values()
    return min(height, width) >= MIN_SIDE and all(min(size) >= 1 for size in sizes if size)
