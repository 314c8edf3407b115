"""What is set on the page, as a recipe and back."""

import pytest
from helpers import FORM

from deepdream import Recipe
from deepdream.errors import ParameterError
from deepdream.playground.form import form_of, recipe_of
from deepdream.playground.uploads import Limits, Picture

LIMITS = Limits()


class TestSettings:
    def test_there_and_back(self):
        form = {**FORM, "strength": 0.5, "step_size": 2.0, "octave_scale": 1.3, "jitter": 7}
        back, notes = form_of(recipe_of(form, Picture("cat"), None, LIMITS), LIMITS)
        assert back == form
        assert notes == []

    def test_a_label(self):
        form = {**FORM, "label": "banana"}
        recipe = recipe_of(form, Picture("cat"), None, LIMITS)
        assert recipe.end is None
        assert recipe.objective == {"objective": "label", "label": "banana", "index": 954}
        assert form_of(recipe, LIMITS)[0]["label"] == "banana"

    @pytest.mark.parametrize(
        "change, says",
        [
            ({"model": "/etc"}, "no model"),
            ({"model": "../models/squeezenet_v1.1"}, "no model"),
            ({"model": None}, "no model"),
            ({"max_size": 1601}, "Size"),
            ({"octave_n": 0}, "Octaves 0"),
            ({"iter_n": 51}, "Iterations 51: must be from 1 to 50"),
            ({"iter_n": 2.5}, "Iterations"),
            ({"iter_n": True}, "Iterations"),
            ({"iter_n": "3"}, "Iterations"),
            ({"jitter": None}, "Jitter"),
            ({"strength": float("nan")}, "Strength"),
            ({"seed": 2**32}, "Seed"),
            ({"seed": -1}, "Seed"),
            ({"seed": 1.0}, "Seed"),
            ({"end": ["a"]}, "no layer"),
            ({"end": None}, "no layer"),
            ({"label": "no such thing"}, "is not a label"),
            ({"label": ["banana"]}, "is not a label"),
        ],
    )
    def test_what_the_page_would_not_send_is_refused(self, change, says):
        with pytest.raises(ParameterError, match=says):
            recipe_of({**FORM, **change}, Picture("cat"), None, LIMITS)

    def test_a_recipe_out_of_the_limits_is_brought_within_them(self):
        recipe = Recipe(iter_n=10**400, octave_n=3, model="squeezenet_v1.1", max_size=9000, jitter=32)
        form, notes = form_of(recipe, LIMITS)
        assert (form["iter_n"], form["octave_n"], form["max_size"]) == (50, 3, 1600)
        assert [note.split()[0] for note in notes] == ["It", "Size", "Iterations"]

    def test_what_cannot_be_set_is_said(self):
        form, notes = form_of(Recipe(model="/home/me/model", end="x"), LIMITS)
        assert "model" not in form and "end" not in form
        assert notes == ["Its model '/home/me/model' is not available here."]
        _, notes = form_of(
            Recipe(objective={"objective": "channels", "indices": [1]}, clip=False, end="x", guide="flowers.jpg"),
            LIMITS,
        )
        assert [note.split()[-1] for note in notes] == ["here.", "well.", "here."]
