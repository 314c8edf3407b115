"""Finds what is missing in a video file that FFmpeg reads without an error."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer

_BEGINNINGS = {"matroska": b"\x1aE\xdf\xa3", "mp4": b"ftyp", "flv": b"FLV\x01"}  # of a file, by FFmpeg's format
_TICKS_PER_SECOND = 1_000_000  # FFmpeg's own unit of a file's length


def promised_seconds(container: InputContainer, stream: Any) -> float | None:
    """The length of the picture that a file's index states, in seconds.

    Args:
        container: PyAV's container of the file.
        stream: the picture.

    Returns:
        The length; `None` if only that of the whole file, with sound and subtitles, is stated, as in Matroska.
    """
    if not stream.duration:
        return None
    seconds = float(stream.duration * stream.time_base)
    if container.format.name == "avi" and stream.average_rate:  # there, FFmpeg estimates the duration from the size
        seconds = max(seconds, float(stream.frames / stream.average_rate))
    return seconds


def check_length(path: Path, container: InputContainer, stream: Any, length: float, end: float) -> None:
    """Raise `VideoError` if the index promises much more than there is: the file was cut short on its way.

    Args:
        path: the file.
        container: PyAV's container of it.
        stream: the picture.
        length: the seconds of picture that are there.
        end: when the last of all packets ends, in seconds after the file's start.
    """
    there, promised = length, promised_seconds(container, stream)
    if promised is None:
        there, promised = end, (container.duration or 0) / _TICKS_PER_SECOND
    if promised > 1.05 * there + 0.5:
        raise VideoError(f"{path} is cut short: {there:.1f} of {promised:.1f} seconds are there; copy it again")


def check_nothing_follows(path: Path, container: InputContainer, read_to: int) -> None:
    """Raise `VideoError` if another recording is glued to those that FFmpeg reads.

    Args:
        path: the file.
        container: PyAV's container of it.
        read_to: where in the file the last packet is; 0 if the format does not tell.
    """
    for name, begins in _BEGINNINGS.items():
        if name not in container.format.name or not read_to:
            continue
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            place = data.find(begins, read_to)
        if place >= 0:
            raise VideoError(
                f"{path} continues with another recording at byte {place:,}, which would be left out; join "
                "them with ffmpeg's concat, or cut the file there"
            )
