"""Lists the arrays of an HDF5 file, with their types, shapes and places. A script, run in a process of its own.

HDF5's library crashes on some damaged files, and never comes back from others; so it is used here, within limits, and
not where somebody's work would be lost. The script imports nothing of deepdream.

It writes a table in JSON: {"backend": what Keras computed with, "arrays": [[name, type, shape, place]]}, or
{"refused": [name, reason]}.
"""

import contextlib
import json
import os
import sys
from typing import Any

MAX_CPU_S, MAX_MEMORY_BYTES = 10, 2**31  # of which VGG's files need a fraction of a second, and 0.2 GiB
# The largest of VGG's and SqueezeNet's files, a saved VGG-19, has 130 groups and arrays, 5 deep.
MAX_OBJECTS, MAX_DEPTH, MAX_PATH_CHARS = 5000, 8, 1000
TRAINING = ("optimizer", "optimizer_weights", "seed_generator")  # groups that only training uses
_MAX_BACKEND_BYTES = 32


class Refused(Exception):
    """The name of a group or an array, and the reason why it is refused."""


def list_arrays(path: str) -> dict[str, Any]:
    """What this script writes.

    Args:
        path: the file.

    Returns:
        A table for JSON.

    Raises:
        Exception: whatever h5py raises for a damaged file.
    """
    import h5py  # here, because its limits are set by then

    arrays: list[tuple[str, str, tuple[int, ...], int]] = []
    with h5py.File(path, "r") as file:
        try:
            if file.userblock_size:
                raise Refused("", "it begins with a user block, which Keras does not write")
            pending: list[tuple[str, Any]] = [("", file)]
            count = 0
            while pending:
                prefix, group = pending.pop()
                for name in group:
                    count += 1
                    found = _member(group, name, f"{prefix}{name}", count)
                    if isinstance(found, h5py.Dataset):
                        arrays.append((f"{prefix}{name}", *_describe(found, f"{prefix}{name}")))
                    elif isinstance(found, h5py.Group) and name not in TRAINING:
                        pending.append((f"{prefix}{name}/", found))
            return {"backend": _backend(file), "arrays": arrays}
        except Refused as reason:
            return {"refused": reason.args}


def _member(group: Any, name: str, path: str, count: int) -> Any:
    """A group or an array in a group, unless it is not there itself or one too many."""
    import h5py

    if count > MAX_OBJECTS or path.count("/") >= MAX_DEPTH or len(path) > MAX_PATH_CHARS:
        raise Refused(path, f"is one of more than {MAX_OBJECTS:,} groups and arrays, or more than {MAX_DEPTH} deep")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise Refused(path, "is a link to somewhere else; weights must be in the file itself")
    return group[name]


def _describe(dataset: Any, path: str) -> tuple[str, tuple[int, ...], int]:
    """Type, shape and place in the file of an array that is stored as it is."""
    from h5py import h5d, h5t

    kind, properties = dataset.id.get_type(), dataset.id.get_create_plist()
    known = ((h5t.IEEE_F32LE, "float32"), (h5t.IEEE_F64LE, "float64"), (h5t.IEEE_F16LE, "float16"))
    dtype = next((name for each, name in known if each.equal(kind)), None)
    if dtype is None:
        raise Refused(path, "must hold numbers of float32, float64 or float16")
    if properties.get_layout() != h5d.CONTIGUOUS or properties.get_external_count() or properties.get_nfilters():
        raise Refused(path, "is compressed, in pieces, virtual or in another file; Keras writes arrays as they are")
    place = dataset.id.get_offset()
    if dataset.shape is None or place is None:
        raise Refused(path, f"has the shape {str(dataset.shape)[:100]} and no numbers")
    return dtype, dataset.shape, place


def _backend(file: Any) -> str:
    """What Keras computed with when it wrote a file; empty if that is not said."""
    import h5py

    if not h5py.h5a.exists(file.id, b"backend"):
        return ""
    attribute = h5py.h5a.open(file.id, b"backend")
    # Its shape and size are read before its text, which may be of any length.
    if attribute.shape != () or attribute.get_storage_size() > _MAX_BACKEND_BYTES:
        return ""
    text = file.attrs["backend"]
    return text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)[:_MAX_BACKEND_BYTES]


def _set_limits() -> None:
    """Limit the time and the memory of this process, where the system can."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))


if __name__ == "__main__":
    del sys.path[0]  # this folder, whose modules are not libraries
    # Each thread would take address space; and not every file system has locks.
    os.environ.update(OPENBLAS_NUM_THREADS="1", HDF5_USE_FILE_LOCKING="FALSE")
    _set_limits()
    json.dump(list_arrays(sys.argv[1]), sys.stdout)
