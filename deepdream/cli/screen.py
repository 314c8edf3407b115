"""What a person watches while it works, on standard error: lines, and a progress line where that is a terminal."""

import logging

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

screen = Console(stderr=True, highlight=False)


def say(text):
    """Print one line, as it is, however long."""
    screen.print(text, soft_wrap=True, markup=False)


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
