"""Networks prepared for the gradient of their input, and what is refused before Caffe sees it."""

import os
import re
import subprocess
import sys

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from conftest import TINY
from google.protobuf import text_format

import deepdream as dd
from deepdream import definition, models
from deepdream.fast import use_fast_layers


def forced(tmp_path, weights, fast):
    """bvlc_googlenet as the 2015 release prepared it: force_backward, and nothing else."""
    text = models.find_model("bvlc_googlenet").prototxt.read_text(encoding="utf-8")
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
    computed = {f"{name}[{i}]" for name, blobs in tiny.params.items() for i, blob in enumerate(blobs) if
                np.any(blob.diff)}
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


@pytest.mark.parametrize("model", ["bvlc_googlenet", "squeezenet_v1.1"])
@pytest.mark.parametrize("size", [(224, 224), (33, 47), (100, 61)])
def test_sizes_told_by_the_definition_are_those_that_caffe_computes(model, size):
    found = models.find_model(model)
    net = dd.Net(found.prototxt, None, found.mean, found.end)
    net.input.reshape(1, 3, *size)
    net.reshape()
    sizes = definition.spatial_sizes(net.definition, *size)
    for name, blob in net.blobs.items():
        if name in sizes and len(blob.shape) == 4:
            assert sizes[name] == tuple(blob.shape[2:]), name


def test_preprocess_and_deprocess_are_inverse(tiny, sky):
    chw = dd.preprocess(tiny, sky)
    assert chw.shape == (3, 90, 160) and chw.dtype == np.float32
    assert chw[0, 5, 7] == pytest.approx(sky[5, 7, 2] - 104, abs=1e-4)
    assert chw[2, 5, 7] == pytest.approx(sky[5, 7, 0] - 123, abs=1e-4)
    assert np.abs(dd.deprocess(tiny, chw) - sky).max() < 1e-4


def test_classify_knows_a_cat(squeezenet, googlenet):
    for net in (squeezenet, googlenet):
        answers = dd.classify(net, dd.picture("cat"))
        assert len(answers) == 5
        assert "cat" in answers[0][0]
        assert sum(probability for label, probability in answers if "cat" in label) > 0.5
        assert [p for _, p in answers] == sorted((p for _, p in answers), reverse=True)


def test_classify_needs_labels(tiny, sky):
    assert len(dd.classify(tiny, sky, top=2)) == 2
    tiny.labels = []
    with pytest.raises(dd.ModelError, match="5 outputs and 0 labels"):
        dd.classify(tiny, sky)


def test_old_input_fields_are_understood(tmp_path):
    text = TINY.replace('layer { name: "data" type: "Input" top: "data" input_param '
                        '{ shape { dim: 2 dim: 3 dim: 32 dim: 32 } } }',
                        'input: "data" input_dim: 10 input_dim: 3 input_dim: 32 input_dim: 32')
    assert "input_param" not in text
    path = tmp_path / "old.prototxt"
    path.write_text(text, encoding="utf-8")
    net = dd.Net(path, None, (0, 0, 0), "both")
    assert net.input_size == (32, 32) and net.blobs["data"].shape[0] == 1


def test_unusual_beginnings_get_their_gradient_too(tmp_path):
    """No convolution reads the picture alone: Caffe's force_backward steps in."""
    text = TINY.replace('layer { name: "conv1"', 'layer { name: "scaled" type: "Power" bottom: "data" top: "scaled" '
                        'power_param { scale: 0.5 } }\nlayer { name: "conv1"').replace(
                            'name: "conv1" type: "Convolution" bottom: "data"',
                            'name: "conv1" type: "Convolution" bottom: "scaled"')
    path = tmp_path / "unusual.prototxt"
    path.write_text(text, encoding="utf-8")
    net = dd.Net(path, None, (0, 0, 0), "both")
    picture = np.random.RandomState(0).uniform(-100, 130, (3, 32, 32)).astype(np.float32)
    assert np.abs(gradient(net, picture, "both")).max() > 0


