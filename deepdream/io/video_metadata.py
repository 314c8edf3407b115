"""What a video file tells about itself: title, time, chapters, and where it was recorded.

The central type is `VideoMetadata`: it is read from one container and written into another one.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .video_containers import VideoContainer

_APPLE = "com.apple.quicktime."  # before the keys of an iPhone; others do not use it
_OTHER_NAMES = {"location.iso6709": "location", "creationdate": "date"}  # of Apple's keys
# About the file that was read, and not about the video: an MXF has many. Matroska's statistics begin with "_".
_TECHNICAL = re.compile(
    r"major_brand|minor_version|compatible_brands|encoder|duration|handler_name|vendor_id|alpha_mode|timecode|software"
    r"|application_platform|company_name|product_.*|toolkit_.*|.*_?(uid|umid|ul)|_.*",
    re.I,
)
# Where clocks begin: what FFmpeg finds in a file that does not say when it was made.
_NO_TIME = re.compile("(1601|1904|1970)-01-01T00:00:00.*")
_MAX_NAMED_TAGS = 5
_LOCATION = re.compile(r"location|gps|xyz", re.I)


@dataclass(frozen=True)
class VideoMetadata:
    """The tags and chapters of a video.

    Attributes:
        tags: {name: text}, by FFmpeg's names: "title", "creation_time" and so on.
        chapters: as of PyAV, in the times of the video.
        left_out: what of it is left out, for a person.
        left_out_of_images: what of the images of a sequence is left out, for a person.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    chapters: Sequence[Mapping[str, Any]] = ()
    left_out: Sequence[str] = ()
    left_out_of_images: Sequence[str] = ()

    @property
    def lost_without_tags(self) -> list[str]:
        """What an output lacks that has no tags and no chapters, for a person."""
        tags = ["the title and other tags"] if self.tags or self.chapters or self.left_out else []
        return [*tags, *self.left_out_of_images]

    def write_to(self, container: Any) -> None:
        """Add them to an output, before its first packet."""
        container.metadata.update(self.tags)
        if self.chapters:
            container.set_chapters([dict(chapter) for chapter in self.chapters])


def read_metadata(container: Any, start: Fraction, end: Fraction | None, keep_location: bool) -> VideoMetadata:
    """Read the metadata of a file.

    Args:
        container: PyAV's container of it.
        start: when the video begins, in the file's times, in seconds.
        end: when it ends; `None`: with the file.
        keep_location: whether to keep where it was recorded.
    """
    tags: dict[str, str] = {}
    located = False
    for key, text in container.metadata.items():
        name = key.lower()
        name = name[len(_APPLE) :] if name.startswith(_APPLE) else name
        if _LOCATION.search(name):
            located = True
        if not text or (name == "creation_time" and _NO_TIME.fullmatch(text)):
            continue
        if not _TECHNICAL.fullmatch(name) and (keep_location or not _LOCATION.search(name)):
            tags.setdefault(_OTHER_NAMES.get(name, name), text)
    left_out = ["the location (--keep-location keeps it)"] if located and not keep_location else []
    return VideoMetadata(tags, _chapters(container, start, end), left_out)


def lost_metadata(av: ModuleType, kind: VideoContainer, metadata: VideoMetadata) -> list[str]:
    """What a container cannot hold, for a person; a small file is written and read to see it."""
    if not metadata.tags and not metadata.chapters:
        return []
    file = io.BytesIO()
    with av.open(file, "w", format=kind.format) as container:
        metadata.write_to(container)
        stream = container.add_stream(kind.codec, rate=1)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        container.mux([*stream.encode(av.VideoFrame(16, 16, "yuv420p")), *stream.encode(None)])
    file.seek(0)
    with av.open(file) as container:
        there = {key.lower() for key in container.metadata}
        chapters = len(container.chapters()) if metadata.chapters else 0
    lost = [key for key in metadata.tags if key not in there]
    more = [f"{len(lost) - _MAX_NAMED_TAGS} more"] if len(lost) > _MAX_NAMED_TAGS else []
    said = [f"the tags {' and '.join([*lost[:_MAX_NAMED_TAGS], *more])}"] if lost else []
    return said + (["the chapters"] if chapters < len(metadata.chapters) else [])


def _chapters(container: Any, start: Fraction, end: Fraction | None) -> list[Mapping[str, Any]]:
    """The chapters within a part of the file, in the times of that part; PyAV 15 does not know chapters."""
    found: list[Mapping[str, Any]] = []
    for chapter in container.chapters() if hasattr(container, "chapters") else ():
        unit = chapter["time_base"]
        first, last = (chapter[key] * unit for key in ("start", "end"))
        first, last = max(first, start) - start, (last if end is None else min(last, end)) - start
        if last > first:
            found.append({**chapter, "start": round(first / unit), "end": round(last / unit)})
    return found
