"""One layer or several: weighted sums against separate passes, and what does not fit together."""

import numpy as np
import pytest
from helpers import assert_rises, noise, set_image

import deepdream as dd
from deepdream.network.layers import resolve_end

QUICK = {"iter_n": 2, "octave_n": 2}
SEVERAL = {"conv1": 0.5, "left": 2, "right": -1, "both": 1}


def separate_gradients(net, picture, ends, objective):
    """The weighted sums of each layer's own gradient, from a pass of its own, and of what the objective returned."""
    total, values = np.zeros(picture.shape), 0.0
    for layer, weight in ends.items():
        set_image(net, picture)
        gradient, value = net.input_gradient(layer, objective[layer] if isinstance(objective, dict) else objective)
        total += weight * gradient.astype(np.float64)
        values += weight * value
    return total, values


def assert_sums(net, picture, ends, objective):
    expected, value = separate_gradients(net, picture, ends, objective)
    for _ in range(3):  # leftovers would show from the second time on
        set_image(net, picture)
        found, raised = net.input_gradient(ends, objective)
        assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
        assert raised == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("ends", [SEVERAL, {"both": 1, "conv1": 1}, {"right": 1, "left": 1}, {"left": 3}])
def test_several_layers_equal_separate_passes(tiny, ends):
    assert_sums(tiny, noise(40, 51), ends, dd.objective_L2)


@pytest.mark.parametrize("fast", [True, False])
def test_several_layers_equal_separate_passes_on_googlenet(googlenet_weights, fast):
    """Branches beside each other and layers before their in-place ReLU, with both kinds of layers."""
    net = dd.load("bvlc_googlenet", fast=fast)
    picture = noise(120, 97)
    ends = {
        "inception_3a/5x5_reduce": 1,
        "inception_3a/1x1": 0.3,
        "inception_3b/output": 2,
        "conv2/3x3": 0.1,
        "inception_4a/3x3": 1,
        "inception_4a/pool_proj": 5,
    }
    assert_sums(net, picture, ends, dd.objective_L2)
    objective = {layer: dd.channels([i, 5]) if i % 2 else dd.objective_L2 for i, layer in enumerate(ends)}
    assert_sums(net, picture, ends, objective)
    set_image(net, picture)
    alone, _ = net.input_gradient("inception_3b/output", dd.objective_L2)
    expected = dd.load("bvlc_googlenet", fast=fast)
    set_image(expected, picture)
    assert np.array_equal(alone, expected.input_gradient("inception_3b/output", dd.objective_L2)[0])


def test_objectives_see_values_before_an_in_place_relu(tiny):
    seen = {}

    def look(dst):
        seen[dst.shape[1]] = dst.data.min()
        return dd.objective_L2(dst)

    set_image(tiny, noise(40, 51))
    tiny.input_gradient({"both": 1, "conv1": 1}, look)
    assert seen[6] < 0, "conv1's ReLU must not have run when its objective is called"


def test_a_dream_of_several_layers(tiny, sky):
    dream = dd.deepdream(tiny, sky, end=SEVERAL, **QUICK, seed=1)
    assert np.array_equal(dd.deepdream(tiny, sky, end=dict(reversed(SEVERAL.items())), **QUICK, seed=1), dream)
    assert np.array_equal(
        dd.deepdream(tiny, sky, end={"both": 1}, **QUICK, seed=1), dd.deepdream(tiny, sky, end="both", **QUICK, seed=1)
    )
    dd.deepdream(tiny, sky, end="left", **QUICK)
    assert np.array_equal(dd.deepdream(tiny, sky, end=SEVERAL, **QUICK, seed=1), dream)
    assert np.array_equal(dd.deepdream(tiny, sky, end=SEVERAL, **QUICK, seed=1, tile=160), dream)
    assert not np.array_equal(dd.deepdream(tiny, sky, end=SEVERAL, **QUICK, seed=1, tile=80), dream)


def test_the_sum_of_several_layers_rises(squeezenet, sky):
    ends = {"fire3/concat": 1, "fire6/concat": 5}
    assert_rises(squeezenet, sky, ends, iter_n=4, octave_n=2)
    assert_rises(squeezenet, sky, ends, iter_n=4, octave_n=2, tile=80)


def test_make_step_of_several_layers(tiny, sky):
    set_image(tiny, dd.preprocess(tiny, sky))
    value = dd.make_step(tiny, end=SEVERAL, rng=np.random.RandomState(6))
    made = dd.deprocess(tiny, tiny.input.data[0])
    first = next(iter(dd.dream_steps(tiny, sky, end=SEVERAL, octave_n=1, seed=6)))
    assert np.array_equal(made, first.image)
    assert value == first.objective


def test_a_guide_for_each_of_several_layers(tiny, sky):
    guides = dd.guided(tiny, sky[:40, :50], {"both": 0.5, "conv1": 1})
    assert list(guides) == ["both", "conv1"] and guides["conv1"].end == "conv1"
    assert guides.end == {"both": 0.5, "conv1": 1}
    assert_sums(tiny, noise(40, 51), {"conv1": 1, "both": 0.5}, guides)
    assert resolve_end(tiny, None, guides) == {"conv1": 1, "both": 0.5}
    dream = dd.deepdream(tiny, sky, objective=guides, **QUICK, seed=1)
    assert np.array_equal(
        dd.deepdream(tiny, sky, end={"conv1": 1, "both": 0.5}, objective=dict(guides), **QUICK, seed=1), dream
    )


