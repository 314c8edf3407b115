"""Networks prepared for the gradient of their input, and what is refused before Caffe sees it."""

import os
import subprocess
import sys
from pathlib import Path

import caffe
import numpy as np
import pytest
from helpers import TINY

import deepdream as dd


def test_a_net_is_a_caffe_net_for_one_picture_of_any_size(tiny):
    assert isinstance(tiny, caffe.Net)
    assert tiny.blobs["data"].shape[0] == 1
    assert tiny.mean.shape == (3, 1, 1) and tiny.mean.dtype == np.float32
    assert tiny.input_size == (32, 32)
    for size in ((32, 32), (50, 41)):
        tiny.input.reshape(1, 3, *size)
        probabilities = tiny.forward()["prob"]
        assert probabilities.shape == (1, 5)
        assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_preprocess_and_deprocess_are_inverse(tiny, sky):
    chw = dd.preprocess(tiny, sky)
    assert chw.shape == (3, 90, 160) and chw.dtype == np.float32
    assert chw[0, 5, 7] == pytest.approx(sky[5, 7, 2] - 104, abs=1e-4)
    assert chw[2, 5, 7] == pytest.approx(sky[5, 7, 0] - 123, abs=1e-4)
    assert np.abs(dd.deprocess(tiny, chw) - sky).max() < 1e-4


FAILING = {  # Caffe finds these only when it computes
    "an index": 'type: "Embed" bottom: "data" top: "x" embed_param { num_output: 4 input_dim: 10 bias_term: false }',
    "a shape": 'type: "Reshape" bottom: "data" top: "x" reshape_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } }',
    "no gradient": 'type: "Threshold" bottom: "data" top: "x"',
}


@pytest.mark.skipif(not hasattr(caffe, "Error"), reason="another pycaffe ends the process")
@pytest.mark.parametrize("kind", FAILING)
def test_what_caffe_finds_when_it_computes_is_the_networks_fault(tmp_path, sky, kind):
    path = tmp_path / "failing.prototxt"
    path.write_text(
        TINY[: TINY.index('layer { name: "conv1"')] + 'layer { name: "x" ' + FAILING[kind] + " }", encoding="utf-8"
    )
    net = dd.Net(path, None, (0, 0, 0), "x")
    with pytest.raises(dd.ModelError, match=r"Caffe cannot compute this network at this size: .*(failed|Not Impl)"):
        dd.deepdream(net, sky, octave_n=1, iter_n=1)


def test_an_unknown_layer_names_the_closest(tiny, tiny_prototxt):
    with pytest.raises(dd.LayerError, match="did you mean pool1"):
        tiny.check_layer("pool_1")
    for not_dreamable in ("relu1", "data"):
        with pytest.raises(dd.LayerError, match="no layer"):
            tiny.check_layer(not_dreamable)
    for not_a_name in (None, 3):
        with pytest.raises(dd.ParameterError, match=f"end={not_a_name}: it must be a layer's name"):
            tiny.check_layer(not_a_name)
    with pytest.raises(dd.LayerError, match="no layer 'nowhere'"):
        dd.Net(tiny_prototxt, None, (0, 0, 0), "nowhere")


def test_a_network_without_anything_to_dream(tmp_path):
    path = tmp_path / "input.prototxt"
    path.write_text(TINY[: TINY.index('layer { name: "conv1"')], encoding="utf-8")
    with pytest.raises(dd.LayerError, match="no layer that can be dreamt"):
        dd.Net(path, None, (0, 0, 0), "data")


@pytest.mark.parametrize(
    "mean",
    [(1, 2), "abc", None, (1, 2, float("nan")), (10**400, 1, 2), (1e39, 1, 2), ["1", "2", "3"], [True, False, True]],
)
def test_a_bad_mean_is_refused(tiny_prototxt, mean):
    with pytest.raises(dd.ParameterError, match="three finite numbers"):
        dd.Net(tiny_prototxt, None, mean, "both")


