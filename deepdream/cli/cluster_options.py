"""`--workers` and `--scheduler`: the processes that dream, here or on other machines."""

from __future__ import annotations

import typer

from ..errors import ParameterError
from .parsing import check_range

WORKERS = typer.Option(
    None, "--workers", metavar="N", show_default=False, help="Dream in N processes on this machine (Dask)."
)
SCHEDULER = typer.Option(
    None, "--scheduler", metavar="ADDRESS", show_default=False, help="Dream on the workers of this Dask scheduler."
)


def check_cluster(workers: int | None, scheduler: str | None) -> bool:
    """Whether these options ask for other processes.

    Raises:
        ParameterError: the number of workers is out of its range, or both options are given.
    """
    check_range("--workers", workers, 1)
    if workers and scheduler:
        raise ParameterError("--workers starts processes here, --scheduler uses existing ones; give only one of them")
    return bool(workers or scheduler)
