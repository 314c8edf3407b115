"""Images as arrays: what is one, and how it is scaled."""

import numpy as np
import pytest
from helpers import assert_rgb, image_error

from deepdream.io.arrays import check_image, resize


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
