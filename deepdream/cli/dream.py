"""`deepdream dream`: dreams on images."""

from pathlib import Path
from typing import Optional

import typer

from ..data.bundled import BUILT_IN
from ..errors import DreamError, ParameterError
from ..schedule import OCTAVE
from . import INCOMPLETE
from .cluster_options import SCHEDULER, WORKERS, check_cluster
from .console import say
from .dreams import Dreams
from .files import check_not_read
from .image_output import (
    FORMAT,
    KEEP_LOCATION,
    NO_METADATA_OPTION,
    OUTPUT_HELP,
    QUALITY,
    WriteOptions,
    image_targets,
)
from .inputs import IMAGES_HELP, expand_images
from .options import DreamOptions, takes_dream_options
from .video_options import check_video


@takes_dream_options
def dream(
    options: DreamOptions,
    images: Optional[list[str]] = typer.Argument(None, metavar="[IMAGE]...", show_default="sky", help=IMAGES_HELP),
    output: str = typer.Option(
        "dream.png",
        "-o",
        "--output",
        metavar="OUT",
        help=f"{OUTPUT_HELP} For several images: a folder; OUT/ makes it.",
    ),
    file_format: Optional[str] = FORMAT,
    quality: Optional[int] = QUALITY,
    background: Optional[str] = typer.Option(
        None,
        "--background",
        metavar="COLOUR",
        show_default=False,
        help="Lay transparent parts on this colour. [default: they stay transparent, and are dreamt on white]",
    ),
    no_metadata: bool = NO_METADATA_OPTION,
    keep_location: bool = KEEP_LOCATION,
    workers: Optional[int] = WORKERS,
    scheduler: Optional[str] = SCHEDULER,
    animate: Optional[Path] = typer.Option(
        None, "--animate", metavar="OUT", show_default=False, help="Also write the steps as an MP4 or GIF."
    ),
) -> None:
    """Dream on images. Without arguments, dream on the sky with the default network and write dream.png.

    If one of several images fails, the others are dreamt all the same.
    """
    given = images or ["sky"]
    names = expand_images(given)
    several = names != given or len(names) > 1
    targets = image_targets(names, output, file_format, several)
    writing = WriteOptions(quality, no_metadata, keep_location)
    writing.check_format(targets[0].format)
    cluster = check_cluster(workers, scheduler)
    options.check_unit(OCTAVE)
    if animate is not None:
        if several or cluster:
            raise ParameterError(
                f"--animate {animate}: the video shows the steps of one dream, made in this process; give one image"
            )
        check_video(animate, "--animate")
    files = [name for name in [*names, *options.files] if name not in BUILT_IN]
    written = [*((target.path, "-o") for target in targets), (animate, "--animate")]
    for path, option in written:
        if path is not None:
            check_not_read(path, files, option)
    dreams = Dreams(options, writing, background)
    if not several and names[0] not in BUILT_IN:
        # A file is read before the network is loaded, whose weights may have to be fetched: a damaged file fails first.
        dreams.preload(names[0])
    dreams.load()
    work = list(zip(names, targets))
    results = dreams.on_cluster(work, workers, scheduler) if cluster else dreams.here(work, animate)
    failed_n = 0
    for name, result in results:
        try:
            if isinstance(result, Exception):
                raise result
            dreams.write(*result)
        except (DreamError, MemoryError, OSError) as error:
            if not several:
                raise
            say(f"{name} could not be dreamt: {str(error) or type(error).__name__}")
            failed_n += 1
        else:
            result[0].target.print_path()
    if animate is not None:
        (say if targets[0].path is None else print)(str(animate.resolve()))
    if several:
        say(f"{len(names) - failed_n} images dreamt, {failed_n} failed")
    if failed_n:
        raise typer.Exit(INCOMPLETE)
