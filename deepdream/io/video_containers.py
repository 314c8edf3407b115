"""The containers of videos that can be written, and what each of them can hold.

The central type is `VideoContainer`. A GIF is not among them: it has its own writer, and holds only frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# A quality that a viewer cannot tell from the images. Without B-frames, frames are stored in the order of their times;
# otherwise an MP4 cannot store the duration of the last one.
# Without x264's macroblock tree: with AVX-512 its bits differ from run to run on a busy machine, and a video made
# again would not be the same. (Seen with PyAV 18's x264 on an AMD EPYC; without AVX-512 the same every time.)
_H264 = (("crf", "17"), ("preset", "medium"), ("bf", "0"), ("mbtree", "0"))
# The same quality, by eye; "b" 0 lets "crf" alone decide. With one thread the bits are always the same.
_VP9 = (("crf", "15"), ("b", "0"), ("cpu-used", "2"), ("threads", "1"))
_NO_RANDOM_IDS = (("fflags", "+bitexact"),)  # otherwise no two files would be the same
_MP3_NAMES = ("mp3", "mp3float")
_MIN_MP3_RATE = 16000  # Hz: in an MP4, "mp3" does not include lower rates
# Some codecs have several decoders in FFmpeg. ("aac_latm" is AAC as it is broadcast, which an MP4 cannot hold.)
_MP4_SOUND = frozenset(
    {"aac", "aac_fixed", "ac3", "ac3_fixed", "alac", "eac3", "flac", "libopus", *_MP3_NAMES, "opus"}
)  # fmt: skip
_MOV_SOUND = _MP4_SOUND - {"flac", "libopus", "opus"} | {"pcm_s16be", "pcm_s16le", "pcm_s24be", "pcm_s24le"}
_TEXT_SUBTITLES = frozenset({"ass", "mov_text", "srt", "ssa", "subrip", "text", "webvtt"})


@dataclass(frozen=True)
class VideoContainer:
    """A format of video files.

    Attributes:
        format: FFmpeg's name of it.
        name: its name, for a person.
        codec: FFmpeg's encoder of the frames.
        encoder_options: the options of that encoder.
        container_options: those of the container.
        max_side: the longest side of a frame, in pixels.
        sound: the codecs of sound that are copied; `None`: all that FFmpeg can store in it.
        sound_codec: the encoder of other sound.
        subtitles: the codecs of subtitles that are copied; `None`: as for the sound.
        subtitle_codec: the encoder of other subtitles that are text.
    """

    format: str
    name: str
    codec: str = "libx264"
    encoder_options: tuple[tuple[str, str], ...] = _H264
    container_options: tuple[tuple[str, str], ...] = ()
    max_side: int = 16384
    sound: frozenset[str] | None = None
    sound_codec: str = "aac"
    subtitles: frozenset[str] | None = None
    subtitle_codec: str = "mov_text"

    def copies_sound(self, track: Any, supported: frozenset[str] = frozenset()) -> bool:
        """Whether a track of sound is stored unchanged.

        Args:
            track: PyAV's stream of the input.
            supported: what FFmpeg can store in this format, if `sound` is `None`.
        """
        codec = track.codec_context
        if self.sound is None:
            return bool({codec.name, codec.codec.canonical_name} & supported)
        if self.format in ("mp4", "mov") and codec.name in _MP3_NAMES and codec.sample_rate < _MIN_MP3_RATE:
            return False
        return codec.name in self.sound

    def copies_subtitles(self, track: Any, supported: frozenset[str]) -> bool:
        """Whether a track of subtitles is stored unchanged; see `copies_sound`."""
        names = {track.codec_context.name, track.codec_context.codec.canonical_name}
        if self.subtitles is None:
            return bool(names & supported)
        return bool(names & self.subtitles)


CONTAINERS = {
    ".mp4": VideoContainer(
        "mp4",
        "an MP4",
        container_options=(("movflags", "+faststart"),),
        sound=_MP4_SOUND,
        subtitles=frozenset({"mov_text"}),
    ),
    ".mov": VideoContainer(
        "mov",
        "a MOV",
        container_options=(("movflags", "+faststart"),),
        sound=_MOV_SOUND,
        subtitles=frozenset({"mov_text"}),
    ),
    ".mkv": VideoContainer("matroska", "an MKV", container_options=_NO_RANDOM_IDS, subtitle_codec="subrip"),
    ".webm": VideoContainer(
        "webm",
        "a WebM",
        container_options=_NO_RANDOM_IDS,
        codec="libvpx-vp9",
        encoder_options=_VP9,
        sound=frozenset({"libopus", "opus", "vorbis"}),
        sound_codec="libopus",
        subtitles=frozenset({"webvtt"}),
        subtitle_codec="webvtt",
    ),
}


def is_text(track: Any) -> bool:
    """Whether a track of subtitles is text, and not images."""
    return track.codec_context.name in _TEXT_SUBTITLES
