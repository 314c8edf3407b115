"""`deepdream replay`: makes an image again from the recipe inside it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Optional, Union

import numpy as np
import typer
from numpy.typing import NDArray

from .._types import Image
from ..errors import ImageError
from ..io.arrays import blocks, to_uint8
from ..io.background import parse_background
from ..io.decoding import seen_with_alpha
from ..io.image import open_image
from ..io.source import ImageSource
from ..recipes.inputs import STANDARD_INPUT, abbreviate_home
from ..recipes.recipe import Recipe
from .console import progress_line, say
from .files import check_image_exists, check_not_read
from .image_output import (
    FORMAT,
    KEEP_LOCATION,
    NO_METADATA_OPTION,
    OUTPUT_HELP,
    QUALITY,
    WriteOptions,
    image_targets,
)
from .inputs import check_stdin, open_input, read_stdin
from .loading import GPU
from .parsing import parse_gpu

_LOSSLESS = (b"\x89PNG", b"II*\0", b"MM\0*")


def replay(
    image: str = typer.Argument(
        ..., metavar="IMAGE", help="Image written by deepdream, which contains its recipe; - is standard input."
    ),
    output: str = typer.Option(..., "-o", "--output", metavar="OUT", help=OUTPUT_HELP),
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
    file_format: Optional[str] = FORMAT,
    quality: Optional[int] = QUALITY,
    no_metadata: bool = NO_METADATA_OPTION,
    keep_location: bool = KEEP_LOCATION,
    gpu: str = GPU,
) -> None:
    """Make an image again from the recipe inside it.

    Transparency and metadata are those of IMAGE.
    """
    target = image_targets([image], output, file_format)[0]
    writing = WriteOptions(quality, no_metadata, keep_location)
    writing.check_format(target.format)
    named = [name for name in (input_image, *(guide or ()), mask) if name is not None]
    check_stdin([image, *named])
    file: Union[str, BinaryIO] = read_stdin() if image == STANDARD_INPUT else image
    name = "standard input" if image == STANDARD_INPUT else image
    recipe, device = Recipe.from_image(file), parse_gpu(gpu)
    for each in named:
        if each != STANDARD_INPUT:
            check_image_exists(each)
    if target.path is not None:
        check_not_read(target.path, named)  # but OUT may be IMAGE
    background = parse_background(recipe.more.get("background", "white"))
    with progress_line() as progress:
        task = progress.add_task(f"making {name} again", total=1)
        result, complete = recipe.make(
            _open_if_stdin(input_image, recipe.max_size, background),
            [_open_if_stdin(name) for name in guide] if guide else None,
            search_dir=Path(image).parent,
            gpu=device,
            mask=_open_if_stdin(mask),
            progress=lambda share: progress.update(task, completed=share),
        )
    try:  # before writing, because OUT may be IMAGE
        before = open_image(file, max_size=1)
        alpha, metadata = before.alpha(), before.metadata
        alpha = alpha if alpha is not None and alpha.shape == result.shape[:2] else None
        verdict = _compare(name, file, before, result, alpha, recipe.differences(complete))
    except ImageError as error:
        alpha, metadata, verdict = None, None, f"the new image was not compared with {name}: {error}"
    if input_image is not None:
        complete = replace(complete, input=abbreviate_home(input_image))
    if guide:
        complete = replace(complete, guide=[abbreviate_home(name) for name in guide])
    if mask is not None:
        complete = replace(complete, mask=abbreviate_home(mask))
    writing.write(target, result, complete, writing.kept(name, metadata, set()), alpha)
    say(verdict)
    target.print_path()


def _open_if_stdin(name: Optional[str], *arguments: Any) -> Any:
    """What `Recipe.make` takes for an image of this name: standard input is read, with `open_input`'s arguments."""
    return open_input(name, *arguments) if name == STANDARD_INPUT else name


def _compare(
    name: str,
    file: Union[str, BinaryIO],
    before: ImageSource,
    result: Image,
    alpha: Optional[NDArray[np.float32]],
    differences: Sequence[str],
) -> str:
    """A line that compares the image made now with the one that had the recipe."""
    if not _is_lossless(file):
        return f"{name} is in a lossy format, so its pixels were not compared with the new image"
    now = to_uint8(result if alpha is None else seen_with_alpha(result, alpha))
    height, width = before.shape[:2]
    if before.shape != now.shape:
        return f"{name} has a different size, {width}×{height}"
    changed = sum(  # its pixels are converted a part at a time
        int(np.count_nonzero((to_uint8(before.block(rows, slice(None))) != now[rows]).any(axis=2)))
        for rows in blocks(height, width)
    )
    if not changed:
        return f"every pixel is the same as in {name}"
    why = "" if differences else ": it was edited, or another build of Caffe or another processor rounded differently"
    return f"{changed:,} of {height * width:,} pixels differ from {name}{why}"


def _is_lossless(file: Union[str, BinaryIO]) -> bool:
    """Whether an image file is one that keeps every pixel."""
    if isinstance(file, str):
        with open(file, "rb") as opened:
            return opened.read(4) in _LOSSLESS
    file.seek(0)
    return file.read(4) in _LOSSLESS
