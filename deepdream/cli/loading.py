"""The network of a command: its options `--model` and `--gpu`, and how it is loaded."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from ..errors import WeightsError
from ..network.device import AUTO, choose_device
from ..network.net import Net
from ..zoo.loading import load
from ..zoo.registry import Model, find_model
from ..zoo.weights import weights_path
from .console import say

DEFAULT_MODEL = "bvlc_googlenet"
OFFLINE_MODEL = "squeezenet_v1.1"  # its weights come from the package index, which most machines can reach
MODEL = typer.Option(
    None,
    "--model",
    metavar="NAME|DIR",
    show_default=False,
    help=f"Network: a built-in name or a model's folder. [default: {DEFAULT_MODEL}, or {OFFLINE_MODEL} if the weights "
    "cannot be fetched]",
)
GPU = typer.Option(
    AUTO,
    "--gpu",
    metavar="N|auto|none",
    help="GPU to compute on. auto: the first that works, or else the CPU. none: the CPU.",
)


def load_model(
    name: str | None, layers: Sequence[str | int] | None = None, gpu: int | str | None = None
) -> tuple[Net, Model]:
    """Load the network of a command.

    Args:
        name: the name of the model, or its folder; `None`: the default, or the offline model if its weights cannot be
            fetched.
        layers: the layers or channels that the person named. They belong to one network, so it is not replaced then.
        gpu: as in `deepdream.load`.

    Returns:
        (network, model).

    Raises:
        ModelError: there is no such model, or it cannot be loaded.
        WeightsError: its weights cannot be fetched or read.
        DreamError: the GPU cannot be used.
    """
    if gpu != AUTO:
        choose_device(gpu)  # raises before anything is fetched
    if name is None and layers is None:
        try:
            weights_path(find_model(DEFAULT_MODEL))
        except WeightsError as error:
            say(f"Using {OFFLINE_MODEL}: {error}")
            name = OFFLINE_MODEL
    name = name or DEFAULT_MODEL
    return load(name, gpu=gpu), find_model(name)
