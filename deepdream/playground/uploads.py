"""The images of a visitor, which are never trusted.

The central type is `Picture`: the name of a built-in image, or the bytes of a file with the visitor's name for it. That
name is shown and recorded but never opened. Every number is checked against `Limits`.
"""

from __future__ import annotations

import dataclasses
import io
import re
import warnings
from dataclasses import dataclass
from typing import Any

import PIL.Image

from .._types import Image
from ..data.bundled import BUILT_IN, open_picture
from ..data.cache import cache_folder, user_folders
from ..errors import ImageError
from ..io.heif import prepare_heif
from ..io.image import open_image
from ..io.source import ImageSource

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "AVIF")
MASK_NAME = "painted-mask.png"
MAX_MASK_MEGABYTES = 1
_NOISE = re.compile(r"noise:([1-9]\d{0,4})x([1-9]\d{0,4})", re.ASCII)


@dataclass(frozen=True)
class Limits:
    """The limits of one visitor of a shared machine.

    Attributes:
        megabytes: the largest size of an uploaded file; a larger one is refused.
        megapixels: the largest size of the image in it; a larger one is refused.
        side: the longer side of the image that is dreamt on, in pixels; a larger image is scaled down.
        guide_side: the same for a guide. Each position of the image is compared with each position of the guide.
        iterations: the largest number per octave.
        octaves: the largest number in one dream.
        seconds: the time that one dream may take, without the queue; it is then stopped, and kept as it is.
    """

    megabytes: int = 32
    megapixels: int = 40
    side: int = 1600
    guide_side: int = 448
    iterations: int = 50
    octaves: int = 8
    seconds: int = 900


@dataclass(frozen=True)
class Picture:
    """An image to dream on.

    Attributes:
        name: the name of a built-in image, "noise:WxH", or the visitor's name for the file.
        data: the file's bytes; `None` for a built-in image or noise.
    """

    name: str
    data: bytes | None = None

    def read(self) -> Image:
        """Decode the image.

        Returns:
            float32 (H, W, 3), RGB, 0..255.

        Raises:
            ImageError: it cannot be decoded, or needs more memory than is free.
        """
        return self.open().full()

    def open(self, max_size: int | None = None) -> ImageSource:
        """Decode the image, without making a float32 array of it yet.

        Args:
            max_size: the longer side of the version that is used later, which must also fit into memory; `None`: the
                whole.

        Raises:
            ImageError: it cannot be decoded, or needs more memory than is free.
        """
        if self.data is None:
            return open_picture(self.name, max_size)
        file = io.BytesIO(self.data)
        file.name = self.name  # for messages
        return open_image(file, max_size)


def built_in() -> list[str]:
    """The names that may be chosen: those of `BUILT_IN`, with Google's sky only if it is on this machine."""
    files = [folder / "images" / "sky1024px.jpg" for folder in (*user_folders(), cache_folder())]
    return [name for name in BUILT_IN if name != "sky" or any(path.is_file() for path in files)]


def chosen(name: Any, limits: Limits) -> Picture:
    """The image that a visitor chose by its name.

    Args:
        name: the name of a built-in image, or noise within the limits.
        limits: the limits of the page.

    Raises:
        ImageError: another name.
    """
    noise = _NOISE.fullmatch(str(name))
    if (noise and max(map(int, noise.groups())) <= limits.side) or name in built_in():
        return Picture(str(name))
    raise ImageError(f"{str(name)[:80]!r} is not a picture on this page; choose one, or drop a file on the page")


def uploaded(name: Any, data: bytes | bytearray, limits: Limits) -> Picture:
    """The image in an uploaded file, whose header is read but which is not yet decoded.

    The header has the size, so a small file that would decode to gigabytes is refused in time.

    Args:
        name: the file's name on the visitor's machine.
        data: its bytes.
        limits: the limits of the page.

    Raises:
        ImageError: the file or the image is too large, or it is not an image.
    """
    name = clean_name(name)
    check_size(name, len(data), limits)
    PIL.Image.init()
    formats = [each for each in FORMATS if each in PIL.Image.OPEN]  # Pillow knows AVIF from version 11.3 on
    if prepare_heif(io.BytesIO(data), name):
        formats = ["HEIF"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about sizes that the limit below refuses
            # No other format is tried: to read some of them, Pillow starts other programs.
            with PIL.Image.open(io.BytesIO(data), formats=formats) as header:
                width, height = header.size
    except PIL.Image.DecompressionBombError:
        raise ImageError(f"{name} has more than {limits.megapixels} megapixels; scale it down first") from None
    except Exception:  # Pillow's readers raise exceptions of any class for a damaged file
        raise ImageError(
            f"{name} is not a picture that can be read; use a PNG, JPEG, TIFF, WebP, HEIC or GIF"
        ) from None
    if width * height > limits.megapixels * 1_000_000:
        raise ImageError(
            f"{name} has {width}×{height} pixels, {width * height / 1e6:.0f} megapixels; the "
            f"limit here is {limits.megapixels}, so scale it down first"
        )
    return Picture(name, bytes(data))


def painted(data: bytes, limits: Limits) -> Picture:
    """The mask that a visitor painted: a PNG no larger than the page makes it.

    Args:
        data: the file's bytes.
        limits: the limits of the page.

    Raises:
        ImageError: it is something else.
    """
    mask = uploaded(MASK_NAME, data, dataclasses.replace(limits, megabytes=MAX_MASK_MEGABYTES, megapixels=3))
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ImageError("the painted mask is not a PNG; clear it and paint again")
    return mask


def check_size(name: Any, size: Any, limits: Limits) -> None:
    """Check the size of a file, its own or the announced one.

    Args:
        name: the name of the file, for the message.
        size: in bytes.
        limits: the limits of the page.

    Raises:
        ImageError: it is empty, larger than the limit, or not a whole number.
    """
    if type(size) is not int or not 0 < size <= limits.megabytes * 1_000_000:  # True is an int, but not of this type
        known = type(size) is int and size >= 0
        problem = "has no size" if not known else f"has {min(size, 10**15) / 1e6:.1f} MB" if size else "is empty"
        raise ImageError(f"{clean_name(name)} {problem}; a file may have up to {limits.megabytes} MB here")


def clean_name(name: Any) -> str:
    """A visitor's name for a file, as shown and recorded: without folders, and never the name of another image."""
    name = "".join(c if c.isprintable() and c not in ':"<>|?*' else "-" for c in re.split(r"[/\\]", str(name))[-1])
    stem, dot, suffix = name.strip(" .~").rpartition(".")
    name = f"{(stem or suffix)[:60]}{dot if stem else ''}{suffix[:8] if stem else ''}" or "picture"
    return f"{name}.png" if name in BUILT_IN else name


def next_name(name: str) -> str:
    """The name of the dream on an image: cat-dream.png, and of the dream on that, cat-dream-2.png."""
    stem = re.sub(r"\.\w{1,8}$", "", name.replace(":", "-"))
    match = re.fullmatch(r"(.*)-dream(?:-(\d{1,6}))?", stem)
    return f"{match[1]}-dream-{int(match[2] or 1) + 1}.png" if match else f"{stem}-dream.png"


def limits_for_page(limits: Limits) -> dict[str, int]:
    """The limits, for the page."""
    return dataclasses.asdict(limits)
