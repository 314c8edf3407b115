"""Videos: what another decoder finds in them, pixel for pixel where the format allows."""

import subprocess
import sys
import time
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers import command_environment
from PIL import Image

import deepdream as dd
from deepdream.io.video_writer import rehearse_animation, rehearse_video, write_animation, write_video


def discs(count, height=50, width=64):
    """Pictures of a red disc that moves to the right over blue."""
    y, x = np.mgrid[:height, :width]
    images = []
    for index in range(count):
        image = np.full((height, width, 3), (20, 60, 200), np.float32)
        image[(y - height / 2) ** 2 + (x - 10 - 4 * index) ** 2 < 64] = (220, 40, 30)
        images.append(image)
    return images


def decoded(path):
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        frames = list(film.decode(stream))
        return stream, frames, [pixels(frame) for frame in frames]


def seconds(path):
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        return stream.duration * stream.time_base


def pixels(frame):
    """A decoded frame's RGB values, float (H, W, 3), by the formulas of ITU-R BT.709 if it is Y'CbCr."""
    if frame.format.name != "yuv420p":
        return frame.to_ndarray(format="rgb24").astype(float)
    height, width = frame.height, frame.width
    planes = frame.to_ndarray().astype(float)
    blue, red = (
        plane.reshape(height // 2, width // 2).repeat(2, 0).repeat(2, 1) - 128
        for plane in np.split(planes[height:].ravel(), 2)
    )
    y = (planes[:height] - 16) * 255 / 219
    blue, red = blue * 255 / 224, red * 255 / 224
    return np.stack([y + 1.5748 * red, y - 0.1873 * blue - 0.4681 * red, y + 1.8556 * blue], axis=-1).clip(0, 255)


def test_an_mp4_shows_the_pictures(tmp_path):
    images = discs(6)
    write_animation(tmp_path / "film.mp4", images, 12)
    _, frames, pictures = decoded(tmp_path / "film.mp4")
    assert len(frames) == 6
    assert [frame.time for frame in frames] == pytest.approx([index / 12 for index in range(6)])
    assert seconds(tmp_path / "film.mp4") == Fraction(1, 2)
    for image, picture in zip(images, pictures):
        assert np.abs(image - picture).mean() < 3  # colour is stored at half the size
        for y, x in ((5, 60), (25, 60)):
            np.testing.assert_allclose(picture[y, x], image[y, x], atol=6)


def test_an_mp4_plays_in_a_browser(tmp_path):
    """H.264 with colour at half size, its colours declared, and the index before the pictures."""
    write_animation(tmp_path / "film.mp4", discs(3))
    stream, frames, _ = decoded(tmp_path / "film.mp4")
    codec = stream.codec_context
    assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
    assert (codec.color_primaries, codec.color_trc, frames[0].colorspace, frames[0].color_range) == (1, 1, 1, 1)
    data = (tmp_path / "film.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_an_odd_size_is_padded_with_its_border(tmp_path):
    images = [image[:49, :63] for image in discs(3)]
    write_animation(tmp_path / "film.mp4", images)
    stream, _, pictures = decoded(tmp_path / "film.mp4")
    assert (stream.height, stream.width) == (50, 64)
    assert np.abs(pictures[0][:49, :63] - images[0]).mean() < 3
    np.testing.assert_allclose(pictures[0][49], pictures[0][48], atol=4)
    write_animation(tmp_path / "film.gif", images)  # a GIF may have any size
    assert decoded(tmp_path / "film.gif")[2][0].shape == (49, 63, 3)


def test_a_gif_shows_the_pictures(tmp_path):
    images = discs(5)
    write_animation(tmp_path / "film.gif", images, 10)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 5
        assert film.info["loop"] == 0  # for ever
        for index, image in enumerate(images):
            film.seek(index)
            assert film.info["duration"] == 100
            picture = np.asarray(film.convert("RGB")).astype(float)
            assert np.abs(picture - image).mean() < 4


def test_a_gif_of_a_fast_film_keeps_its_pace(tmp_path):
    """A GIF counts in hundredths of a second, and browsers slow down what is shorter than two of them."""
    write_animation(tmp_path / "film.gif", discs(12), 100)
    with Image.open(tmp_path / "film.gif") as film:
        durations = []
        for index in range(film.n_frames):
            film.seek(index)
            durations.append(film.info["duration"])
    assert min(durations) >= 20
    assert sum(durations) == pytest.approx(120, abs=10)


def test_times_need_not_be_even(tmp_path):
    times = [0, 100, 150, 400, 1000]
    write_video(tmp_path / "film.mp4", discs(4), times, Fraction(1, 1000), Fraction(4))
    _, frames, _ = decoded(tmp_path / "film.mp4")
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.15, 0.4])
    assert float(seconds(tmp_path / "film.mp4")) == pytest.approx(1)


def test_pictures_are_asked_for_one_at_a_time(tmp_path):
    alive = []

    class Pictures:
        def __iter__(self):
            for image in discs(40):
                alive.append(sys.getrefcount(image))
                yield image

    write_animation(tmp_path / "film.mp4", Pictures())
    write_animation(tmp_path / "film.gif", Pictures())
    assert len(alive) == 120
    assert len(set(alive)) == 1


