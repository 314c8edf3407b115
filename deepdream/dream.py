"""The DeepDream of 2015: gradient ascent on an image. Read this first.

Three ideas, one inside the other, as in Google's release:

- an *objective* is the quantity to maximise at a layer (`deepdream.objectives`);
- a *step* shifts the image at random, takes the gradient of the objective with respect to the image, adds it at a fixed
  mean size, shifts back and clips (`_gradient_ascent_step`);
- *octaves*: the dream begins with a small version of the image; the detail that it adds is enlarged, and the dream
  continues at the next size (`_octaves`).

`dream_steps` is the core, a generator of frozen `Step` records; `deepdream` drains it. Names, defaults and arithmetic
are those of the release. A departure from it is a comment at the line.

The step sees the network only through `gradient_of(shifted image)`, which `deepdream.network.tiling` provides: for a
whole image or tile by tile, on a CPU or a GPU.
"""

from __future__ import annotations

import functools
import logging
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np

from ._types import Image, Layers, ObjectiveOrMapping, Planes
from .errors import ParameterError
from .io.arrays import check_image, warn_if_unit_range
from .mask import Mask, check_mask, keep_outside, octave_masks
from .network.gpu_ascent import GpuInputGradient, ascent_step, to_gpu, to_host
from .network.layers import check_objective, format_layers, resolve_end, weights_of
from .network.memory import keeps_image_on_gpu
from .network.net import Net, check_net, deprocess, preprocess
from .network.step_factor import ascent_factor
from .network.tiling import InputGradient, input_gradient, plan_tiles
from .objectives import objective_L2
from .octaves import check_sizes, octave_shapes
from .resampling import zoom_linear
from .schedule import Settings
from .seeds import fresh_seed
from .validation import (
    MAX_JITTER,
    MAX_STEP_SIZE,
    check_count,
    check_flag,
    check_number,
    check_seed,
    check_wrap,
    short_repr,
)

log = logging.getLogger(__name__)

GradientOf = Callable[[Planes], "tuple[Planes, float | None]"]


@dataclass(frozen=True)
class Step:
    """One step of a dream.

    Attributes:
        octave: counted from zero, the smallest first.
        iteration: counted from zero in each octave.
        image: the image after the step, float32 (h, w, 3) RGB at the octave's size; a copy.
        objective: what the objective returned before the step; NaN if it returns nothing.
    """

    octave: int
    iteration: int
    image: Image
    objective: float


def deepdream(
    net: Net,
    base_img: Image,
    iter_n: int = 10,
    octave_n: int = 4,
    octave_scale: float = 1.4,
    end: Layers | None = None,
    clip: bool = True,
    objective: ObjectiveOrMapping = objective_L2,
    step_size: float = 1.5,
    jitter: int = 32,
    seed: int | None = None,
    tile: int | str | None = None,
    mask: Mask | None = None,
    wrap: str | None = None,
    schedule: Settings | None = None,
) -> Image:
    """Dream: change an image so that a layer of the network responds more.

    The dream begins with a small version of the image; the detail that it adds is enlarged, and the dream continues at
    the next size, so large structures come before small ones. This is ``deepdream`` of the release of 2015, with its
    defaults.

    Args:
        net: the network, from `load` or `Net`.
        base_img: the image, (H, W, 3) RGB 0..255.
        iter_n: steps per octave.
        octave_n: the number of octaves (image sizes).
        octave_scale: the ratio of one size to the next.
        end: the layer to maximise, or several: {layer: weight}. `None`: the objective's own, else the network's.
        clip: keep the values within 0..255.
        objective: what to maximise at `end`, see `deepdream.objectives`; a mapping has one for each of several layers.
        step_size: mean change of a value in one step, on a scale of 0..255.
        jitter: the largest random shift of the image in a step, in pixels.
        seed: the random seed of the shifts, 0..2**32-1; the same seed gives the same image. `None`: a fresh one.
        tile: the longest side of the part that the network sees at once, in pixels, for images that do not fit into
            memory; "auto": the largest that fits, or no tiles if the whole image fits. If an image is not larger than
            the tile, the result is the same as without tiles; in a larger one, creatures do not grow much larger than
            a tile.
        mask: which parts are dreamt, (H, W), from 0, which stays bit for bit, to 1, as `read_mask` gives it; one of
            another size is scaled. `None`: the whole image.
        wrap: "x" if the left and right edges join, as in a panorama all around; "xy" if top and bottom join, too, as in
            a texture. `None`: no edges do.
        schedule: a function of an octave's number, from 0, the smallest, that returns what is different there:
            {"end": …, "objective": …, "step_size": …}, or some of them. `None`: nothing is.

    Returns:
        float32 (H, W, 3), RGB.

    Raises:
        ImageError: the image or the mask cannot be used or is too small or too large; before the first step.
        LayerError: the layer cannot be dreamt; before the first step.
        ParameterError: another argument is out of its range; before the first step.

    Example:
        >>> dream = dd.deepdream(net, dd.picture("clouds")[:90, :120], iter_n=2, octave_n=2, seed=1)
        >>> dream.shape, dream.dtype
        ((90, 120, 3), dtype('float32'))
    """
    ascent, image_of = _begin(
        net,
        base_img,
        iter_n,
        octave_n,
        octave_scale,
        end,
        clip,
        objective,
        step_size,
        jitter,
        seed,
        tile,
        mask,
        wrap,
        schedule,
    )
    _, _, planes, _ = deque(ascent, maxlen=1)[0]
    return image_of(planes)


