"""The table "what comes in and what goes out" of the films: a row each, made, read and written again.

The frames are of one colour; the values come from the encoder's own conversion, done by FFmpeg outside the library.
"""

import contextlib
import os
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple

import av
import numpy as np
import pytest
from helpers import write_recording
from PIL import Image

import deepdream as dd
from deepdream.io.image_sequence import open_frames
from deepdream.io.video_reader import Video
from deepdream.io.video_writer import rehearse_video, write_video

COLOUR = (200, 40, 30)


class Kind(NamedTuple):
    """A kind of film: how it is encoded, and what is read."""

    codec: str
    pix_fmt: str
    size: tuple = (96, 64)
    rate: Fraction = Fraction(25)
    format: str = None
    options: Mapping = MappingProxyType({})
    aspect: Fraction = None
    shown: tuple = COLOUR
    shown_aspect: Fraction = Fraction(1)
    says: str = ""


WIDE = Fraction(64, 45)  # a pixel of a PAL DVD of 16:9
PAL = {"size": (720, 576), "shown_aspect": Fraction(16, 15)}
KINDS = {
    "h264.mp4": Kind("libx264", "yuv420p"),
    "h264-fragments.mp4": Kind("libx264", "yuv420p", options={"movflags": "frag_keyframe+empty_moov"}),
    "h264-10-bit.mp4": Kind("libx264", "yuv444p10le"),
    "hevc-10-bit.mp4": Kind("libx265", "yuv420p10le", options={"x265-params": "log-level=none:bframes=0"}),
    "av1.mkv": Kind("libsvtav1", "yuv420p10le"),
    "vp9.webm": Kind("libvpx-vp9", "yuv420p"),
    "vp9-alpha.webm": Kind("libvpx-vp9", "yuva420p", says="its transparency is left out"),
    "prores-422.mov": Kind("prores_ks", "yuv422p10le"),
    "prores-4444.mov": Kind("prores_ks", "yuva444p10le", options={"profile": "4444"}),
    "uncompressed.mov": Kind("v210", "yuv422p10le"),
    "animation.mov": Kind("qtrle", "argb"),
    "motion-jpeg.avi": Kind("mjpeg", "yuvj422p"),
    "dv-pal.dv": Kind("dvvideo", "yuv420p", format="dv", **PAL),
    "dv-ntsc.dv": Kind("dvvideo", "yuv411p", (720, 480), Fraction(30000, 1001), "dv", shown_aspect=Fraction(8, 9)),
    "dv.avi": Kind("dvvideo", "yuv420p", **PAL),
    "dvd.mpg": Kind("mpeg2video", "yuv420p", **{**PAL, "aspect": WIDE, "shown_aspect": WIDE}, format="vob"),
    "broadcast.mxf": Kind("mpeg2video", "yuv422p", (720, 576), format="mxf"),
    "archive.mkv": Kind("ffv1", "gbrp10le"),
    "grey.mkv": Kind("ffv1", "gray", shown=(87, 87, 87)),
    "lossless.avi": Kind("huffyuv", "yuv422p"),
    "windows.wmv": Kind("wmv2", "yuv420p"),
    "flash.flv": Kind("flv", "yuv420p"),
    "phone.3gp": Kind("h263", "yuv420p", (176, 144), shown_aspect=Fraction(12, 11)),
    "raw.y4m": Kind("wrapped_avframe", "yuv420p"),
    "raw.h264": Kind("libx264", "yuv420p", format="h264"),
    "odd.mp4": Kind("libx264", "yuv444p", (97, 63)),
    "film.gif": Kind("gif", "rgb8"),
    "film.apng": Kind("apng", "rgba"),
    "film.avif": Kind("libsvtav1", "yuv420p", format="avif"),
}  # fmt: skip


