"""What each kind of recipe needs, checked before anything is dreamt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..dream import check_steps
from ..errors import ParameterError
from ..label_images import check_label_steps
from ..network.layers import check_weight, weights_of
from ..network.tiling import check_tile
from ..octaves import check_octaves
from ..schedule import FRAME, OCTAVE, schedule_from_spec
from ..validation import check_count, check_seed, short_repr
from .fields import RecipeFields, as_list
from .objective_spec import check_spec

# What `more` must hold, and what it may hold beside that.
_NEEDED: dict[str, tuple[str, ...]] = {
    "channel": (),
    "dream": (),
    "label": ("blur",),
    "stopped dream": ("octave", "iteration"),
    "zoom": ("frame", "scale", "rotate"),
}
_OPTIONAL: dict[str, tuple[str, ...]] = {"zoom": ("center",)}
_OF_ALL = ("background", "guide_max_size")
KINDS = tuple(_NEEDED)


def check_makeable(recipe: RecipeFields) -> None:
    """Check that an image can be made from a recipe, as far as this is possible without its network and its inputs.

    Raises:
        ParameterError: it cannot; the message names the value, and what is needed.
    """
    kind = recipe.kind
    if kind not in KINDS:
        raise ParameterError(
            f"a recipe of the kind {short_repr(kind)} cannot be made again; this deepdream knows {', '.join(KINDS)}"
        )
    for name in _NEEDED[kind]:
        if name not in recipe.more:
            raise ParameterError(f"a recipe of the kind {kind!r} needs {name!r} in its more, as in {_example(kind)}")
    objective, guide_n = recipe.objective, len(as_list(recipe.guide))
    assert isinstance(objective, Mapping)  # the recipe made sure
    if recipe.schedule is None:
        check_spec(objective, guide_n)
    if kind == "label" and objective["objective"] != "label":
        raise ParameterError(
            f"objective={short_repr(objective)}: a recipe of the kind 'label' needs one such as "
            "{objective = 'label', label = 'banana'}"
        )
    one_channel = objective["objective"] == "channels" and len(as_list(objective.get("indices"))) == 1
    if kind == "channel" and not (isinstance(recipe.end, str) and one_channel):
        raise ParameterError(
            f"objective={short_repr(objective)}, end={short_repr(recipe.end)}: a recipe of the kind 'channel' has one "
            "channel at one layer: end = 'inception_4c/output', objective = {objective = 'channels', indices = [7]}"
        )
    _check_settings(recipe)
    if recipe.schedule is not None:
        _check_schedule(recipe, recipe.schedule)


def check_more_keys(recipe: RecipeFields) -> None:
    """Raise `ParameterError` for a value in a recipe's `more` that its kind does not use."""
    known = {*_NEEDED[recipe.kind], *_OPTIONAL.get(recipe.kind, ()), *_OF_ALL}
    unknown = sorted(set(recipe.more) - known)
    if unknown:
        raise ParameterError(
            f"more has {short_repr(unknown[0])}; for the kind {recipe.kind!r} there are {', '.join(sorted(known))}"
        )


def _example(kind: str) -> str:
    numbers = {"frame": 9, "scale": 0.05, "rotate": 0, "octave": 2, "iteration": 4, "blur": 0.5}
    return f"more = {{{', '.join(f'{name} = {numbers[name]}' for name in _NEEDED[kind])}}}"


def _check_settings(recipe: RecipeFields) -> None:
    """Check the numbers of a recipe and the weights of its layers, as far as its kind uses them."""
    check_seed(recipe.seed)
    if recipe.kind == "channel":
        check_count("iter_n", recipe.iter_n, 1, "the number of iterations")
        return
    steps = recipe.jitter, recipe.step_size
    if recipe.kind == "label":
        check_label_steps(recipe.iter_n, recipe.octave_n, recipe.octave_scale, *steps)
        return
    check_steps(recipe.iter_n, *steps)
    check_octaves(recipe.octave_n, recipe.octave_scale)
    check_tile(recipe.tile)
    for layer, weight in weights_of(recipe.end or {}).items():
        check_weight(layer, weight)


def _check_schedule(recipe: RecipeFields, spec: Mapping[str, Any]) -> None:
    """Check that a schedule fits to its recipe."""
    schedule = schedule_from_spec(spec)
    unit = {"dream": OCTAVE, "stopped dream": OCTAVE, "zoom": FRAME}.get(recipe.kind)
    if unit is None:
        raise ParameterError(f"a recipe of the kind {recipe.kind!r} has no schedule; leave it out")
    if schedule.unit != unit:
        raise ParameterError(
            f"the schedule's keyframes have {schedule.unit}s, and a recipe of the kind {recipe.kind!r} needs {unit}s"
        )
    schedule.check_octaves(recipe.octave_n)
    if len(as_list(recipe.guide)) != len(schedule.guides):
        raise ParameterError(
            f"guide={short_repr(recipe.guide)}: the schedule's guides are {short_repr(schedule.guides)}; leave it out"
        )
