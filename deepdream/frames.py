"""A folder in which the frames of a zoom or a video gather, so that a run that was stopped goes on where it was.

It holds the frames, `00000.png` and so on; the run's recipe, `<kind>.json`; and its state behind the last whole frame,
`<kind>.npz`: that frame's number and whatever arrays the next one needs. Each file is renamed into place, the frame
before the state: whenever the process is killed, the state names a frame that is there and whole.
"""

import contextlib
import io
import math
import os
import re
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np

from .errors import DreamError
from .files import atomic_path, check_regular, not_a_folder
from .image import write_image
from .recipe import Recipe

try:
    import fcntl
except ImportError:  # not on Windows: there two runs in one folder are not kept apart
    fcntl = None

_LARGEST = 2**20  # bytes of a recipe
# What a recipe records of a run and may differ when it goes on: compared by hash, or worth a line at most.
_NOT_COMPARED = {"input", "guide", "versions"}
_LEFT_BEHIND = re.compile(r"\..*-[0-9a-f]{8}\.(png|json|npz)")  # atomic_path's names, of a process that was killed


class FrameFolder:
    """A folder of frames, opened for one process at a time; `close` it, or use it in a `with` statement.

    **Arguments:** `folder`: a path, made if its parent is there; `kind`: of the recipe, "zoom" or "video".

    **Attributes:** `folder`; `recipe`: of the run that is in it, `None` if it is empty; `done`: how many frames it has.

    **Raises:** `DreamError` if it cannot be used, if another process is at work there, or if it holds something else.
    """

    def __init__(self, folder, kind):
        self.folder = Path(folder)
        self._kind = kind
        self._lock = None
        self._begun, self.recipe, self.done = False, None, 0
        self._made = not self.folder.exists()
        try:
            self.folder.mkdir(exist_ok=True)
            self._take()
            for name in os.listdir(self.folder):
                if _LEFT_BEHIND.fullmatch(name):
                    (self.folder / name).unlink()
        except FileExistsError:
            raise DreamError(f"{folder} {not_a_folder(folder)} for the frames") from None
        except FileNotFoundError:
            raise DreamError(f"{folder}: the folder {self.folder.parent} does not exist; create it first") from None
        except OSError as error:
            raise DreamError(f"{folder} cannot be written ({error.strerror}); choose another folder") from None
        try:
            self.recipe = self._read_recipe()
            self.done, self.state = self._read_state()
        except DreamError:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Let another process use the folder; one that was made here and holds nothing goes.

        A run without its first frame counts as nothing: there is nothing to go on with.
        """
        if self._begun and not self.done and not self.path(0).exists():
            with contextlib.suppress(OSError):
                self._file("json").unlink()
        if self._made:
            with contextlib.suppress(OSError):  # there is something in it
                self.folder.rmdir()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove(self):
        """Remove the folder, whose frames are no longer needed.

        First the state, last the recipe: whenever the process is killed, what is left can be begun again.
        """
        self._file("npz").unlink(missing_ok=True)
        for path in self.folder.glob("*.png"):
            path.unlink()
        self._file("json").unlink(missing_ok=True)
        shutil.rmtree(self.folder)

    def path(self, index):
        """Where a frame is, or will be."""
        return self.folder / f"{index:05d}.png"

    def paths(self, count=None):
        """The frames in their order, the first `count` of them or all; a `DreamError` if one is missing."""
        paths = [self.path(index) for index in range(self.done if count is None else min(count, self.done))]
        for path in paths:
            if not path.exists():
                raise DreamError(f"{path} is missing: without it the film has a gap; begin again in another folder")
        return paths

    def begin(self, recipe):
        """Begin the run of a complete recipe, or go on with it.

        **Raises:** `DreamError` that names what is different if the folder holds the run of another one.
        """
        if self.recipe is None:
            self._write(self._file("json"), lambda path: path.write_text(recipe.to_json(), encoding="utf-8"))
            self.recipe, self._begun = recipe, True
            return
        for field in fields(Recipe):
            recorded, asked = getattr(self.recipe, field.name), getattr(recipe, field.name)
            if field.name not in _NOT_COMPARED and recorded != asked:
                what = _named(field.name, recorded, asked)
                if self._kind == "video":
                    what = what.replace("picture", "video")
                    raise DreamError(f"{self.folder} holds a video that was begun, with {what}; ask for the same, "
                                     "write to another file, or remove that folder")
                raise DreamError(f"{self.folder} holds another run, with {what}; choose another folder, or ask for the "
                                 "same")

    def save(self, index, image, recipe=None, /, **state):
        """Add the next frame, and with it what is needed to go on behind it.

        **Arguments:** `index`; `image`: (H, W, 3) RGB; `recipe`: to write into the picture; `state`: arrays.

        **Returns:** the frame's path.
        """
        write_image(self.path(index), image, recipe=recipe)

        # In memory first: on a full disk zipfile would print lines of its own.
        packed = io.BytesIO()
        np.savez(packed, index=index, **state)
        self._write(self._file("npz"), lambda path: path.write_bytes(packed.getbuffer()))
        self.done, self.state = index + 1, state
        return self.path(index)

    def _file(self, suffix):
        return self.folder / f"{self._kind}.{suffix}"

    def _write(self, path, write):
        try:
            with atomic_path(path) as temporary:
                write(temporary)
        except OSError as error:
            raise DreamError(f"{path} cannot be written: {error.strerror or error}") from None

    def _take(self):
        if fcntl is None:
            return
        self._lock = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise DreamError(f"{self.folder}: another process is at work in this folder; wait for it, or choose "
                             "another folder") from None
        except OSError:
            pass  # a file system without locks, somewhere on a network

    def _read_recipe(self):
        path = self._file("json")
        check_regular(path, _LARGEST, DreamError)
        if path.exists():
            try:
                return Recipe.from_json(path.read_text(encoding="utf-8", errors="replace"))
            except DreamError as error:
                raise DreamError(f"{path}: {error}") from None
        others = sorted(name for name in os.listdir(self.folder) if re.fullmatch(r"\d{5,}\.png|\w+\.npz", name))
        if others:
            raise DreamError(f"{self.folder} holds {others[0]}, which is not of a {self._kind}; choose another folder")
        return None

    def _read_state(self):
        path = self._file("npz")
        if self.recipe is None or not path.exists():
            return 0, {}
        check_regular(path, math.inf, DreamError)
        try:
            with open(path, "rb") as file:  # np.load leaves it open when it is damaged
                state = dict(np.load(file, allow_pickle=False))
            return int(state.pop("index")) + 1, state
        except Exception:  # zipfile and NumPy raise whatever the damage makes them stumble over
            raise DreamError(f"{path} is damaged; begin again in another folder") from None


def _named(name, recorded, asked):
    """How two recipes differ in one entry, for a person."""
    if name.endswith("_sha256"):
        return {"input_sha256": "another picture", "guide_sha256": "another guide"}.get(name, "other weights")
    if name == "more":
        name = next(key for key in {**recorded, **asked} if recorded.get(key) != asked.get(key))
        recorded, asked = recorded.get(name), asked.get(name)
    return f"{name} {recorded!r} and not {asked!r}"
