"""Reads the images of one visitor, one at a time; the central type is `ImageReader`.

Files are decoded in a separate process (`decoder`). A few such processes may run on a machine at a time, for all
visitors together; the others wait in a queue.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from ..data.cache import cache_folder, make_folder
from .decoder import Decoded, Decoding, decode
from .dream_queue import QueueSlot
from .images import MAX_SHOWN_SIDE
from .uploads import Limits, Picture

MAX_DECODINGS = 2  # on a machine at a time
_SHOWN_SIDES = {"picture": MAX_SHOWN_SIDE, "guide": 240}  # pixels
_POLL_S = 0.1


class ImageReader:
    """Reads images in a thread, one at a time. A newer image for the same role replaces an older one.

    Args:
        limits: the limits of the page.
        ready: called with the role, the picture and the decoded image, unless a newer picture has replaced it.
        failed: called with the error instead.
    """

    def __init__(
        self,
        limits: Limits,
        ready: Callable[[str, Picture, Decoded], Any],
        failed: Callable[[Exception], Any],
    ) -> None:
        self._sides = {"picture": limits.side, "guide": limits.guide_side}
        self._ready, self._failed = ready, failed
        self._lock = threading.RLock()
        self._waiting: dict[str, Picture] = {}
        self._role: str | None = None  # of the picture that is being read; `None` once it is replaced
        self._decoding: Decoding | None = None
        self._running = False

    def read(self, role: str, picture: Picture) -> None:
        """Read a picture for a role, "picture" or "guide"."""
        with self._lock:
            self.cancel(role)
            self._waiting[role] = picture
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, daemon=True).start()

    def cancel(self, role: str) -> None:
        """Forget the picture that is read for a role, if there is one."""
        with self._lock:
            self._waiting.pop(role, None)
            if self._role == role:
                self._role = None
                if self._decoding is not None:
                    self._decoding.cancel()

    def _run(self) -> None:
        while True:
            with self._lock:
                self._role = next(iter(self._waiting), None)
                if self._role is None:
                    self._running = False
                    return
                role, picture = self._role, self._waiting.pop(self._role)
            try:
                self._tell(self._ready, role, picture, self._read(role, picture))
            except Exception as error:  # of any class: the visitor must be told
                with contextlib.suppress(Exception):  # or cannot be told, and the next image is read all the same
                    self._tell(self._failed, error)

    def _tell(self, callback: Callable[..., Any], *arguments: Any) -> None:
        if self._role is not None:  # else it was replaced
            callback(*arguments)

    def _read(self, role: str, picture: Picture) -> Decoded | None:
        """Read a picture; `None` if it was replaced while it waited."""
        sides = self._sides[role], _SHOWN_SIDES[role]
        if picture.data is None:  # bundled, and small
            return decode(picture, *sides)
        folder = cache_folder() / "playground" / "decoding"
        make_folder(folder)
        with QueueSlot(folder) as slot:
            while slot.ahead() >= MAX_DECODINGS:
                if self._role is None:
                    return None
                time.sleep(_POLL_S)
            with self._lock:
                if self._role is None:
                    return None
                self._decoding = Decoding(picture, *sides)
            try:
                return self._decoding.result()
            finally:
                self._decoding = None
