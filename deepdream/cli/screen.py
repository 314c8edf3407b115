"""What a person watches while it works, on standard error: lines, and a progress line where that is a terminal."""

import contextlib
import logging
import os
import re
import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_DIGITS = 80  # in a row: more than anyone reads, and more than a hash has


class _Screen(Console):
    def on_broken_pipe(self):
        """Rich would end the process here."""
        drop(sys.stderr)


# Without emoji: a file's name may have colons in it, and the table of their names would be read when first needed.
screen = _Screen(stderr=True, highlight=False, emoji=False)


def printable(text):
    """A text as one line that only shows.

    A file's name, and what a file of somebody else's says, may hold line ends and what commands a terminal: these are
    shown as Python writes them.
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], text)


def shortened(text, most=1000):
    """A line of at most `most` characters: what is quoted in it may be of any length, and the fix stands at its end."""
    text = re.sub(rf"\d{{{_DIGITS},}}", lambda found: f"{found[0][:20]}…{found[0][-20:]}", printable(text))
    if len(text) > most:
        text = re.sub(r"\S{200,}", lambda found: f"{found[0][:90]}…{found[0][-90:]}", text)
    return text if len(text) <= most else f"{text[:most // 2 - 1]}…{text[-(most // 2):]}"


def say(text):
    """Print one line, however long. Where standard error cannot be written the work goes on unheard."""
    try:
        screen.print(printable(text), soft_wrap=True, markup=False)
    except OSError:
        drop(sys.stderr)


def drop(stream):
    """Send what is still buffered for a standard stream nowhere: it would be tried again, and fail again, at exit."""
    if stream is not None and stream in (sys.__stdout__, sys.__stderr__):
        number = stream.fileno()
        with contextlib.suppress(OSError):  # it may be closed already
            os.close(number)  # first, for there may be no number left for another file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)


def progress_line():
    """A `rich.progress.Progress` of one line: what is being done, how far it is, time gone by and left."""
    columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%"),
               TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
    return Progress(*columns, console=screen, transient=True, speed_estimate_period=600,
                    disable=not screen.is_terminal)


class ScreenHandler(logging.Handler):
    """What the library logs, a line each, above the progress line."""

    def emit(self, record):
        say(self.format(record))
