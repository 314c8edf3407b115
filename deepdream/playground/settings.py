"""What can be set on the page: from the page's form to a `Recipe`, and from a recipe back into the form.

The central type is the form, a dict of plain values:

- `model`, `end`: the network's and the layer's name; `label`: what to dream instead of a layer's own, or "".
- `max_size`, `octave_n`, `iter_n`, `octave_scale`, `step_size`, `jitter`, `strength`, `seed`: as in `Recipe`;
  `seed=None` draws one.
"""

import dataclasses
import inspect
import math
from dataclasses import dataclass

from .. import models
from ..dream import deepdream
from ..errors import ParameterError
from ..recipe import Recipe

# The library's signature is the only home of a default.
_DEFAULT = {name: parameter.default for name, parameter in inspect.signature(deepdream).parameters.items()}
SIZE = 640  # pixels: some seconds with bvlc_googlenet on two cores


@dataclass(frozen=True)
class Number:
    """One of the form's numbers: what it is called, its range and step, its default."""

    title: str
    least: float
    most: float
    step: float
    default: float

    def holds(self, value):
        """Whether `value` is such a number."""
        kind = int if isinstance(self.step, int) else (int, float)
        return isinstance(value, kind) and not isinstance(value, bool) and self.least <= value <= self.most


def numbers(limits):
    """{name: Number} of the form, in the page's order."""
    return {
        "max_size": Number("Size", 96, limits.side, 32, min(SIZE, limits.side)),
        "octave_n": Number("Octaves", 1, limits.octaves, 1, min(_DEFAULT["octave_n"], limits.octaves)),
        "iter_n": Number("Iterations", 1, limits.iterations, 1, min(_DEFAULT["iter_n"], limits.iterations)),
        "strength": Number("Strength", 0.05, 1.0, 0.05, 1.0),
        "step_size": Number("Step", 0.25, 6.0, 0.25, _DEFAULT["step_size"]),
        "octave_scale": Number("Octave scale", 1.1, 2.0, 0.05, _DEFAULT["octave_scale"]),
        "jitter": Number("Jitter", 0, 64, 1, _DEFAULT["jitter"]),
    }


def recipe_of(form, picture, guide, limits):
    """The recipe that a form asks for.

    **Arguments:** `form`: see above, as the page sent it; `picture`, `guide`: a `Picture` and another or `None`;
    `limits`: a `Limits`.

    **Returns:** a `Recipe`, not yet complete.

    **Raises:** `ParameterError` for what the page would not send, `ModelError` for no model.
    """
    form = dict(form)
    if form.get("model") not in models.model_names():  # a folder's path is a model elsewhere, but not here
        raise ParameterError(f"there is no model {form.get('model')!r} on this page")
    values = {name: form.get(name) for name in numbers(limits)}
    for name, number in numbers(limits).items():
        if not number.holds(values[name]):
            raise ParameterError(f"{number.title} {values[name]!r}: must be from {number.least:g} to {number.most:g}")
    seed = form.get("seed")
    if seed is not None and not (type(seed) is int and 0 <= seed < 2**32):
        raise ParameterError(f"Seed {seed!r}: must be a whole number from 0 to {2**32 - 1}")
    return Recipe(input=picture.name, model=form["model"], guide=guide and guide.name, seed=seed, tile="auto",
                  **_aim(form, guide), **values, **({"more": {"guide_max_size": limits.guide_side}} if guide else {}))


def _aim(form, guide):
    """The recipe's `end` and `objective`."""
    label = form.get("label") or ""
    if label:
        if guide:
            raise ParameterError("a guide and a label at once: choose one of them")
        labels = models.find_model(form["model"]).labels
        if label not in labels:
            raise ParameterError(f"{str(label)[:60]!r} is no label that this model knows; choose one of the list")
        return {"end": None, "objective": {"objective": "label", "label": label, "index": labels.index(label)}}
    end = form.get("end")
    if not isinstance(end, str) or len(end) > 100:
        raise ParameterError("no layer is chosen")
    return {"end": end, "objective": {"objective": "guided" if guide else "L2"}}


def form_of(recipe, limits):
    """The form that a recipe was made with, as far as the page has it.

    **Arguments:** `recipe`: a `Recipe` out of a visitor's picture; `limits`: a `Limits`.

    **Returns:** (form, notes): the form, which may lack what cannot be set here, and a sentence for each such thing.
    """
    form, notes = {"label": "", "seed": recipe.seed if 0 <= recipe.seed < 2**32 else None}, []
    if recipe.model in models.model_names():
        form |= {"model": recipe.model}
        kind = recipe.objective.get("objective")
        if kind == "label" and recipe.objective.get("label") in models.find_model(recipe.model).labels:
            form |= {"label": recipe.objective["label"], "end": models.find_model(recipe.model).end}
        elif isinstance(recipe.end, str):
            form |= {"end": recipe.end[:100]}
        else:
            notes.append("It was dreamt from several layers, which cannot be set here.")
        if kind not in ("L2", "label", "guided"):
            notes.append("Its objective cannot be set here.")
        if recipe.guide:
            notes.append(f"It had a guide, {recipe.guide!r}: choose that one as well.")
    else:
        notes.append(f"Its model {recipe.model!r} is not here.")
    if recipe.kind not in ("dream", "stopped dream"):
        notes.append(f"It is a picture of the kind {recipe.kind[:40]!r}, which is not made here.")
    if not recipe.clip:
        notes.append("It was dreamt without clipping, which cannot be set here.")
    for name, number in numbers(limits).items():
        value = getattr(recipe, name)
        if name == "max_size" and value is None:
            continue
        unknown = isinstance(value, float) and math.isnan(value)
        form[name] = number.default if unknown else min(max(value, number.least), number.most)
        if form[name] != value:
            notes.append(f"{number.title} {str(value)[:12]} is not to be had here: it is {form[name]:g} now.")
    return form, notes


def default_form(limits):
    """The form as a new visitor finds it: bvlc_googlenet if its weights are here, else the small network."""
    names = models.model_names()
    here = [name for name in ("bvlc_googlenet", "squeezenet_v1.1", *names)
            if name in names and models.local_weights(models.find_model(name))]
    model = models.find_model((here or ["squeezenet_v1.1"])[0])
    return {"model": model.name, "end": model.end, "label": "", "seed": None,
            **{name: number.default for name, number in numbers(limits).items()}}


def described(limits):
    """The numbers as the page is told them."""
    return {name: dataclasses.asdict(number) for name, number in numbers(limits).items()}
