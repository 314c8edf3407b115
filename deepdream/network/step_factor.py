"""How far a step of gradient ascent goes: the gradient is scaled to a fixed mean magnitude."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import LayerError

log = logging.getLogger(__name__)


def finite_factor(step_size: float, magnitude: Any) -> np.float32 | None:
    """The factor that brings values of this mean magnitude to `step_size`; `None` if they are too small, or zero."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        factor = np.float32(step_size / magnitude)
    return factor if np.isfinite(factor) else None


def ascent_factor(
    step_size: float, magnitude: Any, layers: str, warn: Callable[..., Any] = log.warning
) -> np.float32 | None:
    """As `finite_factor`, for the gradient of a dream; a warning says that the step leaves the image unchanged.

    The release divides by the bare mean; a layer that does not respond, or so little that the quotient overflows, would
    turn the image into NaN.

    Args:
        step_size: the mean change of a value.
        magnitude: the mean magnitude of the gradient, a NumPy number.
        layers: the layers, for messages.
        warn: takes the message and its argument.

    Raises:
        LayerError: the magnitude is not finite.
    """
    if not np.isfinite(magnitude):
        raise LayerError(
            f"the gradient at {layers} is not finite: the objective or the weights overflow; make the weights smaller"
        )
    factor = finite_factor(step_size, magnitude)
    if factor is None:
        warn("zero gradient at %s: this step left the image unchanged (said once)", layers)
    return factor