def test_what_cannot_be_written_is_refused(tmp_path):
    for path, images, rate, kind, says in [
        (tmp_path / "film.avi", discs(2), 15, dd.VideoError, r"end the name in \.mp4, \.mov, \.mkv, \.webm or \.gif"),
        (tmp_path / "no" / "film.mp4", discs(2), 15, dd.VideoError, "No such file"),
        (tmp_path / "film.mp4", [], 15, dd.VideoError, "at least one image"),
        (tmp_path / "film.gif", [], 15, dd.VideoError, "at least one image"),
        (tmp_path / "film.gif", iter(discs(2)), 15, dd.VideoError, "twice"),
        (tmp_path / "film.mp4", discs(1) + discs(1, 60), 15, dd.VideoError, "size"),
        (tmp_path / "film.gif", discs(1) + discs(1, 60), 15, dd.VideoError, "size"),
        (tmp_path / "film.mp4", discs(2), 0, dd.ParameterError, "rate=0"),
    ]:
        with pytest.raises(kind, match=says) as error:
            write_animation(path, images, rate)
        assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []  # nothing half-written either


def test_without_pyav_the_way_to_get_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(dd.DreamError, match=r"pip install 'deepdream-caffe\[video\]'"):
        write_animation(tmp_path / "film.mp4", discs(2))


_AGAIN = """
import hashlib, os, sys
import numpy as np
import deepdream as dd
rng = np.random.RandomState(0)
base = rng.uniform(0, 255, (64, 96, 3))
images = [(np.roll(base, 2 * i, 1) + rng.uniform(-30, 30, base.shape)).clip(0, 255) for i in range(12)]
for _ in range(30):
    dd.write_animation(sys.argv[1], images)
    with open(sys.argv[1], "rb") as film:
        print(hashlib.sha256(film.read()).hexdigest())
"""


def test_a_film_made_again_is_the_same_on_a_busy_machine(tmp_path):
    """Six processes at once: x264's AVX-512 code then gave, now and then, up to twenty films of the same pictures.

    What did it was its macroblock tree; each film says with what it was encoded.
    """
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _AGAIN, str(tmp_path / f"{number}.mp4")],
            text=True,
            stdout=subprocess.PIPE,
            env=command_environment(),
        )
        for number in range(6)
    ]
    films = [line for process in running for line in process.communicate()[0].splitlines()]
    assert len(films) == 180
    assert len(set(films)) == 1
    assert b" mbtree=0 " in (tmp_path / "0.mp4").read_bytes()


REHEARSED = [  # (what differs from 8×8 pixels at 25 frames a second, what is said; nothing if it can be written)
    ({"size": (1, 1)}, ""),
    ({"size": (1, 1), "name": "a.gif"}, ""),
    ({"size": (8, 16384)}, ""),
    ({"size": (8, 16385)}, "at most 16384 pixels per side, these frames are 16385×8"),
    ({"size": (16386, 8)}, "at most 16384 pixels per side, these frames are 8×16386"),
    ({"size": (4, 65535), "name": "a.gif"}, ""),
    ({"size": (4, 65536), "name": "a.gif"}, "at most 65535 pixels per side, these frames are 65536×4"),
    ({"times": [-3, 1, 2]}, ""),
    ({"times": [0, 1, 1, 2]}, "Invalid argument"),
    ({"times": [0, 5, 4, 6]}, "Invalid argument"),
    ({"times": [0, 40, 2**33, 2**33 + 40]}, "Invalid argument|too large"),
    ({"time_base": Fraction(1, 2**40)}, "too large"),
    ({"rate": Fraction(2**40)}, "too large"),
    ({"aspect": Fraction(2**40)}, "too large"),
]


@pytest.mark.parametrize(("changes", "says"), REHEARSED, ids=lambda each: str(each)[:40])
def test_a_rehearsal_finds_what_would_fail_in_the_end(tmp_path, changes, says):
    """It says so of the very arguments that cannot be written, and of no others; and it writes nothing."""
    path, size = tmp_path / changes.pop("name", "a.mp4"), changes.pop("size", (8, 8))
    given = {"times": [0, 1, 2], "time_base": Fraction(1, 25), "rate": Fraction(25), **changes}
    for attempt, what in ((rehearse_video, size), (write_video, [np.zeros((*size, 3))] * (len(given["times"]) - 1))):
        if says:
            with pytest.raises(dd.VideoError, match=says) as error:
                attempt(path, what, **given)
            assert "\n" not in str(error.value) and len(str(error.value)) < 300 + len(str(tmp_path))
            assert str(path) in str(error.value) or "scale them down" in str(error.value)
        else:
            attempt(path, what, **given)
        assert list(tmp_path.iterdir()) == ([path] if not says and attempt is write_video else [])


def test_a_rehearsal_tells_whether_it_is_the_sound(tmp_path):
    class Refused:
        def open(self, container, kind, rehearsal=False):
            container.add_stream("aac", rate=44100)

        def mux(self, container, until):
            raise ValueError("no such sound")

    with pytest.raises(dd.VideoError, match=r"cannot hold the sound of this video \(no such sound\)"):
        rehearse_video(tmp_path / "a.mp4", (8, 8), [0, 1, 2], Fraction(1, 25), Fraction(25), None, Refused())


def test_a_rehearsal_of_an_animation(tmp_path):
    rehearse_animation(tmp_path / "a.mp4", (48, 64), 30, 1000)
    rehearse_animation(tmp_path / "a.gif", (48, 64), 30, 0.00001)
    with pytest.raises(dd.VideoError, match="at most 16384"):
        rehearse_animation(tmp_path / "a.mp4", (8, 20000), 30)
    with pytest.raises(dd.ParameterError, match="rate=0"):
        rehearse_animation(tmp_path / "a.mp4", (48, 64), 30, 0)


def test_a_rehearsal_is_quick(tmp_path):
    """Four hours of full HD: what is encoded is one frame."""
    before = time.process_time()
    rehearse_video(tmp_path / "a.mp4", (1080, 1920), range(25 * 3600 * 4), Fraction(1, 25), Fraction(25))
    assert time.process_time() - before < 20
