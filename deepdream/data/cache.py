"""The folders in which files are searched for and kept, and the checksums that verify them.

A checksum is "sha256:…" or "sha1:…"; "sha256-start:…" where only the first digits were published, at least 16 of them;
or `None` where nothing was.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import re
import tempfile
from pathlib import Path

import pooch

from ..errors import DreamError, WeightsError

log = logging.getLogger(__name__)

# The first digits of a SHA-256. Fewer than 16 (64 bits) could be found by chance, and none at all would fit any file.
CHECKSUM_START = "[0-9a-f]{16,64}"


def cache_folder() -> Path:
    """The folder of fetched files: `deepdream` in the system's cache folder (Linux: XDG_CACHE_HOME or ~/.cache).

    Returns:
        Its path; it need not exist.

    Raises:
        WeightsError: there is no home folder, as for a user that the system does not know.
        DreamError: XDG_CACHE_HOME is not an absolute path.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    if named.strip() and not os.path.isabs(named):
        raise DreamError(f"XDG_CACHE_HOME is {named!r}, which is not an absolute path; begin it with /, or unset it")
    try:
        return Path(pooch.os_cache("deepdream"))
    except RuntimeError:
        raise WeightsError("there is no home folder for the cache; set XDG_CACHE_HOME to a writable folder") from None


def make_folder(folder: Path) -> None:
    """Create a folder of the cache, unless it is there.

    Args:
        folder: its path.

    Raises:
        WeightsError: it cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise WeightsError(
            f"the cache {folder} cannot be written ({error.strerror}); set XDG_CACHE_HOME to a writable folder"
        ) from None


def is_intact(path: Path, checksum: str | None) -> bool:
    """Whether a file of the cache is still the one that was fetched.

    Args:
        path: the file.
        checksum: as published; with `None` any file passes.

    Returns:
        Whether it has the checksum; if not, this is logged once.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        if checksum is None or has_checksum(path, checksum):
            return True
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from None
    log_once(f"{path} is damaged (wrong {checksum_algorithm(checksum)}) and has to be fetched again")
    return False


def has_checksum(path: Path, checksum: str) -> bool:
    """Whether a file has this checksum; one that is too short fits no file."""
    kind, digits = checksum.split(":")
    digest = _file_digest(path, checksum_algorithm(checksum))
    if kind.endswith("-start"):
        return re.fullmatch(CHECKSUM_START, digits) is not None and digest.startswith(digits)
    return digest == digits


def checksum_algorithm(checksum: str) -> str:
    """The name of a checksum's algorithm: "sha256" or "sha1"."""
    return re.split("[:-]", checksum)[0]


def file_sha256(path: str | os.PathLike[str]) -> str:
    """The sha256 of a file, hexadecimal; computed again only when the file has changed."""
    return _file_digest(path, "sha256")


def _file_digest(path: str | os.PathLike[str], algorithm: str) -> str:
    status = os.stat(path)
    return _cached_digest(algorithm, str(path), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _cached_digest(algorithm: str, path: str, size: int, modified_ns: int) -> str:
    """The digest of a file, remembered for its size and time."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@functools.lru_cache(maxsize=64)
def log_once(text: str) -> None:
    """Write a line to the log, the first time in this process."""
    log.info("%s", text)


def package_data_folder(name: str) -> Path:
    """A folder of the package's data: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_data" / name
    return inside if inside.is_dir() else package.parent / name


def user_folders() -> list[Path]:
    """The folders of DEEPDREAM_DATA, in order.

    Returns:
        Their paths; they need not exist.

    Raises:
        DreamError: one of them is not an absolute path.
    """
    folders = [Path(part) for part in os.environ.get("DEEPDREAM_DATA", "").split(os.pathsep) if part]
    for folder in folders:
        if not folder.is_absolute():
            raise DreamError(f"DEEPDREAM_DATA names {str(folder)!r}, which is not an absolute path; begin it with /")
    return folders
