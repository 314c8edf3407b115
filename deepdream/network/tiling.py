"""The gradient of an image, whole or tile by tile: with tiles, the memory depends on the tile, not on the image.

The central type is `InputGradient`, the `gradient_of` of `deepdream.dream`. The image is shifted at random at each step
(the jitter); the grid of tiles is also shifted, by up to a whole tile, so that no point of the image is always at a
tile's border and no seam can grow. The grid's shifts come from a separate random stream, so that the jitter's stream
stays that of the release of 2015.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .._types import Layers, ObjectiveOrMapping, Planes
from ..errors import ImageError, ParameterError
from ..io.arrays import format_size
from ..memory import format_gib
from ..objective_sums import sum_values
from ..validation import short_repr
from .layers import format_layers
from .memory import free_bytes, gradient_bytes, image_bytes, is_out_of_memory, keeps_image_on_gpu

if TYPE_CHECKING:
    from .net import Net

log = logging.getLogger(__name__)

Result = TypeVar("Result")

MIN_TILE = 64
MEMORY_FRACTION = 0.85  # the share of the free memory that a dream may use
_TILE_STEP = 32  # "auto" tries tiles of whole multiples of this


class InputGradient:
    """A function of an image that gives the gradient of a dream's objective with respect to it.

    If the image is larger than a tile, the gradient is computed tile by tile.

    Args:
        net: the network.
        end: the layer, or {layer: weight}, checked.
        objective: see `deepdream.objectives`.
        tile: the tile's longest side in pixels; `None`: the whole image.
        seed: the random seed of the grid's shifts.
        may_shrink: whether to continue with smaller tiles if memory runs out.
    """

    def __init__(
        self,
        net: Net,
        end: Layers,
        objective: ObjectiveOrMapping,
        tile: int | None = None,
        seed: int = 0,
        may_shrink: bool = False,
    ) -> None:
        self.tile = tile
        self._net, self._end, self._objective, self._may_shrink = net, end, objective, may_shrink
        self._rng = np.random.RandomState([seed, 1])  # another stream than RandomState(seed)

    def aim(self, end: Layers, objective: ObjectiveOrMapping) -> None:
        """Give gradients of another objective from now on."""
        self._end, self._objective = end, objective

    def __call__(self, image: Planes) -> tuple[Planes, float | None]:
        """The gradient.

        Args:
            image: float32 (3, H, W), BGR, mean subtracted; it is not changed.

        Returns:
            (gradient, value): float32 (3, H, W), a new array, and the sum of the objective's values; `None` if it
            returned nothing.

        Raises:
            ImageError: memory ran out, and no smaller tile can help.
        """
        return self._in_tiles_that_fit(image.shape[1:], partial(self._whole, image), partial(self._tiled, image))

    def _in_tiles_that_fit(
        self,
        shape: tuple[int, ...],
        whole: Callable[[], Result],
        tiled: Callable[[int], Result],
    ) -> Result:
        """What `whole` or `tiled` returns for an image of this (height, width), in smaller tiles if memory runs out."""
        while True:
            try:
                with self._net.lock:
                    if self.tile is None or max(shape) <= self.tile:
                        return whole()
                    return tiled(self.tile)
            except (RuntimeError, MemoryError) as error:  # a stock Caffe has no caffe.Error, which is a RuntimeError
                if not is_out_of_memory(error):
                    raise
                self._shrink(shape)

    def _whole(self, image: Planes) -> tuple[Planes, float | None]:
        set_input(self._net, image)
        gradient, value = self._net.input_gradient(self._end, self._objective)
        return gradient.copy(), value

    def _tiled(self, image: Planes, tile: int) -> tuple[Planes, float | None]:
        _, height, width = image.shape
        top, left = self._grid()
        gradient = np.empty_like(image)
        values = []
        for rows in spans(height, tile):
            for columns in spans(width, tile):
                place = (slice(None), ((rows - top) % height)[:, None], (columns - left) % width)
                set_input(self._net, image[place])
                part, value = self._net.input_gradient(self._end, self._objective)
                gradient[place] = part
                values.append(value)
        return gradient, sum_values(values)

    def _grid(self) -> np.ndarray:
        """The shift of the grid of tiles in this step: (y, x), up to a whole tile."""
        return self._rng.randint(0, self.tile, 2)

    def _shrink(self, shape: tuple[int, ...]) -> None:
        before = max(shape) if self.tile is None else min(self.tile, max(shape))
        if not self._may_shrink or before // 2 < MIN_TILE:
            remedy = f"even in tiles of {self.tile}" if self.tile else "dream in tiles (tile='auto')"
            raise ImageError(f"memory ran out at {format_size(shape)} pixels: {remedy}") from None
        self.tile = before // 2
        log.warning("memory ran out: continuing with tiles of %d pixels", self.tile)
        self._net.release()


class WrappedInputGradient(InputGradient):
    """As `InputGradient`, for an image whose opposite edges join.

    The network sees the image shifted at random by up to its whole size, so that the edges that join are at any place
    of what it sees, as every other line is.

    Args:
        net: see `InputGradient`.
        end: see `InputGradient`.
        objective: see `InputGradient`.
        tile: see `InputGradient`.
        seed: see `InputGradient`; also that of the shifts.
        may_shrink: see `InputGradient`.
        wrap: "x" or "xy", see `deepdream.deepdream`.
    """

    def __init__(
        self,
        net: Net,
        end: Layers,
        objective: ObjectiveOrMapping,
        tile: int | None,
        seed: int,
        may_shrink: bool,
        wrap: str,
    ) -> None:
        super().__init__(net, end, objective, tile, seed, may_shrink)
        self._wrap = wrap
        self._shift_rng = np.random.RandomState([seed, 2])  # a third stream

    def __call__(self, image: Planes) -> tuple[Planes, float | None]:
        """The gradient; see `InputGradient`."""
        height, width = image.shape[1:]
        shift = np.array([self._shift_rng.randint(height) if "y" in self._wrap else 0, self._shift_rng.randint(width)])
        gradient, value = super().__call__(np.roll(image, shift, (1, 2)))
        return np.roll(gradient, -shift, (1, 2)), value


def input_gradient(
    net: Net,
    end: Layers,
    objective: ObjectiveOrMapping,
    tile: int | None = None,
    seed: int = 0,
    may_shrink: bool = False,
    wrap: str | None = None,
) -> InputGradient:
    """The `InputGradient` of these arguments, or a `WrappedInputGradient` if edges join."""
    if wrap is None:
        return InputGradient(net, end, objective, tile, seed, may_shrink)
    return WrappedInputGradient(net, end, objective, tile, seed, may_shrink, wrap)


def set_input(net: Net, chw: Planes) -> None:
    """Put an image or tile, (3, H, W), into the network's input blob."""
    net.input.reshape(1, *chw.shape)
    net.input.data[0] = chw


