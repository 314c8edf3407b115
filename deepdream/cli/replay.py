"""`deepdream replay`: makes a picture again from the recipe inside it."""

from dataclasses import replace
from pathlib import Path
from typing import Optional

import numpy as np
import typer

from ..image import read_image, to_bytes, write_image
from ..recipe import Recipe, short_name
from .files import check_there, picture_targets
from .options import GPU, gpu_of
from .screen import progress_line, say


def replay(
    image: Path = typer.Argument(..., metavar="IMAGE", help="A picture that deepdream wrote."),
    output: Path = typer.Option(..., "-o", "--output", metavar="OUT", help="The picture to write."),
    given: Optional[str] = typer.Option(None, "--input", metavar="IMAGE", show_default=False,
                                        help="The picture to dream on. [default: the recorded one, searched]"),
    guide: Optional[str] = typer.Option(None, "--guide", metavar="IMAGE", show_default=False,
                                        help="The guide of a guided dream. [default: the recorded one, searched]"),
    gpu: str = GPU,
):
    """Make a picture again, from the recipe inside it."""
    target = picture_targets([str(image)], output)[0]
    recipe, device = Recipe.from_image(image), gpu_of(gpu)
    for name in (given, guide):
        if name is not None:
            check_there(name)
    with progress_line() as progress:
        task = progress.add_task(f"{image} again", total=1)
        result, done = recipe.make(given, guide, beside=image.parent, gpu=device,
                                   progress=lambda share: progress.update(task, completed=share))
    verdict = _compare(image, result, recipe.differences(done))  # before writing: OUT may be IMAGE
    for field, name in (("input", given), ("guide", guide)):
        if name is not None:
            done = replace(done, **{field: short_name(name)})
    write_image(target, result, recipe=done)
    say(verdict)
    print(target.resolve(), flush=True)


def _compare(image, result, differences):
    """What to say about the picture made now and the one that held the recipe."""
    if image.suffix.lower() not in (".png", ".tif", ".tiff"):
        return f"made again; {image} is lossy, so the pixels are not compared"
    before, now = to_bytes(read_image(image)), to_bytes(result)
    if before.shape != now.shape:
        return f"{image} has another size, {before.shape[1]}×{before.shape[0]}"
    changed = int(np.count_nonzero((before != now).any(axis=2)))
    if not changed:
        return f"every pixel is the same as in {image}"
    why = "" if differences else ": another build of Caffe or another processor rounds differently, or it was edited"
    return f"{changed:,} of {before[:, :, 0].size:,} pixels differ from {image}{why}"
