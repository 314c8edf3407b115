"""Dreams on a video: frame by frame, with the dream carried along by the motion.

If each frame were dreamt by itself, the video would flicker, because the dream finds different things in every frame.
Here the *detail* that the dream added to the frame before is moved to the new positions of its pixels
(`deepdream.optical_flow`). The dream begins with this detail, and the new detail is blended with it. `video_frames` is
the core, a generator of `Frame` records.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._types import Image
from .dream import deepdream
from .errors import ParameterError, VideoError
from .frame import Frame, check_after, fix_settings, scheduled
from .guide import guided
from .io.arrays import check_image, format_size
from .mask import keep_outside
from .network.net import Net, check_net
from .optical_flow import is_cut, motion, warp
from .schedule import Settings
from .seeds import fresh_seed
from .validation import check_number, check_seed, short_repr

_T = TypeVar("_T")


def video_frames(
    net: Net,
    images: Iterable[ArrayLike],
    carry: float = 0.7,
    strength: float = 1.0,
    seed: int | None = None,
    after: Frame | None = None,
    guides: Iterable[ArrayLike] | None = None,
    schedule: Settings | None = None,
    **dream: Any,
) -> Iterator[Frame]:
    """Dream on one frame after the other.

    At a cut, where less than a tenth of a frame can be found in the one before, the dream begins anew.

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
        guides: a guide for each frame, such as the frames of another `Video`: the frame is dreamt with the features of
            its guide (`guided`), instead of an `objective`. If there are fewer, the last one stays.
        schedule: a function of a frame's number, from 0, that returns what is different there: `strength`, or arguments
            of `deepdream`. `None`: nothing is.
        dream: other arguments of `deepdream`: `iter_n`, `octave_n`, `octave_scale`, `end`, `clip`, `objective`,
            `step_size`, `jitter`, `tile`, `mask` (of every frame), `wrap`.

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
    check_seed(seed)
    check_after(after, None)
    if guides is not None and "objective" in dream:
        raise ParameterError("guides and objective: a dream has one objective; pass only one of them")
    images = _iterate("images", images)
    guides = None if guides is None else _iterate("guides", guides)
    try:
        first = next(images)
    except StopIteration:
        return iter(())
    img = check_image(first)
    if carry and strength:
        check_after(after, img.shape)
    dream = fix_settings(net, img, seed=seed, **dream)
    if guides is not None:
        guide = next(guides, None)
        if guide is None:
            raise ParameterError("guides is empty: it must hold at least one image")
        guided(net, guide, dream.get("end"))  # raises what is wrong with it
        guides = itertools.chain([guide], guides)
    return _frames(
        net, itertools.chain([first], images), guides, carry, strength, after, schedule, {**dream, "seed": seed}
    )


def _iterate(name: str, images: Iterable[ArrayLike]) -> Iterator[ArrayLike]:
    try:
        return iter(images)
    except TypeError:
        raise ParameterError(
            f"{name}={short_repr(images)}: they must be a list, a generator or a deepdream.Video of images (H, W, 3)"
        ) from None


def find_shots(images: Iterable[ArrayLike], wrap: str | None = None) -> Iterator[int]:
    """The numbers of the frames that begin a shot, the first one included.

    A carried dream begins anew there, so each shot can be dreamt by itself, with `video_frames`, with the same result.

    Args:
        images: the frames, (H, W, 3) RGB 0..255, all of one size, as they are dreamt on.
        wrap: that of the dream.

    Yields:
        Each number, in ascending order.

    Raises:
        DreamError: OpenCV is missing.
        ImageError: a frame is not an image.
        VideoError: a frame differs in size from the one before.
    """
    before: Image | None = None
    for index, given in enumerate(images):
        image = _next_source(index, given, before)
        if before is None or is_cut(motion(before, image, wrap)[1]):
            yield index
        before = image


