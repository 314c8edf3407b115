"""Matrix products whose bits do not depend on the number of threads.

A BLAS that splits one product among several threads adds up in another order than with one thread, so the last bits of
the result differ (OpenBLAS's Haswell and Zen kernels do this). Where a product decides something, as which of a guide's
features fits best, another number of threads could then give another image. Here each product is computed by one
thread of BLAS, and several products at a time by threads of our own.
"""

import contextlib
import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import ThreadpoolController

from .sharing import Alone

# The number of threads of a BLAS is the process's: two threads that set it and put it back would undo each other.
_setting = Alone()


def map_products(function, items):
    """[function(item) for item in items], several at a time, each product inside computed by one thread of BLAS.

    The results, and so their bits, are the same with any number of threads as long as `function` itself always
    multiplies matrices of the same shapes for the same item. As many items are worked on at a time as BLAS would use
    threads (`OPENBLAS_NUM_THREADS` and the like say how many).

    **Arguments:** `function`: called with one item, from several threads; floating-point overflow in it is silent;
    `items`: a sequence.

    **Returns:** a list of what it returned, in order.
    """
    def call(item):
        with np.errstate(over="ignore", invalid="ignore"):  # NumPy keeps this setting for each thread
            return function(item)

    with _setting, _one_thread() as count:
        if min(count, len(items)) < 2:
            return [call(item) for item in items]
        with ThreadPoolExecutor(min(count, len(items))) as pool:
            return list(pool.map(call, items))


@contextlib.contextmanager
def _one_thread():
    """Within, NumPy's BLAS computes with one thread; yields how many it has otherwise."""
    blas = _numpy_blas()
    counts = [library.get_num_threads() for library in blas.lib_controllers]
    with blas.limit(limits=1):
        yield max(filter(None, counts), default=1)


@functools.lru_cache(maxsize=1)
def _numpy_blas():
    """The BLAS that NumPy computes with; all that are loaded where it brings none of its own."""
    loaded = ThreadpoolController().select(user_api="blas")
    own = [library.filepath for library in loaded.lib_controllers if "numpy" in library.filepath]
    return loaded.select(filepath=own) if own else loaded
