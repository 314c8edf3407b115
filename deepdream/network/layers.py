"""The layers of a dream's objectives: one layer, or several with weights.

An `end` is a layer's name or a mapping {layer: weight}. With several layers, the weighted sum of the objectives is
maximised: `objective` is then one for all of them, or a mapping with the same keys. A layer may be named by itself or
by its output, the blob (see `end_names`); a *checked* `end` names blobs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from .._types import Layers, ObjectiveFunction, ObjectiveOrMapping
from ..errors import LayerError, ParameterError
from ..objective_sums import parse_value
from ..validation import WEIGHT_LIMITS, is_weight, short_repr
from .device import has_gpu_planes
from .interface import NetInterface


def resolve_end(net: NetInterface, end: Layers | None, objective: ObjectiveOrMapping | None) -> Layers:
    """The checked layers of a dream: `end`, or else the objective's own layers, or else the network's.

    Args:
        net: the network.
        end: a layer, a mapping of layers to weights, or `None`.
        objective: a callable, a mapping of layers to callables, or `None` to check only the layers. A mapping without
            an `end` of its own stands for its layers with weight 1.

    Returns:
        The name of the layer's blob, or {blob: weight} from the shallowest to the deepest.

    Raises:
        LayerError: the network lacks a layer, the objectives were made for others, or one cannot be used at its layer.
        ParameterError: `end` or an objective is of the wrong type, or a weight is zero or not a finite number.
    """
    made_for = getattr(objective, "end", None)
    if made_for is None and isinstance(objective, Mapping):
        made_for = dict.fromkeys(objective, 1)
    if end is None:
        end = net.end if made_for is None else made_for
    elif made_for is not None and _blobs(net, end) != _blobs(net, made_for):
        raise LayerError(
            f"end is {format_layers(end)} but the objective was made for {format_layers(made_for)}; leave end out, or "
            f"make the objective for {format_layers(end)}"
        )
    objectives = _objective_of_each(net, end, objective)
    for layer in _layer_names(end):
        blob = net.check_layer(layer)
        if objective is not None:
            check_objective(layer, objectives[blob])
        own_end = getattr(objectives[blob], "end", None)
        if own_end not in (None, made_for) and _blobs(net, own_end) != {blob}:
            raise LayerError(f"the objective for {layer!r} was made for {format_layers(own_end)}")
        check = getattr(objectives[blob], "check", None)
        if check is not None:
            check(net, blob)
    if not isinstance(end, Mapping):
        return net.check_layer(end)
    if len(objectives) < len(end):
        raise LayerError(f"end={short_repr(dict(end))}: two of the names are one layer's; name it once")
    order = list(net.end_names.makers)
    weights = {net.check_layer(layer): check_weight(layer, weight) for layer, weight in end.items()}
    return {blob: weights[blob] for blob in sorted(weights, key=order.index)}


def objectives_at(net: NetInterface, end: Layers, objective: ObjectiveOrMapping) -> dict[str, ObjectiveFunction]:
    """The objective of each layer of an `end`.

    Args:
        net: the network.
        end: a checked layer or {layer: weight}.
        objective: one for every layer, or a mapping of the same layers as `end`, by either of their names.

    Returns:
        {blob: its objective}. Such an objective returns a float or `None`, or raises a `LayerError` if the original
        returned anything else.
    """
    return {
        blob: _with_checked_value(blob, _for_device(net, each))
        for blob, each in _objective_of_each(net, end, objective).items()
    }


def check_objective(layer: str, objective: Any) -> None:
    """Raise `ParameterError` unless the objective for this layer is callable."""
    if not callable(objective):
        raise ParameterError(
            f"the objective for {layer!r} is {short_repr(objective)}; it must be callable, as deepdream.objective_L2 is"
        )


def _objective_of_each(net: NetInterface, end: Layers, objective: Any) -> Mapping[str, Any]:
    """{blob: its objective}."""
    if isinstance(objective, Mapping):
        return {net.check_layer(layer): each for layer, each in objective.items()}
    return dict.fromkeys(map(net.check_layer, _layer_names(end)), objective)


def _for_device(net: NetInterface, objective: Any) -> ObjectiveFunction:
    """The objective; on a GPU its own way to compute there, if it has one."""
    on_gpu = getattr(objective, "on_gpu", None)
    if net.gpu is None or on_gpu is None or not has_gpu_planes():
        return cast(ObjectiveFunction, objective)
    return partial(on_gpu, gpu=net.gpu)


def _with_checked_value(layer: str, objective: ObjectiveFunction) -> ObjectiveFunction:
    return lambda dst: parse_value(f"the objective for {layer!r}", objective(dst))


def weights_of(end: Layers) -> Mapping[str, float]:
    """{layer: weight} of an `end`; a single layer has the weight 1."""
    return end if isinstance(end, Mapping) else {end: 1}


def format_layers(end: Layers) -> str:
    """An `end` as an error message names it: 'a', or 'a' and 'b'."""
    return " and ".join(repr(layer) for layer in weights_of(end))


def _blobs(net: NetInterface, end: Layers) -> set[str]:
    """The blobs that an `end` names; a name that the network does not know stands for itself."""
    return {net.end_names.layers.get(layer, layer) for layer in _layer_names(end)}


def _layer_names(end: Any) -> set[str]:
    if isinstance(end, Mapping) and not end:
        raise LayerError("end={}: it must name at least one layer, as in {'inception_4c/output': 1}")
    if not isinstance(end, (str, Mapping)):
        raise ParameterError(
            f"end={short_repr(end)}: it must be a layer's name, or layers with weights, as in "
            "{'inception_4c/output': 1}"
        )
    return set(weights_of(end))


def check_weight(layer: str, weight: Any) -> float:
    """The weight of a layer as a float; raises `ParameterError` if it cannot be one."""
    try:
        number = float(weight)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(weight, (bool, str)) or not is_weight(number):
        raise ParameterError(f"the weight of {layer!r} is {short_repr(weight)}; it must be {WEIGHT_LIMITS}")
    return number