@contextlib.contextmanager
def own_priority():
    """SVT-AV1, if root runs it, leaves a thread at real-time priority, and with it all processes that it then starts.

    Nothing else runs beside them, not even the threads that they wait for.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    yield
    os.sched_setscheduler(0, policy, parameters)


@own_priority()
def write_kind(path, kind):
    options = dict(kind.options)
    with av.open(str(path), "w", format=kind.format, options=options if "movflags" in options else {}) as file:
        stream = file.add_stream(kind.codec, rate=kind.rate, options=options)
        (stream.width, stream.height), stream.pix_fmt = kind.size, kind.pix_fmt
        if kind.aspect:
            stream.codec_context.sample_aspect_ratio = kind.aspect
        width, height = kind.size
        pixels = np.full((height, width, 4), (*COLOUR, 128 if kind.says else 255), np.uint8)
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format=kind.pix_fmt)
            frame.pts, frame.time_base = index, 1 / kind.rate
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write_again(source, path):
    described = source.times, source.time_base, source.rate, source.aspect, source.sound(), source.metadata()
    lost = rehearse_video(path, (source.height, source.width), *described)
    write_video(path, source, *described)
    return lost


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_film(tmp_path, name, log_lines):
    kind = KINDS[name]
    try:
        av.Codec(kind.codec, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this FFmpeg has no {kind.codec}")
    video = open_frames(write_kind(tmp_path / name, kind))
    frames = list(video)
    assert (len(frames), video.width, video.height) == (3, *kind.size)
    assert video.aspect == kind.shown_aspect
    assert float(video.rate) == pytest.approx(float(kind.rate), rel=0.01)
    assert float(video.times[-1] * video.time_base) == pytest.approx(3 / kind.rate, abs=0.002)
    for frame in frames:
        np.testing.assert_allclose(frame.mean((0, 1)), kind.shown, atol=5)
    assert [line for line in log_lines() if line.startswith(str(tmp_path))] == (
        [f"{tmp_path / name}: {kind.says}"] if kind.says else []
    )
    lost = write_again(video, tmp_path / "out.mp4")
    assert lost == (["a track of images"] if name == "film.avif" else [])
    again = Video(tmp_path / "out.mp4")
    width, height = kind.size
    assert (len(again), again.width, again.height) == (3, width + width % 2, height + height % 2)
    assert again.aspect == kind.shown_aspect
    np.testing.assert_allclose(next(iter(again)).mean((0, 1)), frames[0].mean((0, 1)), atol=4)


def test_a_phone_s_film_with_a_variable_rate_and_a_rotation(tmp_path):
    if not hasattr(av.VideoStream, "set_display_matrix"):
        pytest.skip("this PyAV cannot write how a video is to be turned")
    times = [0, 33, 67, 150, 183]
    with av.open(str(tmp_path / "in.mov"), "w") as file:
        stream = file.add_stream("libx264", rate=30, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.set_display_matrix([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30])
        for time in times:
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), COLOUR, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    video = Video(tmp_path / "in.mov")
    assert (video.width, video.height) == (64, 96)
    write_again(video, tmp_path / "out.webm")
    for path in ("in.mov", "out.webm"):
        video = Video(tmp_path / path)
        found = [float(ticks * video.time_base) for ticks in video.times]
        assert found[:5] == pytest.approx([time / 1000 for time in times], abs=0.002)


def test_a_transparent_gif(tmp_path, log_lines):
    frames = [Image.new("RGBA", (40, 30), (*COLOUR, 0)) for _ in range(2)]
    for number, frame in enumerate(frames):
        frame.paste((*COLOUR, 255), (10 * number, 0, 10 * number + 20, 30))
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=100, disposal=2)
    video = Video(tmp_path / "in.gif")
    assert len(list(video)) == 2
    np.testing.assert_allclose(next(iter(video))[15, 10], COLOUR, atol=3)
    assert f"{tmp_path / 'in.gif'}: its transparency is left out" in log_lines()


@pytest.mark.parametrize("name", ["whole.mp4", "whole.mkv", "whole.avi", "whole.webm"])
def test_a_film_that_was_cut_short(tmp_path, name):
    codec, sound = ("libvpx", "libopus") if name.endswith("webm") else ("libx264", "aac")
    data = write_recording(tmp_path / name, codec, sound).read_bytes()
    (tmp_path / f"cut-{name}").write_bytes(data[: len(data) // 2])
    with pytest.raises(dd.VideoError, match=r"is cut short|is damaged|is not a video that can be read") as error:
        Video(tmp_path / f"cut-{name}")
    assert len(str(error.value)) < 300
