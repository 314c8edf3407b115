"""`deepdream zoom`: dreams, zooms in, dreams again."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Optional

import typer

from ..data.bundled import open_picture
from ..defaults import defaults_of
from ..errors import DreamError, ParameterError
from ..io.arrays import fitted_size
from ..io.video_writer import rehearse_animation
from ..recipes.runs import FrameFolder, zoom_into
from ..recipes.zooms import ZoomJob, zooms_on_workers
from ..schedule import FRAME
from ..zoom import check_center, zoom_frames
from . import INCOMPLETE
from .cluster_options import WORKERS
from .console import progress_line, say
from .files import check_image_exists, check_not_read, naming
from .image_output import check_all_differ, stems_of
from .inputs import expand_images
from .options import DreamOptions, takes_dream_options
from .parsing import check_range, parse_gpu, parse_place
from .runs import begin_run, run_settings
from .video_options import FPS, GIF, MP4, check_videos, write_videos

_DEFAULT = defaults_of(zoom_frames)


class _Move(NamedTuple):
    """How the view moves from frame to frame; see `zoom_frames`."""

    scale: float
    rotate: float
    center: Optional[tuple[int, int]]

    @property
    def more(self) -> dict[str, Any]:
        """What a recipe says of it."""
        center = {} if self.center is None else {"center": list(self.center)}
        return {"scale": self.scale, "rotate": self.rotate, **center}


@takes_dream_options
def zoom(
    options: DreamOptions,
    images: Optional[list[str]] = typer.Argument(
        None,
        metavar="[IMAGE]...",
        show_default="sky",
        help="Images to start from: files, folders, noise:WxH, or built-in ones. Each has a run of its own.",
    ),
    output: Path = typer.Option(
        ...,
        "-o",
        "--output",
        metavar="DIR",
        help="Folder for the frames; if it holds a run, that run is continued. For several images: the folder of "
        "their folders.",
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
    workers: Optional[int] = WORKERS,
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
    check_range("--workers", workers, 1)
    given = images or []
    names = expand_images(given)
    if names != given or len(names) > 1:
        if videos:
            raise ParameterError(f"--{videos[0].suffix[1:].lower()}: a video shows one zoom; give one image")
        move = _Move(scale, rotate, point)
        _zoom_several(options, names, output, frames or _DEFAULT["frame_n"], move, workers)
        return
    if workers:
        raise ParameterError(
            "--workers: a zoom is one process, because each frame needs the one before; give several images"
        )
    image = names[0] if names else None
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
            _dream(options, run, image or "sky", frames, _Move(scale, rotate, point), videos, fps, set())
        write_videos(videos, run.paths(frames), fps)


def _zoom_several(
    options: DreamOptions, names: Sequence[str], output: Path, frame_n: int, move: _Move, workers: Optional[int]
) -> None:
    """Zoom into each image, in a folder of its own; one that fails does not end the others."""
    folders = [output / stem for stem in stems_of(names)]
    check_all_differ(names, folders)
    try:
        output.mkdir(exist_ok=True)
    except OSError as error:
        raise DreamError(f"-o {output} cannot be made ({error.strerror}); choose another folder") from None
    failed_n = 0
    runs = zip(names, folders)
    for name, failure in (
        _on_workers(options, runs, frame_n, move, workers) if workers else _here(options, runs, frame_n, move)
    ):
        if failure is not None:
            say(f"{name} could not be zoomed into: {failure}")
            failed_n += 1
    say(f"{len(names) - failed_n} zooms in {output}, {failed_n} failed")
    if failed_n:
        raise typer.Exit(INCOMPLETE)


_Runs = Iterable[tuple[str, Path]]  # the name of an image, and the folder of its frames
_Failures = Iterator[tuple[str, Optional[str]]]  # the name of an image, and why there is no zoom; `None`: there is one


def _here(options: DreamOptions, runs: _Runs, frame_n: int, move: _Move) -> _Failures:
    told: set[str] = set()
    for name, folder in runs:
        try:
            with FrameFolder(folder, "zoom") as run:
                _dream(options, run, name, frame_n, move, [], 0, told)
        except (DreamError, MemoryError, OSError) as error:
            yield name, str(error) or type(error).__name__
        else:
            yield name, None


def _on_workers(options: DreamOptions, runs: _Runs, frame_n: int, move: _Move, workers: int) -> _Failures:
    """As `_here`, each zoom in one of these processes."""
    net, model = options.load()
    failures: dict[str, Optional[str]] = {}
    told: set[str] = set()

    def jobs() -> Iterator[ZoomJob]:
        for name, folder in runs:
            try:
                full = open_picture(name, options.max_size)
                _tell_left_out(name, full.left_out(options.max_size), told)
                _check_centers(options, move, fitted_size(*full.shape[:2], options.max_size))
                mask = options.fit_mask(full)
                with FrameFolder(folder, "zoom") as run:
                    settings = run_settings(run, options, net, mask)
                    recipe = replace(
                        options.recipe(name, model, net, full, settings, mask), kind="zoom", more=move.more
                    )
                small, guides = full.reduced(options.max_size), options.guide_images or None
                yield ZoomJob(name, str(folder.resolve()), recipe, small, guides, mask, frame_n, parse_gpu(options.gpu))
            except (DreamError, MemoryError, OSError) as error:
                failures[name] = str(error) or type(error).__name__

    with progress_line() as progress:
        task = progress.add_task("zooms", total=None)
        for done, (name, paths, error) in enumerate(zooms_on_workers(jobs(), workers), 1):
            for path in paths:
                print(path, flush=True)
            progress.update(task, completed=done, description=f"{done} zooms")
            yield name, error
    yield from failures.items()


def _check_centers(options: DreamOptions, move: _Move, size: tuple[int, int]) -> None:
    """Raise `ParameterError` if a point that is to stay in its place is outside of the frame."""
    if move.center is not None:
        check_center(move.center, size, "--center {},{}".format(*move.center))
    if options.keyframes is not None:
        with naming(f"--schedule {options.schedule}:"):
            for moment in options.keyframes.moments:
                check_center(options.keyframes.at(moment).get("center"), size)


def _tell_left_out(name: str, left_out: Sequence[str], told: set[str]) -> None:
    """Say what the frames of an image will lack, unless it was said of another image."""
    new = [what for what in left_out if what not in told]
    if new:
        say(f"{name}: the frames will lack {', '.join(new)}")
    told.update(new)


def _dream(
    options: DreamOptions,
    run: FrameFolder,
    name: str,
    frame_n: int,
    move: "_Move",
    videos: list[Path],
    fps: float,
    told: set[str],
) -> None:
    """Dream the frames that do not exist yet, with a progress line, and print their paths."""
    full = open_picture(name, options.max_size)
    _tell_left_out(name, full.left_out(options.max_size), told)
    size = fitted_size(*full.shape[:2], options.max_size)
    _check_centers(options, move, size)
    for path in videos:
        rehearse_animation(path, size, frame_n, fps)
    mask = options.fit_mask(full)
    net, model = options.load()
    settings = run_settings(run, options, net, mask)
    recipe = replace(options.recipe(name, model, net, full, settings, mask), kind="zoom", more=move.more)
    img = recipe.fit(full)
    del full  # frees its memory for the dream
    begin_run(run, recipe, net, img, settings, frame_n)
    options.objectives.tell_weak_terms(net, img, settings)
    before = run.done
    new_frames = zoom_into(run, net, img, frame_n, *move, strength=options.strength, **settings)
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
