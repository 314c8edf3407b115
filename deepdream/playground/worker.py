"""The process that dreams: Caffe keeps Python's lock while it computes, and may be ended by a lack of memory.

Through a pipe go a `Job` and, to end it early, `STOP`; back come the records below, in the order in which they stand,
`Said` at any time. `Worker` is the other end's handle. Pixels travel as uint8 (h, w, 3) RGB.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Optional

import numpy as np

from .. import models
from ..device import AUTO
from ..dream import dream_steps
from ..errors import DreamError
from ..image import to_bytes
from ..making import so_far
from ..memory import out_of_memory
from .uploads import Picture

STOP = "stop"
IDLE = 180  # seconds after which a worker that nobody asks anything ends, and gives its memory back
_NO_MEMORY = "The memory ran out; choose a smaller size, or fewer pictures at once"


@dataclass(frozen=True)
class Job:
    """What to dream: a `Recipe`, whose hashes and versions are still to be filled in, and the pictures it names."""

    recipe: Any
    picture: Picture
    guide: Optional[Picture] = None


@dataclass(frozen=True)
class Said:
    """A line for the visitor."""

    text: str


@dataclass(frozen=True)
class Begun:
    """The dream begins: the completed recipe, and the picture at the size that is dreamt."""

    recipe: Any
    picture: np.ndarray


@dataclass(frozen=True)
class Stepped:
    """A step, as `deepdream.Step`."""

    octave: int
    iteration: int
    picture: np.ndarray
    objective: float


@dataclass(frozen=True)
class Ended:
    """The dream is over, at its end or stopped: its picture and recipe."""

    recipe: Any
    picture: np.ndarray


@dataclass(frozen=True)
class Failed:
    """It could not be dreamt: a line that says why. `fresh`: this process should not be used again."""

    text: str
    fresh: bool = False


class Worker:
    """A worker process, started here."""

    def __init__(self, idle=IDLE):
        ours, theirs = socket.socketpair()
        code = "from deepdream.playground.worker import main; main()"
        with theirs:
            self._process = subprocess.Popen([sys.executable, "-c", code, str(theirs.fileno()), str(idle)],
                                             pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=_environment())
        self._pipe = Connection(ours.detach())
        self.pid = self._process.pid

    def send(self, what):
        """Ask for a `Job`, or to `STOP`; nothing happens if the worker is no more."""
        with contextlib.suppress(OSError):
            self._pipe.send(what)

    def receive(self, timeout):
        """The next record, or `None` if none comes within `timeout` seconds.

        **Raises:** `EOFError` if the worker is no more; `epitaph` says why.
        """
        try:
            return self._pipe.recv() if self._pipe.poll(timeout) else None
        except OSError:
            raise EOFError from None

    def alive(self):
        """Whether the process still runs."""
        return self._process.poll() is None

    def epitaph(self):
        """What to tell the visitor about a worker that has ended: a sentence."""
        code = self._process.wait()
        how = f"by the signal {signal.Signals(-code).name}" if code < 0 else f"with the code {code}"
        # The system kills; a stock Caffe ends itself, where ours raises.
        memory = code in (-signal.SIGKILL, -signal.SIGABRT)
        why = ", as happens when memory runs out: try a smaller size" if memory else ""
        return f"The process that dreams was ended {how}{why}"

    def end(self):
        """End the process now. Whoever receives from it gets an `EOFError`."""
        self._process.kill()
        self._process.wait()


def _environment():
    """That of the new process: it finds this very package, wherever it starts."""
    here = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])}


def main():
    """The worker process: serve the pipe whose number is the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the page's server, which then hangs up
    with contextlib.suppress(OSError):  # if the system must end a process for its memory, let it be this one
        Path("/proc/self/oom_score_adj").write_text("800", encoding="ascii")
    pipe = Connection(int(sys.argv[1]))
    logger = logging.getLogger("deepdream")
    logger.setLevel(logging.INFO)
    logger.addHandler(_Teller(pipe))
    with contextlib.suppress(EOFError, OSError):  # whoever asked is gone
        serve(pipe, float(sys.argv[2]))


def serve(pipe, idle):
    """Dream what comes through the pipe, until nothing has come for `idle` seconds."""
    net, name = None, None
    while pipe.poll(idle):
        job = pipe.recv()
        if job == STOP:  # it came after the dream's end
            continue
        try:
            if job.recipe.model != name:
                net, name = models.load(job.recipe.model, gpu=AUTO), job.recipe.model
            for record in dream(net, job, pipe.poll):
                pipe.send(record)
            net.release()
        except DreamError as error:
            pipe.send(Failed(str(error)))
        except Exception as error:  # whatever it is, the visitor is told, and the next dream begins in a fresh process
            pipe.send(Failed(_NO_MEMORY if out_of_memory(error) else f"{type(error).__name__}: {error}", fresh=True))


def dream(net, job, stopped):
    """Dream a job on its network: yields `Begun`, `Stepped` …, `Ended`.

    **Arguments:** `stopped`: a function that says whether to end after this step.
    """
    full, guide = job.picture.read(), job.guide and job.guide.read()
    recipe = job.recipe.complete(net, full, guide)
    img = recipe.fit(full)
    yield Begun(recipe, to_bytes(img))
    last = (recipe.octave_n - 1, recipe.iter_n - 1)
    for step in dream_steps(net, img, **recipe.settings(net, guide)):
        yield Stepped(step.octave, step.iteration, to_bytes(step.image), step.objective)
        if stopped() and (step.octave, step.iteration) != last:
            recipe = stopped_recipe(recipe, step.octave, step.iteration)
            break
    yield Ended(recipe, to_bytes(recipe.blend(img, so_far(img, step.image))))


def stopped_recipe(recipe, octave, iteration):
    """The recipe of a dream that ended after this step, so that a replay ends there as well."""
    return replace(recipe, kind="stopped dream", more={**recipe.more, "octave": octave, "iteration": iteration})


class _Teller(logging.Handler):
    """Sends what the library says through the pipe."""

    def __init__(self, pipe):
        super().__init__(logging.INFO)
        self._pipe = pipe

    def emit(self, record):
        with contextlib.suppress(OSError):
            self._pipe.send(Said(record.getMessage()))
