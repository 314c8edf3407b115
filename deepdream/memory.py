"""How much memory this process may still use, in bytes.

Linux kills a process that uses too much memory instead of failing its request, so large work is compared with the free
memory before it begins.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import resource


def free_bytes() -> int | None:
    """How much memory this process may still use.

    This is the memory that the system has available, within the limits of the process's control groups and its own
    limits (`ulimit -v`, `ulimit -d`).

    Returns:
        Bytes; `None` if the system does not report it.
    """
    limits = (_available_bytes(), *_cgroup_headroom(), *_rlimit_headroom())
    return min((limit for limit in limits if limit is not None), default=None)


def describe_shortage(needed: int) -> str | None:
    """Compare the memory that is needed with the memory that is free.

    Args:
        needed: in bytes.

    Returns:
        `None` if it fits or the system does not report it; else both numbers as text, as in 'about 2.1 GiB of memory,
        and 0.4 GiB are free'.
    """
    free = free_bytes()
    if free is None or needed <= free:
        return None
    return f"about {format_gib(needed)} of memory, and {format_gib(free)} are free"


def format_gib(count: int) -> str:
    """A number of bytes for a person, as in '1.2 GiB'."""
    return f"{count / 2**30:.1f} GiB"


def _available_bytes() -> int | None:
    """The memory that the system has available."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _cgroup_headroom() -> Iterator[int]:
    """The memory that the limits of this process's control groups (version 2, then 1) leave."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0":
                root, limit, used, cache = "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
            elif "memory" in controllers.split(","):
                root, limit, used, cache = (
                    "/sys/fs/cgroup/memory",
                    "memory.limit_in_bytes",
                    "memory.usage_in_bytes",
                    "total_inactive_file",
                )
            else:
                continue
            group = Path(root + os.path.normpath("/" + path))
            # A limit may stand at any group above; in a container the path shown may not exist, and the root is ours.
            for folder in dict.fromkeys((group, *group.parents, Path(root))):
                if not folder.as_posix().startswith(root):
                    continue
                with contextlib.suppress(OSError, ValueError):
                    limit_bytes = int((folder / limit).read_text(encoding="ascii"))
                    used_bytes = int((folder / used).read_text(encoding="ascii"))
                    # The page cache counts as used, but the system drops it when memory is needed.
                    yield max(0, limit_bytes - used_bytes + _statistic(folder / "memory.stat", cache))


def _statistic(path: Path, name: str) -> int:
    """A number from a control group's statistics; 0 if they do not have it."""
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name} "):
                return int(line.split()[1])
    return 0


def _rlimit_headroom() -> Iterator[int]:
    """The memory that the limits of this process itself leave."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()
        sizes = [int(count) * resource.getpagesize() for count in pages]
        for limit, used_bytes in ((resource.RLIMIT_AS, sizes[0]), (resource.RLIMIT_DATA, sizes[5])):
            limit_bytes = resource.getrlimit(limit)[0]
            if limit_bytes != resource.RLIM_INFINITY:
                yield max(0, limit_bytes - used_bytes)
