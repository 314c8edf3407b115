"""FFmpeg's frames -> a video file.

The input is `av.VideoFrame`s of one size, RGB, with their times; `write_container` and `write_gif` write them.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import VideoError
from .filters import filter_graph
from .tracks import OtherTracks
from .video_containers import VideoContainer
from .video_metadata import VideoMetadata

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import OutputContainer

_BT709, _LIMITED_RANGE = 1, 1  # FFmpeg's numbers for the matrix, primaries and transfer, and for 16..235
_GIF_TICK = Fraction(1, 100)  # seconds; the unit of time in a GIF
_MIN_GIF_TICKS = 2  # browsers slow down frames that are shorter
_MAX_GIF_SIDE = 65535  # pixels
_NO_IMAGE = b"\x00\x00\x00\x01\x0c\x80"  # a unit of H.264 that fills space


@dataclass(frozen=True)
class Companions:
    """What goes into a video file beside its frames.

    Attributes:
        tracks: its sound and subtitles; `None`: a silent video.
        metadata: its title, chapters and so on.
    """

    tracks: OtherTracks | None = None
    metadata: VideoMetadata = field(default_factory=VideoMetadata)


def write_container(
    av: ModuleType,
    kind: VideoContainer,
    path: Path,
    frames: Iterable[VideoFrame],
    time_base: Fraction,
    rate: Fraction,
    aspect: Fraction | None,
    companions: Companions,
) -> None:
    """Write frames into a container.

    Args:
        av: PyAV.
        kind: the container.
        path: the file to write.
        frames: RGB; their times are in units of `time_base`.
        time_base: in seconds.
        rate: frames per second on average.
        aspect: width by height of a pixel; `None`: square.
        companions: what goes into the file beside them.
    """
    tracks = companions.tracks
    with av.open(str(path), "w", format=kind.format, options=dict(kind.container_options)) as container:
        encoder, to_yuv = None, _YuvConverter(av)
        for frame in frames:
            if encoder is None:
                encoder = _Encoder(container, _add_stream(container, kind, frame, time_base, rate, aspect))
                if tracks:
                    tracks.open(container, kind)
                companions.metadata.write_to(container)
            if tracks:  # in step with the frames, or the container would have to keep packets that come too early
                tracks.mux(container, float((frame.pts or 0) * time_base))
            encoder.write(to_yuv(frame))
        if encoder is not None:
            encoder.write(None)
        if tracks:
            tracks.mux(container, None)


def rehearse_container(
    av: ModuleType,
    kind: VideoContainer,
    frame: VideoFrame,
    times: Sequence[int],
    time_base: Fraction,
    rate: Fraction,
    aspect: Fraction | None,
    companions: Companions,
) -> None:
    """Do the same as `write_container`, without a file and with only one frame, to raise its errors early.

    All times and the whole sound of the video are used, but of sound that has to be encoded only the beginning. An hour
    of video takes two seconds.

    Args:
        av: PyAV.
        kind: see `write_container`.
        frame: any, RGB, of the frames' size.
        times: when each frame begins and finally when the last one ends.
        time_base: see `write_container`.
        rate: see `write_container`.
        aspect: see `write_container`.
        companions: see `write_container`.
    """
    tracks = companions.tracks
    with av.open(_Nowhere(), "w", format=kind.format) as container:
        stream = _add_stream(container, kind, frame, time_base, rate, aspect)
        if tracks:
            tracks.open(container, kind, rehearsal=True)
        companions.metadata.write_to(container)
        frame.pts, frame.duration, frame.time_base = times[0], times[1] - times[0], time_base
        encoded = [*stream.encode(_YuvConverter(av)(frame)), *stream.encode(None)]
        content = _NO_IMAGE if kind.codec == "libx264" else bytes(encoded[0])
        for begin, end in zip(times, times[1:]):
            if tracks:
                tracks.mux(container, float(begin * time_base))
            packet = av.Packet(content)
            packet.stream, packet.is_keyframe = stream, begin == times[0]
            packet.pts, packet.dts, packet.duration, packet.time_base = begin, begin, end - begin, time_base
            container.mux(packet)
        if tracks:
            tracks.mux(container, None)


def write_gif(
    av: ModuleType,
    path: Path | io.RawIOBase,
    coarse: Iterable[VideoFrame],
    frames: Iterable[VideoFrame],
    time_base: Fraction,
) -> None:
    """Write frames as a GIF, with FFmpeg's own filters in two passes: one palette for all, then each in its colours.

    Args:
        av: PyAV.
        path: the file to write, or an open one.
        coarse: the frames with few colours, to choose the palette from.
        frames: RGB; their times are in units of `time_base`.
        time_base: in seconds.
    """
    graph: Any = None
    source: Any = None
    frame: Any = None
    # The filter counts how often each colour occurs; without the coarse frames there would be 16 million colours.
    for frame in coarse:
        if graph is None:
            _check_size(frame, "a GIF", _MAX_GIF_SIDE)
            graph, (source,) = filter_graph(av, [frame], ("palettegen", None))
        source.push(frame)
        with contextlib.suppress(av.BlockingIOError):  # it has no palette yet, but now it reads the frame
            graph.pull()
    source.push(None)
    palette = graph.pull()
    with av.open(path if isinstance(path, io.RawIOBase) else str(path), "w", format="gif") as container:
        stream = container.add_stream("gif", rate=round(1 / _GIF_TICK))
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "pal8"
        stream.codec_context.time_base = _GIF_TICK
        encoder = _Encoder(container, stream)
        graph, sources = filter_graph(av, [frame, palette], ("paletteuse", "dither=bayer:bayer_scale=4"))
        source, colours = sources
        colours.push(palette)
        colours.push(None)
        shown = None
        for frame in frames:
            tick = round(frame.pts * time_base / _GIF_TICK)
            if shown is not None and tick < shown + _MIN_GIF_TICKS:
                continue
            shown = tick
            source.push(frame)
            coloured = graph.pull()
            coloured.pts, coloured.time_base = tick, _GIF_TICK
            coloured.duration = max(_MIN_GIF_TICKS, round(frame.duration * time_base / _GIF_TICK))
            encoder.write(coloured)
        encoder.write(None)


def rehearse_gif(av: ModuleType, frame: VideoFrame, time_base: Fraction) -> None:
    """Do the same as `write_gif`, without a file and with only one frame, to raise its errors early."""
    frame.pts, frame.duration, frame.time_base = 0, 1, time_base
    write_gif(av, _Nowhere(), [frame], [frame], time_base)


class _Nowhere(io.RawIOBase):
    """A file that discards everything that is written to it."""

    def __init__(self) -> None:
        self._position = self._size = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._position += len(data)
        self._size = max(self._size, self._position)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def tell(self) -> int:
        return self._position


def _check_size(frame: VideoFrame, what: str, max_side: int) -> None:
    """Raise `VideoError` if a format cannot hold frames as large as this one."""
    if max(frame.width, frame.height) > max_side:
        raise VideoError(
            f"{what} holds at most {max_side} pixels per side, these frames are {frame.width}×{frame.height}; "
            "scale them down first (--max-size)"
        )


class _Encoder:
    """A stream of a container that is encoded frame by frame.

    The encoders lose the duration of a frame, which matters for the last one; here it is restored.
    """

    def __init__(self, container: OutputContainer, stream: Any) -> None:
        self._container = container
        self._stream = stream
        self._durations: dict[int, int] = {}

    def write(self, frame: Any) -> None:
        """Encode a frame, whose times are in the stream's units; `None` flushes the encoder."""
        if frame is not None:
            self._durations[frame.pts] = frame.duration
        for packet in self._stream.encode(frame):
            packet.duration = self._durations.pop(packet.pts, packet.duration)
            self._container.mux(packet)


