"""The sound of a video, copied or encoded: whatever its times are, what is written ascends."""

import av
import pytest
from helpers import flashes_and_beeps, write_recording

from deepdream.io.packet_clock import PacketClock
from deepdream.io.tracks import OtherTracks
from deepdream.io.video_containers import CONTAINERS
from deepdream.io.video_reader import Video
from deepdream.io.video_writer import write_video


def change_nothing(packet, number):
    return True


def drop_times(packet, number):
    if 20 < number < 60:
        packet.pts = packet.dts = None
    return True


def drop_decoding_times(packet, number):
    packet.dts = None
    return True


def repeat_times(packet, number):
    if number % 7 == 6:
        packet.pts = packet.dts = packet.dts - packet.duration
    return True


def step_back(packet, number):
    if number % 7 == 6:
        packet.pts = packet.dts = packet.dts - 2 * packet.duration
    return True


@pytest.mark.parametrize(
    "change", [change_nothing, drop_times, drop_decoding_times, repeat_times, step_back], ids=lambda each: each.__name__
)
@pytest.mark.parametrize("sound", ["aac", "pcm_s16le"])
def test_times_that_are_missing_or_go_back_are_mended(tmp_path, sound, change):
    video = Video(write_recording(tmp_path / "in.mkv", "libx264", sound))

    def packets(container):
        number = 0
        for packet in PacketClock(container, 0).packets():
            if packet.stream.type == "audio" and packet.size:
                change(packet, number)
                number += 1
            yield packet

    tracks = OtherTracks(video._open, packets, video._tracks, video._start)
    write_video(tmp_path / "out.mp4", video, video.times, video.time_base, video.rate, None, tracks)
    flashes, beeps, ends = flashes_and_beeps(tmp_path / "out.mp4")
    assert flashes == pytest.approx([0, 1], abs=0.03)  # an older FFmpeg has the sound begin before the picture
    assert beeps == pytest.approx([0, 1], abs=0.05)
    assert ends == pytest.approx([2, 2], abs=0.05)
    with av.open(str(tmp_path / "out.mp4")) as container:
        times = [packet.dts for packet in container.demux(audio=0) if packet.size]
    assert all(one < other for one, other in zip(times, times[1:]))


def test_what_an_mp4_cannot_hold_is_encoded(tmp_path):
    """MP3s below 16 kHz, and AAC as television sends it, are refused by FFmpeg's MP4."""
    for name, sound, rate, options, copied in [
        ("a.mkv", "libmp3lame", 16000, {}, True),
        ("b.mkv", "libmp3lame", 11025, {}, False),
        ("c.ts", "aac", 48000, {}, True),
        ("d.ts", "aac", 48000, {"mpegts_flags": "latm"}, False),
    ]:
        write_recording(tmp_path / name, "libx264", sound, sound_rate=rate, options=options)
        with av.open(str(tmp_path / name)) as container:
            assert CONTAINERS[".mp4"].copies_sound(container.streams.audio[0]) == copied
        video = Video(tmp_path / name)
        write_video(tmp_path / "out.mp4", video, video.times, video.time_base, video.rate, None, video.sound())
        with av.open(str(tmp_path / "out.mp4")) as container:
            assert container.streams.audio[0].codec_context.name.startswith("mp3" if name == "a.mkv" else "aac")
        flashes, beeps, _ = flashes_and_beeps(tmp_path / "out.mp4")
        assert flashes == pytest.approx(beeps, abs=0.06)
