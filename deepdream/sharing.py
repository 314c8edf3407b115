"""One network used by several threads, and Caffe in forked processes.

The central type is `Alone`, a context that one thread at a time is in: a network holds one picture, and whoever is
between setting it and reading its gradient must have the network to itself. A step of a dream is the unit, so that
dreams of several threads on one network take turns, and each is the one it would have been alone.

A process that was forked has none of its parent's threads, but Caffe's OpenMP believes that they are there, and waits
for them for ever. So it is asked to end them before each fork; they come back, here and in the child, when they are
next needed.
"""

import ctypes
import os
import threading
import weakref

import caffe

_HARD = 2  # OpenMP's number for giving back everything
_all = weakref.WeakSet()


class Alone:
    """A context for one thread at a time, which may enter it again within."""

    def __init__(self):
        self._lock = threading.RLock()
        _all.add(self)

    def __enter__(self):
        self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()

    def _free(self):
        """In a forked process: a thread that was in there is not in this process, and would never come out."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = threading.RLock()


def _openmp_pause():
    """OpenMP's function that ends the threads it keeps for this one; `None` where this Caffe has none."""
    try:
        # Asked of Caffe's own module, because a process may have more than one OpenMP in it.
        return ctypes.CDLL(caffe._caffe.__file__).omp_pause_resource_all
    except (AttributeError, OSError):
        return None


def _before():
    if _pause is not None:
        _pause(_HARD)


def _in_child():
    for alone in list(_all):
        alone._free()


_pause = _openmp_pause()
if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_before, after_in_child=_in_child)
