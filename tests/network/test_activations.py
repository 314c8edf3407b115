"""What a layer sees in an image that goes through in pieces: the numbers of the whole pass."""

import caffe
import numpy as np
import pytest

import deepdream as dd
from deepdream.network import activations


@pytest.mark.skipif(
    "FastConvolution" not in caffe.layer_type_list(),
    reason="this Caffe's convolution rounds differently in a picture of another size",
)
@pytest.mark.parametrize("size", [(180, 320), (203, 165), (161, 300)])
@pytest.mark.parametrize(
    ("end", "piece"), [("conv1/7x7_s2", 40), ("pool2/3x3_s2", 7), ("inception_3b/output", 5), ("inception_4a/1x1", 3)]
)
def test_features_in_pieces_equal_the_whole_pass(googlenet, sky, size, end, piece, monkeypatch):
    picture = np.pad(sky, ((0, 120), (0, 160), (0, 0)), "reflect")[: size[0], : size[1]]
    whole = activations.layer_activations(googlenet, picture, end)
    calls = []
    monkeypatch.setattr(activations, "_piece", lambda *_: calls.append(1) or piece)
    assert np.array_equal(activations.layer_activations(googlenet, picture, end, budget=0), whole)
    assert calls


def test_features_in_pieces_on_upstreams_layers(squeezenet_file, sky, monkeypatch):
    net = dd.load("squeezenet_v1.1", fast=False)
    whole = activations.layer_activations(net, sky, "fire5/concat")
    monkeypatch.setattr(activations, "_piece", lambda *_: 2)
    assert np.abs(activations.layer_activations(net, sky, "fire5/concat", budget=0) - whole).max() < 1e-4 * whole.max()


def test_a_layer_that_sees_all_at_once_is_not_cut(tiny, sky):
    assert activations.layer_activations(tiny, sky, "score", budget=0).shape == (5,)
    assert activations.layer_activations(tiny, sky, "both", budget=0).shape == (8, 22, 40)
