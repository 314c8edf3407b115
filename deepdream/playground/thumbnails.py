"""Small pictures of what can be chosen: what each layer makes of the clouds, and the pictures that come along.

They lie in the folder `thumbs` beside this file as JPEGs of a few kilobytes. `python -m
deepdream.playground.thumbnails` makes them anew, of the models whose weights are on this machine.
"""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from .. import models, pictures
from ..dream import deepdream
from ..image import resize, to_bytes

FOLDER = Path(__file__).with_name("thumbs")
HEIGHT, WIDTH = 112, 168


def ladder(model):
    """A model's layers from shallow to deep, for the page: [{layer, gives, thumb}], `thumb` an address or `None`."""
    return [{"layer": layer, "gives": gives, "thumb": _address(_path(model.name, layer))}
            for layer, gives in model.ladder.items()]


def of_pictures(names):
    """The pictures that come along, for the page: [{name, shows, thumb}]."""
    return [{"name": name, "shows": pictures.BUILT_IN[name],
             "thumb": _address(_path("pictures", name)) or _encoded(_jpeg(cut(pictures.picture(name), 1)))}
            for name in names]


def _path(*names):
    return FOLDER.joinpath(*(name.replace("/", "-") for name in names)).with_suffix(".jpg")


def _address(path):
    """A file as an address that holds it, so that the page needs no other file; `None` if there is none."""
    return _encoded(path.read_bytes()) if path.is_file() else None


def _encoded(data):
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")


def make():
    """Make all the thumbnails that can be made here, and print each file's path."""
    for name in pictures.BUILT_IN:
        if name != "sky":  # Google's, which is not ours to give away; it looks as clouds do
            _write(_path("pictures", name), cut(pictures.picture(name), 1))
    for name in models.model_names():
        model = models.find_model(name)
        if models.local_weights(model):
            net = models.load(name)
            for layer in model.ladder:
                _write(_path(name, layer), thumbnail(net, layer))


def thumbnail(net, layer):
    """What a layer makes of the clouds: float32 (h, w, 3), half as large again as what is kept."""
    clouds = pictures.clouds(HEIGHT * 3 // 2, WIDTH * 3 // 2)
    return deepdream(net, clouds, end=layer, octave_n=3, octave_scale=1.3, iter_n=24, seed=2015)


def cut(img, scale):
    """The middle of an image, in the thumbnails' proportions and `scale` times their size."""
    height, width = img.shape[:2]
    keep = min(height, width * HEIGHT // WIDTH), min(width, height * WIDTH // HEIGHT)
    y, x = (height - keep[0]) // 2, (width - keep[1]) // 2
    return resize(img[y:y + keep[0], x:x + keep[1]], scale * HEIGHT, scale * WIDTH).clip(0, 255)


def _write(path, img):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_jpeg(img))
    print(path, flush=True)


def _jpeg(img):
    file = io.BytesIO()
    Image.fromarray(to_bytes(resize(np.float32(img), HEIGHT, WIDTH))).save(file, "JPEG", quality=62, optimize=True)
    return file.getvalue()


if __name__ == "__main__":
    make()
