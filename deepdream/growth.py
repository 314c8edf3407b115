"""The steps of one dream as pictures of one size, to be shown as a film."""

import contextlib
import math
import os
import tempfile

import numpy as np
import scipy.ndimage as nd

from .errors import ImageError
from .image import to_bytes


class Growth:
    """The pictures, (H, W, 3) RGB of 8 bits: what each step has added so far, enlarged, on the sharp picture.

    They are kept in a temporary file and can be iterated over as often as asked, as `write_animation` wants it. Use it
    in a `with` statement.

    **Arguments:** `img`: the picture, (H, W, 3) RGB; `shapes`: (height, width) of each octave, as `octave_shapes` gives
    them.
    """

    def __init__(self, img, shapes):
        self._bases = [img]  # at each octave's size, scaled down as the dream scales it
        for shape in shapes[-2::-1]:
            self._bases.insert(0, _resized(self._bases[0], shape))
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):  # it would write what did not fit before
            self._file.close()

    def add(self, step):
        """Add a `Step` of the dream."""
        img = self._bases[-1]
        picture = img + _resized(step.image - self._bases[step.octave], img.shape[:2])
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(to_bytes(picture).tobytes())
            self._file.flush()
        except OSError as error:
            raise ImageError(f"the steps of the dream, {to_bytes(picture).nbytes:,} bytes each, cannot be kept in "
                             f"{tempfile.gettempdir()} ({error.strerror}); set TMPDIR to a folder with more room"
                             ) from None

    def __iter__(self):
        shape = self._bases[-1].shape
        self._file.seek(0)
        while data := self._file.read(math.prod(shape)):
            yield np.frombuffer(data, np.uint8).reshape(shape)


def _resized(img, shape):
    factors = [n / old for n, old in zip(shape, img.shape)]
    return img if factors == [1, 1] else nd.zoom(img, (*factors, 1), order=1)
