"""The step, the octaves, the loop: gradient ascent on a picture.

`dream_steps` is the core, a generator of frozen `Step` records; `deepdream` drains it. Names, defaults and arithmetic
are those of Google's release of 2015; where this departs from it, a comment says so.
"""

import itertools
import logging
import math
import secrets
from collections import deque
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.ndimage as nd

from .checks import MOST_JITTER, MOST_STEP, check_count, check_number, shown
from .ends import check_objective, named, resolve_end, weights_of
from .errors import ImageError, LayerError, ParameterError
from .image import check_image
from .net import Net, deprocess, preprocess
from .objectives import objective_L2
from .tiles import Tiles, plan

log = logging.getLogger(__name__)

MOST_OCTAVES = 100
SMALLEST = 16  # pixels a side: below this even the first layers see next to nothing


@dataclass(frozen=True)
class Step:
    """One step of a dream.

    - `octave`, `iteration`: counted from zero, the smallest octave first.
    - `image`: the picture after the step, float32 (h, w, 3) RGB at the octave's size; a copy.
    - `objective`: what the objective returned before the step (NaN if it returns nothing).
    """

    octave: int
    iteration: int
    image: np.ndarray
    objective: float


def fresh_seed():
    """A seed nobody has used: an int below 2**32."""
    return secrets.randbits(32)


def make_step(net, step_size=1.5, end=None, jitter=32, clip=True, objective=objective_L2, rng=None):
    """One step of ascent on the picture in the network's input blob.

    The picture is shifted at random (so that no place is always at the same place of a window), its gradient is taken
    and scaled to a mean magnitude of `step_size`, added, and the picture is shifted back.

    **Arguments:**

    - `net`: a `Net`; `net.input.data[0]` holds the picture, (3, H, W), and is changed.
    - `step_size`: mean change of a value, in units of 0..255.
    - `end`: the layer to raise, or several: {layer: weight}; `None`: the objective's, else the network's own.
    - `jitter`: the largest shift in pixels, either way.
    - `clip`: keep the values within 0..255.
    - `objective`: what to raise at `end`, see `deepdream.objectives`; a mapping has one for each of several layers.
    - `rng`: a `numpy.random.RandomState`; `None`: a fresh one.

    **Returns:** what the objective returned, a float (NaN if nothing).
    """
    end = _resolve(net, end, objective)
    with net.alone:
        picture = net.input.data[0].copy()
        value = _ascend(net, picture, end, objective, step_size, jitter, clip,
                        rng if rng is not None else np.random.RandomState(fresh_seed()), Tiles())
        net.input.data[0] = picture
    return value


def _resolve(net, end, objective):
    """The end of a dream that is about to begin, all of what `resolve_end` checks checked, and that there is more."""
    check_net(net)
    end = resolve_end(net, end, objective)
    if objective is None:  # to `resolve_end` that is no mistake
        check_objective(next(iter(weights_of(end))), objective)
    return end


def check_net(net):
    """Refuse what is no `Net`."""
    if not isinstance(net, Net):
        raise ParameterError(f"net={shown(net)}: it must be a deepdream.Net, such as deepdream.load('bvlc_googlenet')")


def _ascend(net, picture, end, objective, step_size, jitter, clip, rng, tiles):
    """Change `picture`, (3, H, W), in place by one step; returns the objective's value before it."""
    ox, oy = rng.randint(-jitter, jitter + 1, 2)
    with np.errstate(over="ignore", invalid="ignore"):  # NumPy would warn of what is refused in the next line
        gradient, magnitude, value = tiles.gradient(net, picture, (oy, ox), end, objective)
    if not np.isfinite(magnitude):
        raise LayerError(f"the gradient at {named(end)} is not finite: the objective or the weights overflow")
    # The release divides by the bare mean; a layer that does not respond at all would turn the picture into NaN.
    if magnitude > 0:
        gradient *= np.float32(step_size / magnitude)
        picture += gradient
    else:
        log.warning("nothing in the picture moves %s: the gradient is zero and this step changes nothing", named(end))
    if clip:
        np.clip(picture, -net.mean, 255 - net.mean, out=picture)
    return math.nan if value is None else float(value)


def dream_steps(net, base_img, iter_n=10, octave_n=4, octave_scale=1.4, end=None, clip=True, objective=objective_L2,
                step_size=1.5, jitter=32, seed=None, tile=None):
    """Dream, one step at a time. The arguments are those of `deepdream`, and are checked before the first step.

    **Returns:** an iterator of `octave_n * iter_n` `Step` records. Other dreams on the same network may run between
    its steps.
    """
    check_net(net)
    base_img = check_image(base_img)
    check_count("iter_n", iter_n, 1, "the number of iterations")
    check_count("jitter", jitter, 0, "the jitter in pixels", MOST_JITTER)
    check_number("step_size", step_size, -MOST_STEP, "the step size", MOST_STEP)
    end = _resolve(net, end, objective)
    shapes = octave_shapes(*base_img.shape[:2], octave_n, octave_scale)
    check_sizes(net, end, shapes, octave_scale)
    seed = fresh_seed() if seed is None else seed
    check_count("seed", seed, 0, "the seed", 2**32 - 1)
    tiles = Tiles(plan(net, end, shapes, tile), seed, may_shrink=tile is not None)
    # NumPy's frozen generator: what np.random.seed(seed) gave the release's global one.
    step = partial(_ascend, net, end=end, objective=objective, step_size=step_size, jitter=jitter, clip=clip,
                   rng=np.random.RandomState(seed), tiles=tiles)
    return _octaves(net, preprocess(net, base_img), shapes, iter_n, step)


