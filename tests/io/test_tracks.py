"""Sound, subtitles, chapters and tags of a video in the video that is written."""

import re
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers import flashes_and_beeps, glue, write_clip, write_recording

import deepdream as dd
from deepdream.io.video_reader import Video
from deepdream.io.video_writer import rehearse_video, write_video

LINES = [(0.1, 0.5, "Hello <i>you</i>"), (0.6, 0.9, "Second\nline"), (1.2, 1.8, "Third")]
TAGS = {"title": "A walk", "artist": "Someone", "creation_time": "2021-05-06T07:08:09.000000Z"}
PLACE = {"location": "+48.1371+011.5754/"}
knows_chapters = pytest.mark.skipif(not hasattr(av.container.OutputContainer, "set_chapters"), reason="an older PyAV")
converts_text = pytest.mark.skipif(
    not hasattr(av.CodecContext.create("subrip", "r"), "encode_subtitle"), reason="an older PyAV"
)


def rich(path, sound="pcm_s16le", layout="5.1", subtitles="subrip", channels=6, tags=TAGS, codec="libx264"):
    """Two seconds with a tone of its own in each channel, subtitles, two chapters and tags."""
    srt = path.with_suffix(".srt")
    times = "{} --> {}".format
    srt.write_text(
        "\n".join(
            f"{number}\n{times(*(f'00:00:0{second:.3f}'.replace('.', ',') for second in (begin, end)))}\n{text}\n"
            for number, (begin, end, text) in enumerate(LINES)
        )
    )
    with av.open(str(path), "w") as container, av.open(str(srt)) as text:
        container.metadata.update(tags)
        if hasattr(container, "set_chapters"):
            container.set_chapters(
                [
                    {"id": n, "start": 1000 * n, "end": 1000 * n + 1000, "time_base": Fraction(1, 1000),
                     "metadata": {"title": title}}
                    for n, title in enumerate(("Out", "Back"))
                ]
            )  # fmt: skip
        picture = container.add_stream(codec, rate=15)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        tone = container.add_stream(sound, rate=48000)
        tone.layout = layout
        tone.metadata["language"] = "eng"
        words = container.add_stream_from_template(text.streams[0]) if subtitles else None
        if words:
            words.metadata["language"] = "fra"
        for index in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 8 * index, np.uint8), format="rgb24")
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        seconds = np.arange(96000) / 48000
        waves = [0.3 * np.sin(2 * np.pi * (200 + 150 * channel) * seconds) for channel in range(channels)]
        for first in range(0, 96000, 1024):
            samples = np.stack([wave[first : first + 1024] for wave in waves], axis=1)
            chunk = av.AudioFrame.from_ndarray(np.float32(samples.reshape(1, -1)), format="flt", layout=layout)
            chunk.sample_rate, chunk.pts, chunk.time_base = 48000, first, Fraction(1, 48000)
            container.mux(tone.encode(chunk))
        container.mux(tone.encode(None))
        for packet in text.demux() if words else ():
            if packet.size:
                packet.stream = words
                container.mux(packet)
    return path


def rewrite(source, target, keep_location=False, part=None):
    """Write a video again; returns what it lacks."""
    video = Video(source)
    video = video.part(*part) if part else video
    described = video.times, video.time_base, video.rate, video.aspect, video.sound(), video.metadata(keep_location)
    lacks = rehearse_video(target, (video.height, video.width), *described)
    write_video(target, video, *described)
    return lacks


