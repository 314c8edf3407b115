"""Weights from a conversion for PyTorch, written as a caffemodel."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path

import caffe

from ..data.download import download_file
from ..io.files import atomic_path
from ..validation import truncate
from .importing.architectures import recognise
from .importing.files import read_tensors
from .importing.fold import layer_weights
from .importing.folder import write_weights


def weights_from_pytorch(source: Mapping[str, str], prototxt: Path, target: Path) -> None:
    """Fetch a GoogLeNet of Caffe's that was converted for PyTorch, and convert it back; a failure leaves nothing.

    Nothing in the file is run, and PyTorch is not needed.

    Args:
        source: the `[weights.pytorch]` table of `model.toml`: the address, and the first digits of the SHA-256.
        prototxt: the network's definition.
        target: a path whose folder exists.

    Raises:
        OSError: the site cannot be reached, or the transfer broke off.
        ValueError: the file has another SHA-256, or lacks a layer of the network.
        WeightsError: the file is damaged, would run code, or holds another network.
    """
    with tempfile.TemporaryDirectory(prefix="deepdream-") as folder:
        file = Path(folder) / "weights.pth"
        download_file(source["url"], f"sha256-start:{source['sha256_start']}", None, file)
        _, converted = recognise(read_tensors(file), "googlenet_caffe")
        missing = [layer for layer in caffe.Net(str(prototxt), caffe.TEST).params if layer not in converted.sources]
        if missing:
            raise ValueError(f"it lacks {truncate(', '.join(missing))}; only deepdream import reads such a file")
        layers = {name: functools.partial(layer_weights, each, None) for name, each in converted.sources.items()}
        with atomic_path(target) as temporary:
            write_weights(temporary, prototxt, layers)
