"""`deepdream replay`: makes an image again from the recipe inside it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Optional

import numpy as np
import typer

from .._types import Image
from ..io.arrays import blocks, to_uint8
from ..io.image import open_image, write_image
from ..recipes.inputs import abbreviate_home
from ..recipes.recipe import Recipe
from .console import progress_line, say
from .files import check_image_exists, check_not_read, output_paths
from .loading import GPU
from .parsing import parse_gpu


def replay(
    image: Path = typer.Argument(..., metavar="IMAGE", help="Image written by deepdream, which contains its recipe."),
    output: Path = typer.Option(..., "-o", "--output", metavar="OUT", help="Image to write."),
    input_image: Optional[str] = typer.Option(
        None,
        "--input",
        metavar="IMAGE",
        show_default=False,
        help="Image to dream on. [default: the recorded one, found by its name and hash]",
    ),
    guide: Optional[list[str]] = typer.Option(
        None,
        "--guide",
        metavar="IMAGE",
        show_default=False,
        help="Guide of a guided dream; if it has several, repeat it in their order. [default: the recorded ones, found "
        "by their names and hashes]",
    ),
    mask: Optional[str] = typer.Option(
        None,
        "--mask",
        metavar="IMAGE",
        show_default=False,
        help="Mask of a masked dream. [default: the recorded one, found by its name and hash]",
    ),
    gpu: str = GPU,
) -> None:
    """Make an image again from the recipe inside it."""
    path = output_paths([str(image)], output)[0]
    recipe, device = Recipe.from_image(image), parse_gpu(gpu)
    given = [name for name in (input_image, *(guide or ()), mask) if name is not None]
    for name in given:
        check_image_exists(name)
    check_not_read(path, given)  # but OUT may be IMAGE
    with progress_line() as progress:
        task = progress.add_task(f"making {image} again", total=1)
        result, complete = recipe.make(
            input_image,
            guide or None,
            search_dir=image.parent,
            gpu=device,
            mask=mask,
            progress=lambda share: progress.update(task, completed=share),
        )
    verdict = _compare(image, result, recipe.differences(complete))  # before writing, because OUT may be IMAGE
    if input_image is not None:
        complete = replace(complete, input=abbreviate_home(input_image))
    if guide:
        complete = replace(complete, guide=[abbreviate_home(name) for name in guide])
    if mask is not None:
        complete = replace(complete, mask=abbreviate_home(mask))
    write_image(path, result, recipe=complete)
    say(verdict)
    print(path.resolve(), flush=True)


def _compare(image: Path, result: Image, differences: Sequence[str]) -> str:
    """A line that compares the image made now with the one that had the recipe."""
    if image.suffix.lower() not in (".png", ".tif", ".tiff"):
        return f"{image} is in a lossy format, so its pixels were not compared with the new image"
    now, before = to_uint8(result), open_image(image, max_size=1)  # its pixels are read a part at a time
    height, width = before.shape[:2]
    if before.shape != now.shape:
        return f"{image} has a different size, {width}×{height}"
    changed = sum(
        int(np.count_nonzero((to_uint8(before.block(rows, slice(None))) != now[rows]).any(axis=2)))
        for rows in blocks(height, width)
    )
    if not changed:
        return f"every pixel is the same as in {image}"
    why = "" if differences else ": it was edited, or another build of Caffe or another processor rounded differently"
    return f"{changed:,} of {height * width:,} pixels differ from {image}{why}"
