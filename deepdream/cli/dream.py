"""`deepdream dream`: dreams on images."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Optional

import typer

from .._types import Image
from ..data.bundled import BUILT_IN, open_picture
from ..dream import Step, dream_steps
from ..errors import ParameterError
from ..io.arrays import format_size
from ..io.image import check_output_size, write_image
from ..io.step_film import StepFilm
from ..io.video_writer import rehearse_animation, write_animation
from ..network.net import Net
from ..octaves import octave_shapes
from ..preview import FullSizePreview
from .console import progress_line, say
from .files import IMAGE_HELP, check_image_exists, check_not_read, output_paths
from .options import DreamOptions, takes_dream_options
from .video_options import check_video


@takes_dream_options
def dream(
    options: DreamOptions,
    images: Optional[list[str]] = typer.Argument(None, metavar="[IMAGE]...", show_default="sky", help=IMAGE_HELP),
    output: Path = typer.Option(
        Path("dream.png"),
        "-o",
        "--output",
        metavar="OUT",
        help="Image to write (png, jpg, tif, webp). For several images: a folder.",
    ),
    animate: Optional[Path] = typer.Option(
        None, "--animate", metavar="OUT", show_default=False, help="Also write the steps as an MP4 or GIF."
    ),
) -> None:
    """Dream on images. Without arguments, dream on the sky with the default network and write dream.png."""
    names = images or ["sky"]
    paths = output_paths(names, output)
    if animate is not None:
        if len(names) > 1:
            raise ParameterError(f"--animate {animate}: the video shows the steps of one dream; give one image")
        check_video(animate, "--animate")
    files = [name for name in [*names, *options.files] if name not in BUILT_IN]
    for path, option in [*((path, "-o") for path in paths), *([(animate, "--animate")] if animate else [])]:
        check_not_read(path, files, option)
    for name in names:
        check_image_exists(name)
    # A file is read before the network is loaded, whose weights may have to be fetched: a damaged file fails first.
    opened = [] if names[0] in BUILT_IN else [open_picture(names[0], options.max_size)]
    if opened:
        options.fit_mask(opened[0])  # raises what is wrong with it
    net, model = options.load()
    for name, path in zip(names, paths):
        full = opened.pop() if opened else open_picture(name, options.max_size)
        settings, mask = options.settings(net), options.fit_mask(full)
        recipe = options.recipe(name, model, net, full, settings, mask)
        settings["mask"] = None if mask is None else mask.values
        img, full_shape = recipe.fit(full), full.shape
        del full  # frees its memory for the dream
        check_output_size(path, *img.shape[:2])
        settings["tile"] = recipe.tile or settings["tile"]
        options.objectives.tell_weak_terms(net, img, options.octaves, options.octave_scale)
        result = (_dream if animate is None else partial(_dream_and_animate, animate))(net, img, settings)
        write_image(path, recipe.blend(img, result), recipe=recipe)
        sizes = f"{format_size(full_shape)} to {format_size(img.shape)}"
        scaled = f", scaled from {sizes}" if img.shape != full_shape else ""
        say(f"{name} dreamt at {options.target_description(net)}, seed {settings['seed']}{scaled}")
        print(path.resolve(), flush=True)
        if animate is not None:
            print(animate.resolve(), flush=True)


def _dream_and_animate(video: Path, net: Net, img: Image, settings: dict[str, Any]) -> Image:
    """As `_dream`; also write the steps as a video."""
    height, width = img.shape[:2]
    steps_n = settings["octave_n"] * settings["iter_n"]
    rehearse_animation(video, (height, width), steps_n)
    shapes = octave_shapes(height, width, settings["octave_n"], settings["octave_scale"])
    preview = FullSizePreview(img, shapes, settings["mask"], settings["wrap"])
    with StepFilm() as steps:
        steps.check_room(steps_n, img.shape)
        result = _dream(net, img, settings, lambda step: steps.add(preview.of(step.image, step.octave)))
        write_animation(video, steps)
    return result


def _dream(net: Net, img: Image, settings: dict[str, Any], on_step: "Optional[Callable[[Step], None]]" = None) -> Image:
    """Dream on an image, float32 (H, W, 3), with a progress line; the settings are the arguments of `dream_steps`."""
    height, width = img.shape[:2]
    iter_n, octave_n = settings["iter_n"], settings["octave_n"]
    # The work of a step is estimated as its octave's number of pixels.
    areas = [h * w for h, w in octave_shapes(height, width, octave_n, settings["octave_scale"])]
    steps = dream_steps(net, img, **settings)
    with progress_line() as progress:
        task = progress.add_task(_describe_step(0, octave_n, 0, iter_n), total=sum(areas) * iter_n)
        for step in steps:
            if on_step is not None:
                on_step(step)
            description = _describe_step(step.octave, octave_n, step.iteration, iter_n)
            progress.update(task, advance=areas[step.octave], description=description)
    return step.image


def _describe_step(octave: int, octave_n: int, iteration: int, iter_n: int) -> str:
    return f"octave {octave + 1}/{octave_n}, iteration {iteration + 1}/{iter_n}"
