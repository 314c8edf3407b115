"""An opened Pillow image -> RGB values, as a viewer shows them.

What goes in is a `PIL.Image.Image` of any mode; what comes out is float32 (H, W, 3), red, green, blue, 0..255.
"""

from __future__ import annotations

import io
import logging

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms

from .._types import Image

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


def decode(opened: Pillow.Image) -> Image:
    """Decode an opened image: upright, on white, in sRGB.

    Args:
        opened: of any mode. Of an animation the current frame is decoded.

    Returns:
        float32 (H, W, 3).

    Raises:
        Exception: whatever Pillow raises for damaged files, or `ValueError` for values that are not numbers.
    """
    opened.load()
    return _to_rgb(_upright(opened))


def _upright(decoded: Pillow.Image) -> Pillow.Image:
    """The image turned as its EXIF data says.

    `ImageOps.exif_transpose` does this too, but writes the EXIF data anew and fails if any other entry is damaged.
    """
    try:
        orientation = decoded.getexif().get(ORIENTATION_TAG)
    except Exception as error:  # Pillow's reader raises anything that the damage leads to
        log.warning("the image's EXIF data cannot be read (%s): it is taken as it is stored", error)
        return decoded
    return decoded.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else decoded


def _to_rgb(decoded: Pillow.Image) -> Image:
    """A decoded image of any mode as float32 (H, W, 3)."""
    if decoded.mode in _SIXTEEN_BIT_MODES:
        return _from_grey(np.asarray(decoded).astype(np.float32) / np.float32(257))
    if decoded.mode == "I":  # older Pillow's mode for 16-bit grey PNGs; or a genuine 32-bit image
        integers = np.asarray(decoded).astype(np.float64)
        largest = 65535 if integers.max() <= 65535 else 2**31 - 1
        return _from_grey((integers * (255 / largest)).astype(np.float32))
    if decoded.mode == "F":
        grey = np.asarray(decoded).astype(np.float32)
        if not np.isfinite(grey).all():
            raise ValueError("it has pixels that are not numbers")
        top = grey.max()
        return _from_grey(grey * (255 if top <= 1 else 1 if top <= 255 else 255 / top))
    alpha: Image | None = None
    if decoded.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in decoded.info:
        is_grey = decoded.mode[0] == "L"
        decoded = decoded.convert("RGBA")
        alpha = np.asarray(decoded.getchannel("A")).astype(np.float32)[:, :, None] / np.float32(255)
        decoded = decoded.convert("L" if is_grey else "RGB")
    rgb = np.asarray(_to_srgb(decoded).convert("RGB")).astype(np.float32)
    return rgb if alpha is None else rgb * alpha + 255 * (1 - alpha)


def _from_grey(grey: NDArray[np.float32]) -> Image:
    """Grey values, (H, W), as an image."""
    return np.repeat(np.clip(grey, 0, 255)[:, :, None], 3, axis=2)


def _to_srgb(decoded: Pillow.Image) -> Pillow.Image:
    """The image with its embedded colour profile, if any, converted to sRGB."""
    embedded = decoded.info.get("icc_profile")
    if decoded.mode == "P":
        decoded = decoded.convert("RGB")
    if not embedded or decoded.mode not in ("L", "RGB", "CMYK"):
        return decoded
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        if "sRGB" in ImageCms.getProfileDescription(profile):
            return decoded  # converting would only round the values once more
        return ImageCms.profileToProfile(decoded, profile, ImageCms.createProfile("sRGB"), outputMode="RGB") or decoded
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
        log.warning("the image's colour profile cannot be used (%s): its colours are taken as sRGB", error)
        return decoded
