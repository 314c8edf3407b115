"""Recipes on many machines: Dask's `distributed` does the work, this hands it one dream after another.

The pictures that a recipe needs travel with it, and the dream comes back, so that workers need no folder in common
with this machine; networks each worker loads by itself.
"""

import itertools
import logging
import socket
import threading
from urllib.parse import urlsplit

from .errors import DreamError

log = logging.getLogger(__name__)

PATIENCE = 10  # seconds for a scheduler to answer
AHEAD = 2  # tasks for each worker
_ONE_AT_A_TIME = threading.Lock()


def make_on_cluster(waiting, scheduler=None, workers=None, gpu=None):
    """Make pictures on the workers of a Dask scheduler, or of this machine.

    **Arguments:** `waiting`: [(entry, path), …]; the others as in `render_on_cluster`.

    **Returns:** an iterator of (entry, path, result) as they come about; the result is (picture, recipe) or an
    exception.
    """
    lacking = []

    def jobs():
        for entry, path in waiting:
            try:
                yield (entry, path), entry.recipe, *entry.recipe.pictures()
            except DreamError as error:
                lacking.append((entry, path, error))

    for (entry, path), result in render_on_cluster(jobs(), scheduler, workers, gpu):
        yield entry, path, result
    yield from lacking


def render_on_cluster(jobs, scheduler=None, workers=None, gpu=None):
    """Render recipes on the workers of a Dask scheduler, or of this machine, a few ahead of those that are done.

    A worker that dies has its recipe run again on another; after Dask's allowed-failures (three) deaths a recipe is
    given up.

    **Arguments:** `jobs`: an iterable of (key, recipe, image, guide), taken from one at a time; `scheduler`: an
    address, such as tcp://10.0.0.1:8786; `workers`: or the number of processes to start here; `gpu`: the
    device of each.

    **Returns:** an iterator of (key, result) as they come about; the result is (picture, recipe) or an exception.

    **Raises:** `DreamError` if `distributed` is missing or no scheduler answers.
    """
    try:
        import dask
        from distributed import Client, LocalCluster, as_completed
    except ImportError:
        raise DreamError("dreaming on a cluster needs Dask: pip install 'deepdream-caffe[cluster]'") from None
    for name in ("distributed", "distributed.scheduler", "distributed.nanny", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they tell of every connection
    # A large picture in a task is no mistake here.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"}):
        cluster = None
        if not scheduler:
            cluster = LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0")
        try:
            if scheduler and scheduler.startswith("tcp://") and not _greets(scheduler):
                raise ValueError("what listens there is something else")
            client = Client(scheduler or cluster, timeout=PATIENCE)
        except Exception as error:  # Dask takes whatever something else answers for lengths, and stumbles
            said = error if isinstance(error, (OSError, ValueError)) else "what answers is something else"
            raise DreamError(f"no Dask scheduler answers at {scheduler} ({said}); start one with `dask scheduler`"
                             ) from None
        try:
            there = client.scheduler_info()["workers"]
            if not there:
                log.info("the scheduler at %s has no workers yet: waiting for some (`dask worker`)", scheduler)
            keys, jobs = {}, iter(jobs)

            def submit():
                for key, recipe, image, guide in itertools.islice(jobs, 1):
                    future = client.submit(_render, recipe, image, guide, gpu, pure=False)
                    keys[future] = key
                    yield future
            # Enough that no worker waits, not so many that their pictures fill the memory.
            futures = as_completed([future for _ in range(AHEAD * max(len(there), 8)) for future in submit()])
            for future in futures:
                yield keys.pop(future), future.exception() or future.result()  # either may be an exception
                future.release()
                for another in submit():
                    futures.add(another)
        finally:
            client.close()
            if cluster is not None:
                cluster.close()


def _greets(address):
    """Whether what listens at a tcp:// address speaks first, and in Dask's way: a web server waits to be asked.

    Dask itself takes another program's answer for the length of its own, or waits without end.
    """
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), PATIENCE) as there:
        first = there.recv(8)  # the number of pieces that the greeting has
    return 0 < int.from_bytes(first, "little") < 2**20


def _render(recipe, image, guide, gpu):
    from .gallery import render

    # A worker may have several threads, but a network has one picture in it.
    with _ONE_AT_A_TIME:
        try:
            return render(recipe, image, guide, gpu=gpu)
        except DreamError as error:  # returned, for Dask would print where it was raised
            return error
