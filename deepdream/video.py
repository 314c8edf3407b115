"""Dreams on a video: frame by frame, with the dream carried along by the motion.

If each frame were dreamt by itself, the video would flicker, because the dream finds different things in every frame.
Here the *detail* that the dream added to the frame before is moved to the new positions of its pixels
(`deepdream.optical_flow`). The dream begins with this detail, and the new detail is blended with it. `video_frames` is
the core, a generator of `Frame` records.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._types import Image
from .dream import deepdream
from .errors import ParameterError, VideoError
from .frame import Frame, check_after, fix_settings
from .io.arrays import check_image, format_size
from .network.net import Net, check_net
from .optical_flow import motion, warp
from .seeds import fresh_seed
from .validation import check_count, check_number, short_repr


def video_frames(
    net: Net,
    images: Iterable[ArrayLike],
    carry: float = 0.7,
    strength: float = 1.0,
    seed: int | None = None,
    after: Frame | None = None,
    **dream: Any,
) -> Iterator[Frame]:
    """Dream on one frame after the other.

    Args:
        net: the network.
        images: the frames, (H, W, 3) RGB 0..255, all of one size: a `Video`, a list, a generator.
        carry: how much of the dream is carried along from the frame before, 0..1, where the motion is certain: 0
            dreams every frame by itself, 1 dreams anew only what comes into view. Above 0 it needs OpenCV (the extra
            `video`).
        strength: how much of the dream goes into the frame, 0..1.
        seed: the random seed of every frame's shifts, 0..2**32-1; the same seed gives the same frames. `None`: a fresh
            one.
        after: a frame of the same run, to continue after it. `images` must still start at the beginning.
        dream: other arguments of `deepdream`: `iter_n`, `octave_n`, `octave_scale`, `end`, `clip`, `objective`,
            `step_size`, `jitter`, `tile`.

    Returns:
        An iterator of `Frame` records, one for each of `images` that comes after `after`.

    Raises:
        DreamError: OpenCV is missing; raised at the second frame.
        ImageError: as `deepdream`; for the first frame before the first dream.
        LayerError: as `deepdream`; before the first dream.
        ParameterError: another argument is out of its range or unknown; before the first dream.
        VideoError: a frame differs in size from the one before; raised when its turn comes.

    Example:
        >>> cat = dd.picture("cat")
        >>> images = [cat[:64, :64], cat[:64, 2:66]]
        >>> frames = dd.video_frames(net, images, seed=1, iter_n=1, octave_n=1)
        >>> [(frame.index, frame.image.shape) for frame in frames]
        [(0, (64, 64, 3)), (1, (64, 64, 3))]
    """
    check_net(net)
    check_number("carry", carry, 0, "the part of the dream that is carried along", 1)
    check_number("strength", strength, 0, "the strength of the dream", 1)
    seed = fresh_seed() if seed is None else seed
    check_count("seed", seed, 0, "the seed", 2**32 - 1)
    check_after(after, None)
    try:
        images = iter(images)
    except TypeError:
        raise ParameterError(
            f"images={short_repr(images)}: they must be a list, a generator or a deepdream.Video of images (H, W, 3)"
        ) from None
    try:
        first = next(images)
    except StopIteration:
        return iter(())
    img = check_image(first)
    if carry and strength:
        check_after(after, img.shape)
    dream = fix_settings(net, img, seed=seed, **dream)
    return _frames(net, itertools.chain([first], images), carry, strength, after, {**dream, "seed": seed})


def _frames(
    net: Net,
    images: Iterable[ArrayLike],
    carry: float,
    strength: float,
    after: Frame | None,
    dream: dict[str, Any],
) -> Iterator[Frame]:
    source_before: Image | None = None
    result: Image | None = None
    for index, given in enumerate(images):
        source = check_image(given)
        if source_before is not None and source.shape != source_before.shape:
            raise VideoError(
                f"frame {index} is {format_size(source.shape)}, the one before {format_size(source_before.shape)}; "
                "all frames must have the same size"
            )
        if after is not None and index <= after.index:
            result = after.image
        else:
            if carry and strength and source_before is not None and result is not None:
                detail = (result - source_before) / np.float32(strength)
                moved, weight = _move_detail(source_before, source, detail, carry)
                dreamt = source + _blended_detail(net, source, moved, weight, dream)
            else:
                dreamt = deepdream(net, source, **dream)
            result = dreamt if strength == 1 else source + np.float32(strength) * (dreamt - source)
            if dream.get("clip", True):
                result = result.clip(0, 255)
            yield Frame(index, result.copy(), dream["seed"])
        source_before = source


def _move_detail(before: Image, now: Image, detail: Image, carry: float) -> tuple[Image, NDArray[np.float32]]:
    """Move the detail of the frame before to its position in this one.

    Args:
        before: the frame before, as it was read.
        now: this frame.
        detail: the detail of the frame before, (H, W, 3).
        carry: see `video_frames`.

    Returns:
        (detail, weight): the moved detail, and how much it counts at each pixel, float32 (H, W, 1).
    """
    flow, trust = motion(before, now)
    return warp(detail, flow, smooth=True), np.float32(carry) * trust[:, :, None]


def _blended_detail(net: Net, source: Image, moved: Image, weight: NDArray[np.float32], dream: dict[str, Any]) -> Image:
    """The detail that a dream adds to a frame, blended with the detail that was moved to it."""
    start = np.clip(source + weight * moved, 0, 255)
    fresh = deepdream(net, start, **dream) - start
    detail = weight * moved + (1 - weight) * fresh
    # Differences between dreams average out; without this, the dream would grow fainter from frame to frame.
    size, wanted = (np.sqrt(np.mean(np.square(each))) for each in (detail, fresh))
    return detail * (wanted / size) if size > 0 else detail
