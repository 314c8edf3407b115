"""Follows a dream in the worker and tells the page about it.

The central type is `Dreamt`, what is left when it is over. How it ended is told by a pair as `end` makes it: what the
page's event "ended" carries, buffers and values.
"""

import io
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..dream import octave_shapes
from ..image import fit, to_bytes, write_image
from ..making import so_far
from ..recipe import Recipe
from .uploads import next_name
from .worker import STOP, Begun, Ended, Failed, Said, Stepped, stopped_recipe

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


class Watch:
    """Follows one dream.

    **Arguments:** `worker`: a `Worker`; `emit`: tells the page, as `Session.emit`; `stopped`: a `threading.Event` that
    says whether the visitor wants it to stop.
    """

    def __init__(self, worker, emit, stopped):
        self._worker, self._emit, self._stopped = worker, emit, stopped
        self._begun = self._last = self._first = None
        self._shown = 0.0

    def follow(self, job):
        """Have the job dreamt: (a `Dreamt` or `None`, how it ended)."""
        self._worker.send(job)
        try:
            return self._until_end()
        except EOFError:
            return self._died(self._worker.epitaph())

    def _until_end(self):
        told = False
        while True:
            if self._stopped.is_set() and not told:
                if self._begun is None:  # it may be fetching weights, and there is nothing to keep
                    self._worker.end()
                    return None, end("stopped", "Stopped before it began.")
                self._worker.send(STOP)
                told = True
            record = self._worker.receive(0.1)
            if isinstance(record, Failed):
                if record.fresh:
                    self._worker.end()
                return None, end("failed", record.text)
            if isinstance(record, Ended):
                how = "done" if record.recipe.kind == "dream" else "stopped"
                return _kept(record.picture, record.recipe, how)
            if record is not None:
                self._tell(record)

    def _tell(self, record):
        """Tell the page of a record that is not the last."""
        if isinstance(record, Said):
            self._emit("said", text=record.text)
        elif isinstance(record, Begun):
            self._begun, recipe = record, record.recipe
            self._shapes = octave_shapes(*record.picture.shape[:2], recipe.octave_n, recipe.octave_scale)
            self._emit("begun", jpeg(record.picture, SHOWN), size=size_of(record.picture), seed=recipe.seed,
                       octaves=recipe.octave_n, iterations=recipe.iter_n, name=recipe.input)
        elif isinstance(record, Stepped):
            self._step(record)

    def _step(self, step):
        self._last = step
        recipe, now = self._begun.recipe, time.monotonic()
        areas = [height * width for height, width in self._shapes]
        done = recipe.iter_n * sum(areas[:step.octave]) + (step.iteration + 1) * areas[step.octave]
        if self._first is None:  # the first step also makes room in memory: the time is taken from its end
            self._first = done, now
        speed = (done - self._first[0]) / max(now - self._first[1], 1e-3)
        left = (recipe.iter_n * sum(areas) - done) / speed if speed else None
        # L2 and guided objectives are sums over the picture: their mean is comparable from octave to octave.
        value = step.objective / (1 if recipe.objective.get("objective") == "label" else areas[step.octave])
        buffers = []
        if now - self._shown >= _EVERY or step.iteration == recipe.iter_n - 1:
            buffers, self._shown = [jpeg(self._full(quick=True), SHOWN, quality=75)], now
        self._emit("step", *buffers, octave=step.octave, iteration=step.iteration, left=left,
                   objective=value if np.isfinite(value) else None)

    def _full(self, quick=False):
        """The dream so far on the whole picture, float32; `quick`: no larger than the page shows."""
        img = np.float32(self._begun.picture)
        return so_far(fit(img, SHOWN) if quick else img, np.float32(self._last.picture))

    def _died(self, why):
        """The worker is no more: keep what it had dreamt."""
        why = f"{why}. The next dream starts a fresh one."
        if self._last is None:
            return None, end("failed", why)
        recipe = stopped_recipe(self._begun.recipe, self._last.octave, self._last.iteration)
        picture = to_bytes(recipe.blend(np.float32(self._begun.picture), self._full()))
        return _kept(picture, recipe, "died", f"{why} What was dreamt so far is kept.")


def _kept(picture, recipe, how, text=""):
    return Dreamt(picture, recipe), end(how, text, jpeg(picture, SHOWN, quality=90), seed=recipe.seed,
                                        size=size_of(picture), name=next_name(recipe.input))


def end(how, text, *buffers, **more):
    """How a dream ended ("done", "stopped", "failed", or "died" with its process), a line about it, and the rest."""
    return buffers, {"how": how, "text": text, **more}


def jpeg(img, most, quality=85):
    """The bytes of a JPEG of an image, its longer side no more than `most`."""
    file = io.BytesIO()
    Image.fromarray(to_bytes(fit(np.float32(img), most))).save(file, "JPEG", quality=quality)
    return file.getvalue()


def size_of(img):
    """A picture's size as a person reads it."""
    return f"{img.shape[1]}×{img.shape[0]}"
