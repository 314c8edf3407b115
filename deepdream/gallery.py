"""Many recipes in one file: made one after the other or on a cluster, and shown on one page.

The central type is `Entry`, a picture of a gallery. A gallery is a TOML file with `title`, `about` and `[[picture]]`
tables: `name` (of the file), `title`, `alt`, `known`, `guess`, `source`, and the fields of a `Recipe`. `like` is the
name of a picture above whose words and fields are this one's as well, unless it has its own.

`make` is the core, a generator of `Outcome` records. Each picture is written whole, with its recipe inside, and one
that is there from the same recipe is not made again: a gallery can be stopped at any moment and gone on with.
"""

import functools
import inspect
import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Optional

from . import models
from .errors import DreamError, ImageError, ParameterError, WeightsError
from .fetch import sha256_of
from .files import check_regular
from .image import write_image
from .labels import label_picture
from .pictures import picture_sha256
from .recipe import Recipe
from .sheet import write_sheet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

log = logging.getLogger(__name__)

SEED = 2015  # of a picture that names none: a gallery is the same every time
PAGE = "index.html"
_LARGEST = 64 * 2**20  # bytes of a gallery file
_LONGEST = 255 - len(".png")  # bytes of a name: file systems take 255
_WORDS = ("title", "alt", "known", "guess", "source")
# What a recipe leaves open until it is made.
_OPEN = ("input_sha256", "guide_sha256", "weights_sha256", "versions", "end", "tile")


