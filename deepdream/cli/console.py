"""Standard error: lines for a person, and a progress line where it is a terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_MAX_DIGITS = 80  # in a row: more than a person reads, and more than a hash has


class _Stderr(Console):
    """Rich's console, which does not end the process when standard error is closed."""

    def on_broken_pipe(self) -> None:
        discard_output(sys.stderr)


# Without emoji: a file's name may contain colons, and Rich would read its table of emoji names when it meets the first.
console = _Stderr(stderr=True, highlight=False, emoji=False)


def printable(text: str) -> str:
    """A text as one line without control characters.

    The name of a file, and texts from other people's files, may contain line ends and terminal commands. They are shown
    as Python writes them.
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: repr(match[0])[1:-1], text)


def shorten(text: str, max_chars: int = 1000) -> str:
    """One line of at most `max_chars` characters.

    A message may quote a text of any length, and says at its end what to do: long words and the middle are left out.
    """
    text = re.sub(rf"\d{{{_MAX_DIGITS},}}", lambda match: f"{match[0][:20]}…{match[0][-20:]}", printable(text))
    if len(text) > max_chars:
        text = re.sub(r"\S{200,}", lambda match: f"{match[0][:90]}…{match[0][-90:]}", text)
    return text if len(text) <= max_chars else f"{text[: max_chars // 2 - 1]}…{text[-(max_chars // 2) :]}"


def say(text: str) -> None:
    """Print one line of any length on standard error; nothing happens if that cannot be written."""
    try:
        console.print(printable(text), soft_wrap=True, markup=False)
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


def progress_line() -> Progress:
    """A `rich.progress.Progress` of one line: the task, its percentage, the time elapsed and the time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        speed_estimate_period=600,
        disable=not console.is_terminal,
    )


class ConsoleHandler(logging.Handler):
    """Prints what the library logs, one line each, above the progress line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        say(self.format(record))
