"""Loads a network by its name: reads its definition and fetches its weights."""

from __future__ import annotations

import os

from ..network.device import AUTO, choose_device
from ..network.net import Net
from .registry import find_model
from .weights import weights_path


def load(name: str | os.PathLike[str], gpu: int | str | None = None, fast: bool | None = None) -> Net:
    """Load a network for dreaming; its weights are fetched if necessary.

    It never substitutes another model.

    Args:
        name: one of `model_names()`, or the path of a model's folder.
        gpu: `None` for the CPU, a GPU's number, or "auto" for the first GPU that works, else the CPU.
        fast: see `Net`.

    Returns:
        The network.

    Raises:
        DreamError: the GPU cannot be used; before anything is fetched.
        ModelError: there is no such model, or its files are wrong.
        ParameterError: `name` is neither a name nor a path, or `gpu` or `fast` is out of its range.
        WeightsError: its weights cannot be fetched, or do not fit.

    Example:
        >>> net = dd.load("squeezenet_v1.1")
        >>> net.end
        'fire8/concat'
    """
    model = find_model(name)
    if not isinstance(gpu, str) or gpu != AUTO:
        choose_device(gpu)
    path = weights_path(model)
    return Net(model.prototxt, path, model.mean, model.end, labels=model.labels, fast=fast, gpu=gpu)
