"""Images of which a part, a smaller version or the hash is taken."""

import pickle

import numpy as np
import pytest
from helpers import image_error

from deepdream import memory
from deepdream.io.arrays import fit, image_sha256
from deepdream.io.source import ArraySource, source_of


def test_an_array_is_taken_as_it_is(sky):
    source = source_of(sky)
    assert source.full() is sky
    assert source.shape == sky.shape
    assert source.sha256 == image_sha256(sky)
    assert source_of(source) is source
    np.testing.assert_array_equal(source.fit(50), fit(sky, 50))
    assert source.fit(1000) is sky
    np.testing.assert_array_equal(source.block(slice(3, 5), slice(7, None)), sky[3:5, 7:])


def test_what_is_no_image_is_none_here_either():
    assert "shape (H, W, 3)" in image_error(source_of, np.zeros((4, 4)))


@pytest.mark.parametrize("max_size", [50, None])
def test_what_travels_is_the_smaller_version_with_the_hash_of_the_whole(sky, max_size):
    reduced = pickle.loads(pickle.dumps(source_of(sky).reduced(max_size)))
    np.testing.assert_array_equal(reduced.full(), fit(sky, max_size))
    np.testing.assert_array_equal(reduced.fit(max_size), fit(sky, max_size))
    assert reduced.sha256 == image_sha256(sky)


def test_a_smaller_version_that_does_not_fit_into_memory(sky, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 1000)
    source = ArraySource(sky)
    assert "the image has 160×90 pixels and needs about" in image_error(source.fit, 50)
    assert "the image has 160×90 pixels and needs about" in image_error(source.resize, 20, 30)
