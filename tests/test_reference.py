"""Against what others computed: dreams by the 2015 algorithm on stock Caffe, and OpenCV's outputs of this network."""

import ast

import numpy as np
import pytest
from conftest import correlation
from PIL import Image

import deepdream as dd

# How close the detail must come. Ascent is chaotic: rounding picks other winners in max-pools. The limits lie between
# another BLAS library's distance and another seed's.
LIMITS = {"one_step": 0.999, "default_small": 0.99, "noclip": 0.99, "shallow": 0.99}


@pytest.mark.parametrize("name", LIMITS)
def test_dream_equals_the_2015_algorithm_on_stock_caffe(googlenet, oracles, name):
    with np.load(oracles / "reference" / f"{name}.npz") as vector:
        base, expected, parameters = vector["input"], vector["output"], ast.literal_eval(str(vector["params"]))
    dream = dd.deepdream(googlenet, base, **parameters)
    reached = correlation(dream - base, expected - base)
    assert reached >= LIMITS[name]


def test_another_seed_is_another_dream(googlenet, oracles):
    """The limits above mean something only if a wrong random stream falls below them."""
    with np.load(oracles / "reference" / "default_small.npz") as vector:
        base, expected, parameters = vector["input"], vector["output"], ast.literal_eval(str(vector["params"]))
    dream = dd.deepdream(googlenet, base, **{**parameters, "seed": parameters["seed"] + 1})
    reached = correlation(dream - base, expected - base)
    assert reached < 0.6


def opencv_batch(oracles):
    """OpenCV's two test pictures as it fed them: RGB, 0..255, nothing subtracted, (2, 3, 224, 224)."""
    pictures = [Image.open(oracles / "opencv" / f"googlenet_{i}.png").convert("RGB") for i in range(2)]
    return np.stack([np.moveaxis(np.asarray(picture, np.float32), 2, 0) for picture in pictures])


def test_probabilities_equal_opencvs(googlenet, oracles):
    expected = np.load(oracles / "opencv" / "googlenet_prob.npy")
    for picture, row in zip(opencv_batch(oracles), expected):
        googlenet.input.reshape(1, 3, 224, 224)
        googlenet.input.data[0] = picture
        assert np.abs(googlenet.forward()["prob"].ravel() - row.ravel()).max() < 1e-5


def test_a_branch_before_its_relu_equals_opencvs(googlenet, oracles):
    expected = np.load(oracles / "opencv" / "googlenet_inception_4c_1x1.npy")
    googlenet.input.reshape(1, 3, 224, 224)
    googlenet.input.data[0] = opencv_batch(oracles)[0]
    found = googlenet.forward(end="inception_4c/1x1")["inception_4c/1x1"]
    assert found.min() < 0, "the in-place ReLU must not have run"
    assert np.abs(found.ravel() - expected.ravel()).max() < 1e-3
