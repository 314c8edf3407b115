"""Picture files <-> arrays.

An *image* is a float32 array (H, W, 3): red, green, blue, 0..255, everywhere outside the network. Values may lie
outside 0..255 (a dream with `clip=False`); writing a file clips and rounds them.
"""

import contextlib
import io
import logging
import math
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from .errors import ImageError
from .files import atomic_path, check_regular, not_a_folder
from .metadata import text_of, with_text

log = logging.getLogger(__name__)

# Pillow's name of the format, how it is saved, and the longest side it can hold.
_FORMATS = {
    ".png": ("PNG", {}, None),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}, 65500),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}, 65500),
    ".tif": ("TIFF", {"compression": "tiff_adobe_deflate"}, None),
    ".tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}, None),
    ".webp": ("WEBP", {"quality": 95, "method": 4}, 16383),
}
ORIENTATION = 0x0112  # EXIF's tag: which sides of the picture the first stored row and column are
_TURN = dict(zip(range(2, 9), (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180,
                               Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270,
                               Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90)))
_SIXTEEN_BIT = {"I;16", "I;16L", "I;16B", "I;16N"}


def read_image(path):
    """Read a picture file.

    Every common kind comes in as it looks in a viewer: a camera's rotation (EXIF) is applied, transparency is laid on
    white, embedded colour profiles are converted to sRGB, grey, palette, CMYK and 16-bit pictures become RGB values
    in 0..255. Of an animation the first frame is read.

    **Arguments:** `path`: a path, or a binary file object.

    **Returns:** float32 (H, W, 3), RGB, 0..255.

    **Raises:** `ImageError` if there is no such file or it cannot be decoded whole.
    """
    with _opened(path) as picture:
        picture.load()
        return _to_rgb(_upright(picture))


def read_text(path):
    """The text that `write_image` wrote into a picture file with the picture, or `None`.

    **Raises:** `ImageError` if there is no such file or it is no picture.
    """
    with _opened(path) as picture:
        return text_of(picture)


@contextlib.contextmanager
def _opened(path):
    """An opened Pillow picture; whatever is wrong with it, here or while it is used, is an `ImageError`."""
    is_path = isinstance(path, (str, os.PathLike))
    name = path if is_path else getattr(path, "name", "the picture")
    if is_path:
        check_regular(path, math.inf, ImageError)
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels on and refuses twice as many; only the refusal is a limit here.
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                yield picture
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise ImageError(f"{name} is a folder, not a picture") from None
    except PermissionError:
        raise ImageError(f"{name} cannot be read: permission denied") from None
    except Image.UnidentifiedImageError:
        raise ImageError(f"{name} is not a picture that can be read; use a PNG, JPEG, TIFF, WebP, GIF or BMP") from None
    except Image.DecompressionBombError:
        limit = 2 * Image.MAX_IMAGE_PIXELS // 1_000_000
        raise ImageError(f"{name} has more than {limit} megapixels; scale it down first") from None
    except MemoryError:
        raise ImageError(f"{name} does not fit into memory; scale it down first") from None
    except Exception as error:  # Pillow's decoders raise whatever the damage makes them stumble over
        if getattr(error, "errno", None) or "null byte" in str(error):  # the system refused; no decoder was asked
            raise ImageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        raise ImageError(f"{name} is damaged or cut short ({error}); export it again as PNG or JPEG") from None


def _upright(picture):
    """The picture turned as its EXIF data says.

    `ImageOps.exif_transpose` does this too, but writes the EXIF data anew and fails if any other entry is damaged.
    """
    try:
        orientation = picture.getexif().get(ORIENTATION)
    except Exception as error:  # its reader raises whatever the damage makes it stumble over
        log.warning("the picture's EXIF data cannot be read (%s): it is taken as it is stored", error)
        return picture
    return picture.transpose(_TURN[orientation]) if orientation in _TURN else picture


def _to_rgb(picture):
    """A decoded Pillow picture as float32 (H, W, 3)."""
    if picture.mode in _SIXTEEN_BIT:
        return _from_grey(np.asarray(picture).astype(np.float32) / 257)
    if picture.mode == "I":  # older Pillow's mode for 16-bit grey PNGs; or a genuine 32-bit picture
        grey = np.asarray(picture).astype(np.float64)
        top = 65535 if grey.max() <= 65535 else 2**31 - 1
        return _from_grey((grey * (255 / top)).astype(np.float32))
    if picture.mode == "F":
        grey = np.asarray(picture).astype(np.float32)
        if not np.isfinite(grey).all():
            raise ValueError("it has pixels that are not numbers")
        return _from_grey(grey * (255 if grey.max() <= 1 else 1 if grey.max() <= 255 else 255 / grey.max()))
    alpha = None
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        grey = picture.mode[0] == "L"
        picture = picture.convert("RGBA")
        alpha = np.asarray(picture.getchannel("A"), np.float32)[:, :, None] / 255
        picture = picture.convert("L" if grey else "RGB")
    rgb = np.asarray(_to_srgb(picture).convert("RGB")).astype(np.float32)
    return rgb if alpha is None else rgb * alpha + 255 * (1 - alpha)


