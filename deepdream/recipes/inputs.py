"""Finds the images that a recipe names, and writes paths without the user's name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.bundled import BUILT_IN, open_picture
from ..data.cache import user_folders
from ..errors import ImageError
from ..io.background import WHITE
from ..io.source import AlphaSource, ArraySource, ImageSource, NotEnoughMemoryError, source_of
from ..mask import Mask, equirectangular_mask
from ..validation import truncate

_REPLAY_OPTIONS = {"image": "--input", "guide": "--guide", "mask": "--mask"}
STANDARD_INPUT = "-"  # the name of an image that the command read there


def find_image(
    name: str,
    sha256: str | None = None,
    search_dir: str | Path | None = None,
    what: str = "image",
    max_size: int | None = None,
    background: tuple[float, ...] = WHITE,
) -> ImageSource:
    """Find the image that a recipe names.

    A built-in image or noise is made; a file is searched for under its name, in the folder `search_dir`, and in the
    images folders of DEEPDREAM_DATA.

    Args:
        name: a name that `deepdream.picture` accepts.
        sha256: the hash of its pixels; `None`: any.
        search_dir: an additional folder; `None`: no such folder.
        what: "image", "guide" or "mask", for the message.
        max_size: the longer side of the version that is used later; see `open_picture`.
        background: the colour under its transparent parts; see `open_picture`.

    Returns:
        The image in full size.

    Raises:
        ImageError: it was not found (the message lists the places that were searched), or it needs more memory than is
            free.
    """
    if name == STANDARD_INPUT:
        raise ImageError(
            f"the recipe's {what} came from standard input, so only its hash is known; give it (in a replay: "
            f"{_REPLAY_OPTIONS[what]})"
        )
    failures = []
    for candidate in _candidates(name, search_dir):
        try:
            img = open_picture(candidate, max_size, background)
        except NotEnoughMemoryError:
            raise
        except ImageError as error:
            failures.append(str(error))
            continue
        if sha256 is None or img.sha256 == sha256:
            return img
        failures.append(f"{candidate} has different pixels")
    raise ImageError(
        f"the {what} {truncate(name, 300)} was not found ({'; '.join(failures)}); put it there, or give another one "
        f"(in a replay: {_REPLAY_OPTIONS[what]})"
    )


def check_found(name: str, what: str) -> None:
    """Raise the `ImageError` of `find_image` if no file has this name, without reading the file."""
    if not any(
        each in BUILT_IN or each.startswith("noise:") or os.path.isfile(each) for each in _candidates(name, None)
    ):
        find_image(name, what=what)  # raises, unless it can be fetched


# In place of a mask's name:
ALPHA = "alpha"  # the input's own transparency
EQUIRECTANGULAR = "equirectangular"  # less towards the poles of a panorama
COMPUTED_MASKS = (ALPHA, EQUIRECTANGULAR)


@dataclass(frozen=True)
class FittedMask:
    """A mask at the size of its image.

    Attributes:
        values: float32 (H, W), 0..1.
        sha256: the hash of the mask's pixels in full size.
    """

    values: Mask
    sha256: str


def alpha_of(image: ImageSource) -> ImageSource:
    """The transparency of an image as a mask: opaque is white.

    Raises:
        ImageError: the whole image is opaque.
    """
    if image.alpha(1) is None:
        raise ImageError(
            f"{image.name} has no transparent parts, so it has no mask of its own; name a file as the mask"
        )
    return AlphaSource(image)


def computed_mask(name: str, image: ImageSource) -> ImageSource:
    """One of `COMPUTED_MASKS` for an image, as an image in full size.

    Raises:
        ImageError: it is the transparency of an opaque image.
    """
    if name == ALPHA:
        return alpha_of(image)
    return ArraySource(np.repeat(255 * equirectangular_mask(*image.shape[:2])[:, :, None], 3, axis=2))


def _candidates(name: str, search_dir: str | Path | None) -> list[str]:
    """The names and paths where an image may be, without repetitions."""
    if name in BUILT_IN or name.startswith("noise:"):
        return [name]
    path = Path(expand_home(name))
    folders = [
        *([Path(search_dir)] if search_dir is not None else []),
        *(folder / "images" for folder in user_folders()),
    ]
    return list(dict.fromkeys(str(place) for place in (path, *(folder / path.name for folder in folders))))


def expand_home(path: str) -> str:
    """A recorded path on this machine: a leading ~ becomes the home folder."""
    return str(Path.home() / path[2:]) if path.startswith("~/") else path


def abbreviate_home(path: str) -> str:
    """A path as a recipe records it: the home folder becomes ~, so that it does not reveal the user's name."""
    home = os.path.expanduser("~")  # stays ~ if there is none
    return "~" + path[len(home) :] if path.startswith(home + "/") and home != "/" else path


def given_image(image: Any, max_size: int | None = None, background: tuple[float, ...] = WHITE) -> ImageSource:
    """The image that a caller gave: read if it is a name or a path, otherwise checked.

    Args:
        image: an array (H, W, 3), or a name that `deepdream.picture` accepts.
        max_size: the longer side of the version that is used later; see `open_picture`.
        background: the colour under its transparent parts; see `open_picture`.

    Returns:
        The image in full size.

    Raises:
        ImageError: it cannot be read, or is not an image.
    """
    return open_picture(image, max_size, background) if isinstance(image, (str, Path)) else source_of(image)
