"""A step of a dream at full size: what the dream would be if it stopped there.

An octave is dreamt smaller than the image. What it has added so far, its *detail*, is enlarged as the dream itself
enlarges it from one octave to the next, and added to the sharp image. The steps of a network that reads grey images are
grey, and so is the image that they are added to.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from ._types import Image
from .mask import Mask, keep_outside
from .network.luminance import luminance
from .resampling import zoom_image_linear


class FullSizePreview:
    """Enlarges the steps of one dream to full size.

    Args:
        image: the image that is dreamt on, float32 (H, W, 3) RGB.
        shapes: (height, width) of each octave, as `octave_shapes` gives them.
        mask: that of the dream, (H, W), if it has one.
        wrap: that of the dream.
    """

    def __init__(
        self, image: Image, shapes: Sequence[tuple[int, int]], mask: Mask | None = None, wrap: str | None = None
    ) -> None:
        self._image, self._shapes, self._mask, self._wrap = image, shapes, mask, wrap

    @functools.cached_property
    def _bases(self) -> list[Image]:
        """The image at each octave's size, scaled down as the dream scales it; not needed for a dream that ends."""
        return self._scaled_down(self._image)

    @functools.cached_property
    def _grey_bases(self) -> list[Image]:
        return self._scaled_down(np.repeat(luminance(self._image)[:, :, None], 3, axis=2))

    def _scaled_down(self, image: Image) -> list[Image]:
        bases = [image]
        for shape in self._shapes[-2::-1]:
            bases.insert(0, zoom_image_linear(bases[0], shape, self._wrap))
        return bases

    def of(self, step_image: Image, octave: int) -> Image:
        """The preview of one step.

        Args:
            step_image: the image after the step, float32 (h, w, 3) at the octave's size.
            octave: counted from zero, the smallest first.

        Returns:
            float32 (H, W, 3); in the last octave `step_image` itself.
        """
        if step_image.shape == self._image.shape:
            return step_image
        bases = self._grey_bases if _is_grey(step_image) else self._bases
        enlarged = bases[-1] + zoom_image_linear(step_image - bases[octave], self._image.shape[:2], self._wrap)
        return keep_outside(enlarged, self._image, self._mask)


def _is_grey(image: Image) -> bool:
    return all(np.array_equal(image[:, :, 0], image[:, :, i]) for i in (1, 2))
