"""Frames that are not in a video file: numbered images, a folder of them, or an animation such as a WebP.

The central type is `ImageFrames`, which has the interface of `Video`.
"""

from __future__ import annotations

import contextlib
import copy
import math
import os
import re
import warnings
from array import array
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from PIL import Image as Pillow

from .._types import Image
from ..errors import ImageError, VideoError
from .arrays import format_size
from .decoding import DecodedImage, image_errors
from .files import check_regular_file
from .heif import HEIF_SUFFIXES
from .image import open_image, read_image
from .tracks import OtherTracks
from .video_metadata import VideoMetadata
from .video_reader import Video
from .video_writer import DEFAULT_FPS

_NOT_IMAGES = {".bufr", ".grib", ".h5", ".hdf", ".mpeg", ".mpg"}  # Pillow only recognises them
_NUMBER_FIELD = re.compile(r"%(0?)(\d*)d")
_MILLISECOND = Fraction(1, 1000)
_DEFAULT_DURATION_MS = 100  # of a frame that has none: what browsers make of it


class FrameSource(Protocol):
    """Frames with their times: a `Video`, or images; its attributes are those of `Video`."""

    path: Path
    width: int
    height: int
    aspect: Fraction
    times: array[int]
    time_base: Fraction
    rate: Fraction
    first_frame: int | None

    def __len__(self) -> int: ...

    def frames(self, first: int = 0) -> Iterator[Image]:
        """See `Video.frames`."""

    def part(self, first: int, stop: int) -> FrameSource:
        """See `Video.part`."""

    def sound(self) -> OtherTracks | None:
        """See `Video.sound`; `None` if there are no other tracks."""

    def metadata(self, keep_location: bool = False) -> VideoMetadata:
        """See `Video.metadata`."""


def open_frames(path: str | os.PathLike[str], rate: Fraction = Fraction(DEFAULT_FPS)) -> FrameSource:
    """Open a video file, an animation, a folder of images, or numbered images such as `in/%04d.png`.

    Args:
        path: see above.
        rate: the images per second of a folder or of numbered images.

    Returns:
        The frames.

    Raises:
        DreamError: PyAV, of the extra `video`, is missing for a video file.
        ImageError: an image cannot be read.
        VideoError: there is nothing to read, or it cannot be read.
    """
    path = Path(path)
    if path.is_dir() or is_pattern(path):
        files = numbered_files(path) if is_pattern(path) else images_in(path)
        return ImageFrames(path, files, array("q", range(len(files) + 1)), 1 / rate, rate)
    check_regular_file(path, math.inf, VideoError)
    durations = _animation_durations(path)
    if durations is None:
        return Video(path)
    times = array("q", [0])
    for duration in durations:
        times.append(times[-1] + max(duration, 1))
    return ImageFrames(path, None, times, _MILLISECOND, Fraction(1000 * len(durations), times[-1]))


class ImageFrames:
    """Frames from image files, all of one size; see `Video` for the other attributes.

    Args:
        path: what was given.
        files: a file for each frame; `None`: all are in `path`.
        times: see `Video`.
        time_base: see `Video`.
        rate: see `Video`.

    Attributes:
        files: see above.

    Raises:
        ImageError: a file cannot be read.
        VideoError: the files are of several sizes.
    """

    aspect = Fraction(1)
    first_frame: int | None = None

    def __init__(
        self, path: Path, files: Sequence[Path] | None, times: array[int], time_base: Fraction, rate: Fraction
    ) -> None:
        self.path = path
        self.files = files
        self.times = times
        self.time_base = time_base
        self.rate = rate
        # Each file is decoded whole once, so that damage is found before anything is dreamt.
        self._left_out: dict[str, None] = {}  # in order, each once
        shapes = (frame.shape for frame in self.frames()) if files is None else self._shapes(files)
        first = None
        for index, shape in enumerate(shapes):
            first = first or shape
            if shape != first:
                raise VideoError(
                    f"{files[index] if files else path} is {format_size(shape)}, the first frame "
                    f"{format_size(first)}; all frames must have the same size"
                )
        assert first is not None
        self.height, self.width = first[:2]

    def __len__(self) -> int:
        return len(self.times) - 1

    def __iter__(self) -> Iterator[Image]:
        return self.frames()

    def frames(self, first: int = 0) -> Iterator[Image]:
        """See `Video.frames`."""
        if self.files is not None:
            for file in self.files[first:]:
                yield read_image(file)
            return
        with _animation(self.path) as opened:
            begin = self.first_frame or 0
            for index in range(begin + first, begin + len(self)):
                opened.seek(index)
                yield DecodedImage(opened, f"frame {index} of {self.path}", None).full()

    def part(self, first: int, stop: int) -> ImageFrames:
        """See `Video.part`."""
        part = copy.copy(self)
        part.times = array("q", (time - self.times[first] for time in self.times[first : stop + 1]))
        part.first_frame = (self.first_frame or 0) + first
        part.files = None if self.files is None else self.files[first:stop]
        return part

    def sound(self) -> None:
        """Images have no sound."""

    def metadata(self, keep_location: bool = False) -> VideoMetadata:
        """Images have no title; what they say of themselves is left out."""
        return VideoMetadata(left_out_of_images=list(self._left_out))

    def _shapes(self, files: Sequence[Path]) -> Iterator[tuple[int, int, int]]:
        """The shape of each image; what is left out of them is noted."""
        for file in files:
            source = open_image(file)
            self._left_out.update(dict.fromkeys(source.left_out()))
            yield source.shape


