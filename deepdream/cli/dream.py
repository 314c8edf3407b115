"""`deepdream dream`: dreams on pictures."""

import itertools
from pathlib import Path
from typing import Optional

import typer

from .. import pictures
from ..dream import dream_steps, octave_shapes
from ..image import check_image, write_image
from .files import check_there, picture_targets
from .options import IMAGE_HELP, DreamOptions, takes_dream_options
from .screen import progress_line, say


@takes_dream_options
def dream(
    options: DreamOptions,
    images: Optional[list[str]] = typer.Argument(None, metavar="[IMAGE]...", show_default="sky", help=IMAGE_HELP),
    output: Path = typer.Option(Path("dream.png"), "-o", "--output", metavar="OUT",
                                help="The picture to write (png, jpg, tif, webp); a folder for several."),
):
    """Dream on pictures. Without arguments: on the sky, with the default network, into dream.png."""
    names = images or ["sky"]
    targets = picture_targets(names, output)
    for name in names:
        check_there(name)
    imgs = (check_image(pictures.picture(name)) for name in names)
    # A file is read before the network, whose weights may have to be fetched: a damaged picture needs none.
    first = [] if names[0] in pictures.BUILT_IN else [next(imgs)]
    net, model = options.load()
    for name, target, full in zip(names, targets, itertools.chain(first, imgs)):
        settings = options.settings(net)
        recipe = options.recipe(name, model, net, full, settings)
        img = recipe.fit(full)
        result = dream_with_progress(net, img, {**settings, "tile": recipe.tile or settings["tile"]})
        write_image(target, recipe.blend(img, result), recipe=recipe)
        scaled = f", scaled from {_size(full)} to {_size(img)}" if img.shape != full.shape else ""
        say(f"{name} dreamt at {options.aim(settings)}, seed {settings['seed']}{scaled}")
        print(target.resolve(), flush=True)


def dream_with_progress(net, img, settings):
    """Dream with a live progress line; the work of a step is taken to be its octave's number of pixels.

    **Arguments:** `net`; `img`: float32 (H, W, 3) RGB; `settings`: the keyword arguments of `dream_steps`.

    **Returns:** the dream, like `img`.
    """
    steps = dream_steps(net, img, **settings)
    iter_n, octave_n = settings["iter_n"], settings["octave_n"]
    areas = [h * w for h, w in octave_shapes(*img.shape[:2], octave_n, settings["octave_scale"])]
    with progress_line() as progress:
        task = progress.add_task(_where(0, octave_n, 0, iter_n), total=sum(areas) * iter_n)
        for step in steps:
            progress.update(task, advance=areas[step.octave],
                            description=_where(step.octave, octave_n, step.iteration, iter_n))
    return step.image


def _where(octave, octave_n, iteration, iter_n):
    return f"octave {octave + 1}/{octave_n}, iteration {iteration + 1}/{iter_n}"


def _size(img):
    return f"{img.shape[1]}×{img.shape[0]}"
