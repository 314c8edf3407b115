"""What a visitor brings: pictures and settings, none of which is believed.

The central type is `Picture`: the name of one that comes along, or the bytes of a file with the visitor's name for it.
That name is shown and recorded but never opened. Every number is held against `Limits`.
"""

import dataclasses
import io
import re
import warnings
from dataclasses import dataclass
from typing import Optional

from PIL import Image

from .. import pictures
from ..errors import ImageError
from ..fetch import cache_folder
from ..image import read_image
from ..models import user_folders

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP")
_NOISE = re.compile(r"noise:([1-9]\d{0,4})x([1-9]\d{0,4})")


@dataclass(frozen=True)
class Limits:
    """What one visitor of a shared machine may ask for.

    - `megabytes`, `megapixels`: of an uploaded file, and of the picture in it; more is refused.
    - `side`: the longer side of what is dreamt on, in pixels; a larger picture is scaled down.
    - `guide_side`: the same for a guide. Each place of the picture is compared with each place of the guide.
    - `iterations`, `octaves`: of one dream.
    """

    megabytes: int = 32
    megapixels: int = 40
    side: int = 1600
    guide_side: int = 448
    iterations: int = 50
    octaves: int = 8


@dataclass(frozen=True)
class Picture:
    """A picture to dream on: `name`, and the bytes of its file, or `None` for a built-in one or noise."""

    name: str
    data: Optional[bytes] = None

    def read(self):
        """float32 (H, W, 3), RGB, 0..255; an `ImageError` if it cannot be decoded."""
        if self.data is None:
            return pictures.picture(self.name)
        file = io.BytesIO(self.data)
        file.name = self.name  # for messages
        return read_image(file)


def built_in():
    """The names that may be chosen: those of `pictures.BUILT_IN`, Google's sky only if it is on this machine."""
    here = [folder / "images" / "sky1024px.jpg" for folder in (*user_folders(), cache_folder())]
    return [name for name in pictures.BUILT_IN if name != "sky" or any(path.is_file() for path in here)]


def chosen(name, limits):
    """The `Picture` of a name that was chosen: built-in, or noise within the limits; an `ImageError` otherwise."""
    noise = _NOISE.fullmatch(str(name))
    if (noise and max(map(int, noise.groups())) <= limits.side) or name in built_in():
        return Picture(str(name))
    raise ImageError(f"{str(name)[:80]!r} is no picture of this page; choose one, or drop a file")


def uploaded(name, data, limits):
    """The `Picture` in an uploaded file, looked at but not yet decoded.

    The size is read from the file's header, so that a picture of a few bytes that unfolds to gigabytes is refused
    before it does.

    **Arguments:** `name`: what the visitor's machine calls it; `data`: its bytes; `limits`.

    **Raises:** `ImageError` for a file or picture too large, or anything but a picture.
    """
    name = clean_name(name)
    check_size(name, len(data), limits)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes that the limit below refuses
            # No other kind is tried: some that Pillow knows start other programs to read the file.
            with Image.open(io.BytesIO(data), formats=FORMATS) as header:
                width, height = header.size
    except Image.DecompressionBombError:
        raise ImageError(f"{name} has more than {limits.megapixels} megapixels; scale it down first") from None
    except Exception:  # Pillow's readers raise whatever the damage makes them stumble over
        raise ImageError(f"{name} is not a picture that can be read; use a PNG, JPEG, TIFF, WebP, GIF or BMP") from None
    if width * height > limits.megapixels * 1_000_000:
        raise ImageError(f"{name} has {width}×{height} pixels, {width * height / 1e6:.0f} megapixels; at most "
                         f"{limits.megapixels} are taken here, so scale it down first")
    return Picture(name, bytes(data))


def check_size(name, size, limits):
    """Refuse a file of more bytes than the limit; `size` may be what was announced."""
    if not isinstance(size, int) or not 0 < size <= limits.megabytes * 1_000_000:
        said = "is empty" if size == 0 else f"has {size / 1e6:.1f} MB" if isinstance(size, int) else "has no size"
        raise ImageError(f"{clean_name(name)} {said}; a file may have up to {limits.megabytes} MB here")


def clean_name(name):
    """A visitor's name for a file as it is shown and recorded: no folder, and none that means another picture."""
    name = "".join(c if c.isprintable() and c not in ":\"<>|?*" else "-" for c in re.split(r"[/\\]", str(name))[-1])
    stem, dot, suffix = name.strip(" .~").rpartition(".")
    name = f"{(stem or suffix)[:60]}{dot if stem else ''}{suffix[:8] if stem else ''}" or "picture"
    return f"{name}.png" if name in pictures.BUILT_IN else name


def next_name(name):
    """What the dream on a picture is called: cat-dream.png, and on that one cat-dream-2.png."""
    stem = re.sub(r"\.\w{1,8}$", "", name.replace(":", "-"))
    match = re.fullmatch(r"(.*)-dream(?:-(\d{1,6}))?", stem)
    return f"{match[1]}-dream-{int(match[2] or 1) + 1}.png" if match else f"{stem}-dream.png"


def limits_for_page(limits):
    """The limits as the page is told them."""
    return dataclasses.asdict(limits)