def dream_steps(
    net: Net,
    base_img: Image,
    iter_n: int = 10,
    octave_n: int = 4,
    octave_scale: float = 1.4,
    end: Layers | None = None,
    clip: bool = True,
    objective: ObjectiveOrMapping = objective_L2,
    step_size: float = 1.5,
    jitter: int = 32,
    seed: int | None = None,
    tile: int | str | None = None,
    mask: Mask | None = None,
    wrap: str | None = None,
    schedule: Settings | None = None,
) -> Iterator[Step]:
    """Dream, one step at a time.

    Args:
        net: the network, from `load` or `Net`. Other dreams on it may run between the steps.
        base_img: the image, (H, W, 3) RGB 0..255. This and the arguments that follow are those of `deepdream`, and are
            checked before the first step.
        iter_n: see `deepdream`.
        octave_n: see `deepdream`.
        octave_scale: see `deepdream`.
        end: see `deepdream`.
        clip: see `deepdream`.
        objective: see `deepdream`.
        step_size: see `deepdream`.
        jitter: see `deepdream`.
        seed: see `deepdream`.
        tile: see `deepdream`.
        mask: see `deepdream`.
        wrap: see `deepdream`.
        schedule: see `deepdream`.

    Returns:
        An iterator of `octave_n * iter_n` `Step` records.

    Raises:
        ImageError, LayerError, ParameterError: as `deepdream`.

    Example:
        >>> steps = dd.dream_steps(net, dd.picture("clouds")[:90, :120], iter_n=2, octave_n=2, seed=1)
        >>> [(step.octave, step.iteration, step.image.shape) for step in steps]
        [(0, 0, (64, 86, 3)), (0, 1, (64, 86, 3)), (1, 0, (90, 120, 3)), (1, 1, (90, 120, 3))]
    """
    ascent, image_of = _begin(
        net,
        base_img,
        iter_n,
        octave_n,
        octave_scale,
        end,
        clip,
        objective,
        step_size,
        jitter,
        seed,
        tile,
        mask,
        wrap,
        schedule,
    )
    return (Step(octave, iteration, image_of(planes), value) for octave, iteration, planes, value in ascent)


