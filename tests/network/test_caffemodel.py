"""Files of weights: read as old and new Caffes wrote them, and refused where Caffe would crash or be fooled."""

import numpy as np
import pytest
from caffe.proto import caffe_pb2
from helpers import TINY, has_clip_layer

import deepdream as dd
from deepdream.zoo import registry


def load_tiny(prototxt, weights):
    return dd.Net(prototxt, weights, (0, 0, 0), "both")


def test_weights_round_trip(tiny, tiny_prototxt, tmp_path):
    tiny.save(str(tmp_path / "tiny.caffemodel"))
    again = load_tiny(tiny_prototxt, tmp_path / "tiny.caffemodel")
    for name, blobs in tiny.params.items():
        for blob, other in zip(blobs, again.params[name]):
            assert np.array_equal(blob.data, other.data)


def test_foreign_weights_are_refused_before_memory_is_taken(tiny, tiny_prototxt, tmp_path):
    tiny.save(str(tmp_path / "tiny.caffemodel"))
    text = TINY.replace("num_output: 4 kernel_size: 3 pad: 1", "num_output: 400000 kernel_size: 300 pad: 150")
    (tmp_path / "huge.prototxt").write_text(text, encoding="utf-8")  # 860 GB
    with pytest.raises(dd.WeightsError, match=r"layer 'right' has the shapes .*, the network needs 400000 outputs and"):
        load_tiny(tmp_path / "huge.prototxt", tmp_path / "tiny.caffemodel")


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
    "'data' has the shapes [(1,)], the network needs none": lambda net: (
        net.layer[0].blobs.add(data=[1]).shape.dim.append(1)
    ),
    "two layers with one name": twice,
    **(
        {"it lacks layer[1].clip_param.min": lambda net: net.layer[1].clip_param.SetInParent()}
        if has_clip_layer()
        else {}
    ),
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
    model = registry.find_model("squeezenet_v1.1")
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


@pytest.mark.parametrize("content", [b"<html>404</html>" * 50, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01"])
def test_weights_that_are_something_else(tmp_path, tiny_prototxt, content):
    """Of some of these an older protobuf only warns."""
    (tmp_path / "page.caffemodel").write_bytes(content)
    with pytest.raises(dd.WeightsError, match=r"page\.caffemodel is not a caffemodel"):
        dd.Net(tiny_prototxt, tmp_path / "page.caffemodel", (104, 117, 123), "both")
