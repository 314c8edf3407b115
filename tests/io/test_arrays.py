"""Images as arrays: what is one, and how it is scaled."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_rgb, image_error, resized_whole

from deepdream import ParameterError
from deepdream.io import arrays
from deepdream.io.arrays import check_image, image_sha256, resize, to_uint8


@pytest.mark.parametrize(
    "img, says",
    [
        (np.zeros((4, 4)), "(4, 4)"),
        (np.zeros((4, 4, 4)), "(4, 4, 4)"),
        (np.zeros((1, 4, 4, 3)), "(1, 4, 4, 3)"),
        (np.zeros((0, 4, 3)), "no pixels"),
        (np.full((4, 4, 3), np.nan), "48 values that are NaN"),
        (np.full((4, 4, 3), np.inf), "48 values that are NaN or infinite"),
        (np.full((4, 4, 3), 1e300), "infinite"),
        (np.zeros((4, 4, 3), complex), "an array of numbers"),
        ("picture", "an array of numbers"),
        ("photo.png", "got 'photo.png': read the file with deepdream.read_image"),
        (Path("photo.png"), "photo.png'): read the file"),
        (None, "an array of numbers"),
        ([[1], [1, 2]], "an array of numbers"),
    ],
)
def test_arrays_that_are_no_images(img, says):
    assert says in image_error(check_image, img)


def test_arrays_of_any_number_type_are_images():
    for kind in (np.uint8, np.int64, np.float16, np.float64, bool):
        img = check_image(np.ones((2, 3, 3), kind))
        assert img.dtype == np.float32
        assert (img == 1).all()


def test_an_image_is_not_copied():
    img = np.zeros((2, 3, 3), np.float32)
    assert check_image(img) is img


def test_resize():
    assert_rgb(resize(np.full((10, 20, 3), (10, 20, 30), np.float32), 7, 31), (10, 20, 30))
    stripes = np.zeros((64, 64, 3), np.float32)
    stripes[:, ::2] = 200
    assert_rgb(resize(stripes, 8, 8)[1:-1, 1:-1], 100, 2)  # averaged, not sampled
    assert resize(stripes, 8, 5).shape == (8, 5, 3)


SIZES = [(30, 40), (90, 20), (20, 90), (1, 50), (50, 1), (33, 33)]


@pytest.mark.parametrize("block_pixels", [1, 70, 2**18])
def test_resizing_is_pillows_to_the_bit(block_pixels, monkeypatch):
    """Whatever the blocks; Pillow makes the pass along the columns first where they shrink more, from Pillow 13 on."""
    monkeypatch.setattr(arrays, "BLOCK_PIXELS", block_pixels)
    for size in SIZES:
        img = np.random.RandomState(1).uniform(-20, 280, (*size, 3)).astype(np.float32)
        for new_size in [*SIZES, (7, 3), (2, 60), (100, 100), (size[0], 5), (5, size[1])]:
            assert resize(img, *new_size).tobytes() == resized_whole(img, *new_size).tobytes(), (size, new_size)


def test_a_size_that_does_not_fit_into_memory():
    for size in ((10**6, 10**6), (10**12, 10**12)):
        with pytest.raises(ParameterError, match=rf"^{size[1]}×{size[0]} pixels need about .* choose a smaller size"):
            resize(np.zeros((4, 4, 3), np.float32), *size)


@pytest.mark.parametrize("block_pixels", [1, 70, 2**18])
def test_blocks_change_nothing(block_pixels, monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK_PIXELS", block_pixels)
    img = np.random.RandomState(2).uniform(-20, 280, (13, 17, 3)).astype(np.float32)
    expected = np.rint(np.clip(img, 0, 255)).astype(np.uint8)
    np.testing.assert_array_equal(to_uint8(img), expected)
    np.testing.assert_array_equal(to_uint8(img[:, ::-1].astype(np.float64)), expected[:, ::-1])
    np.testing.assert_array_equal(to_uint8(expected), expected)
    assert image_sha256(img) == hashlib.sha256(b"17x13:" + img.astype("<f4").tobytes()).hexdigest()
    assert image_sha256(np.asfortranarray(img)) == image_sha256(img)
    img[12, 16, 2] = np.nan
    assert "1 values that are NaN" in image_error(check_image, img)
