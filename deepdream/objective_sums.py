"""Objectives that add and scale: `dd.guided(net, cat, end) + 0.5 * dd.label(net, "ant")`.

The central type is `Objective`: a function as `deepdream.objectives` describes them, with the attributes that it may
have. The sum of objectives at one layer is an `Objective`; that of several layers is `Objectives`, one for each of them
with its weight, whose gradients the network adds on its way back to the image. Any function can be a term of a sum.
"""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ._types import Layers, ObjectiveFunction
from .errors import LayerError, ParameterError
from .validation import WEIGHT_LIMITS, is_weight, short_repr, truncate

# A weighted objective in a sum: its weight, itself, and its layer, or `None` if it has none.
Term = tuple[float, "Objective", "str | None"]


class _Terms:
    """What objectives for one layer and for several share: they add, and numbers scale them."""

    __array_ufunc__ = None  # so that NumPy's numbers scale them, too

    def terms(self) -> list[Term]:
        """The weighted objectives that this one is the sum of, each with its layer."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Objective | Objectives:
        others = _terms_of(other)
        return NotImplemented if others is None else _sum([*self.terms(), *others])

    def __radd__(self, other: Any) -> Objective | Objectives:
        others = _terms_of(other)
        return NotImplemented if others is None else _sum([*others, *self.terms()])

    def __sub__(self, other: Any) -> Objective | Objectives:
        others = _terms_of(other)
        return NotImplemented if others is None else _sum([*self.terms(), *_scaled(others, -1)])

    def __rsub__(self, other: Any) -> Objective | Objectives:
        return -self + other

    def __mul__(self, weight: Any) -> Objective | Objectives:
        return _sum(_scaled(self.terms(), weight)) if isinstance(weight, numbers.Real) else NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> Objective | Objectives:
        return _sum(_scaled(self.terms(), -1))


class Objective(_Terms):
    """An objective that can be added to others and multiplied by a number: `a + 0.5 * b`.

    `channels`, `label` and `guided` return one. This class makes one of any other function.

    Args:
        function: the objective, `f(dst)`, see `deepdream.objectives`.
        end: the layer that it belongs to; `None`: the function's own, or else any.
        check: see `deepdream.objectives`; `None`: the function's own.
        spec: see `deepdream.objectives`; `None`: the function's own.

    Raises:
        ParameterError: the function cannot be called, or `end` is not a layer's name.

    Example:
        >>> see = dd.Objective(dd.objective_L2, end="fire6/concat")
        >>> objective = see + 0.5 * dd.channels([3, 7]).at("fire6/concat") - 2 * dd.label(net, "ant")
        >>> objective.end
        {'fire6/concat': 1.0, 'pool10': -2.0}
        >>> dd.deepdream(net, dd.picture("cat")[:64, :64], iter_n=1, octave_n=1, objective=objective).shape
        (64, 64, 3)
    """

    end: str | None
    check: Callable[[Any, str], None] | None
    spec: dict[str, Any] | None
    on_gpu: Callable[[Any, int], float] | None

    def __init__(
        self,
        function: ObjectiveFunction,
        end: str | None = None,
        check: Callable[[Any, str], None] | None = None,
        spec: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(function):
            raise ParameterError(f"function={short_repr(function)}: an objective must be callable, as objective_L2 is")
        if end is not None and not isinstance(end, str):
            raise ParameterError(f"end={short_repr(end)}: it must be a layer's name; `at` accepts several layers")
        functools.update_wrapper(self, function, updated=())
        self.end = getattr(function, "end", None) if end is None else end
        self.check = getattr(function, "check", None) if check is None else check
        self.spec = getattr(function, "spec", None) if spec is None else dict(spec)
        self.on_gpu = getattr(function, "on_gpu", None)
        self._function = function

    def __call__(self, dst: Any) -> float | None:
        return self._function(dst)

    def at(self, end: Layers) -> Objective | Objectives:
        """The same objective at a layer, or at each of several: {layer: weight}.

        Raises:
            LayerError: it was made for another layer.
        """
        for layer in [end] if isinstance(end, str) else end:
            if self.end not in (None, layer):
                raise LayerError(f"the objective was made for {self.end!r} and cannot be used at {short_repr(layer)}")
        if isinstance(end, Mapping):
            return Objectives({layer: self._at_layer(layer) for layer in end}, end)
        return self._at_layer(end)

    def _at_layer(self, end: str) -> Objective:
        return Objective(self, end)

    def terms(self) -> list[Term]:
        """The weighted objectives that this one is the sum of, each with its layer: here only itself."""
        return [(1.0, self, self.end)]


class _Sum(Objective):
    """The weighted sum of objectives at one layer."""

    def __init__(self, terms: Sequence[Term], end: str | None) -> None:
        self._weighted = [(weight, each) for weight, each, _ in terms]
        specs = [{"weight": weight, **each.spec} for weight, each in self._weighted if each.spec is not None]
        complete = len(specs) == len(self._weighted)
        spec = {"objective": "sum", "terms": specs} if complete else None
        super().__init__(self._add_up, end, self._check_each, spec)

    def terms(self) -> list[Term]:
        return [(weight, each, self.end) for weight, each in self._weighted]

    def _at_layer(self, end: str) -> Objective:
        return _Sum(self.terms(), end)

    def _add_up(self, dst: Any) -> float | None:
        total, values = np.zeros_like(dst.diff), []
        for weight, each in self._weighted:
            dst.diff[...] = 0  # of the term before, for an objective that writes only a part
            value = parse_value("an objective in a sum", each(dst))
            values.append(None if value is None else weight * value)
            with np.errstate(over="ignore", invalid="ignore"):  # a gradient that is not finite is an error of the step
                total += np.float32(weight) * dst.diff
        dst.diff[...] = total
        return sum_values(values)

    def _check_each(self, net: Any, layer: str) -> None:
        for _, each in self._weighted:
            if each.check is not None:
                each.check(net, layer)


class Objectives(dict[str, ObjectiveFunction], _Terms):
    """One objective for each of several layers: {layer: objective}. They add and scale, as an `Objective` does.

    Args:
        objectives: {layer: objective}.
        end: {layer: weight}, with the same layers.

    Attributes:
        end: {layer: weight}, which a dream with `end=None` uses.
        spec: {"objective": "layers", "layers": {layer: spec}}; `None` if one of the objectives has no `spec`.

    Raises:
        ParameterError: these are not mappings with the same layers.

    Example:
        >>> weights = {"fire4/concat": 1, "fire8/concat": 50}
        >>> both = dd.Objectives({"fire4/concat": dd.objective_L2, "fire8/concat": dd.channels(7)}, end=weights)
        >>> dd.deepdream(net, dd.picture("cat")[:64, :64], iter_n=1, octave_n=1, objective=both).shape
        (64, 64, 3)
    """

    end: dict[str, float]
    spec: dict[str, Any] | None

    def __init__(self, objectives: Mapping[str, ObjectiveFunction], end: Mapping[str, float]) -> None:
        if not (isinstance(objectives, Mapping) and isinstance(end, Mapping) and objectives.keys() == end.keys()):
            raise ParameterError(
                f"objectives={short_repr(objectives)}, end={short_repr(end)}: they must be {{layer: objective}} and "
                "{layer: weight} with the same layers"
            )
        super().__init__(objectives)
        self.end = dict(end)
        specs = {layer: getattr(objective, "spec", None) for layer, objective in self.items()}
        self.spec = None if None in specs.values() else {"objective": "layers", "layers": specs}

    def terms(self) -> list[Term]:
        """The weighted objectives, each with its layer."""
        return [
            (self.end[layer] * weight, each, layer)
            for layer, objective in self.items()
            for weight, each, _ in _as_objective(objective).terms()
        ]


def _terms_of(other: Any) -> list[Term] | None:
    """The terms of what is added to an objective; `None` if it is not an objective."""
    if isinstance(other, numbers.Real) and other == 0:  # where `sum` begins
        return []
    if isinstance(other, Mapping):
        end = getattr(other, "end", dict.fromkeys(other, 1.0))
        return Objectives(other, end).terms()
    return _as_objective(other).terms() if callable(other) else None


def _as_objective(function: ObjectiveFunction) -> Objective:
    return function if isinstance(function, Objective) else Objective(function)


def _scaled(terms: Iterable[Term], factor: Any) -> list[Term]:
    try:
        number = float(factor)
    except OverflowError:  # a whole number of more than 308 digits
        number = math.inf
    return [(number * weight, each, layer) for weight, each, layer in terms]


def _sum(terms: Sequence[Term]) -> Objective | Objectives:
    """The sum of weighted objectives: for one layer an `Objective`, for several `Objectives`."""
    layers: dict[str | None, list[Term]] = {}
    for weight, each, layer in terms:
        if not is_weight(weight):
            raise ParameterError(
                f"an objective cannot have the weight {short_repr(weight)}; it must be {WEIGHT_LIMITS}"
            )
        layers.setdefault(layer, []).append((weight, each, layer))
    if len(layers) == 1:
        ((layer, own),) = layers.items()
        return own[0][1] if len(own) == 1 and own[0][0] == 1 and own[0][1].end == layer else _Sum(own, layer)
    if None in layers:
        each = layers[None][0][1]
        name = each.spec["objective"] if each.spec else getattr(each, "__name__", "one")
        raise ParameterError(
            f"to add {truncate(name)} to an objective for {next(filter(None, layers))!r}, say for which layer it is: "
            "deepdream.Objective(deepdream.objective_L2, end=layer), deepdream.channels(7).at(layer)"
        )
    single = {layer: own[0] for layer, own in layers.items() if len(own) == 1}
    return Objectives(
        {str(layer): single[layer][1] if layer in single else _Sum(own, layer) for layer, own in layers.items()},
        {str(layer): single[layer][0] if layer in single else 1.0 for layer in layers},
    )


def parse_value(what: str, value: Any) -> float | None:
    """The value that an objective returned, as a number.

    Args:
        what: the objective, for the message.
        value: a number, an array of one number, or `None`.

    Raises:
        LayerError: it is something else.
    """
    if value is None:
        return None
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        return float(value.item() if isinstance(value, np.ndarray) else value)
    except (TypeError, ValueError, OverflowError):
        raise LayerError(f"{what} returned {short_repr(value)}; it must return a number, or None") from None


def sum_values(values: Iterable[float | None]) -> float | None:
    """The sum of the values that objectives returned; `None` if one of them returned nothing."""
    values = list(values)
    found = [value for value in values if value is not None]
    return sum(found) if len(found) == len(values) else None
