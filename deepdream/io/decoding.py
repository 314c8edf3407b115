"""An opened Pillow image -> RGB values, as a viewer shows them.

The input is a `PIL.Image.Image` of any mode; the output is a `DecodedImage`, whose values are float32 (H, W, 3), red,
green, blue, 0..255. Its pixels are kept as `deepdream.io.pixels` or `deep_pixels` has them.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from .._types import Image
from ..errors import DreamError, ImageError
from .alpha import with_alpha
from .background import WHITE
from .carried_metadata import read_metadata
from .colour import find_conversion
from .colour_spaces import Floats
from .deep_pixels import deep_bytes, deep_pixels, is_deep
from .pixels import EightBitPixels, Pixels, opaque_mode
from .source import ImageSource, check_memory, fitting_bytes

log = logging.getLogger(__name__)

ORIENTATION_TAG = 0x0112  # EXIF's tag: which sides of the image the first stored row and column are
# The transposition that makes an image upright, by EXIF's orientation; 1 is upright already.
_UPRIGHT = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
_BYTES_OF_MODES = {"1": 1, "L": 1, "P": 1}  # per pixel in Pillow; others: 4
_PLAIN_FORMATS = {"BMP", "GIF", "PNG", "PPM", "TGA"}  # are decoded row by row
_DECODERS_THAT_STAY = {"AVIF", "HEIF", "WEBP"}  # with their own buffers, until the opened image is closed


class PixelSource(ImageSource):
    """Decoded pixels as an image; transparent parts lie on a background.

    Args:
        pixels: the pixels.
        name: for messages.
        background: RGB, 0..255.
    """

    def __init__(self, pixels: Pixels, name: str, background: tuple[float, ...] = WHITE) -> None:
        self._pixels, self.name = pixels, name
        self.shape = (pixels.height, pixels.width, 3)
        self._background = np.array(background, np.float32)

    def block(self, rows: slice, columns: slice) -> Image:
        """These rows and columns, float32 (h, w, 3)."""
        with image_errors(self.name):
            return self._to_rgb(rows, columns)

    def alpha_block(self, rows: slice, columns: slice) -> Floats | None:
        """See `ImageSource.alpha_block`."""
        with image_errors(self.name):
            return self._pixels.part(rows, columns)[1]

    def _to_rgb(self, rows: slice, columns: slice) -> Image:
        """These rows and columns, laid on the background."""
        rgb, alpha = self._pixels.part(rows, columns)
        return rgb if alpha is None else rgb * alpha + self._background * (1 - alpha)


def seen_with_alpha(image: Image, alpha: Floats) -> Image:
    """An image, (H, W, 3), as it is read after it was written with an alpha, (H, W): its parts on white are rounded."""
    decoded = Pillow.fromarray(with_alpha(image, alpha))
    return PixelSource(EightBitPixels(decoded, None), "the image").full()


class DecodedImage(PixelSource):
    """A decoded image: upright and in sRGB.

    Args:
        opened: the image, of any mode, not decoded yet. For an animation, the current frame is decoded.
        name: for messages.
        max_size: the longer side of the version that is used later, as in `fit`; `None`: the whole.
        background: the RGB colour, 0..255, that its transparent parts are laid on.
        dropped: what of the file is left out, in words, besides what its metadata says.

    Raises:
        ImageError: there is not enough memory for it and for that version, according to the header.
        Exception: any error that Pillow raises for damaged files, or `ValueError` for values that are not numbers.
    """

    def __init__(
        self,
        opened: Pillow.Image,
        name: str,
        max_size: int | None,
        background: tuple[float, ...] = WHITE,
        dropped: tuple[str, ...] = (),
    ) -> None:
        height, width = opened.height, opened.width
        other_fix = ", or use a smaller version (max_size)" if max_size is None else ""
        check_decoding_memory(opened, name, fitting_bytes(height, width, max_size), other_fix)
        super().__init__(_decode(opened, name), name, background)
        metadata = read_metadata(opened)
        self.metadata = replace(metadata, dropped=(*dropped, *metadata.dropped))


def _decode(opened: Pillow.Image, name: str) -> Pixels:
    """The pixels of an opened image."""
    file = getattr(opened, "fp", None)  # decoding may forget it
    if is_deep(opened):
        return deep_pixels(opened, lambda each: _load_upright(each, name), name)
    upright = _load_upright(opened, name)
    return EightBitPixels(upright, find_conversion(opened, opaque_mode(upright), file))


def _load_upright(opened: Pillow.Image, name: str) -> Pillow.Image:
    """Decode an image and turn it upright."""
    # A JPEG could be decoded at an eighth of its size (Pillow's `draft`), but with different values.
    opened.load()
    return _upright(opened.copy() if opened.format in _DECODERS_THAT_STAY else opened, name)


@contextlib.contextmanager
def image_errors(name: str) -> Iterator[None]:
    """A context in which every error of Pillow becomes an `ImageError` about the image of this name."""
    try:
        # Pillow warns from 89 megapixels on and refuses twice as many; only the refusal is a limit here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
            yield
    except DreamError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise ImageError(f"{name} is a folder, not an image") from None
    except PermissionError:
        raise ImageError(f"{name} cannot be read: permission denied") from None
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not an image that can be read; use a PNG, JPEG, TIFF, WebP, GIF or BMP") from None
    except Pillow.DecompressionBombError:
        limit = 2 * (Pillow.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise ImageError(f"{name} has more than {limit} megapixels; scale it down first") from None
    except MemoryError:
        raise ImageError(f"{name} does not fit into memory; scale it down first") from None
    except Exception as error:  # damage may make Pillow's decoders raise any error
        if getattr(error, "errno", None) or "null byte" in str(error):  # the system refused; no decoder was called
            raise ImageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        raise ImageError(f"{name} is damaged or cut short ({error}); export it again as PNG or JPEG") from None


def check_decoding_memory(opened: Pillow.Image, name: str, then: int = 0, other_fix: str = "") -> None:
    """Raise `ImageError` unless an image can be decoded and used; only its header was read so far.

    Args:
        opened: the image.
        name: for the message.
        then: the memory that its use needs once it is decoded, in bytes.
        other_fix: see `check_memory`.
    """
    width, height = opened.size
    needed = _decoded_bytes(opened) + max(_decoder_bytes(opened) * width * height, then)
    check_memory(name, height, width, needed, other_fix)


def _decoded_bytes(image: Pillow.Image) -> int:
    """The memory that an image needs when it is decoded."""
    return deep_bytes(image) if is_deep(image) else _BYTES_OF_MODES.get(image.mode, 4) * image.width * image.height


def _decoder_bytes(opened: Pillow.Image) -> int:
    """The additional memory per pixel that the decoder of an opened image needs while it decodes. Measured."""
    if is_deep(opened):
        return 8  # Pillow's own copy, and a TIFF's strip
    bands = len(opened.getbands())
    if opened.format in ("JPEG", "MPO"):  # a progressive one's coefficients
        return 2 * bands if opened.info.get("progressive") else 0
    if opened.format == "JPEG2000":
        return 6 * bands
    if opened.format in _DECODERS_THAT_STAY:
        return 12
    return 0 if opened.format in _PLAIN_FORMATS else 4  # a TIFF may be one single strip


def _upright(decoded: Pillow.Image, name: str) -> Pillow.Image:
    """The image, turned as its EXIF data says.

    `ImageOps.exif_transpose` does this too, but rewrites the EXIF data and fails if any other entry is damaged.
    """
    try:
        orientation = decoded.getexif().get(ORIENTATION_TAG)
    except Exception as error:  # damage may make Pillow's reader raise any error
        log.warning("the image's EXIF data cannot be read (%s): using the image as it is stored", error)
        return decoded
    if orientation not in _UPRIGHT:
        return decoded
    check_memory(name, decoded.height, decoded.width, _decoded_bytes(decoded))
    return decoded.transpose(_UPRIGHT[orientation])
