"""Our layers against upstream's own, in the same process, on random data."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
from caffe.proto import caffe_pb2

from deepdream.network.fast_layers import use_fast_layers

pytestmark = pytest.mark.skipif("FastPooling" not in caffe.layer_type_list(), reason="this Caffe has no fast layers")


def build(folder, layer, shape, bottoms=1):
    """A net that is one layer over inputs of one shape, which wants the gradient of its inputs."""
    inputs = "".join(
        f'layer {{ name: "x{i}" type: "Input" top: "x{i}" '
        f"input_param {{ shape {{ dim: {shape[0]} dim: {shape[1]} dim: {shape[2]} dim: {shape[3]} }} }} }}\n"
        for i in range(bottoms)
    )
    path = Path(folder) / "net.prototxt"
    path.write_text(f"force_backward: true\n{inputs}{layer}", encoding="utf-8")
    return caffe.Net(str(path), caffe.TEST)


def ties(random, shape):
    """Values of which many are equal, so that windows have several maxima."""
    return random.randint(-3, 3, shape).astype(np.float32)


def forward_backward(net, x, seed=0, top="y"):
    """(output, gradient of the input) for the input x and random gradients of the output."""
    net.blobs["x0"].reshape(*x.shape)
    net.blobs["x0"].data[...] = x
    net.forward()
    random = np.random.RandomState(seed)
    net.blobs[top].diff[...] = random.randn(*net.blobs[top].data.shape)
    net.backward()
    return net.blobs[top].data.copy(), net.blobs["x0"].diff.copy()


def difference(a, b):
    assert a.shape == b.shape
    return np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)


def bits(array):
    return np.ascontiguousarray(array).view(np.uint32)


# --- Pooling ---------------------------------------------------------------------------------------------------------

POOLS = [
    "kernel_size: 3 stride: 2",
    "kernel_size: 3 stride: 1 pad: 1",
    "kernel_size: 2 stride: 2",
    "kernel_size: 1 stride: 1",
    "kernel_size: 3 stride: 3 pad: 1",
    "kernel_size: 2 stride: 3",
    "kernel_h: 2 kernel_w: 5 stride_h: 3 stride_w: 1 pad_h: 1 pad_w: 2",
    "kernel_size: 5 stride: 2 pad: 2",
    "kernel_size: 3 stride: 2 pad: 1 round_mode: FLOOR",
    "global_pooling: true",
    "kernel_size: 15 stride: 4 pad: 7",
]
POOL_SIZES = [(1, 1), (2, 3), (5, 5), (16, 17), (15, 8), (33, 70)]


def has_empty_windows(net):
    """Upstream's own trouble: windows that see nothing of the picture, or no window at all."""
    if not net.blobs["y"].count:
        return True
    net.forward()
    return net.blobs["y"].data.min() < -1e38


@pytest.mark.parametrize("pool", POOLS)
def test_pooling_equals_upstream_bit_for_bit(tmp_path, pool):
    compared = 0
    for size in POOL_SIZES:
        shape = (2, 3, *size)
        if "kernel_size: 15" in pool and min(size) < 15:
            continue
        upstream, fast = (
            build(
                tmp_path,
                f'layer {{ name: "y" type: "{kind}" bottom: "x0" top: "y" pooling_param {{ pool: MAX {pool} }} }}',
                shape,
            )
            for kind in ("Pooling", "FastPooling")
        )
        if has_empty_windows(upstream):
            continue
        for make in (ties, lambda random, shape: random.randn(*shape).astype(np.float32)):
            x = make(np.random.RandomState(1), shape)
            for ours, theirs in zip(forward_backward(fast, x), forward_backward(upstream, x)):
                np.testing.assert_array_equal(bits(ours), bits(theirs), f"{pool} {size}")
                compared += 1
    assert compared


