"""What moved where from one frame of a video to the next.

A *flow* is float32 (H, W, 2): for each pixel of the frame, how far to the right and how far down it was in the frame
before, in pixels. It needs OpenCV (the extra `video`).
"""

import contextlib
import os
import sys

import numpy as np

from .animation import needs
from .sharing import Alone

# Flows there and back may differ by this much of their length and by this many pixels (squared): Sundaram, Brox and
# Keutzer, Dense point trajectories by GPU-accelerated large displacement optical flow, ECCV 2010, equation 5.
_RELATIVE, _ABSOLUTE = 0.01, 0.5
_SETTING = Alone()  # the number of OpenCV's threads is the process's: two that set it and put it back undo each other
_CONTRAST = 30.0  # of 255; what was carried along and differs by this much from what is there is not the same thing


def motion(before, now):
    """How the frame before moved to become this one.

    **Arguments:** `before`, `now`: two frames of one size, (H, W, 3) RGB 0..255.

    **Returns:** (flow, trust): the flow back to the frame before, and float32 (H, W) in 0..1, how far it can be
    trusted: little where the flow there does not lead back again (something came into view or went out of it), where
    it leads out of the picture, and where what it leads to looks otherwise (a cut).
    """
    cv2 = needs("cv2", "dreaming videos")
    grey_before, grey_now = (cv2.cvtColor(_bytes(img), cv2.COLOR_RGB2GRAY) for img in (before, now))
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    with _one_thread(cv2):
        back = search.calc(grey_now, grey_before, None)
        forth = search.calc(grey_before, grey_now, None)
    there = warp(forth, back)
    apart = np.square(back + there).sum(axis=2)
    allowed = _RELATIVE * (np.square(back).sum(axis=2) + np.square(there).sum(axis=2)) + _ABSOLUTE
    contrast = np.abs(np.float32(grey_now) - warp(np.float32(grey_before), back))
    trust = np.exp(-apart / allowed - np.square(contrast / _CONTRAST))
    return back, trust * _inside(back)


def warp(img, flow, smooth=False):
    """An array of the frame before, (H, W) or (H, W, channels), at the places of this frame.

    Linearly interpolated, or, if it is to be `smooth`, cubically: what is moved many times stays sharp.
    """
    cv2 = needs("cv2", "dreaming videos")
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    between = cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR
    return cv2.remap(np.float32(img), x + flow[:, :, 0], y + flow[:, :, 1], between, borderMode=cv2.BORDER_REPLICATE)


def _inside(flow):
    height, width = flow.shape[:2]
    x, y = np.arange(width) + flow[:, :, 0], np.arange(height)[:, None] + flow[:, :, 1]
    return np.float32((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1))


def _bytes(img):
    return np.rint(np.clip(img, 0, 255)).astype(np.uint8)


@contextlib.contextmanager
def _one_thread(cv2):
    """OpenCV cuts the picture into a strip for each thread, and the flow differs with the cuts."""
    with _SETTING:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield
        finally:
            cv2.setNumThreads(threads)


class _Forks:
    """OpenCV's threads do not come along into a forked process, where it would wait for them for ever.

    It ends them when it is to use one alone. The child stays with one.
    """

    threads = None

    @classmethod
    def before(cls):
        cv2 = sys.modules.get("cv2")
        if hasattr(cv2, "setNumThreads"):
            cls.threads = cv2.getNumThreads()
            cv2.setNumThreads(1)

    @classmethod
    def in_parent(cls):
        if cls.threads is not None:
            sys.modules["cv2"].setNumThreads(cls.threads)


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_Forks.before, after_in_parent=_Forks.in_parent)
