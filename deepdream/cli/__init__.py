"""The `deepdream` command.

Exit codes:
    0: done.
    2: bad input, with one line that says what.
    130: interrupted.
    143: ended by SIGTERM while it had worker processes; SIGTERM ends it as a signal does otherwise.
    1: broken pipe (`| head`).

The paths of the files that were written go to standard output, everything else to standard error.

The commands are in `commands`. Importing them takes half a second, or several on a busy machine. This module and
`startup` import only a little of Python, so that an interruption, and what is wrong with the limits and the
environment of the process, are answered in one line before that.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

TYPE_CHECKING = False  # `typing` would have to be imported
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 2, 130, 1
_COMMANDS = f"{__name__}.commands"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code.

    Args:
        arguments: the words after `deepdream`; `None`: those of the process.

    Raises:
        SystemExit: always, with the exit code.
    """
    try:
        problem = _import_commands()
        if problem:
            _write_line(problem)
            code = BAD_INPUT
        else:
            from .commands import run

            code = run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if arguments is None:
        _replace_interrupt_handler(signal.SIG_IGN)  # the process has only to clean up, and ends by itself
    if code == INTERRUPTED:
        _write_line("interrupted")
    sys.exit(code)


def _import_commands() -> str:
    """Import the commands; returns what is in the way, or an empty text."""
    if _COMMANDS in sys.modules:
        return ""
    # An exception that an interruption raises in the middle of a library's import may come out as any other.
    replaced = _replace_interrupt_handler(_leave)
    try:
        from . import startup

        try:
            problem = startup.find_problem()
            if not problem:
                from . import commands  # noqa: F401
        except Exception as error:
            problem = startup.describe_import_error(error)
        return problem
    finally:
        if replaced:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _replace_interrupt_handler(handler: Callable[..., Any] | signal.Handlers) -> bool:
    """Replace Python's own handler of SIGINT; `False` if another one is there, or this is not the main thread."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return False
    try:
        signal.signal(signal.SIGINT, handler)
    except ValueError:
        return False
    return True


def _leave(*_: object) -> NoReturn:
    """Handle an interruption while nothing has been begun, and a library is half imported."""
    try:
        _write_line("interrupted")
    finally:
        os._exit(INTERRUPTED)


def _write_line(text: str) -> None:
    """Write a line to standard error, without what the commands need for that."""
    if sys.stderr is None:  # it is closed, and the descriptor may be another file's
        return
    from ..text import shorten

    with contextlib.suppress(OSError):
        os.write(2, f"{shorten(f'deepdream: {text}')}\n".encode(errors="replace"))
