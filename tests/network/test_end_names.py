"""Layers that are named apart from their blobs, and are dreamt by either name."""

import numpy as np
import pytest
from helpers import TINY, noise, set_image, tiny_net

import deepdream as dd
from deepdream.network.layers import resolve_end

QUICK = {"iter_n": 2, "octave_n": 1, "seed": 1}
# As TINY, but layers and blobs bear different names: "both" is made by "joined", and "pool1" by "pooling".
APART = TINY.replace('name: "both"', 'name: "joined"').replace('name: "pool1"', 'name: "pooling"')


@pytest.fixture
def apart(tmp_path):
    (tmp_path / "apart.prototxt").write_text(APART, encoding="utf-8")
    return tiny_net(tmp_path / "apart.prototxt")


@pytest.mark.parametrize(("layer", "blob"), [("joined", "both"), ("pooling", "pool1"), ("left", "left")])
def test_either_name_gives_the_dream_of_the_network_with_one_name(tiny, apart, sky, layer, blob):
    expected = dd.deepdream(tiny, sky, **QUICK, end=blob)
    for name in (layer, blob):
        assert apart.check_layer(name) == blob
        assert np.array_equal(dd.deepdream(apart, sky, **QUICK, end=name), expected)
        assert np.array_equal(
            dd.deepdream(apart, sky, **QUICK, end=name, tile=70), dd.deepdream(tiny, sky, **QUICK, end=blob, tile=70)
        )
        guided = dd.guided(apart, sky[:, ::-1], name)
        same = dd.guided(tiny, sky[:, ::-1], blob)
        assert np.array_equal(
            dd.deepdream(apart, sky, **QUICK, objective=guided), dd.deepdream(tiny, sky, **QUICK, objective=same)
        )


def test_the_default_layer_may_bear_either_name(tmp_path, apart, sky):
    net = dd.Net(tmp_path / "apart.prototxt", None, (0, 0, 0), "joined")
    assert net.end == "both"
    assert apart.dreamable == ["conv1", "pool1", "left", "right", "both", "pool2", "score", "prob"]


def test_several_layers_and_their_objectives_mix_the_names(tiny, apart, sky):
    expected = dd.deepdream(
        tiny, sky, **QUICK, end={"pool1": 2, "both": 1}, objective={"pool1": dd.channels(1), "both": dd.objective_L2}
    )
    for end in ({"pooling": 2, "joined": 1}, {"joined": 1, "pool1": 2}):
        objective = {"joined": dd.objective_L2, "pooling": dd.channels(1)}
        assert np.array_equal(dd.deepdream(apart, sky, **QUICK, end=end, objective=objective), expected)
    assert resolve_end(apart, {"joined": 1, "pooling": 2}, None) == {"pool1": 2, "both": 1}


def test_names_that_do_not_fit_together_are_refused(apart, sky):
    with pytest.raises(dd.LayerError, match="two of the names are one layer's"):
        resolve_end(apart, {"joined": 1, "both": 2}, None)
    objective = dd.guided(apart, sky, "joined")
    assert resolve_end(apart, "joined", objective) == resolve_end(apart, "both", objective) == "both"
    with pytest.raises(dd.LayerError, match="end is 'pooling' but the objective was made for 'both'"):
        resolve_end(apart, "pooling", objective)


def test_an_unknown_name_names_the_closest_of_both_kinds(apart):
    for wrong, closest in (("pooling1", "pooling"), ("boht", "both"), ("joint", "joined")):
        with pytest.raises(dd.LayerError, match=f"no layer '{wrong}' to dream; did you mean .*{closest}"):
            apart.check_layer(wrong)
    with pytest.raises(dd.LayerError, match="'relu1' to dream; that one changes 'conv1' in place, so dream 'conv1'"):
        apart.check_layer("relu1")


def test_a_name_of_a_blob_counts_before_that_of_a_layer(tmp_path, sky):
    """Here the layer "both" makes the blob "other", and the blob "both" is another layer's."""
    text = (
        APART.replace('name: "pool2"', 'name: "both"')
        .replace('top: "pool2"', 'top: "other"')
        .replace('bottom: "pool2"', 'bottom: "other"')
    )
    (tmp_path / "crossed.prototxt").write_text(text, encoding="utf-8")
    net = tiny_net(tmp_path / "crossed.prototxt")
    (tmp_path / "plain.prototxt").write_text(TINY, encoding="utf-8")
    expected = dd.deepdream(tiny_net(tmp_path / "plain.prototxt"), sky, **QUICK, end="both")
    assert np.array_equal(dd.deepdream(net, sky, **QUICK, end="both"), expected)
    assert net.blobs["other"].shape[1] == 8 and net.check_layer("other") == "other"


def test_each_output_of_a_layer_with_several_can_be_dreamt(tmp_path):
    text = TINY.replace(
        'layer { name: "left"',
        'layer { name: "slice" type: "Slice" bottom: "pool1" top: "a" top: "b" '
        "slice_param { axis: 1 slice_point: 2 } }\n"
        'layer { name: "left"',
    )
    (tmp_path / "sliced.prototxt").write_text(text, encoding="utf-8")
    net = tiny_net(tmp_path / "sliced.prototxt")
    picture, weights = noise(40, 52), {"b": 2, "a": 1}
    with pytest.raises(dd.LayerError, match="no layer 'slice'"):
        net.check_layer("slice")
    total = np.zeros_like(picture)
    for end, weight in weights.items():
        set_image(net, picture)
        total += weight * net.input_gradient(end, dd.objective_L2)[0]
    set_image(net, picture)
    found, _ = net.input_gradient(resolve_end(net, weights, None), dd.objective_L2)
    assert np.abs(found - total).max() < 1e-5 * np.abs(total).max()
    # Together, the two halves of a blob give the gradient of the whole.
    set_image(net, picture)
    halves = net.input_gradient({"a": 1, "b": 1}, dd.objective_L2)[0].copy()
    set_image(net, picture)
    whole = net.input_gradient("pool1", dd.objective_L2)[0]
    assert np.abs(halves - whole).max() < 1e-5 * np.abs(whole).max()
