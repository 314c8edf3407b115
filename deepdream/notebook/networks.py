"""Drawings of small networks, with the numbers that flow through them.

The numbers stand on the circles and on the lines, as micrograd (A. Karpathy, 2020) draws them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

_POSITIVE, _NEGATIVE = "#d9822b", "#3b7dd8"  # orange and blue: the colour-blind can tell them apart
_FORWARD_ARROW, _BACKWARD_ARROW = "#c0621a", "#7a3b9a"
_CANDIDATES = np.linspace(0.2, 0.76, 29)  # where on a line its number may stand, from its left end to its right end
_ASPECT = 2.2  # a number is this many times as wide as it is high

_Place = tuple[float, float]


def draw_network(
    values: Sequence[ArrayLike | None],
    weights: Sequence[NDArray[Any]],
    names: Sequence[str | Sequence[str]] | None = None,
    title: str = "",
    backward: bool = False,
    lines: Sequence[NDArray[Any]] | None = None,
    path: Sequence[int | None] | None = None,
    axes: Any = None,
) -> Figure:
    """Draw a fully connected network as circles and lines, with the numbers that flow through it.

    Args:
        values: for each layer, from the inputs on, the numbers that are written into its circles and colour them
            (activations, or gradients); `None` for a layer that nothing has reached.
        weights: between each layer and the next, (outputs, inputs): orange lines are positive, blue ones negative, and
            the thickness shows the size.
        names: for each layer its title, or a list of titles for its circles.
        title: the title of the whole drawing.
        backward: whether the values flow from the outputs to the inputs.
        lines: the numbers that are written on the lines, shaped like `weights`: the weights themselves, or their
            gradients; `None`: none are written.
        path: for each layer a neuron, counted from 0, or `None`: the line between two neurons that follow each other
            is drawn in black.
        axes: matplotlib's, to draw into; `None`: a new figure.

    Returns:
        The figure, for `show_figure`.
    """
    if axes is None:
        axes = plt.subplots(figsize=(11, 5 if lines is None else 6.6), layout="constrained")[1]
    sizes = [weights[0].shape[1], *(len(matrix) for matrix in weights)]
    tallest = max(sizes)
    places = [[(x, (size - 1) / 2 - y) for y in range(size)] for x, size in enumerate(sizes)]
    steps = set() if path is None else {(x, *ends) for x, ends in enumerate(zip(path, path[1:]))}
    _draw_weights(axes, weights, places, steps)
    if lines is not None:
        _write_on_lines(axes, lines, places, steps)
    reached = [np.abs(layer).max() for layer in values if layer is not None]
    norm = TwoSlopeNorm(0, -max([*reached, 1e-9]), max([*reached, 1e-9]))
    colours = plt.get_cmap("PRGn" if backward else "PuOr_r")
    for x, layer in enumerate(values):
        layer_names = names[x] if names else ""
        for i, place in enumerate(places[x]):
            _draw_neuron(axes, place, None if layer is None else float(np.ravel(layer)[i]), norm, colours)
            if not isinstance(layer_names, str):
                axes.text(place[0] - 0.22, place[1], layer_names[i], ha="right", va="center", fontsize=11)
        if names and isinstance(layer_names, str):
            axes.text(x, tallest / 2 + 0.05, layer_names, ha="center", va="bottom", fontsize=11, color="#444444")
    arrow = {"arrowstyle": "-|>", "linewidth": 2.5, "color": _BACKWARD_ARROW if backward else _FORWARD_ARROW}
    ends = [(0.1, -tallest / 2 - 0.25), (len(sizes) - 1.1, -tallest / 2 - 0.25)]
    axes.annotate("", ends[0] if backward else ends[1], ends[1] if backward else ends[0], arrowprops=arrow)
    axes.set(xlim=(-0.95, len(sizes) - 0.6), ylim=(-tallest / 2 - 0.5, tallest / 2 + 0.5))
    axes.set_title(title, fontsize=12)
    axes.axis("off")
    figure: Figure = axes.figure
    return figure


def _connections(
    matrices: Sequence[NDArray[Any]], places: Sequence[Sequence[_Place]]
) -> Iterator[tuple[tuple[int, int, int], _Place, _Place, float]]:
    """Each connection: (layer, source, target), its two ends, and its number."""
    for x, matrix in enumerate(matrices):
        for (target, source), number in np.ndenumerate(matrix):
            yield (x, source, target), places[x][source], places[x + 1][target], number


def _draw_weights(
    axes: Any, weights: Sequence[NDArray[Any]], places: Sequence[Sequence[_Place]], steps: set[Any]
) -> None:
    """A line for each weight, between the places of its neurons; those of the path are black."""
    strongest = max(np.abs(matrix).max() for matrix in weights)
    for connection, (x0, y0), (x1, y1), weight in _connections(weights, places):
        on_path = connection in steps
        axes.plot(
            [x0, x1],
            [y0, y1],
            color="black" if on_path else _POSITIVE if weight > 0 else _NEGATIVE,
            alpha=1 if on_path else 0.75,
            zorder=1.5 if on_path else 1,
            linewidth=max(1.5 if on_path else 0, 0.3 + 4 * abs(weight) / strongest),
        )


def _write_on_lines(
    axes: Any, numbers: Sequence[NDArray[Any]], places: Sequence[Sequence[_Place]], steps: set[Any]
) -> None:
    """Each number on its line, as far as possible from those that are written already."""
    written: list[_Place] = []
    for connection, (x0, y0), (x1, y1), number in _connections(numbers, places):
        spots = np.column_stack([x0 + _CANDIDATES * (x1 - x0), y0 + _CANDIDATES * (y1 - y0)])
        if written:
            apart = (spots[:, None] - np.array(written)) * (1, _ASPECT)
            spot = spots[(np.hypot(apart[..., 0], apart[..., 1]).min(axis=1)).argmax()]
        else:
            spot = spots[len(spots) // 2]
        written.append((float(spot[0]), float(spot[1])))
        bold = "bold" if connection in steps else "normal"
        box = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.9}
        axes.text(*spot, _two_digits(number), ha="center", va="center", fontsize=8, bbox=box, zorder=1.8, weight=bold)


def _draw_neuron(axes: Any, place: _Place, value: float | None, norm: Any, colours: Any) -> None:
    """A circle, with its value inside unless that is `None`."""
    colour = "#eeeeee" if value is None else colours(norm(value))
    axes.scatter(*place, s=1500, color=[colour], edgecolor="#444444", linewidth=1.2, zorder=2)
    if value is not None:
        text_colour = "white" if abs(norm(value) - 0.5) > 0.28 else "black"
        axes.text(*place, _two_digits(value), ha="center", va="center", fontsize=10, zorder=3, color=text_colour)


def _two_digits(value: float) -> str:
    """Without the sign of a number that is rounded to zero."""
    return f"{round(float(value), 2) + 0.0:.2f}"
