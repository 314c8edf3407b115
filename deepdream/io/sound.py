"""Tracks of sound of a video: copied into another file, or encoded anew.

The written times always ascend, whatever the times in the file are, because an MP4 cannot hold others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import OutputContainer

_REHEARSED_PACKETS = 100  # of a track that is encoded: copying takes a second for an hour, encoding half a minute
_AAC_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}  # Hz
_OPUS_RATE = 48000  # Hz
# The layouts that an encoder has for a number of channels: the same loudspeakers, by the names that it knows.
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


class CopiedSound:
    """A track of the output whose packets are those of the input.

    Args:
        container: the output.
        track: PyAV's stream of the input.
    """

    done = False  # nothing more is needed
    mixed_down = False

    def __init__(self, container: OutputContainer, track: Any) -> None:
        self.stream: Any = container.add_stream_from_template(track)
        self._times = _AscendingTimes(track.codec_context.sample_rate)

    def packets(self, packet: Any, start: Fraction, end: Fraction | None) -> Iterator[Any]:
        """The packets of the output for one of the input, whose video begins at `start` and ends at `end` seconds."""
        if packet.size and _is_within(packet, start, end):  # the last, empty one only flushes a decoder
            packet.stream = self.stream
            yield self._times.set(packet, start)


class EncodedSound:
    """A track of the output that is decoded and encoded, with the same channels where the encoder has them.

    Args:
        container: the output.
        track: PyAV's stream of the input.
        codec: the encoder, "aac" or "libopus".
        rehearsal: whether to add only its beginning.

    Attributes:
        mixed_down: whether the encoder does not have as many channels.
    """

    def __init__(self, container: OutputContainer, track: Any, codec: str, rehearsal: bool) -> None:
        given = track.codec_context
        rate = _OPUS_RATE if codec == "libopus" else given.rate if given.rate in _AAC_RATES else 48000
        layout = _LAYOUTS.get(given.layout.nb_channels)
        self.mixed_down = layout is None
        stream: Any = container.add_stream(codec, rate=rate)
        stream.layout = layout or "stereo"
        self.stream = stream
        self._times = _AscendingTimes(stream.rate)
        self._converter: _SampleConverter | None = None
        self._left = _REHEARSED_PACKETS if rehearsal else math.inf
        self.done = False  # nothing more is needed

    def packets(self, packet: Any, start: Fraction, end: Fraction | None) -> Iterator[Any]:
        """The packets of the output for one of the input, whose video begins at `start` and ends at `end` seconds."""
        if self.done or (packet.size and not _is_within(packet, start, end)):
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
        for packet in self.stream.encode(frame):
            yield self._times.set(packet, Fraction(0))


def _is_within(packet: Any, start: Fraction, end: Fraction | None) -> bool:
    """Whether a packet is heard in the part of the file from `start` to `end` seconds; without an end, it always is."""
    if end is None or packet.pts is None:
        return True
    begin = packet.pts * packet.time_base
    return start <= begin < end


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
