"""One dream at a time on a machine, first come, first served, whichever processes ask.

Each page of the playground has a process of its own, so the queue is a folder. The central type is a `Turn`: a
numbered file that its process holds locked for as long as it waits or dreams. The system drops the lock of a process
that ends, however it ends, so nobody waits for the dead.
"""

import contextlib
import fcntl
from pathlib import Path


class Turn:
    """A place in the queue of `folder`, from when it is made to when it is closed; also a context."""

    def __init__(self, folder):
        self._folder = Path(folder)
        with _locked(self._folder):
            self._number = 1 + max(map(_number, self._folder.glob("*.turn")), default=0)
            self._path = self._folder / f"{self._number}.turn"
            self._file = open(self._path, "w")  # noqa: SIM115  (held until `close`)
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def ahead(self):
        """How many are in front: an int, 0 when it is this one's turn."""
        with _locked(self._folder):
            before = [path for path in self._folder.glob("*.turn") if _number(path) < self._number]
            return sum(_is_held(path) for path in before)

    def close(self):
        """Leave the queue; what comes after the first call does nothing."""
        with _locked(self._folder):
            if not self._file.closed:
                self._path.unlink(missing_ok=True)
                self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _number(path):
    return int(path.stem)


def _is_held(path):
    """Whether the process that made the file still lives; if not, the file is removed."""
    with contextlib.suppress(FileNotFoundError), open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        path.unlink(missing_ok=True)
    return False


@contextlib.contextmanager
def _locked(folder):
    """Nobody else looks at the queue, or changes it, meanwhile."""
    with open(folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
