"""Definitions in Caffe's older formats, against what Caffe itself makes of them."""

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from helpers import noise, set_image

import deepdream as dd
from deepdream.network.prototxt import read_definition

HEADER = 'name: "old" input: "data" input_dim: 1 input_dim: 3 input_dim: 40 input_dim: 40\n'
# In the format of 2014: every kind of layer that a network for images had, weights that two layers share, and rates.
V1 = (
    HEADER
    + """
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1" blobs_lr: 1 blobs_lr: 2 weight_decay: 1
  weight_decay: 0 convolution_param { num_output: 8 kernel_size: 5 stride: 2
  weight_filler { type: "xavier" } } }
layers { name: "relu1" type: RELU bottom: "conv1" top: "conv1" relu_param { negative_slope: 0.1 } }
layers { name: "norm1" type: LRN bottom: "conv1" top: "norm1" lrn_param { local_size: 3 alpha: 0.01 } }
layers { name: "pool1" type: POOLING bottom: "norm1" top: "pool1" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layers { name: "slice" type: SLICE bottom: "pool1" top: "a" top: "b" slice_param { slice_dim: 1 } }
layers { name: "shared1" type: CONVOLUTION bottom: "a" top: "shared1" param: "w" param: "v" blob_share_mode: STRICT
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layers { name: "shared2" type: CONVOLUTION bottom: "b" top: "shared2" param: "w" param: "v"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layers { name: "sum" type: ELTWISE bottom: "shared1" bottom: "shared2" top: "sum"
  eltwise_param { operation: SUM coeff: 1 coeff: -2 } }
layers { name: "abs" type: ABSVAL bottom: "sum" top: "abs" }
layers { name: "power" type: POWER bottom: "abs" top: "power" power_param { scale: 0.5 shift: 1 } }
layers { name: "exp" type: SIGMOID bottom: "power" top: "exp" }
layers { name: "both" type: CONCAT bottom: "power" bottom: "exp" top: "both" concat_param { concat_dim: 1 } }
layers { name: "up" type: DECONVOLUTION bottom: "both" top: "up" convolution_param { num_output: 4 kernel_size: 2
  stride: 2 weight_filler { type: "xavier" } } }
layers { name: "tanh" type: TANH bottom: "up" top: "up" }
layers { name: "drop" type: DROPOUT bottom: "up" top: "up" dropout_param { dropout_ratio: 0.4 } }
layers { name: "flat" type: FLATTEN bottom: "up" top: "flat" }
layers { name: "score" type: INNER_PRODUCT bottom: "flat" top: "score" inner_product_param { num_output: 5
  weight_filler { type: "xavier" } } }
layers { name: "prob" type: SOFTMAX bottom: "score" top: "prob" }
"""
)
# In the format of 2013.
V0 = (
    HEADER
    + """
layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "data" top: "pad1" }
layers { layer { name: "conv1" type: "conv" num_output: 8 kernelsize: 5 stride: 2 weight_filler { type: "xavier" }
  bias_filler { type: "constant" value: 0.2 } blobs_lr: 1. blobs_lr: 2. weight_decay: 1. weight_decay: 0. }
  bottom: "pad1" top: "conv1" }
layers { layer { name: "relu1" type: "relu" } bottom: "conv1" top: "conv1" }
layers { layer { name: "pool1" type: "pool" pool: MAX kernelsize: 3 stride: 2 } bottom: "conv1" top: "pool1" }
layers { layer { name: "norm1" type: "lrn" local_size: 5 alpha: 0.001 beta: 0.7 } bottom: "pool1" top: "norm1" }
layers { layer { name: "left" type: "conv" num_output: 4 group: 2 kernelsize: 3 pad: 1 biasterm: false
  weight_filler { type: "xavier" } } bottom: "norm1" top: "left" }
layers { layer { name: "right" type: "pool" pool: AVE kernelsize: 3 stride: 1 pad: 1 } bottom: "norm1" top: "right" }
layers { layer { name: "both" type: "concat" concat_dim: 1 } bottom: "left" bottom: "right" top: "both" }
layers { layer { name: "tanh" type: "tanh" } bottom: "both" top: "tanh" }
layers { layer { name: "fc" type: "innerproduct" num_output: 6 weight_filler { type: "xavier" } } bottom: "tanh"
  top: "fc" }
layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.3 } bottom: "fc" top: "fc" }
layers { layer { name: "prob" type: "softmax" } bottom: "fc" top: "prob" }
"""
)
ENDS = {"V1": (V1, "abs"), "V0": (V0, "both")}


def write_net(folder, text):
    """(definition, weights, Caffe's own network of them)."""
    path = folder / "old.prototxt"
    path.write_text(text, encoding="utf-8")
    caffe.set_random_seed(2)
    net = caffe.Net(str(path), caffe.TEST)
    net.save(str(folder / "new.caffemodel"))
    return path, folder / "new.caffemodel", net


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("kind", ENDS)
def test_the_network_computes_what_caffes_own_reading_does(tmp_path, sky, kind, fast):
    text, end = ENDS[kind]
    path, weights, reference = write_net(tmp_path, text)
    net = dd.Net(path, weights, (0, 0, 0), end, fast=fast)
    picture = noise(40, 40)
    set_image(net, picture)
    reference.blobs["data"].data[0] = picture
    expected, found = reference.forward()["prob"], net.forward()["prob"]
    assert np.abs(found - expected).max() < 1e-5
    assert fast or np.array_equal(found, expected)
    for blob in reference.blobs:
        if "split" not in blob:
            assert np.allclose(net.blobs[blob].data, reference.blobs[blob].data, atol=1e-3), blob
    dd.deepdream(net, sky, iter_n=1, octave_n=2)  # the inner product behind the layer is no obstacle


