"""Images by name: a file, a bundled one, or noise.

An image is float32 (H, W, 3), RGB, 0..255. The bundled ones work offline: the sky is generated unless Google's is
available, and the others are part of scikit-image, which Caffe's Python needs anyway.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

import numpy as np
import skimage.data

from .._types import Image
from ..errors import DreamError, ImageError
from ..io.arrays import blocks
from ..io.background import WHITE
from ..io.files import check_path, remove_leftovers
from ..io.image import check_max_size, open_image
from ..io.source import ArraySource, ImageSource, check_memory, full_bytes
from ..validation import parse_int, short_repr
from .cache import cache_folder, is_intact, make_folder, user_folders
from .clouds import clouds
from .download import describe_error, download_file

log = logging.getLogger(__name__)

MAX_NOISE_SIDE = 20_000  # pixels
# name: (function of scikit-image, description)
_FROM_SKIMAGE = {
    "cat": ("chelsea", "Chelsea, a cat"),
    "face": ("astronaut", "Eileen Collins, astronaut"),
    "coffee": ("coffee", "a cup of coffee"),
    "rocket": ("rocket", "a rocket before its launch"),
}
BUILT_IN = {
    "sky": "clouds: Google's image of 2015 where it is available, else generated ones",
    "clouds": "generated clouds, the same everywhere",
    **{name: shows for name, (_, shows) in _FROM_SKIMAGE.items()},
}
_RELEASE = "https://raw.githubusercontent.com/google/deepdream/bbc2ddf9e7632cc3f4d3e70211e85ae7169f366f/"
# Files of the 2015 release: name -> sha256.
RELEASE_FILES = {
    "sky1024px.jpg": "779ddda9280908ccda18d7ade2f7f84805bf22cdbce3b61ddddd7ea4a4697050",
    "flowers.jpg": "bdcaf97d07f9619a3dde0b04694ec83c2b2a3188e3e24d88db952e81b9d9f740",
}


def picture(name: str | os.PathLike[str], max_size: int | None = None) -> Image:
    """An image by name.

    Args:
        name: a bundled one, "sky", "clouds", "cat", "face", "coffee" or "rocket"; "flowers", the guide of the 2015
            release, which is fetched; "noise:WxH", grey noise of that size; or the path of a file.
        max_size: the longer side, in pixels, that a larger image is scaled down to; `None`: it is not scaled.

    Returns:
        float32 (H, W, 3), RGB, 0..255.

    Raises:
        ImageError: the file cannot be read or fetched, the size of the noise is out of its range, or the image needs
            more memory than is free.
        ParameterError: `name` is neither a name nor a path, or `max_size` is not a whole number from 1.

    Example:
        >>> dd.picture("cat").shape, dd.picture("noise:64x48").shape
        ((300, 451, 3), (48, 64, 3))
        >>> dd.picture("cat", max_size=100).shape
        (67, 100, 3)
    """
    return open_picture(name, max_size).fit(max_size)


def open_picture(
    name: str | os.PathLike[str], max_size: int | None = None, background: tuple[float, ...] = WHITE
) -> ImageSource:
    """An image by name, as `picture`; an image from a file is not converted to float32 yet.

    Args:
        name: see `picture`.
        max_size: the longer side of the version that is used later, which must also fit into memory; `None`: the
            whole.
        background: the RGB colour, 0..255, that the transparent parts of a file are laid on.

    Returns:
        The image in full size.

    Raises:
        ImageError: as in `picture`.
        ParameterError: as in `picture`.
    """
    check_path("name", name, "a name or a path")
    check_max_size(max_size)
    name = os.fspath(name)
    if name.startswith("noise:"):
        return ArraySource(noise(*noise_size(name)))
    if name in _FROM_SKIMAGE:
        return ArraySource(getattr(skimage.data, _FROM_SKIMAGE[name][0])())
    if name == "sky":
        return _open_sky(max_size)
    if name == "flowers":
        return open_image(release_file("flowers.jpg"), max_size)
    if name == "clouds":
        return ArraySource(clouds())
    return open_image(name, max_size, background)


def noise(height: int, width: int, seed: int = 0) -> Image:
    """Noise to start from, as in the release of 2015: uniform in 100..101, barely visible grey.

    Args:
        height: in pixels.
        width: in pixels.
        seed: the random seed of the noise, 0..2**32-1.

    Returns:
        float32 (height, width, 3).

    Raises:
        ImageError: it needs more memory than is free.
    """
    check_memory("the noise", height, width, full_bytes(height, width))
    random = np.random.RandomState(seed)
    image = np.empty((height, width, 3), np.float32)
    for rows in blocks(height, width):
        image[rows] = random.uniform(size=image[rows].shape) + 100
    return image


def noise_size(name: str) -> tuple[int, int]:
    """(height, width) of the noise that a name such as noise:640x480 stands for.

    Raises:
        ImageError: the name does not stand for noise, or the size is out of its range.
    """
    match = re.fullmatch(r"noise:(\d+)[xX×](\d+)", name)
    width, height = [parse_int(digits) or 0 for digits in match.groups()] if match else [0, 0]
    if not 1 <= min(width, height) <= max(width, height) <= MAX_NOISE_SIDE:
        raise ImageError(
            f"{short_repr(name)}: write noise as noise:WIDTHxHEIGHT, such as noise:640x480, at most {MAX_NOISE_SIDE} "
            "per side"
        )
    return height, width


def _open_sky(max_size: int | None) -> ImageSource:
    """The sky of the 2015 release if it is on this machine or can be fetched, else generated clouds."""
    try:
        return open_image(release_file("sky1024px.jpg"), max_size)
    except DreamError as error:
        log.info("could not get Google's sky of 2015 (%s): using generated clouds", error)
        return ArraySource(clouds())


def release_file(name: str) -> Path:
    """An image file of the 2015 release: from DEEPDREAM_DATA, the cache, or the archived release.

    Args:
        name: one of `RELEASE_FILES`.

    Returns:
        Its path.

    Raises:
        ImageError: the file cannot be fetched.
        WeightsError: the cache cannot be used.
    """
    for folder in user_folders():
        if os.path.isfile(folder / "images" / name):
            return folder / "images" / name
    target = cache_folder() / "images" / name
    remove_leftovers(target.parent)
    checksum = f"sha256:{RELEASE_FILES[name]}"
    if not (target.is_file() and is_intact(target, checksum)):
        make_folder(target.parent)
        try:
            download_file(_RELEASE + name, checksum, None, target)
        except (OSError, ValueError) as error:
            raise ImageError(f"{_RELEASE}{name}: {describe_error(error)}") from None
    return target
