"""Several zooms at once, each in a process of its own.

A frame of a zoom needs the one before, so one zoom is one process. Each has its own folder of frames, and resumes from
it: if a worker dies, another one continues its zoom.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import DreamError
from ..io.source import ImageSource
from .cluster import connected_client, net_lock
from .frame_folder import FrameFolder
from .inputs import FittedMask
from .recipe import Recipe
from .render import Guides, cached_net
from .runs import zoom_into


@dataclass(frozen=True)
class ZoomJob:
    """A zoom that a worker makes.

    Attributes:
        name: the name of the image.
        folder: the path of its frames' folder, which the worker sees, too.
        recipe: complete, of the kind "zoom".
        image: the image to start from.
        guides: the guides, if it has any.
        mask: the mask, if it has one.
        frame_n: the number of frames of the whole run.
        gpu: the device; see `deepdream.load`.
    """

    name: str
    folder: str
    recipe: Recipe
    image: ImageSource
    guides: Guides | None
    mask: FittedMask | None
    frame_n: int
    gpu: int | str | None


def zooms_on_workers(jobs: Iterable[ZoomJob], workers: int) -> Iterator[tuple[str, list[Path], str | None]]:
    """Make zooms in processes of this machine.

    Args:
        jobs: the zooms, read one at a time.
        workers: the number of processes.

    Yields:
        (name, paths, error) of each as it is done: the new frames, and why some are missing; `None`: none are.

    Raises:
        DreamError: `distributed` is missing.
    """
    with connected_client(None, workers) as client:
        from distributed import as_completed

        names = {client.submit(_zoom, job, pure=False): job.name for job in jobs}
        for future in as_completed(list(names)):
            error = future.exception()
            paths, reason = ([], f"the worker failed: {error}") if error is not None else future.result()
            yield names.pop(future), paths, reason


def _zoom(job: ZoomJob) -> tuple[list[Path], str | None]:
    """Dream the frames that do not exist yet: their paths, and an error."""
    paths: list[Path] = []
    with net_lock:
        try:
            net = cached_net(job.recipe.model, job.gpu)
            with FrameFolder(job.folder, "zoom") as run:
                run.begin(job.recipe)
                img = job.recipe.fit(job.image)
                more = job.recipe.more
                move = more["scale"], more["rotate"], more.get("center")
                dream = job.recipe.settings(net, job.guides, job.mask)
                for path in zoom_into(run, net, img, job.frame_n, *move, strength=job.recipe.strength, **dream):
                    paths.append(path.resolve())
        except DreamError as error:  # returned, because Dask would print the traceback
            return paths, str(error)
    return paths, None
