"""A gallery file: many recipes, each with a description, in TOML.

The central type is `Entry`, an image of a gallery. The file has `title`, `about` and `[[picture]]` tables: `name` (of
the file), `title`, `alt`, `known`, `guess`, `source`, and the fields of a `Recipe`. `like` is the name of a picture
above, from which this one inherits the texts and fields that it does not set itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..channel_images import channel_picture
from ..data.cache import package_data_folder
from ..defaults import defaults_of
from ..errors import DreamError
from ..io.metadata import check_text
from ..io.toml_file import read_toml
from ..label_images import label_picture
from ..validation import short_repr, truncate
from ..zoom import zoom_frames
from .kinds import check_makeable, check_more_keys
from .recipe import Recipe

SEED = 2015  # of a picture that names none, so that a gallery is the same every time
_MAX_FILE_BYTES = 64 * 2**20
_MAX_NAME_BYTES = 255 - len(".png")  # file systems allow 255
_TEXT_FIELDS = ("title", "alt", "known", "guess", "source")
_RECIPE_FIELDS = {field.name for field in fields(Recipe)}


@dataclass(frozen=True)
class Entry:
    """An image of a gallery.

    Attributes:
        name: the name of its file, without suffix.
        recipe: the recipe that it is made from.
        title: its title.
        alt: a description for those who cannot see it.
        known: the known facts about how the original was made.
        guess: the parts of the recipe that are guesses.
        source: the sources of the known facts.
    """

    name: str
    recipe: Recipe
    title: str = ""
    alt: str = ""
    known: str = ""
    guess: str = ""
    source: str = ""


@dataclass(frozen=True)
class Gallery:
    """A gallery.

    Attributes:
        title: its title.
        about: a sentence about it.
        entries: its images, in order.
    """

    title: str
    about: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one entry.

    Attributes:
        entry: the entry.
        path: the path of its image.
        made: whether the image was made now.
        error: why there is no image; `None` if there is one.
    """

    entry: Entry
    path: Path
    made: bool = False
    error: str | None = None


def read_gallery(path: str | Path) -> Gallery:
    """Read a gallery file.

    Args:
        path: the file, or the name of a bundled one, such as "original".

    Returns:
        The gallery, its recipes checked.

    Raises:
        DreamError: the file cannot be used; the message names the picture and the error.
    """
    bundled = package_data_folder("gallery") / f"{Path(path).name.removesuffix('.toml')}.toml"
    if not Path(path).exists() and bundled.is_file():
        path = bundled
    table = read_toml(path, _MAX_FILE_BYTES)
    try:
        return _parse_gallery(path, table)
    except RecursionError:
        raise DreamError(f"{path} cannot be used: its tables and lists are nested too deeply") from None
    except ValueError as error:  # a number that is too long to be shown
        raise DreamError(f"{path} cannot be used: {error}") from None


def _parse_gallery(path: str | Path, table: Mapping[str, Any]) -> Gallery:
    pictures = table.get("picture")
    if not isinstance(pictures, list) or not pictures or not all(isinstance(each, Mapping) for each in pictures):
        raise DreamError(f"{path} has no [[picture]] tables, so there is nothing to make")
    entries = tuple(
        _parse_entry(path, number, each) for number, each in enumerate(_apply_inheritance(path, pictures), 1)
    )
    names = [entry.name for entry in entries]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise DreamError(f"{path}: two pictures are called {twice}, and one would replace the other")
    return Gallery(str(table.get("title", Path(path).stem)), str(table.get("about", "")), entries)


def _apply_inheritance(path: str | Path, pictures: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The tables of the pictures, each with the fields that it inherits from the one in `like`."""
    complete: dict[str, dict[str, Any]] = {}
    for table in pictures:
        like = table.get("like")
        if like is not None and (not isinstance(like, str) or like not in complete):
            name = truncate(str(table.get("name")))
            raise DreamError(f"{path}: {name} is like {short_repr(like)}, but no picture above has that name")
        inherited = {} if like is None else complete[like]
        merged = {**inherited, **table}
        merged.pop("like", None)
        complete[str(merged.get("name"))] = merged
        yield dict(merged)


def _parse_entry(path: str | Path, number: int, table: dict[str, Any]) -> Entry:
    """The entry of a table, which is number `number` in the file, from 1."""
    name = table.pop("name", None)
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise DreamError(
            f"{path}: picture {number} needs a name of letters, digits, - and _; it has {short_repr(name)}"
        )
    if len(name.encode()) > _MAX_NAME_BYTES:
        raise DreamError(
            f"{path}: the name of picture {number} has {len(name.encode())} bytes, and the limit is "
            f"{_MAX_NAME_BYTES} before the .png; shorten {short_repr(name)}"
        )
    texts = {field: " ".join(str(table.pop(field, "")).split()) for field in _TEXT_FIELDS}
    unknown = sorted(set(table) - _RECIPE_FIELDS)
    if unknown:
        raise DreamError(f"{path}: {name} has {short_repr(unknown[0])}, which is not part of a recipe")
    try:
        defaults = _defaults_of_kind(table.get("kind"))
        if isinstance(table.get("more"), Mapping):
            table["more"] = {**defaults.get("more", {}), **table["more"]}
        entry = Entry(name, Recipe(**{**defaults, **table}), **texts)
        check_text(entry.recipe.to_json())  # as it will be in the image
        check_makeable(entry.recipe)
        check_more_keys(entry.recipe)
    except DreamError as error:
        raise DreamError(f"{path}: {name}: {error}") from None
    except TypeError as error:  # such as a date
        raise DreamError(
            f"{path}: {name} has a value that a recipe cannot hold, {error}; write it as a string"
        ) from None
    return entry


def _defaults_of_kind(kind: Any) -> dict[str, Any]:
    """The defaults of a recipe of this kind that differ from those of a dream."""
    if kind == "channel":
        defaults = defaults_of(channel_picture)
        return {"seed": SEED, "iter_n": defaults["iter_n"], "input": f"noise:{defaults['size']}x{defaults['size']}"}
    if kind == "zoom":
        zooms = defaults_of(zoom_frames)
        return {"seed": SEED, "more": {"scale": zooms["scale"], "rotate": zooms["rotate"]}}
    if kind != "label":
        return {"seed": SEED}
    defaults = defaults_of(label_picture)
    size = defaults["size"]
    return {
        **{name: value for name, value in defaults.items() if name in _RECIPE_FIELDS},
        "seed": SEED,
        "input": f"noise:{size}x{size}",
        "more": {
            name: value for name, value in defaults.items() if name not in {*_RECIPE_FIELDS, "net", "name", "size"}
        },
    }


def limit_gallery_size(gallery: Gallery, max_size: int) -> Gallery:
    """A gallery whose images have at most this longer side, in pixels."""
    entries = [
        replace(entry, recipe=replace(entry.recipe, max_size=min(entry.recipe.max_size or max_size, max_size)))
        for entry in gallery.entries
    ]
    return replace(gallery, entries=tuple(entries))
