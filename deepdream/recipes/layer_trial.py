"""One image at many layers, to choose a layer: a small dream at each of them, on one contact sheet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..data.bundled import open_picture
from ..errors import DreamError
from ..io.arrays import to_uint8
from ..io.folder_lock import locked_folder
from ..io.image import read_image
from .gallery import make_gallery
from .gallery_file import SEED, Entry, Gallery, Outcome
from .inputs import abbreviate_home
from .recipe import Recipe
from .sheet import Cell, write_sheet

MAX_SIZE = 256  # pixels: large enough for faces and small enough that all main layers take some seconds


def layer_gallery(image: str, model: str, layers: Iterable[str], max_size: int = MAX_SIZE) -> Gallery:
    """The dreams of one image at many layers, as a gallery.

    Args:
        image: a name that `picture` accepts.
        model: the name of a model, or its folder.
        layers: the names of the layers.
        max_size: the longer side of the dreams, in pixels.

    Returns:
        An entry for each layer; its title is the layer's name.
    """
    entries = []
    for number, layer in enumerate(layers):
        recipe = Recipe(
            input=abbreviate_home(image), model=abbreviate_home(model), end=layer, max_size=max_size, seed=SEED
        )
        entries.append(Entry(f"{number:03}-{re.sub(r'[^A-Za-z0-9_.-]', '-', layer)}", recipe, title=layer))
    return Gallery(f"{image} at the layers of {model}", "", tuple(entries))


def try_layers(gallery: Gallery, sheet: Path, about: dict[str, str], **make: Any) -> Iterator[Outcome]:
    """Dream at each layer and write the sheet. What is done is kept beside it until then, so that a run can be resumed.

    Args:
        gallery: from `layer_gallery`.
        sheet: the path of the sheet, see `write_sheet`.
        about: {layer: what it tends to give}.
        make: other arguments of `make_gallery`.

    Yields:
        An outcome for each layer as it is done. After the last one the sheet is written.

    Raises:
        DreamError: not one dream could be made, the sheet cannot be written, or another process is making it.
    """
    with locked_folder(parts_folder(sheet)) as folder:
        outcomes = {}
        for outcome in make_gallery(gallery, folder, page=False, **make):
            outcomes[outcome.entry.name] = outcome
            yield outcome
        if all(outcome.error is not None for outcome in outcomes.values()):
            first = next(iter(outcomes.values()))
            raise DreamError(f"no layer could be dreamt at --max-size {first.entry.recipe.max_size}: {first.error}")
        recipe = gallery.entries[0].recipe
        original = to_uint8(open_picture(recipe.input, recipe.max_size).fit(recipe.max_size))
        cells = [Cell(Path(recipe.input).name, "the image itself", original)]
        for entry in gallery.entries:
            outcome = outcomes[entry.name]
            if outcome.error is None:
                cells.append(Cell(entry.title, about.get(entry.title, ""), to_uint8(read_image(outcome.path))))
            else:
                cells.append(Cell(entry.title, outcome.error, None))
        write_sheet(sheet, gallery.title, cells)
        for entry in gallery.entries:
            (folder / f"{entry.name}.png").unlink(missing_ok=True)


def parts_folder(sheet: Path) -> Path:
    """The folder in which the dreams are kept until the sheet is written."""
    return sheet.with_name(f"{sheet.name}.layers")
