"""`deepdream gallery`: makes the pictures of a gallery file, here or on a cluster."""

from pathlib import Path
from typing import Optional

import typer

from ..errors import DreamError
from ..files import not_a_folder
from ..gallery import PAGE, make, read_gallery, smaller
from .files import check_writable
from .options import GPU, check_range, gpu_of
from .screen import progress_line, say

INCOMPLETE = 2


def gallery(
    file: Path = typer.Argument(..., metavar="FILE",
                                help="A file of recipes, or one that comes along. original: the pictures of 2015."),
    output: Path = typer.Option(..., "-o", "--output", metavar="DIR",
                                help="The folder for the pictures and the page; made if it is not there."),
    max_size: Optional[int] = typer.Option(None, "--max-size", metavar="PIXELS", show_default=False,
                                           help="Make every picture no larger than this on its longer side."),
    workers: Optional[int] = typer.Option(None, "--workers", metavar="N", show_default=False,
                                          help="Dream in N processes on this machine, with Dask."),
    scheduler: Optional[str] = typer.Option(None, "--scheduler", metavar="ADDRESS", show_default=False,
                                            help="Dream on the workers of this Dask scheduler."),
    gpu: str = GPU,
):
    """Make the pictures of a gallery that are not there yet, and a page that shows them.

    Stopped at any moment and started again, it goes on where it was. A picture that cannot be made is reported, and
    the others are made.
    """
    check_range("--max-size", max_size, 1)
    check_range("--workers", workers, 1)
    if workers and scheduler:
        raise DreamError("--workers starts processes here and --scheduler uses others: give one of the two")
    pictures = read_gallery(file)
    if max_size is not None:
        pictures = smaller(pictures, max_size)
    try:
        output.mkdir(exist_ok=True)
    except FileExistsError:
        raise DreamError(f"-o {output} {not_a_folder(output)} for the pictures and the page") from None
    except FileNotFoundError:
        raise DreamError(f"-o {output}: the folder {output.parent} does not exist; create it first") from None
    check_writable(output / PAGE, output)
    total = len(pictures.entries)
    outcomes = []
    with progress_line() as progress:
        task = progress.add_task(f"0/{total}", total=total)

        def show(entry, share):
            progress.update(task, completed=len(outcomes) + share, description=f"{len(outcomes)}/{total} {entry.name}")

        for outcome in make(pictures, output, scheduler, workers, show, gpu_of(gpu)):
            outcomes.append(outcome)
            progress.update(task, completed=len(outcomes), description=f"{len(outcomes)}/{total}")
            if outcome.error is None:
                print(outcome.path.resolve(), flush=True)
    made, failed = sum(each.made for each in outcomes), sum(each.error is not None for each in outcomes)
    there = total - made - failed
    say(f"{made} made, {there} already there, {failed} failed; the page is {(output / PAGE).resolve()}")
    if failed:
        raise typer.Exit(INCOMPLETE)