def dream_frame(
    net: Net,
    source: Image,
    before: tuple[Image, Image] | None,
    carry: float,
    strength: float,
    dream: Mapping[str, Any],
    strength_before: float | None = None,
) -> Image:
    """Dream on one frame of a video.

    Args:
        net: the network.
        source: the frame, float32 (H, W, 3).
        before: (source, result) of the frame before; `None`: the dream begins anew.
        carry: see `video_frames`.
        strength: see `video_frames`.
        dream: the keyword arguments of `deepdream`, with the seed.
        strength_before: the strength of the frame before; `None`: the same.

    Returns:
        The result, float32 (H, W, 3).
    """
    moved = None
    strength_before = strength if strength_before is None else strength_before
    if carry and strength and strength_before and before is not None:
        source_before, result_before = before
        detail = (result_before - source_before) / np.float32(strength_before)
        moved = _move_detail(source_before, source, detail, carry, dream.get("wrap"))
    if moved is not None:
        dreamt = source + _blended_detail(net, source, *moved, dream)
    else:
        dreamt = deepdream(net, source, **dream)
    result = dreamt if strength == 1 else source + np.float32(strength) * (dreamt - source)
    result = result.clip(0, 255) if dream.get("clip", True) else result
    return keep_outside(result, source, dream.get("mask"))


def _frames(
    net: Net,
    images: Iterable[ArrayLike],
    guides: Iterable[ArrayLike] | None,
    carry: float,
    strength: float,
    after: Frame | None,
    schedule: Settings | None,
    dream: dict[str, Any],
) -> Iterator[Frame]:
    before: tuple[Image, Image] | None = None
    objectives = None
    if guides is not None:
        objectives = _objectives(net, guides, dream.get("end"), 0 if after is None else after.index + 1)
    for index, given in enumerate(images):
        source = _next_source(index, given, None if before is None else before[0])
        if after is not None and index <= after.index:
            result = after.image
        else:
            settings = dream if objectives is None else {**dream, "objective": next(objectives)}
            settings = {**settings, **scheduled(schedule, index, ["strength"])}
            share_before = scheduled(schedule, max(0, index - 1), ["strength"]).get("strength", strength)
            share = settings.pop("strength", strength)
            check_number("strength", share, 0, "the strength of the dream", 1)
            result = dream_frame(net, source, before, carry, share, settings, share_before)
            yield Frame(index, result.copy(), dream["seed"])
        before = source, result


def _next_source(index: int, given: ArrayLike, before: Image | None) -> Image:
    """A frame as float32, of the size of the one before."""
    source = check_image(given)
    if before is not None and source.shape != before.shape:
        raise VideoError(
            f"frame {index} is {format_size(source.shape)}, the one before {format_size(before.shape)}; "
            "all frames must have the same size"
        )
    return source


def _objectives(net: Net, guides: Iterable[ArrayLike], end: Any, first: int) -> Iterator[Any]:
    """The guided objective of each frame from number `first` on."""
    before, objective = None, None
    for guide in itertools.islice(hold_last(guides), first, None):
        objective = objective if guide is before else guided(net, guide, end)
        yield objective
        before = guide


def hold_last(images: Iterable[_T]) -> Iterator[_T]:
    """The images, of which the last one is repeated for ever."""
    for image in images:
        yield image
    while True:
        yield image


def _move_detail(
    before: Image, now: Image, detail: Image, carry: float, wrap: str | None
) -> tuple[Image, NDArray[np.float32]] | None:
    """Move the detail of the frame before to its position in this one.

    Args:
        before: the frame before, as it was read.
        now: this frame.
        detail: the detail of the frame before, (H, W, 3).
        carry: see `video_frames`.
        wrap: that of the dream.

    Returns:
        (detail, weight): the moved detail, and how much it counts at each pixel, float32 (H, W, 1). `None` if this
        frame begins another shot.
    """
    flow, trust = motion(before, now, wrap)
    if is_cut(trust):
        return None
    return warp(detail, flow, smooth=True, wrap=wrap), np.float32(carry) * trust[:, :, None]


def _blended_detail(
    net: Net, source: Image, moved: Image, weight: NDArray[np.float32], dream: Mapping[str, Any]
) -> Image:
    """The detail that a dream adds to a frame, blended with the detail that was moved to it."""
    start = np.clip(source + weight * moved, 0, 255)
    fresh = deepdream(net, start, **dream) - start
    detail = weight * moved + (1 - weight) * fresh
    # Differences between dreams average out; without this, the dream would grow fainter from frame to frame.
    size, wanted = (np.sqrt(np.mean(np.square(each))) for each in (detail, fresh))
    return detail * (wanted / size) if size > 0 else detail
