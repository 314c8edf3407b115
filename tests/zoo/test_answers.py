"""What a classifier answers to the bundled images: trained ones pass, and numbers that nobody trained do not."""

import re

import numpy as np
import pytest

import deepdream as dd
from deepdream.zoo import answers, registry


def checked(net):
    """The answers by the image's name."""
    text = answers.check_answers(net)
    return dict(re.findall(r"(\w+): (.+?) \d+%(?:, |$)", text))


def test_squeezenet(squeezenet):
    found = checked(squeezenet)
    assert list(found) == ["clouds", "rocket", "coffee", "face", "cat"]
    assert (found["coffee"], found["cat"]) == ("espresso", "Egyptian cat")


def test_googlenet(googlenet):
    found = checked(googlenet)
    assert (found["coffee"], found["cat"], found["rocket"]) == ("espresso", "Egyptian cat", "missile")


@pytest.fixture
def untrained():
    """SqueezeNet's layers with the weights that Caffe begins with."""
    model = registry.find_model("squeezenet_v1.1")
    return dd.Net(model.prototxt, None, model.mean, model.end, model.labels)


@pytest.mark.parametrize("gain", [0.0, 0.5, 1.0, 2.0, 4.0])
def test_random_weights(untrained, gain):
    """He et al.'s gain is 2: with less the answers fade, and with more one label wins for whatever is shown."""
    rng = np.random.RandomState(3)
    for weights, biases in untrained.params.values():
        weights.data[...] = rng.standard_normal(weights.data.shape) * np.sqrt(gain / np.prod(weights.shape[1:]))
        biases.data[...] = 0
    with pytest.raises(ValueError, match="untrained weights"):
        answers.check_answers(untrained)


def test_trained_weights_that_were_shuffled(untrained, squeezenet):
    """Each layer keeps its numbers, in another order."""
    rng = np.random.RandomState(0)
    for layer, blobs in untrained.params.items():
        for ours, trained in zip(blobs, squeezenet.params[layer]):
            ours.data[...] = rng.permutation(trained.data.ravel()).reshape(ours.data.shape)
    with pytest.raises(ValueError, match="untrained weights"):
        answers.check_answers(untrained)


def test_weights_that_are_not_finite(untrained):
    untrained.params["conv10"][0].data[0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        answers.check_answers(untrained)


def test_answers_that_depend_on_left_and_right(tmp_path):
    """A network that looks at each pixel's place tells all images apart, mirrored ones among them."""
    path = tmp_path / "deploy.prototxt"
    path.write_text(
        """
        layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } } }
        layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 50 } }
        layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
        """
    )
    net = dd.Net(path, None, (100, 100, 100), "fc", [str(number) for number in range(50)])
    net.params["fc"][0].data[...] = np.random.RandomState(1).standard_normal(net.params["fc"][0].data.shape)
    with pytest.raises(ValueError, match="mirrored"):
        answers.check_answers(net)


def test_labels_of_another_network(squeezenet):
    labels = squeezenet.labels
    squeezenet.labels = labels[:-1]
    try:
        with pytest.raises(ValueError, match="1,000 outputs and 999 labels"):
            answers.check_answers(squeezenet)
    finally:
        squeezenet.labels = labels
