"""An image that gives on demand the whole, a smaller version, or its hash.

The central type is `ImageSource`. An image from a file stays as compact as the decoder leaves it (one to four bytes per
pixel instead of the twelve of float32), and is converted block by block.
"""

from __future__ import annotations

import abc
import functools
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .._types import Image
from ..errors import ImageError
from ..memory import describe_shortage
from .arrays import (
    BLOCK_BYTES,
    BLOCK_PIXELS,
    blocks,
    check_image,
    fitted_size,
    resize_blocks,
    resizing_bytes,
    sha256_of_rows,
)
from .carried_metadata import Metadata

_PIXEL_BYTES = 3 * 4  # float32


class NotEnoughMemoryError(ImageError):
    """An image that needs more memory than is free."""


class ImageSource(abc.ABC):
    """An image in full size.

    Attributes:
        shape: (height, width, 3), as of an array.
        name: for messages.
        metadata: what its file says besides the pixels; `None`: it is not from a file.
    """

    shape: tuple[int, int, int]
    name: str
    metadata: Metadata | None = None

    @abc.abstractmethod
    def block(self, rows: slice, columns: slice) -> Image:
        """These rows and columns, float32 (h, w, 3)."""

    def alpha_block(self, rows: slice, columns: slice) -> NDArray[np.float32] | None:
        """The alpha of these rows and columns, float32 (h, w, 1), 0..1; `None` if the image has none."""
        return None

    def alpha(self, max_size: int | None = None) -> NDArray[np.float32] | None:
        """The alpha of the version of `fit`.

        Args:
            max_size: as in `fit`.

        Returns:
            float32 (h, w), 0 transparent to 1 opaque; `None` if the whole image is opaque.

        Raises:
            ImageError: it does not fit into memory, or cannot be converted.
        """
        (height, width), size = self.shape[:2], fitted_size(*self.shape[:2], max_size)
        if self.alpha_block(slice(0, 1), slice(0, 1)) is None:
            return None
        self._check_memory(fitting_bytes(height, width, max_size))
        if size != (height, width):
            alpha = resize_blocks(self.alpha_levels, (height, width), size)[:, :, 0].clip(0, 255) / np.float32(255)
        else:
            levels = [self.alpha_levels(rows, slice(None))[:, :, 0] for rows in blocks(height, width)]
            alpha = np.concatenate(levels) / np.float32(255)
        return None if (alpha >= 1).all() else alpha

    def alpha_levels(self, rows: slice, columns: slice) -> Image:
        """The alpha of these rows and columns as grey, 0..255."""
        return np.repeat(np.float32(255) * cast("NDArray[np.float32]", self.alpha_block(rows, columns)), 3, axis=2)

    def left_out(self, max_size: int | None = None) -> list[str]:
        """What the frames of a zoom or a video lack that are made of the version of `fit`, in words."""
        metadata = "the metadata of the image (date, camera, author and so on)"
        transparency = "the transparency: it lies on white"
        tells = self.metadata is not None and self.metadata.tells
        return [*([metadata] if tells else []), *([transparency] if self.alpha(max_size) is not None else [])]

    def full(self) -> Image:
        """The whole image, float32 (H, W, 3).

        Raises:
            ImageError: it does not fit into memory, or cannot be converted.
        """
        self._check_memory(full_bytes(*self.shape[:2]), ", or use a smaller version (max_size)")
        height, width = self.shape[:2]
        image = np.empty(self.shape, np.float32)
        for rows in blocks(height, width):
            image[rows] = self.block(rows, slice(None))
        return image

    def fit(self, max_size: int | None) -> Image:
        """The image scaled down so that its longer side has at most `max_size` pixels; `None`: the whole.

        The pixels are those of `deepdream.io.arrays.fit` of the whole.

        Raises:
            ImageError: it does not fit into memory, or cannot be converted.
        """
        size = fitted_size(*self.shape[:2], max_size)
        if size == self.shape[:2]:
            return self.full()
        smaller = self.resize(*size)
        return smaller.clip(0, 255, out=smaller)

    def resize(self, height: int, width: int) -> Image:
        """The image in another size, as `deepdream.resize` gives it of the whole.

        Raises:
            ImageError: it does not fit into memory, or cannot be converted.
        """
        size, new_size = self.shape[:2], (height, width)
        self._check_memory(resizing_bytes(size, new_size))
        return resize_blocks(self.block, size, new_size)

    def reduced(self, max_size: int | None) -> ArraySource:
        """The version of `fit` with the hash of the whole image, to send to another process."""
        return ArraySource(self.fit(max_size), self.sha256)

    @functools.cached_property
    def sha256(self) -> str:
        """The `image_sha256` of the whole image."""
        height, width = self.shape[:2]
        return sha256_of_rows((self.block(rows, slice(None)) for rows in blocks(height, width)), height, width)

    def _check_memory(self, needed: int, other_fix: str = "") -> None:
        check_memory(self.name, *self.shape[:2], needed, other_fix)


class ArraySource(ImageSource):
    """An array as an `ImageSource`.

    Args:
        image: (H, W, 3) RGB 0..255.
        sha256: the hash of the image in full size, where `image` is a smaller version; `None`: the hash of `image`.

    Raises:
        ImageError: `image` is not an image.
    """

    name = "the image"

    def __init__(self, image: Any, sha256: str | None = None) -> None:
        self._image = check_image(image)
        height, width = self._image.shape[:2]
        self.shape = (height, width, 3)
        if sha256 is not None:
            self.sha256 = sha256

    def block(self, rows: slice, columns: slice) -> Image:
        """These rows and columns, float32 (h, w, 3): a view."""
        return self._image[rows, columns]

    def full(self) -> Image:
        """The array itself, as float32."""
        return self._image


class AlphaSource(ImageSource):
    """The alpha of an image as a grey image: 255 where it is opaque.

    Args:
        image: an image that has alpha.
    """

    def __init__(self, image: ImageSource) -> None:
        self._image, self.shape, self.name = image, image.shape, image.name

    def block(self, rows: slice, columns: slice) -> Image:
        """These rows and columns, float32 (h, w, 3)."""
        return self._image.alpha_levels(rows, columns)


def source_of(image: Any) -> ImageSource:
    """An `ImageSource` as it is, or an array, (H, W, 3), as one.

    Raises:
        ImageError: `image` is neither.
    """
    return image if isinstance(image, ImageSource) else ArraySource(image)


def full_bytes(height: int, width: int) -> int:
    """The memory that `ImageSource.full` needs, for an image of this size."""
    return _PIXEL_BYTES * height * width + BLOCK_BYTES * min(max(BLOCK_PIXELS, width), height * width)


def fitting_bytes(height: int, width: int, max_size: int | None) -> int:
    """The memory that `ImageSource.fit` needs, for an image of this size."""
    size = fitted_size(height, width, max_size)
    return full_bytes(height, width) if size == (height, width) else resizing_bytes((height, width), size)


def check_memory(name: str, height: int, width: int, needed: int, other_fix: str = "") -> None:
    """Raise `NotEnoughMemoryError` unless an image can be used with the memory that is free.

    Args:
        name: the image's name.
        height: in pixels.
        width: in pixels.
        needed: the memory that its use needs, in bytes.
        other_fix: another fix besides scaling the image down.
    """
    shortage = describe_shortage(needed)
    if shortage is not None:
        raise NotEnoughMemoryError(
            f"{name} has {width}×{height} pixels and needs {shortage}; scale it down first{other_fix}"
        )
