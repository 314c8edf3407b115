"""Objectives that add and scale."""

import math
from fractions import Fraction

import numpy as np
import pytest
from helpers import assert_is_the_gradient, noise, set_image

import deepdream as dd
from deepdream.network.layers import resolve_end
from deepdream.network.tiling import set_input

QUICK = {"iter_n": 2, "octave_n": 2, "seed": 0}


def gradient(net, objective, end=None):
    """(gradient of the input, value) of an objective on the same image."""
    set_image(net, noise(20, 26))
    found, value = net.input_gradient(resolve_end(net, end, objective), objective)
    return found.copy(), value


def both(net, sky):
    """Objectives at one layer, with what each weighs in their sum."""
    return [
        (dd.guided(net, sky[:40], "both"), 1),
        (dd.guided(net, sky[40:80], "both"), 0.5),
        (dd.channels([1, 3]).at("both"), -2),
        (dd.Objective(dd.objective_L2, "both"), 3),
    ]


def several(net, sky):
    return [*both(net, sky), (dd.label(net, "b"), -0.25), (dd.Objective(dd.objective_L2, "left"), 0.125)]


@pytest.mark.parametrize("make", [both, several])
def test_the_gradient_of_a_sum_is_the_sum_of_the_gradients(tiny, sky, make):
    weighted = make(tiny, sky)
    expected, value = 0, 0
    for objective, weight in weighted:
        part, own = gradient(tiny, objective)
        expected, value = expected + weight * part.astype(np.float64), value + weight * own
    found, total = gradient(tiny, sum(objective * weight for objective, weight in weighted))
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()
    assert total == pytest.approx(value, rel=1e-6)


def test_a_sum_writes_the_gradient_of_what_it_returns(tiny):
    assert_is_the_gradient(tiny, "both", dd.channels(2) - 0.5 * dd.Objective(dd.objective_L2))


def test_both_terms_rise_in_a_dream(squeezenet, sky):
    objective = (4 * dd.channels(200) + dd.channels(7)).at("fire6/concat")
    before, after = (
        squeezenet_values(squeezenet, img)
        for img in (sky, dd.deepdream(squeezenet, sky, objective=objective, iter_n=4, octave_n=2, seed=0))
    )
    assert (after > 1.1 * before).all()


def squeezenet_values(net, img):
    """The sums of the channels 200 and 7."""
    set_input(net, dd.preprocess(net, img))
    net.forward(end="fire6/concat")
    return net.blobs["fire6/concat"].data[0, [200, 7]].sum((1, 2))


def test_where_the_sum_lies(tiny):
    at_both = dd.channels(1).at("both")
    assert (at_both + at_both).end == "both"
    assert (dd.channels(1) + dd.channels(2)).end is None
    mixed = at_both - dd.label(tiny, "b") * 2
    assert isinstance(mixed, dd.Objectives)
    assert mixed.end == {"both": 1, "score": -2}
    assert (mixed * 3 + at_both).end == {"both": 1, "score": -6}
    assert (dd.objective_L2 + dd.channels(1)).spec == {
        "objective": "sum",
        "terms": [{"weight": 1.0, "objective": "L2"}, {"weight": 1.0, "objective": "channels", "indices": [1]}],
    }
    assert dd.channels(1).at({"left": 1, "both": 3}).end == {"left": 1, "both": 3}


@pytest.mark.parametrize("half", [0.5, Fraction(1, 2), np.float32(0.5), np.float64(0.5)])
def test_numbers_of_every_kind_scale(tiny, half):
    once, twice = half * dd.channels(1), dd.channels(1) * half
    assert (
        once.spec
        == twice.spec
        == {
            "objective": "sum",
            "terms": [{"weight": 0.5, "objective": "channels", "indices": [1]}],
        }
    )
    assert (half * dd.Objectives({"both": dd.channels(1)}, {"both": 4})).end == "both"


def test_a_single_objective_stays_itself(tiny, sky):
    """So that an old dream keeps its bits and its recipe."""
    for objective in (dd.channels(1), dd.label(tiny, "b"), dd.guided(tiny, sky[:40], "both")):
        assert 1 * objective is objective
        assert sum([objective]) is objective
    plain = dd.deepdream(tiny, sky, end="both", **QUICK)
    assert np.array_equal(dd.deepdream(tiny, sky, objective=dd.Objective(dd.objective_L2, "both"), **QUICK), plain)
    negative = -dd.Objective(dd.objective_L2, "both")
    assert np.array_equal(dd.deepdream(tiny, sky, objective=-negative, **QUICK), plain)


def test_functions_of_any_kind_are_terms(tiny, sky):
    def partial(dst):
        """Writes only what it raises, as the release's functions may; returns nothing."""
        dst.diff[:, 2] = 1

    found, value = gradient(tiny, partial + dd.channels(1), "both")
    expected, _ = gradient(tiny, dd.channels([1, 2]), "both")
    assert np.array_equal(found, expected)
    assert value is None
    assert math.isnan(next(iter(dd.dream_steps(tiny, sky, end="both", objective=partial + dd.channels(1)))).objective)
    assert (dd.Objective(partial, "both") + {"left": dd.channels(1)}).spec is None
    assert dd.Objective(partial).__doc__ == partial.__doc__


@pytest.mark.parametrize("weight", [0, math.nan, math.inf, -1e39, 10**400])
def test_a_weight_is_a_finite_number_other_than_zero(weight):
    with pytest.raises(dd.ParameterError, match=r"an objective cannot have the weight .* other than 0"):
        dd.channels(1) * weight


def test_what_cannot_be_added_is_refused(tiny):
    label = dd.label(tiny, "b")
    with pytest.raises(
        dd.ParameterError, match="to add channels to an objective for 'score', say for which layer it is"
    ):
        dd.channels(1) + label
    with pytest.raises(dd.ParameterError, match="to add L2 to an objective for 'score'"):
        label + dd.objective_L2
    with pytest.raises(dd.LayerError, match="was made for 'score' and cannot be used at 'left'"):
        label.at("left")
    with pytest.raises(dd.ParameterError, match="an objective must be callable"):
        dd.Objective("L2")
    with pytest.raises(dd.ParameterError, match="must be a layer's name; `at` accepts several"):
        dd.Objective(dd.objective_L2, {"left": 1})
    for other in (3, "both", None):
        with pytest.raises(TypeError):
            label + other
        with pytest.raises(TypeError):
            label * "2"


def test_a_term_that_does_not_fit_is_refused_before_the_first_step(tiny, sky):
    with pytest.raises(dd.LayerError, match=r"no channel 8: 'both' has 8 channels"):
        dd.dream_steps(tiny, sky, end="both", objective=dd.channels(1) + dd.channels(8))
    with pytest.raises(dd.LayerError, match="an objective in a sum returned 'x'; it must return a number, or None"):
        dd.deepdream(tiny, sky, end="both", objective=dd.channels(1) + (lambda dst: "x"), **QUICK)
