"""The page's form: from the form to a `Recipe`, and from a recipe back into the form.

The central type is the form, a dict of plain values:

- `model`, `end`: the names of the network and the layer; `label`: the label to dream instead of a layer, or "".
- `max_size`, `octave_n`, `iter_n`, `octave_scale`, `step_size`, `jitter`, `strength`, `seed`: as in `Recipe`;
  `seed=None` draws a fresh one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..defaults import defaults_of
from ..dream import deepdream
from ..errors import ParameterError
from ..recipes.recipe import Recipe
from ..validation import MAX_SEED
from ..zoo.registry import find_model, model_names
from ..zoo.weights import local_weights
from .thumbnails import ladder
from .uploads import Limits, Picture

_DEFAULT = defaults_of(deepdream)
_PREFERRED_MODELS = ("bvlc_googlenet", "squeezenet_v1.1")
DEFAULT_SIDE = 640  # pixels: some seconds with bvlc_googlenet on two cores


@dataclass(frozen=True)
class Number:
    """A number of the form.

    Attributes:
        title: its name on the page.
        minimum: the smallest allowed value.
        maximum: the largest.
        step: the step of the page's slider; an int if the number is whole.
        default: the value that a new visitor finds.
    """

    title: str
    minimum: float
    maximum: float
    step: float
    default: float

    def allows(self, value: Any) -> bool:
        """Whether `value` is such a number."""
        kind = int if isinstance(self.step, int) else (int, float)
        return isinstance(value, kind) and not isinstance(value, bool) and self.minimum <= value <= self.maximum


def form_numbers(limits: Limits) -> dict[str, Number]:
    """{name: Number} of the form, in the page's order."""
    return {
        "max_size": Number("Size", 96, limits.side, 32, min(DEFAULT_SIDE, limits.side)),
        "octave_n": Number("Octaves", 1, limits.octaves, 1, min(_DEFAULT["octave_n"], limits.octaves)),
        "iter_n": Number("Iterations", 1, limits.iterations, 1, min(_DEFAULT["iter_n"], limits.iterations)),
        "strength": Number("Strength", 0.05, 1.0, 0.05, 1.0),
        "step_size": Number("Step", 0.25, 6.0, 0.25, _DEFAULT["step_size"]),
        "octave_scale": Number("Octave scale", 1.1, 2.0, 0.05, _DEFAULT["octave_scale"]),
        "jitter": Number("Jitter", 0, 64, 1, _DEFAULT["jitter"]),
    }


def recipe_of(
    form: Mapping[str, Any], picture: Picture, guide: Picture | None, limits: Limits, mask: Picture | None = None
) -> Recipe:
    """The recipe of a form.

    Args:
        form: the form that the page sent.
        picture: the image to dream on.
        guide: the guide, if there is one.
        limits: the limits of the page.
        mask: the mask, if one was painted.

    Returns:
        A `Recipe` that is not yet complete.

    Raises:
        ParameterError: a value that the page would not send.
        ModelError: the model cannot be read.
    """
    if form.get("model") not in model_names():  # in the library the path of a folder is a model too, but not here
        raise ParameterError(f"there is no model {form.get('model')!r} on this page")
    values = {name: form.get(name) for name in form_numbers(limits)}
    for name, number in form_numbers(limits).items():
        if not number.allows(values[name]):
            raise ParameterError(
                f"{number.title} {values[name]!r}: must be from {number.minimum:g} to {number.maximum:g}"
            )
    seed = form.get("seed")
    if seed is not None and not (type(seed) is int and 0 <= seed <= MAX_SEED):
        raise ParameterError(f"Seed {seed!r}: must be a whole number from 0 to {MAX_SEED}")
    more: dict[str, Any] = {"guide_max_size": limits.guide_side} if guide else {}
    return Recipe(
        input=picture.name,
        model=form["model"],
        guide=guide.name if guide else None,
        seed=seed,
        tile="auto",
        mask=mask.name if mask else None,
        more=more,
        **_end_and_objective(form, guide),
        **values,  # type: ignore[arg-type]  # checked above
    )


