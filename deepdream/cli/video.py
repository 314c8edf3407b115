"""`deepdream video`: dreams on a video."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Optional

import typer

from ..data.cache import file_sha256
from ..defaults import defaults_of
from ..errors import VideoError
from ..extras import require_extra
from ..io.arrays import fitted_size
from ..io.video_reader import Video
from ..io.video_writer import rehearse_video, write_video
from ..network.net import Net
from ..recipes.cluster import video_on_cluster
from ..recipes.runs import FrameFolder, video_into
from ..video import video_frames
from ..zoo.registry import Model
from .console import progress_line, say
from .options import DreamOptions, takes_dream_options
from .parsing import check_range, parse_gpu
from .runs import begin_run, run_settings
from .video_options import ImageFiles, check_video, passes_over_frames

_CARRY = defaults_of(video_frames)["carry"]


@takes_dream_options
def video(
    options: DreamOptions,
    source: Path = typer.Argument(..., metavar="IN", help="Video to read: MP4, MOV, MKV, WebM, AVI, GIF and so on."),
    output: Path = typer.Argument(..., metavar="OUT", help="Video to write: MP4, or GIF without sound."),
    carry: float = typer.Option(
        _CARRY, "--carry", help="How much of the dream is carried from frame to frame, from 0 to 1."
    ),
    independent: bool = typer.Option(
        False, "--independent", help="Dream every frame by itself; the video then flickers."
    ),
    workers: Optional[int] = typer.Option(
        None,
        "--workers",
        metavar="N",
        show_default=False,
        help="Dream in N processes on this machine (Dask); needs --independent.",
    ),
    scheduler: Optional[str] = typer.Option(
        None,
        "--scheduler",
        metavar="ADDRESS",
        show_default=False,
        help="Dream on the workers of this Dask scheduler; needs --independent.",
    ),
) -> None:
    """Dream on a video.

    Its sound, length, frame rate and size stay the same. If a run was stopped, start it again to continue where it
    stopped: the frames are kept in the folder OUT.frames until the video is written.
    """
    check_range("--carry", carry, 0, 1)
    check_range("--workers", workers, 1)
    if workers and scheduler:
        raise VideoError("--workers starts processes here, --scheduler uses existing ones; give only one of them")
    if (workers or scheduler) and not independent:
        raise VideoError("--workers and --scheduler can only dream independent frames: add --independent")
    if independent and carry not in (0, _CARRY):
        raise VideoError(f"--independent and --carry {carry:g}: independent frames carry nothing; choose one of them")
    check_video(output, "OUT")
    carry = 0.0 if independent else carry
    if carry:
        require_extra("cv2", "following the motion in a video (not necessary with --independent)")
    if output.exists() and source.exists() and output.samefile(source):
        raise VideoError(f"{output} is the input video; write to another file")
    frames = Video(source)
    size = fitted_size(frames.height, frames.width, options.max_size)
    rehearse_video(output, size, frames.times, frames.time_base, frames.rate, frames.aspect, frames.sound())
    with FrameFolder(output.with_name(f"{output.name}.frames"), "video") as run:
        net, model = options.load()
        _dream(options, run, net, model, frames, carry, scheduler, workers)
        with progress_line() as progress:
            task = progress.add_task(f"writing {output}", total=passes_over_frames(output) * len(frames))
            images = ImageFiles(run.paths(len(frames)), lambda: progress.update(task, advance=1))
            write_video(output, images, frames.times, frames.time_base, frames.rate, frames.aspect, frames.sound())
        run.remove()
    print(output.resolve(), flush=True)


def _dream(
    options: DreamOptions,
    run: FrameFolder,
    net: Net,
    model: Model,
    frames: Video,
    carry: float,
    scheduler: Optional[str],
    workers: Optional[int],
) -> None:
    """Dream the frames that do not exist yet, with a progress line."""
    settings = run_settings(run, options, net)
    first = next(iter(frames))
    recipe = options.recipe(str(frames.path), model, net, first, settings)
    recipe = replace(recipe, kind="video", more={"carry": carry}, input_sha256=file_sha256(frames.path))
    images, total, before = (recipe.fit(image) for image in frames), len(frames), run.done
    begin_run(run, recipe, net, first, settings, total)
    paths: Iterable[Path]
    if scheduler or workers:
        gpu = parse_gpu(options.gpu)
        paths = video_on_cluster(run, images, options.guide_image, scheduler=scheduler, workers=workers, gpu=gpu)
    else:
        paths = video_into(run, net, images, carry, strength=options.strength, **settings)
    with progress_line() as progress:
        task = progress.add_task(f"frame {before + 1}/{total}", total=total, completed=before)
        for path in paths:
            if run.done == before + 1:
                run.check_room(total, first)  # estimated from the size of a frame, which is known now
            progress.update(task, advance=1, description=f"frame {min(run.done + 1, total)}/{total}, last {path}")
    count = "1 frame" if total == 1 else f"{total} frames"
    say(f"{frames.path} dreamt at {options.target_description(settings)}, seed {settings['seed']}: {count}")