def channels_of(path):
    """The loudest frequency of each channel, in Hz, and the name of the layout."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    resampler = av.AudioResampler("fltp", frames[0].layout.name, 48000)
    samples = np.concatenate([each.to_ndarray() for frame in frames for each in resampler.resample(frame)], axis=1)
    spectra = np.abs(np.fft.rfft(samples[:, 10000:58000]))
    return spectra.argmax(1).tolist(), frames[0].layout.name


@pytest.mark.parametrize(
    ("name", "codec"), [("out.mp4", "aac"), ("out.mov", "pcm_s16le"), ("out.mkv", "pcm_s16le"), ("out.webm", "opus")]
)
def test_surround_sound_keeps_its_channels(tmp_path, name, codec):
    assert rewrite(rich(tmp_path / "in.mkv", tags={}, subtitles=None), tmp_path / name) == []
    with av.open(str(tmp_path / name)) as container:
        track = container.streams.audio[0]
        assert track.codec_context.codec.canonical_name == codec
        assert track.metadata["language"] == "eng"
    frequencies, layout = channels_of(tmp_path / name)
    assert layout in ("5.1", "6 channels")  # Matroska does not name the loudspeakers of PCM
    wanted = [200, 350, 500, 650, 800, 950]
    for channel, (found, there) in enumerate(zip(frequencies, wanted)):
        if channel != 3 or codec == "pcm_s16le":  # an encoder keeps only the depth of the channel for low sounds
            assert found == pytest.approx(there, abs=2), channel


@pytest.mark.parametrize("sound", ["aac", "ac3", "eac3"])
def test_surround_sound_that_an_mp4_holds_is_copied(tmp_path, sound):
    layout = "5.1" if sound == "aac" else "5.1(side)"
    assert rewrite(rich(tmp_path / "in.mkv", sound, layout, None, tags={}), tmp_path / "out.mp4") == []

    def packets(path):
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    assert packets(tmp_path / "in.mkv") == packets(tmp_path / "out.mp4")


def test_side_loudspeakers_and_many_channels(tmp_path):
    rewrite(rich(tmp_path / "side.mkv", layout="5.1(side)", subtitles=None), tmp_path / "out.mp4")
    frequencies, layout = channels_of(tmp_path / "out.mp4")
    assert layout == "5.1"
    assert frequencies[4:] == pytest.approx([800, 950], abs=2)
    rich(tmp_path / "many.mkv", layout="hexadecagonal", channels=16, subtitles=None)
    assert "16 channels of sound, mixed down to stereo" in rewrite(tmp_path / "many.mkv", tmp_path / "out.mp4")
    assert channels_of(tmp_path / "out.mp4")[1] == "stereo"


def subtitles_of(path):
    """(begin, end, text) of each subtitle, as FFmpeg decodes it, without its styles; and the codec and language."""
    found = []
    with av.open(str(path)) as container:
        track = container.streams.subtitles[0]
        for packet in container.demux(track):
            for line in track.codec_context.decode(packet) if packet.size else ():
                begin, length = (float(ticks * packet.time_base) for ticks in (packet.pts, packet.duration))
                text = line.dialogue.decode().replace("\\N", "\n")
                found.append((begin, begin + length, re.sub(r"\{\\i0\}$", "", text)))
        return found, track.codec_context.codec.canonical_name, track.metadata["language"]


@converts_text
@pytest.mark.parametrize(
    ("name", "codec"), [("out.mp4", "mov_text"), ("out.mov", "mov_text"), ("out.mkv", "subrip"), ("out.webm", "webvtt")]
)
def test_subtitles_are_kept(tmp_path, name, codec):
    assert rewrite(rich(tmp_path / "in.mkv"), tmp_path / name) == []
    found, there, language = subtitles_of(tmp_path / name)
    assert (there, language) == (codec, "fra")
    expected = [(begin, end, text.replace("<i>", "{\\i1}").replace("</i>", "")) for begin, end, text in LINES]
    assert [each[2] for each in found] == [each[2] for each in expected]
    for one, other in zip(found, expected):
        assert one[:2] == pytest.approx(other[:2], abs=0.002)
    rewrite(tmp_path / name, tmp_path / "again.mkv")  # and back
    assert [each[2] for each in subtitles_of(tmp_path / "again.mkv")[0]] == [each[2] for each in found]


@knows_chapters
@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv", "out.webm"])
def test_chapters_and_tags_are_kept(tmp_path, name):
    source = rich(tmp_path / "in.mkv", subtitles=None)
    assert rewrite(source, tmp_path / name) == []
    with av.open(str(tmp_path / name)) as container:
        chapters = [
            (
                float(each["start"] * each["time_base"]),
                float(each["end"] * each["time_base"]),
                each["metadata"]["title"],
            )
            for each in container.chapters()
        ]
        tags = {key.lower(): text for key, text in container.metadata.items()}
    assert chapters == [(0, 1, "Out"), (1, 2, "Back")]
    assert {key: tags[key] for key in TAGS} == TAGS


def test_where_it_was_recorded_is_kept_only_when_asked(tmp_path):
    source = rich(tmp_path / "in.mov", "aac", "stereo", None, 2, {**TAGS, **PLACE})
    assert rewrite(source, tmp_path / "out.mp4") == ["the location (--keep-location keeps it)"]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not [key for key in container.metadata if "location" in key]
    assert b"+48.13" not in (tmp_path / "out.mp4").read_bytes()
    assert rewrite(source, tmp_path / "out.mov", keep_location=True) == []
    with av.open(str(tmp_path / "out.mov")) as container:
        assert container.metadata["location"] == PLACE["location"]


def test_what_cannot_be_kept_is_said(tmp_path):
    source = rich(tmp_path / "in.mkv", tags={**TAGS, "camera": "Bolex"})
    with_image = tmp_path / "cover.mkv"
    with av.open(str(source)) as given, av.open(str(with_image), "w") as container:
        container.metadata.update(given.metadata)
        streams = {each.index: container.add_stream_from_template(each) for each in given.streams}
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        for packet in given.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                container.mux(packet)
        container.mux(cover.encode(av.VideoFrame(32, 32, "yuvj420p")))
        container.mux(cover.encode(None))
    unconverted = ["subtitles (srt)"] if converts_text.args[0] else []
    assert rewrite(with_image, tmp_path / "out.mp4") == [*unconverted, "a track of images", "the tags camera"]
    assert rewrite(with_image, tmp_path / "out.gif")[:2] == ["the sound", "the subtitles"]
    assert rewrite(source, tmp_path / "out.mkv") == []


def test_subtitles_of_concatenated_recordings_are_left_out(tmp_path):
    """Matroska's times begin anew in the second one, and nothing tells which packets of text follow."""
    one = rich(tmp_path / "in.mkv", "aac", "stereo", channels=2, tags={})
    glue(tmp_path / "both.mkv", one, one)
    assert "the subtitles (the file consists of several recordings)" in rewrite(
        tmp_path / "both.mkv", tmp_path / "out.mp4"
    )
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.subtitles
    assert len(Video(tmp_path / "out.mp4")) == 60


