"""How the notebooks show pictures: contact sheets with captions, animations, a small network drawn.

A picture is an image of this library, (H, W, 3) RGB 0..255, or grey, (H, W) 0..255. Everything comes out as JPEG or
WebP inside the notebook. This module needs the extra `notebooks`; nothing else in the package uses it.
"""

import base64
import io
from pathlib import Path

import matplotlib
import numpy as np
from IPython.display import HTML, Image
from matplotlib import pyplot as plt
from matplotlib.colors import TwoSlopeNorm
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from .image import resize

_GAP = 8  # pixels between pictures
_INK = (40, 40, 40)


def scaled(img, width):
    """The picture at this width in pixels, its proportions kept: float32 (height, width, 3), within 0..255."""
    height = max(1, round(img.shape[0] * width / img.shape[1]))
    return resize(img, height, width).clip(0, 255)


def sheet(images, captions=(), columns=None, width=960):
    """Pictures side by side, each with a caption below it.

    **Arguments:**

    - `images`: pictures; one that is wider than its column is scaled down, a smaller one keeps its size.
    - `captions`: a string for each picture, or none at all.
    - `columns`: how many in a row; `None`: all.
    - `width`: of the whole sheet, in pixels.

    **Returns:** uint8 (H, W, 3), RGB on white.
    """
    columns = columns or len(images)
    cell = (width - _GAP * (columns - 1)) // columns
    tiles = [_caption(_fit(img, cell), text, cell) for img, text in zip(images, captions or [""] * len(images))]
    rows = []
    for first in range(0, len(tiles), columns):
        row = tiles[first:first + columns]
        height = max(tile.shape[0] for tile in row)
        canvas = np.full((height, cell * columns + _GAP * (columns - 1), 3), 255, np.uint8)
        for i, tile in enumerate(row):
            x = i * (cell + _GAP)
            canvas[:tile.shape[0], x:x + cell] = tile
        rows += [canvas, np.full((_GAP, canvas.shape[1], 3), 255, np.uint8)]
    return np.concatenate(rows[:-1])


def _fit(img, cell):
    img = np.asarray(img, np.float32)
    if img.ndim == 2:
        img = np.repeat(img[:, :, None], 3, axis=2)
    if img.shape[1] > cell:
        img = scaled(img, cell)
    return np.rint(img.clip(0, 255)).astype(np.uint8)


def _caption(pixels, text, cell):
    """The picture in the middle of a column `cell` wide, with the text below it if there is any."""
    lines = text.split("\n") if text else []
    tile = Pillow.new("RGB", (cell, pixels.shape[0] + 20 * len(lines) + (4 if lines else 0)), "white")
    tile.paste(Pillow.fromarray(pixels), ((cell - pixels.shape[1]) // 2, 0))
    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), 13)
    for i, line in enumerate(lines):
        ImageDraw.Draw(tile).text((cell // 2, pixels.shape[0] + 14 + 20 * i), line, _INK, font, anchor="mm")
    return np.asarray(tile)


def show(*images, captions=(), columns=None, width=960, alt=None, quality=85):
    """Pictures as one JPEG in the notebook; the arguments are those of `sheet`.

    **Arguments:** also `alt`: what the pictures show, for those who cannot see them (`None`: the captions); `quality`:
    JPEG's.

    **Returns:** an `IPython.display.Image`.
    """
    encoded = io.BytesIO()
    Pillow.fromarray(sheet(images, captions, columns, width)).save(encoded, "JPEG", quality=quality)
    return Image(encoded.getvalue(), format="jpeg", alt=alt or ", ".join(captions).replace("\n", " ") or "a picture")


def animate(frames, milliseconds=120, width=480, quality=70, alt="an animation"):
    """Pictures one after the other, over and over, as an animated WebP in the notebook.

    **Returns:** an `IPython.display.HTML` with the animation inside.
    """
    first, *rest = [Pillow.fromarray(_fit(frame, width)) for frame in frames]
    encoded = io.BytesIO()
    first.save(encoded, "WEBP", save_all=True, append_images=rest, duration=milliseconds, loop=0, quality=quality,
               method=4)
    data = base64.b64encode(encoded.getvalue()).decode()
    return HTML(f'<img alt="{alt}" src="data:image/webp;base64,{data}">')


def draw_network(values, weights, names=None, title="", backward=False, axes=None):
    """A fully connected network as circles and lines, with what flows through it.

    **Arguments:**

    - `values`: for each layer, from the inputs on, what to write into its circles and to colour them by (activations,
      or gradients); `None` for a layer that nothing has reached.
    - `weights`: between each layer and the next, (outputs, inputs): orange lines raise, blue ones lower, the thicker
      the more.
    - `names`: for each layer its title, or a list of titles for its circles.
    - `backward`: whether the values flow from the outputs to the inputs.
    - `axes`: matplotlib's, to draw into; `None`: a new figure.
    """
    axes = axes or plt.subplots(figsize=(11, 5))[1]
    sizes = [weights[0].shape[1], *(len(matrix) for matrix in weights)]
    place = [[(x, (size - 1) / 2 - y) for y in range(size)] for x, size in enumerate(sizes)]
    strongest = max(np.abs(matrix).max() for matrix in weights)
    for x, matrix in enumerate(weights):
        for (to, source), weight in np.ndenumerate(matrix):
            (x0, y0), (x1, y1) = place[x][source], place[x + 1][to]
            axes.plot([x0, x1], [y0, y1], color="#d9822b" if weight > 0 else "#3b7dd8", alpha=0.75, zorder=1,
                      linewidth=0.3 + 4 * abs(weight) / strongest)
    reached = [np.abs(layer).max() for layer in values if layer is not None]
    norm = TwoSlopeNorm(0, -max([*reached, 1e-9]), max([*reached, 1e-9]))
    for x, layer in enumerate(values):
        for i, (px, py) in enumerate(place[x]):
            value = None if layer is None else float(np.ravel(layer)[i])
            colour = "#eeeeee" if value is None else plt.get_cmap("PuOr_r" if not backward else "PRGn")(norm(value))
            axes.scatter(px, py, s=1500, color=[colour], edgecolor="#444444", linewidth=1.2, zorder=2)
            if value is not None:
                dark = abs(norm(value) - 0.5) > 0.28
                axes.text(px, py, f"{round(value, 2) + 0.0:.2f}", ha="center", va="center", fontsize=10, zorder=3,
                          color="white" if dark else "black")
            if names and not isinstance(names[x], str):
                axes.text(px - 0.22, py, names[x][i], ha="right", va="center", fontsize=11)
        if names and isinstance(names[x], str):
            axes.text(x, max(sizes) / 2 + 0.05, names[x], ha="center", va="bottom", fontsize=11, color="#444444")
    arrow = {"arrowstyle": "-|>", "linewidth": 2.5, "color": "#7a3b9a" if backward else "#c0621a"}
    ends = [(0.1, -max(sizes) / 2 - 0.25), (len(sizes) - 1.1, -max(sizes) / 2 - 0.25)]
    axes.annotate("", ends[0] if backward else ends[1], ends[1] if backward else ends[0], arrowprops=arrow)
    axes.set(xlim=(-0.95, len(sizes) - 0.6), ylim=(-max(sizes) / 2 - 0.5, max(sizes) / 2 + 0.5))
    axes.set_title(title, fontsize=12)
    axes.axis("off")
