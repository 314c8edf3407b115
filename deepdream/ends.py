"""Where a dream's objectives stand: one layer, or several with weights.

An `end` is a layer's name or a mapping {layer: weight}. With several layers the weighted sum of the objectives is
raised: `objective` is then one for all of them, or a mapping with the same keys.
"""

import math
from collections.abc import Mapping

from .errors import LayerError, ParameterError


def resolve_end(net, end, objective):
    """What a dream raises: `end`, else the objective's own layers, else the network's, all of it checked.

    **Arguments:** `net`: a `Net`; `end`: a layer, a mapping of layers to weights, or `None`; `objective`: a callable,
    a mapping of layers to callables, or `None` to check the layers alone. A mapping that has no `end` of its own
    stands for its layers with weight 1.

    **Returns:** the layer's name, or {layer: weight} from the shallowest to the deepest.

    **Raises:** `LayerError` for layers that the network lacks, that the objectives were not made for, or that the
    objective cannot be used at; `ParameterError` for a weight that is no finite number or is zero.
    """
    belongs = getattr(objective, "end", None)
    if belongs is None and isinstance(objective, Mapping):
        belongs = dict.fromkeys(objective, 1)
    if end is None:
        end = net.end if belongs is None else belongs
    elif belongs is not None and _layers(end) != _layers(belongs):
        raise LayerError(f"end is {named(end)} but the objective was made for {named(belongs)}; leave end out, or make "
                         f"the objective for {named(end)}")
    objectives = objectives_at(end, objective)
    for layer in _layers(end):
        net.check_layer(layer)
        if objectives[layer] is not None and not callable(objectives[layer]):
            raise LayerError(f"the objective for {layer!r} is {objectives[layer]!r}; it must be callable, as "
                             "deepdream.objective_L2 is")
        made_for = getattr(objectives[layer], "end", None)
        if made_for not in (None, layer, belongs):
            raise LayerError(f"the objective for {layer!r} was made for {named(made_for)}")
        check = getattr(objectives[layer], "check", None)
        if check is not None:
            check(net, layer)
    if not isinstance(end, Mapping):
        return end
    order = net.dreamable
    return {layer: _weight(layer, end[layer]) for layer in sorted(end, key=order.index)}


def objectives_at(end, objective):
    """{layer: its objective}; an objective that is no mapping stands at every layer of `end`."""
    return objective if isinstance(objective, Mapping) else dict.fromkeys(_layers(end), objective)


def weights_of(end):
    """{layer: weight} of an `end`; one layer alone has the weight 1."""
    return end if isinstance(end, Mapping) else {end: 1}


def named(end):
    """An `end` as an error message names it: 'a', or 'a' and 'b'."""
    return " and ".join(repr(layer) for layer in weights_of(end))


def _layers(end):
    if isinstance(end, Mapping) and not end:
        raise LayerError("end={}: it must name at least one layer, as in {'inception_4c/output': 1}")
    if not isinstance(end, (str, Mapping)):
        raise LayerError(f"end={end!r}: it must be a layer's name, or layers with weights, as in "
                         "{'inception_4c/output': 1}")
    return set(weights_of(end))


def _weight(layer, weight):
    try:
        number = float(weight)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(weight, (bool, str)) or not math.isfinite(number) or number == 0:
        raise ParameterError(f"the weight of {layer!r} is {weight!r}; it must be a finite number other than 0")
    return number
