"""Reads a video file: its frames as images, and their times.

A `Video` is read through once when it is opened, so that damage is found before anything is dreamt. Frames are upright,
as a player shows them, however the camera was held.
"""

from __future__ import annotations

import copy
import errno
import itertools
import logging
import math
import os
from array import array
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._types import Image
from ..errors import VideoError
from ..extras import require_extra
from ..memory import describe_shortage, free_bytes
from .files import check_path, check_regular_file
from .packet_clock import PacketClock
from .tracks import OtherTracks
from .video_containers import CONTAINERS
from .video_damage import check_length, check_nothing_follows
from .video_metadata import VideoMetadata, read_metadata
from .video_pixels import PixelReader, has_transparency

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.stream import Stream

log = logging.getLogger(__name__)

_OUT_OF_HANDLES = (errno.EMFILE, errno.ENFILE)
_PIXEL_BYTES = 40  # a frame's memory per pixel: a few of FFmpeg's frames, and two of ours as float32. Measured.
_FRAME_BYTES = 4  # for each pixel of one of FFmpeg's
_MAX_PIXELS = 2**31 - 1  # FFmpeg's own limit
_TRACK_NAMES = {"video": "images", "subtitle": "subtitles in an unknown format"}
_TICKS_PER_SECOND = 1_000_000  # FFmpeg's own unit of a file's start


