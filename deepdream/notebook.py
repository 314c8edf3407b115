"""Helpers of the notebooks: contact sheets with captions, animated images, drawings of small networks, claims.

An image is one of this library, (H, W, 3) RGB 0..255, or grey, (H, W) 0..255. Everything is embedded as JPEG or WebP
inside the notebook. This module needs the extra `notebooks`; nothing else in the package uses it.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from IPython import display
from matplotlib import pyplot as plt
from matplotlib.colors import TwoSlopeNorm
from numpy.typing import ArrayLike, NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from ._types import Image
from .io.arrays import resize, to_uint8

STRICT = "DEEPDREAM_STRICT"  # the environment variable that makes a false claim an error
_GAP = 8  # pixels between images
_TEXT_COLOUR = (40, 40, 40)
_LINE_HEIGHT = 20  # pixels of a line of a caption
_POSITIVE_WEIGHT, _NEGATIVE_WEIGHT = "#d9822b", "#3b7dd8"
_FORWARD_ARROW, _BACKWARD_ARROW = "#c0621a", "#7a3b9a"


@contextlib.contextmanager
def claim(sentence: str) -> Iterator[None]:
    """A claim of the text, which the block checks by `assert`.

    It must hold with the published settings: the tests and `make notebooks-run` set the variable DEEPDREAM_STRICT, and
    then a claim that is false is an error. With other settings or another network it may be false. Then a sentence says
    so, and the notebook continues.

    Args:
        sentence: the claim, a full sentence.

    Raises:
        AssertionError: the claim is false, and DEEPDREAM_STRICT is 1.

    Example:
        >>> with claim("Two is more than three."):
        ...     assert 2 > 3
        With these settings this does not hold: Two is more than three.
    """
    try:
        yield
    except AssertionError as error:
        if os.environ.get(STRICT) == "1":
            raise AssertionError(sentence) from error
        print(f"With these settings this does not hold: {sentence}")


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
    return display.HTML(f'<img alt="{alt}" src="data:image/webp;base64,{data}">')


def draw_network(
    values: Sequence[ArrayLike | None],
    weights: Sequence[NDArray[Any]],
    names: Sequence[str | Sequence[str]] | None = None,
    title: str = "",
    backward: bool = False,
    axes: Any = None,
) -> None:
    """Draw a fully connected network as circles and lines, with the numbers that flow through it.

    Args:
        values: for each layer, from the inputs on, the numbers that are written into its circles and colour them
            (activations, or gradients); `None` for a layer that nothing has reached.
        weights: between each layer and the next, (outputs, inputs): orange lines are positive, blue ones negative, and
            the thickness shows the size.
        names: for each layer its title, or a list of titles for its circles.
        title: the title of the whole drawing.
        backward: whether the values flow from the outputs to the inputs.
        axes: matplotlib's, to draw into; `None`: a new figure.
    """
    axes = axes or plt.subplots(figsize=(11, 5))[1]
    sizes = [weights[0].shape[1], *(len(matrix) for matrix in weights)]
    tallest = max(sizes)
    places = [[(x, (size - 1) / 2 - y) for y in range(size)] for x, size in enumerate(sizes)]
    _draw_weights(axes, weights, places)
    reached = [np.abs(layer).max() for layer in values if layer is not None]
    norm = TwoSlopeNorm(0, -max([*reached, 1e-9]), max([*reached, 1e-9]))
    colours = plt.get_cmap("PRGn" if backward else "PuOr_r")
    for x, layer in enumerate(values):
        layer_names = names[x] if names else ""
        for i, place in enumerate(places[x]):
            _draw_neuron(axes, place, None if layer is None else float(np.ravel(layer)[i]), norm, colours)
            if not isinstance(layer_names, str):
                axes.text(place[0] - 0.22, place[1], layer_names[i], ha="right", va="center", fontsize=11)
        if names and isinstance(layer_names, str):
            axes.text(x, tallest / 2 + 0.05, layer_names, ha="center", va="bottom", fontsize=11, color="#444444")
    arrow = {"arrowstyle": "-|>", "linewidth": 2.5, "color": _BACKWARD_ARROW if backward else _FORWARD_ARROW}
    ends = [(0.1, -tallest / 2 - 0.25), (len(sizes) - 1.1, -tallest / 2 - 0.25)]
    axes.annotate("", ends[0] if backward else ends[1], ends[1] if backward else ends[0], arrowprops=arrow)
    axes.set(xlim=(-0.95, len(sizes) - 0.6), ylim=(-tallest / 2 - 0.5, tallest / 2 + 0.5))
    axes.set_title(title, fontsize=12)
    axes.axis("off")


def _draw_weights(axes: Any, weights: Sequence[NDArray[Any]], places: Sequence[Sequence[tuple[float, float]]]) -> None:
    """A line for each weight, between the places of its neurons."""
    strongest = max(np.abs(matrix).max() for matrix in weights)
    for x, matrix in enumerate(weights):
        for (to, source), weight in np.ndenumerate(matrix):
            (x0, y0), (x1, y1) = places[x][source], places[x + 1][to]
            axes.plot(
                [x0, x1],
                [y0, y1],
                color=_POSITIVE_WEIGHT if weight > 0 else _NEGATIVE_WEIGHT,
                alpha=0.75,
                zorder=1,
                linewidth=0.3 + 4 * abs(weight) / strongest,
            )


def _draw_neuron(axes: Any, place: tuple[float, float], value: float | None, norm: Any, colours: Any) -> None:
    """A circle, with its value inside unless that is `None`."""
    colour = "#eeeeee" if value is None else colours(norm(value))
    axes.scatter(*place, s=1500, color=[colour], edgecolor="#444444", linewidth=1.2, zorder=2)
    if value is not None:
        dark = abs(norm(value) - 0.5) > 0.28
        text = f"{round(value, 2) + 0.0:.2f}"
        text_colour = "white" if dark else "black"
        axes.text(*place, text, ha="center", va="center", fontsize=10, zorder=3, color=text_colour)
