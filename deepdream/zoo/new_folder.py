"""A model's folder that is written as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import ModelError

TEMPORARY_PREFIX = ".deepdream-"
_LEFTOVER_AGE_S = 24 * 3600  # writing a model takes less


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A new folder that becomes `target` if the block ends well, and is removed otherwise.

    Those that killed processes have left beside it a day ago or earlier are removed, too.

    Args:
        target: the path; its parent exists, and it does not exist itself or is an empty folder.

    Yields:
        The path of an empty folder.

    Raises:
        ModelError: it cannot be written, or a file that the block reads cannot be read.
    """
    target = target.resolve()
    _remove_leftovers(target.parent)
    try:
        with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=target.parent) as around:
            new = Path(around) / target.name
            new.mkdir()
            yield new
            with contextlib.suppress(FileNotFoundError):
                target.rmdir()  # Windows does not replace even an empty folder
            os.rename(new, target)
    except OSError as error:
        raise ModelError(f"{error.filename or target} cannot be written or read: {error.strerror or error}") from None


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary folders of processes that were killed a day ago or longer."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, or gone by now
            if time.time() - path.stat().st_mtime > _LEFTOVER_AGE_S:
                shutil.rmtree(path)
