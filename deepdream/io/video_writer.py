"""Images one after the other -> a video: MP4, MOV, MKV, WebM or GIF.

Each image is (H, W, 3) RGB 0..255, all of one size. They are read one at a time, so that a video of any length fits
into memory. This needs PyAV, which contains FFmpeg (the extra `video`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ImageError, ParameterError, VideoError
from ..extras import require_extra
from ..validation import short_repr
from .arrays import check_image, format_size, to_uint8
from .files import atomic_path, check_path
from .tracks import OtherTracks
from .video_containers import CONTAINERS
from .video_encoding import Companions, rehearse_container, rehearse_gif, write_container, write_gif
from .video_metadata import VideoMetadata, lost_metadata

if TYPE_CHECKING:
    from av import VideoFrame

DEFAULT_FPS = 15
MAX_FPS = 1000
MIN_FPS = Fraction(1, 100_000)
VIDEO_SUFFIXES = (*CONTAINERS, ".gif")


def check_video_path(path: str | os.PathLike[str]) -> None:
    """Check that a video can be written: the name, and that PyAV is installed.

    Args:
        path: where to write.

    Raises:
        DreamError: PyAV, of the extra `video`, is not installed.
        ParameterError: `path` is not a path.
        VideoError: the suffix is none of `VIDEO_SUFFIXES`.
    """
    check_path("path", path)
    suffix = Path(path).suffix
    if suffix.lower() not in VIDEO_SUFFIXES:
        known = f"{', '.join(VIDEO_SUFFIXES[:-1])} or {VIDEO_SUFFIXES[-1]}"
        raise VideoError(f"{path}: cannot write {suffix or 'a file without suffix'}; end the name in {known}")
    require_extra("av", f"{path}: writing videos")


def write_animation(
    path: str | os.PathLike[str], images: Iterable[ArrayLike], rate: float | Fraction = DEFAULT_FPS
) -> None:
    """Write images as a video, by the path's suffix: MP4, MOV, MKV (all H.264), WebM (VP9) or GIF.

    The file is written under a temporary name and then renamed, so an older file is replaced only by a complete one.
    All but a GIF require even sizes: if the width or height is odd, the last column or row is repeated once.

    Args:
        path: where to write; its folder must exist.
        images: (H, W, 3) RGB each; values are clipped to 0..255 and rounded. For a GIF they are iterated over twice,
            the first time to choose its 256 colours, so this must be a list or similar.
        rate: images per second, 0.00001..1000; a GIF shows at most 50 and leaves out the rest.

    Raises:
        DreamError: PyAV, of the extra `video`, is not installed.
        ImageError: one of `images` is not an image.
        ParameterError: `path` is not a path, `images` cannot be iterated over, or `rate` is out of its range.
        VideoError: the suffix is unknown, there are no images, they have several sizes, or the file cannot be written.

    Example:
        >>> sky = dd.picture("clouds")
        >>> dd.write_animation("pan.gif", [sky[:90, x : x + 120] for x in range(0, 100, 10)], rate=10)
        >>> len(dd.Video("pan.gif"))
        10
    """
    check_video_path(path)
    rate = _check_rate(rate)
    try:
        only_once = iter(images) is images
    except TypeError:
        raise ParameterError(f"images={short_repr(images)}: it must be a list of images, or another iterable") from None
    if Path(path).suffix.lower() == ".gif" and only_once:
        raise VideoError(f"{path}: the images of a GIF are read twice; pass a list")
    write_video(path, images, None, 1 / rate, rate)


def _check_rate(rate: float | Fraction) -> Fraction:
    known = isinstance(rate, (int, float, Fraction)) and not isinstance(rate, bool)
    if not known or not MIN_FPS <= rate <= MAX_FPS:
        raise ParameterError(
            f"rate={short_repr(rate)}: images per second must be a number from {float(MIN_FPS):.5f} to {MAX_FPS}"
        )
    return Fraction(rate).limit_denominator(100_000)


def write_video(
    path: str | os.PathLike[str],
    images: Iterable[ArrayLike],
    times: Sequence[int] | None,
    time_base: Fraction,
    rate: Fraction,
    aspect: Fraction | None = None,
    tracks: OtherTracks | None = None,
    metadata: VideoMetadata | None = None,
) -> None:
    """As `write_animation`, with a time for each image, sound, subtitles and metadata.

    Args:
        path: where to write; its folder must exist.
        images: as in `write_animation`.
        times: the time when each image begins, and finally when the last one ends, ascending, in units of `time_base`.
            `None`: 0, 1, 2 and so on.
        time_base: in seconds.
        rate: images per second on average.
        aspect: width by height of a pixel; `None`: square.
        tracks: the sound and subtitles of a video (`Video.sound`), or `None`. A GIF has none.
        metadata: the title and so on of a video (`Video.metadata`), or `None`.

    Raises:
        DreamError: PyAV, of the extra `video`, is not installed.
        ImageError: one of `images` is not an image.
        VideoError: there are no images, they have several sizes, or the file cannot be written.
    """
    av = require_extra("av", f"{path}: writing videos")
    frames = _Frames(av, images, times, time_base)
    try:
        with atomic_path(path) as temporary:
            if temporary.suffix.lower() == ".gif":
                write_gif(av, temporary, frames.coarse(), frames, time_base)
            else:
                companions = Companions(tracks, metadata or VideoMetadata())
                kind = CONTAINERS[temporary.suffix.lower()]
                write_container(av, kind, temporary, frames, time_base, rate, aspect, companions)
    except (OSError, av.FFmpegError, OverflowError) as error:
        raise VideoError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from None


def rehearse_animation(
    path: str | os.PathLike[str], size: tuple[int, int], count: int, rate: float | Fraction = DEFAULT_FPS
) -> None:
    """Raise the errors of `write_animation` before its images are made; nothing is written.

    Args:
        path: as in `write_animation`; only its suffix counts.
        size: (height, width) of the images.
        count: the number of images.
        rate: see `write_animation`.

    Raises:
        DreamError: PyAV, of the extra `video`, is not installed.
        ParameterError: `rate` is out of its range.
        VideoError: the video cannot be written.
    """
    rate = _check_rate(rate)
    rehearse_video(path, size, range(count + 1), 1 / rate, rate)


def rehearse_video(
    path: str | os.PathLike[str],
    size: tuple[int, int],
    times: Sequence[int],
    time_base: Fraction,
    rate: Fraction,
    aspect: Fraction | None = None,
    tracks: OtherTracks | None = None,
    metadata: VideoMetadata | None = None,
) -> list[str]:
    """Raise the errors of `write_video` before its images are made; nothing is written.

    Args:
        path: as in `write_video`; only its suffix counts.
        size: (height, width) of the images.
        times: see `write_video`.
        time_base: see `write_video`.
        rate: see `write_video`.
        aspect: see `write_video`.
        tracks: see `write_video`.
        metadata: see `write_video`.

    Returns:
        What the file cannot hold and will lack, for a person.

    Raises:
        DreamError: PyAV, of the extra `video`, is not installed.
        VideoError: the video cannot be written.
    """
    av = require_extra("av", f"{path}: writing videos")
    metadata = metadata or VideoMetadata()
    kind = CONTAINERS.get(Path(path).suffix.lower())

    def rehearse(companions: Companions) -> str | None:
        """The error, if there is one."""
        frame = av.VideoFrame.from_ndarray(np.zeros((*size, 3), np.uint8), format="rgb24")
        try:
            if kind is None:
                rehearse_gif(av, frame, time_base)
            else:
                rehearse_container(av, kind, frame, times, time_base, rate, aspect, companions)
        except VideoError as error:
            raise VideoError(f"{path} cannot be written: {error}") from None
        except (OSError, av.FFmpegError, ValueError, OverflowError) as error:
            return getattr(error, "strerror", None) or str(error)
        return None

    reason = rehearse(Companions(tracks, metadata))
    if reason is not None and tracks is not None and rehearse(Companions(None, metadata)) is None:
        raise VideoError(
            f"{path} cannot hold the sound of this video ({reason}); convert the video to an MP4 first, or write a "
            "GIF, which has no sound"
        )
    if reason is not None:
        raise VideoError(
            f"{path} cannot be written ({reason}); convert the video to an MP4 with a constant frame rate first"
        )
    lost = [] if tracks is None else tracks.left_out if kind is not None else tracks.describe()
    if kind is None:
        return [*lost, *metadata.lost_without_tags]
    return [*lost, *metadata.left_out, *metadata.left_out_of_images, *lost_metadata(av, kind, metadata)]


class _Frames:
    """The images as FFmpeg's frames; may be iterated over many times."""

    def __init__(
        self, av: ModuleType, images: Iterable[ArrayLike], times: Sequence[int] | None, time_base: Fraction
    ) -> None:
        self._av = av
        self._images = images
        self._times = times
        self._time_base = time_base

    def __iter__(self) -> Iterator[VideoFrame]:
        return self._frames(False)

    def coarse(self) -> Iterator[VideoFrame]:
        """The frames with 32 values of each colour."""
        return self._frames(True)

    def _frames(self, coarse: bool) -> Iterator[VideoFrame]:
        size = None
        for index, image in enumerate(self._images):
            pixels = _pixels(index, image)
            size = size or pixels.shape
            if pixels.shape != size:
                raise VideoError(
                    f"image {index} is {format_size(pixels.shape)}, the first one {format_size(size)}; "
                    "the images of a video must all have the same size"
                )
            if coarse:
                pixels = pixels & np.uint8(0b11111000) | np.uint8(0b100)
            frame = self._av.VideoFrame.from_ndarray(pixels, format="rgb24")
            begin, end = (index, index + 1) if self._times is None else self._times[index : index + 2]
            frame.pts, frame.duration, frame.time_base = begin, end - begin, self._time_base
            yield frame
        if size is None:
            raise VideoError("a video needs at least one image")


def _pixels(index: int, image: ArrayLike) -> NDArray[np.uint8]:
    """An image as bytes, (H, W, 3), contiguous."""
    try:
        check_image(image)
    except ImageError as error:
        raise ImageError(f"image {index} of the video: {error}") from None
    return np.ascontiguousarray(to_uint8(np.asarray(image)))
