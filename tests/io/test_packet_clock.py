"""Recordings that are glued together: their picture and sound go on in step, as often as the times begin anew."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import flashes_and_beeps, glue, write_recording

import deepdream as dd
from deepdream.io.packet_clock import PacketClock
from deepdream.io.video_reader import Video
from deepdream.io.video_writer import rehearse_video, write_video

VP8 = {"codec": "libvpx", "sound": "libopus"}
H264 = {"codec": "libx264", "sound": "aac", "bf": 3}
MPEG2 = {"codec": "mpeg2video", "sound": "mp2", "rate": 25}
KINDS = {
    "vp8-opus.webm": VP8,
    "vp8-vorbis.webm": {**VP8, "sound": "vorbis", "sound_rate": 44100},
    "vp9-opus.webm": {**VP8, "codec": "libvpx-vp9"},
    "live.webm": {**VP8, "options": {"live": "1"}},
    "silent.webm": {**VP8, "sound": None},
    "long-sound.webm": {**VP8, "sound_seconds": 3.0},
    "short-sound.webm": {**VP8, "sound_seconds": 1.2},
    "h264-aac.mkv": H264,
    "no-b-frames.mkv": {**H264, "bf": 0},
    "h264-flac.mkv": {**H264, "sound": "flac"},
    "h264-pcm.mkv": {**H264, "sound": "pcm_s16le"},
    "long-sound.mkv": {**H264, "sound_seconds": 3.5},
    "gap.mkv": {**H264, "gap": 0.5},
    "h264-aac.ts": H264,
    "mpeg2-mp2.ts": MPEG2,
    "mpeg2-mp2.mpg": MPEG2,
    "mpeg4-mp3.avi": {"codec": "mpeg4", "sound": "libmp3lame", "sound_rate": 44100},
    "b-frames.avi": {"codec": "mpeg4", "sound": "libmp3lame", "sound_rate": 44100, "bf": 2},
}
SINGLE = {
    "late-picture.mp4": {**H264, "begins": (0.5, 0.0)},  # an edit list
    "late-sound.mp4": {**H264, "begins": (0.0, 0.5)},
    "long-sound.mp4": {**H264, "sound_seconds": 3.5},
    "short-sound.mp4": {**H264, "sound_seconds": 1.2},
    "gap.mp4": {**H264, "gap": 0.5},
    "late.ts": {**H264, "begins": (40.0, 40.0)},
    "latm.ts": {**H264, "options": {"mpegts_flags": "latm"}},
    "mp3-of-8-khz.mkv": {**H264, "sound": "libmp3lame", "sound_rate": 8000},
    "fragments.mp4": {**H264, "options": {"movflags": "frag_keyframe+empty_moov"}},
}


def film_of(source, folder):
    """(video, flashes, beeps, ends): a video as it is written again."""
    video = Video(source)
    described = (video.times, video.time_base, video.rate, video.aspect)
    rehearse_video(folder / "film.mp4", (video.height, video.width), *described, video.sound())
    write_video(folder / "film.mp4", video, *described, video.sound())
    return video, *flashes_and_beeps(folder / "film.mp4")


@pytest.mark.parametrize("name", ["vp8-vorbis.webm", "h264-aac.mkv", "mpeg2-mp2.mpg", "b-frames.avi", *SINGLE])
def test_a_recording_by_itself_keeps_its_times(tmp_path, name):
    source = write_recording(tmp_path / name, **{**KINDS, **SINGLE}[name])
    video, flashes, beeps, ends = film_of(source, tmp_path)
    true_flashes, true_beeps, true_ends = flashes_and_beeps(source)
    assert len(video) == (50 if "mpeg2" in name else 30)
    begin = true_flashes[0] - flashes[0]  # the video begins at zero
    for true, found in ((true_flashes, flashes), (true_beeps, beeps), (true_ends, ends)):
        assert np.subtract(true, found) == pytest.approx([begin] * len(found), abs=0.08)


@pytest.mark.parametrize(
    ("name", "count"), [*((name, 2) for name in KINDS), ("live.webm", 3), ("h264-aac.ts", 3), ("mpeg4-mp3.avi", 3)]
)
def test_glued_recordings_go_on_in_step(tmp_path, name, count):
    """`cat a a > d`: every flash comes with its beep, and each recording lasts as long as by itself."""
    part = write_recording(tmp_path / f"part-{name}", **KINDS[name])
    _, flashes, beeps, ends = film_of(part, tmp_path)
    single, alone, length = len(flashes), list(zip(flashes, beeps)), max(ends)
    source = glue(tmp_path / name, *[part] * count)
    video, flashes, beeps, ends = film_of(source, tmp_path)
    assert len(video) == count * (50 if "mpeg2" in name else 30)
    assert len(flashes) == count * single
    for number in range(count):
        shift = flashes[number * single] - flashes[0]
        assert shift == pytest.approx(number * length, abs=0.07 * max(1, number))
        for flash, beep in alone:
            assert min(abs(flash + shift - each) for each in flashes) < 0.07
            assert min(abs(beep + shift - each) for each in beeps) < 0.09
    assert max(ends) == pytest.approx(count * length, abs=0.07 * count)


def test_a_clock_that_is_set_is_none_of_the_video_s_time(tmp_path):
    early = write_recording(tmp_path / "early.ts", **H264)
    late = write_recording(tmp_path / "late.ts", **H264, begins=(40.0, 40.0))
    for parts in ([early, late], [late, early]):
        video, flashes, beeps, ends = film_of(glue(tmp_path / "both.ts", *parts), tmp_path)
        assert len(video) == 60
        assert np.diff(flashes) == pytest.approx([1, 1, 1], abs=0.07)
        assert flashes == pytest.approx(beeps, abs=0.03)
        assert max(ends) == pytest.approx(4, abs=0.1)


def test_recordings_that_differ(tmp_path):
    first = write_recording(tmp_path / "first.webm", **VP8)
    silent = write_recording(tmp_path / "silent.webm", **{**VP8, "sound": None})
    other = write_recording(tmp_path / "other.webm", **VP8, seconds=1.0, size=(64, 96))
    _, flashes, beeps, ends = film_of(glue(tmp_path / "d.webm", first, silent), tmp_path)
    assert flashes == pytest.approx([0, 1, 2, 3], abs=0.05)
    assert beeps == pytest.approx([0, 1], abs=0.05)
    video, flashes, beeps, ends = film_of(glue(tmp_path / "d.webm", first, other), tmp_path)
    assert {image.shape for image in video} == {(64, 96, 3)}
    assert flashes == pytest.approx(beeps, abs=0.03)
    assert ends == pytest.approx([3, 3], abs=0.05)
    # Another rate of the sound, where it has to be encoded.
    slow, quick = (write_recording(tmp_path / f"{rate}.ts", **MPEG2, sound_rate=rate) for rate in (44100, 48000))
    for parts in ([slow, quick], [quick, slow]):
        _, flashes, beeps, ends = film_of(glue(tmp_path / "d.ts", *parts), tmp_path)
        assert flashes == pytest.approx(beeps, abs=0.03)
        assert ends == pytest.approx([4, 4], abs=0.1)


def test_what_follows_and_is_not_read_is_told(tmp_path):
    """An MP4 is over where it says so, and of Matroska FFmpeg reads no third recording."""
    flv = {**H264, "sound_rate": 44100}
    for name, settings, count in (("a.mp4", H264, 1), ("a.flv", flv, 1), ("a.mkv", H264, 2), ("a.webm", VP8, 2)):
        part = write_recording(tmp_path / name, **settings)
        size = count * len(part.read_bytes())
        with pytest.raises(dd.VideoError, match=f"another recording at byte ({size + 4:,}|{size:,}), which") as error:
            Video(glue(tmp_path / f"d-{name}", *[part] * (count + 1)))
        assert "\n" not in str(error.value) and len(str(error.value)) < 300 + len(str(tmp_path))
        assert len(Video(part)) == 30


def test_a_recording_that_overlaps_makes_a_video(tmp_path):
    """A stream that was cut and joined a third of a second too early."""
    data = write_recording(tmp_path / "whole.ts", **H264).read_bytes()
    packets = len(data) // 188
    (tmp_path / "d.ts").write_bytes(data[: packets // 2 * 188] + data[packets // 3 * 188 :])
    video, _, _, ends = film_of(tmp_path / "d.ts", tmp_path)
    assert len(video) > 30
    assert ends[0] == pytest.approx(ends[1], abs=0.1)


def shifted(packets, flags=0):
    """[(stream, second)] as the clock gives them. "V": a frame, "K": a key frame, "A": half a second of sound."""
    streams = [
        SimpleNamespace(index=0, type="video", average_rate=Fraction(2), time_base=Fraction(1, 10)),
        SimpleNamespace(index=1, type="audio", time_base=Fraction(1, 10)),
    ]

    def packet(kind, time):
        stream = streams[kind == "A"]
        ticks = None if time is None else round(time * 10)
        return SimpleNamespace(
            stream=stream,
            pts=ticks,
            dts=ticks,
            duration=5,
            time_base=Fraction(1, 10),
            size=int(time is not None),
            is_keyframe=kind == "K",
        )

    made = [packet(*each) for each in packets]
    container = SimpleNamespace(streams=streams, format=SimpleNamespace(flags=flags), demux=lambda: iter(made))
    clock = PacketClock(container, 0)
    return [("AV"[each.stream.index == 0], each.pts and each.pts / 10) for each in clock.packets()], clock.recordings


def test_sound_that_goes_back_alone_is_not_heard_twice():
    given = [("K", 0), ("A", 0), ("V", 0.5), ("A", 0.5), ("V", 1), ("A", 1)]
    given += [("A", 0.5), ("A", 0.9), ("V", 1.5), ("A", 1.5)]
    made, recordings = shifted(given)
    assert recordings == 1
    assert [time for kind, time in made if kind == "A"] == [0, 0.5, 1, 0.9, 1.5]  # 0.9 is rounding
    assert [time for kind, time in made if kind == "V"] == [0, 0.5, 1, 1.5]


def test_sound_before_a_new_picture_belongs_to_it():
    part = [("A", 0), ("K", 0), ("A", 0.5), ("V", 0.5), ("A", 1), ("V", 1), ("A", 1.5), ("V", 1.5)]
    made, recordings = shifted([*part, *part, ("A", None), ("V", None)])
    assert recordings == 2
    for kind in "AV":
        assert [time for each, time in made if each == kind] == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, None]


def test_sound_that_comes_late_in_the_file_stays_with_its_picture():
    part = [("K", 0), ("V", 0.5), ("A", 0), ("V", 1), ("A", 0.5), ("V", 1.5), ("A", 1)]
    made, _ = shifted([*part, ("K", 0), ("A", 1.5), ("V", 0.5), ("A", 0), ("V", 1), ("A", 0.5)])
    assert [time for kind, time in made if kind == "A"] == [0, 0.5, 1, 1.5, 2, 2.5]


def test_a_silence_is_no_other_clock():
    """In a format whose clock may be set anew, only the picture tells that it was."""
    frames = [("V" if second else "K", second) for second in range(0, 40)]
    given = [("A", 0), *frames[:2], ("A", 30), ("A", 30.5), *frames[2:], ("A", None)]
    made, recordings = shifted(given, flags=0x200)
    assert recordings == 1
    assert [time for kind, time in made if kind == "A"] == [0, 30, 30.5, None]
    assert [time for kind, time in shifted(given)[0] if kind == "A"] == [0, 30, 30.5, None]
    gap = [("A", 0), ("K", 0), ("A", 60), ("K", 60), ("A", 60.5)]
    assert shifted(gap)[0] == [("A", 0), ("V", 0), ("A", 60), ("V", 60), ("A", 60.5)]
    assert shifted(gap, flags=0x200)[0] == [("A", 0), ("V", 0), ("A", 0.5), ("V", 0.5), ("A", 1)]


def test_b_frames_and_a_frame_out_of_place_are_one_recording():
    frames = [("K", 0), ("V", 4), ("V", 2), ("V", 1), ("V", 3), ("K", 8), ("V", 6), ("V", 5), ("V", 7)]
    frames += [("K", 7.5), ("K", 9)]
    assert shifted(frames) == ([("V", time) for _, time in frames], 1)


def test_packets_without_times_pass():
    assert shifted([("K", None), ("A", None), ("V", None)])[0] == [("V", None), ("A", None), ("V", None)]
