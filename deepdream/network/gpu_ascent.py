"""A dream's step where the image stays on the GPU: a copy to the host and back would take longer than the network.

`ascent_step` is the step of `deepdream.dream` with the same arithmetic, on `caffe._caffe.GpuPlanes`, which only our
Caffe has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import caffe
import numpy as np

from .._types import Planes
from ..objective_sums import sum_values
from .step_factor import ascent_factor
from .tiling import InputGradient, spans


def to_gpu(planes: Planes, gpu: int) -> Any:
    """Copy planes, (3, H, W), to a GPU; returns a `caffe._caffe.GpuPlanes`."""
    return caffe._caffe.GpuPlanes(np.ascontiguousarray(planes, np.float32), gpu)


def to_host(planes: Any) -> Planes:
    """The planes as an array, wherever they are."""
    return planes if isinstance(planes, np.ndarray) else planes.numpy()


class GpuInputGradient(InputGradient):
    """As `InputGradient`, for an image on the GPU, shifted.

    The gradient that a call returns is overwritten by the next one.
    """

    _gradient: Any = None

    def __call__(self, image: Any, shift: tuple[int, int] = (0, 0)) -> tuple[Any, float | None]:
        """The gradient of the image that one gets by shifting `image` by (y, x), shifted back."""
        if self._gradient is None or self._gradient.shape != image.shape:
            self._gradient = image.empty_like()
        value = self._in_tiles_that_fit(
            image.shape[1:], partial(self._window, image, *shift, image.shape[1:]), partial(self._tiles, image, shift)
        )
        return self._gradient, value

    def _window(self, image: Any, y: int, x: int, shape: tuple[int, int]) -> float | None:
        net_input = self._net.input
        net_input.reshape(1, image.shape[0], *shape)
        image.read_window(-y, -x, net_input)
        value = self._net.run_passes(self._end, self._objective)
        self._gradient.write_window(-y, -x, net_input)
        return value

    def _tiles(self, image: Any, shift: tuple[int, int], tile: int) -> float | None:
        _, height, width = image.shape
        top, left = self._grid()
        values = []
        for rows in spans(height, tile):
            for columns in spans(width, tile):
                y, x = shift[0] + top - int(rows[0]), shift[1] + left - int(columns[0])
                values.append(self._window(image, y, x, (len(rows), len(columns))))
        return sum_values(values)


def ascent_step(
    image: Any,
    gradient_of: GpuInputGradient,
    rng: np.random.RandomState,
    step_size: float,
    jitter: int,
    limits: tuple[Planes, Planes] | None,
    layers: str,
    warn: Callable[..., Any],
) -> float:
    """Change `image`, a `GpuPlanes`, by one step; returns the objective's value before it."""
    oy, ox = rng.randint(-jitter, jitter + 1, 2)[::-1].tolist()
    gradient, value = gradient_of(image, (oy, ox))
    magnitude = np.float32(gradient.mean_magnitude())
    factor = float(ascent_factor(step_size, magnitude, layers, warn) or 0)
    if limits is None:
        image.add_scaled(gradient, factor)
    else:
        image.ascend(gradient, factor, *(limit.ravel().tolist() for limit in limits))
    return math.nan if value is None else float(value)
