"""One visitor: what the page asks for, and what it is told.

The central type is `Session`. Messages are dicts with a list of bytes beside them, either way; the page's have a "do",
and each is answered at once: what takes longer runs in a thread, and what it has to say is emitted from there.
"""

import io
import logging
import threading

from .. import models
from ..errors import DreamError, ImageError
from ..fetch import cache_folder, make_folder
from ..image import fit
from ..recipe import Recipe
from . import settings, thumbnails
from .turns import Turn
from .uploads import (
    Limits,
    Picture,
    built_in,
    check_size,
    chosen,
    clean_name,
    limits_for_page,
    next_name,
    uploaded,
)
from .watch import SHOWN, Watch, end, jpeg, size_of
from .worker import Job, Worker

log = logging.getLogger(__name__)


class Session:
    """What one page of the playground does.

    **Arguments:** `emit`: a function of a dict and a list of bytes that tells the page something, called from several
    threads, one at a time; `limits`: a `Limits`.
    """

    def __init__(self, emit, limits=None):
        self.limits = limits or Limits()
        self._send, self._sending = emit, threading.Lock()
        self._picture = self._guide = self._dreamt = self._worker = None
        self._uploads = {}
        self._dreaming, self._stopped = threading.Lock(), threading.Event()
        self._asked = {"picture": 0, "guide": 0}  # so that of two choices the later one stays

    def emit(self, event, *buffers, **more):
        """Tell the page."""
        with self._sending:
            self._send({"event": event, **more}, list(buffers))

    def handle(self, message, buffers=()):
        """Do what the page asks for; what is wrong with it is told to the page."""
        try:
            name = message.get("do") if isinstance(message, dict) else None
            if name not in ("open", "choose", "upload", "unguide", "dream", "stop", "download", "leave"):
                raise DreamError(f"the page asked for {name!r}, which there is not")
            getattr(self, f"_{name}")(message, buffers)
        except DreamError as error:
            self.emit("refused", text=str(error))

    def close(self):
        """End what runs, and forget the visitor's pictures."""
        self._stopped.set()
        self._picture = self._guide = self._dreamt = None
        if self._worker:
            self._worker.end()

    def _leave(self, message, buffers):
        self.close()

    def _open(self, message, buffers):
        """The page is there: tell it everything that can be chosen."""
        found = [models.find_model(name) for name in models.model_names()]
        self.emit("setup", limits=limits_for_page(self.limits), form=settings.default_form(self.limits),
                  numbers=settings.described(self.limits), pictures=thumbnails.of_pictures(built_in()),
                  models=[{"name": model.name, "title": model.title, "end": model.end, "labels": model.labels,
                           "here": bool(models.local_weights(model)), "ladder": thumbnails.ladder(model)}
                          for model in found])
        self._choose({"name": built_in()[0], "for": "picture"}, ())

    def _choose(self, message, buffers):
        self._take(message.get("for"), chosen(message.get("name"), self.limits))

    def _unguide(self, message, buffers):
        self._asked["guide"] += 1
        self._guide = None

    def _upload(self, message, buffers):
        """A piece of a file. The page sends the next one when this one is acknowledged."""
        which, name, size = _slot(message.get("for")), message.get("name"), message.get("size")
        check_size(name, size, self.limits)
        if message.get("first"):
            self._uploads[which] = bytearray()
        data = self._uploads.get(which)
        if data is None:
            return
        data += b"".join(bytes(buffer) for buffer in buffers)
        if len(data) > size:
            del self._uploads[which]
            raise ImageError(f"{clean_name(name)} has more bytes than were announced; choose it again")
        if len(data) < size:
            self.emit("more", have=len(data), **{"for": which})
            return
        self._take(which, uploaded(name, self._uploads.pop(which), self.limits))

    def _take(self, which, picture):
        """Show a picture, and dream on it or let it guide from now on."""
        self._asked[_slot(which)] += 1
        self._in_thread(self._taken, which, picture, self._asked[which])

    def _taken(self, which, picture, asked):
        img = picture.read()
        # Only a file can hold a recipe, and only the picture's settings are taken, not the guide's.
        found = self._settings_in(picture) if which == "picture" and picture.data else {}
        if self._asked[which] != asked:
            return
        most = self.limits.side if which == "picture" else self.limits.guide_side
        small = fit(img, most)
        note = f"scaled down to {size_of(small)}, the largest here" if small.shape != img.shape else ""
        if which == "picture":
            self._picture = picture
        else:
            self._guide = picture
        self.emit("picture", jpeg(small, SHOWN if which == "picture" else 240), name=picture.name, size=size_of(img),
                  width=small.shape[1], height=small.shape[0], note=note, uploaded=picture.data is not None, **found,
                  **{"for": which})

    def _settings_in(self, picture):
        """The form and what to say about it, if the file was dreamt."""
        try:
            recipe = Recipe.from_image(io.BytesIO(picture.data))
            form, notes = settings.form_of(recipe, self.limits)
        except (DreamError, ArithmeticError, AttributeError, RecursionError, TypeError, ValueError):
            return {}  # there is none in it, or one that somebody made up
        origin = recipe.input if recipe.input in built_in() else None
        return {"form": form, "notes": notes, "origin": origin, "made_from": recipe.input[:80]}

    def _stop(self, message, buffers):
        self._stopped.set()

    def _dream(self, message, buffers):
        if not isinstance(message.get("form"), dict):
            raise DreamError("the page sent no settings")
        picture = self._picture
        if message.get("again") and self._dreamt:
            picture = Picture(next_name(self._dreamt.recipe.input), self._dreamt.file(".png"))
        if picture is None:
            raise ImageError("there is no picture yet; choose one first")
        guide = self._guide
        job = Job(settings.recipe_of(message["form"], picture, guide, self.limits), picture, guide)
        if not self._dreaming.acquire(blocking=False):
            raise DreamError("one dream at a time: stop this one first")
        self._stopped.clear()
        self._in_thread(self._dream_in_turn, job)

    def _dream_in_turn(self, job):
        try:
            ended = self._turn(job)
        except Exception as error:  # whatever it is, the visitor must not wait for ever
            ended = end("failed", _said(error))
        self._dreaming.release()
        self.emit("ended", *ended[0], **ended[1])

    def _turn(self, job):
        """Wait for the turn, and dream; how it ended."""
        queue = cache_folder() / "playground"
        make_folder(queue)
        with Turn(queue) as turn:
            told = None
            while (ahead := turn.ahead()) and not self._stopped.is_set():
                if ahead != told:
                    self.emit("waiting", ahead=ahead)
                    told = ahead
                self._stopped.wait(0.2)
            if self._stopped.is_set():
                return end("stopped", "You left the queue.")
            return self._watch(job)

    def _watch(self, job):
        """Have a job dreamt, by the worker that is there or a fresh one; how it ended."""
        self.emit("begins", text="Waking the network …")
        if self._worker is None or not self._worker.alive():
            self._worker = Worker()
        dreamt, ended = Watch(self._worker, self.emit, self._stopped).follow(job)
        self._dreamt = dreamt or self._dreamt
        return ended

    def _download(self, message, buffers):
        if self._dreamt is None:
            raise DreamError("there is no dream to download yet")
        suffix = ".jpg" if message.get("kind") == "jpg" else ".png"
        name = next_name(self._dreamt.recipe.input).removesuffix(".png") + suffix
        self._in_thread(lambda dreamt: self.emit("download", dreamt.file(suffix), name=name), self._dreamt)

    def _in_thread(self, function, *arguments):
        """Call a function beside; whatever goes wrong in it, the page is told."""
        def run():
            try:
                function(*arguments)
            except Exception as error:
                self.emit("refused", text=_said(error))
        threading.Thread(target=run, daemon=True).start()


def _said(error):
    """An error as the visitor is told of it."""
    log.debug("told the page", exc_info=error)
    return str(error) if isinstance(error, DreamError) else f"{type(error).__name__}: {error}"


def _slot(which):
    if which not in ("picture", "guide"):
        raise DreamError(f"the page has no place for {which!r}")
    return which
