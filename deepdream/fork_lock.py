"""A lock that survives a fork.

The central type is `ForkSafeLock`. A forked process does not have its parent's other threads. A lock that one of them
held would never be released there, so the child replaces it.
"""

from __future__ import annotations

import os
import threading
import weakref

_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


class ForkSafeLock:
    """A context that one thread at a time can enter; that thread may enter it again inside."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _renew(self) -> None:
        """In a forked process: replace the lock if a thread that is not in this process holds it."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = threading.RLock()


def _renew_all() -> None:
    for lock in list(_locks):
        lock._renew()


# NumPy and SciPy, whose modules import each other in circles, cannot be imported by two threads at once.
IMPORT_LOCK = ForkSafeLock()

if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_renew_all)
