"""`deepdream zoom`: dreams, zooms in, dreams again."""

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Optional

import typer

from .. import pictures
from ..errors import DreamError
from ..frames import FrameFolder
from ..image import check_image
from ..zoom import zoom_frames, zoom_into
from .files import check_there
from .films import FPS, GIF, MP4, check_films, write_films
from .options import DreamOptions, check_range, takes_dream_options
from .runs import begin, run_settings
from .screen import progress_line, say

# The library's signature is the only home of a default.
DEFAULT = {name: parameter.default for name, parameter in inspect.signature(zoom_frames).parameters.items()}


@takes_dream_options
def zoom(
    options: DreamOptions,
    image: Optional[str] = typer.Argument(None, metavar="[IMAGE]", show_default="sky",
                                          help="Where to begin: a file, noise:WxH, or a built-in picture."),
    output: Path = typer.Option(..., "-o", "--output", metavar="DIR",
                                help="The folder of the frames; with some of a run in it, that run goes on."),
    frames: Optional[int] = typer.Option(None, "--frames", metavar="N", show_default=str(DEFAULT["frame_n"]),
                                         help="How many frames there are to be in the end."),
    scale: float = typer.Option(DEFAULT["scale"], "--scale", help="How much of the picture each zoom leaves out."),
    rotate: float = typer.Option(DEFAULT["rotate"], "--rotate", metavar="DEGREES",
                                 help="How far each zoom turns the picture, counterclockwise."),
    mp4: Optional[Path] = MP4,
    gif: Optional[Path] = GIF,
    fps: float = FPS,
):
    """Dream, zoom in, dream again: the film of 2015, frame by frame.

    Stopped at any moment and started again, it goes on where it was. With --mp4 or --gif and no IMAGE, the frames that
    are in DIR, or the first N of them, become a film without dreaming.
    """
    check_range("--frames", frames, 1)
    check_range("--scale", scale, -0.9, 0.9)
    check_range("--rotate", rotate)
    films = check_films(mp4, gif, fps)
    if image is not None:
        check_there(image)
    with FrameFolder(output, "zoom") as run:
        if image is None and run.done < (frames or 1) and (films or run.recipe is not None):
            raise DreamError(f"{output} holds {run.done} frames; to dream more, name the picture, and what else was "
                             "asked for")
        if films:
            run.paths()  # a gap is found before the first dream
        if not (films and image is None):
            frames = frames or DEFAULT["frame_n"]
            _dream(options, run, image or "sky", frames, scale, rotate)
        write_films(films, run.paths(frames), fps)


def _dream(options, run, name, wanted, scale, rotate):
    full = check_image(pictures.picture(name))
    net, model = options.load()
    settings = run_settings(run, options, net)
    recipe = replace(options.recipe(name, model, net, full, settings), kind="zoom",
                     more={"scale": scale, "rotate": rotate})
    begin(run, recipe, net, full, settings)
    before = run.done
    with progress_line() as progress:
        task = progress.add_task(f"frame {before + 1}/{wanted}", total=wanted, completed=min(before, wanted))
        for path in zoom_into(run, net, recipe.fit(full), wanted, scale, rotate, strength=options.strength, **settings):
            progress.update(task, advance=1, description=f"frame {min(run.done + 1, wanted)}/{wanted}, last {path}")
            print(path.resolve(), flush=True)
    say(f"{name} dreamt at {options.aim(settings)}, seed {settings['seed']}: {max(wanted - before, 0)} frames more, "
        f"{run.done} in {run.folder}")