def _octaves(net, chw, shapes, iter_n, step):
    bases = [chw]  # the largest first, so that each can be dropped when its octave begins
    for shape in shapes[-2::-1]:
        bases.append(_zoom(bases[-1], shape))
    detail = np.zeros_like(bases[-1])
    for octave in range(len(shapes)):
        base = bases.pop()
        picture = base + _zoom(detail, base.shape[1:])
        for iteration in range(iter_n):
            value = step(picture)
            yield Step(octave, iteration, deprocess(net, picture), value)
        detail = picture - base


def deepdream(net, base_img, iter_n=10, octave_n=4, octave_scale=1.4, end=None, clip=True, objective=objective_L2,
              step_size=1.5, jitter=32, seed=None, tile=None):
    """Dream: change a picture so that a layer of the network responds more.

    The picture is first dreamt small, then the detail that came of it is enlarged and dreamt on at the next size, so
    that large structures come before small ones.

    **Arguments:**

    - `net`: a `Net`.
    - `base_img`: the picture, (H, W, 3) RGB 0..255.
    - `iter_n`: steps per octave.
    - `octave_n`, `octave_scale`: how many sizes, and the ratio of one to the next.
    - `end`: the layer to raise, or several: {layer: weight}; `None`: the objective's, else the network's own.
    - `clip`: keep the values within 0..255.
    - `objective`: what to raise at `end`, see `deepdream.objectives`; a mapping has one for each of several layers.
    - `step_size`: mean change of a value in one step, in units of 0..255.
    - `jitter`: the largest random shift of the picture in a step, in pixels.
    - `seed`: of the random shifts, an int in 0..2**32-1; the same seed gives the same picture. `None`: a fresh one.
    - `tile`: the longest side of what the network sees at once, in pixels, for pictures that do not fit into memory as
      a whole; "auto": the largest that fits, no tiles if all fits. A picture no larger than the tile is dreamt exactly
      as without; of a larger one, creatures do not grow much larger than a tile.

    **Returns:** float32 (H, W, 3), RGB.

    **Raises:** `ImageError`, `LayerError` or `ParameterError`, before the first step.
    """
    steps = dream_steps(net, base_img, iter_n, octave_n, octave_scale, end, clip, objective, step_size, jitter, seed,
                        tile)
    return deque(steps, maxlen=1)[0].image


def octave_shapes(height, width, octave_n, octave_scale):
    """(height, width) of each octave, the smallest first; the last is the picture's own.

    **Raises:** `ParameterError` for a number or scale that cannot be.
    """
    check_count("octave_n", octave_n, 1, "the number of octaves", MOST_OCTAVES)
    check_number("octave_scale", octave_scale, 1, "the octave scale")
    shapes = [(height, width)]
    for _ in range(octave_n - 1):
        shapes.insert(0, tuple(round(n * (1.0 / octave_scale)) for n in shapes[0]))
    return shapes


def _zoom(chw, shape):
    """A (3, H, W) array at another height and width, linearly interpolated, as the release did."""
    if chw.shape[1:] == tuple(shape):
        return chw
    factors = [n / old for n, old in zip(shape, chw.shape[1:])]
    return nd.zoom(chw, (1, *factors), order=1)


def check_sizes(net, end, shapes, octave_scale):
    """Refuse octaves that are too small for the network, and say what would fit."""
    fit = sum(_large_enough(net, end, *shape) for shape in shapes)
    if fit == len(shapes):
        return
    height, width = shapes[0]
    needed = next(n for n in itertools.count(SMALLEST) if _large_enough(net, end, n, n))
    refusal = f"{width}×{height} pixels are too few to dream {named(end)}, at least {needed} a side are needed"
    if not fit:
        raise ImageError(f"{refusal}: use a larger picture or a lower layer")
    raise ImageError(f"{refusal} (octave 1 of {len(shapes)}, the smallest): ask for at most {fit} "
                     f"octave{'s' * (fit > 1)} at scale {octave_scale:g}, or use a larger picture")


def _large_enough(net, end, height, width):
    """Whether a picture of this size leaves every layer up to `end` at least one value."""
    sizes = net.sizes(height, width, end).values()
    return min(height, width) >= SMALLEST and all(min(size) >= 1 for size in sizes if size)
