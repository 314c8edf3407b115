"""The families of networks that people have for Caffe, few channels wide and with random weights.

What is compared is arithmetic; what random weights dream says nothing.
"""

from pathlib import Path

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from families import FAMILIES, LABELS, definition, load_family, write_family
from google.protobuf import text_format
from helpers import assert_rises, memory_of_a_pass, noise, set_image

import deepdream as dd
from deepdream.network import activations, memory, tiling

BOTH_FORMATS = [(family, old) for family in FAMILIES for old in (False, True)]
FIXED_SIZE = ("vgg", "alexnet")  # their classifiers read one size only


@pytest.fixture
def photo():
    """A photograph of a size that none of the networks was made for."""
    return dd.resize(dd.picture("cat"), 130, 170)


def picture_of(net):
    return noise(*net.input_size, seed=3)


def assert_objective_rises(net, picture, objective):
    steps = list(dd.dream_steps(net, picture, 4, 1, objective=objective, jitter=0, seed=0))
    assert steps[-1].objective > steps[0].objective


@pytest.mark.parametrize(("family", "old"), BOTH_FORMATS)
def test_the_network_is_the_one_that_caffe_itself_reads(tmp_path, family, old):
    """Caffe converts an old definition with its own code; the same weights then give the same probabilities."""
    prototxt, weights = write_family(tmp_path, family, old)
    reference = caffe.Net(str(prototxt), caffe.TEST, weights=str(weights))
    net = dd.Net(prototxt, weights, (0, 0, 0), FAMILIES[family][2], fast=False)
    assert {name: [tuple(blob.shape) for blob in blobs] for name, blobs in reference.params.items()} == {
        name: [tuple(blob.shape) for blob in blobs] for name, blobs in net.params.items() if name != "data_biased"
    }
    set_image(net, picture_of(net))
    reference.blobs["data"].data[0] = picture_of(net)
    expected = reference.forward()["prob"]
    assert expected.std() > 0
    assert np.array_equal(net.forward()["prob"], expected)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"resnet", "mobilenet"}))  # the old format has no BatchNorm
def test_both_formats_give_one_definition(tmp_path, family):
    old, new = (dd.Net(write_family(tmp_path, family, old)[0], None, (0, 0, 0), "prob") for old in (True, False))
    assert old.definition == new.definition


@pytest.mark.parametrize(("family", "old"), BOTH_FORMATS)
@pytest.mark.parametrize("fast", [True, False])
def test_the_gradient_is_that_of_force_backward(tmp_path, family, old, fast):
    net = load_family(tmp_path, family, old, fast=fast)
    end = net.end
    reference = reference_net(tmp_path, family)
    picture = picture_of(net)
    set_image(net, picture)
    found, _ = net.input_gradient(end, dd.objective_L2)
    reference.blobs["data"].data[0] = picture
    reference._forward(0, list(reference._layer_names).index(net.end_names.makers[end]))
    reference.blobs[end].diff[...] = reference.blobs[end].data
    reference._backward(list(reference._layer_names).index(net.end_names.makers[end]), 0)
    expected = reference.blobs["data"].diff[0]
    assert np.abs(found - expected).max() < 2e-4 * np.abs(expected).max()
    assert fast or np.array_equal(found, expected)


def reference_net(folder, family):
    """Upstream's own layers and force_backward, in the current format or the old one, whichever was written."""
    path = next(iter(folder.glob(f"{family}*.prototxt")))
    net = text_format.Parse(path.read_text(encoding="utf-8"), caffe_pb2.NetParameter())
    net.force_backward = True
    (folder / "forced.prototxt").write_text(str(net), encoding="utf-8")
    return caffe.Net(str(folder / "forced.prototxt"), caffe.TEST, weights=str(path.with_suffix(".caffemodel")))


@pytest.mark.parametrize(("family", "old"), BOTH_FORMATS)
def test_the_objective_rises_at_a_size_of_ones_own(tmp_path, photo, family, old):
    """Also where an inner product of one size lies behind the layer, and at every layer of several."""
    net = load_family(tmp_path, family, old)
    _, _, deep, shallow, _ = FAMILIES[family]
    for end in (deep, shallow, {shallow: 1, deep: 2}):
        assert_rises(net, photo, end, iter_n=3, octave_n=2, octave_scale=1.2)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_picture_no_larger_than_the_tile_is_dreamt_exactly_as_without(tmp_path, photo, family):
    net = load_family(tmp_path, family)
    settings = {"iter_n": 2, "octave_n": 2, "octave_scale": 1.2, "seed": 1}
    whole = dd.deepdream(net, photo, **settings)
    assert np.array_equal(dd.deepdream(net, photo, **settings, tile=170), whole)
    assert np.array_equal(dd.deepdream(net, photo, **settings, tile="auto"), whole)
    assert_rises(net, photo, net.end, iter_n=8, octave_n=1, tile=100)