def _begin(
    net: Net,
    base_img: Image,
    iter_n: int,
    octave_n: int,
    octave_scale: float,
    end: Layers | None,
    clip: bool,
    objective: ObjectiveOrMapping,
    step_size: float,
    jitter: int,
    seed: int | None,
    tile: int | str | None,
    mask: Mask | None,
    wrap: str | None,
    schedule: Settings | None,
) -> tuple[Iterator[tuple[int, int, Any, float]], Callable[[Any], Image]]:
    """Check the arguments of `dream_steps`; returns the steps of `_octaves`, and what makes their planes an image."""
    check_net(net)
    base_img = check_image(base_img)
    check_steps(iter_n, jitter, step_size)
    check_flag("clip", clip, "whether to keep the values within 0..255")
    check_wrap(wrap)
    height, width = base_img.shape[:2]
    mask = None if mask is None else check_mask(mask, height, width)
    _resolve(net, end, objective)
    shapes = octave_shapes(height, width, octave_n, octave_scale)
    aims = [_aim(net, octave, schedule, end, objective, step_size) for octave in range(octave_n)]
    ends = [end for octave, (end, _, _) in enumerate(aims) if end not in [other for other, _, _ in aims[:octave]]]
    for end in ends:
        check_sizes(net, end, shapes, octave_scale)
    seed = fresh_seed() if seed is None else seed
    check_seed(seed)
    tile_side = min((side for end in ends if (side := plan_tiles(net, end, shapes, tile)) is not None), default=None)
    warn_if_unit_range(base_img)
    common: dict[str, Any] = {
        # NumPy's frozen generator, in the state that np.random.seed(seed) gave the release's global one.
        "rng": np.random.RandomState(seed),
        "jitter": jitter,
        "limits": (-net.mean, 255 - net.mean) if clip else None,
        "warn": functools.lru_cache(log.warning),  # of each message only the first
    }
    end, objective, _ = aims[0]
    planes, tiles = preprocess(net, base_img), (net, end, objective, tile_side, seed, tile is not None)

    def image_of(planes: Any) -> Image:
        image = deprocess(net, to_host(planes))
        return keep_outside(image, base_img, mask) if image.shape == base_img.shape else image

    masks: Sequence[Mask | None] = [None] * octave_n if mask is None else octave_masks(mask, shapes)
    on_gpu = mask is None and wrap is None and net.gpu is not None and keeps_image_on_gpu(net.gpu, height, width)
    gradient_of = GpuInputGradient(*tiles) if on_gpu else input_gradient(*tiles, wrap=wrap)

    def step_of(octave: int) -> Callable[[Any, Mask | None], float]:
        end, objective, size = aims[octave]
        gradient_of.aim(end, objective)
        own = {**common, "gradient_of": gradient_of, "step_size": size, "layers": format_layers(end)}
        if not on_gpu:
            return partial(_gradient_ascent_step, **own)
        return lambda image, _: ascent_step(image, **own)

    if on_gpu:
        planes = to_gpu(planes, cast("int", net.gpu))
    return _octaves(planes, shapes, masks, wrap, iter_n, step_of), image_of


def check_steps(iter_n: Any, jitter: Any, step_size: Any) -> None:
    """Raise `ParameterError` if one of these arguments of `dream_steps` is out of its range."""
    check_count("iter_n", iter_n, 1, "the number of iterations")
    check_count("jitter", jitter, 0, "the jitter in pixels", MAX_JITTER)
    check_number("step_size", step_size, -MAX_STEP_SIZE, "the step size", MAX_STEP_SIZE)


def _aim(
    net: Net,
    octave: int,
    schedule: Settings | None,
    end: Layers | None,
    objective: ObjectiveOrMapping,
    step_size: float,
) -> tuple[Layers, ObjectiveOrMapping, float]:
    """(checked layers, objective, step size) of an octave."""
    if schedule is not None:
        own = dict(schedule(octave))
        end, objective, step_size = (
            own.pop("end", end),
            own.pop("objective", objective),
            own.pop("step_size", step_size),
        )
        check_number("step_size", step_size, -MAX_STEP_SIZE, "the step size", MAX_STEP_SIZE)
        if own:
            raise ParameterError(
                f"schedule: octave {octave} has {short_repr(min(own))}; it may have end, objective and step_size"
            )
    return _resolve(net, end, objective), objective, step_size


def _octaves(
    planes: Any,
    shapes: Sequence[tuple[int, int]],
    masks: Sequence[Mask | None],
    wrap: str | None,
    iter_n: int,
    step_of: Callable[[int], Callable[[Any, Mask | None], float]],
) -> Iterator[tuple[int, int, Any, float]]:
    """Dream at each of `shapes`, the smallest first, with its mask, and carry the detail from one to the next.

    Yields octave, iteration, the planes, which the next step changes, and the objective's value. The planes are
    an array, or on a GPU, where there are no masks and no edges join.
    """
    bases = [planes]  # the largest first, so that each can be dropped when its octave begins
    for shape in shapes[-2::-1]:
        bases.append(zoom_linear(bases[-1], shape, wrap))
    detail = bases[-1] - bases[-1]
    for octave, mask in enumerate(masks):
        base = bases.pop()
        detail = zoom_linear(detail, base.shape[1:], wrap)
        if mask is not None:
            detail = detail * (mask > 0)  # enlarging it has carried it over the mask's edges
        image = base + detail
        step = step_of(octave)
        for iteration in range(iter_n):
            value = step(image, mask)
            yield octave, iteration, image, value
        detail = image - base


