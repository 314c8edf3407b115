"""Renders recipes on many machines: submits dreams to Dask's `distributed`, one after another.

The images that a recipe needs are sent with it, and the dream is sent back, so the workers need not share a folder with
this machine; each worker loads its networks by itself.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from .._types import Image
from ..errors import DreamError, VideoError
from ..io.source import ImageSource
from ..validation import truncate
from .inputs import FittedMask
from .recipe import Recipe
from .render import Guides, find_inputs, make_with_cached_net

if TYPE_CHECKING:
    from .frame_folder import FrameFolder
    from .gallery_file import Entry

log = logging.getLogger(__name__)

TIMEOUT_S = 10  # to wait for a scheduler's answer
TASKS_PER_WORKER = 2  # enough to keep every worker busy, and few enough for their images to fit into memory
SIGTERM_EXIT_CODE = 128 + signal.SIGTERM  # as a shell gives it
_QUIET = {"DASK_LOGGING__DISTRIBUTED": "critical"}  # otherwise workers report each connection that ends before they do
_ABOVE_CRITICAL = logging.CRITICAL + 1
_MAX_GREETING_PARTS = 2**20
# A worker may have several threads, but a network has one image in it.
net_lock = threading.Lock()
_Key = TypeVar("_Key")


def make_on_cluster(
    waiting: Iterable[tuple[Entry, Path]],
    scheduler: str | None = None,
    workers: int | None = None,
    gpu: int | str | None = None,
) -> Iterator[tuple[Entry, Path, tuple[Image, Recipe] | Exception]]:
    """Make images of a gallery on the workers of a Dask scheduler, or of this machine.

    Args:
        waiting: the entries and the paths of their images.
        scheduler: see `render_on_cluster`.
        workers: see `render_on_cluster`.
        gpu: see `render_on_cluster`.

    Yields:
        (entry, path, result) as each is done; the result is (image, complete recipe) or an exception.

    Raises:
        DreamError: as `render_on_cluster`.
    """
    lacking: list[tuple[Entry, Path, Exception]] = []  # entries whose images were not found

    def jobs() -> Iterator[tuple[tuple[Entry, Path], Recipe, ImageSource, Guides | None, FittedMask | None]]:
        for entry, path in waiting:
            try:
                image, guides, mask = find_inputs(entry.recipe)
                small = image.reduced(entry.recipe.max_size)
                small_guides = [each.reduced(entry.recipe.more.get("guide_max_size")) for each in guides]
            except DreamError as error:
                lacking.append((entry, path, error))
            else:
                yield (entry, path), entry.recipe, small, small_guides or None, mask

    for (entry, path), result in render_on_cluster(jobs(), scheduler, workers, gpu):
        yield entry, path, result
    yield from lacking


def video_on_cluster(
    run: FrameFolder,
    images: Iterable[Image],
    guide: Image | list[Image] | Iterator[Image] | None = None,
    mask: FittedMask | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    gpu: int | str | None = None,
) -> Iterator[Path]:
    """Dream the missing frames of a video, each by itself, on a Dask cluster.

    Args:
        run: a folder whose recipe has been begun.
        images: the missing frames, (H, W, 3) RGB.
        guide: the guide of a guided dream, (H, W, 3) RGB, or a list of several; or an iterator of one for each image.
        mask: the mask of every frame.
        scheduler: see `render_on_cluster`.
        workers: see `render_on_cluster`.
        gpu: see `render_on_cluster`.

    Yields:
        The path of each new frame, in order, as soon as it is written.

    Raises:
        DreamError: as `render_on_cluster`.
        VideoError: a frame cannot be dreamt on any of the workers.
    """
    assert run.recipe is not None
    single = replace(run.recipe, kind="dream", more={}, input_sha256=None, guide_sha256=None, max_size=None)
    guides = guide if isinstance(guide, Iterator) else itertools.repeat(guide)
    jobs = ((index, single, image, each, mask) for index, image, each in zip(itertools.count(run.done), images, guides))
    early: dict[int, Image] = {}  # frames that were done before an earlier one
    for index, result in render_on_cluster(jobs, scheduler, workers, gpu):
        if isinstance(result, Exception):
            raise VideoError(f"frame {index} could not be dreamt: {result}")
        early[index] = result[0]
        while run.done in early:
            yield run.save(run.done, early.pop(run.done))


def render_on_cluster(
    jobs: Iterable[tuple[_Key, Recipe, Image | ImageSource, Guides | None, FittedMask | None]],
    scheduler: str | None = None,
    workers: int | None = None,
    gpu: int | str | None = None,
) -> Iterator[tuple[_Key, tuple[Image, Recipe] | Exception]]:
    """Render recipes on the workers of a Dask scheduler, or of this machine, a few at a time.

    If a worker dies, its recipe is run again on another worker; after Dask's allowed-failures (three) deaths, the
    recipe fails.

    Args:
        jobs: (key, recipe, image, guide, mask) each, read one at a time.
        scheduler: an address, such as tcp://10.0.0.1:8786.
        workers: or the number of processes to start here.
        gpu: the device of each worker; see `deepdream.load`.

    Yields:
        (key, result) as each is done; the result is (image, complete recipe) or an exception.

    Raises:
        DreamError: `distributed` is missing or no scheduler answers.
    """
    with connected_client(scheduler, workers) as client:
        from distributed import as_completed

        keys: dict[Any, _Key] = {}
        remaining = iter(jobs)

        def submit_next() -> Iterator[Any]:
            """Submit the next job, if there is one."""
            for key, recipe, image, guide, mask in itertools.islice(remaining, 1):
                future = client.submit(_render_on_worker, recipe, image, guide, mask, gpu, pure=False)
                keys[future] = key
                yield future

        ahead = TASKS_PER_WORKER * max(worker_count(client), 8)
        futures = as_completed([future for _ in range(ahead) for future in submit_next()])
        for future in futures:
            yield keys.pop(future), future.exception() or future.result()  # either may be an exception
            future.release()
            for another in submit_next():
                futures.add(another)


@contextlib.contextmanager
def connected_client(scheduler: str | None, workers: int | None) -> Iterator[Any]:
    """A client of Dask, connected to a scheduler or to new worker processes, which end with the block.

    Args:
        scheduler: see `render_on_cluster`.
        workers: see `render_on_cluster`.

    Raises:
        DreamError: `distributed` is missing or no scheduler answers.
    """
    try:
        import dask
        from distributed import Client
    except ImportError:
        raise DreamError("dreaming on a cluster needs Dask: pip install 'deepdream-caffe[cluster]'") from None
    for name in ("distributed", "distributed.scheduler", "distributed.nanny", "distributed.core"):
        logging.getLogger(name).setLevel(_ABOVE_CRITICAL)  # they report every connection that ends, some as critical
    # Dask would warn about an image in a task.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"}), contextlib.ExitStack() as stack:
        cluster = None if scheduler else stack.enter_context(_local_cluster(workers))
        try:
            if scheduler and scheduler.startswith("tcp://") and not _speaks_dask(scheduler):
                raise ValueError("another program is listening there")
            client = Client(scheduler or cluster, timeout=TIMEOUT_S)
            stack.callback(client.close)
        except Exception as error:  # Dask reads another program's answer as lengths, and fails in many ways
            reason = error if isinstance(error, (OSError, ValueError)) else "another program is listening there"
            raise DreamError(
                f"no Dask scheduler answers at {scheduler} ({reason}); start one with `dask scheduler`"
            ) from None
        if not worker_count(client):
            log.info("the scheduler at %s has no workers yet; start some with `dask worker`", scheduler)
        yield client


def worker_count(client: Any) -> int:
    """The number of workers that the scheduler of a client has now."""
    return len(client.ncores())  # its `scheduler_info` names only the first five


def _restore_environment(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextlib.contextmanager
def _local_cluster(workers: int | None) -> Iterator[Any]:
    """A Dask cluster of processes on this machine, which all end with the block.

    A terminal sends Ctrl-C to every process, and a worker that is just starting would print a traceback. So Ctrl-C is
    blocked in the thread that starts the workers, and they inherit this. Only this process is interrupted: while it
    waits for that thread, and not in the middle of the start. SIGTERM, which would leave the workers behind, is handled
    in the same way.
    """
    import dask
    from distributed import LocalCluster

    environment = {**dask.config.get("distributed.nanny.pre-spawn-environ", {}), **_QUIET}
    with contextlib.ExitStack() as stack:
        # Dask sets these in this process, too, and leaves them.
        stack.callback(_restore_environment, {name: os.environ.get(name) for name in environment})
        stack.enter_context(dask.config.set({"distributed.nanny.pre-spawn-environ": environment}))
        stack.enter_context(_exit_on_sigterm())
        thread = stack.enter_context(ThreadPoolExecutor(1, initializer=_block_interrupts))
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="deepdream-"))
        start = thread.submit(
            LocalCluster,
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            local_directory=scratch,
        )
        try:
            if error := start.exception():
                raise DreamError(
                    f"the {workers} worker processes could not be started ({truncate(str(error))}); "
                    "try fewer --workers, or leave the option out"
                ) from error
            yield start.result()
        finally:
            if start.exception() is None:
                start.result().close()


def _block_interrupts() -> None:
    """Block Ctrl-C in this thread, and so in the threads and processes that it starts."""
    if sys.platform != "win32":
        resource_tracker.ensure_running()  # otherwise the first process would start it, and unblock Ctrl-C again
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@contextlib.contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """A context in which SIGTERM raises `SystemExit` in the main thread, if it would otherwise end the process."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(SIGTERM_EXIT_CODE))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _speaks_dask(address: str) -> bool:
    """Whether the program at a tcp:// address sends Dask's greeting first; a web server waits for a request.

    Dask itself reads another program's answer as the length of its own, or waits for ever.
    """
    parsed = urlsplit(address)
    with socket.create_connection((parsed.hostname, parsed.port or 0), TIMEOUT_S) as connection:
        first = connection.recv(8)  # the number of parts of the greeting
    return 0 < int.from_bytes(first, "little") < _MAX_GREETING_PARTS


def _render_on_worker(
    recipe: Recipe,
    image: Image | ImageSource,
    guide: Guides | None,
    mask: FittedMask | None,
    gpu: int | str | None,
) -> tuple[Image, Recipe] | DreamError:
    with net_lock:
        try:
            return make_with_cached_net(recipe, image, guide, gpu=gpu, mask=mask)
        except DreamError as error:  # returned, because Dask would print the traceback
            return error