@pytest.mark.parametrize("family", FAMILIES)
def test_inside_a_tile_the_gradient_is_that_of_the_whole_picture(tmp_path, monkeypatch, family):
    """A tile's border affects only what lies within the reach of the layer's windows."""
    net = load_family(tmp_path, family)
    end, tile, reach = FAMILIES[family][3], 128, 48
    monkeypatch.setattr(tiling.InputGradient, "_grid", lambda self: (0, 0))  # windows lie as in the whole picture
    picture = noise(256, 256, seed=4)
    whole, _ = tiling.InputGradient(net, end, dd.objective_L2)(picture)
    tiled, _ = tiling.InputGradient(net, end, dd.objective_L2, tile)(picture)
    for top in (0, tile):
        for left in (0, tile):
            inside = (slice(None), slice(top + reach, top + tile - reach), slice(left + reach, left + tile - reach))
            assert np.abs(tiled[inside] - whole[inside]).max() < 1e-5 * np.abs(whole).max()
    assert np.abs(tiled - whole).max() > 1e-3 * np.abs(whole).max()  # and at the borders it differs


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("fast", [True, False])
def test_features_in_pieces_equal_the_whole_pass(tmp_path, photo, monkeypatch, family, fast):
    net = load_family(tmp_path, family, fast=fast)
    whole = activations.layer_activations(net, photo, net.end)
    monkeypatch.setattr(activations, "_piece", lambda *_: 3)
    pieces = activations.layer_activations(net, photo, net.end, budget=0)
    assert np.abs(pieces - whole).max() < 1e-4 * np.abs(whole).max()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_guide_gives_its_features(tmp_path, photo, family):
    net = load_family(tmp_path, family)
    assert_objective_rises(net, photo, dd.guided(net, photo[:, ::-1]))


@pytest.mark.parametrize(("family", "old"), BOTH_FORMATS)
def test_labels_are_told_and_dreamt(tmp_path, photo, family, old):
    net = load_family(tmp_path, family, old)
    answers = dd.classify(net, photo, top=len(LABELS))
    assert {label for label, _ in answers} == set(LABELS)
    assert sum(probability for _, probability in answers) == pytest.approx(1, abs=1e-5)
    objective = dd.label(net, "cat")
    assert objective.end == FAMILIES[family][4]
    size = net.input_size if family in FIXED_SIZE else photo.shape[:2]
    assert_objective_rises(net, dd.resize(photo, *size), objective)


@pytest.mark.parametrize("family", FIXED_SIZE)
@pytest.mark.parametrize("end", ["fc6", "prob"])
def test_behind_an_inner_product_of_one_size_other_sizes_are_refused(tmp_path, photo, family, end):
    net = load_family(tmp_path, family)
    side = FAMILIES[family][1]
    fitting = photo[:side, :side]
    for call in (
        lambda: dd.dream_steps(net, photo, octave_n=1, end=end),  # before the first step
        lambda: dd.dream_steps(net, fitting, octave_n=3, end=end),
        lambda: dd.dream_steps(net, photo, octave_n=1, end=end, tile=64),
        lambda: dd.dream_steps(net, photo, octave_n=1, end={"conv1_1" if family == "vgg" else "conv1": 1, end: 1}),
        lambda: dd.guided(net, photo, end),
    ):
        with pytest.raises(dd.ImageError) as refusal:
            call()
        text = str(refusal.value)
        assert (
            f"do not fit layer 'fc6', which reads exactly {'3×3' if family == 'vgg' else '2×2'} values of 'pool5'"
            in text
        )
        assert f"use an image of {side}×{side} pixels and one octave" in text and len(text) <= 300
    set_image(net, dd.preprocess(net, photo))
    with pytest.raises(dd.ImageError, match="do not fit layer 'fc6'"):
        dd.make_step(net, end=end)
    assert_rises(net, fitting, "fc8", iter_n=3, octave_n=1, jitter=0)


def test_an_inner_product_behind_a_flattened_blob_is_seen_as_well(tmp_path, photo):
    text = definition("vgg").replace(
        'name: "fc6" type: "InnerProduct" bottom: "pool5"', 'name: "fc6" type: "InnerProduct" bottom: "flat"'
    )
    text = text.replace(
        'layer { name: "fc6"', 'layer { name: "flat" type: "Flatten" bottom: "pool5" top: "flat" }\nlayer { name: "fc6"'
    )
    (tmp_path / "flat.prototxt").write_text(text, encoding="utf-8")
    net = dd.Net(tmp_path / "flat.prototxt", None, (0, 0, 0), "prob")
    with pytest.raises(dd.ImageError, match=r"'fc6', which reads exactly 3×3 values of 'flat'"):
        dd.dream_steps(net, photo, octave_n=1)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell a process's memory")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("layers", ["fast", "upstream"])
def test_the_estimate_of_memory_is_what_a_pass_takes(family, layers):
    load = f"from families import load_family; net = load_family(pathlib.Path(tempfile.mkdtemp()), {family!r})"
    taken, estimated = memory_of_a_pass(load, layers)
    estimated -= memory.FIXED_BYTES
    # Less than 10 channels: the planes that a layer has once, whatever its channels, count for more than in real ones.
    assert 0.9 * taken < estimated < 1.15 * taken
