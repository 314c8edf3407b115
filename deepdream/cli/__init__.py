"""The `deepdream` command.

Exit codes:
    0: done.
    2: bad input; one line says what is wrong. Of several images, some could not be made; a line for each says why.
    130: interrupted.
    143: ended by SIGTERM while it had worker processes; without them, the signal itself ends the process.
    1: broken pipe (`| head`).

The paths of the files that were written go to standard output, everything else to standard error.

The commands are in `commands`. Importing them takes half a second, or several on a busy machine. This module and
`startup` import only a small part of the standard library, so that an interruption, or a wrong limit or environment
variable of the process, is answered in one line before that.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # `typing` would have to be imported
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 2, 130, 1
INCOMPLETE = BAD_INPUT  # some of several images
_COMMANDS = f"{__name__}.commands"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code.

    Args:
        arguments: the words after `deepdream`; `None`: the arguments of the process.

    Raises:
        SystemExit: always, with the exit code.
    """
    try:
        problem = _import_commands()
        if problem:
            from ..text import MAX_MESSAGE_CHARS, shorten

            _write_line(shorten(problem, MAX_MESSAGE_CHARS - len("deepdream: ")))
            code = BAD_INPUT
        else:
            from .commands import run

            code = run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if arguments is None:
        _replace_interrupt_handler(signal.SIG_IGN)  # the process only has to clean up, and ends by itself
    if code == INTERRUPTED:
        _write_line("interrupted")
    sys.exit(code)


def _import_commands() -> str:
    """Import the commands; returns the problem that prevents this, or an empty text."""
    if _COMMANDS in sys.modules:
        return ""
    # An interruption in the middle of a library's import may surface as an exception of any class.
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
    """Handle an interruption while a library is half imported and no work has begun."""
    try:
        _write_line("interrupted")
    finally:
        os._exit(INTERRUPTED)


def _write_line(text: str) -> None:
    """Write a line to standard error, without the modules that the commands use for it."""
    if sys.stderr is None:  # it is closed, and the descriptor may be another file's
        return
    try:  # contextlib would have to be imported
        os.write(2, f"deepdream: {text}\n".encode(errors="replace"))
    except OSError:
        return
