"""`deepdream import`: makes a model of a network's weights from another framework."""

from pathlib import Path
from typing import Optional

import typer

from ..errors import ParameterError
from ..validation import truncate
from ..zoo.importing.architectures import ARCHITECTURES
from ..zoo.importing.importer import import_model


def import_command(
    weights: Path = typer.Argument(
        ...,
        metavar="WEIGHTS",
        help="Weights: a state dict of PyTorch (.pth, .pt), .safetensors, or Keras's .h5. Nothing in it is run.",
    ),
    to: Path = typer.Option(..., "--to", metavar="FOLDER", help="Model's folder to write: new, or empty."),
    architecture: Optional[str] = typer.Option(
        None,
        "--architecture",
        metavar="NAME",
        show_default=False,
        help=f"Network: {', '.join(ARCHITECTURES)}. [default: the one that the tensors fit]",
    ),
    input: Optional[str] = typer.Option(
        None,
        "--input",
        metavar="torch|caffe",
        show_default=False,
        help="What the network was trained on. torch: red, green, blue from 0 to 1. caffe: blue, green, red from 0 to "
        "255. [default: what is usual for the network]",
    ),
    mean: Optional[str] = typer.Option(
        None,
        "--mean",
        metavar="X,Y,Z",
        show_default=False,
        help="Mean that the training subtracted, in the order and on the scale of --input. [default: ImageNet's; with "
        "--input caffe, that of the data set with this number of classes; for Keras's VGG, Keras's own]",
    ),
    std: Optional[str] = typer.Option(
        None,
        "--std",
        metavar="X,Y,Z",
        show_default=False,
        help="Standard deviation that the training divided by. [default: ImageNet's; with --input caffe, 1]",
    ),
    labels: Optional[Path] = typer.Option(
        None,
        "--labels",
        metavar="FILE",
        show_default=False,
        help="Text file with one label in each line. [default: those of ImageNet or Places for 1000, 205 or 365 "
        "classes]",
    ),
    end: Optional[str] = typer.Option(
        None, "--end", metavar="LAYER", show_default=False, help="Layer to dream if none is named."
    ),
    title: str = typer.Option("", "--title", show_default=False, help="One line about the network."),
    licence: str = typer.Option("", "--licence", show_default=False, help="Licence of the weights."),
) -> None:
    """Make a model of a network's weights from PyTorch or Keras."""
    model = import_model(
        weights,
        to,
        architecture=architecture,
        input=input,
        mean=_parse_three("--mean", mean),
        std=_parse_three("--std", std),
        labels=labels,
        end=end,
        title=title,
        licence=licence,
    )
    print(model.folder.resolve(), flush=True)


def _parse_three(option: str, text: Optional[str]) -> Optional[list[float]]:
    """The three numbers of an option."""
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 3:
        raise ParameterError(f"{option} {truncate(text)}: must be three numbers, as in {option} 0.5,0.5,0.5")
    return numbers