def _gradient_ascent_step(
    image: Planes,
    mask: Mask | None,
    gradient_of: GradientOf,
    rng: np.random.RandomState,
    step_size: float,
    jitter: int,
    limits: tuple[Planes, Planes] | None,
    layers: str,
    warn: Callable[..., Any] = log.warning,
) -> float:
    """Change `image`, (3, H, W), in place by one step where `mask` allows it; returns the objective's value before."""
    # Shift at random, so that no point of the image is always at the same position in a layer's windows.
    ox, oy = rng.randint(-jitter, jitter + 1, 2)
    shifted = np.roll(image, (oy, ox), (-2, -1))

    with np.errstate(over="ignore", invalid="ignore"):  # the next lines raise where NumPy would warn
        gradient, value = gradient_of(shifted)
        magnitude = np.abs(gradient).mean()
        if mask is not None:
            share = np.roll(mask, (oy, ox), (-2, -1))
            gradient *= share
            # The mean change is that inside the mask.
            magnitude = np.abs(gradient).mean() / np.float32(share.mean(dtype=np.float64))
    factor = ascent_factor(step_size, magnitude, layers, warn)  # normalised ascent
    if factor is not None:
        gradient *= factor
        shifted += gradient

    image[...] = np.roll(shifted, (-oy, -ox), (-2, -1))
    if limits is not None:
        np.clip(image, *limits, out=image)
    return math.nan if value is None else float(value)


def make_step(
    net: Net,
    step_size: float = 1.5,
    end: Layers | None = None,
    jitter: int = 32,
    clip: bool = True,
    objective: ObjectiveOrMapping = objective_L2,
    rng: np.random.RandomState | None = None,
) -> float:
    """One step of gradient ascent on the image in the network's input blob: `make_step` of the release of 2015.

    The image is shifted at random, its gradient is taken and scaled to a mean magnitude of `step_size`, added, and the
    image is shifted back.

    Args:
        net: a `Net`; `net.input.data[0]` holds the image, (3, H, W), and is changed.
        step_size: mean change of a value, on a scale of 0..255.
        end: the layer to maximise, or several: {layer: weight}. `None`: the objective's own, else the network's.
        jitter: the largest shift in pixels, either way.
        clip: keep the values within 0..255.
        objective: what to maximise at `end`, see `deepdream.objectives`; a mapping has one for each of several layers.
        rng: the random generator of the shifts; `None`: a fresh one.

    Returns:
        The value that the objective returned before the step, a float; NaN if it returned nothing.

    Raises:
        LayerError, ParameterError: as `deepdream`.

    Example:
        >>> net.input.reshape(1, 3, 64, 64)
        >>> net.input.data[0] = dd.preprocess(net, dd.picture("clouds")[:64, :64])
        >>> value = dd.make_step(net, jitter=4)
        >>> value > 0
        True
    """
    end = _resolve(net, end, objective)
    check_number("step_size", step_size, -MAX_STEP_SIZE, "the step size", MAX_STEP_SIZE)
    check_count("jitter", jitter, 0, "the jitter in pixels", MAX_JITTER)
    check_flag("clip", clip, "whether to keep the values within 0..255")
    if rng is None:
        rng = np.random.RandomState(fresh_seed())
    elif not hasattr(rng, "randint"):
        raise ParameterError(f"rng={short_repr(rng)}: it must be a numpy.random.RandomState, or None for a fresh one")
    with net.lock:
        image = net.input.data[0].copy()
        limits = (-net.mean, 255 - net.mean) if clip else None
        gradient_of = InputGradient(net, end, objective)
        value = _gradient_ascent_step(image, None, gradient_of, rng, step_size, jitter, limits, format_layers(end))
        net.input.data[0] = image
    return value


def _resolve(net: Net, end: Layers | None, objective: Any) -> Layers:
    """The layers of a dream that is about to begin, checked, and that there is an objective."""
    check_net(net)
    end = resolve_end(net, end, objective)
    if objective is None:  # `resolve_end` accepts this
        check_objective(next(iter(weights_of(end))), objective)
    return end
