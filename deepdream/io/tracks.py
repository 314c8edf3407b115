"""The other tracks of a video, its sound and subtitles, added to another file in step with its frames.

The central type is `OtherTracks`. What the other container can hold is copied unchanged, the rest is converted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .sound import CopiedSound, EncodedSound
from .subtitles import SubtitleTrack
from .video_containers import is_text

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

    from .video_containers import VideoContainer

_TRACK_TAGS = ("language", "title")


class OtherTracks:
    """The tracks of a file beside its picture, to be added to another one.

    Args:
        open_file: opens the file anew.
        read_packets: gives the packets of the open file, of all streams, with times that continue where its own
            start again.
        tracks: the indices of its streams of sound and of subtitles.
        start: the time at which the video begins, in seconds; the tracks are shifted to begin at 0.
        end: the time at which it ends; `None`: with the file.

    Attributes:
        left_out: what the other file cannot hold, for a person; known when it was opened.
    """

    def __init__(
        self,
        open_file: Callable[[], InputContainer],
        read_packets: Callable[[InputContainer], Iterator[Any]],
        tracks: Sequence[int],
        start: Fraction,
        end: Fraction | None = None,
    ) -> None:
        self._open_file = open_file
        self._read_packets = read_packets
        self._tracks = tracks
        self._start = start
        self._end = end
        self.left_out: list[str] = []

    def describe(self) -> list[str]:
        """All tracks, for a person."""
        with self._open_file() as container:
            kinds = [container.streams[index].type for index in self._tracks]
        names = {"audio": "the sound", "subtitle": "the subtitles"}
        return [name for kind, name in names.items() if kind in kinds]

    def open(self, container: OutputContainer, kind: VideoContainer, rehearsal: bool = False) -> None:
        """Add a stream for each track to `container`, before its first packet.

        Args:
            container: the output.
            kind: its format.
            rehearsal: whether to add only the beginning of a track that has to be encoded.
        """
        self._input = self._open_file()
        self.left_out = []
        self._outputs: dict[int, CopiedSound | EncodedSound | SubtitleTrack] = {}  # by the index of the track
        supported = frozenset(container.supported_codecs)
        for index in self._tracks:
            track = self._input.streams[index]
            add = self._add_sound if track.type == "audio" else self._add_subtitles
            output = add(container, kind, track, supported, rehearsal)
            if output is not None:
                self._outputs[index] = output
                tags = {key: track.metadata[key] for key in _TRACK_TAGS if key in track.metadata}
                output.stream.metadata.update(tags)
                output.stream.disposition = track.disposition.value
        packets = self._read_packets(self._input)
        self._packets: Iterator[Any] = (packet for packet in packets if packet.stream.index in self._outputs)
        self._waiting: Any = None  # a packet of the input whose time has not come
        self._units = {index: float(self._input.streams[index].time_base or 0) for index in self._tracks}  # seconds

    def mux(self, container: OutputContainer, until: float | None) -> None:
        """Add what comes before `until` seconds to `container`; with `None` all the rest, and close the input."""
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
            for made in self._outputs[index].packets(packet, self._start, self._end):
                container.mux(made)
        if until is None:
            self._input.close()

    def _add_sound(
        self, container: OutputContainer, kind: VideoContainer, track: Any, supported: frozenset[str], rehearsal: bool
    ) -> CopiedSound | EncodedSound:
        if kind.copies_sound(track, supported):
            return CopiedSound(container, track)
        encoded = EncodedSound(container, track, kind.sound_codec, rehearsal)
        if encoded.mixed_down:
            self.left_out.append(f"{track.codec_context.layout.nb_channels} channels of sound, mixed down to stereo")
        return encoded

    def _add_subtitles(
        self, container: OutputContainer, kind: VideoContainer, track: Any, supported: frozenset[str], _: bool
    ) -> SubtitleTrack | None:
        copied = kind.copies_subtitles(track, supported)
        if not copied and not (is_text(track) and SubtitleTrack.can_convert(track)):
            self.left_out.append(f"subtitles ({track.codec_context.name})")
            return None
        return SubtitleTrack(container, kind, track, copied)
