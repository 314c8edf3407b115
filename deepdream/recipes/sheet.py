"""A contact sheet: many small images with captions, as one image or as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import io
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from ..errors import ImageError
from ..io.files import atomic_path
from ..io.image import output_format, write_image
from .page_style import COLOURS

HTML = ".html"
_GAP = 10  # pixels
_FONT_SIZE = 13
_LINE_HEIGHT = 17
_CHARACTER_WIDTH = 6.6  # pixels, about the mean of the font's letters
_INK, _SOFT = "#23262b", "#5d6470"
_ASPECT = 1.4  # of a sheet
_JPEG_QUALITY = 88
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{colours}
body {{ margin: 0 auto; max-width: 100rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif }}
h1 {{ font-size: 1.5rem; margin: 0 0 1.5rem; overflow-wrap: anywhere }}
main {{ display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fill, minmax(min(14rem, 100%), 1fr)) }}
figure {{ margin: 0 }}
figure img {{ width: 100%; display: block }}
figure p {{ margin: 0; padding: 2rem 1rem; border: 1px dashed var(--soft); overflow-wrap: anywhere }}
figcaption {{ padding-top: .4rem; overflow-wrap: anywhere }}
figcaption span {{ display: block; color: var(--soft) }}
a.large {{ display: none; position: fixed; inset: 0; background: #000d; padding: 2vmin; cursor: zoom-out }}
a.large:target {{ display: flex; align-items: center; justify-content: center }}
a.large img {{ max-width: 100%; max-height: 100%; min-width: min(60vw, 60vh); object-fit: contain }}
</style>
</head>
<body>
<h1>{title}</h1>
<main>
{figures}
</main>
</body>
</html>
"""


@dataclass(frozen=True)
class Cell:
    """An image of a sheet.

    Attributes:
        title: its first line.
        text: what else is said of it.
        image: uint8 (H, W, 3); `None`: there is none, and `text` says why.
    """

    title: str
    text: str
    image: NDArray[np.uint8] | None


def check_sheet_format(path: Path) -> None:
    """Raise `ImageError` if a sheet cannot have the suffix of a path."""
    if path.suffix.lower() != HTML:
        try:
            output_format(path)
        except ImageError as error:
            raise ImageError(f"{error}, {HTML}") from None


def write_sheet(path: Path, title: str, cells: Sequence[Cell]) -> None:
    """Write a contact sheet.

    Args:
        path: a path that ends in .html, or that of an image.
        title: the title of the page.
        cells: the images, in order.

    Raises:
        ImageError: the path cannot be written.
    """
    if path.suffix.lower() != HTML:
        write_image(path, draw_sheet(cells).astype(np.float32))
        return
    figures = "\n".join(_figure(number, cell) for number, cell in enumerate(cells))
    with atomic_path(path) as temporary:
        temporary.write_text(
            _PAGE.format(colours=COLOURS, title=escape(title), figures=figures), encoding="utf-8", errors="replace"
        )


def draw_sheet(cells: Sequence[Cell]) -> NDArray[np.uint8]:
    """A contact sheet as an image.

    Args:
        cells: the images; at least one of them must have one.

    Returns:
        uint8 (H, W, 3).
    """
    shapes = [cell.image.shape for cell in cells if cell.image is not None]
    width = max(160, *(shape[1] for shape in shapes))
    captions = [_caption_lines(cell, width) for cell in cells]
    height = max(shape[0] for shape in shapes)
    cell_height = height + 4 + _LINE_HEIGHT * max(map(len, captions))
    columns = _columns(len(cells), math.sqrt(len(cells) * _ASPECT * cell_height / width))
    rows = -(-len(cells) // columns)
    size = columns * (width + _GAP) + _GAP, rows * (cell_height + _GAP) + _GAP
    sheet = Pillow.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), _font()
    for number, (cell, lines) in enumerate(zip(cells, captions)):
        x, y = _GAP + number % columns * (width + _GAP), _GAP + number // columns * (cell_height + _GAP)
        if cell.image is None:
            draw.rectangle((x, y, x + width - 1, y + height - 1), outline=_SOFT)
        else:
            sheet.paste(Pillow.fromarray(cell.image), (x + (width - cell.image.shape[1]) // 2, y))
        for line, text in enumerate(lines):
            colour = _INK if line == 0 else _SOFT
            draw.text((x, y + height + 4 + line * _LINE_HEIGHT), _drawable(text), colour, font)
    return np.asarray(sheet)


def _columns(count: int, wished: float) -> int:
    """The number of columns near a wished one that leaves the fewest places empty in the last row."""
    near = [n for n in (math.floor(wished), math.ceil(wished), math.ceil(wished) + 1) if 1 <= n <= count] or [count]
    return min(near, key=lambda n: (-count % n, abs(n - wished)))


def _caption_lines(cell: Cell, width: int) -> list[str]:
    characters = max(8, int(width / _CHARACTER_WIDTH))
    return [*textwrap.wrap(cell.title, characters)[:2], *textwrap.wrap(cell.text, characters)[:4]]


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.load_default(_FONT_SIZE)
    except TypeError:  # Pillow before 10.1 has one size only
        return ImageFont.load_default()


def _drawable(text: str) -> str:
    """A text without characters that the built-in fonts lack."""
    return text.encode("latin-1", "replace").decode("latin-1")


def _figure(number: int, cell: Cell) -> str:
    title, text = escape(cell.title), escape(cell.text)
    caption = f"<figcaption><b>{title}</b><span>{text}</span></figcaption>"
    if cell.image is None:
        return f"<figure><p>no image</p>{caption}</figure>"
    encoded = io.BytesIO()
    Pillow.fromarray(cell.image).save(encoded, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    image = f'<img src="data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode("ascii")}" alt="{title}">'
    return (
        f'<figure><a href="#image-{number}">{image}</a>{caption}</figure>\n'
        f'<a class="large" id="image-{number}" href="#" aria-label="close">{image}</a>'
    )
