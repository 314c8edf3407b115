"""Reads one file from an untrusted archive, and nothing else."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import IO, BinaryIO, cast

_MAX_HEADER_BYTES = 1 << 20
_TOO_LARGE = "the archive holds more than the {:,} bytes allowed"


def unpack(archive: BinaryIO, name: str, file: BinaryIO, max_bytes: int) -> None:
    """Extract the one regular file of this name from an archive, from any folder in it.

    Args:
        archive: an open .tar.gz or .tar.
        name: the file's name, without folders.
        file: where to write, open.
        max_bytes: the number of bytes of the whole archive that may be unpacked.

    Raises:
        ValueError: the archive is damaged, too large, or has no or several files of this name.
    """
    archive.seek(0)
    # Some sites send a .tar.gz unpacked.
    is_zipped = archive.read(2) == b"\x1f\x8b"
    archive.seek(0)
    try:
        unzipped = _BoundedFile(gzip.GzipFile(fileobj=archive) if is_zipped else archive, max_bytes)
        with tarfile.open(fileobj=cast(BinaryIO, unzipped), mode="r:") as tar:
            members = [member for member in tar if member.isreg() and Path(member.name).name == name]
            if len(members) != 1:
                raise ValueError(f"the archive holds {len(members)} files called {name}, expected one")
            if members[0].size > max_bytes:  # a sparse file needs less of the archive
                raise ValueError(_TOO_LARGE.format(max_bytes))
            with cast("IO[bytes]", tar.extractfile(members[0])) as packed:
                shutil.copyfileobj(packed, file)
        while unzipped.read(1 << 16):  # to the end, where the checksum of the archive is
            pass
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"the archive is damaged: {error}") from None


class _BoundedFile:
    """A file for `tarfile`, which itself limits neither how much it unpacks nor how large a header it reads.

    An archive of a few megabytes may claim to hold terabytes, which would be unpacked in order to be skipped.
    """

    def __init__(self, file: gzip.GzipFile | BinaryIO, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self.tell = file.tell

    def read(self, count: int) -> bytes:
        if count > _MAX_HEADER_BYTES:
            raise ValueError(f"the archive is damaged: it has a header of {count:,} bytes")
        self._check(self.tell() + count)
        return self._file.read(count)

    def seek(self, position: int) -> int:
        self._check(position)
        return self._file.seek(position)

    def _check(self, position: int) -> None:
        if position > self._max_bytes + _MAX_HEADER_BYTES:
            raise ValueError(_TOO_LARGE.format(self._max_bytes))
