"""Adds models to the user's own, and removes them.

A model is copied, so that it stays when the folder it came from goes. The folder may come from anybody: only the files
that `model.toml` names are copied, each checked first, and the copy is loaded once before it gets its name.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from ..data.cache import cache_folder
from ..errors import DreamError, ModelError, WeightsError
from ..io.files import check_path, check_regular_file
from ..network.caffemodel import MAX_FILE_BYTES as MAX_WEIGHTS_BYTES
from ..network.net import Net
from ..network.prototxt import MAX_FILE_BYTES as MAX_PROTOTXT_BYTES
from ..validation import short_repr
from .new_folder import TEMPORARY_PREFIX, new_folder
from .registry import (
    MAX_LABELS_BYTES,
    MAX_MODEL_TOML_BYTES,
    Model,
    added_models_folder,
    added_names,
    model_names,
    read_model,
)
from .weights import has_source

_MAX_NAME_CHARS = 100


def add_model(folder: str | os.PathLike[str], name: str | None = None) -> Model:
    """Copy a model's folder to the user's models, where `find_model` and `load` find it by its name.

    Args:
        folder: a folder with `model.toml`, `deploy.prototxt`, the weights (unless they can be fetched) and the labels.
        name: the name of the copy; `None`: the folder's.

    Returns:
        The copy.

    Raises:
        DreamError: there is no home folder to add it to.
        LayerError: its `end` is not a layer of the network.
        ModelError: the name is taken or unusable, the folder is not a model, a file is a link out of the folder, or
            the copy cannot be written.
        ParameterError: `folder` is not a path.
        WeightsError: the weights are missing, damaged or those of another network.

    Example:
        >>> model = add_model("mynet")
        >>> dd.load("mynet").end
        'fire8/concat'
    """
    check_path("folder", folder)
    source = Path(folder)
    name = source.resolve().name if name is None else name
    _check_name(name)
    if not source.is_dir():
        raise ModelError(f"{source} is not a folder; name a folder with model.toml and deploy.prototxt")
    _check_file(source, "model.toml", MAX_MODEL_TOML_BYTES)
    files = _files(read_model(source))
    target = added_models_folder() / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        needed, free = sum(os.path.getsize(source / file) for file in files), shutil.disk_usage(target.parent).free
    except OSError as error:
        raise ModelError(f"{error.filename} cannot be written or read: {error.strerror}") from None
    if needed > free:
        raise ModelError(
            f"{source} has {needed:,} bytes, and the disk of {target.parent} has {free:,} free; free some, or name "
            "another disk with XDG_DATA_HOME"
        )
    with new_folder(target) as new:
        for file in files:
            (new / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, new / file)
        _check_copy(read_model(new), source)
    return read_model(target)


def remove_model(name: str) -> list[Path]:
    """Remove a model that was added, and its weights in the cache.

    Args:
        name: its name.

    Returns:
        The folders that were removed.

    Raises:
        DreamError: as `added_models_folder`.
        ModelError: no model of this name was added, or it cannot be removed.
    """
    if name in model_names():
        raise ModelError(f"{name} comes with deepdream and cannot be removed; only added models can")
    added = added_names()
    if name not in added:
        raise ModelError(f"no model {short_repr(name)} was added; added models: {', '.join(added) or 'none'}")
    removed = []
    folders = [added_models_folder() / name]
    with contextlib.suppress(DreamError):  # without a cache there is nothing in it
        folders.append(cache_folder() / "models" / name)
    for folder in folders:
        try:
            if folder.is_symlink():
                folder.unlink()  # what it points to was not added
            elif folder.is_dir():
                _remove_folder(folder)
            else:
                continue
        except OSError as error:
            raise ModelError(f"{folder} cannot be removed: {error.strerror}") from None
        removed.append(folder)
    return removed


def _check_name(name: str) -> None:
    """Raise `ModelError` unless a model can be added under this name."""
    if not re.fullmatch(rf"[A-Za-z0-9_][A-Za-z0-9_.+-]{{0,{_MAX_NAME_CHARS - 1}}}", name):
        raise ModelError(
            f"{short_repr(name)} cannot be a model's name: use 1 to {_MAX_NAME_CHARS} letters, digits and _ . + - "
            "(--name NAME)"
        )
    if name in model_names():
        raise ModelError(f"{name} is the name of a model that comes with deepdream; choose another (--name NAME)")
    if os.path.lexists(added_models_folder() / name):
        raise ModelError(
            f"there is already a model {name}; remove it first (deepdream models remove {name}), or choose another "
            "name (--name NAME)"
        )


def _files(model: Model) -> list[str]:
    """The paths of a model's files, from its folder, each of them checked."""
    limits = {"model.toml": MAX_MODEL_TOML_BYTES, "deploy.prototxt": MAX_PROTOTXT_BYTES}
    if model.labels_file:
        limits[os.path.normpath(model.labels_file)] = MAX_LABELS_BYTES
    weights = model.weights["file"]
    if os.path.lexists(model.folder / weights):
        limits[weights] = MAX_WEIGHTS_BYTES
    elif not has_source(model):
        raise WeightsError(
            f"{model.folder} has no {weights}, and its model.toml names no source; put the weights into the folder"
        )
    for file, limit in limits.items():
        _check_file(model.folder, file, limit)
    return list(limits)


def _check_file(folder: Path, file: str, max_bytes: int) -> None:
    """Raise `ModelError` unless a file is a regular one inside the folder and not too large."""
    path = folder / file
    inside = os.path.join(os.path.realpath(folder), "")
    if not os.path.realpath(path).startswith(inside):
        raise ModelError(f"{path} lies or leads outside the folder; put the file itself into {folder}")
    if not os.path.exists(path):
        raise ModelError(f"{path} does not exist; a model needs model.toml and deploy.prototxt")
    if path.is_dir():
        raise ModelError(f"{path} is a folder, and a file is needed")
    check_regular_file(path, max_bytes, ModelError)


def _check_copy(model: Model, source: Path) -> None:
    """Load a copy once; an error names the folder that it came from."""
    weights = model.folder / model.weights["file"]
    try:
        Net(model.prototxt, weights if weights.exists() else None, model.mean, model.end, model.labels)
    except DreamError as error:
        raise type(error)(str(error).replace(str(model.folder), str(source))) from None


def _remove_folder(folder: Path) -> None:
    """Remove a folder: it loses its name first, so that it is never found half removed."""
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=folder.parent) as around:
        os.rename(folder, Path(around) / folder.name)
