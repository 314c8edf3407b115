"""Optical flow: the motion from one frame of a video to the next.

A *flow* is float32 (H, W, 2): for each pixel of the frame, how far to the right and how far down it was in the frame
before, in pixels. It needs OpenCV (the extra `video`).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ._types import Image
from .extras import require_extra
from .fork_lock import ForkSafeLock
from .io.arrays import to_uint8

# Flows there and back may differ by this much of their length and by this many pixels (squared): Sundaram, Brox and
# Keutzer, Dense point trajectories by GPU-accelerated large displacement optical flow, ECCV 2010, equation 5.
_RELATIVE_TOLERANCE, _ABSOLUTE_TOLERANCE = 0.01, 0.5
# Of 255: if the carried grey value differs by this much from the frame's, the pixel shows something else.
_CONTRAST_TOLERANCE = 30.0
# The mean trust below which a frame belongs to another shot. Measured: at most 0.03 between two of 13 photographs; at
# least 0.4 in 11 of them that move by up to a twelfth of their width, about 0 in the two that are nearly flat.
_MIN_SHOT_TRUST = 0.1
# The number of OpenCV's threads holds for the whole process: two threads that set and restore it undo each other.
_thread_setting = ForkSafeLock()
_MAX_MARGIN = 128  # pixels of the other side that are seen beyond an edge that joins


def motion(before: Image, now: Image, wrap: str | None = None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The motion from the frame before to this one.

    Args:
        before: the frame before, (H, W, 3) RGB 0..255.
        now: this frame, of the same size.
        wrap: the edges that join, over which things move: "x", "xy" or `None`.

    Returns:
        (flow, trust): the flow back to the frame before, and float32 (H, W) in 0..1, how far it can be trusted: little
        where the flow there does not lead back again (something came into view or went out of it), where it leads out
        of the image, and where the frame before looks different at its end (a cut).

    Raises:
        DreamError: OpenCV is not installed.
    """
    cv2 = require_extra("cv2", "dreaming on videos")
    grey_before, grey_now = (cv2.cvtColor(to_uint8(img), cv2.COLOR_RGB2GRAY) for img in (before, now))
    margins = _margins(grey_now.shape, wrap, _MAX_MARGIN)
    wide_before, wide_now = (np.pad(img, margins, mode="wrap") for img in (grey_before, grey_now))
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    with _one_thread(cv2):
        back = _without(search.calc(wide_now, wide_before, None), margins)
        forth = _without(search.calc(wide_before, wide_now, None), margins)
    forth_from_there = warp(forth, back, wrap=wrap)
    apart = np.square(back + forth_from_there).sum(axis=2)
    length = np.square(back).sum(axis=2) + np.square(forth_from_there).sum(axis=2)
    allowed = _RELATIVE_TOLERANCE * length + _ABSOLUTE_TOLERANCE
    contrast = np.abs(np.float32(grey_now) - warp(np.float32(grey_before), back, wrap=wrap))
    trust = np.exp(-apart / allowed - np.square(contrast / _CONTRAST_TOLERANCE))
    return back, trust * _leads_inside(back, wrap)


def is_cut(trust: NDArray[np.float32]) -> bool:
    """Whether a frame begins another shot: little of it can be found in the frame before.

    Args:
        trust: from `motion`.
    """
    return float(trust.mean(dtype=np.float64)) < _MIN_SHOT_TRUST


def warp(
    img: NDArray[np.float32], flow: NDArray[np.float32], smooth: bool = False, wrap: str | None = None
) -> NDArray[np.float32]:
    """Move an array of the frame before to the positions of this frame.

    Args:
        img: (H, W) or (H, W, channels).
        flow: from this frame back to the frame before.
        smooth: interpolate cubically instead of linearly: an array that is moved many times stays sharp.
        wrap: the edges that join, see `motion`.

    Returns:
        float32, of the shape of `img`; beyond its edges the edge is repeated, or the other side joins.

    Raises:
        DreamError: OpenCV is not installed.
    """
    cv2 = require_extra("cv2", "dreaming on videos")
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    interpolation = cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR
    x, y = x + flow[:, :, 0], y + flow[:, :, 1]
    if wrap:
        margins = _margins((height, width), wrap, 3)  # as many as cubic interpolation reads beyond a point
        img = np.pad(img, [*margins, *[(0, 0)] * (img.ndim - 2)], mode="wrap")
        x = np.float32(x % width + margins[1][0]) if "x" in wrap else x
        y = np.float32(y % height + margins[0][0]) if "y" in wrap else y
    return cv2.remap(np.float32(img), x, y, interpolation, borderMode=cv2.BORDER_REPLICATE)


def _leads_inside(flow: NDArray[np.float32], wrap: str | None) -> NDArray[np.float32]:
    """1 where a flow ends inside the image, else 0, (H, W); nothing leads out over edges that join."""
    height, width = flow.shape[:2]
    x, y = np.arange(width) + flow[:, :, 0], np.arange(height)[:, None] + flow[:, :, 1]
    inside_x, inside_y = (x >= 0) & (x <= width - 1), (y >= 0) & (y <= height - 1)
    return np.float32((inside_x | ("x" in (wrap or ""))) & (inside_y | ("y" in (wrap or ""))))


def _margins(shape: Sequence[int], wrap: str | None, limit: int) -> list[tuple[int, int]]:
    """For each axis of (height, width) the number of pixels to add at both ends: none where no edges join."""
    return [(min(limit, n),) * 2 if letter in (wrap or "") else (0, 0) for letter, n in zip("yx", shape)]


def _without(array: NDArray[np.float32], margins: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
    """An array without its margins."""
    (top, _), (left, _) = margins
    return array[top : array.shape[0] - top, left : array.shape[1] - left]


@contextlib.contextmanager
def _one_thread(cv2: ModuleType) -> Iterator[None]:
    """OpenCV cuts the image into a strip for each thread, and the flow differs with the cuts."""
    with _thread_setting:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield
        finally:
            cv2.setNumThreads(threads)


class _ThreadsAcrossFork:
    """Make OpenCV safe to fork: a forked process does not have its threads, and would wait for them for ever.

    OpenCV ends them when it is set to one thread. The child keeps one thread.
    """

    threads: ClassVar[int | None] = None

    @classmethod
    def before(cls) -> None:
        cv2 = sys.modules.get("cv2")
        if cv2 is not None and hasattr(cv2, "setNumThreads"):
            cls.threads = cv2.getNumThreads()
            cv2.setNumThreads(1)

    @classmethod
    def in_parent(cls) -> None:
        if cls.threads is not None:
            sys.modules["cv2"].setNumThreads(cls.threads)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_ThreadsAcrossFork.before, after_in_parent=_ThreadsAcrossFork.in_parent)
