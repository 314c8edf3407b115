"""Runs of many frames: dreams a zoom or a video into a `FrameFolder`, and resumes a stopped run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._types import Image
from ..frame import Frame
from ..network.net import Net
from ..video import video_frames
from ..zoom import zoom_frames
from .frame_folder import FrameFolder


def video_into(
    run: FrameFolder,
    net: Net,
    images: Iterable[Image],
    carry: float,
    guides: Iterable[Image] | None = None,
    **dream: Any,
) -> Iterator[Path]:
    """Dream the frames of a video that do not exist in its folder yet.

    Args:
        run: a folder whose recipe has been begun.
        net: the network.
        images: the frames from the beginning, (H, W, 3) RGB 0..255.
        carry: see `video_frames`.
        guides: see `video_frames`.
        dream: other arguments of `video_frames`, among them the run's `seed`.

    Yields:
        The path of each new frame, as soon as it is written.

    Raises:
        DreamError: as `video_frames`; or the frame cannot be written.
    """
    image: Any = run.state.get("image")  # without `carry` none was saved, and `video_frames` uses none
    after = Frame(run.done - 1, image, dream["seed"]) if run.done else None
    for frame in video_frames(net, images, carry, after=after, guides=guides, **dream):
        yield run.save(frame.index, frame.image, **({"image": frame.image} if carry else {}))


def zoom_into(
    run: FrameFolder,
    net: Net,
    img: Image,
    frame_n: int,
    scale: float,
    rotate: float,
    center: tuple[float, float] | None = None,
    **dream: Any,
) -> Iterator[Path]:
    """Dream the frames of a zoom that do not exist in its folder yet.

    Args:
        run: a folder whose recipe has been begun.
        net: the network.
        img: the image to start from, (H, W, 3) RGB 0..255.
        frame_n: see `zoom_frames`.
        scale: see `zoom_frames`.
        rotate: see `zoom_frames`.
        center: see `zoom_frames`.
        dream: other arguments of `zoom_frames`, among them the run's `seed`.

    Yields:
        The path of each new frame, as soon as it is written.

    Raises:
        DreamError: as `zoom_frames`; or the frame cannot be written.
    """
    assert run.recipe is not None
    after = Frame(run.done - 1, run.state["image"], dream["seed"]) if run.done else None
    for frame in zoom_frames(net, img, max(frame_n, 1), scale, rotate, after=after, center=center, **dream):
        recipe = replace(run.recipe, more={**run.recipe.more, "frame": frame.index})
        yield run.save(frame.index, frame.image, recipe, image=frame.image)
