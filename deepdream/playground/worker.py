"""The process that dreams.

It is separate from the page's process, because Caffe holds Python's lock while it computes, and may run out of memory.
`Worker` is the page's handle of it, `serve` the other end of the pipe between them; `records` defines the records in
the pipe.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..dream import deepdream, dream_steps
from ..errors import DreamError, ImageError, LayerError
from ..io.arrays import to_uint8
from ..network.device import AUTO
from ..network.memory import is_out_of_memory
from ..network.net import Net
from ..octaves import octave_shapes
from ..preview import FullSizePreview
from ..recipes.recipe import Recipe
from ..zoo.loading import load
from .decoder import child_environment
from .records import STOP, Begun, Ended, Failed, Job, LogLine, Stepped, Trial, Tried
from .thumbnails import crop_centre

IDLE_TIMEOUT_S = 180  # seconds without a job after which a worker ends and frees its memory
TRIAL_SIDE = 256  # pixels: the longer side of a small dream
_NO_MEMORY = "Not enough memory; choose a smaller size, or fewer pictures at once"


class Worker:
    """A worker process, started with this object.

    Args:
        idle: seconds without a job after which it ends.

    Attributes:
        pid: the number of the process.
    """

    def __init__(self, idle: float = IDLE_TIMEOUT_S) -> None:
        ours, theirs = socket.socketpair()
        code = "from deepdream.playground.worker import main; main()"
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, str(theirs.fileno()), str(idle)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=child_environment(),
            )
        self._pipe = Connection(ours.detach())
        self.pid = self._process.pid

    def send(self, request: Job | Trial | str) -> None:
        """Send a `Job`, a `Trial`, or `STOP`; nothing happens if the worker has ended."""
        with contextlib.suppress(OSError):
            self._pipe.send(request)

    def receive(self, timeout: float) -> Any:
        """The next record.

        Args:
            timeout: in seconds.

        Returns:
            A record; `None` if none comes in time.

        Raises:
            EOFError: the worker has ended; `exit_reason` says why.
        """
        try:
            return self._pipe.recv() if self._pipe.poll(timeout) else None
        except OSError:
            raise EOFError from None

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def exit_reason(self) -> str:
        """Why a worker has ended, for the visitor: a sentence without its full stop."""
        code = self._process.wait()
        if code >= 0:
            return f"The worker ended with exit code {code}"
        killed = f"The worker was killed ({signal.Signals(-code).name})"
        # The system kills a process that uses too much memory; a stock Caffe aborts where ours raises an exception.
        if code in (-signal.SIGKILL, -signal.SIGABRT):
            return f"{killed}, probably out of memory; try a smaller size"
        return killed

    def end(self) -> None:
        """End the process now. `receive` then raises `EOFError`."""
        self._process.kill()
        self._process.wait()


def main() -> None:
    """The worker process: serve the pipe whose number is the first argument, the idle time the second."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the page's server, which then closes the pipe
    with contextlib.suppress(OSError):  # if the system must kill a process for memory, it should be this one
        Path("/proc/self/oom_score_adj").write_text("800", encoding="ascii")
    pipe = Connection(int(sys.argv[1]))
    logger = logging.getLogger("deepdream")
    logger.setLevel(logging.INFO)
    logger.addHandler(_LogSender(pipe))
    with contextlib.suppress(EOFError, OSError):  # the page is gone
        serve(pipe, float(sys.argv[2]))


def serve(pipe: Connection, idle: float) -> None:
    """Dream the jobs that come through a pipe.

    Args:
        pipe: jobs come in, records go out.
        idle: seconds without a job after which this returns.
    """
    net: Net | None = None
    name = None
    while pipe.poll(idle):
        job = pipe.recv()
        if job == STOP:  # it came after the dream's end
            continue
        try:
            model = job.model if isinstance(job, Trial) else job.recipe.model
            if net is None or model != name:
                net, name = load(model, gpu=AUTO), model
            records = try_layers(net, job, pipe.poll) if isinstance(job, Trial) else dream(net, job, pipe.poll)
            for record in records:
                pipe.send(record)
            net.release()
        except DreamError as error:
            pipe.send(Failed(str(error)))
        except Exception as error:  # of any class: the visitor is told, and the next dream begins in a new process
            text = _NO_MEMORY if is_out_of_memory(error) else f"{type(error).__name__}: {error}"
            pipe.send(Failed(text, needs_restart=True))


def dream(net: Net, job: Job, stopped: Callable[[], bool]) -> Iterator[Begun | Stepped | Ended]:
    """Dream a job.

    Args:
        net: the network of its recipe.
        job: the dream to make.
        stopped: called after each step; the dream ends if it returns `True`.

    Yields:
        A `Begun`, a `Stepped` for each step, an `Ended`.
    """
    full = job.picture.open(job.recipe.max_size)
    guide = job.guide.open(job.recipe.more.get("guide_max_size")) if job.guide else None
    mask = job.recipe.fit_mask(full, None if job.mask is None else job.mask.read())
    recipe = job.recipe.complete(net, full, guide, mask)
    img = recipe.fit(full)
    del full  # frees its memory for the dream
    yield Begun(recipe, to_uint8(img), None if mask is None else mask.values)
    last = (recipe.octave_n - 1, recipe.iter_n - 1)
    height, width = img.shape[:2]
    shapes = octave_shapes(height, width, recipe.octave_n, recipe.octave_scale)
    preview = FullSizePreview(img, shapes, None if mask is None else mask.values)
    for step in dream_steps(net, img, **recipe.settings(net, guide, mask)):
        yield Stepped(step.octave, step.iteration, to_uint8(step.image), step.objective)
        if stopped() and (step.octave, step.iteration) != last:
            recipe = stopped_recipe(recipe, step.octave, step.iteration)
            break
    yield Ended(recipe, to_uint8(recipe.blend(img, preview.of(step.image, step.octave))))


def try_layers(net: Net, trial: Trial, stopped: Callable[[], bool]) -> Iterator[Tried]:
    """Try layers on an image.

    Args:
        net: the network.
        trial: the layers and the image.
        stopped: called after each layer; the trial ends if it returns `True`.

    Yields:
        A `Tried` for each layer, and an empty one at the end. A layer that cannot be dreamt is left out.
    """
    img = trial.picture.open(TRIAL_SIDE).fit(TRIAL_SIDE)
    for layer in trial.layers:
        with contextlib.suppress(ImageError, LayerError):  # the image is too small for it
            image = deepdream(net, img, end=layer, octave_n=3, octave_scale=1.3, iter_n=20, seed=2015)
            yield Tried(layer, to_uint8(crop_centre(image)))
        if stopped():
            break
    yield Tried("", None)


def stopped_recipe(recipe: Recipe, octave: int, iteration: int) -> Recipe:
    """The recipe of a dream that ended after this step, so that a replay ends there as well."""
    return replace(recipe, kind="stopped dream", more={**recipe.more, "octave": octave, "iteration": iteration})


class _LogSender(logging.Handler):
    """Sends what the library logs through the pipe."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(logging.INFO)
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            self._pipe.send(LogLine(record.getMessage()))
