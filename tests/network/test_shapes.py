"""The sizes of outputs, by the definition alone, against those that Caffe computes."""

import pytest

import deepdream as dd
from deepdream.network import shapes
from deepdream.zoo import registry


@pytest.mark.parametrize("model", ["bvlc_googlenet", "squeezenet_v1.1"])
@pytest.mark.parametrize("size", [(224, 224), (33, 47), (100, 61)])
def test_sizes_told_by_the_definition_are_those_that_caffe_computes(model, size):
    found = registry.find_model(model)
    net = dd.Net(found.prototxt, None, found.mean, found.end)
    net.input.reshape(1, 3, *size)
    net.reshape()
    sizes = shapes.output_sizes(net.definition, *size)
    for name, blob in net.blobs.items():
        if name in sizes and len(blob.shape) == 4:
            assert sizes[name] == tuple(blob.shape[2:]), name
