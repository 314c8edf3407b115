"""What single channels look for: sheets of their images (`deepdream.channel_picture`) in a folder.

A folder holds one sheet for each layer, `SIDE` pixels for each channel, and `index.json`, which says which channels
they show: `{model: {layer: {"sheet": file, "channels": [numbers]}}}`. `notebooks/channels.py` makes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from .._types import Image
from ..io.arrays import resize, to_uint8

SIDE = 96  # pixels of a stored image; a multiple of 16, so that no block of the JPEG belongs to two of them
_COLUMNS = 8
_INDEX = "index.json"


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
