"""`deepdream zoom`: dreams, zooms in, dreams again."""

from dataclasses import replace
from pathlib import Path
from typing import Optional

import typer

from ..data.bundled import open_picture
from ..defaults import defaults_of
from ..errors import DreamError, ParameterError
from ..io.arrays import fitted_size
from ..io.video_writer import rehearse_animation
from ..recipes.runs import FrameFolder, zoom_into
from ..schedule import FRAME
from ..zoom import zoom_frames
from .console import progress_line, say
from .files import check_image_exists, check_not_read
from .options import DreamOptions, takes_dream_options
from .parsing import check_range, parse_place
from .runs import begin_run, run_settings
from .video_options import FPS, GIF, MP4, check_videos, write_videos

_DEFAULT = defaults_of(zoom_frames)


@takes_dream_options
def zoom(
    options: DreamOptions,
    image: Optional[str] = typer.Argument(
        None, metavar="[IMAGE]", show_default="sky", help="Image to start from: a file, noise:WxH, or a built-in one."
    ),
    output: Path = typer.Option(
        ...,
        "-o",
        "--output",
        metavar="DIR",
        help="Folder for the frames; if it holds a run, that run is continued.",
    ),
    frames: Optional[int] = typer.Option(
        None,
        "--frames",
        metavar="N",
        show_default=str(_DEFAULT["frame_n"]),
        help="Number of frames of the whole run, including existing ones.",
    ),
    scale: float = typer.Option(
        _DEFAULT["scale"], "--scale", help="Share of the width and height that each zoom crops away."
    ),
    rotate: float = typer.Option(
        _DEFAULT["rotate"], "--rotate", metavar="DEGREES", help="Rotation of each zoom, counterclockwise."
    ),
    center: Optional[str] = typer.Option(
        None,
        "--center",
        metavar="X,Y",
        show_default=False,
        help="Point of the frame that each zoom leaves in its place, in pixels. [default: the middle]",
    ),
    mp4: Optional[Path] = MP4,
    gif: Optional[Path] = GIF,
    fps: float = FPS,
) -> None:
    """Dream, zoom in, dream again: the zoom of 2015, frame by frame.

    If a run was stopped, start it again to continue where it stopped. Without IMAGE, --mp4 or --gif makes a video
    from the existing frames in DIR, or from the first N of them, without dreaming again.
    """
    check_range("--frames", frames, 1)
    check_range("--scale", scale, -0.9, 0.9)
    check_range("--rotate", rotate)
    point = None if center is None else parse_place("--center", center)
    options.check_unit(FRAME)
    if options.wrap is not None:
        raise ParameterError(f"--wrap {options.wrap}: the edges of a zoom cannot join, because each frame is cropped")
    videos = check_videos(mp4, gif, fps)
    if image is not None:
        check_image_exists(image)
        for path in videos:
            check_not_read(path, [image, *options.files], f"--{path.suffix[1:].lower()}")
    with FrameFolder(output, "zoom") as run:
        if image is None and run.done < (frames or 1) and (videos or run.recipe is not None):
            raise DreamError(
                f"{output} holds {run.done} frames; to dream more, give the image and the other options again"
            )
        if videos:
            run.paths()  # raises for a missing frame, before the first dream
        if not (videos and image is None):
            frames = frames or _DEFAULT["frame_n"]
            _dream(options, run, image or "sky", frames, scale, rotate, point, videos, fps)
        write_videos(videos, run.paths(frames), fps)


def _dream(
    options: DreamOptions,
    run: FrameFolder,
    name: str,
    frame_n: int,
    scale: float,
    rotate: float,
    center: Optional[tuple[int, int]],
    videos: list[Path],
    fps: float,
) -> None:
    """Dream the frames that do not exist yet, with a progress line, and print their paths."""
    full = open_picture(name, options.max_size)
    height, width = full.shape[:2]
    for path in videos:
        rehearse_animation(path, fitted_size(height, width, options.max_size), frame_n, fps)
    mask = options.fit_mask(full)
    net, model = options.load()
    settings = run_settings(run, options, net, mask)
    more = {"scale": scale, "rotate": rotate, **({} if center is None else {"center": list(center)})}
    recipe = replace(options.recipe(name, model, net, full, settings, mask), kind="zoom", more=more)
    img = recipe.fit(full)
    del full  # frees its memory for the dream
    begin_run(run, recipe, net, img, settings, frame_n)
    options.objectives.tell_weak_terms(net, img, settings)
    before = run.done
    new_frames = zoom_into(run, net, img, frame_n, scale, rotate, center, strength=options.strength, **settings)
    with progress_line() as progress:
        task = progress.add_task(f"frame {before + 1}/{frame_n}", total=frame_n, completed=min(before, frame_n))
        for path in new_frames:
            if run.done == before + 1:
                run.check_room(frame_n, img)  # estimated from the size of a frame, which is known now
            progress.update(task, advance=1, description=f"frame {min(run.done + 1, frame_n)}/{frame_n}, last {path}")
            print(path.resolve(), flush=True)
    say(
        f"{name} dreamt at {options.target_description(net)}, seed {settings['seed']}: "
        f"{max(frame_n - before, 0)} new frames, {run.done} in {run.folder}"
    )
