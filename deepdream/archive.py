"""One file out of an archive that somebody else made, and nothing else, whatever the archive says."""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path

_TOO_MUCH = "the archive holds more than the {:,} bytes that are taken"


def unpack(archive, name, file, most):
    """Write the one regular file of this name out of an archive, wherever in it that lies.

    **Arguments:** `archive`, `file`: open binary files; `name`; `most`: how many bytes are unpacked at all.

    **Raises:** `ValueError` for an archive that is damaged, too large, or has no or several files of this name.
    """
    archive.seek(0)
    # Some sites send a .tar.gz unpacked.
    zipped = archive.read(2) == b"\x1f\x8b"
    archive.seek(0)
    try:
        unzipped = _Bounded(gzip.GzipFile(fileobj=archive) if zipped else archive, most)
        with tarfile.open(fileobj=unzipped, mode="r:") as tar:
            members = [member for member in tar if member.isreg() and Path(member.name).name == name]
            if len(members) != 1:
                raise ValueError(f"the archive holds {len(members)} files called {name}, expected one")
            if members[0].size > most:  # a file with holes takes less of the archive
                raise ValueError(_TOO_MUCH.format(most))
            with tar.extractfile(members[0]) as packed:
                shutil.copyfileobj(packed, file)
        while unzipped.read(1 << 16):  # to the end, where the checksum of the whole is
            pass
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"the archive is damaged: {error}") from None


class _Bounded:
    """A file for `tarfile`, which cannot be made to unpack without end or to read more into memory than a header has.

    An archive of a few megabytes may say that it holds terabytes, which would be unpacked to be skipped.
    """

    _LONGEST = 1 << 20

    def __init__(self, file, most):
        self._file, self._most = file, most
        self.tell = file.tell

    def read(self, count):
        if count > self._LONGEST:
            raise ValueError(f"the archive is damaged: it has a header of {count:,} bytes")
        self._check(self.tell() + count)
        return self._file.read(count)

    def seek(self, position):
        self._check(position)
        return self._file.seek(position)

    def _check(self, position):
        if position > self._most + self._LONGEST:
            raise ValueError(_TOO_MUCH.format(self._most))
