"""Objectives as data, for recipes.

A spec is a dict that JSON can hold. `{"objective": "L2"}`, `{"objective": "channels", "indices": [1, 2]}`,
`{"objective": "label", "label": "banana", "index": 954}`, `{"objective": "guided", "guide_sha256": "…"}`; for a sum at
one layer `{"objective": "sum", "terms": [{"weight": 0.5, "objective": …}, …]}`, and for a mapping of layers
`{"objective": "layers", "layers": {layer: spec}}`. `guide_sha256` is that of the guide's pixels
(`deepdream.io.arrays.image_sha256`); the guide itself is not part of the spec. A recipe, which has its guides in a
field, replaces the hash by the guide's number there, `"guide": 1`, or leaves it out if it is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .._types import Image, Layers, ObjectiveFunction, ObjectiveOrMapping
from ..errors import ParameterError
from ..guide import guided
from ..network.net import Net
from ..objective_sums import Objective, Objectives
from ..objectives import channels, label, objective_L2
from ..text import counted
from ..validation import WEIGHT_LIMITS, is_number, is_weight, short_repr
from .fields import as_list

# What a spec of each kind holds beside its objective, in a recipe; as it is written in TOML.
_KEYS: dict[str, tuple[str, ...]] = {
    "L2": (),
    "channels": ("indices",),
    "label": ("label", "index"),
    "guided": ("guide",),
    "layers": ("layers",),
    "sum": ("terms",),
}
_EXAMPLES = {
    "L2": "",
    "channels": "indices = [7]",
    "label": "label = 'banana'",
    "guided": "guide = 0",
    "layers": "layers = {fire2/concat = {objective = 'L2'}}",
    "sum": "terms = [{objective = 'L2', weight = 0.5}, {objective = 'label', label = 'banana'}]",
}


def spec_of(objective: ObjectiveOrMapping) -> dict[str, Any] | None:
    """The spec of an objective or of a mapping of them; `None` if one of them has no `spec`."""
    if isinstance(objective, Mapping):
        specs = {layer: spec_of(each) for layer, each in objective.items()}
        return None if None in specs.values() else {"objective": "layers", "layers": specs}
    return getattr(objective, "spec", None)


def objective_from_spec(
    net: Net, spec: Any, end: Layers | None = None, guide: Image | Sequence[Image] | None = None
) -> ObjectiveFunction | dict[str, Any]:
    """Make an objective from its spec.

    Args:
        net: the network.
        spec: see above.
        end: the layer or {layer: weight} that a guide is used at.
        guide: the guide's image, or several, if the spec needs them. Their hashes are not compared here.

    Returns:
        An objective, or a mapping of them.

    Raises:
        ImageError: as `guided`.
        LayerError: as `guided`.
        ModelError: as `label`.
        ParameterError: this is not a spec, or its guide is missing; or as the objectives.
    """
    kind = spec.get("objective") if isinstance(spec, Mapping) else None
    guides = as_list(guide)
    try:
        if kind == "L2":
            return objective_L2
        if kind == "channels":
            return channels(spec["indices"])
        if kind == "label":
            return label(net, spec["index"] if "index" in spec else spec["label"])
        if kind == "layers":
            return {layer: objective_from_spec(net, each, layer, guides) for layer, each in spec["layers"].items()}
        if kind == "guided":
            return guided(net, _numbered(guides, spec.get("guide", 0)), end)
        if kind == "sum":
            return _sum_from_spec(net, spec["terms"], end, guides)
    except (LookupError, AttributeError, TypeError):
        pass
    raise ParameterError(f"{short_repr(spec)} does not describe an objective of deepdream")


def check_spec(spec: Any, guide_n: int = 0) -> None:
    """Check that a value is a spec, as far as this is possible without its network.

    Args:
        spec: the value.
        guide_n: the number of guides that there are.

    Raises:
        ParameterError: it is not; the message shows one.
    """
    kind = spec.get("objective") if isinstance(spec, Mapping) else None
    if not isinstance(kind, str) or kind not in _EXAMPLES:
        raise ParameterError(
            f"objective={short_repr(spec)}: it must be the name of one, or a table, as in "
            f"{_example('channels')}; there are {', '.join(_EXAMPLES)}"
        )
    unknown = sorted(set(spec) - {"objective", "weight", *_KEYS[kind]})
    if unknown or (not any(key in spec for key in _KEYS[kind]) and kind not in ("L2", "guided")):
        has = f"has {short_repr(unknown[0])}" if unknown else "is incomplete"
        raise ParameterError(f"objective={short_repr(spec)} {has}; it must be as in {_example(kind)}")
    weight = spec.get("weight", 1.0)
    if not is_number(weight) or not is_weight(weight):
        raise ParameterError(f"objective={short_repr(spec)}: its weight must be {WEIGHT_LIMITS}")
    if kind == "channels":
        channels(spec["indices"])
    elif kind == "guided":
        _check_guide(spec.get("guide", 0), guide_n)
    elif kind in ("layers", "sum"):
        parts = spec[_KEYS[kind][0]]
        if not parts or not isinstance(parts, Mapping if kind == "layers" else list):
            raise ParameterError(f"objective={short_repr(spec)}: it must be as in {_example(kind)}")
        for each in _parts(spec):
            check_spec(each, guide_n)


def labels_in(spec: Mapping[str, Any]) -> Iterator[str | int]:
    """The labels that a checked spec names, by name or number."""
    kind = spec["objective"]
    if kind == "label":
        yield spec["index"] if "index" in spec else spec["label"]
    elif kind in ("layers", "sum"):
        for each in _parts(spec):
            yield from labels_in(each)


def _parts(spec: Mapping[str, Any]) -> Iterable[Any]:
    """The specs that a spec of several layers, or of a sum, consists of."""
    parts = spec[_KEYS[spec["objective"]][0]]
    return parts.values() if isinstance(parts, Mapping) else parts


def _example(kind: str) -> str:
    return f"{{{', '.join(filter(None, [f'objective = {kind!r}', _EXAMPLES[kind]]))}}}"


def _check_guide(number: Any, guide_n: int) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < max(1, guide_n):
        raise ParameterError(
            f"the objective is guided by guide {short_repr(number)}, but there {'is' if guide_n == 1 else 'are'} "
            f"{counted(guide_n, 'guide')}, numbered from 0"
        )
    if not guide_n:
        raise ParameterError("the objective is guided by an image; pass it as guide")


def _numbered(guides: Sequence[Image], number: Any) -> Image:
    _check_guide(number, len(guides))
    return guides[number]


def _sum_from_spec(net: Net, terms: Any, end: Layers | None, guides: Sequence[Image]) -> Objective | Objectives:
    """The weighted sum of the objectives that `terms` describe, at one layer or at the same several."""
    own = net.end if end is None else dict.fromkeys(end, 1.0) if isinstance(end, Mapping) else end
    weighted = []
    for term in terms:
        function = objective_from_spec(net, {key: each for key, each in term.items() if key != "weight"}, own, guides)
        if isinstance(function, Mapping) and not isinstance(function, Objectives):
            raise ParameterError("a sum in a recipe is for one layer: write a table of layers that holds sums instead")
        if not isinstance(function, (Objective, Objectives)):
            function = Objective(function)
        if isinstance(function, Objective) and function.end is None:
            function = function.at(own)
        weighted.append(function * term.get("weight", 1.0))
    total = sum(weighted[1:], weighted[0])
    if isinstance(total, Objectives) and not isinstance(own, Mapping):
        raise ParameterError(
            f"a sum in a recipe is for one layer, and this one for {', '.join(total)}: write a table of layers instead"
        )
    return total
