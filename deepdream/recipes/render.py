"""Makes images from recipes.

The central type is a renderer, one for each kind of recipe (`RENDERERS`): a function of the complete recipe, the
network, the input (scaled), the guides, the mask or `None`, and a callback for the share that is done. It returns the
image.
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional, TypeVar, Union, cast

import caffe
import numpy as np
import PIL
import scipy

from .._types import Image
from .._version import __version__
from ..channel_images import channel_picture
from ..data.cache import file_sha256
from ..dream import dream_steps
from ..errors import ParameterError
from ..io.arrays import fitted_size
from ..io.background import parse_background
from ..io.metadata import check_text
from ..io.source import ImageSource, source_of
from ..label_images import label_steps
from ..mask import read_mask
from ..network.layers import resolve_end
from ..network.net import Net, check_net
from ..network.tiling import plan_tiles
from ..octaves import check_sizes, octave_shapes
from ..preview import FullSizePreview
from ..schedule import schedule_from_spec
from ..text import counted
from ..validation import short_repr
from ..zoo.loading import load
from ..zoom import zoom_frames
from .fields import RecipeFields, as_list
from .inputs import COMPUTED_MASKS, FittedMask, computed_mask, expand_home, find_image, given_image
from .kinds import check_makeable
from .objective_spec import objective_from_spec
from .scheduled import scheduled_settings

log = logging.getLogger(__name__)

# Increased when tiles of the same size are added up in another order.
TILING_VERSION = "2"
_DREAM_ARGUMENTS = ("iter_n", "octave_n", "octave_scale", "clip", "step_size", "jitter", "seed", "tile", "wrap")
_LABEL_ARGUMENTS = ("seed", "iter_n", "octave_n", "octave_scale", "step_size", "jitter", "wrap")
_Mask = Optional[FittedMask]
_Recipe = TypeVar("_Recipe", bound=RecipeFields)
Progress = Callable[[float], Any]
Guides = Union[Image, ImageSource, Sequence[Union[Image, ImageSource]]]  # one guide, or several


def make(
    recipe: _Recipe,
    image: Any = None,
    guide: Any = None,
    net: Net | None = None,
    search_dir: Any = None,
    progress: Progress | None = None,
    gpu: Any = None,
    mask: Any = None,
) -> tuple[Image, _Recipe]:
    """(image, complete recipe); the arguments are those of `Recipe.make`."""
    check_makeable(recipe)
    if progress is not None and not callable(progress):
        raise ParameterError(f"progress={short_repr(progress)}: it must be a function of the share that is done")
    source, guide_sources, found_mask = find_inputs(recipe, image, guide, search_dir, mask)
    net = load_net(recipe, gpu) if net is None else net
    check_net(net)
    done = complete(recipe, net, source, guide_sources, found_mask)
    for difference in recipe.differences(done):
        log.warning("%s", difference)
    check_text(done.to_json())  # it is written with the image
    renderer = RENDERERS[recipe.kind]
    image = fit_input(done, source)
    guides = fit_guides(done, guide_sources)
    del source, guide_sources  # frees their memory for the dream
    return renderer(done, net, image, guides, found_mask, progress or (lambda share: None)), done


def make_with_cached_net(
    recipe: _Recipe,
    image: Any = None,
    guide: Any = None,
    progress: Progress | None = None,
    gpu: Any = None,
    mask: Any = None,
) -> tuple[Image, _Recipe]:
    """As `make`; the network stays loaded for the next recipe of the same model."""
    return make(recipe, image, guide, net=cached_net(recipe.model, gpu), progress=progress, mask=mask)


@functools.lru_cache(maxsize=1)
def cached_net(model: str, gpu: Any) -> Net:
    """The network of a recipe's model; it stays loaded for the next call with the same arguments."""
    return load(expand_home(model), gpu=gpu)


def load_net(recipe: RecipeFields, gpu: Any = None) -> Net:
    """The recorded network, on this device."""
    return load(expand_home(recipe.model), gpu=gpu)