def _end_and_objective(form: Mapping[str, Any], guide: Picture | None) -> dict[str, Any]:
    """The fields `end` and `objective` of the recipe."""
    label = form.get("label") or ""
    if label:
        if guide:
            raise ParameterError("a guide and a label exclude each other: choose one of them")
        labels = find_model(form["model"]).labels
        if label not in labels:
            raise ParameterError(f"{str(label)[:60]!r} is not a label of this model; choose one from the list")
        return {"end": None, "objective": {"objective": "label", "label": label, "index": labels.index(label)}}
    end = form.get("end")
    if not isinstance(end, str) or len(end) > 100:
        raise ParameterError("no layer is chosen")
    return {"end": end, "objective": {"objective": "guided" if guide else "L2"}}


def form_of(recipe: Recipe, limits: Limits) -> tuple[dict[str, Any], list[str]]:
    """The form for a recipe, as far as the page can set it.

    Args:
        recipe: from a visitor's image, so that any of its values may be wrong.
        limits: the limits of the page.

    Returns:
        (form, notes): the form, which may lack values that cannot be set here, and a sentence for each of these.
    """
    seed = recipe.seed
    form: dict[str, Any] = {"label": "", "seed": seed if seed is not None and 0 <= seed < 2**32 else None}
    notes = []
    if recipe.model in model_names():
        model, objective = find_model(recipe.model), recipe.objective
        assert isinstance(objective, Mapping)  # a recipe makes sure that it is one
        form |= {"model": recipe.model}
        kind = objective.get("objective")
        if kind == "label" and objective.get("label") in model.labels:
            form |= {"label": objective["label"], "end": model.end}
        elif isinstance(recipe.end, str):
            form |= {"end": recipe.end[:100]}
        else:
            notes.append("It was dreamt from several layers, which cannot be set here.")
        if kind not in ("L2", "label", "guided"):
            notes.append("Its objective cannot be set here.")
        if isinstance(recipe.guide, list):
            notes.append(f"It had {len(recipe.guide)} guides, which cannot be set here.")
        elif recipe.guide:
            notes.append(f"It had the guide {recipe.guide!r}: choose that one as well.")
    else:
        notes.append(f"Its model {recipe.model!r} is not available here.")
    if recipe.mask is not None:
        notes.append("It had a mask: paint one, or choose its file.")
    if recipe.schedule is not None:
        notes.append("Its settings changed from octave to octave, which cannot be set here.")
    if recipe.wrap is not None:
        notes.append("Its edges joined, which cannot be set here.")
    if recipe.kind not in ("dream", "stopped dream"):
        notes.append(f"It is of the kind {recipe.kind[:40]!r}, which this page cannot make.")
    if not recipe.clip:
        notes.append("It was dreamt without clipping, which cannot be set here.")
    for name, number in form_numbers(limits).items():
        value = getattr(recipe, name)
        if name == "max_size" and value is None:
            continue
        is_nan = isinstance(value, float) and math.isnan(value)
        form[name] = number.default if is_nan else min(max(value, number.minimum), number.maximum)
        if form[name] != value:
            notes.append(f"{number.title} {str(value)[:12]} is out of range; using {form[name]:g}.")
    return form, notes


def default_form(limits: Limits) -> dict[str, Any]:
    """The form as a new visitor finds it: bvlc_googlenet if its weights are here, else the small network."""
    names = model_names()
    here = [name for name in (*_PREFERRED_MODELS, *names) if name in names and local_weights(find_model(name))]
    model = find_model(here[0] if here else _PREFERRED_MODELS[-1])
    return {
        "model": model.name,
        "end": model.end,
        "label": "",
        "seed": None,
        **{name: number.default for name, number in form_numbers(limits).items()},
    }


def models_for_page() -> list[dict[str, Any]]:
    """The models, for the page."""
    return [
        {
            "name": model.name,
            "title": model.title,
            "end": model.end,
            "labels": model.labels,
            "here": bool(local_weights(model)),
            "ladder": ladder(model),
        }
        for model in map(find_model, model_names())
    ]


def numbers_for_page(limits: Limits) -> dict[str, dict[str, Any]]:
    """The numbers, for the page."""
    return {name: dataclasses.asdict(number) for name, number in form_numbers(limits).items()}
