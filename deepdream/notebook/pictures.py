"""Images in a notebook: side by side with captions, animated, and plots, each with a description in words.

An image is one of this library, (H, W, 3) RGB 0..255, or grey, (H, W) 0..255. Everything is embedded in the notebook as
JPEG, WebP or PNG, on a white background, so that it can be read on a dark page too.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from IPython import display
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from .._types import Image
from ..io.arrays import resize, to_uint8

_GAP = 8  # pixels between images
_TEXT_COLOUR = (40, 40, 40)
_LINE_HEIGHT = 20  # pixels of a line of a caption


def scaled(img: Image, width: int) -> Image:
    """Scale an image and keep its proportions.

    Args:
        img: (H, W, 3) RGB.
        width: the new width in pixels.

    Returns:
        float32 (height, width, 3), within 0..255.
    """
    height = max(1, round(img.shape[0] * width / img.shape[1]))
    return resize(img, height, width).clip(0, 255)


def sheet(
    images: Sequence[ArrayLike], captions: Sequence[str] = (), columns: int | None = None, width: int = 960
) -> NDArray[np.uint8]:
    """Arrange images in rows, each with a caption below it.

    Args:
        images: one that is wider than its column is scaled down, a smaller one keeps its size.
        captions: a string for each image, or none at all.
        columns: how many images are in a row; `None`: all.
        width: the width of the whole sheet, in pixels.

    Returns:
        uint8 (H, W, 3), RGB on white.
    """
    columns = columns or len(images)
    cell = (width - _GAP * (columns - 1)) // columns
    tiles = [_add_caption(_fit(img, cell), text, cell) for img, text in zip(images, captions or [""] * len(images))]
    rows = []
    for first in range(0, len(tiles), columns):
        row = tiles[first : first + columns]
        height = max(tile.shape[0] for tile in row)
        canvas = np.full((height, cell * columns + _GAP * (columns - 1), 3), 255, np.uint8)
        for i, tile in enumerate(row):
            x = i * (cell + _GAP)
            canvas[: tile.shape[0], x : x + cell] = tile
        rows += [canvas, np.full((_GAP, canvas.shape[1], 3), 255, np.uint8)]
    return np.concatenate(rows[:-1])


def _fit(img: ArrayLike, cell: int) -> NDArray[np.uint8]:
    """An image, coloured and no wider than `cell` pixels, uint8 (H, W, 3)."""
    image = np.asarray(img, np.float32)
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    if image.shape[1] > cell:
        image = scaled(image, cell)
    return to_uint8(image)


def _add_caption(pixels: NDArray[np.uint8], text: str, cell: int) -> NDArray[np.uint8]:
    """The image in the middle of a column `cell` pixels wide, with the text below it if there is any."""
    lines = text.split("\n") if text else []
    tile = Pillow.new("RGB", (cell, pixels.shape[0] + _LINE_HEIGHT * len(lines) + (4 if lines else 0)), "white")
    tile.paste(Pillow.fromarray(pixels), ((cell - pixels.shape[1]) // 2, 0))
    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), 13)
    for i, line in enumerate(lines):
        place = (cell // 2, pixels.shape[0] + 14 + _LINE_HEIGHT * i)
        ImageDraw.Draw(tile).text(place, line, _TEXT_COLOUR, font, anchor="mm")
    return np.asarray(tile)


def show(
    *images: ArrayLike,
    captions: Sequence[str] = (),
    columns: int | None = None,
    width: int = 960,
    alt: str | None = None,
    quality: int = 85,
) -> display.Image:
    """Show images as one JPEG in the notebook.

    Args:
        images: see `sheet`.
        captions: see `sheet`.
        columns: see `sheet`.
        width: see `sheet`.
        alt: a description of the images for those who cannot see them; `None`: the captions.
        quality: the quality of the JPEG, 1..95.

    Returns:
        The object that the notebook displays.
    """
    encoded = io.BytesIO()
    Pillow.fromarray(sheet(images, captions, columns, width)).save(encoded, "JPEG", quality=quality)
    alt = alt or ", ".join(captions).replace("\n", " ") or "an image"
    return display.Image(encoded.getvalue(), format="jpeg", alt=alt)


def animate(
    frames: Iterable[ArrayLike],
    milliseconds: int = 120,
    width: int = 480,
    quality: int = 70,
    alt: str = "an animated image",
) -> display.HTML:
    """Show images one after the other, over and over, as an animated WebP in the notebook.

    Args:
        frames: the images, all of one size.
        milliseconds: how long each is shown.
        width: in pixels; wider images are scaled down.
        quality: the quality of the WebP, 0..100.
        alt: a description for those who cannot see it.

    Returns:
        The object that the notebook displays.
    """
    first, *rest = [Pillow.fromarray(_fit(frame, width)) for frame in frames]
    encoded = io.BytesIO()
    first.save(
        encoded, "WEBP", save_all=True, append_images=rest, duration=milliseconds, loop=0, quality=quality, method=4
    )
    data = base64.b64encode(encoded.getvalue()).decode()
    return display.HTML(f'<img alt="{html.escape(alt)}" src="data:image/webp;base64,{data}">')


def show_figure(figure: Figure, alt: str, dpi: int = 100) -> display.Image:
    """Show a plot as a PNG in the notebook, and close it.

    Args:
        figure: matplotlib's.
        alt: a description of the plot for those who cannot see it.
        dpi: pixels per inch of the figure's size.

    Returns:
        The object that the notebook displays.
    """
    drawn, encoded = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi, facecolor="white")
    plt.close(figure)
    # 256 colours are enough for a plot, and take a third of the bytes.
    Pillow.open(drawn).convert("RGB").quantize(256, dither=Pillow.Dither.NONE).save(encoded, "PNG", optimize=True)
    return display.Image(encoded.getvalue(), format="png", alt=alt)
