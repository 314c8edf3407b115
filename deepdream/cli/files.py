"""The files that a command reads and writes, checked before anything is fetched or dreamt."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..data.bundled import BUILT_IN, noise_size, picture
from ..errors import DreamError, ImageError
from ..io.files import why_not_a_folder, why_not_replaceable
from ..recipes.inputs import STANDARD_INPUT

_LEAST_BYTES = 4096  # a block of a disk; a full disk has none left


@contextlib.contextmanager
def naming(option: str) -> Iterator[None]:
    """Begin the messages of the errors in here with an option; "": an argument, which has no name."""
    try:
        yield
    except DreamError as error:
        raise type(error)(f"{option} {error}".lstrip()) from None


def check_image_exists(name: str, option: str = "") -> None:
    """Check that an image can be read, as far as this is possible without reading it.

    Args:
        name: a file or a name that `deepdream.picture` accepts.
        option: the option that it was given with, which cannot be standard input; "": it is an argument.

    Raises:
        ImageError: there is no such file, or it is not a file.
    """
    with naming(option):
        if not name.strip():
            raise ImageError(
                f"{name!r} is not the name of an image; give a file, or a built-in one: {', '.join(BUILT_IN)}"
            )
        if option and name == STANDARD_INPUT:
            raise ImageError("-: standard input can only be the image that is dreamt on; give a file")
        if name.startswith("noise:"):
            noise_size(name)
        elif name not in BUILT_IN and not os.path.isfile(name):
            picture(name)  # raises, unless it can be fetched


def check_writable(path: Path, given: Path, option: str = "-o") -> None:
    """Check that a file can be written, or the file that it points to if it is a symbolic link.

    Args:
        path: the path of the file.
        given: the path as the user wrote it, for the message.
        option: the option that it was given with.

    Raises:
        ImageError: the folder does not exist, is full or cannot be written, or the path is not a valid file name, not a
            regular file or a read-only file.
    """
    folder = Path(os.path.realpath(path)).parent if path.parent.is_dir() else path.parent
    if not folder.is_dir():
        link = "" if folder == path.parent else "the link leads into another folder: "
        raise ImageError(f"{option} {given}: {link}the folder {folder} {why_not_a_folder(folder)}")
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_LEAST_BYTES))
            file.flush()
    except OSError as error:
        raise ImageError(
            f"{option} {given}: the folder {folder} cannot be written ({error.strerror}); choose another"
        ) from None
    try:
        os.stat(path)
    except FileNotFoundError:
        return
    except OSError as error:  # the name is too long, or links go round in a loop
        raise ImageError(f"{option} {given}: cannot be written ({error.strerror}); choose another name") from None
    reason = why_not_replaceable(path)
    if reason:
        raise ImageError(f"{option} {given}: {path} {reason}")


def check_not_read(path: Path, sources: Iterable[str], option: str = "-o") -> None:
    """Check that a file to write is not one of the files that are read.

    Args:
        path: the path of the file to write.
        sources: the names of the images or videos that are read.
        option: the option that the path was given with.

    Raises:
        ImageError: it is one of them, even under another name.
    """
    if not os.path.exists(path):
        return
    for source in sources:
        with contextlib.suppress(OSError, ValueError):  # one of them does not exist, or is not a file
            if os.path.samefile(path, source):
                raise ImageError(f"{option} {path} is the input file {source}; write to another file")
