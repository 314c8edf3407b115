"""Masks: what they keep, what they let change, and what is refused."""

import numpy as np
import pytest
from PIL import Image as Pillow

import deepdream as dd
from deepdream.mask import check_mask, octave_masks
from deepdream.preview import FullSizePreview

QUICK = {"iter_n": 3, "octave_n": 3, "end": "both", "seed": 1}
SHAPE = 60, 90


@pytest.fixture
def img():
    return np.random.RandomState(3).uniform(0, 255, (*SHAPE, 3)).astype(np.float32)


def left_half(edge=0.0):
    """White at the left, black at the right, and `edge` in the ten columns between."""
    mask = np.zeros(SHAPE, np.float32)
    mask[:, :40] = 1
    mask[:, 40:50] = edge
    return mask


def white_on_black(mask):
    return np.repeat(255 * mask[:, :, None], 3, axis=2)


@pytest.mark.parametrize("settings", [{}, {"tile": 64}, {"clip": False}, {"jitter": 0}, {"octave_n": 1}])
def test_outside_the_mask_every_bit_stays(tiny, img, settings):
    out = dd.deepdream(tiny, img, mask=left_half(0.3), **{**QUICK, **settings})
    assert np.array_equal(out[:, 50:], img[:, 50:])
    changes = np.abs(out - img).mean(axis=(0, 2))
    assert changes[:40].mean() > 2
    assert 0 < changes[40:50].mean() < 0.6 * changes[:40].mean()


def test_of_a_small_part_as_much_changes_as_of_a_large_one(tiny, img):
    """The mean change of a step is that inside the mask: what is kept does not weaken the dream."""
    small = np.zeros(SHAPE, np.float32)
    small[20:40, 20:40] = 1
    once = {**QUICK, "iter_n": 1, "octave_n": 1, "clip": False}
    for mask in (small, left_half(), np.ones(SHAPE)):
        change = np.abs(dd.deepdream(tiny, img, mask=mask, **once) - img)
        assert change[mask == 1].mean() == pytest.approx(1.5, rel=1e-3)


def test_a_white_mask_is_no_mask(tiny, img):
    plain = dd.deepdream(tiny, img, **QUICK)
    for mask in (np.ones(SHAPE), np.ones((6, 9), bool), np.full((120, 180), 1)):
        assert np.array_equal(dd.deepdream(tiny, img, mask=mask, **QUICK), plain)


def test_the_steps_that_have_the_size_of_the_image_keep_it(tiny, img):
    mask, shapes = left_half(), []
    preview = FullSizePreview(img, [(31, 46), (43, 64), SHAPE], mask)
    for step in dd.dream_steps(tiny, img, mask=mask, **QUICK):
        assert np.array_equal(preview.of(step.image, step.octave)[:, 40:], img[:, 40:])
        shapes.append(step.image.shape[:2])
    assert sorted(set(shapes)) == [(31, 46), (43, 64), SHAPE]


def test_frames_of_a_zoom_keep_what_they_begin_with(tiny, img):
    mask = left_half()
    one, two = dd.zoom_frames(tiny, img, frame_n=2, mask=mask, **QUICK)
    assert np.array_equal(one.image[:, 40:], img[:, 40:])
    again = list(dd.zoom_frames(tiny, img, frame_n=2, mask=mask, after=one, **QUICK))
    assert np.array_equal(again[0].image, two.image)


@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_frames_of_a_video_keep_their_own_pixels(tiny, img, strength):
    frames = [img, np.roll(img, 3, axis=1), np.roll(img, 6, axis=0)]
    made = list(dd.video_frames(tiny, frames, mask=left_half(), strength=strength, **QUICK))
    for before, frame in zip(frames, made):
        assert np.array_equal(frame.image[:, 40:], before[:, 40:])
        assert np.abs(frame.image[:, :40] - before[:, :40]).mean() > 0.5