@dataclass(frozen=True)
class Entry:
    """A picture of a gallery.

    - `name`: of its file, without suffix; `recipe`: how it is made.
    - `title`, `alt`: what it is and what it shows; `known`, `guess`, `source`: what is known about how the original was
      made, what of the recipe is a guess, and where that is stated.
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
    """A title, a sentence about it, and its `Entry` records in order."""

    title: str
    about: str
    entries: tuple


@dataclass(frozen=True)
class Outcome:
    """What came of one entry: the `path` of its picture, whether it was `made` now, or the `error` that kept it."""

    entry: Entry
    path: Path
    made: bool = False
    error: Optional[str] = None


def read_gallery(path):
    """Read a gallery file: `path`, or the name of one that comes along, such as "original".

    **Raises:** `DreamError` that names the picture and what is wrong with it.
    """
    own = models.data_folder("gallery") / f"{Path(path).name.removesuffix('.toml')}.toml"
    if not Path(path).exists() and own.is_file():
        path = own
    check_regular(path, _LARGEST, DreamError)
    try:
        return _gallery(path, tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except DreamError:
        raise
    except OSError as error:
        raise DreamError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DreamError(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise DreamError(f"{path} is not TOML that can be read: its tables and lists go too deep") from None
    except ValueError as error:  # a number too long to be read, or to be shown
        raise DreamError(f"{path} cannot be used: {error}") from None


def _gallery(path, table):
    pictures = table.get("picture")
    if not isinstance(pictures, list) or not pictures or not all(isinstance(each, Mapping) for each in pictures):
        raise DreamError(f"{path} has no [[picture]] tables, so there is nothing to make")
    entries = tuple(_entry(path, number, each) for number, each in enumerate(_likenesses(path, pictures), 1))
    names = [entry.name for entry in entries]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise DreamError(f"{path}: two pictures are called {twice}, and one would replace the other")
    return Gallery(str(table.get("title", Path(path).stem)), str(table.get("about", "")), entries)


def _likenesses(path, pictures):
    """The tables of the pictures, each with what it has of the one that it is like."""
    full = {}
    for table in pictures:
        like = table.get("like")
        if like is not None and (not isinstance(like, str) or like not in full):
            raise DreamError(f"{path}: {table.get('name')} is like {like!r}, but no picture above has that name")
        whole = {**full.get(like, {}), **table}
        whole.pop("like", None)
        full[str(whole.get("name"))] = whole
        yield dict(whole)


def _entry(path, number, table):
    name = table.pop("name", None)
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise DreamError(f"{path}: picture {number} needs a name of letters, digits, - and _; it has {name!r}")
    if len(name.encode()) > _LONGEST:
        raise DreamError(f"{path}: the name of picture {number} has {len(name.encode())} bytes and a file's at most "
                         f"{_LONGEST} before its .png; shorten {name!r}")
    words = {word: " ".join(str(table.pop(word, "")).split()) for word in _WORDS}
    unknown = sorted(set(table) - {field.name for field in fields(Recipe)})
    if unknown:
        raise DreamError(f"{path}: {name} has {unknown[0]!r}, which is no part of a recipe")
    try:
        entry = Entry(name, Recipe(**{**_defaults(table.get("kind")), **table}), **words)
        entry.recipe.to_json()  # as it will stand in the picture
    except ParameterError as error:
        raise DreamError(f"{path}: {name}: {error}") from None
    except TypeError as error:  # a date, say
        raise DreamError(f"{path}: {name} has what no recipe can hold, {error}; write it as a text") from None
    return entry


def _defaults(kind):
    """The fields of a picture of this kind that its table leaves out, where they are not those of a dream."""
    if kind != "label":
        return {"seed": SEED}
    label = {name: parameter.default for name, parameter in inspect.signature(label_picture).parameters.items()}
    size, own = label["size"], {field.name for field in fields(Recipe)}
    more = {name: value for name, value in label.items() if name not in {*own, "net", "name", "size"}}
    return {**{name: value for name, value in label.items() if name in own}, "seed": SEED,
            "input": f"noise:{size}x{size}", "more": more}


def smaller(gallery, max_size):
    """A gallery whose pictures have at most this longer side."""
    entries = [replace(entry, recipe=replace(entry.recipe, max_size=min(entry.recipe.max_size or max_size, max_size)))
               for entry in gallery.entries]
    return replace(gallery, entries=tuple(entries))


def make(gallery, folder, scheduler=None, workers=None, progress=None, gpu=None):
    """Make the pictures of a gallery that are not there yet, and its page.

    **Arguments:**

    - `gallery`: as from `read_gallery`; `folder`: an existing folder for the pictures, PNG, and `index.html`.
    - `scheduler`: the address of a Dask scheduler whose workers make the pictures; `workers`: or how many processes on
      this machine do. With neither they are made here, one after the other.
    - `progress`: a function of the entry and the share of it that is done, 0..1; called only where they are made here.
    - `gpu`: the device of each process that dreams; see `deepdream.load`.

    **Returns:** an iterator of `Outcome` records, one for each entry, as they come about. A recipe that cannot be made
    is an outcome like others.
    """
    folder = Path(folder)
    outcomes = {}

    def record(outcome):
        outcomes[outcome.entry.name] = outcome
        write_sheet(gallery, outcomes, folder / PAGE)
        return outcome

    waiting = []
    for entry in gallery.entries:
        path = folder / f"{entry.name}.png"
        if is_made(entry.recipe, path):
            yield record(Outcome(entry, path))
        else:
            waiting.append((entry, path))
    if waiting and (scheduler or workers):
        from .cluster import make_on_cluster

        results = make_on_cluster(waiting, scheduler, workers, gpu)
    else:
        results = _make_here(waiting, progress, gpu)
    for entry, path, result in results:
        if not isinstance(result, Exception):
            try:
                write_image(path, *result)
            except Exception as error:  # where one picture cannot be written, the others may
                result = error
        if isinstance(result, Exception):
            log.warning("%s could not be made: %s", entry.name, result)
            yield record(Outcome(entry, path, error=str(result) or type(result).__name__))
        else:
            yield record(Outcome(entry, path, made=True))


def _make_here(waiting, progress, gpu):
    without = {}  # model whose weights cannot be had: the first entry that found out
    for entry, path in waiting:
        report = None if progress is None else functools.partial(progress, entry)
        model = entry.recipe.model
        if model in without:  # asking all the download sites again would take as long as the first time
            yield entry, path, WeightsError(f"the weights of {model} could not be had, as for {without[model]}")
            continue
        try:
            yield entry, path, render(entry.recipe, progress=report, gpu=gpu)
        except Exception as error:  # whatever it is, the others are made
            if isinstance(error, WeightsError):
                without[model] = entry.name
            log.debug("%s failed", entry.name, exc_info=True)
            yield entry, path, error


def render(recipe, image=None, guide=None, progress=None, gpu=None):
    """(picture, complete recipe) of a recipe; the network stays loaded for the next one of the same model."""
    return recipe.make(image, guide, net=_loaded(recipe.model, gpu), progress=progress)


@functools.lru_cache(maxsize=1)
def _loaded(model, gpu):
    return Recipe(model=model).load(gpu)


def is_made(recipe, path):
    """Whether a picture file is there and was made from this recipe, with the pictures and weights that are here."""
    try:
        made = Recipe.from_image(path)
        model = models.find_model(recipe.model)
    except DreamError:
        return False
    asked, got = asdict(recipe), asdict(made)
    if any(asked[name] != got[name] for name in asked if name not in _OPEN):
        return False
    if recipe.tile not in (None, "auto", made.tile) or not _same_end(recipe, made, model):
        return False
    weights = models.local_weights(model)
    if weights and made.weights_sha256 not in (None, sha256_of(weights)):
        return False
    try:
        images = recipe.pictures()
    except ImageError:
        return True  # it could not be made again anyway
    return all(image is None or sha256 in (None, picture_sha256(image))
               for image, sha256 in zip(images, (made.input_sha256, made.guide_sha256)))


def _same_end(recipe, made, model):
    """Whether a picture was dreamt at the layer that a recipe asks for; without one the model or objective has one."""
    if recipe.end is not None:
        return recipe.end == made.end
    return recipe.objective["objective"] != "L2" or made.end in (None, model.end)
