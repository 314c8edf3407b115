"""What a recipe in somebody else's image may hold: refused in a line, by the library and the command."""

import json

import pytest
from helpers import write_with_recipe

import deepdream as dd
from deepdream import Recipe

HUGE = 10**399  # more than a float holds, and fewer digits than Python refuses to read
STRANGE = {
    "model": "squeezenet_v1.1",
    "input": "noise:40x40",
    "end": "fire2/concat",
    "iter_n": 1,
    "octave_n": 1,
    "seed": 1,
    "tile": None,
}


GUIDED = {"guide": "noise:20x20", "objective": {"objective": "guided"}}
LABEL = {"kind": "label", "end": "pool10", "objective": {"objective": "label", "label": 1}}
NO_RECIPES = [  # what a recipe in somebody else's picture may hold, and what is said of it
    *(
        ({"kind": "zoom", "more": {"frame": frame, "scale": 0.1, "rotate": 0}}, f"frame={frame!r}: the frame's number")
        for frame in ("a", [1], -1, True, 0.5, None)
    ),
    ({"kind": "zoom", "more": {"frame": 0, "scale": HUGE, "rotate": 0}}, "scale=1000"),
    ({"kind": "zoom", "more": {"frame": 0, "scale": 0.1, "rotate": HUGE}}, "rotate=1000"),
    *(
        ({"kind": "stopped dream", "more": {"octave": o, "iteration": i}}, says)
        for o, i, says in (
            (-1, -1, "octave=-1: the octave that the dream was stopped in must be a whole number, from 0 to 0"),
            ("a", [], "octave='a'"),
            (10**30, 1, "octave=1000"),
            (0.5, 1, "octave=0.5"),
            (0, HUGE, "iteration=1000"),
            (0, -5, "iteration=-5"),
            (None, 0, "octave=None"),
            (0, "1", "iteration='1'"),
            (0, 1.5, "iteration=1.5"),
            (0, float("nan"), "iteration=nan"),
            (10**9, 10**9, "octave=1000000000"),
            (True, 0, "octave=True"),
            (0, 1, "iteration=1: the iteration that the dream was stopped in must be a whole number, from 0 to 0"),
        )
    ),
    *(
        ({**LABEL, "more": {"blur": blur, "decay": 0.1}}, says)
        for blur, says in (
            (0.5, "blur=0.5: it must be two numbers"),
            ("ab", "blur='ab': it must be two numbers"),
            (None, "blur=None"),
            ([1], r"blur=[1]"),
            ([1, 1e9], "blur=1000000000.0: the blur in pixels must be a finite number, from 0 to 4096"),
            ([float("nan"), 1], "blur=nan"),
            ([HUGE, 1], "blur=1000"),
        )
    ),
    *(
        ({**GUIDED, "more": {"guide_max_size": size}}, f"guide_max_size={size!r}: the longer side of the guide")
        for size in ("x", [1], float("nan"), -1, 0, True)
    ),
    ({"octave_scale": HUGE}, "octave_scale=1000"),
    ({"step_size": HUGE}, "step_size=1000"),
    ({"strength": HUGE}, "strength=1000"),
    ({"end": {"fire2/concat": HUGE}}, "the weight of 'fire2/concat' is 1000"),
    ({"end": {"fire2/concat": 1e308, "fire3/concat": -1e308}}, "the weight of 'fire2/concat' is 1e+308"),
    ({"input": "noise:" + "9" * 5000 + "x1"}, "write noise as noise:WIDTHxHEIGHT"),
    ({**LABEL, "objective": {"objective": "label", "label": "9" * 5000}, "more": {"blur": [1, 1]}}, "is not a label"),
]


@pytest.mark.parametrize(("values", "says"), NO_RECIPES, ids=[f"{i}" for i in range(len(NO_RECIPES))])
def test_what_a_recipe_cannot_hold_is_refused_in_a_line(squeezenet, values, says):
    text = json.dumps({"recipe": 1, **STRANGE, **values})
    with pytest.raises(dd.DreamError) as refused:
        Recipe.from_json(text).render(net=squeezenet)
    said = str(refused.value)
    assert says in said
    assert "\n" not in said and len(said) < 600


@pytest.mark.usefixtures("squeezenet_file")
def test_the_command_refuses_such_recipes_in_a_line(tmp_path, run):
    class Strange:
        def __init__(self, values):
            self.values = values

        def to_json(self):
            return json.dumps({"recipe": 1, **STRANGE, **self.values})

    for values, says in NO_RECIPES[::6] + NO_RECIPES[-3:]:
        code, out, err = run("replay", write_with_recipe(tmp_path / "a.png", Strange(values)), "-o", tmp_path / "b.png")
        assert (code, out, err.count("\n"), says in err) == (2, "", 1, True), err
        assert not (tmp_path / "b.png").exists()


def test_what_an_older_deepdream_wrote_is_still_read():
    assert Recipe(**{**STRANGE, **LABEL}, more={"label": 1, "blur": [0.5, 0], "decay": 0.1, "edge": 0.1}).more["edge"]
    assert Recipe(**{**STRANGE, **GUIDED}, more={"guide_max_size": None}).more == {"guide_max_size": None}
    assert Recipe(**STRANGE, kind="stopped dream", more={"octave": 0, "iteration": 0}).more["octave"] == 0
