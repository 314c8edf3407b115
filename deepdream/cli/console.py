"""Standard error: lines for a person, and a progress line if it is a terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from typing import Any, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from ..text import printable, shorten

_LINE_INTERVAL_S = 30


class _Stderr(Console):
    """Rich's console, which does not end the process when standard error is closed."""

    def on_broken_pipe(self) -> None:
        discard_output(sys.stderr)


# Without emoji: a file's name may contain colons, and Rich would read its table of emoji names when it meets the first.
console = _Stderr(stderr=True, highlight=False, emoji=False)


def say(text: str) -> None:
    """Print one line on standard error, without its middle if it is long; do nothing if it cannot be written."""
    try:
        console.print(shorten(text), soft_wrap=True, markup=False)
    except OSError:
        discard_output(sys.stderr)


def discard_output(stream: TextIO | None) -> None:
    """Discard what is still buffered for a standard stream: Python would try to write it, and fail again, at exit."""
    if stream is None or all(stream is not standard for standard in (sys.__stdout__, sys.__stderr__)):
        return
    descriptor = stream.fileno()
    with contextlib.suppress(OSError):  # it may be closed already
        os.close(descriptor)  # first, because the process may have no descriptor left
    devnull = os.open(os.devnull, os.O_WRONLY)
    if devnull != descriptor:
        os.dup2(devnull, descriptor)
        os.close(devnull)


class _Description(ProgressColumn):
    """The current task; it may contain the name of a file, and so any character."""

    def render(self, task: Task) -> Text:
        return Text(printable(task.description))


class _Progress(Progress):
    """A progress line that speaks up now and then where there is no terminal, as in a log."""

    _last_s = 0.0

    def start(self) -> None:
        self._last_s = time.monotonic()
        super().start()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        if self.disable and time.monotonic() - self._last_s > _LINE_INTERVAL_S:
            self._last_s = time.monotonic()
            task = self.tasks[task_id]
            percentage = "" if task.total is None else f", {task.percentage:.0f}%"
            say(f"{task.description}{percentage}")


def progress_line() -> Progress:
    """A `rich.progress.Progress` of one line: the task, its percentage, the time elapsed and the time left."""
    return _Progress(
        _Description(Column(no_wrap=True, overflow="ellipsis")),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        speed_estimate_period=600,
        # Rich would print on standard error what is meant for a file or a pipe.
        redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        disable=not console.is_terminal,
    )


class ConsoleHandler(logging.Handler):
    """Prints what the library logs, one line each, above the progress line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        say(self.format(record))
