"""The options of commands that write a video: `--mp4`, `--gif`, `--fps`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import typer
from PIL import Image as Pillow

from .._types import Image
from ..data.bundled import BUILT_IN
from ..data.cache import file_sha256
from ..errors import DreamError, VideoError
from ..io.image import read_image
from ..io.image_sequence import FrameSource, ImageFrames, open_frames
from ..io.video_writer import DEFAULT_FPS, check_video_path, write_animation
from .console import progress_line
from .files import check_writable
from .parsing import check_range

MP4 = typer.Option(None, "--mp4", metavar="OUT", show_default=False, help="Also write the frames as an MP4.")
GIF = typer.Option(None, "--gif", metavar="OUT", show_default=False, help="Also write the frames as a GIF.")
FPS = typer.Option(DEFAULT_FPS, "--fps", help="Frames per second of the video.")


class ImageFiles:
    """Files as images, float32 (H, W, 3), read one at a time whenever they are iterated over.

    Args:
        paths: the paths of the files.
        on_read: called after each image.
    """

    def __init__(self, paths: Sequence[Path], on_read: Callable[[], None] | None = None) -> None:
        self._paths = paths
        self._on_read = on_read

    def __iter__(self) -> Iterator[Image]:
        for path in self._paths:
            yield read_image(path)
            if self._on_read is not None:
                self._on_read()


def guide_video(name: str | None) -> FrameSource | None:
    """The guide of a video if it is a video itself; `None` if it is a single image, or if there is none.

    Args:
        name: the value of `--guide`.

    Raises:
        VideoError: it is neither an image nor a video.
    """
    if name is None or name in BUILT_IN or name.startswith("noise:"):
        return None
    try:
        with Pillow.open(name) as image:
            if getattr(image, "n_frames", 1) == 1:
                return None
    except Exception:  # Pillow raises many errors for what is not an image
        pass
    try:
        return open_frames(name)
    except DreamError:
        return None  # the error of reading it as an image says more


def source_sha256(source: FrameSource) -> str:
    """The hash of the file of a video, or of the hashes of its images."""
    files = source.files if isinstance(source, ImageFrames) else None
    if files is None:
        return file_sha256(source.path)
    return hashlib.sha256("".join(map(file_sha256, files)).encode()).hexdigest()


def check_videos(mp4: Path | None, gif: Path | None, fps: float) -> list[Path]:
    """Check the videos to write, before the first dream.

    Args:
        mp4: the value of `--mp4`.
        gif: the value of `--gif`.
        fps: the value of `--fps`.

    Returns:
        The paths that were given.

    Raises:
        ParameterError: the frame rate is out of its range.
        VideoError: the suffix is not the option's, or PyAV is missing.
        ImageError: a path cannot be written.
    """
    check_range("--fps", fps, 0.01, 1000)
    paths = []
    for option, path in (("--mp4", mp4), ("--gif", gif)):
        if path is not None:
            if path.suffix.lower() != f".{option[2:]}":
                raise VideoError(f"{option} {path}: the name must end in .{option[2:]}")
            check_video(path, option)
            paths.append(path)
    return paths


def check_video(path: Path, option: str) -> None:
    """Check that a video can be written.

    Args:
        path: the path of the video.
        option: the option that it was given with, for the message.

    Raises:
        VideoError: the suffix is neither .mp4 nor .gif.
        DreamError: PyAV is missing.
        ImageError: the path cannot be written.
    """
    check_video_path(path)
    check_writable(path, path, option)


def passes_over_frames(path: Path) -> int:
    """How many times the frames are read to write a video: twice for a GIF, first to choose its colours."""
    return 2 if path.suffix.lower() == ".gif" else 1


def write_videos(videos: Sequence[Path], frames: Sequence[Path], fps: float) -> None:
    """Write each of the videos with a progress line, and print its path.

    Args:
        videos: the paths to write to.
        frames: the images, all of one size.
        fps: frames per second.
    """
    for path in videos:
        with progress_line() as progress:
            task = progress.add_task(f"writing {path}", total=passes_over_frames(path) * len(frames))
            write_animation(path, ImageFiles(frames, lambda: progress.update(task, advance=1)), fps)  # noqa: B023
        print(path.resolve(), flush=True)
