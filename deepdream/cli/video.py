"""`deepdream video`: dreams on a video."""

from dataclasses import replace
from pathlib import Path
from typing import Optional

import typer

from ..animation import needs, write_film
from ..errors import VideoError
from ..fetch import sha256_of
from ..footage import Video
from ..frames import FrameFolder
from ..video import CARRY, video_into, video_on_cluster
from .films import Pictures, check_film
from .options import DreamOptions, check_range, gpu_of, takes_dream_options
from .runs import begin, run_settings
from .screen import progress_line, say


@takes_dream_options
def video(
    options: DreamOptions,
    source: Path = typer.Argument(..., metavar="IN", help="A video: MP4, MOV, MKV, WebM, AVI, GIF and so on."),
    output: Path = typer.Argument(..., metavar="OUT", help="The video to write: MP4, or GIF without sound."),
    carry: float = typer.Option(CARRY, "--carry", help="How much of the dream moves along from frame to frame, 0..1."),
    independent: bool = typer.Option(False, "--independent", help="Dream every frame by itself: it flickers."),
    workers: Optional[int] = typer.Option(None, "--workers", metavar="N", show_default=False,
                                          help="With --independent: in N processes on this machine, with Dask."),
    scheduler: Optional[str] = typer.Option(None, "--scheduler", metavar="ADDRESS", show_default=False,
                                            help="With --independent: on the workers of this Dask scheduler."),
):
    """Dream on a video: its sound, length, frame rate and size stay as they are.

    Stopped at any moment and started again, it goes on where it was: until it is done, the frames are kept in the
    folder OUT.frames.
    """
    check_range("--carry", carry, 0, 1)
    check_range("--workers", workers, 1)
    if workers and scheduler:
        raise VideoError("--workers starts processes here and --scheduler uses others: give one of the two")
    if (workers or scheduler) and not independent:
        raise VideoError("frames that carry the dream along are dreamt one after the other: add --independent")
    if independent and carry not in (0, CARRY):
        raise VideoError(f"--independent and --carry {carry:g}: frames by themselves carry nothing; choose one of them")
    check_film(output, "OUT")
    carry = 0.0 if independent else carry
    if carry:
        needs("cv2", "following what moves in a video (--independent does without)")
    film = Video(source)
    if output.exists() and output.samefile(source):
        raise VideoError(f"{output} is the video that is read; write to another one")
    net, model = options.load()
    work = output.with_name(f"{output.name}.frames")
    with FrameFolder(work, "video") as run:
        _dream(options, run, net, model, film, carry, scheduler, workers)
        passes = 2 if output.suffix.lower() == ".gif" else 1
        with progress_line() as progress:
            task = progress.add_task(f"writing {output}", total=passes * len(film))
            pictures = Pictures(run.paths(len(film)), lambda: progress.update(task, advance=1))
            write_film(output, pictures, film.times, film.time_base, film.rate, film.aspect, film.sound())
        run.remove()
    print(output.resolve(), flush=True)


def _dream(options, run, net, model, film, carry, scheduler, workers):
    settings = run_settings(run, options, net)
    first = next(iter(film))
    recipe = options.recipe(str(film.path), model, net, first, settings)
    recipe = replace(recipe, kind="video", more={"carry": carry}, input_sha256=sha256_of(film.path))
    begin(run, recipe, net, first, settings)
    images, total, before = (recipe.fit(image) for image in film), len(film), run.done
    if scheduler or workers:
        paths = video_on_cluster(run, images, options.lead, scheduler=scheduler, workers=workers,
                                 gpu=gpu_of(options.gpu))
    else:
        paths = video_into(run, net, images, carry, strength=options.strength, **settings)
    with progress_line() as progress:
        task = progress.add_task(f"frame {before + 1}/{total}", total=total, completed=before)
        for path in paths:
            progress.update(task, advance=1, description=f"frame {min(run.done + 1, total)}/{total}, last {path}")
    frames = "1 frame" if total == 1 else f"{total} frames"
    say(f"{film.path} dreamt at {options.aim(settings)}, seed {settings['seed']}: {frames}")