CLIPS = hasattr(caffe_pb2.LayerParameter, "clip_param")  # the one field that Caffe requires; older ones lack it
BAD_DEFINITIONS = {
    "does not parse": ("layer { name: 'x' typ", "not a prototxt that Caffe can read: line 1:1"),
    "no layers": ("name: 'empty'", "defines no layers"),
    "unknown type": (TINY.replace('"Softmax"', '"Softmux"'), "'prob' is of the type 'Softmux'"),
    "unknown bottom": (TINY.replace('bottom: "score"', 'bottom: "scare"'), "'prob' reads 'scare'"),
    "same name twice": (TINY.replace('name: "right"', 'name: "left"'), "two layers are called 'left'"),
    "made twice": (TINY.replace('top: "right"', 'top: "left"'), "makes 'left' a second time"),
    "no input": (TINY[TINY.index("layer { name: \"conv1\""):], "reads 'data', which no layer"),
    "grey input": (TINY.replace("dim: 2 dim: 3", "dim: 2 dim: 1"), "must have the shape"),
    "stride of zero": (TINY.replace("stride: 2 pad: 1", "stride: 0 pad: 1"), "'conv1' has kernel"),
    **({"required is missing": (TINY + 'layer { name: "c" type: "Clip" bottom: "prob" top: "c" clip_param { min: 0 } }',
                               "lacks what Caffe requires: layer[10].clip_param.max")} if CLIPS else {}),
    "runs code": (TINY + 'layer { name: "p" type: "Python" bottom: "prob" top: "p" python_param { module: "os" '
                  'layer: "abort" } }', "'p' is of the type 'Python', which runs"),
    "reads a file": (TINY + 'layer { name: "i" type: "InfogainLoss" bottom: "prob" bottom: "score" infogain_loss_param '
                     '{ source: "/etc/passwd" } }', "'i' reads the file '/etc/passwd'"),
    "writes a file": (TINY + 'layer { name: "h" type: "HDF5Output" bottom: "prob" bottom: "both" hdf5_output_param { '
                      'file_name: "/tmp/x" } }', "'h' is of the type 'HDF5Output', which writes"),
    "no outputs": (TINY.replace("num_output: 6 ", "num_output: 0 "), "'conv1' needs num_output"),
    "old format": ('layers { name: "data" type: RELU }', "old format"),
    "too large a kernel": (TINY.replace("kernel_size: 3 stride: 2 pad: 1", "kernel_size: 300"),
                           "leaves nothing for 'conv1'"),
}


@pytest.mark.parametrize("kind", BAD_DEFINITIONS)
def test_bad_definitions_are_refused_with_the_reason(tmp_path, kind):
    text, reason = BAD_DEFINITIONS[kind]
    path = tmp_path / "bad.prototxt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(dd.ModelError) as refusal:
        dd.Net(path, None, (0, 0, 0), "both")
    assert reason in str(refusal.value) and str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


FAILING = {  # Caffe finds these only when it computes
    "an index": 'type: "Embed" bottom: "data" top: "x" embed_param { num_output: 4 input_dim: 10 bias_term: false }',
    "a shape": 'type: "Reshape" bottom: "data" top: "x" reshape_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } }',
    "no gradient": 'type: "Threshold" bottom: "data" top: "x"',
}


@pytest.mark.skipif(not hasattr(caffe, "Error"), reason="another pycaffe ends the process")
@pytest.mark.parametrize("kind", FAILING)
def test_what_caffe_finds_when_it_computes_is_the_networks_fault(tmp_path, sky, kind):
    path = tmp_path / "failing.prototxt"
    path.write_text(TINY[:TINY.index('layer { name: "conv1"')] + 'layer { name: "x" ' + FAILING[kind] + " }",
                    encoding="utf-8")
    net = dd.Net(path, None, (0, 0, 0), "x")
    with pytest.raises(dd.ModelError, match=r"Caffe cannot compute this network at this size: .*(failed|Not Impl)"):
        dd.deepdream(net, sky, octave_n=1, iter_n=1)


