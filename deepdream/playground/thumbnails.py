"""Small images of the choices on the page: the built-in images, and each layer's dream on the clouds.

They are JPEGs of a few kilobytes in the folder `thumbs` beside this file. `python -m deepdream.playground.thumbnails`
makes them again, for the models whose weights are on this machine.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from .._types import Image
from ..data.bundled import BUILT_IN, picture
from ..data.clouds import clouds
from ..dream import deepdream
from ..io.arrays import resize, to_uint8
from ..network.net import Net
from ..zoo.loading import load
from ..zoo.registry import Model, find_model, model_names
from ..zoo.weights import local_weights

FOLDER = Path(__file__).with_name("thumbs")
HEIGHT, WIDTH = 112, 168  # pixels


def ladder(model: Model) -> list[dict[str, Any]]:
    """The layers of a model from shallow to deep, for the page.

    Returns:
        {layer, gives, thumb} each; `thumb` is a data URL, `None` if there is no thumbnail.
    """
    return [
        {"layer": layer, "gives": gives, "thumb": _file_url(_path(model.name, layer))}
        for layer, gives in model.ladder.items()
    ]


def picture_choices(names: Iterable[str]) -> list[dict[str, Any]]:
    """The built-in images of these names, for the page.

    Returns:
        {name, shows, thumb} each; `thumb` is a data URL.
    """
    return [
        {
            "name": name,
            "shows": BUILT_IN[name],
            "thumb": _file_url(_path("pictures", name)) or _data_url(_jpeg(crop_centre(picture(name)))),
        }
        for name in names
    ]


def _path(*names: str) -> Path:
    return FOLDER.joinpath(*(name.replace("/", "-") for name in names)).with_suffix(".jpg")


def _file_url(path: Path) -> str | None:
    """A file as a data URL, so that the page needs no other file; `None` if there is no such file."""
    return _data_url(path.read_bytes()) if path.is_file() else None


def _data_url(data: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")


def make_thumbnails() -> None:
    """Make all thumbnails that can be made on this machine, and print the path of each."""
    for name in BUILT_IN:
        if name != "sky":  # Google's, which we may not publish; it looks like the clouds
            _write(_path("pictures", name), crop_centre(picture(name)))
    for name in model_names():
        model = find_model(name)
        if local_weights(model):
            net = load(name)
            for layer in model.ladder:
                _write(_path(name, layer), dream_on_clouds(net, layer))


def dream_on_clouds(net: Net, layer: str) -> Image:
    """A layer's dream on the clouds: float32 (h, w, 3), 1.5 times as large as a thumbnail."""
    sky = clouds(HEIGHT * 3 // 2, WIDTH * 3 // 2)
    return deepdream(net, sky, end=layer, octave_n=3, octave_scale=1.3, iter_n=24, seed=2015)


def crop_centre(img: Image) -> Image:
    """The middle of an image in the size of a thumbnail: float32 (HEIGHT, WIDTH, 3)."""
    height, width = img.shape[:2]
    kept_height, kept_width = min(height, width * HEIGHT // WIDTH), min(width, height * WIDTH // HEIGHT)
    y, x = (height - kept_height) // 2, (width - kept_width) // 2
    return resize(img[y : y + kept_height, x : x + kept_width], HEIGHT, WIDTH).clip(0, 255)


def _write(path: Path, img: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_jpeg(img))
    print(path, flush=True)


def _jpeg(img: Image) -> bytes:
    file = io.BytesIO()
    pixels = to_uint8(resize(np.float32(img), HEIGHT, WIDTH))
    PIL.Image.fromarray(pixels).save(file, "JPEG", quality=62, optimize=True)
    return file.getvalue()


if __name__ == "__main__":
    make_thumbnails()
