"""Locks a folder, so that only one process at a time works in it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ..errors import DreamError

if sys.platform != "win32":  # Windows has no fcntl: there, two processes in one folder are not kept apart
    import fcntl


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[Path]:
    """Lock a folder for this process within the block, see `lock_folder`, and remove it if it is empty then.

    Yields:
        Its path.
    """
    lock, _ = lock_folder(folder)
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # it is not empty
            folder.rmdir()
        if lock is not None:
            os.close(lock)


def lock_folder(folder: Path) -> tuple[int | None, bool]:
    """Create a folder if necessary, and lock it for this process.

    Args:
        folder: the path; the folder that it is in exists.

    Returns:
        (lock, whether the folder was created). The lock is a file descriptor, and is released when it is closed;
        `None`: there are no locks here.

    Raises:
        DreamError: another process is using the folder.
        OSError: it cannot be created or opened.
    """
    while True:
        created = not folder.exists()
        folder.mkdir(exist_ok=True)
        if sys.platform == "win32":
            return None, created
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise DreamError(
                f"{folder}: another process is using this folder; wait for it, or choose another folder"
            ) from None
        except OSError:  # a file system without locks, such as a network one
            os.close(lock)
            return None, created
        if _is_open_folder(lock, folder):
            return lock, created
        os.close(lock)  # another process removed it before it was locked


def _is_open_folder(lock: int, folder: Path) -> bool:
    """Whether the folder with this name is the one that a file descriptor has open."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(lock), os.stat(folder))
    return False