def test_what_is_no_regular_file_is_no_definition(tmp_path, tiny_prototxt):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", "/dev/zero"):
        with pytest.raises(dd.ModelError, match="a device, a pipe or the like"):
            dd.Net(path, None, (0, 0, 0), "both")
        with pytest.raises(dd.WeightsError, match="a device, a pipe or the like"):
            dd.Net(tiny_prototxt, path, (0, 0, 0), "both")
    with open(tmp_path / "large", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(dd.ModelError, match=r"has 1,099,511,627,776 bytes and at most"):
        dd.Net(tmp_path / "large", None, (0, 0, 0), "both")
    with pytest.raises(dd.WeightsError, match=r"has 1,099,511,627,776 bytes and at most"):
        dd.Net(tiny_prototxt, tmp_path / "large", (0, 0, 0), "both")
    with pytest.raises(dd.ModelError, match="1 is no path"):
        dd.Net(1, None, (0, 0, 0), "both")
    os.fstat(1)  # and it is still open


def test_foreign_weights_are_refused_before_memory_is_taken(tiny, tiny_prototxt, tmp_path):
    tiny.save(str(tmp_path / "tiny.caffemodel"))
    text = TINY.replace("num_output: 4 kernel_size: 3 pad: 1", "num_output: 400000 kernel_size: 300 pad: 150")
    (tmp_path / "huge.prototxt").write_text(text, encoding="utf-8")  # 860 GB
    with pytest.raises(dd.WeightsError, match=r"layer 'right' has the shapes .*, the network needs 400000 outputs and"):
        load_tiny(tmp_path / "huge.prototxt", tmp_path / "tiny.caffemodel")


def test_a_binary_file_is_no_definition(tmp_path):
    path = tmp_path / "binary.prototxt"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(dd.ModelError, match="not text"):
        dd.Net(path, None, (0, 0, 0), "both")
    with pytest.raises(dd.ModelError, match="no such file"):
        dd.Net(tmp_path / "none.prototxt", None, (0, 0, 0), "both")


def test_an_unknown_layer_names_the_closest(tiny, tiny_prototxt):
    with pytest.raises(dd.LayerError, match="did you mean pool1"):
        tiny.check_layer("pool_1")
    for not_dreamable in ("relu1", "data", None, 3):
        with pytest.raises(dd.LayerError, match="no layer"):
            tiny.check_layer(not_dreamable)
    with pytest.raises(dd.LayerError, match="no layer 'nowhere'"):
        dd.Net(tiny_prototxt, None, (0, 0, 0), "nowhere")


def test_a_network_without_anything_to_dream(tmp_path):
    path = tmp_path / "input.prototxt"
    path.write_text(TINY[:TINY.index('layer { name: "conv1"')], encoding="utf-8")
    with pytest.raises(dd.LayerError, match="no layer that can be dreamt"):
        dd.Net(path, None, (0, 0, 0), "data")


@pytest.mark.parametrize("mean", [(1, 2), "abc", None, (1, 2, float("nan"))])
def test_a_bad_mean_is_refused(tiny_prototxt, mean):
    with pytest.raises(dd.ModelError, match="three"):
        dd.Net(tiny_prototxt, None, mean, "both")


def load_tiny(prototxt, weights):
    return dd.Net(prototxt, weights, (0, 0, 0), "both")


def test_weights_round_trip(tiny, tiny_prototxt, tmp_path):
    tiny.save(str(tmp_path / "tiny.caffemodel"))
    again = load_tiny(tiny_prototxt, tmp_path / "tiny.caffemodel")
    for name, blobs in tiny.params.items():
        for blob, other in zip(blobs, again.params[name]):
            assert np.array_equal(blob.data, other.data)


def test_damaged_and_foreign_weights_are_refused(tiny, tiny_prototxt, tmp_path):
    path = tmp_path / "tiny.caffemodel"
    tiny.save(str(path))
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(dd.WeightsError) as refusal:
            load_tiny(tiny_prototxt, path)
        assert str(path) in str(refusal.value)
    path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(2000))
    with pytest.raises(dd.WeightsError, match="not a caffemodel"):
        load_tiny(tiny_prototxt, path)
    with pytest.raises(dd.WeightsError, match="no such file"):
        load_tiny(tiny_prototxt, tmp_path / "none.caffemodel")


def twice(net):
    net.layer.add().CopyFrom(net.layer[1])


DAMAGES = {  # each parses, and each is one that Caffe's own reader trusts
    "holds 3 numbers": lambda net: net.layer[1].blobs[0].diff.extend([1, 2, 3]),
    "holds 40 numbers": lambda net: net.layer[1].blobs[1].double_data.extend([0] * 40),
    "holds no numbers": lambda net: net.layer[1].blobs[1].ClearField("data"),
    "says (6, 0, 0, 0)": lambda net: setattr(net.layer[1].blobs[1], "num", 6),  # counts before the shape
    "says (-6,)": lambda net: net.layer[1].blobs[1].shape.dim.__setitem__(0, -6),
    "'data' has the shapes [(1,)], the network needs none": lambda net: net.layer[0].blobs.add(
        data=[1]).shape.dim.append(1),
    "two layers with one name": twice,
    **({"it lacks layer[1].clip_param.min": lambda net: net.layer[1].clip_param.SetInParent()} if CLIPS else {}),
}


@pytest.mark.parametrize("says", DAMAGES)
def test_weights_that_parse_and_are_damaged_are_refused(tiny, tiny_prototxt, tmp_path, says):
    path = tmp_path / "tiny.caffemodel"
    tiny.save(str(path))
    net = caffe_pb2.NetParameter.FromString(path.read_bytes())
    DAMAGES[says](net)
    path.write_bytes(net.SerializePartialToString())
    with pytest.raises(dd.WeightsError) as refusal:
        load_tiny(tiny_prototxt, path)
    assert says in str(refusal.value) and str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_weights_of_another_shape_are_refused(tiny, tiny_prototxt, tmp_path):
    tiny.save(str(tmp_path / "tiny.caffemodel"))
    wider = tmp_path / "wider.prototxt"
    wider.write_text(TINY.replace("num_output: 6 kernel_size: 3", "num_output: 7 kernel_size: 3"), encoding="utf-8")
    with pytest.raises(dd.WeightsError, match=r"another network: layer 'conv1' has the shapes .*\(and 2 more"):
        load_tiny(wider, tmp_path / "tiny.caffemodel")