def test_a_step_is_without_a_value_if_one_objective_has_none(tiny, sky):
    def silent(dst):
        dst.diff[...] = dst.data

    step = next(iter(dd.dream_steps(tiny, sky, objective={"left": dd.objective_L2, "right": silent}, octave_n=1)))
    assert np.isnan(step.objective)


@pytest.mark.parametrize(
    ("end", "objective", "error", "reason"),
    [
        ({}, dd.objective_L2, dd.LayerError, "must name at least one layer"),
        ([], dd.objective_L2, dd.ParameterError, r"end=\[\]: it must be a layer's name, or layers with weights"),
        (3, dd.objective_L2, dd.ParameterError, "end=3: it must be"),
        ("left", "L2", dd.ParameterError, "the objective for 'left' is 'L2'; it must be callable"),
        ({"left": 1, "lift": 1}, dd.objective_L2, dd.LayerError, "no layer 'lift' to dream; did you mean left"),
        (
            {"left": 0},
            dd.objective_L2,
            dd.ParameterError,
            "the weight of 'left' is 0; it must be a number other than 0",
        ),
        ({"left": float("nan")}, dd.objective_L2, dd.ParameterError, "the weight of 'left' is nan"),
        ({"left": "1"}, dd.objective_L2, dd.ParameterError, "the weight of 'left' is '1'"),
        ({"left": True}, dd.objective_L2, dd.ParameterError, "the weight of 'left' is True"),
        (
            {"left": 1, "right": 1},
            {"left": dd.objective_L2},
            dd.LayerError,
            "end is 'left' and 'right' but the objective was made for 'left'",
        ),
        ("right", {"left": dd.objective_L2}, dd.LayerError, "end is 'right' but the objective was made for 'left'"),
        ({"left": 1, "both": 1}, dd.channels(5), dd.LayerError, "no channel 5: 'left' has 4 channels, 0 to 3"),
    ],
)
def test_ends_and_objectives_that_do_not_fit_are_refused_before_the_first_step(
    tiny, sky, end, objective, error, reason
):
    with pytest.raises(error, match=reason):
        dd.dream_steps(tiny, sky, end=end, objective=objective)


def test_an_objective_in_a_mapping_must_stand_at_its_own_layer(tiny, sky):
    with pytest.raises(dd.LayerError, match="the objective for 'left' was made for 'right'"):
        dd.dream_steps(tiny, sky, objective={"left": dd.guided(tiny, sky, "right")})


def test_a_label_among_several_layers(squeezenet, sky):
    ends = {"fire6/concat": 0.01, "pool10": 1}
    objective = {"fire6/concat": dd.objective_L2, "pool10": dd.label(squeezenet, "banana")}
    assert_rises(squeezenet, sky, ends, iter_n=3, octave_n=1, objective=objective)
    with pytest.raises(dd.LayerError, match="end is 'fire6/concat' but the objective was made for 'pool10'"):
        dd.dream_steps(squeezenet, sky, end="fire6/concat", objective=dd.label(squeezenet, "banana"))


def test_octaves_too_small_for_the_deepest_of_several_layers_are_refused(squeezenet):
    with pytest.raises(dd.ImageError, match="16×16 pixels are too few to dream 'fire2/concat' and 'fire8/concat'"):
        dd.dream_steps(squeezenet, np.zeros((16, 16, 3)), octave_n=1, end={"fire2/concat": 1, "fire8/concat": 1})


@pytest.mark.parametrize("objective", [None, {"both": None}, {"both": 3}])
def test_what_is_no_objective_is_refused_before_the_first_step(tiny, sky, objective):
    for begin in (
        lambda: dd.dream_steps(tiny, sky, objective=objective, **QUICK),
        lambda: dd.make_step(tiny, objective=objective),
    ):
        with pytest.raises(dd.ParameterError, match=r"the objective for 'both' is (None|3); it must be callable"):
            begin()


@pytest.mark.parametrize("value", ["x", "1", b"1", [1], {}, np.ones(2), 1j, 10**400])
def test_an_objective_that_returns_no_number_is_refused(tiny, sky, value):
    def strange(dst):
        dst.diff[...] = dst.data
        return value

    for objective, end in ((strange, None), ({"conv1": dd.objective_L2, "both": strange}, None)):
        with pytest.raises(dd.LayerError, match=r"the objective for 'both' returned .*; it must return a number, or"):
            dd.deepdream(tiny, sky, objective=objective, end=end, **QUICK)


@pytest.mark.parametrize("value", [None, 1, np.float32(1), np.ones(1), True])
def test_an_objective_may_return_any_number_or_none(tiny, sky, value):
    def plain(dst):
        dst.diff[...] = dst.data
        return value

    steps = list(dd.dream_steps(tiny, sky, objective=plain, **QUICK))
    assert all(np.isnan(step.objective) if value is None else step.objective == 1 for step in steps)


@pytest.mark.parametrize("weight", [1e40, -1e308, 10**400, float("inf")])
def test_a_weight_that_float32_cannot_hold_is_refused(tiny, sky, weight):
    with pytest.raises(dd.ParameterError, match=r"the weight of 'both' is .*, from 1\.2e-38 to 3\.4e\+38 without"):
        dd.deepdream(tiny, sky, end={"both": weight, "left": 1}, **QUICK)
