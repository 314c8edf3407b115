"""A folder that collects the frames of a zoom or a video, so that a stopped run can be resumed.

The central type is `FrameFolder`. The folder holds the frames, `00000.png` and so on; the run's recipe, `<kind>.json`;
and its state after the last whole frame, `<kind>.npz`: that frame's number and the arrays that the next one needs. Each
file is renamed into place, the frame before the state: if the process is killed at any moment, the state still names a
frame that exists and is complete.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from .._types import Image
from ..errors import DreamError
from ..io.arrays import to_uint8
from ..io.files import atomic_path, check_regular_file, why_not_a_folder
from ..io.folder_lock import lock_folder
from ..io.image import write_image
from ..io.metadata import check_text
from ..text import counted
from ..validation import short_repr
from .frame_state import packed_state, read_state
from .recipe import Recipe

_MAX_RECIPE_BYTES = 2**20
# A recipe records these, but they may differ when the run continues: they are compared by hash, or only logged.
_NOT_COMPARED = {"input", "guide", "mask", "versions"}
_LARGEST_FRAME = 10**9  # that is ever made
_LEFTOVER_NAME = re.compile(r"\..*-[0-9a-f]{8}\.(png|json|npz)")  # atomic_path's names, of a process that was killed


class FrameFolder:
    """A folder of frames, opened for one process at a time; `close` it, or use it in a `with` statement.

    Args:
        folder: the path; the folder is created if its parent exists.
        kind: the kind of the recipe, "zoom" or "video".

    Attributes:
        folder: the path.
        recipe: the recipe of the run in the folder; `None` if it is empty.
        done: the number of frames that the run has.
        state: {name: array} that was saved with the last frame.

    Raises:
        DreamError: the folder cannot be used, another process is using it, or it holds something else.
    """

    def __init__(self, folder: str | Path, kind: str) -> None:
        self.folder = Path(folder)
        self.recipe: Recipe | None = None
        self.done = 0
        self.state: dict[str, Any] = {}
        self._kind = kind
        self._lock: int | None = None  # a file descriptor
        self._wrote_recipe = False
        self._created_folder = False
        try:
            self._lock, self._created_folder = lock_folder(self.folder)
            for name in os.listdir(self.folder):
                if _LEFTOVER_NAME.fullmatch(name):
                    (self.folder / name).unlink()
        except FileExistsError:
            raise DreamError(f"{folder} {why_not_a_folder(folder)} for the frames") from None
        except FileNotFoundError:
            raise DreamError(f"{folder}: the folder {self.folder.parent} does not exist; create it first") from None
        except (OSError, ValueError) as error:  # a null byte is a ValueError
            reason = getattr(error, "strerror", None) or error
            raise DreamError(f"{folder} cannot be written ({reason}); choose another folder") from None
        try:
            self.recipe = self._read_recipe()
            if self.recipe is not None:
                self.done, self.state = read_state(self._record_path("npz"))
        except DreamError:
            self.close()
            raise

    def __enter__(self) -> FrameFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another process use the folder; delete the folder if this object created it and it is empty.

        A run without any frame is deleted too, because there is nothing to continue from.
        """
        if self._wrote_recipe and not any(self.folder.glob("[0-9]*.png")):
            with contextlib.suppress(OSError):
                for path in (self.shots_path, self._record_path("json")):  # and nothing that is not the run's
                    path.unlink(missing_ok=True)
        if self._created_folder:
            with contextlib.suppress(OSError):  # it is not empty
                self.folder.rmdir()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove(self) -> None:
        """Remove the folder, whose frames are no longer needed.

        The state is removed first and the recipe last: if the process is killed, a run can begin again with the rest.
        """
        for path in self.folder.glob("*.npz"):
            path.unlink()
        for path in self.folder.glob("*.png"):
            path.unlink()
        self._record_path("json").unlink(missing_ok=True)
        shutil.rmtree(self.folder)

    def path(self, index: int) -> Path:
        """The path of a frame, which need not exist yet."""
        return self.folder / f"{index:05d}.png"

    def paths(self, count: int | None = None) -> list[Path]:
        """The paths of the frames in order.

        Args:
            count: the number of frames, from the first; `None`: all.

        Returns:
            Their paths; fewer than `count` if there are fewer frames.

        Raises:
            DreamError: one is missing.
        """
        paths = [self.path(index) for index in range(self.done if count is None else min(count, self.done))]
        for path in paths:
            if not path.exists():
                raise DreamError(f"{path} is missing: without it the video has a gap; begin again in another folder")
        return paths

    def check_room(self, frame_n: int, image: Image) -> None:
        """Check that the missing frames may fit onto the disk.

        A frame is assumed to be half as large as the last one, or as `image`, and the state to be one image of float32,
        so only a certain failure is an error.

        Args:
            frame_n: the number of frames of the whole run.
            image: the image of the first frame, (H, W, 3).

        Raises:
            DreamError: they do not fit.
        """
        missing = frame_n - self.done
        if missing < 1:
            return
        last = self.path(self.done - 1)
        if self.done and last.exists():
            size = last.stat().st_size
        else:
            encoded = io.BytesIO()
            Pillow.fromarray(to_uint8(image)).save(encoded, "PNG")
            size = len(encoded.getbuffer())
        state = 0 if self._record_path("npz").exists() else 4 * image.size
        needed, free = missing * size // 2 + state, shutil.disk_usage(self.folder).free
        if needed > free:
            raise DreamError(
                f"{self.folder}: {missing} more frames need {needed:,} bytes or more, and {free:,} are free; free some "
                "space, choose another disk, or scale down (--max-size)"
            )

    def begin(self, recipe: Recipe) -> None:
        """Begin the run of a complete recipe, or continue it.

        Args:
            recipe: a recipe with all fields that determine the pixels.

        Raises:
            DreamError: the folder holds the run of another recipe (the message names a difference), it cannot be
                written, or the recipe is too long for the frames, which hold it with their number.
        """
        if self._kind == "zoom":
            check_text(replace(recipe, more={**recipe.more, "frame": _LARGEST_FRAME}).to_json())
        with self._writing(self.folder), tempfile.TemporaryFile(dir=self.folder):
            pass
        if self.recipe is None:
            self.write(self._record_path("json"), lambda path: path.write_text(recipe.to_json(), encoding="utf-8"))
            self.recipe, self._wrote_recipe = recipe, True
            return
        for field in fields(Recipe):
            recorded, wanted = getattr(self.recipe, field.name), getattr(recipe, field.name)
            if field.name not in _NOT_COMPARED and recorded != wanted:
                difference = _describe_difference(field.name, recorded, wanted, self._kind)
                if self._kind == "video":
                    raise DreamError(
                        f"{self.folder} holds an unfinished video with {difference}; use the same settings, "
                        "write to another file, or remove that folder"
                    )
                raise DreamError(
                    f"{self.folder} holds another run, with {difference}; use another folder or the same settings"
                )

    def save(self, index: int, image: Image, recipe: Recipe | None = None, /, **state: Any) -> Path:
        """Add the next frame, and the state that is needed to continue after it.

        Args:
            index: the frame's number.
            image: (H, W, 3) RGB.
            recipe: the recipe to write into the image file.
            state: arrays.

        Returns:
            The frame's path.
        """
        self.save_image(index, image, recipe)
        packed = packed_state(index, state)
        self.write(self._record_path("npz"), lambda path: path.write_bytes(packed))
        self.done, self.state = index + 1, state
        return self.path(index)

    def save_image(self, index: int, image: Image, recipe: Recipe | None = None) -> Path:
        """Write a frame without a state; see `save`."""
        write_image(self.path(index), image, recipe=recipe)
        return self.path(index)

    @property
    def shots_path(self) -> Path:
        """The path of the file that says where shots begin, in a run that is divided into shots."""
        return self.folder / "shots.json"

    def _record_path(self, suffix: str) -> Path:
        """The path of the recipe ("json") or the state ("npz")."""
        return self.folder / f"{self._kind}.{suffix}"

    def write(self, path: Path, write: Callable[[Path], Any]) -> None:
        """Write a file of the folder under a temporary name, and rename it.

        Args:
            path: its path.
            write: a function that writes to a path.

        Raises:
            DreamError: it cannot be written.
        """
        with self._writing(path), atomic_path(path) as temporary:
            write(temporary)

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DreamError(
                f"{path} cannot be written: {error.strerror or error}; free some space or set the permissions, "
                "and repeat the command, or choose another folder"
            ) from None

    def _read_recipe(self) -> Recipe | None:
        path = self._record_path("json")
        check_regular_file(path, _MAX_RECIPE_BYTES, DreamError)
        if path.exists():
            try:
                return Recipe.from_json(path.read_text(encoding="utf-8", errors="replace"))
            except DreamError as error:
                raise DreamError(f"{path}: {error}") from None
        others = sorted(name for name in os.listdir(self.folder) if re.fullmatch(r"\d{5,}\.png|\w+\.npz", name))
        if others:
            raise DreamError(
                f"{self.folder} holds {others[0]}, which does not belong to a {self._kind}; choose another folder"
            )
        return None


