"""`deepdream dream`: dreams on pictures."""

import itertools
from functools import partial
from pathlib import Path
from typing import Optional

import typer

from .. import pictures
from ..animation import write_animation
from ..dream import dream_steps, octave_shapes
from ..errors import ParameterError
from ..growth import Growth
from ..image import check_image, write_image
from .files import check_there, picture_targets
from .films import check_film
from .options import IMAGE_HELP, DreamOptions, takes_dream_options
from .screen import progress_line, say


@takes_dream_options
def dream(
    options: DreamOptions,
    images: Optional[list[str]] = typer.Argument(None, metavar="[IMAGE]...", show_default="sky", help=IMAGE_HELP),
    output: Path = typer.Option(Path("dream.png"), "-o", "--output", metavar="OUT",
                                help="The picture to write (png, jpg, tif, webp); a folder for several."),
    animate: Optional[Path] = typer.Option(None, "--animate", metavar="OUT", show_default=False,
                                           help="Write its steps as an MP4 or GIF as well."),
):
    """Dream on pictures. Without arguments: on the sky, with the default network, into dream.png."""
    names = images or ["sky"]
    targets = picture_targets(names, output)
    if animate is not None:
        if len(names) > 1:
            raise ParameterError(f"--animate {animate}: it shows the steps of one dream; name one picture")
        check_film(animate, "--animate")
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
        settings["tile"] = recipe.tile or settings["tile"]
        make = dream_with_progress if animate is None else partial(_animated, animate)
        result = make(net, img, settings)
        write_image(target, recipe.blend(img, result), recipe=recipe)
        scaled = f", scaled from {_size(full)} to {_size(img)}" if img.shape != full.shape else ""
        say(f"{name} dreamt at {options.aim(settings)}, seed {settings['seed']}{scaled}")
        print(target.resolve(), flush=True)
        if animate is not None:
            print(animate.resolve(), flush=True)


def _animated(film, net, img, settings):
    """As `dream_with_progress`; the steps are written as a film too."""
    with Growth(img, octave_shapes(*img.shape[:2], settings["octave_n"], settings["octave_scale"])) as growth:
        result = dream_with_progress(net, img, settings, growth.add)
        write_animation(film, growth)
    return result


def dream_with_progress(net, img, settings, seen=None):
    """Dream with a live progress line; the work of a step is taken to be its octave's number of pixels.

    **Arguments:** `net`; `img`: float32 (H, W, 3) RGB; `settings`: the keyword arguments of `dream_steps`;
    `seen`: called with each `Step`.

    **Returns:** the dream, like `img`.
    """
    steps = dream_steps(net, img, **settings)
    iter_n, octave_n = settings["iter_n"], settings["octave_n"]
    areas = [h * w for h, w in octave_shapes(*img.shape[:2], octave_n, settings["octave_scale"])]
    with progress_line() as progress:
        task = progress.add_task(_where(0, octave_n, 0, iter_n), total=sum(areas) * iter_n)
        for step in steps:
            if seen:
                seen(step)
            progress.update(task, advance=areas[step.octave],
                            description=_where(step.octave, octave_n, step.iteration, iter_n))
    return step.image


def _where(octave, octave_n, iteration, iter_n):
    return f"octave {octave + 1}/{octave_n}, iteration {iteration + 1}/{iter_n}"


def _size(img):
    return f"{img.shape[1]}×{img.shape[0]}"