def test_a_mask_is_read_from_an_image(img, tmp_path):
    half = left_half(0.4)
    dd.write_image(tmp_path / "mask.png", white_on_black(half))
    mask = dd.read_mask(tmp_path / "mask.png")
    assert mask.dtype == np.float32
    assert np.array_equal(mask, half)
    assert np.array_equal(dd.read_mask(white_on_black(half), invert=True), 1 - half)
    smaller = dd.read_mask(tmp_path / "mask.png", size=(30, 45))
    assert smaller.shape == (30, 45) and (smaller[:, :19] == 1).all() and (smaller[:, 26:] == 0).all()
    assert dd.read_mask("coffee", size=(40, 60)).shape == (40, 60)


def test_feathering_keeps_what_is_black():
    mask = dd.read_mask(white_on_black(left_half()), feather=9)
    assert (mask[:, 40:] == 0).all()
    assert np.allclose(mask[30, 30:40], np.arange(10, 0, -1) / 10)
    assert (mask[:, :31] == 1).all()
    inverted = dd.read_mask(white_on_black(left_half()), feather=9, invert=True)
    assert (inverted[:, :40] == 0).all()
    assert np.allclose(inverted[30, 40:50], np.arange(1, 11) / 10)
    assert (dd.read_mask(np.full((9, 9, 3), 255), feather=9) == 1).all()


def test_a_mask_at_every_octave():
    masks = octave_masks(left_half(), [(30, 45), (43, 64), SHAPE])
    assert [each.shape for each in masks] == [(30, 45), (43, 64), SHAPE]
    for each in masks:
        assert each.min() == 0 and each.max() == 1
        assert each.mean() == pytest.approx(left_half().mean(), abs=0.01)
    dot = np.zeros((600, 900), np.float32)
    dot[300, 450] = 1
    assert all(each.any() for each in octave_masks(dot, [(60, 90), (600, 900)]))  # averaging loses nothing


@pytest.mark.parametrize(
    ("mask", "error", "reason"),
    [
        (np.zeros(SHAPE), dd.ImageError, "the mask is black everywhere, so nothing would be dreamt"),
        (
            np.ones((90, 60)),
            dd.ImageError,
            "the mask has 60×90 pixels and the image 90×60: give it the same proportions",
        ),
        (np.full(SHAPE, 255), dd.ParameterError, "mask has values from 255 to 255: they must be from 0"),
        (np.full(SHAPE, -0.1), dd.ParameterError, "mask has values from -0.1 to -0.1"),
        (np.full(SHAPE, np.nan), dd.ParameterError, "mask has values from nan to nan"),
        (np.ones((60, 90, 3)), dd.ParameterError, r"it must be an array \(H, W\) of numbers from 0 to 1; read_mask"),
        (np.ones((0, 90)), dd.ParameterError, "it must be an array"),
        ("mask.png", dd.ParameterError, "mask='mask.png': it must be an array"),
        ([["a"]], dd.ParameterError, "it must be an array"),
    ],
)
def test_what_is_no_mask_is_refused_before_the_first_step(tiny, img, mask, error, reason):
    with pytest.raises(error, match=reason) as refused:
        dd.dream_steps(tiny, img, mask=mask, **QUICK)
    assert len(str(refused.value)) <= 300


def test_what_read_mask_refuses(tmp_path):
    with pytest.raises(dd.ImageError, match="no such file"):
        dd.read_mask(tmp_path / "none.png")
    with pytest.raises(dd.ImageError, match="black everywhere"):
        dd.read_mask(np.full((9, 9, 3), 255), invert=True)
    for shape in (9, 9), (9, 90):
        Pillow.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / "named.png")
        with pytest.raises(dd.ImageError, match=r"the mask \S*named\.png (is black|has 90×9 pixels)"):
            dd.read_mask(tmp_path / "named.png", (20, 20))
    for feather in (-1, float("nan"), 1e9, "3", True):
        with pytest.raises(dd.ParameterError, match="the width of the mask's edges"):
            dd.read_mask("cat", feather=feather)
    with pytest.raises(dd.ParameterError, match="whether black is dreamt"):
        dd.read_mask("cat", invert=1)


def test_sizes_that_rounding_gives_fit():
    """As a photograph and its mask that were scaled by two programs."""
    for rows, columns in ((1, 1), (3, 5), (33, 50), (101, 150)):
        check_mask(np.ones((rows, columns)), round(rows * 2.6), round(columns * 2.6))