class Video:
    """A video file.

    `len(video)` is the number of frames. Iterating over it gives them, each time anew: float32 (H, W, 3) RGB 0..255.

    Args:
        path: the file, of any format that FFmpeg reads.

    Attributes:
        path: the file.
        width: the width of the upright frames, in pixels.
        height: the height of the upright frames, in pixels.
        aspect: a pixel's width by its height.
        times: when each frame begins and finally when the last one ends, whole numbers in units of `time_base`.
        time_base: the unit of `times`, in seconds.
        rate: frames per second on average.
        first_frame: of a `part`, the number of its first frame in the file; else `None`.

    Raises:
        DreamError: PyAV, of the extra `video`, is not installed.
        ParameterError: `path` is not a path.
        VideoError: the file cannot be read, is damaged, or holds no frames.

    Example:
        >>> dd.write_animation("clouds.mp4", [dd.picture("clouds")[:90, :120]] * 3)
        >>> video = dd.Video("clouds.mp4")
        >>> len(video), next(iter(video)).shape, video.rate
        (3, (90, 120, 3), Fraction(15, 1))
    """

    path: Path
    width: int
    height: int
    aspect: Fraction
    times: array[int]
    time_base: Fraction
    rate: Fraction
    first_frame: int | None = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        check_path("path", path)
        self.path = Path(path)
        self._av = require_extra("av", f"{path}: reading videos")
        check_regular_file(self.path, math.inf, VideoError)
        if self.path.is_dir() or not self.path.exists():
            raise VideoError(f"{path}: {'is a folder, not a video' if self.path.is_dir() else 'no such file'}")
        if self.path.stat().st_size == 0:
            raise VideoError(f"{path} is empty (0 bytes)")
        self.times = array("q")
        self._end_time: Fraction | None = None  # when a part of the file ends, in its times, in seconds
        with self._open() as container:
            self._scan(container)

    def __len__(self) -> int:
        return len(self.times) - 1

    def __iter__(self) -> Iterator[Image]:
        return self.frames()

    def frames(self, first: int = 0) -> Iterator[Image]:
        """The frames from number `first` on, as iterating over the video gives them."""
        with self._open() as container:
            stream = container.streams[self._index]
            self._check_memory(stream)
            stream.thread_type = "AUTO"
            frames = self._pixels.read(self._decode(container, [stream]), (self.first_frame or 0) + first)
            for pixels in itertools.islice(frames, len(self) - first):
                yield np.float32(pixels)

    def part(self, first: int, stop: int) -> Video:
        """The frames from number `first` up to and without `stop`, with their sound, as a video of its own."""
        part = copy.copy(self)
        part.times = array("q", (time - self.times[first] for time in self.times[first : stop + 1]))
        part.first_frame = (self.first_frame or 0) + first
        begin, end = (self._start + self.times[index] * self.time_base for index in (first, stop))
        part._start, part._end_time = begin, end
        return part

    def sound(self) -> OtherTracks:
        """The sound and subtitles, for `write_video`: every track, copied where the other file can hold it."""
        return OtherTracks(self._open, self._packets, self._tracks, self._start, self._end_time)

    def metadata(self, keep_location: bool = False) -> VideoMetadata:
        """The title, creation time, chapters and so on, for `write_video`.

        Args:
            keep_location: whether to keep where the video was recorded.
        """
        with self._open() as container:
            found = read_metadata(container, self._start, self._end_time, keep_location)
        return replace(found, left_out=[*self._left_out, *found.left_out])

    def _open(self) -> Any:
        """The file as PyAV's container, to be closed."""
        try:
            # A title that is not text is harmless; PyAV 19 and later replace its characters by themselves.
            old = int(self._av.__version__.partition(".")[0]) < 19
            return self._av.open(str(self.path), **({"metadata_errors": "replace"} if old else {}))
        except (self._av.FFmpegError, OSError) as error:
            if isinstance(error, PermissionError):
                raise VideoError(f"{self.path} cannot be read: permission denied") from None
            if error.errno in _OUT_OF_HANDLES:  # nothing of the file was read yet
                raise VideoError(
                    f"{self.path} cannot be opened: {error.strerror}; close other programs, or raise the "
                    "limit (ulimit -n)"
                ) from None
            raise VideoError(
                f"{self.path} is not a video that can be read, or is damaged ({error.strerror}); convert "
                "it to an MP4 first"
            ) from None

    def _packets(self, container: InputContainer) -> Iterator[Any]:
        """The packets of this file, of all streams, with times that continue where its own start again."""
        self._clock = PacketClock(container, self._index)
        return self._clock.packets()

    def _decode(self, container: InputContainer, streams: Collection[Stream]) -> Iterator[Any]:
        """Decode a container: its video frames; frames of other `streams` are decoded too, to see whether they can be.

        Sets `self._end` to when the last of all packets ends, in seconds, and `self._read_to` to where in the file the
        last one is.
        """
        seen, self._end, self._read_to = 0, 0.0, 0
        try:
            for packet in self._packets(container):
                self._read_to = max(self._read_to, packet.pos or 0)
                if packet.pts is not None:
                    self._end = max(self._end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                for frame in packet.decode() if packet.stream in streams else ():
                    if packet.stream.type == "video":
                        seen += 1
                        yield frame
        except (self._av.FFmpegError, OSError) as error:
            raise VideoError(
                f"{self.path} is damaged after frame {seen} ({error.strerror}); repair it with a video "
                "converter, or cut that part off"
            ) from None

    def _scan(self, container: Any) -> None:
        """Read the file through and set the attributes."""
        moving = [stream.index for stream in container.streams.video if not _is_cover(stream)]
        if not moving:
            what = "only sound" if container.streams.audio else "no frames"
            raise VideoError(f"{self.path} holds {what}; give a video")
        frames = {index: container.streams[index].frames for index in moving}  # 0 if the file does not tell
        # An animated AVIF begins with a still image.
        self._index = max(moving, key=frames.__getitem__) if frames[moving[0]] == 1 else moving[0]
        stream = container.streams[self._index]
        self._check_memory(stream)
        stream.thread_type = "AUTO"
        tracks = [track for track in container.streams.audio if track.codec_context and track.codec_context.sample_rate]
        subtitles = [track for track in container.streams.subtitles if track.codec_context]
        self._tracks = [track.index for track in (*tracks, *subtitles)]
        if len(tracks) < len(container.streams.audio):
            log.warning("%s: a sound track in an unknown format is left out", self.path)
        kinds = Counter(
            _TRACK_NAMES.get(other.type, other.type)
            for other in container.streams
            if other.index not in (self._index, *self._tracks) and other.type != "audio" and not _is_chapters(other)
        )
        self._left_out = [f"a track of {kind}" if n == 1 else f"{n} tracks of {kind}" for kind, n in kinds.items()]
        self._start = Fraction(container.start_time or 0, _TICKS_PER_SECOND)
        self.time_base, last = Fraction(stream.time_base), None  # PyAV 19 has a class of its own
        transparent = stream.metadata.get("alpha_mode") == "1"  # of a WebM, whose transparency is not decoded
        encoded = [track for track in tracks if not CONTAINERS[".mp4"].copies_sound(track)]
        for frame in self._decode(container, [stream, *encoded]):
            if last is None:
                self._pixels = self._pixel_reader(frame, stream)
            self._add_time(frame)
            self._pixels.interlaced |= frame.interlaced_frame
            transparent = transparent or has_transparency(frame)
            last = frame
        if last is None:
            raise VideoError(f"{self.path} does not hold any frame that can be read")
        rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        length = last.duration or round(1 / (rate * self.time_base))
        self.times.append(self.times[-1] + max(1, length))
        self.rate = self._plausible_rate(rate)
        if self._clock.recordings == 1:  # else the length is the first one's, or counted from one clock to another
            length = float((self.times[-1] - self.times[0]) * self.time_base)
            check_length(self.path, container, stream, length, self._end - float(self._start))
        elif subtitles:
            self._tracks = [track.index for track in tracks]
            self._left_out.append("the subtitles (the file consists of several recordings)")
        check_nothing_follows(self.path, container, self._read_to)
        if transparent:
            log.warning("%s: its transparency is left out", self.path)
        transposed = self._pixels.turn.transposed
        self.width, self.height = self._pixels.size[::-1] if transposed else self._pixels.size
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        self.aspect = 1 / aspect if transposed else aspect

    def _pixel_reader(self, first: VideoFrame, stream: Any) -> PixelReader:
        """A `PixelReader` for the frames like the first one; what it changes is logged."""
        try:
            pixels = PixelReader(self._av, first, stream.codec_context)
        except VideoError as error:
            raise VideoError(f"{self.path}: {error}") from None
        if pixels.colours.hdr:
            log.info("%s: HDR (%s) is read as SDR, with its white at 203 cd/m²", self.path, pixels.colours.hdr)
        return pixels

    def _plausible_rate(self, rate: Fraction) -> Fraction:
        """The average rate that a file states, or that of its frames if it is far off, as in a raw DV."""
        counted = Fraction(len(self), self.times[-1] - self.times[0]) / self.time_base
        return rate if counted / 4 < rate < 4 * counted else counted.limit_denominator(1001)

    def _check_memory(self, stream: Any) -> None:
        """Raise `VideoError` unless frames of the size in the header fit into memory."""
        if stream.codec_context is None:  # in an unknown format, so that nothing is decoded
            return
        shortage = describe_shortage(_PIXEL_BYTES * stream.width * stream.height)
        if shortage is not None:
            raise VideoError(
                f"{self.path} has frames of {stream.width}×{stream.height} pixels and needs {shortage}; scale it down "
                "first"
            )
        free = free_bytes()
        if free is not None:  # a larger frame in the midst of the file counts as damage
            stream.codec_context.options = {"max_pixels": str(min(free // _FRAME_BYTES, _MAX_PIXELS))}

    def _add_time(self, frame: VideoFrame) -> None:
        """Note when a frame begins: the file's time, or if it has none, after the frame before."""
        time = frame.pts if frame.pts is not None else frame.dts
        if time is not None:
            time -= round(self._start / self.time_base)
        elif self.times:
            time = self.times[-1] + (frame.duration or 1)
        self.times.append(max(time or 0, self.times[-1] + 1 if self.times else 0))


def _is_cover(stream: Any) -> bool:
    """Whether a stream is the cover image of a music file."""
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def _is_chapters(stream: Any) -> bool:
    """Whether a stream is the names of the chapters in an MP4 or MOV, which FFmpeg also gives as chapters."""
    return bool(stream.name == "bin_data" and getattr(stream.container, "chapters", list)())
