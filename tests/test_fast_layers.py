"""Our layers against upstream's own, in the same process, on random data."""

import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe

pytestmark = pytest.mark.skipif("FastPooling" not in caffe.layer_type_list(), reason="this Caffe has no fast layers")


def build(folder, layer, shape, bottoms=1):
    """A net that is one layer over inputs of one shape, which wants the gradient of its inputs."""
    inputs = "".join(
        f'layer {{ name: "x{i}" type: "Input" top: "x{i}" '
        f'input_param {{ shape {{ dim: {shape[0]} dim: {shape[1]} dim: {shape[2]} dim: {shape[3]} }} }} }}\n'
        for i in range(bottoms))
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

POOLS = ["kernel_size: 3 stride: 2", "kernel_size: 3 stride: 1 pad: 1", "kernel_size: 2 stride: 2",
         "kernel_size: 1 stride: 1", "kernel_size: 3 stride: 3 pad: 1", "kernel_size: 2 stride: 3",
         "kernel_h: 2 kernel_w: 5 stride_h: 3 stride_w: 1 pad_h: 1 pad_w: 2", "kernel_size: 5 stride: 2 pad: 2",
         "kernel_size: 3 stride: 2 pad: 1 round_mode: FLOOR", "global_pooling: true", "kernel_size: 15 stride: 4 pad: 7"]
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
        upstream, fast = (build(tmp_path, f'layer {{ name: "y" type: "{kind}" bottom: "x0" top: "y" '
                                          f"pooling_param {{ pool: MAX {pool} }} }}", shape)
                          for kind in ("Pooling", "FastPooling"))
        if has_empty_windows(upstream):
            continue
        for make in (ties, lambda random, shape: random.randn(*shape).astype(np.float32)):
            x = make(np.random.RandomState(1), shape)
            for ours, theirs in zip(forward_backward(fast, x), forward_backward(upstream, x)):
                np.testing.assert_array_equal(bits(ours), bits(theirs), f"{pool} {size}")
                compared += 1
    assert compared


def test_pooling_ignores_nan_and_keeps_going_after_a_reshape(tmp_path):
    text = 'layer {{ name: "y" type: "{}" bottom: "x0" top: "y" pooling_param {{ kernel_size: 3 stride: 2 }} }}'
    upstream, fast = (build(tmp_path, text.format(kind), (1, 2, 9, 9)) for kind in ("Pooling", "FastPooling"))
    x = np.random.RandomState(2).randn(1, 2, 31, 12).astype(np.float32)
    x[0, 0, ::4, ::3] = np.nan
    for ours, theirs in zip(forward_backward(fast, x), forward_backward(upstream, x)):
        np.testing.assert_array_equal(bits(ours), bits(theirs))


@pytest.mark.parametrize("rest", ['top: "mask" pooling_param { kernel_size: 3 stride: 2 }',
                                  "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }",
                                  "pooling_param { kernel_size: 17 stride: 2 }"])
def test_pooling_leaves_the_rest_to_upstream(tmp_path, rest):
    nets = [build(tmp_path, f'layer {{ name: "y" type: "{kind}" bottom: "x0" top: "y" {rest} }}', (2, 3, 20, 19))
            for kind in ("Pooling", "FastPooling")]
    x = ties(np.random.RandomState(3), (2, 3, 20, 19))
    for ours, theirs in zip(*(forward_backward(net, x) for net in nets)):
        np.testing.assert_array_equal(ours, theirs)


# --- Normalisation ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("parameters", ["local_size: 5 alpha: 0.0001 beta: 0.75", "local_size: 3 alpha: 2 k: 2",
                                        "local_size: 1 alpha: 0.1", "local_size: 9 alpha: 0.5",
                                        "local_size: 5 alpha: 1 beta: 0.5",
                                        "local_size: 3 alpha: 1 norm_region: WITHIN_CHANNEL"])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 7, 3, 5), (1, 64, 17, 31), (3, 5, 40, 23)])
def test_normalisation_is_upstreams(tmp_path, parameters, shape):
    nets = [build(tmp_path, f'layer {{ name: "y" type: "{kind}" bottom: "x0" top: "y" lrn_param {{ {parameters} }} }}',
                  shape) for kind in ("LRN", "FastLRN")]
    x = 3 * np.random.RandomState(4).randn(*shape).astype(np.float32)
    for theirs, ours in zip(*(forward_backward(net, x) for net in nets)):
        assert difference(ours, theirs) < 1e-5
