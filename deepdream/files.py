"""Files that are either whole or not there."""

import contextlib
import os
import uuid
from pathlib import Path


@contextlib.contextmanager
def atomic_path(target):
    """A temporary path in the target's folder that becomes `target` when the block ends well.

    When the block raises, the temporary file is removed and an older `target` stays as it was. Where `target` is a
    symbolic link, what it points to is replaced.

    **Arguments:** `target`: the path to write, a `str` or `Path`; its folder must exist.

    **Yields:** a `Path` with the target's suffix, not yet existing.
    """
    target = Path(os.path.realpath(target))
    # Short, because a name has at most 255 bytes and the target's may be as long as that.
    temporary = target.with_name(f".{target.stem[:20]}-{uuid.uuid4().hex[:8]}{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
