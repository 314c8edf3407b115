"""The files that a command reads and writes, checked before anything is fetched or dreamt."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..data.bundled import BUILT_IN, picture
from ..errors import ImageError
from ..io.files import why_not_a_folder
from ..io.image import output_format

IMAGE_HELP = f"Files, noise:WxH, or built-in: {', '.join(BUILT_IN)}."


def check_image_exists(name: str) -> None:
    """Check that an image can be read, as far as that is seen without reading it.

    Args:
        name: as `deepdream.picture` takes it.

    Raises:
        ImageError: there is no such file, or it is not a file.
    """
    if name not in BUILT_IN and not Path(name).is_file():
        picture(name)  # raises, unless it is noise


def output_paths(names: Sequence[str], output: Path, default: str = "dream.png") -> list[Path]:
    """Where the dream of each image goes.

    Args:
        names: of the images.
        output: a file, or a folder; several images need a folder.
        default: the file's name in a folder if there is one image.

    Returns:
        A path for each name, checked.

    Raises:
        ImageError: a path cannot be written, or two are the same.
    """
    paths = _output_paths(names, output, default)
    for path in paths:
        check_writable(path, output)
    return paths


def check_writable(path: Path, given: Path, option: str = "-o") -> None:
    """Check that a file can be written.

    Args:
        path: of the file.
        given: what the person wrote, for the message.
        option: the option that it was given with.

    Raises:
        ImageError: the folder does not exist or cannot be written, or the path is a folder.
    """
    folder = path.parent
    if not folder.is_dir():
        raise ImageError(f"{option} {given}: the folder {folder} {why_not_a_folder(folder)}")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ImageError(
            f"{option} {given}: the folder {folder} cannot be written ({error.strerror}); choose another"
        ) from None
    if path.is_dir():
        raise ImageError(f"{option} {given}: {path} is a folder; choose another name")


def _output_paths(names: Sequence[str], output: Path, default: str) -> list[Path]:
    if len(names) > 1:
        if not output.is_dir():
            raise ImageError(f"-o {output}: several images need an existing folder; create it first")
        paths = [output / f"{Path(name.replace(':', '-')).stem}-dream.png" for name in names]
        if len(set(paths)) < len(paths):
            raise ImageError("two of the images have the same name, so one dream would replace the other")
        return paths
    path = output / default if output.is_dir() else output
    output_format(path)
    return [path]