def test_a_part_has_its_frames_and_its_sound(tmp_path):
    source = write_recording(tmp_path / "in.mkv", "libx264", "aac", seconds=4.0)
    whole = list(Video(source))
    part = Video(source).part(22, 50)  # from 1.47 to 3.33 s
    assert len(part) == 28
    for one, other in zip(whole[22:50], part):
        np.testing.assert_array_equal(one, other)
    assert [next(part.frames(5)).mean()] == [whole[27].mean()]
    for name in ("out.mp4", "out.webm"):  # copied and encoded
        rewrite(source, tmp_path / name, part=(22, 50))
        flashes, beeps, ends = flashes_and_beeps(tmp_path / name)
        assert flashes == pytest.approx([2 - 22 / 15, 3 - 22 / 15], abs=0.03)
        assert beeps == pytest.approx([2 - 22 / 15, 3 - 22 / 15], abs=0.05)
        assert ends == pytest.approx([28 / 15, 28 / 15], abs=0.07)


@knows_chapters
@converts_text
def test_a_part_has_its_subtitles_and_chapters(tmp_path):
    rewrite(rich(tmp_path / "in.mkv"), tmp_path / "out.mp4", part=(6, 21))  # from 0.4 to 1.4 s
    found, _, _ = subtitles_of(tmp_path / "out.mp4")
    assert [round(each[0], 2) for each in found] == [0, 0.2, 0.8]
    with av.open(str(tmp_path / "out.mp4")) as container:
        starts = [float(each["start"] * each["time_base"]) for each in container.chapters()]
    assert starts == pytest.approx([0, 0.6], abs=0.002)


def test_a_part_of_an_interlaced_video_is_the_same(tmp_path):
    images = [np.full((48, 64, 3), 40 + 20 * index, np.float32) for index in range(6)]
    for index, image in enumerate(images):
        image[::2, 6 * index : 6 * index + 9] = 250
    path = write_clip(tmp_path / "in.mkv", images, 25, "", options={"flags": "+ildct+ilme", "x264-params": "bff=1"})
    whole = list(Video(path))
    for first in range(6):
        for one, other in zip(whole[first:], Video(path).frames(first)):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["film.mov", "film.mkv", "film.webm"])
def test_other_containers_show_the_pictures(tmp_path, name):
    images = [np.full((50, 64, 3), (20, 60 + 20 * index, 200), np.float32) for index in range(6)]
    dd.write_animation(tmp_path / name, images, 12)
    video = Video(tmp_path / name)
    assert [float(ticks * video.time_base) for ticks in video.times] == pytest.approx(
        [n / 12 for n in range(7)], abs=1e-3
    )
    for image, frame in zip(images, video):
        np.testing.assert_allclose(frame, image, atol=3)
    again = (tmp_path / name).read_bytes()
    dd.write_animation(tmp_path / name, images, 12)
    assert (tmp_path / name).read_bytes() == again
