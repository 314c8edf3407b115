"""The reference of the command, described by the command itself; `make docs` writes it into reference/command.md."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "command.md"


def command_reference():
    """The page's text: Markdown with a heading for each subcommand."""
    words = [sys.executable, "-m", "typer", "deepdream.cli.commands", "utils", "docs", "--name", "deepdream"]
    environment = {**os.environ, "COLUMNS": "120", "PYTHONPATH": str(ROOT)}  # the package of this checkout
    text = subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout
    text = text.replace("# `deepdream`", "# The command", 1).replace(" <list[str]>", "")
    # Typer cuts the summaries in its list of the subcommands short.
    for name, summary in re.findall(r"^## `deepdream (\w+)`\n\n(.+)", text, re.M):
        text = re.sub(rf"^\* `{name}`: .*", f"* [`{name}`](#deepdream-{name}): {summary}", text, count=1, flags=re.M)
    return text
