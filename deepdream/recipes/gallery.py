"""Makes the images of a gallery, one after the other or on a cluster, and shows them on one page.

`make_gallery` is the core, a generator of `Outcome` records. Each image is written atomically, with its recipe inside,
and an image that exists from the same recipe is not made again: a gallery can be stopped at any moment and continued.
"""

from __future__ import annotations

import errno
import functools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._types import Image
from ..data.cache import file_sha256
from ..errors import DreamError, ImageError, WeightsError
from ..io.background import parse_background
from ..io.carried_metadata import KEEPS_LOCATION, Metadata
from ..io.files import why_not_replaceable
from ..io.image import NO_METADATA, write_image
from ..network.end_names import EndNames
from ..network.layers import weights_of
from ..network.prototxt import read_definition
from ..objectives import label_index
from ..zoo.registry import Model, find_model
from ..zoo.weights import local_weights
from .cluster import make_on_cluster
from .fields import as_list
from .gallery_file import Entry, Gallery, Outcome
from .gallery_page import write_gallery_page
from .inputs import COMPUTED_MASKS, check_found, find_image
from .objective_spec import labels_in
from .recipe import Recipe
from .render import find_inputs, make_with_cached_net

log = logging.getLogger(__name__)

PAGE = "index.html"
_KINDS_OF_DREAMS = ("dream", "stopped dream")  # whose pixels are where those of the input are
# A recipe leaves these open until its image is made.
_OPEN_FIELDS = ("input_sha256", "guide_sha256", "mask_sha256", "weights_sha256", "versions", "end", "tile")

Result = tuple[Entry, Path, "tuple[Image, Recipe] | Exception"]


def make_gallery(
    gallery: Gallery,
    folder: str | Path,
    scheduler: str | None = None,
    workers: int | None = None,
    progress: Callable[[Entry, float], Any] | None = None,
    gpu: int | str | None = None,
    page: bool = True,
) -> Iterator[Outcome]:
    """Make the images of a gallery that do not exist yet, and its page.

    Args:
        gallery: a gallery from `read_gallery`.
        folder: an existing folder for the images, PNG, and `index.html`.
        scheduler: the address of a Dask scheduler whose workers make the images; without it and `workers`, they are
            made here, one after the other.
        workers: or the number of processes on this machine that make them.
        progress: called with the entry and the share of it that is done, 0..1; only if the images are made here.
        gpu: the device of each process that dreams; see `deepdream.load`.
        page: whether to write the page.

    Yields:
        An `Outcome` for each entry, as each is done. A recipe that cannot be made is an outcome like the others.
    """
    folder = Path(folder)
    outcomes: dict[str, Outcome] = {}

    def report(entry: Entry, error: str) -> None:
        log.warning("%s could not be made: %s", entry.name if page else entry.title, error)

    def record(outcome: Outcome) -> Outcome:
        outcomes[outcome.entry.name] = outcome
        if page:
            write_gallery_page(gallery, outcomes, folder / PAGE)
        return outcome

    waiting = []
    for entry in gallery.entries:
        path = folder / f"{entry.name}.png"
        if is_made(entry.recipe, path):
            yield record(Outcome(entry, path))
        elif obstacle := _why_not_written(path) or _why_not_found(entry.recipe):  # known without loading a network
            report(entry, obstacle)
            yield record(Outcome(entry, path, error=obstacle))
        else:
            waiting.append((entry, path))
    dropped: set[str] = set()
    results: Iterator[Result]
    if waiting and (scheduler or workers):
        results = make_on_cluster(waiting, scheduler, workers, gpu)
    else:
        results = _make_here(waiting, progress, gpu)
    for entry, path, result in results:
        if not isinstance(result, Exception):
            try:
                image, recipe = result
                metadata, alpha = _carried(recipe, image, dropped)
                write_image(path, image, recipe, metadata=metadata, alpha=alpha)
            except Exception as error:  # if one image cannot be written, others may be
                result = error
        if isinstance(result, Exception):
            reason = str(result) or type(result).__name__
            report(entry, reason)
            yield record(Outcome(entry, path, error=reason))
        else:
            yield record(Outcome(entry, path, made=True))


def _make_here(
    waiting: Iterable[tuple[Entry, Path]], progress: Callable[[Entry, float], Any] | None, gpu: int | str | None
) -> Iterator[Result]:
    missing_weights: dict[str, str] = {}  # model: the first entry that failed
    for entry, path in waiting:
        report = None if progress is None else functools.partial(progress, entry)
        model = entry.recipe.model
        if model in missing_weights:  # trying all download sites again would take as long as the first time
            yield (
                entry,
                path,
                WeightsError(f"could not get the weights of {model}, as for {missing_weights[model]}"),
            )
            continue
        try:
            yield entry, path, make_with_cached_net(entry.recipe, progress=report, gpu=gpu)
        except Exception as error:  # of any class: the others are made
            if isinstance(error, WeightsError):
                missing_weights[model] = entry.name
            log.debug("%s failed", entry.name, exc_info=True)
            yield entry, path, error


