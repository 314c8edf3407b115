"""An image and its alpha -> RGBA."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._types import Image
from .arrays import to_uint8


def with_alpha(image: Image, alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The image with alpha, uint8 (H, W, 4), which looks on white as it does without.

    The dream was made on white. A half transparent pixel's own colour is the one that gives the dream's there.
    """
    levels = np.rint(255 * alpha).astype(np.uint8)[:, :, None]
    share = levels / np.float32(255)
    colours = np.where(levels > 0, (image - 255 * (1 - share)) / np.maximum(share, np.float32(1 / 255)), image)
    return np.concatenate([to_uint8(colours), levels], axis=2)
