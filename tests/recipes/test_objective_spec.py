"""Objectives as data."""

import numpy as np
import pytest

import deepdream as dd
from deepdream import objectives
from deepdream.network.layers import resolve_end
from deepdream.recipes.objective_spec import objective_from_spec, spec_of

QUICK = {"iter_n": 2, "octave_n": 2}


def test_objectives_are_made_again_from_their_specs(tiny, sky):
    mapping = {"left": dd.channels(3), "both": dd.guided(tiny, sky[:40], "both")}
    for objective in (
        dd.objective_L2,
        dd.channels([3, 1]),
        dd.label(tiny, "b"),
        dd.guided(tiny, sky[:40], "left"),
        mapping,
        dd.guided(tiny, sky[:40], {"left": 1, "both": 1}),
    ):
        spec, end = spec_of(objective), resolve_end(tiny, None, objective)
        again = objective_from_spec(tiny, spec, end, sky[:40])
        assert spec_of(again) == spec
        assert np.array_equal(
            dd.deepdream(tiny, sky, end=end, objective=again, **QUICK, seed=0),
            dd.deepdream(tiny, sky, end=end, objective=objective, **QUICK, seed=0),
        )


@pytest.mark.parametrize(
    "spec",
    [
        None,
        {},
        {"objective": "L3"},
        {"objective": "channels"},
        {"objective": "layers"},
        {"objective": "layers", "layers": [1]},
        "L2",
    ],
)
def test_what_describes_no_objective_is_refused(tiny, spec):
    with pytest.raises(dd.ParameterError, match="does not describe an objective"):
        objective_from_spec(tiny, spec)


def test_a_guided_spec_needs_its_guide(tiny):
    with pytest.raises(dd.ParameterError, match="guided by an image; pass it as guide"):
        objective_from_spec(tiny, {"objective": "guided", "guide_sha256": "0"}, "left")


def test_other_peoples_objectives_have_no_spec(tiny):
    assert spec_of(lambda dst: None) is None
    assert spec_of({"left": dd.objective_L2, "right": lambda dst: None}) is None
    assert objectives.objective_L2.spec == {"objective": "L2"}
