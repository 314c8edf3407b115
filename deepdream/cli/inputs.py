"""The images that a command reads: files, folders, patterns that no shell has expanded, and standard input."""

from __future__ import annotations

import glob
import io
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ..data.bundled import BUILT_IN, open_picture
from ..errors import ImageError
from ..io.background import WHITE
from ..io.image import open_image
from ..io.image_sequence import image_files, natural_order
from ..io.source import ImageSource
from ..recipes.inputs import STANDARD_INPUT
from .console import say
from .files import check_image_exists

IMAGES_HELP = f"Files, folders, - (standard input), noise:WxH, or built-in: {', '.join(BUILT_IN)}."
_MAX_STDIN_BYTES = 2**31
_PATTERN = re.compile(r"[*?[]")  # Windows' shells leave patterns to the program


def expand_images(names: Sequence[str]) -> list[str]:
    """The names of single images, with the files of each folder and pattern in the order of their names.

    Args:
        names: files, folders, patterns such as photos/*.jpg, - for standard input, or names for `deepdream.picture`.

    Raises:
        ImageError: there is no such file, a folder or pattern without images, or standard input is named twice.
    """
    expanded: list[str] = []
    for name in names:
        if name == STANDARD_INPUT or name in BUILT_IN or os.path.isfile(name):
            expanded.append(name)
        elif os.path.isdir(name):
            expanded += _images_in(name)
        elif found := _matching(name):
            expanded += found
        else:
            check_image_exists(name)
            expanded.append(name)
    check_stdin(expanded)
    return expanded


def check_stdin(names: Sequence[str]) -> None:
    """Raise `ImageError` unless the standard input that these names may ask for is there, and only once."""
    if STANDARD_INPUT not in names:
        return
    if names.count(STANDARD_INPUT) > 1:
        raise ImageError("- is given twice, but standard input holds one image; give files")
    if sys.stdin is None or sys.stdin.isatty():
        raise ImageError("- reads an image from standard input; pipe one into it, as in: deepdream dream - < photo.jpg")


def open_input(name: str, max_size: int | None = None, background: tuple[float, ...] = WHITE) -> ImageSource:
    """Open an image as `open_picture` does, or the one of standard input if the name is -."""
    if name == STANDARD_INPUT:
        return open_image(read_stdin(), max_size, background)
    return open_picture(name, max_size, background)


def read_stdin() -> io.BytesIO:
    """The image file in standard input; `check_stdin` goes before.

    Raises:
        ImageError: it is empty or too long.
    """
    content = sys.stdin.buffer.read(_MAX_STDIN_BYTES + 1)
    if not content:
        raise ImageError("standard input is empty; pipe an image into it")
    if len(content) > _MAX_STDIN_BYTES:
        raise ImageError(f"standard input has more than {_MAX_STDIN_BYTES:,} bytes; give the file by its name")
    file = io.BytesIO(content)
    file.name = "standard input"  # for messages
    return file


def _matching(name: str) -> list[str]:
    """The files that a pattern stands for; none if the name is not a pattern."""
    if not _PATTERN.search(name):
        return []
    return [str(path) for path in natural_order(Path(each) for each in glob.glob(name) if os.path.isfile(each))]


def _images_in(folder: str) -> list[str]:
    """The images in a folder."""
    try:
        files, others_n = image_files(Path(folder))
    except OSError as error:
        raise ImageError(f"{folder} cannot be read: {error.strerror}") from None
    if not files:
        raise ImageError(f"{folder} holds no images; give a folder of images, or files")
    if others_n:
        say(f"{folder}: {others_n} of {len(files) + others_n} files are not images, and left out")
    return [str(path) for path in files]
