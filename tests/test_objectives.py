"""Channels, labels, and the release's L2."""

import numpy as np
import pytest
from helpers import assert_is_the_gradient, assert_rises, noise, set_image
from threadpoolctl import threadpool_limits

import deepdream as dd

QUICK = {"iter_n": 2, "octave_n": 2}


@pytest.mark.parametrize("indices", [2, [0, 3], np.array([1, 1]), range(4)])
def test_channels_raise_the_sum_of_their_activations(tiny, indices):
    objective = dd.channels(indices)
    assert_is_the_gradient(tiny, "both", objective)
    set_image(tiny, noise(20, 26))
    tiny.forward(end="both")
    chosen = sorted(set(np.ravel(indices).tolist()))
    assert objective(tiny.blobs["both"]) == pytest.approx(tiny.blobs["both"].data[0, chosen].sum(), rel=1e-5)
    assert objective.spec == {"objective": "channels", "indices": chosen}


def test_a_channel_rises_in_a_dream(squeezenet, sky):
    assert_rises(squeezenet, sky, "fire6/concat", iter_n=4, octave_n=2, objective=dd.channels(200))


def test_a_channel_of_a_concatenation_is_raised_where_it_is_made(tiny, sky):
    found = dd.channels([1, 3, 4, 7], tiny, "both")
    assert found.end == {"left": 1.0, "right": 1.0}
    assert {layer: each.spec["indices"] for layer, each in found.items()} == {"left": [1, 3], "right": [0, 3]}
    assert (dd.channels(5, tiny).end, dd.channels(5, tiny).spec["indices"]) == ("right", [1])
    assert dd.channels(2, tiny, "conv1").end == "conv1"
    # No rectification is between the branches and their concatenation here, so the gradient is the same.
    old = dd.deepdream(tiny, sky, end="both", objective=dd.channels([1, 3, 4, 7]), **QUICK, seed=0)
    assert np.abs(dd.deepdream(tiny, sky, objective=found, **QUICK, seed=0) - old).max() < 1e-2


def test_a_channel_behind_rectifications(tiny_prototxt):
    """In place, as a layer of its own, and behind another concatenation; another change in place ends the search."""
    text = tiny_prototxt.read_text(encoding="utf-8")
    below, above = text.split('layer { name: "both"')
    layers = """
layer { name: "relu2" type: "ReLU" bottom: "left" top: "left" }
layer { name: "scale" type: "Power" bottom: "right" top: "right" power_param { scale: -1 } }
layer { name: "inner" type: "Concat" bottom: "left" bottom: "right" top: "inner" }
layer { name: "relu3" type: "ReLU" bottom: "inner" top: "rectified" }
layer { name: "both" type: "Concat" bottom: "rectified" top: "both" }
"""
    rest = above.split("\n", 1)[1]
    tiny_prototxt.write_text(below + layers + rest, encoding="utf-8")
    net = dd.Net(tiny_prototxt, None, (104, 117, 123), "both")
    objective = dd.channels([2, 6], net)
    assert {layer: each.spec["indices"] for layer, each in objective.items()} == {"left": [2], "inner": [6]}


def test_a_silent_channel_answers(squeezenet, sky, caplog):
    end = "fire9/concat"
    squeezenet.input.reshape(1, 3, *sky.shape[:2])
    squeezenet.input.data[0] = dd.preprocess(squeezenet, sky)
    squeezenet.forward(end=end)
    silent = int(np.flatnonzero(squeezenet.blobs[end].data[0].max((1, 2)) == 0)[0])
    settings = {"octave_n": 1, "iter_n": 3, "jitter": 0, "seed": 0}

    values = [
        step.objective for step in dd.dream_steps(squeezenet, sky, end=end, objective=dd.channels(silent), **settings)
    ]
    assert values == [0, 0, 0]
    assert caplog.text.count("zero gradient at 'fire9/concat'") == 1  # and not once for each step

    caplog.clear()
    objective = dd.channels(silent, squeezenet, end)
    values = [step.objective for step in dd.dream_steps(squeezenet, sky, objective=objective, **settings)]
    assert values[0] < values[1] < values[2]
    assert caplog.text == ""


def test_every_step_answers_at_googlenets_deep_layers(googlenet, sky, caplog):
    objective = dd.channels(2, googlenet, "inception_4e/output")
    assert (objective.end, objective.spec["indices"]) == ("inception_4e/1x1", [2])
    starts = {0: "1x1", 256: "3x3", 576: "5x5", 704: "pool_proj"}
    for first, branch in starts.items():
        found = dd.channels(first + 1, googlenet, "inception_4e/output")
        assert (found.end, found.spec["indices"]) == (f"inception_4e/{branch}", [1])
    dd.deepdream(googlenet, sky, objective=objective, iter_n=3, octave_n=2, seed=0)
    assert "zero gradient" not in caplog.text


