"""Caffe in forked processes.

A forked process does not have its parent's threads, but Caffe's OpenMP assumes that they exist and waits for them for
ever. So OpenMP has to end them before each fork; it starts new ones, here and in the child, when they are next needed.
Importing this module is enough.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

import caffe

OMP_PAUSE_HARD = 2  # OpenMP's number for releasing everything


def _openmp_pause() -> Any:
    """OpenMP's function that ends the threads it keeps for this one; `None` if this Caffe does not have it."""
    try:
        # Looked up in Caffe's own module, because a process may have more than one OpenMP in it.
        return ctypes.CDLL(caffe._caffe.__file__).omp_pause_resource_all
    except (AttributeError, OSError):
        return None


def _before_fork() -> None:
    if _pause is not None:
        _pause(OMP_PAUSE_HARD)


_pause = _openmp_pause()
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_before_fork)
