"""The gradient of a dream's objective with respect to the image in a network's input blob.

With several layers, both passes run in segments, from one layer to the next: each objective sees its layer before an
in-place ReLU that follows, and its diff is added to the diff from above when the backward pass reaches that layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .._types import Layers, ObjectiveOrMapping, Planes
from ..objective_sums import sum_values
from .interface import NetInterface
from .layers import objectives_at, weights_of


def input_gradient(net: NetInterface, end: Layers, objective: ObjectiveOrMapping) -> tuple[Planes, float | None]:
    """Run forward to `end`, evaluate the objective there, and run backward to the image in the input blob.

    Args:
        net: the network; `net.input.data[0]` holds the image.
        end: a checked layer name or {layer: weight}.
        objective: see `deepdream.objectives`.

    Returns:
        (gradient, value): the input blob's diff, a live view (3, H, W), and the weighted sum of the values that the
        objectives returned; `None` if one returned nothing.
    """
    value = run_passes(net, end, objective)
    return net.input.diff[0], value


def run_passes(net: NetInterface, end: Layers, objective: ObjectiveOrMapping) -> float | None:
    """As `input_gradient`, without reading the gradient, which may be on a GPU; returns the value."""
    at_once = _at_once(net, end, objective)
    if at_once:
        return at_once()
    weights, objectives = weights_of(end), objectives_at(net, end, objective)
    names = list(net._layer_names)
    stops: dict[int, list[str]] = {}  # the number of a layer -> the blobs of `end` that it makes
    for blob in sorted(weights, key=lambda blob: names.index(net.end_names.makers[blob])):
        stops.setdefault(names.index(net.end_names.makers[blob]), []).append(blob)
    last = max(stops)
    starts = [0, *(stop + 1 for stop in stops)]
    kept, values = {}, []
    for start, stop in zip(starts, stops):
        net._forward(start, stop)
        for blob in stops[stop]:
            value = objectives[blob](net.blobs[blob])
            values.append(None if value is None else weights[blob] * value)
            if weights[blob] != 1:
                with np.errstate(over="ignore", invalid="ignore"):  # the step reports a gradient that is not finite
                    net.blobs[blob].diff[...] *= np.float32(weights[blob])
            if stop != last:
                kept[blob] = net.blobs[blob].diff.copy()
    _clear_unwritten(net, last, stops[last])
    for start, stop in reversed(list(zip(starts, stops))):
        for blob in stops[stop]:
            if blob in kept:
                with np.errstate(over="ignore", invalid="ignore"):
                    net.blobs[blob].diff[...] += kept.pop(blob)
        net._backward_to_input(stop, start)
    return sum_values(values)


def _at_once(net: NetInterface, end: Layers, objective: ObjectiveOrMapping) -> Callable[[], float] | None:
    """The function that runs the passes on a GPU without coming back in between, where there is one."""
    if net.gpu is None or not isinstance(end, str) or not getattr(objective, "is_half_sum_of_squares", False):
        return None
    last = list(net._layer_names).index(net.end_names.makers[end])
    return None if net.loose_ends(last) - {end} else net.gpu_passes(last, end)


def _clear_unwritten(net: NetInterface, last: int, written: Sequence[str]) -> None:
    """Zero the diffs that a backward pass from layer number `last` reads, but neither it nor an objective has written.

    Caffe's backward also runs side branches below `last` that do not lead to it, starting from the diffs that an
    earlier dream left at their tops.
    """
    for blob in net.loose_ends(last) - set(written):
        net.blobs[blob].diff[...] = 0