@pytest.mark.parametrize(
    "wrong",
    [
        {"prototxt": 1},
        {"prototxt": None},
        {"weights": 1},
        {"labels": "abc"},
        {"labels": [1]},
        {"labels": 3},
        {"fast": "yes"},
        {"fast": np.ones(2)},
        {"gpu": np.ones(2)},
        {"gpu": -1},
        {"gpu": 1.5},
        {"gpu": "first"},
        {"end": None},
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(tiny_prototxt, wrong):
    right = {"prototxt": tiny_prototxt, "weights": None, "mean": (0, 0, 0), "end": "both"}
    with pytest.raises(dd.ParameterError, match=f"{next(iter(wrong))}="):
        dd.Net(**{**right, **wrong})


def test_labels_may_come_from_an_iterator(tiny_prototxt):
    net = dd.Net(tiny_prototxt, None, (0, 0, 0), "both", labels=iter("abcde"))
    assert net.labels == ["a", "b", "c", "d", "e"]


def test_what_is_not_a_net_is_refused(sky):
    for call in (
        lambda: dd.preprocess(None, sky),
        lambda: dd.deprocess("net", sky),
        lambda: dd.deepdream(3, sky),
        lambda: dd.classify(None, sky),
        lambda: dd.guided(None, sky),
        lambda: dd.label(None, 1),
    ):
        with pytest.raises(dd.ParameterError, match=r"net=.*: it must be a deepdream\.Net"):
            call()


def test_import_is_quiet():
    """Neither Caffe's chatter nor anything else is printed when a network is built."""
    code = "import deepdream as dd; m = dd.find_model('squeezenet_v1.1');dd.Net(m.prototxt, None, m.mean, m.end)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


QUICK = {"iter_n": 2, "octave_n": 2}


def test_release_gives_memory_back_and_changes_no_dream(squeezenet, sky):
    before = dd.deepdream(squeezenet, sky, **QUICK, seed=2)
    squeezenet.release()
    assert np.array_equal(dd.deepdream(squeezenet, sky, **QUICK, seed=2), before)
    assert "cat" in dd.classify(squeezenet, dd.picture("cat"))[0][0]


# Memory that a far larger picture took

OURS = pytest.mark.skipif(not hasattr(caffe._caffe, "rebuild"), reason="another Caffe keeps its memory")
SHRINKS = """
import sys
import numpy as np
import helpers
import deepdream as dd

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 // 2**20

net = helpers.tiny_net(sys.argv[1])
small = np.random.RandomState(1).uniform(0, 255, (60, 80, 3)).astype(np.float32)
dream = {"end": "both", "iter_n": 1, "octave_n": 1, "seed": 1}
expected, before = dd.deepdream(net, small, **dream), resident()
dd.deepdream(net, np.tile(small, (40, 40, 1)), **dream)
large, view = resident(), net.blobs["both"].data
values = view.copy()
again = dd.deepdream(net, small, **dream)
assert np.array_equal(view, values), "an array of the larger picture has changed"
del view, values
print(large - before, resident() - before, np.array_equal(again, expected))
"""


@OURS
def test_a_far_smaller_picture_gives_back_the_memory(tiny_prototxt):
    done = subprocess.run(
        [sys.executable, "-c", SHRINKS, tiny_prototxt],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert done.returncode == 0, done.stderr
    large, left, same = done.stdout.split()
    assert int(large) > 300 and int(left) < int(large) / 3 and same == "True"


@OURS
@pytest.mark.parametrize("fast", [True, False])
def test_after_a_far_larger_picture_every_blob_is_as_ever(tmp_path, fast):
    """Also those behind the layer of the dream, which it did not reshape."""
    (tmp_path / "tiny.prototxt").write_text(TINY)
    net = dd.Net(tmp_path / "tiny.prototxt", None, mean=[104, 117, 123], end="both", fast=fast)

    def forward(size, end="pool2"):
        net.input.reshape(1, 3, *size)
        net.input.data[...] = np.random.RandomState(size[0]).uniform(-100, 100, net.input.data.shape)
        return {name: value.copy() for name, value in net.forward(end=end).items()}

    sizes = [(32, 32), (40, 33), (320, 400)]
    expected = {size: forward(size) for size in sizes} | {"prob": forward((32, 32), "prob")}
    for size in sizes * 2:
        forward((640, 700), "both")
        forward((30, 40), "both")
        found = forward(size)
        assert found.keys() == expected[size].keys() == {"pool2"}
        assert np.array_equal(found["pool2"], expected[size]["pool2"]), size
    forward((640, 700))
    forward((30, 40), "both")
    assert np.array_equal(forward((32, 32), "prob")["prob"], expected["prob"]["prob"])
    net.input.reshape(1, 3, 700, 700)
    net.reshape()
    net.input.reshape(1, 3, 32, 32)
    net.reshape()
    assert net.blobs["both"].data.shape[2:] == net.blobs["both"].diff.shape[2:] and not net.blobs["both"].data.any()


@OURS
def test_an_array_outlives_the_memory_of_its_blob(tiny):
    tiny.input.reshape(1, 3, 300, 300)
    array = tiny.input.data
    array[...] = 7
    tiny.input.reshape(1, 3, 900, 900)  # takes new memory
    tiny.input.data[...] = 1
    assert (array == 7).all() and array.shape == (1, 3, 300, 300)
