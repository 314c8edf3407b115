"""Files that are either whole or not there.

The central function is `atomic_path`: a temporary path that becomes the target when everything went well.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import stat
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import ParameterError
from ..validation import short_repr

if sys.platform != "win32":  # there is no fcntl on Windows: what a killed process leaves behind stays there
    import fcntl

_SYMLINK_LOOP = "cannot be reached, because its symbolic links go round in a loop; name another"
_TEMPORARY_NAME = re.compile(r"\.deepdream-.*-[0-9a-f]{8}(\..*)?", re.DOTALL)


@contextlib.contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path in the target's folder that becomes `target` when the block ends well.

    When the block raises, the temporary file is removed and an older `target` stays as it was. Where `target` is a
    symbolic link, the file that it points to is replaced. Files that a killed process has left in the folder are
    removed by the next process that writes there.

    Args:
        target: the path to write; its folder must exist.

    Yields:
        The path of an empty file with the target's suffix; it must be written to, not replaced.
    """
    target = Path(os.path.realpath(target))
    _remove_leftovers_once(target.parent)
    temporary, file = _create_temporary(target)
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
        file.close()


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files of killed processes from a folder; those of running processes stay.

    A lock tells them apart: the process that creates a file holds it, and the system releases it with the process.

    Args:
        folder: the folder, which need not exist.
    """
    if sys.platform == "win32":
        return
    paths: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        paths = [
            entry.path
            for entry in entries
            if _TEMPORARY_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
        ]
    for path in paths:
        with contextlib.suppress(OSError), open(path, "r+b") as file:  # another user's, or gone by now
            if _locked(file):
                os.unlink(path)


def check_path(name: str, path: Any, what: str = "a path") -> None:
    """Raise `ParameterError` unless `path` is a `str` or a path object; `name` is the argument's."""
    if not isinstance(path, (str, os.PathLike)):
        raise ParameterError(f"{name}={short_repr(path)}: it must be {what}, a str or a pathlib.Path")


def check_regular_file(path: str | bytes | os.PathLike[str], max_bytes: float, error: type[Exception]) -> None:
    """Raise `error` unless `path` is a regular file of at most `max_bytes` (reading a FIFO would block).

    A path that does not exist, or is a folder, passes: opening it tells.

    Args:
        path: the path of the file.
        max_bytes: the largest size; `math.inf` for any.
        error: the exception's class.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):  # a number would be taken for an open file, and closed
        raise error(f"{short_repr(path)} is not the path of a file")
    name = os.fsdecode(path)
    with contextlib.suppress(OSError, ValueError):
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise error(f"{name} is not a file but a device, a pipe or the like; name a regular file")
        if status.st_size > max_bytes:
            raise error(
                f"{name} has {status.st_size:,} bytes and at most {max_bytes:,} are read; is it the right file?"
            )
    if _is_loop(path):
        raise error(f"{name} {_SYMLINK_LOOP}")


def why_not_a_folder(path: str | os.PathLike[str]) -> str:
    """Why there is no folder to write into at a path: words to put after it."""
    if _is_loop(path):
        return _SYMLINK_LOOP
    return "is a file; name a folder" if os.path.exists(path) else "does not exist; create it first"


def _is_loop(path: str | bytes | os.PathLike[str]) -> bool:
    """Whether the symbolic links at a path go round in a loop."""
    try:
        os.stat(path)
    except OSError as error:
        return error.errno == errno.ELOOP
    except ValueError:  # a null byte
        pass
    return False


# Once for each folder: a folder of many frames is not listed for each of them.
_remove_leftovers_once = functools.lru_cache(maxsize=64)(remove_leftovers)


def _create_temporary(target: Path) -> tuple[Path, BinaryIO]:
    """(path, open file): a new temporary file for a target, locked as long as it is open."""
    while True:
        # Short, because a name has at most 255 bytes and the target's may be as long as that.
        path = target.with_name(f".deepdream-{target.stem[:20]}-{uuid.uuid4().hex[:8]}{target.suffix}")
        file = open(path, "xb")  # noqa: SIM115 - the caller closes it
        if sys.platform == "win32":
            file.close()  # Windows does not rename an open file
            return path, file
        # Before it was locked, another process may have taken it for one that was left behind.
        if _locked(file) is not False and path.exists():
            return path, file
        file.close()


def _locked(file: BinaryIO) -> bool | None:
    """Lock an open file; `False` where another process holds the lock, `None` where the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
