"""The gradient of a large picture, tile by tile: memory is set by the tile and not by the picture.

The picture is shifted at random at each step anyway (the jitter); the tiles' grid is shifted besides, by up to a whole
tile, so that no place of the picture is always at a tile's border and no seam can grow. The grid's shifts come from a
random stream of their own, so that the jitter's stays that of the 2015 release.
"""

import logging

import numpy as np

from .ends import named
from .errors import ImageError, ParameterError
from .memory import free_bytes, gibibytes, gradient_bytes, out_of_memory, picture_bytes

log = logging.getLogger(__name__)

SMALLEST_TILE = 64
SHARE = 0.85  # of the free memory that a dream plans to take
_STEP = 32  # "auto" tries tiles of whole multiples of this


class Tiles:
    """Takes the gradient of pictures that are larger than a tile.

    **Arguments:** `size`: the tile's longest side in pixels, `None` for the whole picture; `seed`: of the grid's
    shifts; `may_shrink`: whether running out of memory is answered with smaller tiles.
    """

    def __init__(self, size=None, seed=0, may_shrink=False):
        self.size = size
        self._may_shrink = may_shrink
        self._rng = np.random.RandomState([seed, 1])  # another stream than RandomState(seed)

    def gradient(self, net, picture, shift, end, objective):
        """The gradient at the shifted picture, in the place of the picture's own pixels.

        **Arguments:** `net`; `picture`: (3, H, W), left as it is; `shift`: (y, x), how far it is rolled; `end`,
        `objective`.

        **Returns:** (gradient, magnitude, value): float32 (3, H, W), not rolled; the mean of its absolute values; and
        the sum of what the objective returned.

        **Raises:** `ImageError` when memory runs out and no smaller tile can help.
        """
        while True:
            try:
                with net.alone:
                    if self.size is None or max(picture.shape[1:]) <= self.size:
                        return _whole(net, picture, shift, end, objective)
                    return self._tiled(net, picture, shift, end, objective)
            except (RuntimeError, MemoryError) as error:  # a stock Caffe has no caffe.Error, which is a RuntimeError
                if not out_of_memory(error):
                    raise
                self._shrink(net, picture.shape[1:])

    def _tiled(self, net, picture, shift, end, objective):
        _, height, width = picture.shape
        grid = self._grid()
        gradient = np.empty_like(picture)
        values = []
        for rows in spans(height, self.size):
            for columns in spans(width, self.size):
                place = (slice(None), ((rows - shift[0] - grid[0]) % height)[:, None],
                         (columns - shift[1] - grid[1]) % width)
                set_input(net, picture[place])
                part, value = net.input_gradient(end, objective)
                gradient[place] = part
                values.append(value)
        return gradient, np.abs(gradient).mean(), None if None in values else sum(values)

    def _grid(self):
        """How far the tiles' grid is shifted in this step: (y, x), up to a whole tile."""
        return self._rng.randint(0, self.size, 2)

    def _shrink(self, net, shape):
        before = max(shape) if self.size is None else min(self.size, max(shape))
        if not self._may_shrink or before // 2 < SMALLEST_TILE:
            remedy = f"even in tiles of {self.size}" if self.size else "dream in tiles (tile='auto')"
            raise ImageError(f"memory ran out at {shape[1]}×{shape[0]} pixels: {remedy}") from None
        self.size = before // 2
        log.warning("memory ran out: going on with tiles of %d pixels", self.size)
        net.release()


def _whole(net, picture, shift, end, objective):
    set_input(net, np.roll(picture, shift, (-2, -1)))
    gradient, value = net.input_gradient(end, objective)
    # The mean is taken before rolling back, as the release took it: summed in another order it rounds differently.
    return np.roll(gradient, (-shift[0], -shift[1]), (-2, -1)), np.abs(gradient).mean(), value


def set_input(net, chw):
    """Put a picture or tile, (3, H, W), into the network's input blob."""
    net.input.reshape(1, *chw.shape)
    net.input.data[0] = chw


def spans(length, tile):
    """The positions 0..length-1 in as few runs of at most `tile` as will do, of equal length to within one."""
    return np.array_split(np.arange(length), -(-length // tile))


def plan(net, end, shapes, tile):
    """The tile size of a dream, checked or chosen before it begins.

    **Arguments:**

    - `net`, `end`: the network and the layer.
    - `shapes`: (height, width) of each octave, the largest last.
    - `tile`: `None` for none, a number of pixels, or "auto": the largest that fits what is free, none if all fits.

    **Returns:** a number of pixels, or `None`.

    **Raises:** `ParameterError` for a tile that is no such thing or too small for the layer; `ImageError` if the memory
    will not do.
    """
    height, width = shapes[-1]
    free = free_bytes(net.gpu)
    held = picture_bytes(height, width) if net.gpu is None else 0  # a GPU's memory holds no pictures
    whole = gradient_bytes(net, end, height, width) + held
    if tile is None:
        if free is not None and whole > free:
            raise ImageError(f"{width}×{height} pixels need about {gibibytes(whole)} of memory, {gibibytes(free)} are "
                             "free; dream in tiles (tile='auto') or scale the picture down")
        return None
    if tile != "auto":
        return _checked(net, end, shapes, tile)
    if free is None or whole <= SHARE * free:
        return None
    for size in range(max(height, width) // _STEP * _STEP, SMALLEST_TILE - 1, -_STEP):
        needed = gradient_bytes(net, end, min(size, height), min(size, width)) + held
        if needed <= SHARE * free:
            log.info("dreaming in tiles of %d pixels: the whole picture would need about %s of memory, %s are free",
                     size, gibibytes(whole), gibibytes(free))
            return _checked(net, end, shapes, size)
    raise ImageError(f"{width}×{height} pixels do not fit into the {gibibytes(free)} of memory that are free, not even "
                     "in tiles; scale the picture down")


def _checked(net, end, shapes, tile):
    if isinstance(tile, bool) or not isinstance(tile, (int, np.integer)) or tile < SMALLEST_TILE:
        raise ParameterError(f"tile={tile!r}: a tile must be None, 'auto', or a whole number of pixels, "
                             f"{SMALLEST_TILE} or more")
    for shape in shapes:
        smallest = [min(len(span) for span in spans(length, tile)) for length in shape]
        if max(shape) > tile and any(size and min(size) < 1 for size in net.sizes(*smallest, end).values()):
            raise ParameterError(f"tile={tile}: tiles of {smallest[1]}×{smallest[0]} pixels are too few for "
                                 f"{named(end)}; use larger ones")
    return int(tile)
