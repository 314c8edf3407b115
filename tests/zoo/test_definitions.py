"""The definitions in models/: what our NetSpec code makes, and, for GoogLeNet, what BVLC published."""

import runpy

import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from deepdream.data import cache
from deepdream.zoo import registry

GENERATE = runpy.run_path(str(cache.package_data_folder("models") / "generate.py"))


def parsed(text):
    return text_format.Parse(text, caffe_pb2.NetParameter())


@pytest.mark.parametrize("name", GENERATE["DEFINITIONS"])
def test_committed_definition_is_what_the_code_makes(name):
    committed, made = registry.find_model(name).prototxt.read_text(encoding="utf-8"), GENERATE["DEFINITIONS"][name]()
    assert parsed(committed) == parsed(made)
    if "alpha: 9.99" not in made:  # protobuf before 4 spells floats otherwise
        assert committed == made


def facts(layer):
    """What decides a layer's result: everything but fillers and learning rates, which training alone reads."""
    copy = caffe_pb2.LayerParameter()
    copy.CopyFrom(layer)
    for field in ("param", "loss_weight", "phase"):
        copy.ClearField(field)
    for parameters in (copy.convolution_param, copy.inner_product_param):
        parameters.ClearField("weight_filler")
        parameters.ClearField("bias_filler")
    shown = {"name": copy.name, "type": copy.type, "bottom": list(copy.bottom), "top": list(copy.top)}
    convolution, pool, norm = copy.convolution_param, copy.pooling_param, copy.lrn_param
    if copy.type == "Convolution":
        shown.update(
            outputs=convolution.num_output,
            kernel=list(convolution.kernel_size),
            bias=convolution.bias_term,
            pad=list(convolution.pad) or [0],
            stride=list(convolution.stride) or [1],
            group=convolution.group,
        )
    elif copy.type == "Pooling":
        shown.update(pool=pool.pool, kernel=pool.kernel_size, pad=pool.pad, stride=pool.stride)
    elif copy.type == "LRN":
        shown.update(size=norm.local_size, alpha=norm.alpha, beta=norm.beta, k=norm.k, region=norm.norm_region)
    elif copy.type == "InnerProduct":
        shown.update(outputs=copy.inner_product_param.num_output, bias=copy.inner_product_param.bias_term)
    elif copy.type == "Dropout":
        shown.update(ratio=copy.dropout_param.dropout_ratio)
    elif copy.type == "Input":
        shown.update(shape=list(copy.input_param.shape[0].dim))
    return shown


def test_googlenet_equals_the_published_definition_layer_by_layer(googlenet_weights):
    published = [folder / "models/bvlc_googlenet/deploy.prototxt" for folder in cache.user_folders()]
    theirs = parsed(next(path for path in published if path.is_file()).read_text(encoding="utf-8"))
    ours = parsed(GENERATE["googlenet"]())
    assert ours.name == theirs.name
    assert [facts(layer) for layer in ours.layer] == [facts(layer) for layer in theirs.layer]


@pytest.mark.parametrize("name", registry.model_names())
def test_model_names_layers_that_exist_and_a_label_for_every_output(name):
    model = registry.find_model(name)
    layers = {layer.name for layer in parsed(model.prototxt.read_text(encoding="utf-8")).layer}
    assert model.end in model.ladder
    assert set(model.ladder) <= layers
    if "places" not in name:  # whose labels test_places.py holds to what was published
        assert len(model.labels) == 1000
        assert model.labels[281] == "tabby, tabby cat"
