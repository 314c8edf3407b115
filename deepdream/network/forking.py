"""Caffe in forked processes.

A process that was forked has none of its parent's threads, but Caffe's OpenMP believes that they are there and waits
for them for ever. So OpenMP is asked to end them before each fork; they come back, here and in the child, when they
are next needed. Importing this module is enough.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

import caffe

OMP_PAUSE_HARD = 2  # OpenMP's number for giving back everything


def _openmp_pause() -> Any:
    """OpenMP's function that ends the threads it keeps for this one; `None` where this Caffe has none."""
    try:
        # Looked up in Caffe's own module, because a process may have more than one OpenMP in it.
        return ctypes.CDLL(caffe._caffe.__file__).omp_pause_resource_all
    except (AttributeError, OSError):
        return None


def _before_fork() -> None:
    if _pause is not None:
        _pause(OMP_PAUSE_HARD)


_pause = _openmp_pause()
if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_before_fork)
