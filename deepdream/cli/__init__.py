"""The `deepdream` command.

Exit codes: 0 done; 2 bad input, with one line that says what; 130 interrupted; 1 nobody reads the output any more
(`head` has seen enough). What was made is printed on standard output, everything else on standard error.

Each command is a function in a module of this package; what all that dream have in common is in `options`.
"""

import logging
import os
import sys

import typer

from ..errors import DreamError
from .dream import dream
from .gallery import gallery
from .label import label
from .replay import replay
from .screen import ScreenHandler, drop, say, shortened
from .show import classify_command, layers, models_command
from .video import video
from .zoom import zoom

app = typer.Typer(add_completion=False, rich_markup_mode=None,
                  help="DeepDream: a trained classifier asked, backwards, for more of what it sees.")
app.command()(dream)
app.command()(label)
app.command()(replay)
app.command()(gallery)
app.command()(layers)
app.command("classify")(classify_command)
app.command("models")(models_command)
app.command()(zoom)
app.command()(video)

# Typer's errors are Click's, which newer releases carry inside: this is the one name that both have.
UsageProblem = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

BAD_INPUT, INTERRUPTED, UNREAD = 2, 130, 1


def main(arguments=None):
    """Run the command and exit with its code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True, handlers=[ScreenHandler()])
    logging.getLogger("deepdream").setLevel(logging.INFO)
    if hasattr(sys.stdout, "reconfigure"):  # not in a notebook
        # A path may be any bytes, and goes out as it came in.
        encoding = {"encoding": sys.getfilesystemencoding()} if os.name == "posix" else {}
        sys.stdout.reconfigure(errors="surrogateescape", **encoding)
    try:
        code = app((sys.argv[1:] if arguments is None else arguments) or ["--help"], standalone_mode=False)
        print(end="", flush=True)
    except DreamError as error:
        code = _complain(str(error))
    except UsageProblem as error:
        code = _complain(error.format_message())
    except typer.Exit as done:
        code = done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        code = UNREAD
        drop(sys.stdout)
    except MemoryError as error:
        code = _complain("the memory does not suffice" + (f" ({error})" if str(error) else "") +
                         "; close other programs, or use a smaller picture (--max-size) or network")
    except OSError as error:
        code = _complain(f"{error.filename or 'the output cannot be written'}: {error.strerror or error}")
        drop(sys.stdout)
    if code == INTERRUPTED:  # raised here, or what Typer made of it
        say("deepdream: interrupted")
    sys.exit(code or 0)


def _complain(text):
    say(shortened(f"deepdream: {text}"))
    return BAD_INPUT
