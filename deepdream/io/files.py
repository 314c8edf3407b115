"""Writes files atomically: a file is either complete or does not exist.

The central function is `atomic_path`: a temporary path that becomes the target if everything went well.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import shutil
import stat
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import ParameterError
from ..validation import short_repr

if sys.platform != "win32":  # Windows has no fcntl: there, the files of a killed process are not removed
    import fcntl

_SYMLINK_LOOP = "cannot be reached, because its symbolic links go round in a loop; name another"
# What a write to an open file reports: a full disk, a quota, a limit, a fault. It does not know the file's name.
_WRITE_ERRORS = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG, errno.EIO}
_TEMPORARY_NAME = re.compile(r"\.deepdream-.*-[0-9a-f]{8}(\..*)?", re.DOTALL)


@contextlib.contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path in the target's folder that becomes `target` if the block ends well.

    If the block raises, the temporary file is removed and an older `target` stays as it was. If `target` is a symbolic
    link, the file that it points to is replaced. The new file has the permissions of the file that it replaces, and
    also its group and owner if this process may set them; other names of that file (hard links) keep the old content.
    Files that a killed process has left in the folder are removed by the next process that writes there.

    Args:
        target: the path to write; its folder must exist.

    Yields:
        The path of an empty file with the target's suffix; it must be written to, not replaced.

    Raises:
        OSError: the file cannot be written; `strerror` says why, and `filename` is the target's name.
    """
    target = Path(os.path.realpath(target))
    reason = why_not_replaceable(target)
    if reason:
        raise OSError(errno.EACCES, f"it {reason}", str(target))
    _remove_leftovers_once(target.parent)
    try:
        temporary, file = _create_temporary(target)
    except OSError as error:
        error.filename = str(target)
        raise
    try:
        _copy_permissions(target, temporary)
        try:
            yield temporary
        except OSError as error:
            if error.errno in _WRITE_ERRORS:
                error.filename = str(target)
            raise
        _move(temporary, target)
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

    A path that does not exist, or is a folder, passes: the error comes when it is opened.

    Args:
        path: the path of the file.
        max_bytes: the largest size; `math.inf` for any.
        error: the exception's class.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):  # a number would be used as an open file, and closed
        raise error(f"{short_repr(path)} is not the path of a file")
    name = os.fsdecode(path)
    with contextlib.suppress(OSError, ValueError):
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise error(f"{name} is not a file but a device, a pipe or the like; name a regular file")
        if status.st_size > max_bytes:
            raise error(f"{name} has {status.st_size:,} bytes, and the limit is {max_bytes:,}; is it the right file?")
    if _is_loop(path):
        raise error(f"{name} {_SYMLINK_LOOP}")


def why_not_a_folder(path: str | os.PathLike[str]) -> str:
    """Why a path is not a folder to write into: the words that follow the path in a message."""
    if _is_loop(path):
        return _SYMLINK_LOOP
    return "is a file; name a folder" if os.path.exists(path) else "does not exist; create it first"


def why_not_replaceable(path: str | os.PathLike[str]) -> str:
    """Why a file could not be replaced: the words that follow its path in a message; empty if it could."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # it does not exist; otherwise opening it reports the error
        return ""
    if stat.S_ISDIR(mode):
        return "is a folder; choose another name"
    if not stat.S_ISREG(mode):
        return "is a device, a pipe or the like; choose another name"
    if not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        return "is read-only; change its permissions, or choose another name"
    return ""


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
        # Before it was locked, another process may have removed it as a leftover.
        if _locked(file) is not False and path.exists():
            return path, file
        file.close()


def _copy_permissions(old: Path, new: Path) -> None:
    """Give a new, empty file the permissions, the owner and the group of an older one, as far as allowed."""
    try:
        status = os.stat(old)
    except OSError:  # it does not exist
        return
    mode = status.st_mode & 0o777  # without the bits that let a program run as another user
    with contextlib.suppress(OSError):  # its extended attributes, access lists among them; its times change as we write
        shutil.copystat(old, new)
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            os.chown(new, status.st_uid, -1)
        try:
            os.chown(new, -1, status.st_gid)
        except OSError:  # another group may only do what everyone could do
            mode = (mode & 0o707) | (mode & 0o007) << 3
    with contextlib.suppress(OSError):  # a file system without permissions
        os.chmod(new, mode)


def _move(temporary: Path, target: Path) -> None:
    """Move a finished file to its place; copy it if the file system cannot move it there."""
    try:
        os.replace(temporary, target)
    except OSError as error:
        if os.path.lexists(target):  # a copy that fails midway would lose it
            raise OSError(error.errno, f"the older file cannot be replaced: {error.strerror}", str(target)) from None
        with open(temporary, "rb") as content, open(target, "xb") as file:
            try:
                shutil.copyfileobj(content, file)
            except BaseException:
                target.unlink(missing_ok=True)
                raise


def _locked(file: BinaryIO) -> bool | None:
    """Lock an open file; `False` if another process holds the lock, `None` if the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
