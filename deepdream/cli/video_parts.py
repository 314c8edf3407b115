"""`--start` and `--stop` of `deepdream video`: the part of a video that is dreamt."""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Sequence
from fractions import Fraction

from ..errors import ParameterError, VideoError
from ..io.image_sequence import FrameSource
from ..validation import truncate

_FRAME = re.compile(r"(\d{1,9})f")
_TIME = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,5}):)?(\d{1,9}(?:\.\d{1,9})?)s?")


def parse_moment(option: str, text: str | None) -> int | Fraction | None:
    """A moment in a video: the number of a frame, or seconds.

    Args:
        option: the option's name, for the message.
        text: a time such as 12.5, 1:30 or 0:01:30.5, or a frame such as 250f; `None` if it was not given.

    Returns:
        An int for a frame, counted from zero, a `Fraction` for seconds.

    Raises:
        ParameterError: the text is neither.
    """
    if text is None:
        return None
    frame, time = _FRAME.fullmatch(text), _TIME.fullmatch(text)
    if frame:
        return int(frame[1])
    if not time:
        raise ParameterError(
            f"{option} {truncate(text)}: must be a time (12.5 or 1:30) or the number of a frame, counted from 0 (250f)"
        )
    hours, minutes, seconds = time.groups()
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + Fraction(seconds)


def cut_part(source: FrameSource, start: int | Fraction | None, stop: int | Fraction | None) -> FrameSource:
    """The part of a video from `start` up to and without `stop`.

    Args:
        source: the video.
        start: from `parse_moment`; `None`: the beginning.
        stop: from `parse_moment`; `None`: the end.

    Raises:
        VideoError: no frame is in that part.
    """
    if start is None and stop is None:
        return source
    first = 0 if start is None else _frame_at(source.times, start, source.time_base)
    last = len(source) if stop is None else _frame_at(source.times, stop, source.time_base)
    if first >= min(last, len(source)):
        seconds = float(source.times[-1] * source.time_base)
        raise VideoError(
            f"{source.path}: no frame between --start and --stop; it has {len(source)} frames, {seconds:.2f} seconds"
        )
    return source.part(first, min(last, len(source)))


def _frame_at(times: Sequence[int], moment: int | Fraction, time_base: Fraction) -> int:
    """The number of the first frame that begins at a moment or later."""
    if isinstance(moment, int):
        return moment
    return bisect.bisect_left(times, math.ceil(moment / time_base), 0, len(times) - 1)
