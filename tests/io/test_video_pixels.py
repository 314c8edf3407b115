"""The pixels of videos: HDR, gamuts, ranges, matrices, interlaced fields, against the formulas of the standards."""

from fractions import Fraction

import av
import numpy as np
import pytest
from helpers import write_clip

import deepdream as dd
from deepdream.io.filters import filter_graph
from deepdream.io.video_pixels import has_transparency
from deepdream.io.video_reader import Video

BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)  # the weights of red and blue
# From linear BT.2020 to linear BT.709: ITU-R BT.2087, the inverse of its table 2.
TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])


def planes_of(signal, weights, depth=8, full=False):
    """Y', Cb, Cr of an R'G'B' signal 0..1, by ITU-R BT.2100, table 9."""
    red, green, blue = signal
    kr, kb = weights
    y = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = ((blue - y) / (2 - 2 * kb), (red - y) / (2 - 2 * kr))
    if full:
        most = 2**depth - 1
        return [most * y, *(most * each + 2 ** (depth - 1) for each in chroma)]
    return [2 ** (depth - 8) * each for each in (219 * y + 16, *(224 * each + 128 for each in chroma))]


def write_patch(path, signal, weights, codec="libx264", pix_fmt="yuv420p", **tags):
    """A video of two frames of one colour; `tags` are FFmpeg's numbers in the header."""
    depth, full = 10 if "10" in pix_fmt else 8, tags.get("color_range") == 2
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"crf": "1", "x265-params": "log-level=none:bframes=0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for name, number in tags.items():
            setattr(stream.codec_context, name, number)
        frame = av.VideoFrame(64, 48, pix_fmt)
        for name, number in tags.items():
            if hasattr(frame, name):
                setattr(frame, name, number)
        for plane, value in zip(frame.planes, planes_of(signal, weights, depth, full)):
            kind = np.uint16 if depth == 10 else np.uint8
            plane.update(np.full((plane.height, plane.line_size // kind().itemsize), round(value), kind).tobytes())
        for index in range(2):
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shown(path):
    frames = list(Video(path))
    assert len(frames) == 2
    return frames[1][24, 32]


def hlg_light(signal):
    """The light of an HLG signal on a display of 1000 cd/m², in cd/m² (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance = scene @ (0.2627, 0.6780, 0.0593)
    return 1000 * luminance**0.2 * scene


def pq_light(signal):
    """The light of a PQ signal, in cd/m² (BT.2100, table 4)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = signal ** (1 / m2)
    return 10000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)


def sdr(light):
    """The BT.709 values 0..255 on a display with BT.1886's gamma, whose white is BT.2408's 203 cd/m²."""
    return 255 * np.clip(TO_BT709 @ (light / 203), 0, 1) ** (1 / 2.4)


# Signals that BT.709 holds as well: greys, BT.2408's white (75 % HLG, 58 % PQ), a skin, a leaf, a sky.
HLG = [(0.25, 0.25, 0.25), (0.5, 0.5, 0.5), (0.75, 0.75, 0.75), (0.62, 0.5, 0.43), (0.38, 0.45, 0.3), (0.45, 0.5, 0.6)]
PQ = [(0.3, 0.3, 0.3), (0.44, 0.44, 0.44), (0.581, 0.581, 0.581), (0.5, 0.44, 0.41), (0.36, 0.39, 0.34)]


@pytest.mark.parametrize(
    ("name", "transfer", "light", "signals"), [("HLG", 18, hlg_light, HLG), ("PQ", 16, pq_light, PQ)]
)
def test_hdr_is_shown_as_sdr(tmp_path, log_lines, name, transfer, light, signals):
    for number, signal in enumerate(signals):
        path = write_patch(
            tmp_path / f"{number}.mp4", signal, BT2020, "libx265", "yuv420p10le",
            colorspace=9, color_primaries=9, color_trc=transfer, color_range=1,
        )  # fmt: skip
        expected = sdr(light(np.array(signal)))
        np.testing.assert_allclose(shown(path), expected, atol=1.5, err_msg=f"{name} {signal}")
    assert f"{path}: HDR ({name}) is read as SDR, with its white at 203 cd/m²" in log_lines()
    assert sum("HDR" in line for line in log_lines()) == len(signals)  # once for each file


def test_highlights_of_hdr_are_white(tmp_path):
    for transfer, signal in ((18, 1.0), (16, 0.75)):
        path = write_patch(
            tmp_path / "in.mov", (signal,) * 3, BT2020, "libx264", "yuv420p10le",
            colorspace=9, color_primaries=9, color_trc=transfer, color_range=1,
        )  # fmt: skip
        np.testing.assert_allclose(shown(path), (255, 255, 255), atol=1)


def test_a_wide_gamut_in_sdr_is_converted(tmp_path):
    """UHD without HDR: BT.2020's primaries with television's curve."""
    signal = np.array((0.7, 0.5, 0.45))
    path = write_patch(
        tmp_path / "in.mp4", signal, BT2020, "libx264", "yuv420p10le",
        colorspace=9, color_primaries=9, color_trc=14, color_range=1,
    )  # fmt: skip
    np.testing.assert_allclose(shown(path), 255 * (TO_BT709 @ signal**2.4) ** (1 / 2.4), atol=1.5)


@pytest.mark.skipif(av.library_versions["libavfilter"] < (11,), reason="FFmpeg 8 was the first to convert HDR")
def test_hdr_is_as_ffmpeg_converts_it(tmp_path):
    """Its filter works with a coarse table, so colours that neither clips are only near."""
    path = write_patch(
        tmp_path / "in.mkv", (0.46, 0.44, 0.41), BT2020, "libx264", "yuv420p10le",
        colorspace=9, color_primaries=9, color_trc=16, color_range=1,
    )  # fmt: skip
    options = (
        "in_color_matrix=bt2020:in_transfer=smpte2084:out_transfer=bt709:in_primaries=bt2020:out_primaries=bt709:"
        "intent=relative_colorimetric"
    )
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        graph, (source,) = filter_graph(av, [frame], ("scale", options), ("format", "rgb24"))
        source.push(frame)
        np.testing.assert_allclose(shown(path), graph.pull().to_ndarray()[24, 32], atol=6)


def test_hdr_in_the_gamut_of_hdtv(tmp_path):
    """As the file declares: no matrix between gamuts, then."""
    signal = np.array((0.62, 0.5, 0.43))
    path = write_patch(
        tmp_path / "in.mkv", signal, BT709, "libx264", "yuv420p10le",
        colorspace=1, color_primaries=1, color_trc=16, color_range=1,
    )  # fmt: skip
    expected = 255 * np.clip(pq_light(signal) / 203, 0, 1) ** (1 / 2.4)
    np.testing.assert_allclose(shown(path), expected, atol=1.5)


def test_hdr_that_cannot_be_converted_is_refused(tmp_path):
    path = write_patch(tmp_path / "in.mp4", HLG[1], BT2020, "libx265", "yuv420p10le", colorspace=14, color_trc=16)
    with pytest.raises(dd.VideoError, match=r"in\.mp4: the colours are HDR in ICtCp, which cannot be converted"):
        Video(path)


@pytest.mark.parametrize(
    ("weights", "tags"),
    [
        (BT601, {"colorspace": 6}),
        (BT601, {"colorspace": 5}),
        (BT601, {}),  # a small video that does not say
        (BT709, {"colorspace": 1}),
        (BT601, {"colorspace": 6, "color_range": 2}),
        (BT709, {"colorspace": 1, "color_range": 2}),
    ],
)
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_matrices_and_ranges(tmp_path, weights, tags, pix_fmt):
    signal = (0.8, 0.3, 0.1)
    path = write_patch(tmp_path / "in.mkv", signal, weights, pix_fmt=pix_fmt, **tags)
    np.testing.assert_allclose(shown(path), 255 * np.array(signal), atol=3)


def combed(count, size=(64, 48)):
    """Interlaced frames, the lower field first: a bright bar that moves to the right by 6 pixels in each field."""
    width, height = size
    frames = []
    for index in range(count):
        image = np.full((height, width, 3), 40, np.float32)
        for order, first_row in enumerate((1, 0)):
            left = 4 + 6 * (2 * index + order)
            image[first_row::2, left : left + 16] = 220
        frames.append(image)
    return frames


def test_interlaced_frames_are_deinterlaced(tmp_path):
    images = combed(3)
    path = write_clip(
        tmp_path / "in.mkv", images, 25, "", pix_fmt="yuv444p",
        options={"flags": "+ildct+ilme", "x264-params": "bff=1", "crf": "1"},
    )  # fmt: skip
    with av.open(str(path)) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))
    video = Video(path)
    frames = list(video)
    assert len(frames) == len(video) == 3

    def comb(image):
        """How much neighbouring rows differ."""
        return np.abs(np.diff(image[4:-4], axis=0)).mean()

    for image, frame in zip(images, frames):
        assert comb(image) > 30
        assert comb(frame) < 3
        np.testing.assert_allclose(frame[11:-10:2], image[11:-10:2], atol=12)  # the field that comes first stays