def _from_grey(grey):
    return np.repeat(np.clip(grey, 0, 255)[:, :, None], 3, axis=2)


def _to_srgb(picture):
    """The picture with its embedded colour profile, if any, converted to sRGB."""
    embedded = picture.info.get("icc_profile")
    if picture.mode == "P":
        picture = picture.convert("RGB")
    if not embedded or picture.mode not in ("L", "RGB", "CMYK"):
        return picture
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        if "sRGB" in ImageCms.getProfileDescription(profile):
            return picture  # converting would only round the values once more
        return ImageCms.profileToProfile(picture, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
        log.warning("the picture's colour profile cannot be used (%s): its colours are taken as sRGB", error)
        return picture


def check_image(img):
    """An array as an image of this library: float32 (H, W, 3), a copy of `img` only if need be.

    **Raises:** `ImageError` for another shape, no pixels, or values that are not finite numbers.
    """
    try:
        img = np.asarray(img)
        if img.dtype.kind not in "uifb":
            raise TypeError
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, which is refused below
            img = img.astype(np.float32, copy=False)
    except (TypeError, ValueError):
        raise ImageError(f"an image must be an array of numbers, (H, W, 3); got {type(img).__name__}") from None
    if img.ndim != 3 or img.shape[2] != 3:
        raise ImageError(f"an image must have the shape (H, W, 3), RGB; got {img.shape}")
    if 0 in img.shape:
        raise ImageError(f"the image has no pixels: its shape is {img.shape}")
    if not np.isfinite(img).all():
        bad = int(np.count_nonzero(~np.isfinite(img)))
        raise ImageError(f"the image has {bad} values that are NaN or infinite; replace them, as numpy.nan_to_num does")
    return img


def output_format(path):
    """Pillow's format name, save options and longest side for a path's suffix; an `ImageError` for an unknown one."""
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise ImageError(f"{path}: cannot write {suffix or 'a file without suffix'}; end the name in one of {known}")
    return _FORMATS[suffix]


def write_image(path, img, recipe=None):
    """Write an image as PNG, TIFF (lossless), JPEG or WebP (quality 95), by the path's suffix.

    The file is written under a temporary name and renamed: it is whole, or the older one stays.

    **Arguments:**

    - `path`: where to; its folder must exist.
    - `img`: (H, W, 3), RGB; values are clipped to 0..255 and rounded.
    - `recipe`: a `Recipe` to write into the file, from where `Recipe.from_image` reads it.

    **Raises:** `ImageError` for an unknown suffix, a picture too large for the format, or a folder that cannot be
    written.
    """
    format_name, options, longest = output_format(path)
    if recipe is not None:
        options = {**options, **with_text(format_name, recipe.to_json())}
    img = check_image(img)
    if longest and max(img.shape[:2]) > longest:
        raise ImageError(f"{path}: {format_name} holds at most {longest} pixels a side, the picture has "
                         f"{max(img.shape[:2])}; write a PNG")
    pixels = to_bytes(img)
    encoded = io.BytesIO()
    try:
        # In memory first: on a full disk an encoder that writes itself may print lines of its own, or stay silent.
        Image.fromarray(pixels).save(encoded, format_name, **options)
        with atomic_path(path) as temporary:
            temporary.write_bytes(encoded.getbuffer())
    except OSError as error:
        if not Path(path).parent.exists():
            raise ImageError(f"{path}: the folder {Path(path).parent} {not_a_folder(Path(path).parent)}") from None
        raise ImageError(f"{path} cannot be written: {error.strerror or error}") from None


def to_bytes(img):
    """An image as a file holds it: uint8 (H, W, 3), clipped and rounded."""
    return np.rint(np.clip(img, 0, 255)).astype(np.uint8)


def fit(img, max_size):
    """An image scaled down so that its longer side has at most `max_size` pixels; `None` leaves it as it is."""
    height, width = img.shape[:2]
    if max_size is None or max(height, width) <= max_size:
        return img
    factor = max_size / max(height, width)
    return resize(img, max(1, round(height * factor)), max(1, round(width * factor))).clip(0, 255)


def resize(img, height, width):
    """An image at another size, averaging over what is lost when it shrinks: float32 (height, width, 3)."""
    channels = [Image.fromarray(np.ascontiguousarray(img[:, :, c])).resize((width, height), Image.Resampling.BICUBIC)
                for c in range(3)]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)
