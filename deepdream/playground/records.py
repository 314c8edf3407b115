"""The records that go through the pipe between a page and its worker.

A `Job` or a `Trial` goes in and, to end it early, `STOP`. The records come out in the order of this file, with a
`LogLine` at any time, and `Ended`, an empty `Tried` or `Failed` at the end. Pixels travel as uint8 (h, w, 3) RGB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..mask import Mask
from ..recipes.recipe import Recipe
from .uploads import Picture

STOP = "stop"
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Job:
    """A dream to make.

    Attributes:
        recipe: its settings; not yet complete.
        picture: the input image.
        guide: the guide of a guided dream.
        mask: the mask that the visitor painted.
    """

    recipe: Recipe
    picture: Picture
    guide: Picture | None = None
    mask: Picture | None = None


@dataclass(frozen=True)
class Trial:
    """Layers to try on an image: a small dream at each.

    Attributes:
        model: the name of the model.
        layers: the layers, in order.
        picture: the input image.
    """

    model: str
    layers: list[str]
    picture: Picture


@dataclass(frozen=True)
class LogLine:
    """A line for the visitor.

    Attributes:
        text: the line.
    """

    text: str


@dataclass(frozen=True)
class Begun:
    """The dream begins.

    Attributes:
        recipe: complete.
        image: the input at the size that is dreamt.
        mask: the mask at that size, (H, W), 0..1, if there is one.
    """

    recipe: Recipe
    image: Pixels
    mask: Mask | None = None


@dataclass(frozen=True)
class Stepped:
    """A step, as `deepdream.Step`.

    Attributes:
        octave: counted from zero.
        iteration: counted from zero in each octave.
        image: after the step, at the octave's size.
        objective: before the step; NaN if the objective returns nothing.
    """

    octave: int
    iteration: int
    image: Pixels
    objective: float


@dataclass(frozen=True)
class Ended:
    """The dream is over: at its end, or stopped.

    Attributes:
        recipe: the recipe of the image; its kind tells whether the dream was stopped.
        image: the dream at full size.
    """

    recipe: Recipe
    image: Pixels


@dataclass(frozen=True)
class Tried:
    """A layer of a `Trial`.

    Attributes:
        layer: its name.
        image: the dream, in the size of a thumbnail; `None` after the last layer, or if the trial was stopped.
    """

    layer: str
    image: Pixels | None


@dataclass(frozen=True)
class Failed:
    """The dream failed.

    Attributes:
        text: a line that says why.
        needs_restart: whether the process should not be used again.
    """

    text: str
    needs_restart: bool = False
