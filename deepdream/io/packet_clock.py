"""The packets of a video file, with times that continue where the file's own times start again.

Recordings are often glued together byte by byte (`cat a.webm b.webm`), and each begins at its own zero. The central
type is `PacketClock`: it shifts the packets of the later ones behind the earlier ones, as a player shows them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_MAX_REORDERED = 16  # frames that a decoder may reorder: a packet that is earlier than more of them is not a B-frame
_MIN_LATER = 2  # frames that are later than a key frame: one may be rounding
_ROUNDING = 0.1  # seconds that the sound may go back by without being another recording's
_LATE = 0.5  # seconds; the picture has moved on by more than this since the last packet of a track
_MAX_GAP = 10  # seconds; FFmpeg treats a longer gap as another clock, in the formats whose clock may be reset
_CLOCK_MAY_BE_SET = 0x200  # FFmpeg's AVFMT_TS_DISCONT


@dataclass
class _Track:
    """The state of a sound track while the file is read.

    Attributes:
        shift: the shift of its packets, in seconds.
        last: when its last packet began, shifted; `None` before the first.
        end: when that packet ended.
        astray: packets that do not follow the last one; the next packets of the picture decide where they belong.
    """

    shift: float = 0.0
    last: float | None = None
    end: float = 0.0
    astray: list[Any] = field(default_factory=list)


class PacketClock:
    """Shifts the times of a container's packets, given one after the other in the file's order.

    The picture decides where a recording ends and the next one begins: its times go back there, or, in a format whose
    clock may be reset, forward by more than `_MAX_GAP` seconds. The next recording begins when the last packet of the
    earlier ones has ended; the distance between its sound and its picture is kept. If only the sound goes back, the
    part that would be heard twice is left out.

    Args:
        container: PyAV's container of the file.
        picture: the index of the stream that is shown.

    Attributes:
        recordings: the number of recordings so far.
    """

    def __init__(self, container: Any, picture: int) -> None:
        self.recordings = 1
        self._container = container
        self._picture = picture
        self._sets_clock = bool(container.format.flags & _CLOCK_MAY_BE_SET)
        rate = container.streams[picture].average_rate
        self._frame = float(1 / rate) if rate else 0.0  # seconds
        # Seconds, not fractions of them: an hour has a quarter of a million packets.
        self._units = {stream.index: float(stream.time_base or 0) for stream in container.streams}
        self._shift = 0.0  # of the recording that the picture has reached
        self._first: list[float] = []  # when the first recording's picture begins, in the file's times
        self._first_sound: list[float] = []  # and its tracks of sound
        self._end = 0.0  # when the last packet so far has ended, shifted
        self._latest: list[float] = []  # a heap: the latest times of this recording's frames, in the file's times
        self._tracks: dict[int, _Track] = {
            stream.index: _Track() for stream in container.streams if stream.type == "audio"
        }

    def packets(self) -> Iterator[Any]:
        """Read the container's packets, all streams, with their times shifted."""
        for packet in self._container.demux():
            if packet.stream.index == self._picture:
                yield from self._of_picture(packet)
            elif packet.stream.index in self._tracks:
                yield from self._of_sound(packet, self._tracks[packet.stream.index])
            else:
                yield packet

    def _of_picture(self, packet: Any) -> Iterator[Any]:
        """A packet of the picture, and those of the sound that waited for it."""
        unit = self._units[self._picture]
        time = _seconds(unit, packet.pts, packet.dts)
        if time is None:
            yield packet
            return
        if self._is_another_recording(packet, time):
            self.recordings += 1
            waiting = [self._time_of_sound(track.astray[0]) for track in self._tracks.values() if track.astray]
            self._shift, self._latest = self._end - min([time - self._lead(), *waiting]), []
            for track in self._tracks.values():
                for early in track.astray:
                    track.shift = self._shift
                    yield self._shifted_sound(early, track)
                track.astray = []
        self._first = self._first or [time]
        if len(self._latest) <= _MAX_REORDERED:
            heapq.heappush(self._latest, time)
        else:
            heapq.heappushpop(self._latest, time)
        length = packet.duration * unit if packet.duration else self._frame
        self._end = max(self._end, time + self._shift + length)
        yield _shifted(packet, self._shift, unit)

    def _lead(self) -> float:
        """The lead of the sound over the picture, if it is the padding that an encoder puts before the sound."""
        lead = max([time - sound for time in self._first for sound in self._first_sound], default=0.0)
        return lead if 0 <= lead <= _ROUNDING else 0.0

    def _is_another_recording(self, packet: Any, time: float) -> bool:
        later = sum(latest > time for latest in self._latest)
        if later >= _MIN_LATER and (packet.is_keyframe or later > _MAX_REORDERED):
            return True
        return self._sets_clock and bool(self._latest) and time > max(self._latest) + _MAX_GAP

    def _of_sound(self, packet: Any, track: _Track) -> Iterator[Any]:
        """A packet of sound, unless it has to wait for the picture, or would be heard twice."""
        time = self._time_of_sound(packet)
        if time is None:
            if not packet.size:  # the track is at its end
                yield from self._release(track)
            yield packet
            return
        if self._follows(time + track.shift, track):
            if track.shift != self._shift and abs(time + track.shift - track.end) > _LATE:
                track.shift = self._shift
            yield from self._release(track)
            yield self._shifted_sound(packet, track)
        elif track.shift != self._shift and self._follows(time + self._shift, track):
            track.shift = self._shift
            yield self._shifted_sound(packet, track)
        else:
            track.astray.append(packet)

    def _follows(self, time: float, track: _Track) -> bool:
        if track.last is None:
            return True
        return time >= track.last - _ROUNDING and not (self._sets_clock and time > track.end + _MAX_GAP)

    def _release(self, track: _Track) -> Iterator[Any]:
        """Those of the waiting packets that come after a silence; the picture has not started again."""
        astray, track.astray = track.astray, []
        for packet in astray:
            if track.last is not None and self._time_of_sound(packet) + track.shift > track.last:
                yield self._shifted_sound(packet, track)

    def _shifted_sound(self, packet: Any, track: _Track) -> Any:
        unit = self._units[packet.stream.index]
        time = self._time_of_sound(packet) + track.shift
        if track.last is None and self.recordings == 1:
            self._first_sound.append(time)
        track.last, track.end = time, time + (packet.duration or 0) * unit
        self._end = max(self._end, track.end)
        return _shifted(packet, track.shift, unit)

    def _time_of_sound(self, packet: Any) -> Any:
        """When a packet of sound begins, in the file's times, in seconds; `None` if the file does not have it."""
        return _seconds(self._units[packet.stream.index], packet.dts, packet.pts)


def _seconds(unit: float, ticks: int | None, other_ticks: int | None) -> float | None:
    ticks = other_ticks if ticks is None else ticks
    return None if ticks is None else ticks * unit


def _shifted(packet: Any, shift: float, unit: float) -> Any:
    """The packet, with its times shifted by this many seconds."""
    if shift:
        ticks = round(shift / unit)
        packet.pts = None if packet.pts is None else packet.pts + ticks
        packet.dts = None if packet.dts is None else packet.dts + ticks
    return packet
