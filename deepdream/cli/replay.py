"""`deepdream replay`: makes a picture again from the recipe inside it."""

from dataclasses import replace
from pathlib import Path
from typing import Optional

import numpy as np
import typer

from ..image import read_image, to_bytes, write_image
from ..recipe import Recipe, short_name
from .dream import dream_with_progress
from .files import check_there, picture_targets
from .screen import say


def replay(
    image: Path = typer.Argument(..., metavar="IMAGE", help="A picture that deepdream wrote."),
    output: Path = typer.Option(..., "-o", "--output", metavar="OUT", help="The picture to write."),
    given: Optional[str] = typer.Option(None, "--input", metavar="IMAGE", show_default=False,
                                        help="The picture to dream on. [default: the recorded one, searched]"),
    guide: Optional[str] = typer.Option(None, "--guide", metavar="IMAGE", show_default=False,
                                        help="The guide of a guided dream. [default: the recorded one, searched]"),
):
    """Make a picture again, from the recipe inside it."""
    target = picture_targets([str(image)], output)[0]
    recipe = Recipe.from_image(image)
    recipe.check_kind()
    for name in (given, guide):
        if name is not None:
            check_there(name)
    start, lead = recipe.pictures(given, guide, beside=image.parent)
    if given is not None:
        recipe = replace(recipe, input=short_name(given))
    if guide is not None:
        recipe = replace(recipe, guide=short_name(guide))
    net = recipe.load()
    done = recipe.complete(net, start, lead)
    differences = recipe.differences(done)
    for difference in differences:
        say(difference)
    img = done.fit(start)
    result = done.blend(img, dream_with_progress(net, img, done.settings(net, lead)))
    verdict = _compare(image, result, differences)  # before writing: OUT may be IMAGE
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
    return f"{changed / before[:, :, 0].size:.1%} of the pixels differ from {image}{why}"
