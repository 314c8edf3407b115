"""Follows a dream in the worker and tells the page about it.

The central types are `Result`, the outcome of a dream, and `EndReport`, the report about it to the page.
"""

from __future__ import annotations

import math
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .._types import Image
from ..io.arrays import format_size, to_uint8
from ..io.image import write_image
from ..octaves import octave_shapes
from ..preview import FullSizePreview
from ..recipes.recipe import Recipe
from .images import MAX_SHOWN_SIDE, jpeg
from .records import STOP, Begun, Ended, Failed, Job, LogLine, Pixels, Stepped, Trial, Tried
from .uploads import next_name
from .worker import Worker, stopped_recipe

_MIN_INTERVAL_S = 0.12  # between two live images
_MAX_SHARE = 0.25  # the share of the time that live images may use
_STOP_TIMEOUT_S = 60  # for the step that is being dreamt when the dream is stopped


class Emit(Protocol):
    """A function that tells the page about an event; `Session.emit` is one."""

    def __call__(self, event: str, *buffers: bytes, **values: Any) -> None: ...


@dataclass(frozen=True)
class Result:
    """A finished or stopped dream.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        recipe: the recipe of the image, complete.
    """

    image: Pixels
    recipe: Recipe

    def file(self, suffix: str) -> bytes:
        """The bytes of a file of this suffix, with the recipe inside."""
        with tempfile.TemporaryDirectory(prefix="deepdream-") as folder:
            path = Path(folder) / f"dream{suffix}"
            write_image(path, self.image, recipe=self.recipe)
            return path.read_bytes()


