"""Grey images, for networks that read one channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._types import Image

# The weights of red, green and blue in the luma of ITU-R BT.601. OpenCV uses them, with which Caffe's own programs read
# grey images for training. (`caffe.io.load_image` uses scikit-image's, which are those of BT.709.)
WEIGHTS = (0.299, 0.587, 0.114)


def luminance(img: Image) -> NDArray[np.float32]:
    """The grey image of a colour one.

    Args:
        img: float32 (H, W, 3) RGB.

    Returns:
        float32 (H, W).
    """
    red, green, blue = (np.float32(weight) * img[:, :, i] for i, weight in enumerate(WEIGHTS))
    return np.asarray(red + green + blue)