def find_inputs(
    recipe: RecipeFields, image: Any = None, guide: Any = None, search_dir: Any = None, mask: Any = None
) -> tuple[ImageSource, list[ImageSource], FittedMask | None]:
    """(input, guides, mask), all but the mask in full size: the given ones, or else those that the recipe names."""
    background = parse_background(recipe.more.get("background", "white"))
    if image is None:
        image = find_image(
            recipe.input, recipe.input_sha256, search_dir, max_size=recipe.max_size, background=background
        )
    image = given_image(image, recipe.max_size, background)
    found_mask = find_mask(recipe, image, mask, search_dir)
    max_size = recipe.more.get("guide_max_size")
    names, hashes = as_list(recipe.guide or None), as_list(recipe.guide_sha256)
    if guide is None or (not names and not as_list(guide)):
        found = itertools.zip_longest(names, hashes[: len(names)])
        sources = [find_image(*each, search_dir, "guide", max_size=max_size) for each in found]
        return image, sources, found_mask
    guides = as_list(guide)
    if len(guides) != max(1, len(names)):
        raise ParameterError(
            f"the recipe has {counted(len(names), 'guide')} and {len(guides)} {'was' if len(guides) == 1 else 'were'} "
            "given; give each of them, in its order"
        )
    return image, [given_image(each, max_size) for each in guides], found_mask


def find_mask(recipe: RecipeFields, image: ImageSource, mask: Any = None, search_dir: Any = None) -> FittedMask | None:
    """The mask of a recipe at the size that is dreamt on: the given one, or else the one that it names.

    Args:
        recipe: the recipe.
        image: the input in full size.
        mask: a name, an array (H, W, 3), a `FittedMask`, or `None`.
        search_dir: an additional folder to search.

    Returns:
        `None` if the recipe has no mask.
    """
    if recipe.mask is None:
        if mask is not None:
            raise ParameterError("the recipe has no mask, so none can take its place")
        return None
    if isinstance(mask, FittedMask):
        return mask
    if mask is not None:
        source = given_image(mask)
    elif recipe.mask in COMPUTED_MASKS:
        source = computed_mask(recipe.mask, image)
    else:
        source = find_image(recipe.mask, recipe.mask_sha256, search_dir, "mask")
    size = fitted_size(*image.shape[:2], recipe.max_size)
    return FittedMask(read_mask(source, size, recipe.mask_feather, recipe.mask_invert, recipe.wrap), source.sha256)


def fit_input(recipe: RecipeFields, image: Image | ImageSource) -> Image:
    """The input at the size that is dreamt on, no larger than the recipe's `max_size`."""
    return source_of(image).fit(recipe.max_size)


def fit_guides(recipe: RecipeFields, guide: Any) -> list[Image]:
    """The guides at the size that is used; the playground scales guides down."""
    return [source_of(each).fit(recipe.more.get("guide_max_size")) for each in as_list(guide)]


def blend(recipe: RecipeFields, image: Image, dream: Image) -> Image:
    """The recipe's `strength` of a dream on the input that `fit_input` returned."""
    return dream if recipe.strength == 1 else image + np.float32(recipe.strength) * (dream - image)


def settings(
    recipe: RecipeFields, net: Net, guide: Guides | None = None, mask: FittedMask | None = None
) -> dict[str, Any]:
    """The keyword arguments of `dream_steps`; the image for them comes from `fit_input`."""
    guides = fit_guides(recipe, guide)
    if (mask is None) != (recipe.mask is None):
        raise ParameterError(f"the recipe has the mask {short_repr(recipe.mask)}; pass what its fit_mask returns")
    own_guides = guides
    scheduled: dict[str, Any] = {}
    if recipe.schedule is not None:
        schedule = schedule_from_spec(recipe.schedule)
        scheduled = {"schedule": scheduled_settings(net, schedule, guides, recipe.end)}
        own_guides = []
    return {
        "mask": None if mask is None else mask.values,
        "end": recipe.end,
        "objective": objective_from_spec(net, recipe.objective, recipe.end, own_guides),
        **{name: getattr(recipe, name) for name in _DREAM_ARGUMENTS},
        **scheduled,
    }


def complete(
    recipe: _Recipe,
    net: Net,
    image: Image | ImageSource,
    guide: Guides | None = None,
    mask: FittedMask | None = None,
) -> _Recipe:
    """The recipe with all values that determine the pixels; see `Recipe.complete`."""
    check_net(net)
    source, guides = source_of(image), [source_of(each) for each in as_list(guide)]
    # A guided objective needs a pass through the network, and is at the recipe's layer or the network's default.
    objective = None if guides else objective_from_spec(net, recipe.objective, recipe.end)
    end = resolve_end(net, recipe.end, objective)
    layers = end if recipe.schedule is None else schedule_from_spec(recipe.schedule).layers() or end
    tile = recipe.tile
    if tile is not None:
        height, width = source.shape[:2]
        shapes = _octave_shapes(recipe, *fitted_size(height, width, recipe.max_size))
        check_sizes(net, layers, shapes, recipe.octave_scale)
        tile = plan_tiles(net, layers, shapes, tile)
    return replace(
        recipe,
        end=end,
        tile=tile,
        input_sha256=source.sha256,
        versions=versions(net, tile),
        guide_sha256=[each.sha256 for each in guides],
        mask_sha256=None if mask is None else mask.sha256,
        weights_sha256=None if net.weights is None else file_sha256(net.weights),
    )