@dataclass(frozen=True)
class EndReport:
    """How a dream ended: the content of the page's event "ended".

    Attributes:
        how: "done", "stopped", "failed", or "died" with its process.
        text: a line for the visitor, or "".
        buffers: a JPEG of the result, if there is one.
        values: its seed, size and name.
    """

    how: str
    text: str = ""
    buffers: tuple[bytes, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


class ProgressWatcher:
    """Follows one dream.

    Args:
        worker: the process that dreams it.
        emit: tells the page about events.
        stopped: is set when the visitor stops the dream.
        seconds: the time limit; the dream is stopped after that time.
    """

    def __init__(self, worker: Worker, emit: Emit, stopped: threading.Event, seconds: float) -> None:
        self._worker, self._emit, self._stopped, self._seconds = worker, emit, stopped, seconds
        self._dream: _Progress | None = None

    def follow(self, job: Job) -> tuple[Result | None, EndReport]:
        """Let the worker dream a job.

        Returns:
            (result, report); the result is `None` if nothing was dreamt.
        """
        self._worker.send(job)
        try:
            return self._follow_records()
        except EOFError:
            return self._keep_what_was_dreamt(self._worker.exit_reason())

    def _follow_records(self) -> tuple[Result | None, EndReport]:
        end = time.monotonic() + self._seconds  # of fetching and loading the network, at first
        kill_time = math.inf
        text = ""  # why the dream was stopped, if not by the visitor
        while True:
            now = time.monotonic()
            if (self._stopped.is_set() or now > end) and kill_time == math.inf:
                if not self._stopped.is_set():
                    text = f"A dream may take {self._seconds:g} s here."
                if self._dream is None:  # it may be fetching weights, and there is no result to keep
                    self._worker.end()
                    return None, EndReport("stopped", text or "Stopped before it began.")
                self._worker.send(STOP)
                kill_time = now + _STOP_TIMEOUT_S
            if now > kill_time:
                self._worker.end()
                return self._keep_what_was_dreamt(text or "The dream did not stop by itself")
            record = self._worker.receive(0.1)
            if isinstance(record, Failed):
                if record.needs_restart:
                    self._worker.end()
                return None, EndReport("failed", record.text)
            if isinstance(record, Ended):
                how = "done" if record.recipe.kind == "dream" else "stopped"
                return _result(record.image, record.recipe, how, text if how == "stopped" else "")
            if isinstance(record, LogLine):
                self._emit("said", text=record.text)
            elif isinstance(record, Begun):
                end = time.monotonic() + self._seconds
                self._dream = _Progress(record, self._emit)
            elif isinstance(record, Stepped) and self._dream is not None:
                self._dream.show(record)

    def _keep_what_was_dreamt(self, reason: str) -> tuple[Result | None, EndReport]:
        """The worker has ended: keep what it had dreamt by then."""
        text = f"{reason.rstrip('.')}. The next dream starts a new worker."
        if self._dream is None or self._dream.last is None:
            return None, EndReport("failed", text)
        image, recipe = self._dream.stopped_dream(self._dream.last)
        return _result(image, recipe, "died", f"{text} The dream so far is kept.")


def follow_trial(worker: Worker, emit: Emit, stopped: threading.Event, seconds: float, trial: Trial) -> EndReport:
    """Let the worker try layers, and tell the page of each.

    Args:
        worker: see `ProgressWatcher`.
        emit: see `ProgressWatcher`.
        stopped: see `ProgressWatcher`.
        seconds: see `ProgressWatcher`; a worker that does not stop in this time is ended.
        trial: the layers and the image.
    """
    worker.send(trial)
    end, asked, done = time.monotonic() + seconds, False, 0
    try:
        while True:
            if (stopped.is_set() or time.monotonic() > end) and not asked:
                worker.send(STOP)
                asked, end = True, time.monotonic() + _STOP_TIMEOUT_S
            if asked and time.monotonic() > end:
                worker.end()
            record = worker.receive(0.1)
            if isinstance(record, Failed):
                if record.needs_restart:
                    worker.end()
                return EndReport("failed", record.text)
            if isinstance(record, LogLine):
                emit("said", text=record.text)
            elif isinstance(record, Tried):
                if record.image is None:
                    return EndReport("tried", values={"done": done})
                done += 1
                emit("tried", jpeg(record.image, MAX_SHOWN_SIDE), layer=record.layer, done=done, all=len(trial.layers))
    except EOFError:
        return EndReport("failed", f"{worker.exit_reason().rstrip('.')}. The next dream starts a new worker.")


class _Progress:
    """The progress of one dream since its `Begun`."""

    def __init__(self, begun: Begun, emit: Emit) -> None:
        self._emit, self._begun, self._recipe = emit, begun, begun.recipe
        objective = begun.recipe.objective
        self._is_label = isinstance(objective, Mapping) and objective.get("objective") == "label"
        height, width = begun.image.shape[:2]
        shapes = octave_shapes(height, width, self._recipe.octave_n, self._recipe.octave_scale)
        self._areas = [height * width for height, width in shapes]
        self._preview = FullSizePreview(np.float32(begun.image), shapes, begun.mask)
        self._first: tuple[int, float] | None = None  # the work done and the time after the first step
        self._next_image_time = 0.0
        self.last: Stepped | None = None
        emit(
            "begun",
            jpeg(begun.image, MAX_SHOWN_SIDE),
            size=format_size(begun.image.shape),
            seed=self._recipe.seed,
            octaves=self._recipe.octave_n,
            iterations=self._recipe.iter_n,
            name=self._recipe.input,
        )

    def show(self, step: Stepped) -> None:
        """Tell the page of a step, with an image if it is time for one."""
        self.last = step
        recipe, now = self._recipe, time.monotonic()
        # L2 and guided objectives are sums over the image, so only their mean can be compared between octaves.
        area = 1 if self._is_label else self._areas[step.octave]
        value = step.objective / area
        left = self._seconds_left(step, now)
        buffers = []
        if now >= self._next_image_time or step.iteration == recipe.iter_n - 1:
            buffers = [jpeg(self._at_full_size(step), MAX_SHOWN_SIDE, quality=75)]
            took = time.monotonic() - now
            self._next_image_time = now + max(_MIN_INTERVAL_S, took / _MAX_SHARE)
        self._emit(
            "step",
            *buffers,
            octave=step.octave,
            iteration=step.iteration,
            left=left,
            objective=value if np.isfinite(value) else None,
        )

    def _seconds_left(self, step: Stepped, now: float) -> float | None:
        """The time that the remaining steps will take; `None` after the first step.

        The work of a step is estimated as its octave's number of pixels.
        """
        areas, iter_n = self._areas, self._recipe.iter_n
        done = iter_n * sum(areas[: step.octave]) + (step.iteration + 1) * areas[step.octave]
        if self._first is None:  # the first step also allocates memory, so the time is measured from its end
            self._first = done, now
        speed = (done - self._first[0]) / max(now - self._first[1], 1e-3)
        return (iter_n * sum(areas) - done) / speed if speed else None

    def stopped_dream(self, step: Stepped) -> tuple[Pixels, Recipe]:
        """(image, recipe) of the dream as if it had been stopped after this step."""
        recipe = stopped_recipe(self._recipe, step.octave, step.iteration)
        return to_uint8(recipe.blend(np.float32(self._begun.image), self._at_full_size(step))), recipe

    def _at_full_size(self, step: Stepped) -> Image:
        return self._preview.of(np.float32(step.image), step.octave)


def _result(image: Pixels, recipe: Recipe, how: str, text: str = "") -> tuple[Result, EndReport]:
    """A result, and the report that shows it."""
    values = {"seed": recipe.seed, "size": format_size(image.shape), "name": next_name(recipe.input)}
    return Result(image, recipe), EndReport(how, text, (jpeg(image, MAX_SHOWN_SIDE, quality=90),), values)
