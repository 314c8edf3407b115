"""Copies the sound of a video from one file into another.

The central type is `SoundTracks`: tracks that an MP4 can hold are copied unchanged, the others become AAC. The written
times always ascend, whatever the times in the file are, because an MP4 cannot hold others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

# An MP4 holds these as they are; some have several decoders in FFmpeg. ("aac_latm" is AAC as it is broadcast, which an
# MP4 cannot hold.)
_COPIED_CODECS = {
    "aac", "aac_fixed", "ac3", "ac3_fixed", "alac", "eac3", "flac", "libopus", "mp3", "mp3float", "opus",
}  # fmt: skip
_MIN_MP3_RATE = 16000  # Hz: in an MP4, "mp3" does not include lower rates
_REHEARSED_PACKETS = 100  # of a track that is encoded: copying takes a second for an hour, encoding half a minute
_AAC_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}  # Hz


def is_copied(track: Stream) -> bool:
    """Whether an MP4 can hold a track unchanged."""
    codec: Any = track.codec_context
    return codec.name in _COPIED_CODECS and not (codec.name.startswith("mp3") and codec.sample_rate < _MIN_MP3_RATE)


class SoundTracks:
    """The tracks of a file, to be added to another one in step with its frames.

    Args:
        open_file: opens the file anew.
        read_packets: gives the packets of the open file, of all streams, with times that continue where its own
            start again.
        tracks: the indices of its streams of sound.
        start: the time at which the file begins, in seconds; the tracks are shifted to begin at 0.
    """

    def __init__(
        self,
        open_file: Callable[[], InputContainer],
        read_packets: Callable[[InputContainer], Iterator[Any]],
        tracks: Sequence[int],
        start: Fraction,
    ) -> None:
        self._open_file = open_file
        self._read_packets = read_packets
        self._tracks = tracks
        self._start = start

    def open(self, container: OutputContainer, rehearsal: bool = False) -> None:
        """Add a stream for each track to `container`, before its first packet.

        Args:
            container: the output.
            rehearsal: whether to add only the beginning of a track that has to be encoded.
        """
        self._input = self._open_file()
        self._outputs: dict[int, _Copied | _Encoded] = {}  # by the index of the track
        for index in self._tracks:
            track = self._input.streams[index]
            self._outputs[index] = (
                _Copied(container, track) if is_copied(track) else _Encoded(container, track, rehearsal)
            )
        packets = self._read_packets(self._input)
        self._packets: Iterator[Any] = (packet for packet in packets if packet.stream.index in self._outputs)
        self._waiting: Any = None  # a packet of the input whose time has not come
        self._units = {index: float(self._input.streams[index].time_base or 0) for index in self._tracks}  # seconds

    def mux(self, container: OutputContainer, until: float | None) -> None:
        """Add the sound before `until` seconds to `container`; with `None` all the rest, and close the input."""
        latest = None if until is None else until + float(self._start)
        while not all(output.done for output in self._outputs.values()):
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                break
            index, time = packet.stream.index, packet.dts
            if time is not None and latest is not None and time * self._units[index] > latest:
                self._waiting = packet
                return
            for made in self._outputs[index].packets(packet, self._start):
                container.mux(made)
        if until is None:
            self._input.close()


class _Copied:
    """A track of the output whose packets are those of the input."""

    done = False  # nothing more is needed

    def __init__(self, container: OutputContainer, track: Any) -> None:
        self._stream: Any = container.add_stream_from_template(track)
        self._times = _AscendingTimes(track.codec_context.sample_rate)

    def packets(self, packet: Any, start: Fraction) -> Iterator[Any]:
        """The packets of the output for one of the input, which begins at `start` seconds."""
        if packet.size:  # the last, empty one only flushes a decoder
            packet.stream = self._stream
            yield self._times.set(packet, start)


class _Encoded:
    """A track of the output that is decoded and encoded as AAC."""

    def __init__(self, container: OutputContainer, track: Any, rehearsal: bool) -> None:
        codec = track.codec_context
        self._stream: Any = container.add_stream("aac", rate=codec.rate if codec.rate in _AAC_RATES else 48000)
        self._stream.layout = "mono" if codec.layout.nb_channels == 1 else "stereo"
        self._times = _AscendingTimes(self._stream.rate)
        self._converter: _SampleConverter | None = None
        self._left = _REHEARSED_PACKETS if rehearsal else math.inf
        self.done = False  # nothing more is needed

    def packets(self, packet: Any, start: Fraction) -> Iterator[Any]:
        """The packets of the output for one of the input, which begins at `start` seconds."""
        if self.done:
            return
        self._left -= 1
        shift = round(start / packet.time_base)
        for frame in packet.decode():
            frame.pts = None if frame.pts is None else frame.pts - shift
            self._converter = self._converter or _SampleConverter(frame)
            for same in self._converter(frame):
                yield from self._encode(same)
        if not packet.size or not self._left:
            self.done = True
            yield from self._encode(None)

    def _encode(self, frame: Any) -> Iterator[Any]:
        for packet in self._stream.encode(frame):
            yield self._times.set(packet, Fraction(0))


class _AscendingTimes:
    """Gives the packets of a track times that ascend, in the unit that an MP4 counts them in.

    Args:
        rate: samples per second.
    """

    def __init__(self, rate: int) -> None:
        self._unit = Fraction(1, rate or 48000)
        self._scale: Fraction | None = None  # such units in a tick of the packets, which is the same for all
        self._last: int | None = None
        self._end = 0

    def set(self, packet: Any, start: Fraction) -> Any:
        """The packet, earlier by `start` seconds; if it has no time, it begins when the one before ends."""
        if self._scale is None:
            self._scale, self._shift = packet.time_base / self._unit, round(start / packet.time_base)
        time = packet.pts if packet.dts is None else packet.dts
        begin = self._end if time is None else self._rescaled(time - self._shift)
        if self._last is not None and begin <= self._last:
            begin = self._last + 1
        length = self._rescaled(packet.duration or 0)
        self._last, self._end = begin, begin + max(1, length)
        packet.pts, packet.dts, packet.duration, packet.time_base = begin, begin, length, self._unit
        return packet

    def _rescaled(self, ticks: int) -> int:
        assert self._scale is not None
        return (2 * ticks * self._scale.numerator + self._scale.denominator) // (2 * self._scale.denominator)


class _SampleConverter:
    """Converts frames of samples to the rate, channels and format of the first one, where they change on the way.

    Args:
        first: the first frame.
    """

    def __init__(self, first: Any) -> None:
        self._form, self._time_base = _sample_form(first), first.time_base
        self._resamplers: dict[tuple[str, str, int], Any] = {}

    def __call__(self, frame: Any) -> Sequence[Any]:
        form = _sample_form(frame)
        if form == self._form:
            return [frame]
        if form not in self._resamplers:
            from av import AudioResampler

            self._resamplers[form] = AudioResampler(*self._form)
        converted = self._resamplers[form].resample(frame)
        for each in converted:
            if each.pts is not None:
                each.pts = round(each.pts * each.time_base / self._time_base)
            each.time_base = self._time_base
        return converted


def _sample_form(frame: Any) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
