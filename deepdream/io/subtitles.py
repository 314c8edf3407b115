"""Subtitles of a video: copied into another file, or converted to its kind of text."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import OutputContainer

    from .video_containers import VideoContainer

_UNIT = Fraction(1, 1000)  # seconds, of the times that are written


class SubtitleTrack:
    """A track of the output that holds a track of subtitles of the input.

    Args:
        container: the output.
        kind: its format.
        track: PyAV's stream of the input.
        copied: whether its packets are stored unchanged; else its text is converted.
    """

    done = False  # nothing more is needed

    def __init__(self, container: OutputContainer, kind: VideoContainer, track: Any, copied: bool) -> None:
        self._decoder = track.codec_context
        self._last = 0
        self._encoder: Any = None
        if copied:
            self._stream: Any = container.add_stream_from_template(track)
            return
        self._decoder.open(strict=False)
        self._stream = container.add_stream(kind.subtitle_codec)
        self._encoder = self._stream.codec_context
        self._encoder.subtitle_header, self._encoder.time_base = self._decoder.subtitle_header, _UNIT

    @staticmethod
    def can_convert(track: Any) -> bool:
        """Whether this PyAV can convert subtitles: version 15 cannot."""
        return hasattr(track.codec_context, "subtitle_header")

    @property
    def stream(self) -> Any:
        """PyAV's stream of the output."""
        return self._stream

    def packets(self, packet: Any, start: Fraction, end: Fraction | None) -> Iterator[Any]:
        """The packets of the output for one of the input, whose video begins at `start` and ends at `end` seconds."""
        from av import Packet

        if not packet.size or packet.pts is None:
            return
        begin = packet.pts * packet.time_base - start
        stop = begin + (packet.duration or 0) * packet.time_base
        if (stop <= 0 and begin < 0) or (end is not None and begin >= end - start):
            return
        data = bytes(packet) if self._encoder is None else self._convert(packet)
        if not data:
            return
        result = Packet(data)
        ticks = max(self._last, round(begin / _UNIT))
        result.stream, result.time_base = self._stream, _UNIT
        result.pts = result.dts = self._last = ticks
        result.duration = max(0, round(stop / _UNIT) - ticks)
        yield result

    def _convert(self, packet: Any) -> bytes:
        """The text of a packet, in the output's codec; empty for a pause."""
        subtitles = self._decoder.decode2(packet)
        return bytes(self._encoder.encode_subtitle(subtitles)) if subtitles is not None and len(subtitles) else b""