def test_pooling_takes_little_memory_for_a_stride_beyond_the_picture(tmp_path):
    """Rows are prepared ahead, but not for a stride that passes over all of them."""
    pool = "pool: MAX kernel_size: 2 stride_h: 2000000000 stride_w: 5"
    layer = f'layer {{ name: "y" type: "FastPooling" bottom: "x0" top: "y" pooling_param {{ {pool} }} }}'
    net = build(tmp_path, layer, (1, 2, 60, 72))
    x = np.random.RandomState(1).randn(1, 2, 60, 72).astype(np.float32)
    y, gradient = forward_backward(net, x)
    windows = x[:, :, :2].reshape(1, 2, 2, 72)[..., [[i, i + 1] for i in range(0, 71, 5)]]
    np.testing.assert_array_equal(y[:, :, 0], windows.max(axis=(2, 4)))
    assert (gradient != 0).sum() == 2 * 15


def test_pooling_ignores_nan_and_keeps_going_after_a_reshape(tmp_path):
    text = 'layer {{ name: "y" type: "{}" bottom: "x0" top: "y" pooling_param {{ kernel_size: 3 stride: 2 }} }}'
    upstream, fast = (build(tmp_path, text.format(kind), (1, 2, 9, 9)) for kind in ("Pooling", "FastPooling"))
    x = np.random.RandomState(2).randn(1, 2, 31, 12).astype(np.float32)
    x[0, 0, ::4, ::3] = np.nan
    for ours, theirs in zip(forward_backward(fast, x), forward_backward(upstream, x)):
        np.testing.assert_array_equal(bits(ours), bits(theirs))


@pytest.mark.parametrize(
    "rest",
    [
        'top: "mask" pooling_param { kernel_size: 3 stride: 2 }',
        "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }",
        "pooling_param { kernel_size: 17 stride: 2 }",
    ],
)
def test_pooling_leaves_the_rest_to_upstream(tmp_path, rest):
    nets = [
        build(tmp_path, f'layer {{ name: "y" type: "{kind}" bottom: "x0" top: "y" {rest} }}', (2, 3, 20, 19))
        for kind in ("Pooling", "FastPooling")
    ]
    x = ties(np.random.RandomState(3), (2, 3, 20, 19))
    for ours, theirs in zip(*(forward_backward(net, x) for net in nets)):
        np.testing.assert_array_equal(ours, theirs)


# --- Normalisation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        "local_size: 5 alpha: 0.0001 beta: 0.75",
        "local_size: 3 alpha: 2 k: 2",
        "local_size: 1 alpha: 0.1",
        "local_size: 9 alpha: 0.5",
        "local_size: 5 alpha: 1 beta: 0.5",
        "local_size: 3 alpha: 1 norm_region: WITHIN_CHANNEL",
    ],
)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 7, 3, 5), (1, 64, 17, 31), (3, 5, 40, 23)])
def test_normalisation_is_upstreams(tmp_path, parameters, shape):
    nets = [
        build(
            tmp_path, f'layer {{ name: "y" type: "{kind}" bottom: "x0" top: "y" lrn_param {{ {parameters} }} }}', shape
        )
        for kind in ("LRN", "FastLRN")
    ]
    x = 3 * np.random.RandomState(4).randn(*shape).astype(np.float32)
    for theirs, ours in zip(*(forward_backward(net, x) for net in nets)):
        assert difference(ours, theirs) < 1e-5


# --- Rectification and splits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0, 0.1])
@pytest.mark.parametrize("top", ["y", "x0"])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 7), (1, 8, 90, 91)])
def test_rectification_equals_upstream_bit_for_bit(tmp_path, slope, top, shape):
    nets = [
        build(
            tmp_path,
            f'layer {{ name: "y" type: "{kind}" bottom: "x0" top: "{top}" relu_param {{ negative_slope: {slope} }} }}',
            shape,
        )
        for kind in ("ReLU", "FastReLU")
    ]
    x = ties(np.random.RandomState(10), shape) * np.float32(0.7)
    x.flat[::5] = -0.0
    x.flat[3::97] = np.nan
    for theirs, ours in zip(*(forward_backward(net, x, top=top) for net in nets)):
        np.testing.assert_array_equal(bits(ours), bits(theirs))


@pytest.mark.parametrize("readers", [1, 2, 5])
def test_split_equals_upstream_bit_for_bit(tmp_path, readers):
    tops = [f"y{i}" for i in range(readers)]
    gradients = []
    for kind in "Split", "FastSplit":
        net = build(
            tmp_path,
            f'layer {{ name: "y" type: "{kind}" bottom: "x0" ' + " ".join(f'top: "{top}"' for top in tops) + " }",
            (2, 3, 50, 71),
        )
        net.forward()
        random = np.random.RandomState(11)
        for top in tops:
            net.blobs[top].diff[...] = random.randn(2, 3, 50, 71)
        net.backward()
        gradients.append(net.blobs["x0"].diff.copy())
    np.testing.assert_array_equal(bits(gradients[0]), bits(gradients[1]))


