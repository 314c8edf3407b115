"""`deepdream models`: lists the networks, adds models and removes them."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import typer

from ..errors import ModelError
from ..text import printable
from ..zoo.added import add_model, remove_model
from ..zoo.registry import Model, added_models_folder, added_names, find_model, model_names
from ..zoo.weights import local_weights, source_names

WIDTH = 80
_INDENT, _KEY_WIDTH = "  ", 9

models = typer.Typer(
    invoke_without_command=True,
    help="List the networks, add your own and remove them.\n\n"
    "Without a command, list what is on this machine and what can be fetched: size, source, licence.",
)


@models.callback()
def list_models(context: typer.Context) -> None:
    """Print every network, unless a subcommand is run."""
    if context.invoked_subcommand is not None:
        return
    for name in [*model_names(), *added_names()]:
        print("\n".join(_describe(name)))


@models.command()
def add(
    folder: Path = typer.Argument(..., metavar="FOLDER", help="Folder with model.toml, deploy.prototxt and weights."),
    name: Optional[str] = typer.Option(
        None, "--name", metavar="NAME", show_default=False, help="Name of the copy. [default: the folder's]"
    ),
) -> None:
    """Copy a model's folder to your own models.

    --model NAME finds it afterwards. The model is checked and loaded first. Only the files that its model.toml names
    are copied.
    """
    print(add_model(folder, name).folder, flush=True)


@models.command()
def remove(name: str = typer.Argument(..., metavar="NAME", help="Name of a model that was added.")) -> None:
    """Remove a model that was added.

    Its weights in the cache are removed, too. The folders that are gone are printed.
    """
    for folder in remove_model(name):
        print(f"removed {folder}", flush=True)


def _describe(name: str) -> Iterator[str]:
    """The lines about a model."""
    added = name not in model_names()
    yield printable(f"{name} (added)" if added else name)
    try:
        model = find_model(name)
    except ModelError as error:
        yield from _wrap("", f"cannot be used: {error}")
        if added:
            yield from _wrap("folder", str(added_models_folder() / name))
        return
    weights = local_weights(model)
    yield from _wrap("", model.title)
    yield from _wrap("layer", model.end)
    if weights:
        yield from _wrap("weights", f"on this machine, {_format_size(weights.stat().st_size)}")
        yield f"{_INDENT}{'file':{_KEY_WIDTH}}{printable(str(weights))}"  # in one piece, to be copied
    else:
        yield from _wrap("weights", _describe_missing(model))
    yield from _wrap("source", ", ".join(source_names(model)) or "none: the file is put there by hand")
    yield from _wrap("licence", str(model.weights.get("licence", "")) or "not stated")


def _describe_missing(model: Model) -> str:
    """Where weights will come from that are not on this machine."""
    if not source_names(model):
        return f"not on this machine; put {model.weights['file']} beside its model.toml"
    size = model.weights.get("size")
    return "not on this machine; fetched when first used" + (f", {_format_size(size)}" if size else ", size unknown")


def _format_size(count: int) -> str:
    """A size in bytes for a person."""
    return f"{count / 1e6:.1f} MB"


def _wrap(key: str, text: str) -> list[str]:
    """A key and its text in lines of at most `WIDTH` characters, the text aligned; without a key, under the name."""
    first = f"{_INDENT}{key:{_KEY_WIDTH}}" if key else _INDENT
    return textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
