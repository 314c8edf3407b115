"""Where `deepdream video` writes to: a video file, a folder of images, or numbered images."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import VideoError
from ..io.files import atomic_path, why_not_a_folder
from ..io.image import check_output_size, output_format, read_image, write_image
from ..io.image_sequence import FrameSource, ImageFrames, is_pattern, numbered_path
from ..io.video_writer import rehearse_video, write_video
from .files import check_writable
from .video_options import ImageFiles, check_video, passes_over_frames


class Output(ABC):
    """What the frames become.

    Attributes:
        path: what was given.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def frame_folder(self) -> Path:
        """The folder for the frames of an unfinished run."""
        return self.path.with_name(f"{self.path.name}.frames")

    @abstractmethod
    def rehearse(self, source: FrameSource, size: tuple[int, int], keep_location: bool) -> list[str]:
        """Raise the errors of `write`, before the first dream.

        Args:
            source: the input.
            size: (height, width) of the frames.
            keep_location: whether to keep where the video was recorded.

        Returns:
            What the output will lack, for a person.
        """

    @abstractmethod
    def write(
        self, source: FrameSource, frames: Sequence[Path], keep_location: bool, on_read: Callable[[], None]
    ) -> None:
        """Write it.

        Args:
            source: the input.
            frames: the files of the dreamt frames.
            keep_location: as in `rehearse`.
            on_read: called after each frame that was read; `passes` times for each of them.
        """

    @property
    def passes(self) -> int:
        """How many times the frames are read."""
        return 1


class VideoOutput(Output):
    """A video file."""

    def rehearse(self, source: FrameSource, size: tuple[int, int], keep_location: bool) -> list[str]:
        described = source.times, source.time_base, source.rate, source.aspect
        return rehearse_video(self.path, size, *described, source.sound(), source.metadata(keep_location))

    def write(
        self, source: FrameSource, frames: Sequence[Path], keep_location: bool, on_read: Callable[[], None]
    ) -> None:
        described = source.times, source.time_base, source.rate, source.aspect
        images = ImageFiles(frames, on_read)
        write_video(self.path, images, *described, source.sound(), source.metadata(keep_location))

    @property
    def passes(self) -> int:
        return passes_over_frames(self.path)


class ImagesOutput(Output):
    """Images in a folder, or numbered images such as out/%04d.png.

    In a folder they are named as the input's images, or 00000.png and so on; the numbers of a pattern begin at 0.
    """

    def paths(self, source: FrameSource) -> list[Path]:
        """The path of each image."""
        if is_pattern(self.path):
            return [numbered_path(self.path, number) for number in range(len(source))]
        if isinstance(source, ImageFrames) and source.files is not None:
            return [self.path / f"{file.stem}.png" for file in source.files]
        return [self.path / f"{number:05d}.png" for number in range(len(source))]

    def rehearse(self, source: FrameSource, size: tuple[int, int], keep_location: bool) -> list[str]:
        paths = self.paths(source)
        output_format(paths[0])
        check_output_size(paths[0], *size)
        if len(set(paths)) < len(paths):
            raise VideoError(f"{self.path}: two of the images have the same name; write to numbered images (%05d.png)")
        folder = self._folder
        if folder.exists():
            files = source.files if isinstance(source, ImageFrames) else None
            if files and folder.samefile(files[0].parent):
                raise VideoError(f"OUT {self.path} is the folder of the input; write to another folder")
            check_writable(paths[0], self.path, "OUT")
        elif folder.parent.is_dir():
            check_writable(folder, self.path, "OUT")
        else:
            raise VideoError(f"OUT {self.path}: the folder {folder.parent} {why_not_a_folder(folder.parent)}")
        sound, metadata = source.sound(), source.metadata(keep_location)
        lost = [] if sound is None else sound.describe()
        return [*lost, *metadata.lost_without_tags]

    def write(
        self, source: FrameSource, frames: Sequence[Path], keep_location: bool, on_read: Callable[[], None]
    ) -> None:
        try:
            self._folder.mkdir(exist_ok=True)
            for frame, path in zip(frames, self.paths(source)):
                if path.suffix.lower() == frame.suffix:
                    with atomic_path(path) as temporary:
                        shutil.copyfile(frame, temporary)
                else:
                    write_image(path, read_image(frame))
                on_read()
        except OSError as error:
            raise VideoError(f"{self.path} cannot be written: {error.strerror or error}") from None

    @property
    def _folder(self) -> Path:
        return self.path.parent if is_pattern(self.path) else self.path


def open_output(given: str) -> Output:
    """The output of this name: images for a folder (existing, or with a slash at the end) or for a pattern.

    Raises:
        VideoError: the suffix is none that can be written.
        DreamError: PyAV is missing.
        ImageError: a video cannot be written there.
    """
    path = Path(given)
    if path.is_dir() or is_pattern(path) or given.endswith(("/", os.sep)):
        return ImagesOutput(path)
    check_video(path, "OUT")
    return VideoOutput(path)
