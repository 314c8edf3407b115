"""Writes the files of a model's folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import caffe
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from numpy.typing import NDArray

from ...errors import ModelError, WeightsError
from ...io.files import why_not_a_folder
from ...text import printable
from ..registry import MAX_NAME_BYTES

WEIGHTS_SUFFIX = ".caffemodel"


def check_target(folder: Path) -> None:
    """Raise `ModelError` unless a folder can be written: it is empty, or does not exist and its parent does.

    Args:
        folder: its path.
    """
    name = folder.resolve().name
    if len(os.fsencode(name + WEIGHTS_SUFFIX)) > MAX_NAME_BYTES or name != printable(name):
        raise ModelError(f"{folder} cannot be a model's name; use a shorter one, of printable characters")
    if os.path.lexists(folder):
        if not folder.is_dir() or folder.is_symlink():
            raise ModelError(f"{folder} is not a folder; choose another name")
        if any(folder.iterdir()):
            raise ModelError(f"{folder} is not empty; choose another folder, or empty it")
    parent = folder.resolve().parent
    if not parent.is_dir():
        raise ModelError(f"the folder {parent} {why_not_a_folder(parent)}")
    if not os.access(parent, os.W_OK):
        raise ModelError(f"the folder {parent} is read-only; choose another")


def write_definition(folder: Path, definition: caffe_pb2.NetParameter) -> Path:
    """Write `deploy.prototxt`; returns its path.

    Args:
        folder: the model's folder.
        definition: the network.
    """
    path = folder / "deploy.prototxt"
    path.write_text(text_format.MessageToString(definition), encoding="utf-8")
    return path


def write_weights(
    path: Path, definition: Path, layers: Mapping[str, Callable[[], Sequence[NDArray[np.float32]]]]
) -> None:
    """Write a caffemodel. One layer's weights are read at a time, so the network is in memory once.

    Args:
        path: the file.
        definition: the path of the network's definition.
        layers: {layer: the function that reads its weights and biases}.

    Raises:
        WeightsError: a layer's weights are refused; the message names the layer.
    """
    net = caffe.Net(str(definition), caffe.TEST)
    for layer, read in layers.items():
        try:
            for blob, array in zip(net.params[layer], read()):
                if array.shape != blob.data.shape:  # NumPy would repeat what is too small
                    raise WeightsError(f"has the shape {array.shape}, expected {blob.data.shape}")
                blob.data[...] = array
        except WeightsError as error:
            raise WeightsError(f"{layer!r}: {error.args[0]}") from None
    net.save(str(path))


def write_model_toml(
    folder: Path,
    *,
    title: str,
    mean: Sequence[float],
    end: str,
    labels: Sequence[str],
    weights: str,
    licence: str,
    ladder: Sequence[str],
) -> None:
    """Write `model.toml`, and `labels.txt` if there are labels.

    Args:
        folder: the model's folder.
        title: one line about the model.
        mean: blue, green, red, from 0 to 255.
        end: the layer to dream if none is named.
        labels: the classifier's labels, in order.
        weights: the file of the weights.
        licence: of the weights; may be empty.
        ladder: the main layers, from shallow to deep.
    """
    lines = [f"title = {_quote(title)}", f"mean = {list(mean)}  # blue, green, red", f"end = {_quote(end)}"]
    if labels:
        (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        lines.append('labels = "labels.txt"')
    lines += ["", "[weights]", f"file = {_quote(weights)}"]
    lines += [f"licence = {_quote(licence)}"] if licence else []
    lines += ["", "# From shallow to deep. Describe here what each one dreams.", "[ladder]"]
    lines += [f'{_quote(layer)} = ""' for layer in ladder]
    (folder / "model.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _quote(text: str) -> str:
    """A text as TOML writes it, whose escapes are JSON's; `printable` removes what it does not allow."""
    return json.dumps(printable(text), ensure_ascii=False)
