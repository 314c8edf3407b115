"""The pictures of the layers."""

from PIL import Image

import deepdream as dd
from deepdream.playground import thumbnails


def test_every_layer_of_the_two_models_has_a_thumbnail():
    for name in ("bvlc_googlenet", "squeezenet_v1.1"):
        for rung in thumbnails.ladder(dd.find_model(name)):
            assert rung["thumb"].startswith("data:image/jpeg;base64,"), rung["layer"]
    files = list(thumbnails.FOLDER.rglob("*.jpg"))
    assert sum(path.stat().st_size for path in files) < 150_000
    for path in files:
        with Image.open(path) as picture:
            assert picture.size == (thumbnails.WIDTH, thumbnails.HEIGHT)
