"""Pictures by name: a file, one that comes along, or noise.

The built-in ones need no network: the sky, unless Google's can be had, is of our own making, and the others come with
scikit-image, which Caffe's Python needs anyway.
"""

import hashlib
import logging
import re
from pathlib import Path

import numpy as np
import skimage.data

from .checks import short, shown, whole
from .errors import DreamError, ImageError
from .fetch import cache_folder, fetch_file, is_whole, make_folder, reason
from .files import sweep
from .image import check_image, read_image
from .models import user_folders

log = logging.getLogger(__name__)

# name: (function of scikit-image, what it shows)
_FROM_SKIMAGE = {
    "cat": ("chelsea", "Chelsea, a cat"),
    "face": ("astronaut", "Eileen Collins, astronaut"),
    "coffee": ("coffee", "a cup of coffee"),
    "rocket": ("rocket", "a rocket before its launch"),
}
BUILT_IN = {"sky": "clouds: Google's picture of 2015 where it can be had, else ours",
            "clouds": "clouds of our own making, the same everywhere",
            **{name: shows for name, (_, shows) in _FROM_SKIMAGE.items()}}

_RELEASE = "https://raw.githubusercontent.com/google/deepdream/bbc2ddf9e7632cc3f4d3e70211e85ae7169f366f/"
# Files of the 2015 release: name -> sha256.
RELEASE_FILES = {
    "sky1024px.jpg": "779ddda9280908ccda18d7ade2f7f84805bf22cdbce3b61ddddd7ea4a4697050",
    "flowers.jpg": "bdcaf97d07f9619a3dde0b04694ec83c2b2a3188e3e24d88db952e81b9d9f740",
}


def picture(name):
    """A picture by name.

    **Arguments:** `name`: one of `BUILT_IN` ("sky", "clouds", "cat", "face", "coffee", "rocket"); "noise:WxH", grey
    noise of that size; else the path of a file.

    **Returns:** float32 (H, W, 3), RGB, 0..255.

    **Raises:** `ImageError`.
    """
    name = str(name)
    if name.startswith("noise:"):
        return _noise_of(name)
    if name in _FROM_SKIMAGE:
        return np.float32(getattr(skimage.data, _FROM_SKIMAGE[name][0])())
    if name == "sky":
        return sky()
    if name == "clouds":
        return clouds()
    return read_image(name)


def picture_sha256(img):
    """The sha256 of an image's size and pixels, hexadecimal: the same whatever kind of file they came from."""
    img = np.ascontiguousarray(check_image(img), "<f4")
    return hashlib.sha256(f"{img.shape[1]}x{img.shape[0]}:".encode() + img.tobytes()).hexdigest()


def find_picture(name, sha256=None, beside=None, option="image"):
    """The picture that a recipe names.

    A built-in one or noise is made; a file is looked for under its name, in the folder `beside`, and in the images
    folders of DEEPDREAM_DATA.

    **Arguments:** `name`; `sha256`: of its pixels, `None` for any; `beside`: a folder or `None`; `option`: where
    another one can be given, for the message.

    **Returns:** float32 (H, W, 3).

    **Raises:** `ImageError` that says where it was looked for.
    """
    failures = []
    for place in _places(name, beside):
        try:
            img = picture(place)
        except ImageError as error:
            failures.append(str(error))
            continue
        if sha256 is None or picture_sha256(img) == sha256:
            return img
        failures.append(f"{place} has other pixels")
    raise ImageError(f"the picture {short(name, 300)} that the recipe was made from is not here "
                     f"({'; '.join(failures)}); put it there, or give one as {option}")


def _places(name, beside):
    if name in BUILT_IN or name.startswith("noise:"):
        return [name]
    path = Path(expanded(name))
    folders = [*([Path(beside)] if beside is not None else []), *(folder / "images" for folder in user_folders())]
    return list(dict.fromkeys(str(place) for place in (path, *(folder / path.name for folder in folders))))


def expanded(path):
    """A path as a recipe records it, with the home folder in the place of ~."""
    return str(Path.home() / path[2:]) if path.startswith("~/") else path


def noise(height, width, seed=0):
    """Noise to begin from, as the release had it: uniform in 100..101, barely visible grey.

    **Returns:** float32 (height, width, 3).
    """
    return np.float32(np.random.RandomState(seed).uniform(size=(height, width, 3)) + 100)


def _noise_of(name):
    match = re.fullmatch(r"noise:(\d+)[xX×](\d+)", name)
    sides = [whole(digits) or 0 for digits in match.groups()] if match else [0]
    if not 1 <= min(sides) <= max(sides) <= 20000:
        raise ImageError(f"{shown(name)}: noise is asked for as noise:WIDTHxHEIGHT, such as noise:640x480, at most "
                         "20000 a side")
    width, height = sides
    return noise(height, width)


def sky():
    """The picture of the 2015 release if it is on this machine or can be fetched, else clouds of our own making."""
    try:
        return read_image(release_file("sky1024px.jpg"))
    except DreamError as error:
        log.info("Google's sky of 2015 could not be had (%s): dreaming on clouds of our own making", error)
        return clouds()


def release_file(name):
    """The path of a picture of the 2015 release: from DEEPDREAM_DATA, the cache, or the archived release.

    **Raises:** `ImageError` if it cannot be had, `WeightsError` if the cache cannot be used.
    """
    for folder in user_folders():
        if (folder / "images" / name).is_file():
            return folder / "images" / name
    target = cache_folder() / "images" / name
    sweep(target.parent)
    checksum = f"sha256:{RELEASE_FILES[name]}"
    if not (target.is_file() and is_whole(target, checksum)):
        make_folder(target.parent)
        try:
            fetch_file(_RELEASE + name, checksum, None, target)
        except (OSError, ValueError) as error:
            raise ImageError(f"{_RELEASE}{name}: {reason(error)}") from None
    return target


def clouds(height=575, width=1024, seed=2015):
    """A sky of fractal clouds: noise whose spectrum falls as a power of the frequency, lit from above.

    The idea is Fourier synthesis of fractal clouds (Voss, "Random fractal forgeries", 1985).

    **Returns:** float32 (height, width, 3), RGB, 0..255.
    """
    density = _fractal(height, width, 1.7, seed)
    cover = 1 / (1 + np.exp(-3.2 * (density - 0.35)))
    # A cloud is bright where it is thicker than the cloud just above it, in the sun's way.
    lit = density - np.roll(density, height // 24, axis=0)
    light = 0.5 + 0.5 * np.tanh(-1.1 * lit + 0.5 * _fractal(height, width, 1.5, seed + 1))
    down = np.linspace(0, 1, height)[:, None, None]
    blue = (1 - down) * np.array([52, 98, 158]) + down * np.array([132, 174, 208])
    white = 158 + 97 * light[:, :, None] * np.array([1.0, 1.0, 0.98])
    return np.float32(np.clip(blue + cover[:, :, None] * (white - blue), 0, 255))


def _fractal(height, width, power, seed):
    """A random field with a spectrum of 1/f**power in amplitude, mean 0, standard deviation 1."""
    spectrum = np.fft.rfft2(np.random.RandomState(seed).standard_normal((height, width)))
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    largest = 1 / 260  # no structure much wider than a quarter of the picture
    frequency = np.sqrt(fy**2 + (1.5 * fx) ** 2 + largest**2)  # clouds are wider than high
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum / frequency**power, s=(height, width))
    return field / field.std()
