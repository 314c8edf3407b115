"""Networks made ready for the gradient of their input: bit for bit that of force_backward, and no other."""

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from helpers import TINY

import deepdream as dd
from deepdream.network.fast_layers import use_fast_layers
from deepdream.zoo import registry


def forced(tmp_path, weights, fast):
    """bvlc_googlenet as the 2015 release prepared it: force_backward, and nothing else."""
    text = registry.find_model("bvlc_googlenet").prototxt.read_text(encoding="utf-8")
    net = text_format.Parse(text, caffe_pb2.NetParameter())
    net.force_backward = True
    path = tmp_path / "forced.prototxt"
    path.write_text(str(use_fast_layers(net) if fast else net), encoding="utf-8")
    return caffe.Net(str(path), caffe.TEST, weights=str(weights))


def gradient(net, picture, end):
    """The input's gradient of ½ Σ x² at `end`, the way a 2015 reader writes it."""
    blob = net.blobs[net.inputs[0]]
    blob.reshape(1, *picture.shape)
    blob.data[0] = picture
    net.forward(end=end)
    net.blobs[end].diff[...] = net.blobs[end].data
    net.backward(start=end)
    return blob.diff[0].copy()


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("size", [(224, 224), (97, 131), (160, 90)])
def test_input_gradient_equals_force_backward_bit_for_bit(tmp_path, googlenet_weights, size, fast):
    picture = np.random.RandomState(0).uniform(-100, 130, (3, *size)).astype(np.float32)
    googlenet, reference = dd.load("bvlc_googlenet", fast=fast), forced(tmp_path, googlenet_weights, fast)
    for end in ("conv2/3x3", "inception_3b/output", "inception_4c/output"):
        expected = gradient(reference, picture, end)
        assert np.abs(expected).max() > 0
        assert np.array_equal(gradient(googlenet, picture, end), expected)


def test_no_weight_gradient_is_computed(tiny):
    picture = np.random.RandomState(0).uniform(-100, 130, (3, 32, 32)).astype(np.float32)
    gradient(tiny, picture, "both")
    computed = {
        f"{name}[{i}]" for name, blobs in tiny.params.items() for i, blob in enumerate(blobs) if np.any(blob.diff)
    }
    assert computed == {"conv1[1]"}  # one bias, which keeps the backward pass going down to the picture


def test_gradient_agrees_with_finite_differences(tiny):
    rng = np.random.RandomState(1)
    picture = rng.uniform(-100, 130, (3, 20, 26)).astype(np.float32)
    found = gradient(tiny, picture, "both")

    def objective(changed):
        tiny.input.data[0] = changed
        x = tiny.forward(end="both")["both"].astype(np.float64)
        return 0.5 * (x**2).sum()

    # The network is piecewise linear: a short way along one pixel crosses few kinks, so most pixels must agree well.
    errors = []
    for _ in range(60):
        at = tuple(rng.randint(n) for n in picture.shape)
        up, down = picture.copy(), picture.copy()
        up[at] += 0.25
        down[at] -= 0.25
        slope = (objective(up) - objective(down)) / 0.5
        errors.append(abs(slope - found[at]) / np.abs(found).max())
    assert np.median(errors) < 1e-4
    assert np.mean(np.array(errors) < 1e-2) > 0.9


@pytest.mark.parametrize("fast", [True, False])
def test_global_pooling_changes_nothing_at_the_native_size(tmp_path, googlenet_weights, fast):
    googlenet, reference = dd.load("bvlc_googlenet", fast=fast), forced(tmp_path, googlenet_weights, fast)
    picture = np.random.RandomState(0).uniform(-100, 130, (3, 224, 224)).astype(np.float32)
    for net in (reference, googlenet):
        net.blobs["data"].reshape(1, 3, 224, 224)
        net.blobs["data"].data[0] = picture
    assert np.array_equal(reference.forward()["prob"], googlenet.forward()["prob"])
    googlenet.input.reshape(1, 3, 300, 500)
    googlenet.input.data[...] = 0
    assert googlenet.forward()["prob"].sum() == pytest.approx(1, abs=1e-5)


SCALED = "power_param { scale: 0.5 shift: 3 } }"
BEGINNINGS = {
    "another type": (TINY, 'layer { name: "x" type: "Power" bottom: "data" top: "x" ' + SCALED, "x"),
    "in place": (TINY, 'layer { name: "x" type: "Power" bottom: "data" top: "data" ' + SCALED, "data"),
    "no bias": (TINY.replace("stride: 2 pad: 1", "stride: 2 pad: 1 bias_term: false"), "", "data"),
    "two readers": (
        TINY,
        'layer { name: "x" type: "Power" bottom: "data" top: "x" '
        + SCALED
        + 'layer { name: "data_biased" type: "Eltwise" bottom: "data" bottom: "x" top: "data_biased" }',
        "data_biased",
    ),
}


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("kind", BEGINNINGS)
def test_unusual_beginnings_get_their_gradient_too(tmp_path, kind, fast):
    """No convolution with a bias reads the picture alone. The gradient is that of force_backward, bit for bit."""
    text, layers, blob = BEGINNINGS[kind]
    text = text.replace('layer { name: "conv1"', layers + 'layer { name: "conv1"')
    text = text.replace(
        'name: "conv1" type: "Convolution" bottom: "data"', f'name: "conv1" type: "Convolution" bottom: "{blob}"'
    )
    path, weights = tmp_path / "unusual.prototxt", tmp_path / "unusual.caffemodel"
    forced = text_format.Parse(text, caffe_pb2.NetParameter())
    forced.force_backward = True
    forced.layer[0].input_param.shape[0].dim[0] = 1
    path.write_text(str(use_fast_layers(forced) if fast else forced), encoding="utf-8")
    reference = caffe.Net(str(path), caffe.TEST)
    reference.save(str(weights))
    path.write_text(text, encoding="utf-8")
    net = dd.Net(path, weights, (0, 0, 0), "both", fast=fast)
    picture = np.random.RandomState(0).uniform(-100, 130, (3, 32, 32)).astype(np.float32)
    expected = gradient(reference, picture, "both")
    assert np.abs(expected).max() > 0
    assert np.array_equal(gradient(net, picture, "both"), expected)
    assert not any(np.any(blobs[0].diff) for name, blobs in net.params.items() if name in ("conv1", "left"))
    dd.deepdream(net, dd.picture("cat")[:40, :40], iter_n=1, octave_n=1)