def test_googlenets_weights_do_not_go_into_squeezenet(googlenet_weights):
    model = models.find_model("squeezenet_v1.1")
    with pytest.raises(dd.WeightsError, match="another network: it has no layer 'conv1'"):
        dd.Net(model.prototxt, googlenet_weights, model.mean, model.end)


def test_weights_of_2014_with_four_axes_are_accepted(tiny, tiny_prototxt, tmp_path):
    """Old files give every blob num, channels, height and width, and keep the layers in another field."""
    tiny.save(str(tmp_path / "new.caffemodel"))
    new = caffe_pb2.NetParameter.FromString((tmp_path / "new.caffemodel").read_bytes())
    old = caffe_pb2.NetParameter()
    for layer in new.layer:
        if layer.blobs:
            kind = {"Convolution": "CONVOLUTION", "InnerProduct": "INNER_PRODUCT"}[layer.type.removeprefix("Fast")]
            target = old.layers.add(name=layer.name, type=caffe_pb2.V1LayerParameter.LayerType.Value(kind))
            for blob in layer.blobs:
                four = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
                target.blobs.add(num=four[0], channels=four[1], height=four[2], width=four[3], data=blob.data)
    (tmp_path / "old.caffemodel").write_bytes(old.SerializeToString())
    again = load_tiny(tiny_prototxt, tmp_path / "old.caffemodel")
    assert np.array_equal(again.params["conv1"][0].data, tiny.params["conv1"][0].data)
    assert np.array_equal(again.params["score"][0].data, tiny.params["score"][0].data)


def test_import_is_quiet():
    """Neither Caffe's chatter nor anything else is printed when a network is built."""
    code = ("import deepdream as dd; from deepdream import models; m = models.find_model('squeezenet_v1.1');"
            "dd.Net(m.prototxt, None, m.mean, m.end)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


@pytest.mark.parametrize("forks", [True, False])
@pytest.mark.parametrize(("old", "new", "says"), [
    ("num_output: 6", "num_output: 4000000000", "num_output_ > 0"),
    ("num_output: 6", "num_output: 6 group: 4", "channels_ % group_ == 0"),
    ("kernel_size: 3 stride: 2 }", "kernel_size: 3 stride: 2 pad: 5 }", "pad_h_ < kernel_h_"),
    ("std: 0.05", 'std: 0.05 } bias_filler { type: "odd"', "Unknown filler name: odd"),
    ('top: "both" }', 'top: "both" concat_param { axis: 9 } }', "axis 9 out of range"),
    ("dim: 32 dim: 32", "dim: 3000000 dim: 3200000", "blob size exceeds INT_MAX"),
])
def test_what_caffe_will_not_build_does_not_end_the_process(tmp_path, monkeypatch, forks, old, new, says):
    """A stock Caffe ends its process; as on Windows where nothing forks."""
    if not forks:
        if hasattr(caffe, "Error"):
            pytest.skip("only a stock Caffe is tried out first")
        monkeypatch.delattr(os, "fork")
    path = tmp_path / "bad.prototxt"
    path.write_text(TINY.replace('bias_filler { type: "constant" value: 0.1 }', "").replace(old, new, 1),
                    encoding="utf-8")
    with pytest.raises(dd.DreamError, match="is not a network that Caffe can build: .*" + re.escape(says)) as refused:
        dd.Net(path, None, (104, 117, 123), "both")
    assert "\n" not in str(refused.value).rstrip("\n")


@pytest.mark.parametrize("content", [b"<html>404</html>" * 50, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01"])
def test_weights_that_are_something_else(tmp_path, tiny_prototxt, content):
    """Of some of these an older protobuf only warns."""
    (tmp_path / "page.caffemodel").write_bytes(content)
    with pytest.raises(dd.WeightsError, match=r"page\.caffemodel is not a caffemodel"):
        dd.Net(tiny_prototxt, tmp_path / "page.caffemodel", (104, 117, 123), "both")


def test_pooling_at_random_is_refused(tmp_path):
    """A stock Caffe would end the process in the first pass."""
    path = tmp_path / "random.prototxt"
    path.write_text(TINY.replace("pooling_param { kernel_size: 3", "pooling_param { pool: STOCHASTIC kernel_size: 3"),
                    encoding="utf-8")
    with pytest.raises(dd.ModelError, match="layer 'pool1' pools at random"):
        dd.Net(path, None, (104, 117, 123), "both")
