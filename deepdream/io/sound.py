"""The sound of a video, on its way from one file into another.

The central type is `SoundTracks`: tracks that an MP4 can hold are copied as they are, the others become AAC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

_COPIED_CODECS = {"aac", "mp3", "opus", "flac", "alac", "ac3", "eac3"}  # an MP4 holds these as they are
_AAC_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}  # Hz


def is_copied(track: Stream) -> bool:
    """Whether an MP4 can hold a track as it is."""
    name = track.codec_context.name
    return name.split("_")[0] in _COPIED_CODECS or name == "mp3float"


class SoundTracks:
    """The tracks of a file, to be added to another one in step with its frames.

    Args:
        open_file: opens the file anew.
        tracks: the indices of its streams of sound.
        start: when the file begins, in seconds; the tracks are shifted to begin at 0.
    """

    def __init__(self, open_file: Callable[[], InputContainer], tracks: Sequence[int], start: Fraction) -> None:
        self._open_file = open_file
        self._tracks = tracks
        self._start = start

    def open(self, container: OutputContainer) -> None:
        """Add a stream for each track to `container`, before its first packet."""
        self._input = self._open_file()
        self._streams: dict[int, Any] = {}  # the output's, by the index of the track
        for index in self._tracks:
            track: Any = self._input.streams[index]
            if is_copied(track):
                stream: Any = container.add_stream_from_template(track)
            else:
                codec = track.codec_context
                stream = container.add_stream("aac", rate=codec.rate if codec.rate in _AAC_RATES else 48000)
                stream.layout = "mono" if codec.layout.nb_channels == 1 else "stereo"
            self._streams[index] = stream
        self._packets: Iterator[Any] = self._input.demux([self._input.streams[index] for index in self._streams])
        self._waiting: Any = None  # a packet of the input whose time has not come

    def mux(self, container: OutputContainer, until: float | None) -> None:
        """Add the sound before `until` seconds to `container`; with `None` all the rest, and close the input."""
        while self._streams:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                break
            later = None not in (packet.dts, until) and packet.dts * packet.time_base - self._start > until
            if later:
                self._waiting = packet
                return
            self._mux_packet(container, packet)
        if until is None:
            self._input.close()

    def _mux_packet(self, container: OutputContainer, packet: Any) -> None:
        """Copy or encode a packet of the input."""
        track, stream = packet.stream, self._streams[packet.stream.index]
        shift = round(self._start / packet.time_base)
        if is_copied(track):
            if None not in (packet.dts, packet.pts):  # the last, empty one only flushes a decoder
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                container.mux(packet)
            return
        for frame in packet.decode():
            frame.pts = None if frame.pts is None else frame.pts - shift
            container.mux(stream.encode(frame))
        if packet.dts is None:
            container.mux(stream.encode(None))