def test_fast_definition_keeps_names_and_results(tmp_path):
    """Three readers of an in-place rectified blob, one of them twice removed: the splits are where Caffe puts them."""
    text = """
        layer { name: "x0" type: "Input" top: "x0" input_param { shape { dim: 1 dim: 4 dim: 9 dim: 11 } } }
        layer { name: "a" type: "Convolution" bottom: "x0" top: "a"
                convolution_param { num_output: 6 kernel_size: 3 weight_filler { type: "gaussian" std: 1 } } }
        layer { name: "a/relu" type: "ReLU" bottom: "a" top: "a" }
        layer { name: "b" type: "Pooling" bottom: "a" top: "b" pooling_param { kernel_size: 3 stride: 1 pad: 1 } }
        layer { name: "c" type: "LRN" bottom: "a" top: "c" }
        layer { name: "d" type: "Concat" bottom: "b" bottom: "c" bottom: "a" top: "d" }
        layer { name: "y" type: "Eltwise" bottom: "d" bottom: "d" top: "y" loss_weight: 1 }"""
    definition = text_format.Parse("force_backward: true " + text, caffe_pb2.NetParameter())
    before = definition.SerializeToString()
    nets = []
    for one in definition, use_fast_layers(definition):
        path = tmp_path / "net.prototxt"
        path.write_text(text_format.MessageToString(one), encoding="utf-8")
        nets.append(caffe.Net(str(path), caffe.TEST))
    assert definition.SerializeToString() == before
    upstream, fast = nets
    assert list(fast.blobs) == list(upstream.blobs)
    assert list(fast._layer_names) == list(upstream._layer_names)
    assert {layer.type for layer in fast.layers} == {
        "Input",
        "FastConvolution",
        "FastReLU",
        "FastSplit",
        "FastPooling",
        "FastLRN",
        "Concat",
        "Eltwise",
    }
    for theirs, ours in zip(upstream.params["a"], fast.params["a"]):
        ours.data[...] = theirs.data
    x = np.random.RandomState(12).randn(1, 4, 9, 11)
    for theirs, ours in zip(forward_backward(upstream, x), forward_backward(fast, x)):
        assert difference(ours, theirs) < 1e-5


# --- Convolution -----------------------------------------------------------------------------------------------------

CONVOLUTIONS = [
    # channels, outputs, parameters
    (3, 8, "kernel_size: 1"),
    (17, 5, "kernel_size: 1"),
    (8, 24, "kernel_size: 3 pad: 1"),
    (5, 13, "kernel_size: 3"),
    (4, 9, "kernel_size: 5 pad: 2"),
    (3, 10, "kernel_size: 7 pad: 3 stride: 2"),
    (2, 3, "kernel_size: 3 pad: 1 stride: 2 bias_term: false"),
    (2, 3, "kernel_size: 1 stride: 2"),
    (2, 4, "kernel_size: 2 stride: 3 pad: 1"),
    (3, 2, "kernel_size: 4 stride: 3 pad: 3"),
    (6, 4, "kernel_size: 3 pad: 1 group: 2"),
    (2, 7, "kernel_h: 1 kernel_w: 5 pad_h: 0 pad_w: 2"),
    (2, 7, "kernel_h: 5 kernel_w: 2 stride_h: 1 stride_w: 2 pad_h: 3 pad_w: 0"),
    (3, 4, "kernel_size: 3 pad: 2 dilation: 2"),
    (32, 45, "kernel_size: 3 pad: 1"),
    (37, 130, "kernel_size: 3"),
    (64, 64, "kernel_size: 3 pad: 2 group: 2"),
    (131, 33, "kernel_size: 3 pad: 1"),
]
CONVOLUTION_SIZES = [(7, 7), (8, 13), (14, 50), (37, 70), (70, 5)]


