"""Collects images one by one on disk, to be written as a video afterwards."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator

import numpy as np

from .._types import Image
from ..errors import ImageError
from .arrays import to_uint8


class StepFilm:
    """A list of images of one size in a temporary file, so that memory holds one of them at a time.

    It can be iterated over many times, as `write_animation` requires: uint8 (H, W, 3) RGB each. Use it in a
    `with` statement.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] | None = None
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this

    def __enter__(self) -> StepFilm:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # it would write the rest that did not fit before
            self._file.close()

    def check_room(self, count: int, shape: tuple[int, ...]) -> None:
        """Raise `ImageError` if there is no room in the temporary folder for so many images of a shape."""
        needed, folder = count * math.prod(shape), tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise ImageError(
                f"{count} steps of the dream need {needed:,} bytes, and {folder} has {free:,} left; set TMPDIR to a "
                "folder with more room, or use a smaller image (--max-size)"
            )

    def add(self, image: Image) -> None:
        """Add an image, (H, W, 3).

        Raises:
            ImageError: there is no room for it in the temporary folder.
        """
        pixels = to_uint8(image)
        self._shape = pixels.shape
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(pixels.tobytes())
            self._file.flush()
        except OSError as error:
            raise ImageError(
                f"cannot keep the steps of the dream, {pixels.nbytes:,} bytes each, in {tempfile.gettempdir()} "
                f"({error.strerror}); set TMPDIR to a folder with more room"
            ) from None

    def __iter__(self) -> Iterator[np.ndarray]:
        if self._shape is None:
            return
        self._file.seek(0)
        while data := self._file.read(math.prod(self._shape)):
            yield np.frombuffer(data, np.uint8).reshape(self._shape)
