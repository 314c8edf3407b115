"""All commands together, and how they end.

Each command is a function in a module of this package. The options that all commands that dream share are in
`options`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import cast

import typer

from ..errors import DreamError
from . import BAD_INPUT, BROKEN_PIPE, INTERRUPTED
from .atlas import activations, atlas
from .console import ConsoleHandler, discard_output, say
from .dream import dream
from .gallery import gallery
from .import_model import import_command
from .info import classify_command, layers
from .label import label
from .models import models
from .replay import replay
from .video import video
from .zoom import zoom

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="A faithful reproduction of Google's 2015 DeepDream: run a trained classifier backwards and change the image "
    "to show more of what it sees.",
)
app.command()(dream)
app.command()(label)
app.command()(replay)
app.command()(gallery)
app.command()(layers)
app.command("classify")(classify_command)
app.command()(activations)
app.command()(atlas)
app.add_typer(models, name="models")
app.command("import")(import_command)
app.command()(zoom)
app.command()(video)
# Typer's errors are Click's, and newer releases of Typer contain a copy of Click, so the class is looked up by name.
ClickException = cast(
    "type[typer.BadParameter]",
    next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"),
)


def run(words: Sequence[str]) -> int:
    """Run a command.

    Args:
        words: the words after `deepdream` on the command line.

    Returns:
        The exit code.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True, handlers=[ConsoleHandler()])
    logging.getLogger("deepdream").setLevel(logging.INFO)
    if hasattr(sys.stdout, "reconfigure"):  # not in a notebook
        # A path may contain any bytes, and is printed unchanged.
        encoding = {"encoding": sys.getfilesystemencoding()} if os.name == "posix" else {}
        sys.stdout.reconfigure(errors="surrogateescape", **encoding)
    if any("\0" in word for word in words):
        return _report("an argument has a null byte, which the name of a file cannot contain; leave it out")
    try:
        code = app(list(words) or ["--help"], standalone_mode=False)
        print(end="", flush=True)
        return code or 0
    except DreamError as error:
        return _report(str(error))
    except ClickException as error:
        return _report(error.format_message())
    except typer.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        discard_output(sys.stdout)
        return BROKEN_PIPE
    except MemoryError as error:
        return _report(
            "not enough memory"
            + (f" ({error})" if str(error) else "")
            + "; close other programs, or use a smaller image (--max-size) or network"
        )
    except OSError as error:
        code = _report(f"{error.filename or 'the output cannot be written'}: {error.strerror or error}")
        discard_output(sys.stdout)
        return code


def _report(error: str) -> int:
    """Print an error in one line; returns the exit code."""
    say(f"deepdream: {error}")
    return BAD_INPUT
