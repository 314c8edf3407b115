"""Images in the form in which the page shows them."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from .._types import Image
from ..io.arrays import fit, to_uint8

MAX_SHOWN_SIDE = 1200  # pixels: the longer side of an image that is sent to the page


def jpeg(img: Image | NDArray[np.uint8], max_side: int, quality: int = 85) -> bytes:
    """The bytes of a JPEG of an image, (H, W, 3), scaled down to this longer side."""
    file = io.BytesIO()
    PIL.Image.fromarray(to_uint8(fit(np.float32(img), max_side))).save(file, "JPEG", quality=quality)
    return file.getvalue()