def convolution(kind, outputs, parameters, rest=""):
    return (
        f'layer {{ name: "y" type: "{kind}" bottom: "x0" top: "y" {rest} convolution_param {{ '
        f"num_output: {outputs} {parameters} }} }}"
    )


def convolutions(folder, channels, outputs, parameters, shape, kinds=("Convolution", "FastConvolution")):
    """One net of each kind, with the same random weights."""
    nets = [build(folder, convolution(kind, outputs, parameters), (1, channels, *shape)) for kind in kinds]
    random = np.random.RandomState(5)
    for blob in zip(*(net.params["y"] for net in nets)):
        values = random.randn(*blob[0].data.shape)
        for one in blob:
            one.data[...] = values
    return nets


@pytest.mark.parametrize("channels, outputs, parameters", CONVOLUTIONS)
def test_convolution_is_upstreams(tmp_path, channels, outputs, parameters):
    upstream, fast = convolutions(tmp_path, channels, outputs, parameters, (9, 9))
    for images, size in enumerate(CONVOLUTION_SIZES, 1):
        x = np.random.RandomState(6).randn(images, channels, *size).astype(np.float32)
        for net in upstream, fast:
            for blob in net.params["y"]:
                blob.diff[...] = 0
        for ours, theirs in zip(forward_backward(fast, x), forward_backward(upstream, x)):
            assert difference(ours, theirs) < 1e-5, f"{parameters} {size}"
        for ours, theirs in zip(fast.params["y"], upstream.params["y"]):
            assert difference(ours.diff, theirs.diff) < 1e-5, f"{parameters} {size}"


@pytest.mark.parametrize(
    "channels, outputs, kernel",
    [
        (3, 9, "kernel_size: 1"),
        (3, 9, "kernel_size: 3 pad: 1"),
        (33, 34, "kernel_size: 3 pad: 1"),
        (128, 34, "kernel_size: 3 pad: 1"),
    ],
)
def test_convolution_at_every_width(tmp_path, channels, outputs, kernel):
    """Tiles, panels and vectors end somewhere else at each."""
    upstream, fast = convolutions(tmp_path, channels, outputs, kernel, (5, 5))
    for width in range(1, 71):
        x = np.random.RandomState(width).randn(1, channels, 1 + width % 4, width).astype(np.float32)
        for ours, theirs in zip(forward_backward(fast, x), forward_backward(upstream, x)):
            assert difference(ours, theirs) < 1e-5, width


def rectified_convolution(folder, channels, outputs, parameters, slope, size):
    """A convolution with a rectification in place behind it and a reader of that, with random weights and input."""
    net = build(
        folder,
        convolution("FastConvolution", outputs, parameters)
        + f'layer {{ name: "relu" type: "FastReLU" bottom: "y" top: "y" relu_param {{ negative_slope: {slope} }} }}\n'
        + 'layer { name: "z" type: "Power" bottom: "y" top: "z" power_param { scale: 2 } }',
        (2, channels, *size),
    )
    random = np.random.RandomState(5)
    for blob in net.params["y"]:
        blob.data[...] = random.randn(*blob.data.shape)
    net.blobs["x0"].data[...] = random.randn(2, channels, *size)
    net.blobs["x0"].data.flat[::301] = np.inf  # times 0 below zero: NaN
    return net


def gradient_to_input(net, backward):
    net.blobs["z"].diff[...] = np.random.RandomState(7).randn(*net.blobs["z"].data.shape)
    backward()
    return net.blobs["x0"].diff.copy()


@pytest.mark.parametrize("slope", [0, 0.1])
@pytest.mark.parametrize("channels, outputs, parameters", CONVOLUTIONS)
def test_convolution_does_the_rectification_behind_it(tmp_path, channels, outputs, parameters, slope):
    """The bits of the layers one by one, forward in every blob, backward at the input."""
    net = rectified_convolution(tmp_path, channels, outputs, parameters, slope, (14, 50))
    last = len(net.layers) - 1
    for layer in range(last + 1):
        net._forward(layer, layer)
    alone = [blob.data.copy() for blob in net.blobs.values()]
    assert slope or np.isnan(alone[1]).any()
    net.forward()
    for blob, before in zip(net.blobs.values(), alone):
        np.testing.assert_array_equal(bits(blob.data), bits(before))
    net.blobs["x0"].data[...] = ties(np.random.RandomState(8), net.blobs["x0"].data.shape)
    net.forward()
    by_hand = gradient_to_input(net, net.backward)
    np.testing.assert_array_equal(bits(gradient_to_input(net, lambda: net._backward_to_input(last, 0))), bits(by_hand))


