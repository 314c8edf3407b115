"""A step of a dream at full size: what the dream would be if it stopped there.

An octave is dreamt smaller than the image. What it has added so far, its *detail*, is enlarged as the dream itself
enlarges it from one octave to the next, and added to the sharp image.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from ._types import Image
from .resampling import zoom_image_linear


class FullSizePreview:
    """Enlarges the steps of one dream to full size.

    Args:
        image: the image that is dreamt on, float32 (H, W, 3) RGB.
        shapes: (height, width) of each octave, as `octave_shapes` gives them.
    """

    def __init__(self, image: Image, shapes: Sequence[tuple[int, int]]) -> None:
        self._image, self._shapes = image, shapes

    @functools.cached_property
    def _bases(self) -> list[Image]:
        """The image at each octave's size, scaled down as the dream scales it; not needed for a dream that ends."""
        bases = [self._image]
        for shape in self._shapes[-2::-1]:
            bases.insert(0, zoom_image_linear(bases[0], shape))
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
        return self._image + zoom_image_linear(step_image - self._bases[octave], self._image.shape[:2])
