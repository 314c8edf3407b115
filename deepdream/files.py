"""Files that are either whole or not there."""

import contextlib
import os
import uuid
from pathlib import Path


@contextlib.contextmanager
def atomic_path(target):
    """A temporary path in the target's folder that becomes `target` when the block ends well.

    When the block raises, the temporary file is removed and an older `target` stays as it was.

    **Arguments:** `target`: the path to write, a `str` or `Path`; its folder must exist.

    **Yields:** a `Path` with the target's suffix, not yet existing.
    """
    target = Path(target)
    temporary = target.with_name(f".{target.stem[:100]}-{uuid.uuid4().hex[:8]}{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