def is_pattern(path: Path) -> bool:
    """Whether a path stands for numbered images: a field such as %04d or %d in its name."""
    return bool(_NUMBER_FIELD.search(path.name)) and not path.exists()


def numbered_path(pattern: Path, number: int) -> Path:
    """The path of the image with this number."""
    return pattern.with_name(_NUMBER_FIELD.sub(lambda field: f"%{field[1]}{field[2]}d" % number, pattern.name, count=1))


def numbered_files(pattern: Path) -> list[Path]:
    """The images of a pattern, from the lowest number on.

    Raises:
        VideoError: there is none, or a number is missing.
    """
    before, after = (re.escape(part) for part in _split(pattern.name))
    names = re.compile(f"{before}(\\d+){after}")
    found = {}
    if pattern.parent.is_dir():
        for name in os.listdir(pattern.parent):
            match = names.fullmatch(name)
            if match and numbered_path(pattern, int(match[1])).name == name:
                found[int(match[1])] = pattern.parent / name
    if not found:
        raise VideoError(f"{pattern}: there is no such image; check the folder and the number of digits")
    for number in range(min(found), max(found)):
        if number not in found:
            raise VideoError(f"{numbered_path(pattern, number)} is missing: a gap; give the folder instead")
    return [found[number] for number in sorted(found)]


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder in the order of their names, in which 2 comes before 10.

    Raises:
        VideoError: there is none.
    """
    files, _ = image_files(folder)
    if not files:
        raise VideoError(f"{folder} holds no images; give a folder of images, or a video")
    return files


def image_files(folder: Path) -> tuple[list[Path], int]:
    """(the image files of a folder in the order of their names, the number of its other files).

    Hidden files count as neither.

    Raises:
        OSError: the folder cannot be read.
    """
    formats = Pillow.registered_extensions()  # registers all formats
    suffixes = {*HEIF_SUFFIXES, *(suffix for suffix, name in formats.items() if name in Pillow.OPEN)} - _NOT_IMAGES
    files = [path for path in folder.iterdir() if os.path.isfile(path) and not path.name.startswith(".")]
    images = [path for path in files if path.suffix.lower() in suffixes]
    return natural_order(images), len(files) - len(images)


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Paths in the order of their names, in which 2 comes before 10."""

    def key(path: Path) -> tuple[str, list[object], str]:
        parts = re.split(r"(\d+)", path.name)
        return str(path.parent), [int(part) if index % 2 else part for index, part in enumerate(parts)], path.name

    return sorted(paths, key=key)


def _split(name: str) -> tuple[str, str]:
    field = _NUMBER_FIELD.search(name)
    assert field is not None
    return name[: field.start()], name[field.end() :]


def _animation_durations(path: Path) -> list[int] | None:
    """The milliseconds of each frame of an animated WebP, which FFmpeg does not read; `None` for another file."""
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
        header = file.read(12)
        if header[:4] != b"RIFF" or header[8:] != b"WEBP":
            return None
        try:
            with _animation(path) as opened:
                durations = []
                for index in range(getattr(opened, "n_frames", 1)):
                    opened.seek(index)
                    opened.load()  # only then is the duration known
                    durations.append(int(opened.info.get("duration") or _DEFAULT_DURATION_MS))
                return durations
        except ImageError as error:
            raise VideoError(str(error)) from None
    return None


@contextlib.contextmanager
def _animation(path: Path) -> Iterator[Pillow.Image]:
    """An animation, opened by Pillow; every error becomes an `ImageError`."""
    with image_errors(str(path)), open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns from 89 megapixels on; only its refusal is a limit here
        with Pillow.open(file) as opened:
            yield opened
