"""Files that are either whole or not there."""

import contextlib
import errno
import functools
import os
import re
import stat
import uuid
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows: there what a killed process leaves behind stays
    fcntl = None

_LOOP = "cannot be reached, because its symbolic links go round in a loop; name another"
_TEMPORARY = re.compile(r"\.deepdream-.*-[0-9a-f]{8}(\..*)?", re.DOTALL)


@contextlib.contextmanager
def atomic_path(target):
    """A temporary path in the target's folder that becomes `target` when the block ends well.

    When the block raises, the temporary file is removed and an older `target` stays as it was. Where `target` is a
    symbolic link, what it points to is replaced. What a killed process has left in the folder is removed by the next
    process that writes there.

    **Arguments:** `target`: the path to write, a `str` or `Path`; its folder must exist.

    **Yields:** the `Path` of an empty file with the target's suffix; it must be written to, not replaced.
    """
    target = Path(os.path.realpath(target))
    _sweep_once(target.parent)
    temporary, file = _create(target)
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
        file.close()


def sweep(folder):
    """Remove the temporary files of killed processes from a folder; those of processes at work there stay.

    Which are which, a lock says: whoever makes one holds it, and the system ends it with the process.
    """
    if fcntl is None:
        return
    left = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        left = [entry.path for entry in entries
                if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)]
    for path in left:
        with contextlib.suppress(OSError), open(path, "r+b") as file:  # another user's, or gone by now
            if _locked(file):
                os.unlink(path)


def check_regular(path, largest, error):
    """Refuse what is no regular file, which might be read for ever, and what is larger than anything of its kind.

    What is not there, or a folder, is left to whoever opens it.

    **Arguments:** `path`; `largest`: in bytes; `error`: the exception's class.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):  # a number would be taken for an open file, and closed
        raise error(f"{path!r} is no path of a file")
    with contextlib.suppress(OSError, ValueError):
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode) and not stat.S_ISDIR(facts.st_mode):
            raise error(f"{os.fspath(path)} is no file but a device, a pipe or the like; name a regular file")
        if facts.st_size > largest:
            raise error(f"{os.fspath(path)} has {facts.st_size:,} bytes and at most {largest:,} are read; is it the "
                        "right file?")
    if _is_loop(path):
        raise error(f"{os.fspath(path)} {_LOOP}")


def not_a_folder(path):
    """Why there is no folder to write into at a path: words to put behind it."""
    if _is_loop(path):
        return _LOOP
    return "is a file; name a folder" if os.path.exists(path) else "does not exist; create it first"


def _is_loop(path):
    try:
        os.stat(path)
    except OSError as error:
        return error.errno == errno.ELOOP
    except ValueError:  # a null byte
        pass
    return False


_sweep_once = functools.lru_cache(maxsize=64)(sweep)  # a folder of many frames is not listed for each of them


def _create(target):
    """(path, open file): a new temporary file of a target, locked as long as it is open."""
    while True:
        # Short, because a name has at most 255 bytes and the target's may be as long as that.
        path = target.with_name(f".deepdream-{target.stem[:20]}-{uuid.uuid4().hex[:8]}{target.suffix}")
        file = open(path, "xb")  # noqa: SIM115 - closed by whoever gets it
        if fcntl is None:
            file.close()  # Windows renames no open file
            return path, file
        # Before it was locked, another process may have taken it for one that was left behind.
        if _locked(file) is not False and path.exists():
            return path, file
        file.close()


def _locked(file):
    """Lock an open file. `False`: another has it. `None`: its file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
