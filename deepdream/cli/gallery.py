"""`deepdream gallery`: makes the images of a gallery file, here or on a cluster."""

from pathlib import Path
from typing import Optional

import typer

from ..errors import DreamError
from ..io.files import why_not_a_folder
from ..recipes.gallery import PAGE, Outcome, make_gallery
from ..recipes.gallery_file import Entry, limit_gallery_size, read_gallery
from . import INCOMPLETE
from .cluster_options import SCHEDULER, WORKERS, check_cluster
from .console import progress_line, say
from .files import check_writable
from .loading import GPU
from .parsing import check_range, parse_gpu


def gallery(
    file: Path = typer.Argument(
        ..., metavar="FILE", help="Gallery file (TOML), or the name of a bundled one. original: the images of 2015."
    ),
    output: Path = typer.Option(
        ..., "-o", "--output", metavar="DIR", help="Folder for the images and the page; created if it does not exist."
    ),
    max_size: Optional[int] = typer.Option(
        None,
        "--max-size",
        metavar="PIXELS",
        show_default=False,
        help="If an image is larger, scale its longer side down to PIXELS.",
    ),
    workers: Optional[int] = WORKERS,
    scheduler: Optional[str] = SCHEDULER,
    gpu: str = GPU,
) -> None:
    """Make the images of a gallery and an HTML page that shows them.

    Existing images are not made again. If a gallery was stopped, start it again to continue where it stopped. If an
    image cannot be made, this is reported and the other images are made.
    """
    check_range("--max-size", max_size, 1)
    check_cluster(workers, scheduler)
    images = read_gallery(file)
    if max_size is not None:
        images = limit_gallery_size(images, max_size)
    try:
        output.mkdir(exist_ok=True)
    except FileExistsError:
        raise DreamError(f"-o {output} {why_not_a_folder(output)} for the images and the page") from None
    except FileNotFoundError:
        raise DreamError(f"-o {output}: the folder {output.parent} does not exist; create it first") from None
    except OSError as error:
        raise DreamError(f"-o {output} cannot be written ({error.strerror}); choose another") from None
    check_writable(output / PAGE, output)
    total = len(images.entries)
    outcomes: list[Outcome] = []
    with progress_line() as progress:
        task = progress.add_task(f"0/{total}", total=total)

        def show_progress(entry: Entry, share: float) -> None:
            progress.update(task, completed=len(outcomes) + share, description=f"{len(outcomes)}/{total} {entry.name}")

        for outcome in make_gallery(images, output, scheduler, workers, show_progress, parse_gpu(gpu)):
            outcomes.append(outcome)
            progress.update(task, completed=len(outcomes), description=f"{len(outcomes)}/{total}")
            if outcome.error is None:
                print(outcome.path.resolve(), flush=True)
    made = sum(outcome.made for outcome in outcomes)
    failed = sum(outcome.error is not None for outcome in outcomes)
    found = total - made - failed
    say(f"{made} made, {found} already there, {failed} failed; the page is {(output / PAGE).resolve()}")
    if failed:
        raise typer.Exit(INCOMPLETE)