def _carried(recipe: Recipe, image: Image, named: set[str]) -> tuple[Metadata | None, NDArray[np.float32] | None]:
    """(metadata, alpha) of the input of an image: what `deepdream dream` writes, without the place.

    Args:
        recipe: the complete recipe.
        image: the image that was made.
        named: what was logged as left out of another image; more is added.
    """
    if recipe.kind not in _KINDS_OF_DREAMS:
        return NO_METADATA, None
    background = recipe.more.get("background")
    try:
        colour = parse_background("white" if background is None else background)
        source = find_image(recipe.input, recipe.input_sha256, max_size=recipe.max_size, background=colour)
        alpha = source.alpha(recipe.max_size) if background is None else None
    except ImageError as error:  # it was removed meanwhile
        log.info("%s: left out the metadata: %s", recipe.input, error)
        return NO_METADATA, None
    metadata = (source.metadata or NO_METADATA).without_location()
    new = [what.replace(KEEPS_LOCATION, "") for what in metadata.dropped if what not in named]
    if new:
        log.info("%s: left out %s", recipe.input, ", ".join(new))
    named.update(metadata.dropped)
    return metadata, alpha if alpha is not None and alpha.shape == image.shape[:2] else None


def _why_not_written(path: Path) -> str:
    """Why an image could not be written to a path; empty if it could."""
    try:
        os.stat(path)
    except FileNotFoundError:
        folder = Path(os.path.realpath(path)).parent
        return "" if folder.is_dir() else f"{path} leads into the folder {folder}, which does not exist"
    except OSError as error:  # the name is too long, or its links go round in a loop
        return f"{path} cannot be written: {error.strerror}"
    if path.is_dir():
        return f"{path} cannot be written: {os.strerror(errno.EISDIR)}; choose another name"
    reason = why_not_replaceable(path)
    return reason and f"{path} cannot be written: it {reason}"


def _why_not_found(recipe: Recipe) -> str:
    """Which image of a recipe, or layer or label of its network, does not exist; empty if all do."""
    masks = [] if recipe.mask in COMPUTED_MASKS else as_list(recipe.mask)
    named = {"image": [recipe.input], "guide": as_list(recipe.guide), "mask": masks}
    try:
        for what, names in named.items():
            for name in names:
                check_found(name, what)
        model = find_model(recipe.model)
        if recipe.end is not None:
            layers = _end_names(model.prototxt)
            for layer in weights_of(recipe.end):
                layers.blob(layer)
        if model.labels and isinstance(recipe.objective, Mapping):
            for label in labels_in(recipe.objective):
                label_index(model.labels, label)
    except DreamError as error:
        return str(error)
    return ""


@functools.cache
def _end_names(prototxt: Path) -> EndNames:
    return EndNames(read_definition(prototxt))


def is_made(recipe: Recipe, path: Path) -> bool:
    """Whether an image was made from this recipe, with the inputs and weights of this machine.

    Args:
        recipe: the recipe in a gallery.
        path: the path of the image, which need not exist.

    Returns:
        `True` if making it again would change nothing.
    """
    try:
        made = Recipe.from_image(path)
        model = find_model(recipe.model)
    except DreamError:
        return False
    wanted, found = asdict(recipe), asdict(made)
    if any(wanted[name] != found[name] for name in wanted if name not in _OPEN_FIELDS):
        return False
    if recipe.tile not in (None, "auto", made.tile) or not _same_end(recipe, made, model):
        return False
    weights = local_weights(model)
    if weights and made.weights_sha256 not in (None, file_sha256(weights)):
        return False
    try:
        sources = find_inputs(recipe)
    except ImageError:
        return True  # it could not be made again anyway
    image, guides, mask = sources
    if mask is not None and made.mask_sha256 not in (None, mask.sha256):
        return False
    pairs = [(image, made.input_sha256), *zip(guides, as_list(made.guide_sha256))]
    return all(sha256 in (None, source.sha256) for source, sha256 in pairs)


def _same_end(recipe: Recipe, made: Recipe, model: Model) -> bool:
    """Whether an image was dreamt at the layer of a recipe; without one, the model's or the objective's counts."""
    if recipe.end is not None:
        return recipe.end == made.end
    objective = recipe.objective
    assert isinstance(objective, Mapping)  # a recipe makes sure that it is one
    return objective["objective"] != "L2" or made.end in (None, model.end)