def versions(net: Net, tile: int | None = None) -> dict[str, str]:
    """The software that computes a dream here: {name: version}."""
    found = {
        "deepdream": __version__,
        "caffe": caffe.__version__,
        "kind of layers": "fast" if net.fast else "upstream",
        "device": "CPU" if net.gpu is None else "GPU",
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "pillow": PIL.__version__,
    }
    return found if tile is None else {**found, "tiling": TILING_VERSION}


def _render_dream(
    recipe: RecipeFields, net: Net, image: Image, guide: list[Image], mask: _Mask, progress: Progress
) -> Image:
    areas = [height * width for height, width in _octave_shapes(recipe, *image.shape[:2])]
    work, worked = sum(areas) * recipe.iter_n, 0
    for step in dream_steps(net, image, **settings(recipe, net, guide, mask)):
        worked += areas[step.octave]
        progress(worked / work)
    return blend(recipe, image, step.image)


def _render_stopped(
    recipe: RecipeFields, net: Net, image: Image, guide: list[Image], mask: _Mask, progress: Progress
) -> Image:
    """A dream that was stopped after a step: its state then, at full size."""
    count = recipe.more["octave"] * recipe.iter_n + recipe.more["iteration"] + 1
    steps = itertools.islice(dream_steps(net, image, **settings(recipe, net, guide, mask)), count)
    for number, step in enumerate(steps):
        progress((number + 1) / count)
        last = step
    shapes = _octave_shapes(recipe, *image.shape[:2])
    preview = FullSizePreview(image, shapes, None if mask is None else mask.values, recipe.wrap)
    return blend(recipe, image, preview.of(last.image, last.octave))


def _render_zoom(
    recipe: RecipeFields, net: Net, image: Image, guide: list[Image], mask: _Mask, progress: Progress
) -> Image:
    """One frame of a zoom, which needs all earlier ones."""
    count = recipe.more["frame"] + 1
    move = {"scale": recipe.more["scale"], "rotate": recipe.more["rotate"], "center": recipe.more.get("center")}
    dream = settings(recipe, net, guide, mask)
    for frame in zoom_frames(net, image, count, **move, strength=recipe.strength, **dream):
        progress((frame.index + 1) / count)
    return frame.image


def _render_label(
    recipe: RecipeFields, net: Net, image: Image, guide: list[Image], mask: _Mask, progress: Progress
) -> Image:
    """The image of a label from noise; only the size of the input is used."""
    label = cast("Mapping[str, Any]", recipe.objective)
    arguments = {name: getattr(recipe, name) for name in _LABEL_ARGUMENTS}
    name = label["index"] if "index" in label else label["label"]
    for step in label_steps(net, name, image.shape[:2], **arguments, blur=recipe.more["blur"]):
        progress((step.octave * recipe.iter_n + step.iteration + 1) / (recipe.octave_n * recipe.iter_n))
    return step.image


def _render_channel(
    recipe: RecipeFields, net: Net, image: Image, guide: list[Image], mask: _Mask, progress: Progress
) -> Image:
    """The image of a channel from noise; only the size of the input is used."""
    spec = cast("Mapping[str, Any]", recipe.objective)
    assert isinstance(recipe.end, str)  # checked, as is that there is one channel
    return channel_picture(
        net, as_list(spec["indices"])[0], recipe.end, image.shape[0], recipe.seed, recipe.iter_n, progress
    )


def _octave_shapes(recipe: RecipeFields, height: int, width: int) -> list[tuple[int, int]]:
    return octave_shapes(height, width, recipe.octave_n, recipe.octave_scale)


RENDERERS = {
    "channel": _render_channel,
    "dream": _render_dream,
    "label": _render_label,
    "stopped dream": _render_stopped,
    "zoom": _render_zoom,
}
