"""A lock that survives a fork.

The central type is `ForkSafeLock`. A process that was forked has none of its parent's other threads: a lock that one of
them held would never be released there, so in the child it is made anew.
"""

from __future__ import annotations

import os
import threading
import weakref

_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


class ForkSafeLock:
    """A context that one thread at a time is in; that thread may enter it again inside."""

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


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_renew_all)