def test_what_a_layer_shares_and_learns_is_kept(tmp_path):
    (tmp_path / "old.prototxt").write_text(V1, encoding="utf-8")
    layers = {layer.name: layer for layer in read_definition(tmp_path / "old.prototxt").layer}
    assert [(each.lr_mult, each.decay_mult) for each in layers["conv1"].param] == [(1, 1), (2, 0)]
    assert [each.name for each in layers["shared2"].param] == ["w", "v"]
    assert layers["shared1"].param[0].share_mode == caffe_pb2.ParamSpec.STRICT
    assert layers["relu1"].relu_param.negative_slope == pytest.approx(0.1)
    assert layers["prob"].type == "Softmax"


def test_weights_in_the_old_formats_are_loaded(tmp_path):
    """Files of 2014 and 2013 hold their layers in `layers`, and give each shape as four numbers."""
    for kind, (text, end) in ENDS.items():
        path, weights, reference = write_net(tmp_path, text)
        new, old = caffe_pb2.NetParameter(), caffe_pb2.NetParameter()
        new.ParseFromString(weights.read_bytes())
        for layer in new.layer:
            entry = old.layers.add()
            target = entry.layer if kind == "V0" else entry
            target.name = layer.name
            if kind == "V1":
                entry.type = {"Convolution": 4, "Deconvolution": 39, "InnerProduct": 14}.get(layer.type, 18)
            else:
                target.type = {"Convolution": "conv", "InnerProduct": "innerproduct"}.get(layer.type, "relu")
            for blob in layer.blobs:
                shape = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
                target.blobs.add(num=shape[0], channels=shape[1], height=shape[2], width=shape[3], data=blob.data)
        (tmp_path / "old.caffemodel").write_bytes(old.SerializeToString())
        net = dd.Net(path, tmp_path / "old.caffemodel", (0, 0, 0), end)
        for name, blobs in reference.params.items():
            for mine, theirs in zip(net.params[name], blobs):
                assert np.array_equal(mine.data, theirs.data), name
            assert np.any(net.params[name][0].data), name


def test_weights_in_a_field_that_caffe_ignores_are_missed(tmp_path):
    """Beside `layers`, Caffe does not read `layer`: the weights would all be those of the fillers."""
    path, weights, _ = write_net(tmp_path, V1)
    both = caffe_pb2.NetParameter.FromString(weights.read_bytes())
    both.layers.add(name="relu1", type=18)
    (tmp_path / "both.caffemodel").write_bytes(both.SerializeToString())
    with pytest.raises(dd.WeightsError, match="holds no weights"):
        dd.Net(path, tmp_path / "both.caffemodel", (0, 0, 0), "abs")


REFUSED = {
    "writes a file": (
        HEADER
        + 'layers { name: "h" type: HDF5_OUTPUT bottom: "data" bottom: "data" hdf5_output_param { file_name: "x" } }',
        "'h' is of the type 'HDF5Output', which writes a file",
    ),
    "writes a file in 2013": (
        HEADER
        + 'layers { layer { name: "h" type: "hdf5_output" hdf5_output_param { file_name: "x" } } bottom: "data" }',
        "layer 'h' is of the type 'hdf5_output' of Caffe's format of 2013",
    ),
    "reads a file": (
        HEADER + 'layers { name: "i" type: INFOGAIN_LOSS bottom: "data" bottom: "data" top: "i" infogain_loss_param '
        '{ source: "/etc/passwd" } }',
        "'i' reads the file '/etc/passwd'",
    ),
    "has no type": (HEADER + 'layers { name: "x" bottom: "data" top: "x" }', "'x' is of the type 'NONE'"),
    "trains": (
        'layers { name: "d" type: HDF5_DATA top: "d" top: "l" }',
        "must have one Input layer; it has d (HDF5Data)",
    ),
    "mixes 2013 and 2014": (
        HEADER + 'layers { layer { name: "a" type: "relu" } bottom: "data" top: "a" } '
        'layers { name: "b" type: RELU bottom: "a" top: "b" }',
        "layers in several of Caffe's formats",
    ),
    "pads what cannot be padded": (
        HEADER + 'layers { layer { name: "p" type: "padding" pad: 1 } bottom: "data" top: "p" } '
        'layers { layer { name: "r" type: "relu" } bottom: "p" top: "r" }',
        "'r' is of the type 'ReLU' and reads a padding layer",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_old_definitions_are_refused_with_the_reason(tmp_path, kind):
    text, reason = REFUSED[kind]
    (tmp_path / "old.prototxt").write_text(text, encoding="utf-8")
    with pytest.raises(dd.ModelError) as refusal:
        dd.Net(tmp_path / "old.prototxt", None, (0, 0, 0), "x")
    assert reason in str(refusal.value) and "\n" not in str(refusal.value) and len(str(refusal.value)) <= 300