def test_what_channels_of_a_network_refuse(tiny):
    with pytest.raises(dd.LayerError, match="there is no channel 8: 'both' has 8 channels, 0 to 7"):
        dd.channels([1, 8], tiny)
    with pytest.raises(dd.LayerError, match="no layer 'bot'"):
        dd.channels(1, tiny, "bot")
    with pytest.raises(dd.ParameterError, match=r"end='both': pass net, too, or use channels\(…\).at\(end\)"):
        dd.channels(1, end="both")


@pytest.mark.parametrize("indices", [-1, [], "3", [1, -2], 1.5, [True], None, ["a"]])
def test_what_is_no_channel_is_refused(indices):
    with pytest.raises(dd.ParameterError, match="channels are whole numbers from 0"):
        dd.channels(indices)


def test_a_channel_that_the_layer_lacks_is_refused_before_the_first_step(tiny, sky):
    with pytest.raises(dd.LayerError, match=r"there is no channel 8: 'both' has 8 channels, 0 to 7"):
        dd.dream_steps(tiny, sky, objective=dd.channels([1, 8]))
    dd.deepdream(tiny, sky, objective=dd.channels([1, 7]), **QUICK)
    with pytest.raises(dd.LayerError, match="no channel 8: the layer has 8 channels"):
        dd.channels(8)(tiny.blobs["both"])


def test_a_label_raises_its_score_alone(tiny):
    objective = dd.label(tiny, "c")
    assert objective.end == "score" and objective.spec == {"objective": "label", "label": "c", "index": 2}
    assert_is_the_gradient(tiny, "score", objective)
    assert np.array_equal(tiny.blobs["score"].diff.ravel(), [0, 0, 1, 0, 0])


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("tench, Tinca tinca", 0),
        ("TENCH", 0),
        (" tinca  Tinca ", 0),
        ("crane", None),
        ("maillot", 3),
        ("tank suit", 4),
        (2, 2),
        (np.int64(2), 2),
        ("2", 2),
    ],
)
def test_labels_are_found_by_any_of_their_names(tiny, name, index):
    tiny.labels = ["tench, Tinca tinca", "crane", "crane", "maillot", "maillot, tank suit"]
    if index is None:
        with pytest.raises(dd.ParameterError, match=r"2 labels are called 'crane'; give a number .*1 \(crane\), 2"):
            dd.label(tiny, name)
    else:
        assert dd.label(tiny, name).spec["index"] == index


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bananna", "the network does not know 'bananna'; did you mean 'banana'"),
        ("zzz", "the network does not know 'zzz'; it knows, for instance, 'tench'"),
        ("", "the network does not know ''; it knows"),
        (1000, "1000 is not a label: .* 0 to 999"),
        (-1, "-1 is not a label"),
        (True, "True is not a label"),
        (None, "None is not a label"),
        ("1000", "1000 is not a label"),
    ],
)
def test_unknown_labels_are_refused_with_the_closest(squeezenet, name, reason):
    with pytest.raises(dd.ParameterError, match=reason):
        dd.label(squeezenet, name)


def test_labels_of_the_networks_there_are(squeezenet):
    starfish = dd.label(squeezenet, "Starfish")
    assert starfish.end == "pool10"
    assert starfish.spec == {"objective": "label", "label": "starfish, sea star", "index": 327}


def test_googlenets_score_layer(googlenet, sky):
    banana = dd.label(googlenet, "banana")
    assert banana.end == "loss3/classifier" and banana.spec["index"] == 954
    assert_rises(googlenet, sky, None, iter_n=3, octave_n=2, objective=banana)


def test_a_network_without_a_classifier_has_no_labels(tiny, tiny_prototxt):
    tiny.labels = ["a"]
    with pytest.raises(dd.ModelError, match="5 scores and 1 labels"):
        dd.label(tiny, "a")
    text = tiny_prototxt.read_text(encoding="utf-8")
    tiny_prototxt.write_text(text[: text.index('layer { name: "prob"')], encoding="utf-8")
    with pytest.raises(dd.ModelError, match="no softmax"):
        dd.label(dd.Net(tiny_prototxt, None, (104, 117, 123), "both", labels=["a"] * 5), "a")


def test_the_value_of_l2_does_not_depend_on_the_number_of_threads():
    data = np.random.RandomState(0).normal(size=(1, 64, 90, 110)).astype(np.float32)
    blob = type("Blob", (), {"data": data, "diff": np.zeros_like(data)})
    found = set()
    for threads in 1, 2, 3, 8:
        with threadpool_limits(threads, user_api="blas"):
            found.add(dd.objective_L2(blob))
    assert len(found) == 1
    assert found.pop() == pytest.approx(0.5 * np.sum(np.square(data, dtype=np.float64)), rel=1e-12)