def test_progressive_frames_beside_interlaced_ones_stay(tmp_path):
    still = np.full((48, 64, 3), 40, np.float32)
    still[::2] = 200  # rows that differ, in a progressive frame
    path = write_clip(tmp_path / "in.mkv", [still] * 3, 25, "", pix_fmt="yuv444p", options={"crf": "1"})
    np.testing.assert_allclose(list(Video(path))[1], still, atol=6)


def test_one_interlaced_frame(tmp_path):
    path = write_clip(tmp_path / "in.mkv", combed(1), 25, "", options={"flags": "+ildct+ilme", "x264-params": "bff=1"})
    assert len(list(Video(path))) == 1


@pytest.mark.parametrize("pix_fmt", ["rgba", "argb", "bgra", "ya8", "yuva444p", "yuva444p10le"])
def test_transparency_is_found_in_every_format(pix_fmt):
    pixels = np.full((16, 16, 4), 255, np.uint8)
    for alpha, found in ((255, False), (90, True)):
        pixels[3, 5, 3] = alpha
        assert has_transparency(av.VideoFrame.from_ndarray(pixels, "rgba").reformat(format=pix_fmt)) is found
    assert not has_transparency(av.VideoFrame(16, 16, "yuv420p"))


def test_transparency_is_left_out_and_said_once(tmp_path, log_lines):
    with av.open(str(tmp_path / "in.mov"), "w") as container:
        stream = container.add_stream("prores_ks", rate=25, options={"profile": "4444"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuva444p10le"
        pixels = np.full((48, 64, 4), (200, 100, 50, 128), np.uint8)
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgba")))
        container.mux(stream.encode(None))
    np.testing.assert_allclose(shown(tmp_path / "in.mov"), (200, 100, 50), atol=5)
    assert [line for line in log_lines() if "transparency" in line] == [
        f"{tmp_path / 'in.mov'}: its transparency is left out"
    ]
