"""Files of `torch.save`, read without PyTorch: a zip archive since 1.6, and before that a row of pickles."""

from __future__ import annotations

import functools
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import WeightsError
from ...validation import short_repr
from .pickles import MAX_PICKLE_BYTES, StorageType, load_pickle
from .tensors import Storage, Tensor, check_total, item_size, read_range

ZIP_START = b"PK\x03\x04"
PICKLE_START = b"\x80"
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001  # the first two pickles of the older format
_STATE_DICT = "state_dict"  # where training scripts keep it in a larger dictionary


def read_zip(path: Path) -> dict[str, Tensor]:
    """The state dict in a file of `torch.save` since PyTorch 1.6.

    Args:
        path: the file.

    Returns:
        {name: tensor}; no numbers have been read yet.

    Raises:
        WeightsError: the archive is damaged, its entries are not what PyTorch writes, or its pickle is refused.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            if len(entries) != len(archive.infolist()):
                raise WeightsError("two entries of its archive have one name")
            _check_entries(entries.values(), path.stat().st_size)
            root = _root(entries)
            if f"{root}byteorder" in entries and archive.read(f"{root}byteorder") != b"little":
                raise WeightsError("it was written on a big-endian machine; save it again on a common one")
            if entries[f"{root}data.pkl"].file_size > MAX_PICKLE_BYTES:
                raise WeightsError(f"its pickle has more than {MAX_PICKLE_BYTES:,} bytes")
            content = archive.read(f"{root}data.pkl")
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error) as error:
        raise WeightsError(f"its archive is damaged ({short_repr(str(error))})") from None

    def storage(identity: Any) -> Storage:
        dtype, key, count, _ = _storage_parts(identity)
        name = f"{root}data/{key}"
        found = Storage(dtype, count, functools.partial(_read_entry, path, name))
        if name not in entries or entries[name].file_size != found.nbytes:
            held = entries[name].file_size if name in entries else 0
            raise WeightsError(f"its storage {short_repr(key)} has {held:,} bytes, and {found.nbytes:,} are claimed")
        return found

    return _state_dict(load_pickle(io.BytesIO(content), storage), path.stat().st_size)


def read_pickles(path: Path) -> dict[str, Tensor]:
    """The state dict in a file of `torch.save` before PyTorch 1.6.

    Four pickles (a number that marks the format, its version, facts about the machine, the dictionary) are followed by
    one that lists the storages, and these follow, each with its number of values before it.

    Args:
        path: the file.

    Returns:
        {name: tensor}; no numbers have been read yet.

    Raises:
        WeightsError: the file is damaged, or one of its pickles is refused.
    """
    with open(path, "rb") as file:
        head = io.BytesIO(file.read(MAX_PICKLE_BYTES))
    declared: dict[str, Storage] = {}
    places: dict[str, int] = {}  # where the bytes of a storage begin; known only after the pickles

    def storage(identity: Any) -> Storage:
        dtype, key, count, view = _storage_parts(identity)
        if view is not None:
            raise WeightsError(f"its storage {short_repr(key)} is a view of another; save the state dict again")
        nbytes = count * item_size(dtype)
        declared.setdefault(key, Storage(dtype, count, lambda: read_range(path, places[key], nbytes)))
        if (declared[key].dtype, declared[key].count) != (dtype, count):
            raise WeightsError(f"its storage {short_repr(key)} is declared twice, with different sizes or types")
        return declared[key]

    load: Callable[[], Any] = functools.partial(load_pickle, head, storage)
    if load() != _MAGIC or load() != _VERSION:
        raise WeightsError("it is a pickle, but not one that torch.save wrote")
    facts, content, keys = load(), load(), load()
    if type(facts) is not dict or facts.get("little_endian") is not True:
        raise WeightsError("it was written on a big-endian machine; save it again on a common one")
    _find_places(path, head.tell(), keys, declared, places)
    return _state_dict(content, path.stat().st_size)


def _check_entries(entries: Any, file_bytes: int) -> None:
    """Raise `WeightsError` unless the entries of an archive are stored as they are and fit into the file."""
    for entry in entries:
        name = short_repr(entry.filename)
        if entry.filename.startswith("/") or ".." in entry.filename.split("/") or "\\" in entry.filename:
            raise WeightsError(f"its archive has the entry {name}, a path out of it; PyTorch writes no such entry")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise WeightsError(f"its archive has the compressed entry {name}; PyTorch stores entries as they are")
    total = sum(entry.file_size for entry in entries)
    if total > file_bytes:
        raise WeightsError(f"its archive claims {total:,} bytes, and the file has {file_bytes:,}")


def _root(entries: dict[str, zipfile.ZipInfo]) -> str:
    """The folder of an archive's entries, with its slash."""
    roots = [name[: -len("data.pkl")] for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise WeightsError(f"it is a zip archive with {len(roots)} files data.pkl; torch.save writes one")
    return roots[0]


def _read_entry(path: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    except (zipfile.BadZipFile, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError) as error:
        raise WeightsError(f"its archive is damaged ({short_repr(str(error))})") from None


def _storage_parts(identity: Any) -> tuple[str, str, int, Any]:
    """(type of number, key, count, view) of a persistent id, which may be any value."""
    if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage":
        raise WeightsError("its pickle refers to something outside it that is not a storage")
    kind, key, count = identity[1], identity[2], identity[4]
    if type(kind) is not StorageType or type(key) is not str or type(count) is not int or count < 0:
        raise WeightsError("its pickle refers to a storage without a type, a name or a size")
    return kind.dtype, key, count, identity[5] if len(identity) == 6 else None


def _find_places(path: Path, start: int, keys: Any, declared: dict[str, Storage], places: dict[str, int]) -> None:
    """Find where the storages of the older format begin, and compare their sizes with the file's."""
    if type(keys) is not list or any(type(key) is not str for key in keys) or set(keys) != set(declared):
        raise WeightsError("its list of storages is not that of its tensors")
    size = path.stat().st_size
    with open(path, "rb") as file:
        for key in keys:
            file.seek(start)
            count = int.from_bytes(file.read(8), "little", signed=True)
            if count != declared[key].count or start + 8 + declared[key].nbytes > size or key in places:
                raise WeightsError(
                    f"its storage {short_repr(key)} has {count:,} numbers, of {declared[key].count:,} that are "
                    f"claimed, and the file ends at byte {size:,}"
                )
            places[key] = start + 8
            start += 8 + declared[key].nbytes


def _state_dict(content: Any, file_bytes: int) -> dict[str, Tensor]:
    """The tensors of a dictionary, or of the `state_dict` inside it."""
    if type(content) is dict and type(content.get(_STATE_DICT)) is dict:
        content = content[_STATE_DICT]
    if type(content) is not dict:
        raise WeightsError("it holds no state dict, a dictionary of tensors; save module.state_dict()")
    tensors = {name: value for name, value in content.items() if type(name) is str and type(value) is Tensor}
    check_total(tensors.values(), file_bytes)
    return tensors
