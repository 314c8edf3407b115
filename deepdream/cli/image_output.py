"""Where and how a command writes an image: a file, a file in a folder, or standard output."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from .._types import Image
from ..errors import ImageError, ParameterError
from ..io.carried_metadata import Metadata
from ..io.files import why_not_a_folder
from ..io.image import NO_METADATA, OutputFormat, encode_image, output_format, write_image
from ..recipes.inputs import STANDARD_INPUT
from ..recipes.recipe import Recipe
from ..validation import truncate
from .console import say
from .files import check_writable
from .parsing import check_range

STANDARD_OUTPUT = "-"
_FORMATS = ("png", "jpg", "tif", "webp")
OUTPUT_HELP = "Image to write (png, jpg, tif, webp); - is standard output."
FORMAT = typer.Option(
    None,
    "--format",
    metavar="|".join(_FORMATS),
    show_default=False,
    help="Format of what is written into a folder or to standard output. [default: png]",
)
QUALITY = typer.Option(
    None, "--quality", metavar="1..100", show_default=False, help="Quality of a JPEG or WebP. [default: 95]"
)
NO_METADATA_OPTION = typer.Option(
    False,
    "--no-metadata",
    help="Write the pixels alone, without the recipe and without what the camera wrote (date, copyright, …).",
)
KEEP_LOCATION = typer.Option(
    False, "--keep-location", help="Keep where the picture was taken; other metadata is kept anyway."
)


class ImageTarget(NamedTuple):
    """Where an image is written.

    Attributes:
        path: the path of the file; `None`: standard output.
        format: its format.
        makes_folder: whether the file's folder is made if it does not exist.
    """

    path: Path | None
    format: OutputFormat
    makes_folder: bool = False

    @property
    def name(self) -> str:
        """A name for messages."""
        return "standard output" if self.path is None else str(self.path)

    def print_path(self) -> None:
        """Print the path of the file, once it is written."""
        if self.path is not None:
            print(self.path.resolve(), flush=True)


@dataclass(frozen=True)
class WriteOptions:
    """How images are written.

    Attributes:
        quality: of JPEG and WebP; `None`: the default.
        no_metadata: whether to leave out all metadata, and the recipe.
        keep_location: whether to keep where a picture was taken.

    Raises:
        ParameterError: an option out of its range, or options that exclude each other.
    """

    quality: int | None = None
    no_metadata: bool = False
    keep_location: bool = False

    def __post_init__(self) -> None:
        check_range("--quality", self.quality, 1, 100)
        if self.no_metadata and self.keep_location:
            raise ParameterError("--no-metadata and --keep-location: one drops what the other keeps; choose one")

    def check_format(self, written: OutputFormat) -> None:
        """Raise `ParameterError` if a quality was asked for and the format has none."""
        if self.quality is not None and "quality" not in written.options:
            raise ParameterError(f"--quality {self.quality}: {written.name} is lossless; write a JPEG or WebP")

    def kept(self, name: str, metadata: Metadata | None, named: set[str]) -> Metadata | None:
        """The part of an image's metadata that is written; what is dropped is said.

        Args:
            name: the name of the image.
            metadata: all of it; `None`: it has none.
            named: what was said to be dropped; more is added.
        """
        if self.no_metadata:
            return None
        kept = metadata or NO_METADATA
        kept = kept if self.keep_location else kept.without_location()
        dropped = [what for what in kept.dropped if what not in named]
        if dropped:
            say(f"{name}: left out {', '.join(dropped)}")
        named.update(dropped)
        return kept

    def write(
        self,
        target: ImageTarget,
        img: Image,
        recipe: Recipe,
        metadata: Metadata | None = NO_METADATA,
        alpha: NDArray[np.float32] | None = None,
    ) -> None:
        """Write an image with its recipe.

        Args:
            target: where to.
            img: see `write_image`.
            recipe: a complete one.
            metadata: from `kept`.
            alpha: see `write_image`.

        Raises:
            ImageError: it cannot be written.
            OSError: standard output cannot be written.
        """
        if self.no_metadata:
            metadata = None
        kept = None if self.no_metadata else recipe
        if target.path is None:
            content = encode_image(target.name, target.format, img, kept, metadata, alpha, self.quality)
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
            return
        if target.makes_folder:
            try:
                target.path.parent.mkdir(exist_ok=True)
            except OSError as error:
                raise ImageError(f"{target.path.parent} cannot be made: {error.strerror}") from None
        write_image(target.path, img, kept, metadata=metadata, alpha=alpha, quality=self.quality)


def image_targets(
    names: Sequence[str], output: str, file_format: str | None, several: bool = False, default: str = "dream"
) -> list[ImageTarget]:
    """Where the dream of each image is written.

    Args:
        names: the names of the images.
        output: a file, a folder, a folder to be made (with a slash at its end), or - for standard output.
        file_format: the value of `--format`.
        several: whether only a folder will do, as for several images.
        default: the file's name in a folder, without suffix, if there is one image.

    Returns:
        A target for each name, checked.

    Raises:
        ImageError: a path cannot be written, or two are the same.
        ParameterError: the format is unknown, or not that of the file.
    """
    if file_format is not None and file_format not in _FORMATS:
        raise ParameterError(f"--format {truncate(file_format)}: must be one of {', '.join(_FORMATS)}")
    suffix = f".{file_format or 'png'}"
    written = output_format(f"image{suffix}")
    if output == STANDARD_OUTPUT:
        if several:
            raise ImageError("-o -: standard output holds one image; write several into a folder: -o dreams/")
        if sys.stdout is None or sys.stdout.isatty():
            raise ImageError("-o - writes the image to standard output; send it into a file or a pipe: > dream.png")
        return [ImageTarget(None, written)]
    path, is_folder = Path(output), output.endswith(("/", os.sep))
    if is_folder and os.path.exists(path) and not os.path.isdir(path):
        raise ImageError(f"-o {output} {why_not_a_folder(path)}")
    makes_folder = is_folder and not os.path.exists(path)
    if makes_folder:
        check_writable(path, path)
    is_folder |= os.path.isdir(path)
    if several:
        if not is_folder:
            raise ImageError(f"-o {output}: several images need a folder; -o dreams/ makes one")
        paths = _paths_in(path, names, suffix)
    else:
        paths = [path / f"{default}{suffix}"] if is_folder else [path]
    targets = [ImageTarget(each, output_format(each), makes_folder) for each in paths]
    if file_format is not None and targets[0].format != written:
        raise ParameterError(f"--format {file_format}, but {output} has the name of another format; drop --format")
    for each in [] if makes_folder else paths:
        check_writable(each, path)
    return targets


def _paths_in(folder: Path, names: Sequence[str], suffix: str) -> list[Path]:
    """The path of the dream of each image in a folder."""
    paths = [folder / f"{stem}-dream{suffix}" for stem in stems_of(names)]
    check_all_differ(names, paths)
    return paths


def stems_of(names: Sequence[str]) -> list[str]:
    """A name without suffix for what is made of each image, different where their names are."""
    files = [Path("stdin" if name == STANDARD_INPUT else name.replace(":", "-")) for name in names]
    count = Counter(file.stem for file in files)
    # A phone's IMG_1.HEIC and IMG_1.JPG lie beside each other.
    return [file.stem if count[file.stem] == 1 else f"{file.stem}{file.suffix.replace('.', '-')}" for file in files]


def check_all_differ(names: Sequence[str], paths: Sequence[Path]) -> None:
    """Raise `ImageError` if two images would be written to one path."""
    twice = next((path for path, number in Counter(paths).items() if number > 1), None)
    if twice is not None:
        first, second, *_ = [name for name, path in zip(names, paths) if path == twice]
        raise ImageError(f"{first} and {second} have the same name, so one dream would replace the other: {twice}")
