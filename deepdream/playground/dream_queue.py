"""A queue of dreams: one at a time on a machine, first come, first served, for all processes.

Each page of the playground has its own process, so the queue is a folder. The central type is a `QueueSlot`: a
numbered file that its process holds locked while it waits or dreams. The system releases the lock of a process that
ends in any way, so a dead process does not keep others waiting.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


class QueueSlot:
    """A place in a queue, from its creation until it is closed; use it in a `with` statement.

    Args:
        folder: the folder of the queue; it must exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        with _lock(self._folder):
            self._number = 1 + max(map(_number_of, self._folder.glob("*.turn")), default=0)
            self._path = self._folder / f"{self._number}.turn"
            self._file = open(self._path, "w")  # noqa: SIM115 - held until `close`
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def ahead(self) -> int:
        """The number of slots ahead of this one; 0 when it may dream."""
        with _lock(self._folder):
            earlier = [path for path in self._folder.glob("*.turn") if _number_of(path) < self._number]
            return sum(_is_held(path) for path in earlier)

    def close(self) -> None:
        """Leave the queue; further calls do nothing."""
        with _lock(self._folder):
            if not self._file.closed:
                self._path.unlink(missing_ok=True)
                self._file.close()

    def __enter__(self) -> QueueSlot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _number_of(path: Path) -> int:
    return int(path.stem)


def _is_held(path: Path) -> bool:
    """Whether the process that made a slot's file still runs; if not, the file is removed."""
    with contextlib.suppress(FileNotFoundError), open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        path.unlink(missing_ok=True)
    return False


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Keep other processes from reading or changing the queue."""
    with open(folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
