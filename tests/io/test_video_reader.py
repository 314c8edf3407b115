"""Videos, read as a player shows them."""

import os
import resource
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers import glue, view, write_clip

import deepdream as dd
from deepdream import VideoError, memory
from deepdream.io.video_reader import Video


def test_frames_are_read_as_they_are(tmp_path, scene):
    images = [view(scene, index)[0] for index in range(5)]
    video = Video(write_clip(tmp_path / "clip.mp4", images))
    assert (len(video), video.width, video.height, video.rate, video.aspect) == (5, 96, 64, 15, 1)
    assert [float(ticks * video.time_base) for ticks in video.times] == pytest.approx([n / 15 for n in range(6)])
    for _ in range(2):  # as often as asked
        read = list(video)
        assert len(read) == 5
        for image, there in zip(images, read):
            assert there.dtype == np.float32
            assert np.abs(image - there).mean() < 5


def test_a_video_comes_as_it_is_shown(tmp_path):
    """A camera held upright stores its frames lying down, and says how to turn them."""
    if not hasattr(av.VideoStream, "set_display_matrix"):
        pytest.skip("this PyAV cannot write how a video is to be turned")
    image = np.zeros((48, 64, 3), np.float32)
    image[:20, :20] = (250, 20, 20)  # top left
    for matrix, corner, size in [
        ((1, 0, 0, 1), "top left", (64, 48)),
        ((0, 1, -1, 0), "top right", (48, 64)),  # a quarter clockwise
        ((-1, 0, 0, -1), "bottom right", (64, 48)),
        ((0, -1, 1, 0), "bottom left", (48, 64)),
        ((-1, 0, 0, 1), "top right", (64, 48)),
        ((0, 1, 1, 0), "top left", (48, 64)),
    ]:  # mirrored
        a, b, c, d = (65536 * n for n in matrix)
        path = write_clip(
            tmp_path / "clip.mp4",
            [image] * 2,
            set_display_matrix=[[a, b, 0, c, d, 0, 0, 0, 1 << 30]],
            sample_aspect_ratio=Fraction(2),
        )
        video = Video(path)
        first = next(iter(video))
        assert (video.width, video.height) == size
        assert first.shape == (size[1], size[0], 3)
        assert video.aspect == (2 if size[0] == 64 else Fraction(1, 2))
        reds = first[:, :, 0] - first[:, :, 1]
        corners = {
            "top left": reds[:16, :16],
            "top right": reds[:16, -16:],
            "bottom left": reds[-16:, :16],
            "bottom right": reds[-16:, -16:],
        }
        assert corners[corner].mean() > 150, corner
        assert all(part.mean() < 20 for name, part in corners.items() if name != corner), corner


def test_colours_come_as_the_file_declares_them(tmp_path):
    image = np.full((32, 32, 3), (200, 40, 30), np.float32)
    dd.write_animation(tmp_path / "hd.mp4", [image] * 2)  # declares HDTV's
    write_clip(tmp_path / "plain.mp4", [image] * 2)  # declares nothing: television's, as it is small
    for name in ("hd.mp4", "plain.mp4"):
        np.testing.assert_allclose(next(iter(Video(tmp_path / name)))[16, 16], (200, 40, 30), atol=5)


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("empty", lambda data: b"", "is empty"),
        ("garbage", lambda data: os.urandom(4000), "is not a video that can be read"),
        ("no index", lambda data: data[: len(data) // 2], "is damaged"),
        ("text", lambda data: b"this is not a video\n" * 50, "is not a video"),
    ],
)
def test_damaged_files_are_refused(tmp_path, scene, name, damage, says):
    data = write_clip(tmp_path / "clip.mp4", [view(scene, index)[0] for index in range(4)]).read_bytes()
    (tmp_path / "bad.mp4").write_bytes(damage(data))
    with pytest.raises(dd.VideoError, match=says) as error:
        Video(tmp_path / "bad.mp4")
    assert "\n" not in str(error.value)


def test_a_title_that_is_no_text_spoils_nothing(tmp_path, scene):
    data = write_clip(tmp_path / "clip.mp4", [view(scene, index)[0] for index in range(4)]).read_bytes()
    assert b"VideoHandler" in data
    (tmp_path / "odd.mp4").write_bytes(data.replace(b"VideoHandler", b"Video\xbf\xff\xfeler!"))
    assert len(Video(tmp_path / "odd.mp4")) == 4


def test_files_that_end_too_early_or_break_in_the_middle_are_refused(tmp_path):
    rng = np.random.RandomState(0)
    dd.write_animation(tmp_path / "film.mp4", [rng.uniform(0, 255, (64, 96, 3)) for _ in range(30)])  # index first
    data = (tmp_path / "film.mp4").read_bytes()
    middle = len(data) // 2
    (tmp_path / "bad.mp4").write_bytes(data[:middle])
    with pytest.raises(dd.VideoError, match=r"is cut short|is damaged after frame"):
        Video(tmp_path / "bad.mp4")
    (tmp_path / "bad.mp4").write_bytes(data[:middle] + rng.bytes(2000) + data[middle + 2000 :])
    with pytest.raises(dd.VideoError, match="is damaged after frame"):
        Video(tmp_path / "bad.mp4")


def test_a_matroska_file_that_ends_too_early_is_refused(tmp_path, scene):
    """Its tracks do not tell how long they are; the file does, whichever track is the longest."""
    whole = write_clip(tmp_path / "clip.mkv", [view(scene, index)[0] for index in range(30)]).read_bytes()
    assert len(Video(tmp_path / "clip.mkv")) == 30
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(dd.VideoError, match=r"is cut short: 0\.\d of 2\.0 seconds"):
        Video(tmp_path / "cut.mkv")


def test_few_file_handles_are_not_the_video_s_fault(tmp_path, scene):
    write_clip(tmp_path / "in.mp4", [view(scene, 0)[0]])
    Video(tmp_path / "in.mp4")  # what is imported, is
    limits, taken = resource.getrlimit(resource.RLIMIT_NOFILE), []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, limits[1]), limits[1]))
    try:
        with pytest.raises(OSError, match="Too many"):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        with pytest.raises(dd.DreamError) as refusal:
            Video(tmp_path / "in.mp4")
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert "in.mp4 cannot be opened: Too many open files; close other programs" in str(refusal.value)
    assert "convert" not in str(refusal.value)


def test_frames_too_large_for_the_memory_are_refused_by_the_header(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "clip.mp4", [np.zeros((480, 640, 3), np.float32)] * 2)
    video = Video(path)
    monkeypatch.setattr(memory, "free_bytes", lambda: 10 * 2**20)
    says = r"frames of 640×480 pixels and needs about 0\.0 GiB of memory, and 0\.0 GiB are free; scale it down first"
    monkeypatch.setattr(Video, "_packets", lambda self, container: pytest.fail("decoded"))
    for read in (lambda: Video(path), lambda: next(iter(video))):
        with pytest.raises(VideoError, match=says):
            read()


def test_a_frame_larger_than_the_header_says_is_bounded(tmp_path):
    small, large = (
        write_clip(tmp_path / f"{size}.mpg", [np.full((size, size, 3), 99.0)] * 3, 25, "", codec="mpeg1video")
        for size in (64, 512)
    )
    path = glue(tmp_path / "both.mpg", small, large)
    assert len(Video(path)) > 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deepdream.io.video_reader._MAX_PIXELS", 100_000)
        with pytest.raises(VideoError, match=r"damaged after frame \d"):
            Video(path)