def spans(length: int, tile: int) -> list[np.ndarray]:
    """The positions 0..length-1 in as few runs of at most `tile` as possible; their lengths differ by at most one."""
    return np.array_split(np.arange(length), -(-length // tile))


def plan_tiles(net: Net, end: Layers, shapes: Sequence[tuple[int, int]], tile: int | str | None) -> int | None:
    """The tile size of a dream, checked or chosen before it begins.

    Args:
        net: the network.
        end: the layer, or {layer: weight}, checked.
        shapes: (height, width) of each octave, the largest last.
        tile: `None` for none, a number of pixels, or "auto": the largest that fits into free memory, none if the whole
            image fits.

    Returns:
        A number of pixels, or `None`.

    Raises:
        ParameterError: `tile` is something else, or too small for the layer.
        ImageError: there is not enough memory, or a layer reads images of one size only.
    """
    side = _choose_tile(net, end, shapes, tile)
    for shape in shapes:
        for height, width in _pass_sizes(shape, side):
            net.check_size(height, width, end)
    return side


def _pass_sizes(shape: tuple[int, int], tile: int | None) -> set[tuple[int, int]]:
    """The (height, width) of the passes in which an image is dreamt: its own, or those of its tiles."""
    if tile is None or max(shape) <= tile:
        return {shape}
    heights, widths = ({len(span) for span in spans(length, tile)} for length in shape)
    return set(itertools.product(heights, widths))


def _choose_tile(net: Net, end: Layers, shapes: Sequence[tuple[int, int]], tile: int | str | None) -> int | None:
    height, width = shapes[-1]
    free = free_bytes(net.gpu)
    held = image_bytes(height, width) if net.gpu is None or keeps_image_on_gpu(net.gpu, height, width) else 0
    whole = gradient_bytes(net, end, height, width) + held
    if tile is None:
        if free is not None and whole > free:
            raise ImageError(
                f"{width}×{height} pixels need about {format_gib(whole)} of memory, {format_gib(free)} are "
                "free; dream in tiles (tile='auto') or scale the image down"
            )
        return None
    if not isinstance(tile, str) or tile != "auto":
        return _check_tile(net, end, shapes, tile)
    if free is None or whole <= MEMORY_FRACTION * free:
        return None
    for size in range(max(height, width) // _TILE_STEP * _TILE_STEP, MIN_TILE - 1, -_TILE_STEP):
        needed = gradient_bytes(net, end, min(size, height), min(size, width)) + held
        if needed <= MEMORY_FRACTION * free:
            log.info(
                "dreaming in tiles of %d pixels: the whole image would need about %s of memory, and %s are free",
                size,
                format_gib(whole),
                format_gib(free),
            )
            return _check_tile(net, end, shapes, size)
    raise ImageError(
        f"{width}×{height} pixels do not fit into the {format_gib(free)} of memory that are free, not even "
        "in tiles; scale the image down"
    )


def check_tile(tile: Any) -> None:
    """Raise `ParameterError` unless `tile` is one of `plan_tiles`, for some network and image."""
    if tile is None or (isinstance(tile, str) and tile == "auto"):
        return
    if isinstance(tile, bool) or not isinstance(tile, (int, np.integer)) or tile < MIN_TILE:
        raise ParameterError(
            f"tile={short_repr(tile)}: a tile must be None, 'auto', or a whole number of pixels, {MIN_TILE} or more"
        )


def _check_tile(net: Net, end: Layers, shapes: Sequence[tuple[int, int]], tile: int | str) -> int:
    check_tile(tile)
    side = int(tile)
    for shape in shapes:
        height, width = min(_pass_sizes(shape, side))
        if max(shape) > side and any(size and min(size) < 1 for size in net.sizes(height, width, end).values()):
            raise ParameterError(
                f"tile={short_repr(tile)}: tiles of {width}×{height} pixels are too few for "
                f"{format_layers(end)}; use larger ones"
            )
    return side