def _describe_difference(name: str, recorded: Any, wanted: Any, kind: str) -> str:
    """How two recipes differ in the field `name`, for a person."""
    if name.endswith("_sha256"):
        other_input = "another video" if kind == "video" else "another image"
        return {"input_sha256": other_input, "guide_sha256": "another guide", "mask_sha256": "another mask"}.get(
            name, "other weights"
        )
    if name == "more":
        name = next(key for key in {**recorded, **wanted} if recorded.get(key) != wanted.get(key))
        recorded, wanted = recorded.get(name), wanted.get(name)
    if name == "schedule" and recorded and wanted:
        return _describe_schedules(recorded, wanted)
    return f"{name} {short_repr(recorded)} and not {short_repr(wanted)}"


def _describe_schedules(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first difference between the specs of two schedules, for a person."""
    if recorded["interpolation"] != wanted["interpolation"]:
        return f"{recorded['interpolation']} interpolation in its schedule and not {wanted['interpolation']}"
    before, now = recorded["keyframes"], wanted["keyframes"]
    for number, (one, other) in enumerate(zip(before, now), 1):
        for name in {**one, **other}:
            if one.get(name) != other.get(name):
                return (
                    f"{name} {short_repr(one.get(name))} in keyframe {number} of its schedule and not "
                    f"{short_repr(other.get(name))}"
                )
    return f"{counted(len(before), 'keyframe')} in its schedule and not {len(now)}"