def test_what_is_between_convolution_and_rectification_stays_visible(tmp_path):
    """The layers are computed one by one if a pass ends between them, or somebody looks in between, or at the diffs."""
    net = rectified_convolution(tmp_path, 4, 6, "kernel_size: 3 pad: 1", 0, (9, 9))
    net.blobs["x0"].data[...] = np.random.RandomState(1).randn(2, 4, 9, 9)
    net._forward(0, 1)
    unrectified = net.blobs["y"].data.copy()
    assert (unrectified < 0).any()
    net._forward(2, 3)
    assert not (net.blobs["y"].data < 0).any()
    gradient_to_input(net, net.backward)
    masked = net.blobs["y"].diff.copy()
    np.testing.assert_array_equal(masked != 0, unrectified > 0)
    assert net.params["y"][1].diff.any()  # the gradient of the bias, which nobody wants of a pass to the input
    gradient_to_input(net, lambda: net._backward_to_input(3, 0))
    assert (net.blobs["y"].diff != 0).sum() > (masked != 0).sum()
    net._backward(3, 0)
    np.testing.assert_array_equal(bits(net.blobs["y"].diff), bits(masked))

    seen = {}
    net.after_forward(lambda layer: seen.setdefault(layer, net.blobs["y"].data.copy()))
    net.forward()
    np.testing.assert_array_equal(bits(seen[1]), bits(unrectified))
    net.after_backward(lambda layer: seen.setdefault(-layer, net.blobs["y"].diff.copy()))
    gradient_to_input(net, lambda: net._backward_to_input(3, 0))
    np.testing.assert_array_equal(bits(seen[-2]), bits(masked))


def test_convolution_sees_new_weights(tmp_path):
    upstream, fast = convolutions(tmp_path, 3, 9, "kernel_size: 3", (8, 8))
    x = np.random.RandomState(7).randn(1, 3, 8, 8).astype(np.float32)
    before, _ = forward_backward(fast, x)
    for net in upstream, fast:
        net.params["y"][0].data[4, 1, 2, 2] += 1
    after, gradient = forward_backward(fast, x)
    assert difference(after, before) > 1e-3
    for ours, theirs in zip((after, gradient), forward_backward(upstream, x)):
        assert difference(ours, theirs) < 1e-5


