"""One visitor: what the page asks for, and what it is told.

The central type is `Session`. Messages are dicts with a list of bytes beside them, either way; the page's have a "do",
and each is answered at once: what takes longer runs in a thread, and what it has to say is emitted from there.
"""

import io
import logging
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .. import models
from ..dream import octave_shapes
from ..errors import DreamError, ImageError
from ..fetch import cache_folder, make_folder
from ..image import fit, to_bytes, write_image
from ..recipe import Recipe
from . import settings, thumbnails
from .turns import Turn
from .uploads import Limits, Picture, built_in, check_size, chosen, limits_for_page, next_name, uploaded
from .worker import STOP, Begun, Ended, Failed, Job, Said, Stepped, Worker, stopped_recipe, whole

log = logging.getLogger(__name__)

SHOWN = 1200  # pixels: the longer side of what is sent to the page
_EVERY = 0.12  # seconds at least between two live pictures


@dataclass(frozen=True)
class Dreamt:
    """A finished or stopped dream: its picture, uint8 (H, W, 3), and its recipe."""

    picture: np.ndarray
    recipe: Recipe

    def file(self, suffix):
        """The bytes of a file of this suffix, with the recipe inside."""
        with tempfile.TemporaryDirectory(prefix="deepdream-") as folder:
            path = Path(folder) / f"dream{suffix}"
            write_image(path, self.picture, recipe=self.recipe)
            return path.read_bytes()


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
            if name not in ("open", "choose", "upload", "unguide", "dream", "stop", "download"):
                raise DreamError(f"the page asked for {name!r}, which there is not")
            getattr(self, f"_{name}")(message, buffers)
        except DreamError as error:
            self.emit("refused", text=str(error), about=message.get("for") if isinstance(message, dict) else None)

    def close(self):
        """End what runs."""
        self._stopped.set()
        if self._worker:
            self._worker.end()

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
        check_size(name, max(1, len(data)), self.limits)
        if len(data) < size:
            self.emit("more", have=len(data), **{"for": which})
            return
        self._take(which, uploaded(name, self._uploads.pop(which), self.limits))

    def _take(self, which, picture):
        """Show a picture, and dream on it or let it guide from now on."""
        self._asked[_slot(which)] += 1
        self._in_thread(self._taken, which, picture, self._asked[which])

    def _taken(self, which, picture, asked):
        try:
            img = picture.read()
            # Only a file can hold a recipe, and only the picture's settings are taken, not the guide's.
            found = self._settings_in(picture) if which == "picture" and picture.data else {}
        except DreamError as error:
            self.emit("refused", text=str(error), **{"for": which})
            return
        if self._asked[which] != asked:
            return
        most = self.limits.side if which == "picture" else self.limits.guide_side
        small = fit(img, most)
        note = f"scaled down to {_size(small)}, the largest here" if small.shape != img.shape else ""
        if which == "picture":
            self._picture = picture
        else:
            self._guide = picture
        self.emit("picture", jpeg(small, SHOWN if which == "picture" else 240), name=picture.name, size=_size(img),
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
            with Turn(make_folder(cache_folder() / "playground") or cache_folder() / "playground") as turn:
                told = None
                while (ahead := turn.ahead()) and not self._stopped.wait(0.2):
                    if ahead != told:
                        self.emit("waiting", ahead=ahead)
                        told = ahead
                if self._stopped.is_set():
                    self.emit("ended", how="stopped", text="You left the queue.")
                    return
                _Watch(self, job).run()
        except Exception as error:  # whatever it is, the visitor must not wait for ever
            log.debug("a dream failed", exc_info=True)
            self.emit("ended", how="failed", text=f"{error}" if isinstance(error, DreamError)
                      else f"{type(error).__name__}: {error}")
        finally:
            self._dreaming.release()

    def _download(self, message, buffers):
        if self._dreamt is None:
            raise DreamError("there is no dream to download yet")
        suffix = ".jpg" if message.get("kind") == "jpg" else ".png"
        name = next_name(self._dreamt.recipe.input).removesuffix(".png") + suffix
        self._in_thread(lambda dreamt: self.emit("download", dreamt.file(suffix), name=name), self._dreamt)

    def _in_thread(self, function, *arguments):
        threading.Thread(target=function, args=arguments, daemon=True).start()


class _Watch:
    """Follows one dream in the worker and tells the page."""

    def __init__(self, session, job):
        self._session, self._job = session, job
        self._begun = self._last = None
        self._shown = 0.0

    def run(self):
        """Have the job dreamt, by the worker that is there or a fresh one."""
        session = self._session
        session.emit("begins", text="Waking the network …")
        if session._worker is None or not session._worker.alive():
            session._worker = Worker()
        try:
            self._follow(session._worker)
        except EOFError:
            self._died(session._worker.epitaph())

    def _follow(self, worker):
        worker.send(self._job)
        told = False
        while True:
            if self._session._stopped.is_set() and not told:
                if self._begun is None:  # it may be fetching weights, and there is nothing to keep
                    worker.end()
                    self._session.emit("ended", how="stopped", text="Stopped before it began.")
                    return
                worker.send(STOP)
                told = True
            record = worker.receive(0.1)
            if record is not None and self._take(record):
                if isinstance(record, Failed) and record.fresh:
                    worker.end()
                return

    def _take(self, record):
        """Tell the page of a record; whether it was the last one."""
        session = self._session
        if isinstance(record, Said):
            session.emit("said", text=record.text)
        elif isinstance(record, Begun):
            self._begun, self._start = record, time.monotonic()
            recipe, img = record.recipe, record.picture
            self._shapes = octave_shapes(*img.shape[:2], recipe.octave_n, recipe.octave_scale)
            session.emit("begun", jpeg(img, SHOWN), size=_size(img), seed=recipe.seed, octaves=recipe.octave_n,
                         iterations=recipe.iter_n, name=recipe.input)
        elif isinstance(record, Stepped):
            self._step(record)
        elif isinstance(record, Failed):
            session.emit("ended", how="failed", text=record.text)
        elif isinstance(record, Ended):
            self._keep(record.picture, record.recipe, "done" if record.recipe.kind == "dream" else "stopped")
        return isinstance(record, (Failed, Ended))

    def _step(self, step):
        self._last = step
        recipe, now = self._begun.recipe, time.monotonic()
        areas = [height * width for height, width in self._shapes]
        done = recipe.iter_n * sum(areas[:step.octave]) + (step.iteration + 1) * areas[step.octave]
        left = (now - self._start) * (recipe.iter_n * sum(areas) / done - 1)
        # L2 and guided objectives are sums over the picture: their mean is comparable from octave to octave.
        value = step.objective / (1 if recipe.objective.get("objective") == "label" else areas[step.octave])
        buffers = []
        if now - self._shown >= _EVERY or step.iteration == recipe.iter_n - 1:
            buffers, self._shown = [jpeg(self._full(quick=True), SHOWN, quality=75)], now
        self._session.emit("step", *buffers, octave=step.octave, iteration=step.iteration, left=left,
                           objective=value if np.isfinite(value) else None)

    def _full(self, quick=False):
        """The dream so far on the whole picture, float32; `quick`: no larger than the page shows."""
        img = np.float32(self._begun.picture)
        return whole(fit(img, SHOWN) if quick else img, np.float32(self._last.picture))

    def _died(self, why):
        """The worker is no more: keep what it had dreamt."""
        why = f"{why}. The next dream starts a fresh one."
        if self._last is None:
            self._session.emit("ended", how="failed", text=why)
            return
        recipe = stopped_recipe(self._begun.recipe, self._last.octave, self._last.iteration)
        img = np.float32(self._begun.picture)
        self._keep(to_bytes(recipe.blend(img, self._full())), recipe, "died", f"{why} What was dreamt so far is kept.")

    def _keep(self, picture, recipe, how, text=""):
        self._session._dreamt = Dreamt(picture, recipe)
        self._session.emit("ended", jpeg(picture, SHOWN, quality=90), how=how, text=text, seed=recipe.seed,
                           size=_size(picture), name=next_name(recipe.input))


def jpeg(img, most, quality=85):
    """The bytes of a JPEG of an image, its longer side no more than `most`."""
    file = io.BytesIO()
    Image.fromarray(to_bytes(fit(np.float32(img), most))).save(file, "JPEG", quality=quality)
    return file.getvalue()


def _size(img):
    return f"{img.shape[1]}×{img.shape[0]}"


def _slot(which):
    if which not in ("picture", "guide"):
        raise DreamError(f"the page has no place for {which!r}")
    return which
