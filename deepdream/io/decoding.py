"""An opened Pillow image -> RGB values, as a viewer shows them.

The input is a `PIL.Image.Image` of any mode; the output is a `DecodedImage`, whose values are float32 (H, W, 3), red,
green, blue, 0..255.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms, UnidentifiedImageError

from .._types import Image
from ..errors import DreamError, ImageError
from .arrays import blocks
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
_SIXTEEN_BIT_MODES = {"I;16", "I;16L", "I;16B", "I;16N"}
_ALPHA_MODES = {"RGBA", "LA", "PA", "La", "RGBa"}
_BYTES_OF_MODES = {"1": 1, "L": 1, "P": 1, **dict.fromkeys(_SIXTEEN_BIT_MODES, 2)}  # per pixel in Pillow; others: 4
_PLAIN_FORMATS = {"BMP", "GIF", "PNG", "PPM", "TGA"}  # are decoded row by row
_DECODERS_THAT_STAY = {"AVIF", "WEBP"}  # with their own buffers, until the opened image is closed


class DecodedImage(ImageSource):
    """A decoded image: upright, on white, in sRGB.

    Args:
        opened: the image, of any mode. For an animation, the current frame is decoded.
        name: for messages.
        max_size: the longer side of the version that is used later, as in `fit`; `None`: the whole.

    Raises:
        ImageError: there is not enough memory for it and for that version, according to the header.
        Exception: any error that Pillow raises for damaged files, or `ValueError` for values that are not numbers.
    """

    def __init__(self, opened: Pillow.Image, name: str, max_size: int | None) -> None:
        self.name = name
        height, width = opened.height, opened.width
        other_fix = ", or use a smaller version (max_size)" if max_size is None else ""
        check_decoding_memory(opened, name, fitting_bytes(height, width, max_size), other_fix)
        # A JPEG could be decoded at an eighth of its size (Pillow's `draft`), but with different values.
        opened.load()
        if opened.format in _DECODERS_THAT_STAY:
            opened = opened.copy()
        self._decoded = _upright(opened, name)
        self.shape = (self._decoded.height, self._decoded.width, 3)
        self._grey_factor = _grey_factor(self._decoded)
        self._to_srgb = _srgb_transform(self._decoded)
        self.block(slice(0, 1), slice(0, 1))  # raises if Pillow cannot convert the mode

    def block(self, rows: slice, columns: slice) -> Image:
        """These rows and columns, float32 (h, w, 3)."""
        top, bottom, _ = rows.indices(self.shape[0])
        left, right, _ = columns.indices(self.shape[1])
        with image_errors(self.name):
            return self._to_rgb(self._decoded.crop((left, top, right, bottom)))

    def _to_rgb(self, decoded: Pillow.Image) -> Image:
        """A part of the decoded image as float32 (H, W, 3)."""
        if decoded.mode in _SIXTEEN_BIT_MODES:
            return _from_grey(np.asarray(decoded).astype(np.float32) / np.float32(257))
        if decoded.mode == "I":
            return _from_grey((np.asarray(decoded).astype(np.float64) * self._grey_factor).astype(np.float32))
        if decoded.mode == "F":
            return _from_grey(np.asarray(decoded).astype(np.float32) * self._grey_factor)
        alpha: Image | None = None
        mode = _opaque_mode(decoded)
        if _has_alpha(decoded):
            decoded = decoded.convert("RGBA")
            alpha = np.asarray(decoded.getchannel("A")).astype(np.float32)[:, :, None] / np.float32(255)
        decoded = decoded.convert(mode)
        if self._to_srgb is not None:
            decoded = self._to_srgb.apply(decoded)
        rgb = np.asarray(decoded.convert("RGB")).astype(np.float32)
        return rgb if alpha is None else rgb * alpha + 255 * (1 - alpha)


@contextlib.contextmanager
def image_errors(name: str) -> Iterator[None]:
    """A context in which every error of Pillow becomes an `ImageError` about the image of this name."""
    try:
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
    """The memory that Pillow's image needs when it is decoded."""
    return _BYTES_OF_MODES.get(image.mode, 4) * image.width * image.height


def _decoder_bytes(opened: Pillow.Image) -> int:
    """The additional memory per pixel that the decoder of an opened image needs while it decodes. Measured."""
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


def _has_alpha(decoded: Pillow.Image) -> bool:
    return decoded.mode in _ALPHA_MODES or "transparency" in decoded.info


def _opaque_mode(decoded: Pillow.Image) -> str:
    """The mode of an image's colours, without its transparency and its palette."""
    if _has_alpha(decoded):
        return "L" if decoded.mode[0] == "L" else "RGB"
    return "RGB" if decoded.mode == "P" else decoded.mode


def _grey_factor(decoded: Pillow.Image) -> np.float32 | float:
    """The factor for the values of a 32-bit image; it depends on the largest of them."""
    if decoded.mode not in ("I", "F"):
        return 1
    width, height = decoded.size
    parts = (np.asarray(decoded.crop((0, rows.start, width, rows.stop))) for rows in blocks(height, width))
    if decoded.mode == "I":  # older Pillow's mode for 16-bit grey PNGs; or a genuine 32-bit image
        return 255 / (65535 if max(part.max() for part in parts) <= 65535 else 2**31 - 1)
    top = np.float32(-np.inf)
    for part in parts:
        if not np.isfinite(part).all():
            raise ValueError("it has pixels that are not numbers")
        top = max(top, part.max())
    return 255 if top <= 1 else 1 if top <= 255 else 255 / top


def _from_grey(grey: NDArray[np.float32]) -> Image:
    """Grey values, (H, W), as an image."""
    return np.repeat(np.clip(grey, 0, 255)[:, :, None], 3, axis=2)


def _srgb_transform(decoded: Pillow.Image) -> ImageCms.ImageCmsTransform | None:
    """The conversion of an image's colours to sRGB; `None` if it has no colour profile, or a useless one."""
    embedded, mode = decoded.info.get("icc_profile"), _opaque_mode(decoded)
    if not embedded or mode not in ("L", "RGB", "CMYK"):
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        if "sRGB" in ImageCms.getProfileDescription(profile):
            return None  # converting would only round the values once more
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
        transform.apply(Pillow.new(mode, (1, 1)))
        return transform
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
        log.warning("the image's colour profile cannot be used (%s): assuming sRGB colours", error)
        return None