@pytest.mark.parametrize(
    "channels, outputs, parameters",
    [
        (3, 16, "kernel_size: 7 pad: 3 stride: 2"),
        (16, 8, "kernel_size: 3 pad: 1"),
        (40, 33, "kernel_size: 3 pad: 1"),
        (24, 9, "kernel_size: 1"),
        (4, 12, "kernel_size: 5 pad: 2"),
    ],
)
def test_equal_patches_give_equal_bits(tmp_path, channels, outputs, parameters):
    """A periodic picture has a periodic answer, to the last bit: max-pool ties must stay ties."""
    (net,) = convolutions(tmp_path, channels, outputs, parameters, (66, 150), ("FastConvolution",))
    period, stride = np.random.RandomState(8).randn(channels, 6, 10).astype(np.float32), 1 + ("stride: 2" in parameters)
    net.blobs["x0"].data[0] = np.tile(period, (1, 11, 15))
    net.forward()
    net.blobs["y"].diff[0] = np.tile(np.random.RandomState(9).randn(outputs, 6, 10), (1, 11, 15))[
        :, : net.blobs["y"].height, : net.blobs["y"].width
    ]
    net.backward()
    for blob, high, wide in (
        (net.blobs["y"].data[0], 6 // stride, 10 // stride),
        (net.blobs["x0"].diff[0], 6 * stride, 10 * stride),
    ):
        inside = bits(blob[:, 8:-8, 8:-8])
        np.testing.assert_array_equal(inside[:, high:], inside[:, :-high])
        np.testing.assert_array_equal(inside[:, :, wide:], inside[:, :, :-wide])
    assert np.ptp(net.blobs["y"].data) > 1


WINOGRAD = (128, 40, "kernel_size: 3 pad: 1")  # enough channels for Winograd's way in both passes (correlation.cpp)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 60), (60, 1)])
@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_flat_places_give_equal_bits(tmp_path, height, width, threads):
    """At even and odd places alike, wherever in a picture they lie: outputs, and gradients of the input.

    The flat place's values are those of `height` x `width` random pixels, each repeated.
    """
    script = """
import sys, numpy as np
sys.path.insert(0, sys.argv[1])
from test_fast_layers import WINOGRAD, bits, convolutions
height, width = int(sys.argv[3]), int(sys.argv[4])
(net,) = convolutions(sys.argv[2], *WINOGRAD, (73, 91), ("FastConvolution",))
random = np.random.RandomState(1)
for top in range(4):
    for left in range(4):
        x, diff = (random.randn(channels, 73, 91) for channels in WINOGRAD[:2])
        for values in x, diff:
            values[:, top : top + 60, left : left + 60] = random.randn(len(values), height, width)
        net.blobs["x0"].data[0] = x
        net.forward()
        net.blobs["y"].diff[0] = diff
        net.backward()
        for result in net.blobs["y"].data[0], net.blobs["x0"].diff[0]:
            flat = bits(result)[:, top + 1 : top + 59, left + 1 : left + 59]
            assert height > 1 or (flat == flat[:, :1]).all(), (top, left)
            assert width > 1 or (flat == flat[:, :, :1]).all(), (top, left)
"""
    arguments = [str(Path(__file__).parent), str(tmp_path), str(height), str(width)]
    environment = {**os.environ, "OMP_NUM_THREADS": threads}
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, env=environment)


def test_winograd_is_as_exact_as_direct_summation(tmp_path):
    """Against float64, for the output and for the gradient of the input."""
    upstream, fast = convolutions(tmp_path, *WINOGRAD, (30, 41))
    x = np.random.RandomState(3).randn(1, WINOGRAD[0], 30, 41).astype(np.float32)
    weights, bias = (np.float64(blob.data) for blob in fast.params["y"])
    results = [forward_backward(net, x) for net in (fast, upstream)]
    top_diff = np.float64(fast.blobs["y"].diff[0])
    padded, exact = np.pad(np.float64(x[0]), ((0, 0), (1, 1), (1, 1))), bias[:, None, None]
    padded_gradient = np.zeros_like(padded)
    for row in range(3):
        for column in range(3):
            place = (slice(None), slice(row, row + 30), slice(column, column + 41))
            exact = exact + np.tensordot(weights[:, :, row, column], padded[place], 1)
            padded_gradient[place] += np.tensordot(weights[:, :, row, column].T, top_diff, 1)
    for exact_values, ours, direct in zip((exact, padded_gradient[:, 1:-1, 1:-1]), *results):
        ours_error, direct_error = (np.sqrt(np.mean((values[0] - exact_values) ** 2)) for values in (ours, direct))
        assert 0 < ours_error <= 2 * direct_error
        assert ours_error < 1e-6 * np.sqrt(np.mean(exact_values**2))


# --- Fully connected layers ------------------------------------------------------------------------------------------

INNER_PRODUCT = (
    'layer {{ name: "y" type: "{}" bottom: "x0" top: "y" inner_product_param {{ num_output: {} {} '
    'weight_filler {{ type: "gaussian" std: 0.1 }} bias_filler {{ type: "gaussian" std: 1 }} }} }}'
)


def inner_products(folder, outputs, rest, shape, kinds=("FastInnerProduct", "InnerProduct")):
    """Nets of one fully connected layer of each of these types, all with the same weights."""
    nets = []
    for kind in kinds:
        caffe.set_random_seed(5)
        nets.append(build(folder, INNER_PRODUCT.format(kind, outputs, rest), shape))
    return nets


