"""What single channels look for: an image for each, made from noise, and sheets of such images in a folder.

A folder holds one sheet for each layer, `SIDE` pixels for each channel, and `index.json`, which says which channels
they show: `{model: {layer: {"sheet": file, "channels": [numbers]}}}`. `notebooks/channels.py` makes them.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from .._types import Image
from ..errors import LayerError
from ..io.arrays import resize, to_uint8
from ..label_images import noise_steps
from ..network.net import Net
from ..network.tiling import InputGradient
from ..objectives import channels

SIDE = 96  # pixels of a stored image; a multiple of 16, so that no block of the JPEG belongs to two of them
_COLUMNS = 8
_INDEX = "index.json"
_SCALES = (0.5, 0.7, 1.0)
_BLUR = (0.8, 0.3)  # pixels, at the beginning and at the end of each scale
_STEP_SIZE = 6.0
_JITTER = 16  # pixels
_CONTRAST = 45.0  # the standard deviation of a finished image, about that of a photograph


def branch_of(net: Net, layer: str, channel: int) -> tuple[str, int]:
    """Where a channel is computed: a layer that concatenates others only copies it.

    The values of the branch can be read before its ReLU, by `net.forward(end=branch)`; those of the concatenation are
    rectified already, and a channel that is silent there has no gradient.

    Args:
        net: the network.
        layer: the name of a layer.
        channel: its channel, counted from zero.

    Returns:
        The layer that computes the channel, and the channel's number there; `layer` and `channel` themselves if it is
        no concatenation.

    Raises:
        LayerError: the network has no such layer, or the layer no such channel.
    """
    layer = net.check_layer(layer)
    count = net.blobs[layer].shape[1]
    if not 0 <= channel < count:
        raise LayerError(f"there is no channel {channel}: {layer!r} has {count} channels, 0 to {count - 1}")
    for made in net.definition.layer:
        if made.type == "Concat" and layer in made.top:
            for branch in made.bottom:
                if channel < net.blobs[branch].shape[1]:
                    return branch_of(net, branch, channel)
                channel -= net.blobs[branch].shape[1]
    return layer, channel


def channel_image(net: Net, layer: str, channel: int, size: int = 128, iter_n: int = 30, seed: int = 2015) -> Image:
    """Make an image from noise to which one channel responds strongly, everywhere in the image.

    The steps have the constraints of `deepdream.label_picture`, which make the image readable: large things are
    stronger than small ones, the image is blurred a little after each step, and it grows from scale to scale. The
    contrast of the result is set to a fixed value.

    Args:
        net: the network.
        layer: the name of a layer.
        channel: its channel, counted from zero.
        size: the side of the image in pixels.
        iter_n: steps at each of the three scales.
        seed: the random seed of the noise and the shifts.

    Returns:
        float32 (size, size, 3), RGB, 0..255.

    Raises:
        LayerError: as `branch_of`.
    """
    end, number = branch_of(net, layer, channel)
    gradient_of = InputGradient(net, end, channels(number))
    sides = [max(1, round(scale * size)) for scale in _SCALES]
    rng = np.random.RandomState(seed)
    steps = noise_steps(
        net, gradient_of, [(side, side) for side in sides], iter_n, _STEP_SIZE, _JITTER, _BLUR, rng, centred=False
    )
    image = deque(steps, maxlen=1)[0].image
    image -= image.mean(axis=(0, 1))
    return np.clip(128 + image * np.float32(_CONTRAST / max(float(image.std()), 1e-30)), 0, 255)


def store_images(folder: Path, model: str, layer: str, images: Mapping[int, Image]) -> None:
    """Store a layer's images of channels as one sheet, and name them in the folder's index.

    Args:
        folder: it is made if it is missing.
        model: the name of the model.
        layer: the name of the layer.
        images: {channel: image}, (H, W, 3) RGB 0..255; they are scaled to `SIDE` pixels.
    """
    rows = -(-len(images) // _COLUMNS)
    sheet = np.full((rows * SIDE, _COLUMNS * SIDE, 3), 255, np.uint8)
    for place, channel in zip(_places(len(images)), sorted(images)):
        sheet[place] = to_uint8(resize(images[channel], SIDE, SIDE))
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{model}-{layer.replace('/', '-')}.jpg"
    Pillow.fromarray(sheet).save(folder / name, "JPEG", quality=85, optimize=True)
    index = _read_index(folder)
    index.setdefault(model, {})[layer] = {"sheet": name, "channels": sorted(images)}
    (folder / _INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def stored_images(folder: Path, model: str, layer: str) -> dict[int, Image]:
    """The stored images of a layer's channels.

    Args:
        folder: see `store_images`.
        model: the name of the model.
        layer: the name of the layer.

    Returns:
        {channel: float32 (SIDE, SIDE, 3), RGB, 0..255}; empty if the folder has none of this layer.
    """
    entry = _read_index(folder).get(model, {}).get(layer)
    if entry is None:
        return {}
    with Pillow.open(folder / entry["sheet"]) as picture:
        sheet = np.asarray(picture.convert("RGB"), np.float32)
    return {channel: sheet[place] for place, channel in zip(_places(len(entry["channels"])), entry["channels"])}


def _places(count: int) -> Iterator[tuple[slice, slice]]:
    """Where the images are in a sheet: their rows and columns of pixels."""
    for i in range(count):
        y, x = SIDE * (i // _COLUMNS), SIDE * (i % _COLUMNS)
        yield slice(y, y + SIDE), slice(x, x + SIDE)


def _read_index(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    path = folder / _INDEX
    index: dict[str, dict[str, dict[str, Any]]] = {}
    if path.is_file():
        index = json.loads(path.read_text(encoding="utf-8"))
    return index
