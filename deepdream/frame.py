"""A frame of a zoom or a video, and the settings that are fixed for a whole run of frames."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._types import Image
from .dream import dream_steps
from .errors import ParameterError
from .mask import check_mask
from .network.layers import resolve_end
from .network.net import Net
from .network.tiling import plan_tiles
from .octaves import octave_shapes
from .schedule import Settings
from .validation import check_count, short_repr, truncate


@dataclass(frozen=True)
class Frame:
    """One frame of a zoom or a video.

    Attributes:
        index: counted from zero.
        image: the dream, float32 (H, W, 3) RGB; a copy.
        seed: the random seed of this frame's shifts.

    Example:
        >>> frame = next(dd.zoom_frames(net, dd.picture("cat")[:64, :64], seed=3, iter_n=1, octave_n=1))
        >>> frame.index, frame.image.shape, frame.seed
        (0, (64, 64, 3), 3)
    """

    index: int
    image: Image
    seed: int


def fix_settings(net: Net, img: Image, /, seed: int, **dream: Any) -> dict[str, Any]:
    """Check the settings of a dream before the first of many frames, and fix what must not change between them.

    Args:
        net: the network.
        img: the first frame's image, (H, W, 3).
        seed: the seed of the run.
        dream: other arguments of `deepdream`.

    Returns:
        `dream` with a tile that is no longer "auto": the memory that is free at a later frame must not decide how that
        frame looks. A mask has the size of the frames.

    Raises:
        ImageError: as `deepdream`.
        LayerError: as `deepdream`.
        ParameterError: as `deepdream`, and for a name in `dream` that is not an argument of it.
    """
    try:
        given = inspect.signature(dream_steps).bind(net, img, seed=seed, **dream)
    except TypeError as error:  # Python's own words name the argument
        raise ParameterError(f"{truncate(str(error), 160)}; see deepdream.deepdream for the arguments") from None
    dream_steps(net, img, seed=seed, **dream)  # checks everything; it dreams nothing until it is iterated over
    height, width = img.shape[:2]
    if dream.get("mask") is not None:
        dream["mask"] = check_mask(dream["mask"], height, width)
    tile = dream.get("tile")
    if not (isinstance(tile, str) and tile == "auto"):
        return dream
    given.apply_defaults()
    full = given.arguments
    shapes = octave_shapes(height, width, full["octave_n"], full["octave_scale"])
    return {**dream, "tile": plan_tiles(net, resolve_end(net, full["end"], full["objective"]), shapes, "auto")}


def scheduled(schedule: Settings | None, index: int, more: Sequence[str]) -> dict[str, Any]:
    """The settings of a frame that its schedule makes different.

    Args:
        schedule: see `zoom_frames`; `None`: there are none.
        index: the frame's number.
        more: what may be among them beside arguments of `deepdream`.

    Raises:
        ParameterError: something else is among them.
    """
    if schedule is None:
        return {}
    own = dict(schedule(index))
    allowed = {*more, *inspect.signature(dream_steps).parameters} - {"net", "base_img", "seed", "schedule"}
    unknown = sorted(set(own) - allowed)
    if unknown:
        raise ParameterError(f"schedule: frame {index} has {short_repr(unknown[0])}, which cannot change there")
    return own


def check_after(after: Any, shape: tuple[int, ...] | None) -> None:
    """Check the frame after which a run continues.

    Args:
        after: a `Frame`, or `None` for a run that begins.
        shape: the shape of the run's images; `None` if the next frame does not need the image of `after`.

    Raises:
        ParameterError: `after` is neither, or its image has another shape.
    """
    if after is None:
        return
    if not isinstance(after, Frame):
        raise ParameterError(f"after={short_repr(after)}: it must be a Frame of the same run, or None")
    check_count("after.index", after.index, 0, "the frame's number")
    found = getattr(after.image, "shape", None)
    if shape is not None and found != shape:
        raise ParameterError(
            f"after.image has the shape {short_repr(found)}, the run's images have {shape}: it must be of the same run"
        )
