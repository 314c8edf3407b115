"""Networks of other frameworks: what Caffe computes with an imported network is what a reference in NumPy computes."""

import functools
import re

import numpy as np
import pytest
from helpers import assert_rises, files_below, set_image
from state_dicts import (
    Reference,
    local_response_norm,
    max_pool,
    relu,
    softmax,
    write_legacy,
    write_pth,
    write_safetensors,
)

import deepdream as dd
from deepdream import LayerError, ModelError, ParameterError, WeightsError
from deepdream.zoo.importing.importer import import_model

INCEPTIONS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
RTOL = 1e-4  # of the largest activation of a layer


@pytest.fixture(scope="module")
def image():
    """The cat at the size that the networks were made for: (224, 224, 3) RGB 0..255."""
    return dd.resize(dd.picture("cat"), 224, 224).clip(0, 255)


def as_trained(image):
    """An image as torchvision's networks read it."""
    return np.moveaxis((image / 255 - MEAN) / STD, 2, 0)


# Thin networks in torchvision's layout, written from the papers. Each returns {Caffe's layer: its values}.


def googlenet(net, x, classes=7):
    made = {}

    def block(name, x, outputs, kernel, stride=1):
        y = net.convolution(f"{name}.conv", x, outputs, kernel, stride, kernel // 2, bias=False)
        return relu(net.batch_norm(f"{name}.bn", y, 0.001))

    x = made["conv1/7x7_s2"] = block("conv1", x, 6, 7, 2)
    x = block("conv3", block("conv2", max_pool(x, 3, 2), 5, 1), 8, 3)
    made["conv2/3x3"] = x
    x = max_pool(x, 3, 2)
    for name in INCEPTIONS:
        x = max_pool(x, 3, 2) if name == "4a" else max_pool(x, 2, 2) if name == "5a" else x
        source = f"inception{name}"
        x = np.concatenate(
            [
                block(f"{source}.branch1", x, 3, 1),
                block(f"{source}.branch2.1", block(f"{source}.branch2.0", x, 2, 1), 4, 3),
                block(f"{source}.branch3.1", block(f"{source}.branch3.0", x, 3, 1), 2, 3),
                block(f"{source}.branch4.1", max_pool(x, 3, 1, 1), 2, 1),
            ]
        )
        made[f"inception_{name}/output"] = x
    net.state["aux1.fc2.bias"] = np.zeros(3, np.float32)
    made["loss3/classifier"] = net.linear("fc", x.mean((1, 2)), classes)
    return {**made, "prob": softmax(made["loss3/classifier"])}


def googlenet_caffe(net, x, classifier=True):
    made = {}

    def block(name, x, outputs, kernel, stride=1):
        return relu(net.convolution(name, x, outputs, kernel, stride, kernel // 2))

    x = local_response_norm(max_pool(block("conv1_7x7_s2", x, 6, 7, 2), 3, 2))
    x = block("conv2_3x3", block("conv2_3x3_reduce", x, 5, 1), 8, 3)
    made["conv2/3x3"] = x
    x = max_pool(local_response_norm(x), 3, 2)
    for block_name in INCEPTIONS:
        x = max_pool(x, 3, 2) if block_name in ("4a", "5a") else x
        name = f"inception_{block_name}"
        x = np.concatenate(
            [
                block(f"{name}_1x1", x, 3, 1),
                block(f"{name}_3x3", block(f"{name}_3x3_reduce", x, 2, 1), 4, 3),
                block(f"{name}_5x5", block(f"{name}_5x5_reduce", x, 3, 1), 2, 5),
                block(f"{name}_pool_proj", max_pool(x, 3, 1, 1), 2, 1),
            ]
        )
        made[f"{name}/output"] = x
    net.state["loss1_classifier_1.bias"] = np.zeros(365, np.float32)
    if classifier:
        made["loss3/classifier"] = net.linear("loss3_classifier", x.mean((1, 2)), 365)
    return made


def vgg(net, x, blocks, normalised):
    made, index = {}, 0
    for number, count in enumerate(blocks, 1):
        for layer in range(1, count + 1):
            x = net.convolution(f"features.{index}", x, 6 + number, 3, 1, 1)
            x = relu(net.batch_norm(f"features.{index + 1}", x, 1e-5) if normalised else x)
            made[f"conv{number}_{layer}"] = x
            index += 3 if normalised else 2
        x = max_pool(x, 2, 2, ceil=False)
        index += 1
    return {**made, **connected_layers(net, x, (0, 3, 6))}


def alexnet(net, x):
    made = {}
    x = made["conv1"] = relu(net.convolution("features.0", x, 5, 11, 4, 2))
    x = made["conv2"] = relu(net.convolution("features.3", max_pool(x, 3, 2, ceil=False), 6, 5, 1, 2))
    x = max_pool(x, 3, 2, ceil=False)
    for number, index in ((3, 6), (4, 8), (5, 10)):
        x = made[f"conv{number}"] = relu(net.convolution(f"features.{index}", x, 4, 3, 1, 1))
    return {**made, **connected_layers(net, max_pool(x, 3, 2, ceil=False), (1, 4, 6))}


def connected_layers(net, x, indices):
    made = {}
    for layer, index in zip(("fc6", "fc7"), indices):
        x = made[layer] = relu(net.linear(f"classifier.{index}", x, 9))
    return {**made, "fc8": net.linear(f"classifier.{indices[2]}", x, 4)}


def squeezenet(net, x, kernel, indices, pools):
    x = max_pool(relu(net.convolution("features.0", x, 5, kernel, 2)), 3, 2)
    made = {}
    for fire, index in enumerate(indices, 2):
        x = max_pool(x, 3, 2) if fire in pools else x
        squeezed = relu(net.convolution(f"features.{index}.squeeze", x, 3, 1))
        left = relu(net.convolution(f"features.{index}.expand1x1", squeezed, 4, 1))
        right = relu(net.convolution(f"features.{index}.expand3x3", squeezed, 2, 3, 1, 1))
        x = made[f"fire{fire}/concat"] = np.concatenate([left, right])
    x = made["conv10"] = relu(net.convolution("classifier.1", x, 6, 1))
    return {**made, "prob": softmax(x.mean((1, 2)))}


NETWORKS = {
    "googlenet": googlenet,
    "alexnet": alexnet,
    "squeezenet1_0": lambda net, x: squeezenet(net, x, 7, (3, 4, 5, 7, 8, 9, 10, 12), (5, 9)),
    "squeezenet1_1": lambda net, x: squeezenet(net, x, 3, (3, 4, 6, 7, 9, 10, 11, 12), (4, 6)),
    **{
        f"vgg{depth}{'_bn' * normalised}": functools.partial(vgg, blocks=blocks, normalised=normalised)
        for depth, blocks in {11: (1, 1, 2, 2, 2), 13: (2,) * 5, 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}.items()
        for normalised in (False, True)
    },
}


def forward(net, image):
    """The blobs of a network after it has seen an image."""
    set_image(net, dd.preprocess(net, image))
    net.forward()
    return net.blobs


def assert_same(model, image, expected):
    """What Caffe computes in these layers, from the image to the classifier, is what was expected."""
    blobs = forward(dd.load(model.folder), image)
    assert expected
    for layer, values in expected.items():
        found = blobs[layer].data[0].reshape(values.shape)
        assert np.abs(values).max() > 1e-3, layer
        np.testing.assert_allclose(found, values, rtol=0, atol=RTOL * np.abs(values).max(), err_msg=layer)


@pytest.fixture
def thin(tmp_path, image):
    """(the file of a thin GoogLeNet, its arrays, what it makes of the image)."""
    net = Reference()
    expected = googlenet(net, as_trained(image))
    return write_pth(tmp_path / "thin.pth", net.state), net.state, expected


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_is_what_the_reference_computes(name, tmp_path, image, log_lines):
    net = Reference()
    expected = NETWORKS[name](net, as_trained(image))
    model = import_model(write_pth(tmp_path / "a.pth", net.state), tmp_path / name)
    assert_same(model, image, expected)
    assert model.end in model.ladder
    named = import_model(tmp_path / "a.pth", tmp_path / "named", architecture=name)
    assert named.title == model.title


@pytest.mark.parametrize("classifier", [True, False])
def test_a_conversion_from_caffe(tmp_path, image, classifier):
    """Its means are those of Places365, whose number of classes training's own classifier tells."""
    net, mean = Reference(), np.array([104.051, 112.514, 116.676])
    expected = googlenet_caffe(net, np.moveaxis(image[..., ::-1] - mean, 2, 0), classifier)
    model = import_model(write_pth(tmp_path / "a.pth", net.state), tmp_path / "places")
    assert model.mean == tuple(mean)
    assert (len(model.labels), model.labels[:1]) == ((365, ("airfield",)) if classifier else (0, ()))
    assert_same(model, image, expected)


def test_the_three_formats_give_the_same_weights(tmp_path, thin):
    path, arrays, _ = thin
    old, safe = write_legacy(tmp_path / "old.pth", arrays), write_safetensors(tmp_path / "safe.safetensors", arrays)
    made = []
    for file in (path, old, safe):
        (tmp_path / f"of {file.stem}").mkdir()
        made.append(import_model(file, tmp_path / f"of {file.stem}" / "net"))
    contents = {(model.folder / "net.caffemodel").read_bytes() for model in made}
    assert len(contents) == 1


def test_other_types_of_numbers(tmp_path, image):
    net = Reference()
    alexnet(net, as_trained(image))
    wide = {name: array.astype(np.float64) for name, array in net.state.items()}
    half = {name: array.astype(np.float16) for name, array in net.state.items()}
    exact = {name: array.astype(np.float32) for name, array in half.items()}
    for kind, arrays, same in (("wide", wide, net.state), ("half", half, exact)):
        found = import_model(write_pth(tmp_path / "a.pth", arrays), tmp_path / kind)
        expected = import_model(write_pth(tmp_path / "a.pth", same), tmp_path / f"{kind}-expected")
        contents = [(model.folder / model.weights["file"]).read_bytes() for model in (found, expected)]
        assert contents[0] == contents[1]


def test_a_parallel_checkpoint(tmp_path, thin):
    """Training scripts save more than the state dict, and training on several devices names each module twice."""
    from state_dicts import number, pickle_of_arrays, text, write_zip

    _, arrays, _ = thin
    prefixed = pickle_of_arrays({f"module.{name}": array for name, array in arrays.items()})
    checkpoint = b"\x80\x02}(" + text("epoch") + number(90) + text("state_dict") + prefixed[2:-1] + b"u."
    path = write_zip(tmp_path / "a.pth.tar", checkpoint, [array.tobytes() for array in arrays.values()])
    assert import_model(path, tmp_path / "net").end == "inception_4c/output"


def test_the_scale_of_the_training(tmp_path, image):
    """Another mean and deviation, or Caffe's order and scale, in a network of torchvision's layout."""
    mean, std = np.array([0.5, 0.4, 0.6]), np.array([0.5, 0.25, 0.125])
    net = Reference()
    expected = alexnet(net, np.moveaxis((image / 255 - mean) / std, 2, 0))
    path = write_pth(tmp_path / "a.pth", net.state)
    assert_same(import_model(path, tmp_path / "torch", mean=list(mean), std=list(std)), image, expected)
    net, mean = Reference(), np.array([103.939, 116.779, 123.68])
    expected = alexnet(net, np.moveaxis(image[..., ::-1] - mean, 2, 0))
    model = import_model(write_pth(path, net.state), tmp_path / "caffe", input="caffe", mean=tuple(mean))
    assert_same(model, image, expected)


def test_the_note_about_torchvisions_own_weights(tmp_path, thin, log_lines):
    import_model(thin[0], tmp_path / "a")
    assert any("mean and std of 0.5,0.5,0.5" in line for line in log_lines())
    before = len(log_lines())
    import_model(thin[0], tmp_path / "b", mean=(0.5,) * 3, std=(0.5,) * 3)
    assert len(log_lines()) == before + 1


def test_the_folder(tmp_path, thin):
    labels = tmp_path / "names.txt"
    labels.write_text("".join(f"thing {number}\n" for number in range(7)), encoding="utf-8")
    (tmp_path / "mine").mkdir()
    model = import_model(
        thin[0], tmp_path / "mine", labels=labels, end="inception_3b/output", title='a "thin"\nnet', licence="none\x7f"
    )
    assert files_below(tmp_path / "mine") == ["deploy.prototxt", "labels.txt", "mine.caffemodel", "model.toml"]
    assert (model.end, model.labels[6], model.weights["licence"]) == ("inception_3b/output", "thing 6", r"none\x7f")
    assert model.title == r'a "thin"\nnet'
    assert list(model.ladder) == ["conv1/7x7_s2", "conv2/3x3_reduce", "conv2/3x3"] + [
        f"inception_{name}/output" for name in INCEPTIONS
    ]
    assert model.mean == pytest.approx((103.53, 116.28, 123.675))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "names.txt", "thin.pth"]


def test_it_dreams(tmp_path, thin, image):
    net = dd.load(import_model(thin[0], tmp_path / "net").folder)
    assert_rises(net, image, "conv2/3x3", octave_n=2)


@pytest.mark.parametrize(
    "options, error, says",
    [
        ({"architecture": "resnet"}, ParameterError, r"'resnet': there are alexnet, googlenet"),
        ({"architecture": "vgg16"}, WeightsError, "those of vgg16, but it lacks 'features.0.weight'"),
        ({"end": "inception_4c"}, LayerError, "did you mean inception_4c/"),
        ({"mean": [1, 2]}, ParameterError, "must be three numbers"),
        ({"mean": [0.5, float("nan"), 0.5]}, ParameterError, "must be three numbers"),
        ({"std": [0.5, 0, 0.5]}, ParameterError, r"std=\[0.5, 0, 0.5\]"),
        ({"input": "keras"}, ParameterError, "must be torch or caffe"),
        ({"input": "caffe"}, ParameterError, "7 classes is not known"),
        ({"labels": "nowhere.txt"}, ParameterError, "cannot be read"),
        ({"labels": 3}, ParameterError, "labels=3"),
    ],
)
def test_what_is_refused(tmp_path, thin, options, error, says):
    with pytest.raises(error, match=says) as caught:
        import_model(thin[0], tmp_path / "net", **options)
    assert len(str(caught.value)) <= 300
    assert [path.name for path in tmp_path.iterdir()] == ["thin.pth"]


def test_labels_of_another_network(tmp_path, thin):
    (tmp_path / "two").write_text("a\nb\n", encoding="utf-8")
    with pytest.raises(ParameterError, match="has 2 lines, and the network 7 classes"):
        import_model(thin[0], tmp_path / "net", labels=tmp_path / "two")


def test_folders_that_are_refused(tmp_path, thin):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for folder, says in (
        ("full", "is not empty"),
        ("thin.pth", "is not a folder"),
        ("link", "is not a folder"),
        ("no/where", "does not exist"),
        ("x" * 250, "shorter"),
        ("two\nlines", "shorter"),
    ):
        with pytest.raises(ModelError, match=says):
            import_model(thin[0], tmp_path / folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "link", "thin.pth"]
    assert files_below(tmp_path / "full") == ["mine.txt"]


def changed(arrays, name, array):
    """The arrays with one of them replaced, or left out."""
    return {each: array if each == name else old for each, old in arrays.items() if each != name or array is not None}


@pytest.mark.parametrize(
    "name, array, says",
    [
        ("inception5b.branch4.1.conv.weight", None, "googlenet, but it lacks 'inception5b.branch4.1.conv.weight'"),
        ("inception3a.branch1.bn.bias", np.zeros(4, np.float32), r"has the shape \(4,\), expected \(3\)"),
        ("conv1.conv.weight", np.zeros((6, 3, 5, 5), np.float32), r"\(6, 3, 5, 5\), expected \(any, 3, 7, 7\)"),
        ("conv1.conv.weight", np.zeros((0, 3, 7, 7), np.float32), r"\(0, 3, 7, 7\)"),
        ("fc.bias", np.float32([0, 1, np.nan, 3, 4, 5, 6]), "'loss3/classifier': has values that are not finite"),
        ("conv1.bn.running_var", np.full(6, -1, np.float32), "'conv1/7x7_s2': has values that are not finite"),
        ("conv3.conv.weight", np.full((8, 5, 3, 3), 1e300), "'conv2/3x3': has values that are not finite"),
    ],
)
def test_tensors_that_do_not_fit(tmp_path, thin, name, array, says):
    path = write_pth(tmp_path / "thin.pth", changed(thin[1], name, array))
    with pytest.raises(WeightsError, match=says) as caught:
        import_model(path, tmp_path / "net")
    assert re.match(r"[^\n]{20,300}$", str(caught.value))
    assert [each.name for each in tmp_path.iterdir()] == ["thin.pth"]


def test_a_tensor_of_another_network(tmp_path, thin):
    path = write_pth(tmp_path / "thin.pth", {**thin[1], "attention.weight": np.zeros(3, np.float32)})
    with pytest.raises(WeightsError, match=r"googlenet, but it also has 'attention.weight'"):
        import_model(path, tmp_path / "net")


def test_an_interruption_leaves_nothing(tmp_path, thin, monkeypatch):
    from deepdream.zoo.importing import importer

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(importer, "write_model_toml", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_model(thin[0], tmp_path / "net")
    assert [each.name for each in tmp_path.iterdir()] == ["thin.pth"]


def test_bvlc_googlenet_from_its_conversion(tmp_path, googlenet, image):
    """The weights of 2015 under the names of the conversions to PyTorch: the same numbers, and the same dream."""
    arrays = {
        f"{layer.replace('/', '_')}.{part}": np.array(blob.data)
        for layer, blobs in googlenet.params.items()
        for blob, part in zip(blobs, ("weight", "bias"))
    }
    path = write_pth(tmp_path / "bvlc_googlenet.pth", arrays)
    net = dd.load(import_model(path, tmp_path / "net", mean=(104, 116, 122)).folder)
    assert dd.classify(net, image) == dd.classify(googlenet, image)
    dreams = [dd.deepdream(each, image, octave_n=2, iter_n=2, seed=0) for each in (net, googlenet)]
    np.testing.assert_array_equal(*dreams)


def test_squeezenet_knows_a_cat_in_torchvisions_layout(tmp_path, squeezenet, image):
    """Its ImageNet weights, rescaled to what a network of torchvision's reads."""
    indices = dict(zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12)))
    names = {"conv1": "features.0", "conv10": "classifier.1"}
    for fire, index in indices.items():
        for caffe_part, part in (("squeeze1x1", "squeeze"), ("expand1x1", "expand1x1"), ("expand3x3", "expand3x3")):
            names[f"fire{fire}/{caffe_part}"] = f"features.{index}.{part}"
    arrays = {}
    for layer, blobs in squeezenet.params.items():
        arrays[f"{names[layer]}.weight"], arrays[f"{names[layer]}.bias"] = (np.array(blob.data) for blob in blobs)
    first = arrays["features.0.weight"]
    arrays["features.0.weight"] = first[:, ::-1] * (255 * STD.astype(np.float32)[:, None, None])
    mean = [value / 255 for value in (123, 117, 104)]
    model = import_model(write_pth(tmp_path / "a.pth", arrays), tmp_path / "net", mean=mean)
    assert model.mean == pytest.approx((104, 117, 123), abs=1e-3)
    assert_same(model, image, {"conv10": forward(squeezenet, image)["conv10"].data[0]})
    assert "cat" in dd.classify(dd.load(model.folder), image, top=1)[0][0]


def test_the_definitions_are_caffes_own(tmp_path, image):
    """GoogLeNet's layers, from a conversion of the right size, are those of the bundled definition."""
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    bundled = caffe_pb2.NetParameter()
    text_format.Parse(dd.find_model("googlenet_places365").prototxt.read_text(encoding="utf-8"), bundled)
    net = dd.Net(dd.find_model("googlenet_places365").prototxt, None, (0, 0, 0), "prob")
    arrays = {}
    for layer, blobs in net.params.items():
        for blob, part in zip(blobs, ("weight", "bias")):
            arrays[f"{layer.replace('/', '_')}.{part}"] = np.array(blob.data)
    model = import_model(write_pth(tmp_path / "a.pth", arrays), tmp_path / "net")
    made = text_format.Parse(model.prototxt.read_text(encoding="utf-8"), caffe_pb2.NetParameter())
    assert all_facts(made) == all_facts(bundled)
    loaded = dd.load(model.folder)
    for layer, blobs in net.params.items():
        for ours, theirs in zip(loaded.params[layer], blobs):
            np.testing.assert_array_equal(ours.data, theirs.data)


def all_facts(definition):
    """What decides each layer's result, in the order of the names: [type, name, bottoms, …].

    Dropout does nothing in a dream, and a pool that covers everything is global.
    """
    return sorted(map(facts, (layer for layer in definition.layer if layer.type not in ("Input", "Dropout"))))


def facts(layer):
    pool, norm, convolution = layer.pooling_param, layer.lrn_param, layer.convolution_param
    window = [pool.pool, pool.kernel_size, pool.stride, pool.pad] if layer.name != "pool5/7x7_s1" else [pool.pool]
    name = layer.name if layer.type != "ReLU" else ""
    return [
        layer.type,
        name,
        list(layer.bottom),
        window,
        [convolution.num_output, layer.inner_product_param.num_output],
        [list(convolution.kernel_size), list(convolution.stride), list(convolution.pad)],
        [norm.local_size, norm.alpha, norm.beta],
    ]
