"""One visitor: answers the page's requests, and reports events to it.

The central type is `Session`. Messages in both directions are dicts with a list of bytes. A request has a "do" and
is answered at once: longer work runs in a thread, which emits events.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from ..data.cache import cache_folder, make_folder
from ..errors import DreamError, ImageError
from ..io.arrays import format_size
from ..recipes.recipe import Recipe
from ..zoo.registry import find_model, model_names
from .decoder import Decoded
from .dream_queue import QueueSlot
from .form import default_form, form_of, models_for_page, numbers_for_page, recipe_of
from .image_reader import ImageReader
from .progress import EndReport, ProgressWatcher, Result, follow_trial
from .records import Job, Trial
from .thumbnails import picture_choices
from .uploads import (
    Limits,
    Picture,
    built_in,
    check_size,
    chosen,
    clean_name,
    limits_for_page,
    next_name,
    painted,
    uploaded,
)
from .worker import Worker

log = logging.getLogger(__name__)

_REQUESTS = ("open", "choose", "upload", "unguide", "dream", "try", "stop", "download", "leave")
Message = dict[str, Any]


class Session:
    """The behaviour of one page of the playground.

    Args:
        emit: sends the page an event; called with a dict and a list of bytes, from several threads, one at a time.
        limits: the limits of a visitor; `None`: those of `Limits()`.

    Attributes:
        limits: as above.
    """

    def __init__(self, emit: Callable[[Message, list[bytes]], Any], limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._send, self._sending = emit, threading.Lock()
        self._picture: Picture | None = None
        self._guide: Picture | None = None
        self._result: Result | None = None
        self._worker: Worker | None = None
        self._uploads: dict[str, bytearray] = {}
        self._dreaming, self._stopped = threading.Lock(), threading.Event()
        self._downloading = threading.Lock()
        self._reader = ImageReader(self.limits, self._show_picture, self._refuse)

    def emit(self, event: str, *buffers: bytes, **values: Any) -> None:
        """Tell the page about an event.

        Args:
            event: its name; the page has a function for each.
            buffers: images or files.
            values: values that JSON can hold.
        """
        with self._sending:
            self._send(_encodable({"event": event, **values}), list(buffers))

    def handle(self, message: Any, buffers: Sequence[Any] = ()) -> None:
        """Answer a request of the page; a wrong one is answered with the event "refused".

        Args:
            message: a dict with the request's name as "do"; anything else is wrong.
            buffers: bytes-like objects.
        """
        try:
            name = message.get("do") if isinstance(message, dict) else None
            if name not in _REQUESTS:
                raise DreamError(f"unknown request {name!r}")
            getattr(self, f"_{name}")(message, buffers)
        except DreamError as error:
            self.emit("refused", text=str(error))

    def close(self) -> None:
        """End the worker, and forget the visitor's images."""
        self._stopped.set()
        self._uploads.clear()
        for role in ("picture", "guide"):
            self._reader.cancel(role)
        self._picture = self._guide = self._result = None
        if self._worker:
            self._worker.end()

    def _leave(self, message: Message, buffers: Sequence[Any]) -> None:
        self.close()

    def _open(self, message: Message, buffers: Sequence[Any]) -> None:
        """The page was opened: send it all choices."""
        self.emit(
            "setup",
            limits=limits_for_page(self.limits),
            form=default_form(self.limits),
            numbers=numbers_for_page(self.limits),
            pictures=picture_choices(built_in()),
            models=models_for_page(),
        )
        self._choose({"name": built_in()[0], "for": "picture"}, ())

    def _choose(self, message: Message, buffers: Sequence[Any]) -> None:
        self._set_picture(message.get("for"), chosen(message.get("name"), self.limits))

    def _unguide(self, message: Message, buffers: Sequence[Any]) -> None:
        self._reader.cancel("guide")
        self._guide = None

    def _upload(self, message: Message, buffers: Sequence[Any]) -> None:
        """Take a piece of a file. The page sends the next one when this one is acknowledged."""
        role, name = _check_role(message.get("for")), message.get("name")
        size: Any = message.get("size")
        check_size(name, size, self.limits)
        if message.get("first"):
            self._uploads[role] = bytearray()
        data = self._uploads.get(role)
        if data is None:
            return
        data += b"".join(bytes(buffer) for buffer in buffers)
        if len(data) > size:
            del self._uploads[role]
            raise ImageError(f"{clean_name(name)} is larger than announced; choose it again")
        if len(data) < size:
            self.emit("more", have=len(data), **{"for": role})
            return
        self._set_picture(role, uploaded(name, self._uploads.pop(role), self.limits))

    def _set_picture(self, role: Any, picture: Picture) -> None:
        """Show an image, and dream on it or use it as the guide from now on."""
        self._reader.read(_check_role(role), picture)

    def _show_picture(self, role: str, picture: Picture, decoded: Decoded) -> None:
        # Only the settings of the image to dream on are restored, not those of the guide.
        found = self._settings_in(decoded.text) if role == "picture" and decoded.text else {}
        height, width = decoded.fitted
        scaled = decoded.fitted != decoded.shape
        if role == "picture":
            self._picture = picture
        else:
            self._guide = picture
        self.emit(
            "picture",
            decoded.jpeg,
            name=picture.name,
            size=format_size(decoded.shape),
            width=width,
            height=height,
            note=f"scaled down to {format_size(decoded.fitted)}, the largest size here" if scaled else "",
            uploaded=picture.data is not None,
            **found,
            **{"for": role},
        )

    def _settings_in(self, text: str) -> Message:
        """The form of a file's recipe and the notes about it; empty if it is not a recipe."""
        try:
            recipe = Recipe.from_json(text)
            form, notes = form_of(recipe, self.limits)
        except (DreamError, ArithmeticError, AttributeError, RecursionError, TypeError, ValueError):
            return {}  # a made-up one
        origin = recipe.input if recipe.input in built_in() else None
        return {"form": form, "notes": notes, "origin": origin, "made_from": recipe.input[:80]}

    def _stop(self, message: Message, buffers: Sequence[Any]) -> None:
        self._stopped.set()

    def _dream(self, message: Message, buffers: Sequence[Any]) -> None:
        if not isinstance(message.get("form"), dict):
            raise DreamError("the page sent no settings")
        picture = self._picture
        if message.get("again") and self._result:
            picture = Picture(next_name(self._result.recipe.input), self._result.file(".png"))
        if picture is None:
            raise ImageError("no image is chosen; choose one first")
        guide, painting = self._guide, b"".join(bytes(buffer) for buffer in buffers)
        mask = painted(painting, self.limits) if painting else None
        self._begin(Job(recipe_of(message["form"], picture, guide, self.limits, mask), picture, guide, mask))

    def _try(self, message: Message, buffers: Sequence[Any]) -> None:
        """Try each main layer of a model on the visitor's image."""
        if self._picture is None:
            raise ImageError("no image is chosen; choose one first")
        if message.get("model") not in model_names():
            raise DreamError(f"there is no model {str(message.get('model'))[:80]!r} on this page")
        self._begin(Trial(message["model"], list(find_model(message["model"]).ladder), self._picture))

    def _begin(self, job: Job | Trial) -> None:
        if not self._dreaming.acquire(blocking=False):
            raise DreamError("one dream at a time: stop this one first")
        self._stopped.clear()
        self._in_thread(self._dream_and_report, job)

    def _dream_and_report(self, job: Job | Trial) -> None:
        try:
            report = self._queue_and_dream(job)
        except Exception as error:  # of any class: the visitor must not wait for ever
            report = EndReport("failed", _describe_error(error))
        self._dreaming.release()
        self.emit("ended", *report.buffers, how=report.how, text=report.text, **report.values)

    def _queue_and_dream(self, job: Job | Trial) -> EndReport:
        """Wait in the queue, and dream."""
        folder = cache_folder() / "playground"
        make_folder(folder)
        with QueueSlot(folder) as slot:
            shown = None
            while (ahead := slot.ahead()) and not self._stopped.is_set():
                if ahead != shown:
                    self.emit("waiting", ahead=ahead)
                    shown = ahead
                self._stopped.wait(0.2)
            if self._stopped.is_set():
                return EndReport("stopped", "You left the queue.")
            return self._dream_in_worker(job)

    def _dream_in_worker(self, job: Job | Trial) -> EndReport:
        """Let the worker dream a job; start a new worker if there is none."""
        self.emit("begins", text="Loading the network …")
        if self._worker is None or not self._worker.alive():
            self._worker = Worker()
        if isinstance(job, Trial):
            return follow_trial(self._worker, self.emit, self._stopped, self.limits.seconds, job)
        result, report = ProgressWatcher(self._worker, self.emit, self._stopped, self.limits.seconds).follow(job)
        self._result = result or self._result
        return report

    def _download(self, message: Message, buffers: Sequence[Any]) -> None:
        result = self._result
        if result is None:
            raise DreamError("there is no dream to download yet")
        suffix = ".jpg" if message.get("kind") == "jpg" else ".png"
        name = next_name(result.recipe.input).removesuffix(".png") + suffix
        if not self._downloading.acquire(blocking=False):
            raise DreamError("one download at a time: wait for the other one")

        def send() -> None:
            try:
                self.emit("download", result.file(suffix), name=name)
            finally:
                self._downloading.release()

        self._in_thread(send)

    def _refuse(self, error: Exception) -> None:
        """Tell the page of an error."""
        self.emit("refused", text=_describe_error(error))

    def _in_thread(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function in a thread; the page is told of any error."""

        def run() -> None:
            try:
                function(*arguments)
            except Exception as error:
                self._refuse(error)

        threading.Thread(target=run, daemon=True).start()


def _describe_error(error: Exception) -> str:
    """The message of an error for the visitor."""
    log.debug("told the page", exc_info=error)
    return str(error) if isinstance(error, DreamError) else f"{type(error).__name__}: {error}"


def _check_role(role: Any) -> str:
    """The role of an image, "picture" or "guide"."""
    if role not in ("picture", "guide"):
        raise DreamError(f"unknown role {role!r}")
    return role


def _encodable(value: Any) -> Any:
    """A value with question marks where its texts have what UTF-8 cannot encode; a visitor's file may hold anything."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    return [_encodable(each) for each in value] if isinstance(value, (list, tuple)) else value
