"""Where a dream's objectives stand: one layer, or several with weights.

An `end` is a layer's name or a mapping {layer: weight}. With several layers the weighted sum of the objectives is
raised: `objective` is then one for all of them, or a mapping with the same keys.
"""

import math
from collections.abc import Mapping

import numpy as np

from .checks import shown
from .errors import LayerError, ParameterError

MOST_WEIGHT = float(np.finfo(np.float32).max)  # gradients are weighted in float32


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
    objectives = _objectives(end, objective)
    for layer in _layers(end):
        net.check_layer(layer)
        if objective is not None:
            check_objective(layer, objectives[layer])
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
    """{layer: its objective, with what it returns checked}; one that is no mapping stands at every layer of `end`."""
    return {layer: _checked(layer, each) for layer, each in _objectives(end, objective).items()}


def check_objective(layer, objective):
    """Refuse what is no objective for this layer."""
    if not callable(objective):
        raise LayerError(f"the objective for {layer!r} is {shown(objective)}; it must be callable, as "
                         "deepdream.objective_L2 is")


def _objectives(end, objective):
    return objective if isinstance(objective, Mapping) else dict.fromkeys(_layers(end), objective)


def _checked(layer, objective):
    def raise_it(dst):
        value = objective(dst)
        if value is None:
            return None
        try:
            if isinstance(value, (str, bytes)):
                raise TypeError
            return float(value.item() if isinstance(value, np.ndarray) else value)
        except (TypeError, ValueError, OverflowError):
            raise LayerError(f"the objective for {layer!r} returned {shown(value)}; it must return a number, or "
                             "None") from None

    return raise_it


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
        raise LayerError(f"end={shown(end)}: it must be a layer's name, or layers with weights, as in "
                         "{'inception_4c/output': 1}")
    return set(weights_of(end))


def _weight(layer, weight):
    try:
        number = float(weight)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(weight, (bool, str)) or not is_weight(number):
        raise ParameterError(f"the weight of {layer!r} is {shown(weight)}; it must be a finite number other than 0, "
                             f"from {-MOST_WEIGHT:.2g} to {MOST_WEIGHT:.2g}")
    return number


def is_weight(number):
    """Whether a float can be a layer's weight."""
    return abs(number) <= MOST_WEIGHT and number != 0
