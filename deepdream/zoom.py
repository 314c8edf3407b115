"""The zoom of 2015: dream, go a little into the picture, dream on what is seen there, and so on.

`zoom_frames` is the core, a generator of `Frame` records; it feeds the float32 picture back, not the file's 8 bits.
"""

import functools
import inspect
import itertools
import math
import warnings
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import scipy.ndimage as nd

from .checks import is_number, shown
from .dream import dream_steps, fresh_seed, octave_shapes, resolve_end
from .errors import ParameterError
from .image import check_image
from .tiles import plan


@dataclass(frozen=True)
class Frame:
    """One frame of a zoom or a video.

    - `index`: counted from zero.
    - `image`: the dream, float32 (H, W, 3) RGB; a copy.
    - `seed`: of this frame's random shifts.
    """

    index: int
    image: np.ndarray
    seed: int


def zoom_frames(net, img, frame_n=100, scale=0.05, rotate=0.0, strength=1.0, seed=None, after=None, **dream):
    """Dream, zoom in, dream again: the feedback loop of the 2015 release.

    **Arguments:**

    - `net`: a `Net`.
    - `img`: the picture to begin with, (H, W, 3) RGB 0..255; every frame has its size.
    - `frame_n`: how many frames; `None`: no end.
    - `scale`: how much of the picture's width and height is left out from one frame to the next; below 0, how much is
      added around it.
    - `rotate`: degrees that the picture turns counterclockwise from one frame to the next.
    - `strength`: how much of each dream goes into its frame, 0..1; the rest is what it began with.
    - `seed`: of the run, an int in 0..2**32-1; the same seed gives the same frames. `None`: a fresh one.
    - `after`: a `Frame` of the same run, to go on behind it; the frames are those of a run that never stopped.
    - `dream`: what else `deepdream` takes: `iter_n`, `octave_n`, `end`, `objective`, `tile` and so on.

    **Returns:** an iterator of `Frame` records, as long as `frame_n` asks.

    **Raises:** what `deepdream` raises, before the first frame.
    """
    img = check_image(img)
    if frame_n is not None and (isinstance(frame_n, bool) or not isinstance(frame_n, (int, np.integer)) or frame_n < 1):
        raise ParameterError(f"frame_n={shown(frame_n)}: the number of frames must be a whole number, 1 or more, or "
                             "None")
    check_move(scale, rotate)
    if not is_number(strength) or not 0 <= strength <= 1:
        raise ParameterError(f"strength={shown(strength)}: the part of the dream must be a number from 0 to 1")
    seed = fresh_seed() if seed is None else seed
    dream = settle(net, img, seed=seed, **dream)
    return _frames(net, img, frame_n, functools.partial(zoom, scale=scale, rotate=rotate), strength, seed, after, dream)


def check_move(scale, rotate):
    """Refuse what is no way from one frame of a zoom to the next; the arguments are those of `zoom_frames`."""
    if not is_number(scale) or not -1 < scale < 1:
        raise ParameterError(f"scale={shown(scale)}: what is left out from one frame to the next must be a number "
                             "between -1 and 1")
    if not is_number(rotate):
        raise ParameterError(f"rotate={shown(rotate)}: the rotation in degrees must be a finite number")


def settle(net, img, seed, **dream):
    """The arguments of a dream, checked before the first of many frames is dreamt.

    **Returns:** `dream` with a tile that is no longer "auto": the memory that is free at a later frame must not decide
    how it looks.
    """
    dream_steps(net, img, seed=seed, **dream)  # checks everything, and dreams nothing before it is asked
    if dream.get("tile") != "auto":
        return dream
    given = inspect.signature(dream_steps).bind(net, img, **dream)
    given.apply_defaults()
    full = given.arguments
    shapes = octave_shapes(*img.shape[:2], full["octave_n"], full["octave_scale"])
    return {**dream, "tile": plan(net, resolve_end(net, full["end"], full["objective"]), shapes, "auto")}


def _frames(net, img, frame_n, move, strength, seed, after, dream):
    first = 0 if after is None else after.index + 1
    image = img if after is None else after.image
    for index in itertools.count(first) if frame_n is None else range(first, frame_n):
        if index > 0:
            image = move(image)
        steps = dream_steps(net, image, seed=frame_seed(seed, index), **dream)
        result = deque(steps, maxlen=1)[0].image
        image = result if strength == 1 else image + np.float32(strength) * (result - image)
        # A copy, because whoever gets the frame may draw on it.
        yield Frame(index, image.copy(), frame_seed(seed, index))


def zoom_into(run, net, img, frame_n, scale, rotate, **dream):
    """The frames of a zoom that are not yet in its folder.

    **Arguments:** `run`: a `FrameFolder` whose recipe has been begun; the others as in `zoom_frames`, among them the
    run's `seed`.

    **Returns:** an iterator of the paths of the new frames, each as soon as it is written.
    """
    after = Frame(run.done - 1, run.state["image"], dream["seed"]) if run.done else None
    for frame in zoom_frames(net, img, max(frame_n, 1), scale, rotate, after=after, **dream):
        recipe = replace(run.recipe, more={**run.recipe.more, "frame": frame.index})
        yield run.save(frame.index, frame.image, recipe, image=frame.image)


def frame_seed(seed, index):
    """The seed of one frame: the run's own for the first, numbers derived from it for the others.

    The release's frames drew from one stream that ran on. A seed for each frame makes it one that can be dreamt by
    itself, and needs no state but the frame before.

    **Returns:** an int below 2**32.
    """
    # The algorithm of SeedSequence is frozen, as RandomState is.
    return int(seed) if index == 0 else int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def zoom(img, scale=0.05, rotate=0.0):
    """Go into a picture: what the next frame of a zoom begins with.

    **Arguments:** `img`: (H, W, 3); `scale`, `rotate`: as in `zoom_frames`.

    **Returns:** float32 (H, W, 3), linearly interpolated; what lies outside the picture is its mirror image.
    """
    centre = np.array(img.shape[:2]) / 2
    matrix = np.full(2, 1.0 - scale)  # the diagonal alone, for which SciPy has a faster way
    offset = centre * scale
    if rotate:
        # From a place in the new picture to the place it comes from: rows grow downwards, so this turns the other way.
        sine, cosine = math.sin(math.radians(rotate)), math.cos(math.radians(rotate))
        matrix = (1.0 - scale) * np.array([[cosine, sine], [-sine, cosine]])
        offset = centre - matrix @ centre
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The behavior of affine_transform")  # older SciPys tell of a change of 2016
        # Channel by channel: the same values as with all three at once, in a fraction of the time.
        channels = [nd.affine_transform(img[:, :, c], matrix, offset, order=1, mode="mirror") for c in range(3)]
    return np.stack(channels, axis=-1)