def _add_stream(
    container: OutputContainer,
    kind: VideoContainer,
    frame: VideoFrame,
    time_base: Fraction,
    rate: Fraction,
    aspect: Fraction | None,
) -> Any:
    """A stream for frames like `frame`."""
    _check_size(frame, kind.name, kind.max_side)
    stream: Any = container.add_stream(kind.codec, rate=rate, options=dict(kind.encoder_options))
    stream.width, stream.height = (n + n % 2 for n in (frame.width, frame.height))
    stream.pix_fmt = "yuv420p"
    codec = stream.codec_context
    codec.time_base = time_base
    codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
    codec.color_range = _LIMITED_RANGE
    if aspect:
        codec.sample_aspect_ratio = aspect
    return stream


class _YuvConverter:
    """Frames in the form that H.264 and VP9 require: HDTV's colours at half the size, so the size must be even."""

    def __init__(self, av: ModuleType) -> None:
        self._av = av
        self._graph: Any = None
        self._source: Any = None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        padded = self._pad(frame)
        if self._graph is None:
            self._graph, (self._source,) = filter_graph(
                self._av, [padded], ("scale", "out_color_matrix=bt709:out_range=tv"), ("format", "yuv420p")
            )
        self._source.push(padded)
        result = self._graph.pull()
        result.pts, result.duration, result.time_base = frame.pts, frame.duration, frame.time_base
        return result

    def _pad(self, frame: VideoFrame) -> VideoFrame:
        """The frame at an even size: where it is odd, the last column or row is repeated."""
        missing = [(0, frame.height % 2), (0, frame.width % 2), (0, 0)]
        if not frame.height % 2 and not frame.width % 2:
            return frame
        padded = self._av.VideoFrame.from_ndarray(np.pad(frame.to_ndarray(), missing, mode="edge"), format="rgb24")
        padded.pts, padded.time_base = frame.pts, frame.time_base
        return padded
