"""`deepdream video`: dreams on a video."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Optional

import typer

from .._types import Image
from ..defaults import defaults_of
from ..errors import VideoError
from ..extras import require_extra
from ..guide import guided
from ..io.arrays import fitted_size
from ..io.image_sequence import FrameSource, open_frames
from ..network.net import Net
from ..recipes.cluster import video_on_cluster
from ..recipes.inputs import ALPHA, FittedMask, abbreviate_home
from ..recipes.runs import FrameFolder, video_into
from ..recipes.shots import ShotRun, recorded_shots
from ..schedule import FRAME
from ..validation import truncate
from ..video import find_shots, hold_last, video_frames
from ..zoo.registry import Model
from .cluster_options import SCHEDULER, check_cluster
from .console import progress_line, say
from .files import check_not_read
from .options import DreamOptions, takes_dream_options
from .parsing import check_range, parse_gpu
from .runs import begin_run, run_settings
from .video_options import FPS, guide_video, source_sha256
from .video_output import VideoOutput, open_output
from .video_parts import cut_part, parse_moment

_CARRY = defaults_of(video_frames)["carry"]


@dataclass(frozen=True)
class _Cluster:
    """Where frames are dreamt in parallel: worker processes to start here, or a scheduler; neither: in this process."""

    workers: Optional[int]
    scheduler: Optional[str]

    def __bool__(self) -> bool:
        return bool(self.workers or self.scheduler)


@takes_dream_options
def video(
    options: DreamOptions,
    source: Path = typer.Argument(
        ..., metavar="IN", help="Video to read (MP4, MOV, MKV, GIF and so on), a folder of images, or in/%04d.png."
    ),
    output: str = typer.Argument(
        ...,
        metavar="OUT",
        help="Video to write (MP4, MOV, MKV, WebM, GIF), a folder for images (OUT/), or out/%04d.png.",
    ),
    start: Optional[str] = typer.Option(
        None, "--start", metavar="TIME", show_default=False, help="Begin at this time (12.5, 1:30) or frame (250f)."
    ),
    stop: Optional[str] = typer.Option(
        None, "--stop", metavar="TIME", show_default=False, help="Stop before this time or frame."
    ),
    carry: float = typer.Option(
        _CARRY, "--carry", help="How much of the dream is carried from frame to frame, from 0 to 1."
    ),
    independent: bool = typer.Option(
        False, "--independent", help="Dream every frame by itself; the video then flickers."
    ),
    fps: float = FPS,
    keep_location: bool = typer.Option(
        False, "--keep-location", help="Keep where the video was recorded; other tags are always kept."
    ),
    workers: Optional[int] = typer.Option(
        None,
        "--workers",
        metavar="N",
        show_default=False,
        help="Dream in N processes on this machine (Dask), a shot of the video in each.",
    ),
    scheduler: Optional[str] = SCHEDULER,
) -> None:
    """Dream on a video.

    Its sound, subtitles, length, frame rate and size stay the same. If a run was stopped, start it again to continue
    where it stopped: the frames are kept in the folder OUT.frames until the video is written. A guide may be a video,
    too: it guides frame by frame.
    """
    check_range("--carry", carry, 0, 1)
    check_cluster(workers, scheduler)
    check_range("--fps", fps, 0.01, 1000)
    options.check_unit(FRAME)
    if options.keyframes is not None and options.keyframes.of_zooms:
        raise VideoError(f"--schedule {options.schedule} sets {options.keyframes.of_zooms[0]}, which only a zoom has")
    if options.schedule is not None and (workers or scheduler):
        raise VideoError(
            f"--schedule {options.schedule}: a scheduled video is dreamt in this process; leave out --workers and "
            "--scheduler"
        )
    moments = parse_moment("--start", start), parse_moment("--stop", stop)
    if independent and carry not in (0, _CARRY):
        raise VideoError(f"--independent and --carry {carry:g}: independent frames carry nothing; choose one of them")
    target = open_output(output)
    carry = 0.0 if independent else carry
    if carry:
        require_extra("cv2", "following the motion in a video (not necessary with --independent)")
    if isinstance(target, VideoOutput) and target.path.exists() and source.exists() and target.path.samefile(source):
        raise VideoError(f"{output} is the input video; write to another file")
    check_not_read(target.path, options.files, "OUT")
    frames = cut_part(open_frames(source, Fraction(fps).limit_denominator(1000)), *moments)
    size = fitted_size(frames.height, frames.width, options.max_size)
    guides = _guide_video(options)
    if options.mask == ALPHA:
        raise VideoError("--mask alpha: frames have no transparency here; give a mask file of the frames' size")
    lost = target.rehearse(frames, size, keep_location)
    with FrameFolder(target.frame_folder, "video") as run:
        if lost:
            say(f"{output} will lack {', '.join(lost)}")
        net, model = (options if guides is None else replace(options, guide=None)).load()
        _dream(options, run, net, model, frames, guides, carry, _Cluster(workers, scheduler))
        with progress_line() as progress:
            task = progress.add_task(f"writing {output}", total=target.passes * len(frames))
            paths = run.paths(len(frames))
            target.write(frames, paths, keep_location, lambda: progress.update(task, advance=1))
        run.remove()
    print(target.path.resolve(), flush=True)


def _guide_video(options: DreamOptions) -> Optional[FrameSource]:
    """The guide if it is a video; `None` if the guides are images, or if there are none."""
    videos = [(name, video) for name, _ in options.objectives.guides if (video := guide_video(name)) is not None]
    if not videos:
        return None
    name, video = videos[0]
    if options.objectives.count > 1 or options.objectives.guides != [(name, 1.0)]:
        raise VideoError(
            f"--guide {truncate(name)} is a video, which guides alone: leave out its weight and the other --guide, "
            "--channel and --label options"
        )
    return video


def _dream(
    options: DreamOptions,
    run: FrameFolder,
    net: Net,
    model: Model,
    frames: FrameSource,
    guides: Optional[FrameSource],
    carry: float,
    cluster: _Cluster,
) -> None:
    """Dream the frames that do not exist yet, with a progress line."""
    guide_name = options.objectives.guides[0][0] if guides is not None else None
    options = options if guides is None else replace(options, guide=None)
    first = next(frames.frames())
    mask = options.fit_mask(first)
    settings = run_settings(run, options, net, mask)
    recipe = options.recipe(str(frames.path), model, net, first, settings, mask)
    recipe = replace(recipe, kind="video", more={"carry": carry, **_part(frames)}, input_sha256=source_sha256(frames))
    if guides is not None:
        guided(net, next(guides.frames()), settings["end"])  # raises what is wrong with it
        assert guide_name is not None
        recipe = replace(
            recipe, objective="guided", guide=abbreviate_home(guide_name), guide_sha256=source_sha256(guides)
        )
    begin_run(run, recipe, net, first, settings, len(frames))
    options.objectives.tell_weak_terms(net, recipe.fit(first), settings)
    total, (before, paths) = len(frames), _new_frames(options, run, net, frames, guides, carry, cluster, settings, mask)
    with progress_line() as progress:
        task = progress.add_task(f"frame {before + 1}/{total}", total=total, completed=before)
        for number, path in enumerate(paths, before + 1):
            if number == before + 1:
                run.check_room(total, first)  # estimated from the size of a frame, which is known now
            progress.update(task, advance=1, description=f"frame {min(number + 1, total)}/{total}, last {path}")
    count = "1 frame" if total == 1 else f"{total} frames"
    guided_by = "" if guides is None else f", guided by {guide_name}"
    say(f"{frames.path} dreamt at {options.target_description(net)}{guided_by}, seed {settings['seed']}: {count}")


def _new_frames(
    options: DreamOptions,
    run: FrameFolder,
    net: Net,
    frames: FrameSource,
    guides: Optional[FrameSource],
    carry: float,
    cluster: _Cluster,
    settings: dict[str, Any],
    mask: Optional[FittedMask],
) -> tuple[int, Iterator[Path]]:
    """(number of the frames that exist, the paths of the others as they are written)."""
    assert run.recipe is not None
    fit = run.recipe.fit

    def images(first: int = 0) -> Iterator[Image]:
        return (fit(image) for image in frames.frames(first))

    def guide_images(first: int = 0) -> Iterator[Image]:
        assert guides is not None
        return hold_last(guides.frames(min(first, len(guides) - 1)))

    reader = None if guides is None else guide_images
    if guides is not None:
        settings = {name: value for name, value in settings.items() if name != "objective"}
    gpu = parse_gpu(options.gpu)
    where: dict[str, Any] = {"scheduler": cluster.scheduler, "workers": cluster.workers, "gpu": gpu}
    if cluster and not carry:
        guide: Any = options.objectives.images if reader is None else reader(run.done)
        return run.done, video_on_cluster(run, images(run.done), guide, mask, **where)
    starts = recorded_shots(run)
    if starts is None and not cluster:
        shown = None if reader is None else reader()
        return run.done, video_into(run, net, images(), carry, guides=shown, strength=options.strength, **settings)
    starts = _find_shots(images(), len(frames), options.wrap) if starts is None else starts
    say(f"{frames.path} has {'1 shot' if len(starts) == 1 else f'{len(starts)} shots'}")
    shots = ShotRun(run, starts, len(frames))
    if cluster:
        return shots.done, shots.dream_on_cluster(images, carry, options.objectives.images, reader, mask, **where)
    return shots.done, shots.dream(net, images, carry, reader, strength=options.strength, **settings)


def _find_shots(images: Iterable[Image], total: int, wrap: Optional[str]) -> list[int]:
    with progress_line() as progress:
        task = progress.add_task("finding the shots", total=total)

        def counted() -> Iterator[Image]:
            for image in images:
                yield image
                progress.update(task, advance=1)

        return list(find_shots(counted(), wrap))


def _part(frames: FrameSource) -> dict[str, int]:
    """What a recipe says of a part of a video."""
    return {} if frames.first_frame is None else {"first": frames.first_frame, "frames": len(frames)}
