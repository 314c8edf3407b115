"""Matrix products whose bits do not depend on the number of threads.

A BLAS that splits one product among several threads adds up in another order than with one thread, so the last bits of
the result differ (OpenBLAS's Haswell and Zen kernels do this). Where a product decides something, such as which of a
guide's features fits best, another number of threads could then give another image. Here each product is computed by
one thread of BLAS, and several products at a time by threads of our own.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from .fork_lock import ForkSafeLock

T = TypeVar("T")
R = TypeVar("R")

# A BLAS has one number of threads for the whole process: two threads that set and restore it would undo each other.
_thread_count_lock = ForkSafeLock()


def map_products(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Apply a function to several items at a time; each product inside is computed by one thread of BLAS.

    The results, and so their bits, are the same with any number of threads as long as `function` itself always
    multiplies matrices of the same shapes for the same item. As many items are worked on at a time as BLAS would use
    threads (`OPENBLAS_NUM_THREADS` and the like say how many).

    Args:
        function: called with one item, from several threads. Floating-point overflow in it is silent.
        items: its arguments.

    Returns:
        The value that `function` returned for each item, in order.
    """

    def call(item: T) -> R:
        with np.errstate(over="ignore", invalid="ignore"):  # NumPy keeps this setting for each thread
            return function(item)

    with _thread_count_lock, _single_threaded_blas() as thread_count:
        workers = min(thread_count, len(items))
        if workers < 2:
            return [call(item) for item in items]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(call, items))


@contextlib.contextmanager
def _single_threaded_blas() -> Iterator[int]:
    """A context in which NumPy's BLAS computes with one thread; yields its usual number of threads."""
    blas = _numpy_blas()
    counts = [library.get_num_threads() for library in blas.lib_controllers]
    with blas.limit(limits=1):
        yield max(filter(None, counts), default=1)


@functools.lru_cache(maxsize=1)
def _numpy_blas() -> ThreadpoolController:
    """The BLAS that NumPy computes with; every loaded one if NumPy does not contain its own."""
    loaded = ThreadpoolController().select(user_api="blas")
    own = [library.filepath for library in loaded.lib_controllers if "numpy" in library.filepath]
    return loaded.select(filepath=own) if own else loaded
