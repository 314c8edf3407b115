"""The zoom: its arithmetic against a calculation by hand, its frames against the loop written out."""

import itertools

import numpy as np
import pytest

import deepdream as dd
from deepdream.network import memory, tiling
from deepdream.zoom import zoom

SMALL = {"iter_n": 2, "octave_n": 2, "jitter": 4}


@pytest.fixture
def img():
    return np.float32(np.random.RandomState(3).uniform(0, 255, (40, 56, 3)))


def bilinear(img, y, x):
    """The picture's value between four pixels, by hand; outside, its mirror image."""

    def mirrored(n, length):
        n = abs(n) % (2 * length - 2)
        return n if n < length else 2 * length - 2 - n

    top, left = int(np.floor(y)), int(np.floor(x))
    corners = [[img[mirrored(top + i, img.shape[0]), mirrored(left + j, img.shape[1])] for j in (0, 1)] for i in (0, 1)]
    upper, lower = (a * (1 - (x - left)) + b * (x - left) for a, b in corners)
    return upper * (1 - (y - top)) + lower * (y - top)


@pytest.mark.parametrize(("scale", "rotate"), [(0.05, 0), (-0.2, 0), (0.05, 10), (0, -90)])
def test_zoom_is_interpolated_between_the_pixels_it_shows(img, scale, rotate):
    out = zoom(img, scale, rotate)
    assert out.shape == img.shape
    assert out.dtype == np.float32
    angle, (cy, cx) = np.radians(rotate), np.array(img.shape[:2]) / 2
    for row, column in itertools.product((0, 7, 20, 39), (0, 5, 28, 55)):
        # Turned counterclockwise as seen, with y growing downwards; what is shown there comes from the turn back.
        y, x = (1 - scale) * (row - cy), (1 - scale) * (column - cx)
        y, x = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
        np.testing.assert_allclose(out[row, column], bilinear(img, cy + y, cx + x), atol=0.05)


def test_zoom_turns_counterclockwise(img):
    marked = np.zeros((41, 41, 3), np.float32)
    marked[19:22, 35:38] = 255  # at the right: after a quarter turn counterclockwise it is at the top
    turned = zoom(marked, 0, 90)[:, :, 0]
    rows, columns = np.nonzero(turned > 100)
    assert rows.max() < 10
    assert 15 < columns.mean() < 25


@pytest.mark.parametrize("aim", [{}, {"objective": dd.channels([1])}, {"end": {"left": 1.0, "conv1": 0.5}}])
def test_frames_are_the_loop_written_out(tiny, img, aim):
    image = img
    for frame in dd.zoom_frames(tiny, img, 3, scale=0.1, rotate=5, seed=8, **aim, **SMALL):
        if frame.index:
            image = zoom(image, 0.1, 5)
        image = dd.deepdream(tiny, image, seed=frame.seed, **aim, **SMALL)
        np.testing.assert_array_equal(frame.image, image)
    assert frame.index == 2


def test_float_pictures_are_fed_back(tiny, img):
    """Frames fed back as 8 bits would be others."""
    first, second = dd.zoom_frames(tiny, img, 2, seed=8, **SMALL)
    rounded = dd.deepdream(tiny, zoom(np.rint(first.image.clip(0, 255))), seed=second.seed, **SMALL)
    assert np.abs(rounded - second.image).max() > 0


def test_first_frame_is_the_dream_of_the_seed(tiny, img):
    first = next(dd.zoom_frames(tiny, img, None, seed=5, **SMALL))
    np.testing.assert_array_equal(first.image, dd.deepdream(tiny, img, seed=5, **SMALL))


def test_going_on_behind_a_frame_gives_the_same_frames(tiny, img):
    whole = list(dd.zoom_frames(tiny, img, 4, seed=8, tile=64, **SMALL))
    whole[1].image.setflags(write=False)
    rest = list(dd.zoom_frames(tiny, img, 4, seed=8, tile=64, after=whole[1], **SMALL))
    assert [frame.index for frame in rest] == [2, 3]
    for one, other in zip(whole[2:], rest):
        np.testing.assert_array_equal(one.image, other.image)
        assert one.seed == other.seed


def test_a_frame_can_be_drawn_on(tiny, img):
    untouched = list(dd.zoom_frames(tiny, img, 3, seed=8, **SMALL))
    for frame, expected in zip(dd.zoom_frames(tiny, img, 3, seed=8, **SMALL), untouched):
        np.testing.assert_array_equal(frame.image, expected.image)
        frame.image[...] = 0


def test_tiles_are_chosen_once_for_all_frames(tiny, img, monkeypatch):
    wide = np.tile(img, (16, 16, 1))
    needed = memory.gradient_bytes(tiny, "both", 640, 896) + memory.image_bytes(640, 896)
    # Just too little, then ever less: chosen anew, every frame would get smaller tiles.
    free = itertools.count(int(needed / tiling.MEMORY_FRACTION) - 1, -needed // 50)
    chosen = []

    def plan(net, end, shapes, tile):
        chosen.append(real(net, end, shapes, tile))
        return chosen[-1]

    real = tiling.plan_tiles
    monkeypatch.setattr(tiling, "free_bytes", lambda gpu: next(free))
    monkeypatch.setattr("deepdream.dream.plan_tiles", plan)
    list(dd.zoom_frames(tiny, wide, 3, seed=8, tile="auto", iter_n=1, octave_n=1, jitter=0))
    assert len(chosen) == 4  # the check, and three frames
    assert len(set(chosen[1:])) == 1
    assert 64 <= chosen[-1] < 896


def test_wrong_arguments_are_refused_before_the_first_frame(tiny, img):
    for settings, value in [
        ({"frame_n": 0}, "0"),
        ({"frame_n": 2.5}, "2.5"),
        ({"scale": 1}, "1"),
        ({"scale": float("nan")}, "nan"),
        ({"rotate": float("inf")}, "inf"),
        ({"seed": -1}, "-1"),
        ({"iter_n": 0}, "0"),
        ({"tile": 3}, "3"),
    ]:
        with pytest.raises(dd.ParameterError, match=f"={value}"):
            dd.zoom_frames(tiny, img, **{**SMALL, **settings})
    with pytest.raises(dd.LayerError, match="nowhere"):
        dd.zoom_frames(tiny, img, end="nowhere", **SMALL)
    with pytest.raises(dd.ImageError, match=r"\(40, 56\)"):
        dd.zoom_frames(tiny, img[:, :, 0], **SMALL)