@pytest.mark.parametrize(
    ("outputs", "rest", "shape"),
    [
        (1000, "", (1, 1024, 1, 1)),
        (5, "", (1, 3, 7, 9)),
        (1, "", (1, 1, 1, 1)),
        (77, "bias_term: false", (1, 50, 3, 3)),
        (33, "axis: 2", (1, 1, 40, 3)),
        (1001, "", (1, 63, 1, 1)),
    ],
)
def test_inner_product_is_as_exact_as_upstream(tmp_path, outputs, rest, shape):
    fast, upstream = inner_products(tmp_path, outputs, rest, shape)
    x = np.random.RandomState(1).randn(*shape)
    for ours, theirs in zip(forward_backward(fast, x), forward_backward(upstream, x)):
        assert difference(ours, theirs) < 2e-6
    for ours, theirs in zip(fast.params["y"], upstream.params["y"]):  # the parameters' gradients are upstream's own
        np.testing.assert_array_equal(bits(ours.diff), bits(theirs.diff))
    exact = fast.params["y"][0].data.astype(np.float64) @ np.float32(x).reshape(-1).astype(np.float64)
    if "bias_term" not in rest:
        exact += fast.params["y"][1].data
    assert np.abs(fast.blobs["y"].data.ravel() - exact).max() <= 1e-5 * max(1, np.abs(exact).max())


@pytest.mark.parametrize(
    ("rest", "shape"), [("", (3, 20, 2, 2)), ("transpose: true", (1, 20, 2, 2)), ("axis: 3", (1, 4, 5, 6))]
)
def test_inner_product_leaves_the_rest_to_upstream(tmp_path, rest, shape):
    fast, upstream = inner_products(tmp_path, 9, rest, shape)
    x = np.random.RandomState(1).randn(*shape)
    for ours, theirs in zip(forward_backward(fast, x), forward_backward(upstream, x)):
        np.testing.assert_array_equal(bits(ours), bits(theirs))


# --- The same bits however many threads there are, and whichever vectors the processor has ---------------------------

EVERYTHING = """
import sys, numpy as np
sys.path.insert(0, sys.argv[1])
from test_fast_layers import CONVOLUTIONS, build, convolutions, forward_backward, inner_products
nets = [convolutions(sys.argv[2], *c, (9, 9), ("FastConvolution",))[0] for c in CONVOLUTIONS if "dilation" not in c[2]]
nets += [build(sys.argv[2], f'layer {{ name: "y" type: "{kind}" bottom: "x0" top: "y" {rest} }}', (1, 11, 9, 9))
         for kind, rest in (("FastLRN", "lrn_param { alpha: 1 }"),
                            ("FastPooling", "pooling_param { kernel_size: 3 stride: 2 }"))]
results = []
for net in nets:
    x = np.random.RandomState(1).randn(2, net.blobs["x0"].channels, 41, 67)
    results += forward_backward(net, x)
for outputs, shape in ((1000, (1, 1024, 1, 1)), (77, (1, 50, 7, 9))):
    net = inner_products(sys.argv[2], outputs, "", shape, ("FastInnerProduct",))[0]
    results += forward_backward(net, np.random.RandomState(1).randn(*shape))
np.savez(sys.argv[3], *results)
"""


def computed_with(folder, **environment):
    target = folder / ("-".join(environment.values()) + ".npz")
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING, str(Path(__file__).parent), str(folder), str(target)],
        check=False,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    if "this processor, or this build" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return list(np.load(target).values())


def test_threads_change_no_bit(tmp_path):
    one = computed_with(tmp_path, OMP_NUM_THREADS="1")
    for threads in "2", "5":
        for a, b in zip(one, computed_with(tmp_path, OMP_NUM_THREADS=threads)):
            np.testing.assert_array_equal(bits(a), bits(b))


def test_vector_length_changes_no_bit(tmp_path):
    for a, b in zip(computed_with(tmp_path, PYCAFFE_ISA="avx512"), computed_with(tmp_path, PYCAFFE_ISA="avx2")):
        np.testing.assert_array_equal(bits(a), bits(b))


def test_any_processor(tmp_path):
    for a, b in zip(computed_with(tmp_path, PYCAFFE_ISA="baseline"), computed_with(tmp_path, PYCAFFE_ISA="")):
        assert difference(a, b) < 1e-5


def test_an_unknown_instruction_set_is_an_error(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING, str(Path(__file__).parent), str(tmp_path), "none"],
        check=False,
        env={**os.environ, "PYCAFFE_ISA": "sse9"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "caffe.Error" in done.stderr and "PYCAFFE_ISA is 'sse9'" in done.stderr
