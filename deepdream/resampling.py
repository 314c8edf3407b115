"""An array at another size, as the release of 2015 did it between octaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage as nd
from numpy.typing import NDArray


def zoom_linear(planes: NDArray[np.float32], shape: Sequence[int]) -> NDArray[np.float32]:
    """Resize planes by linear interpolation.

    Args:
        planes: (channels, H, W).
        shape: the new (height, width).

    Returns:
        (channels, height, width); `planes` itself where it has that size already.

    The source is `scipy.ndimage.zoom` with `order=1`, as in the release's notebook.
    """
    if planes.shape[1:] == tuple(shape):
        return planes
    if not isinstance(planes, np.ndarray):  # on a GPU
        return planes.zoom(*shape)
    factors = [n / old for n, old in zip(shape, planes.shape[1:])]
    return nd.zoom(planes, (1, *factors), order=1)


def zoom_image_linear(image: NDArray[np.float32], shape: Sequence[int]) -> NDArray[np.float32]:
    """As `zoom_linear`, for an image (H, W, channels)."""
    return np.moveaxis(zoom_linear(np.moveaxis(image, 2, 0), shape), 0, 2)
