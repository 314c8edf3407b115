"""Dreams on a video: frame by frame, with what was dreamt carried along by what moves.

Each frame dreamt by itself would flicker: the dream finds other things in every one. Here the *detail* of the frame
before, what its dream added to it, is moved to where its places are now (`deepdream.flow`), the dream begins with it,
and what it adds is blended with it. `video_frames` is the core, a generator of `Frame` records.
"""

import itertools
from dataclasses import replace

import numpy as np

from .cluster import render_on_cluster
from .dream import deepdream, fresh_seed
from .errors import ParameterError, VideoError
from .flow import motion, warp
from .image import check_image
from .zoom import Frame, is_number, settle

CARRY = 0.7


def video_frames(net, images, carry=CARRY, strength=1.0, seed=None, after=None, **dream):
    """Dream on one frame after the other.

    **Arguments:**

    - `net`: a `Net`.
    - `images`: the frames, (H, W, 3) RGB 0..255, all of one size: a `Video`, a list, a generator.
    - `carry`: how much of the dream is carried along from the frame before, 0..1, where the motion is certain: 0
      dreams every frame by itself, 1 dreams anew only what comes into view.
    - `strength`: how much of the dream goes into the frame, 0..1.
    - `seed`: of every frame's random shifts, an int in 0..2**32-1. `None`: a fresh one.
    - `after`: a `Frame` of the same run, to go on behind it. `images` are those from the beginning all the same.
    - `dream`: what else `deepdream` takes: `iter_n`, `octave_n`, `end`, `objective`, `tile` and so on.

    **Returns:** an iterator of `Frame` records, one for each of `images`.

    **Raises:** what `deepdream` raises, before the first dream; `VideoError` if a frame has another size.
    """
    for name, value in (("carry", carry), ("strength", strength)):
        if not is_number(value) or not 0 <= value <= 1:
            raise ParameterError(f"{name}={value!r}: must be a number from 0 to 1")
    seed = fresh_seed() if seed is None else seed
    images = iter(images)
    first = next(images, None)
    if first is None:
        return iter(())
    dream = settle(net, check_image(first), seed=seed, **dream)
    return _frames(net, itertools.chain([first], images), carry, strength, after, {**dream, "seed": seed})


def _frames(net, images, carry, strength, after, dream):
    source_before = result = None
    for index, source in enumerate(images):
        source = check_image(source)
        if source_before is not None and source.shape != source_before.shape:
            raise VideoError(f"frame {index} is {source.shape[1]}×{source.shape[0]}, the one before "
                             f"{source_before.shape[1]}×{source_before.shape[0]}; frames must have one size")
        if after is not None and index <= after.index:
            result = after.image
        else:
            if carry and strength and source_before is not None:
                carried = _carried(source_before, source, (result - source_before) / np.float32(strength), carry)
                dreamt = source + _detail(net, source, carried, dream)
            else:
                dreamt = deepdream(net, source, **dream)
            result = dreamt if strength == 1 else source + np.float32(strength) * (dreamt - source)
            if dream.get("clip", True):
                result = result.clip(0, 255)
            yield Frame(index, result.copy(), dream["seed"])
        source_before = source


def _carried(before, now, detail, carry):
    """(detail, weight): the detail of the frame before at its places in this one, and how much it counts, (H, W, 1)."""
    flow, trust = motion(before, now)
    return warp(detail, flow, smooth=True), np.float32(carry) * trust[:, :, None]


def _detail(net, source, carried, dream):
    """What a dream adds to a frame, together with what is carried along to it."""
    before, weight = carried
    start = np.clip(source + weight * before, 0, 255)
    fresh = deepdream(net, start, **dream) - start
    detail = weight * before + (1 - weight) * fresh
    # What differs from dream to dream averages out; without this, the dream would grow fainter from frame to frame.
    size, wanted = (np.sqrt(np.mean(np.square(each))) for each in (detail, fresh))
    return detail * (wanted / size) if size > 0 else detail


def video_into(run, net, images, carry, **dream):
    """The dreamt frames of a video that are not yet in its folder.

    **Arguments:** `run`: a `FrameFolder` whose recipe has been begun; `images`: the frames from the beginning; the
    others as in `video_frames`, among them the run's `seed`.

    **Returns:** an iterator of the paths of the new frames, each as soon as it is written.
    """
    after = Frame(run.done - 1, run.state.get("image"), dream["seed"]) if run.done else None
    for frame in video_frames(net, images, carry, after=after, **dream):
        yield run.save(frame.index, frame.image, **({"image": frame.image} if carry else {}))


def video_on_cluster(run, images, guide=None, **where):
    """As `video_into`, every frame by itself, on a Dask cluster.

    **Arguments:** `run`; `images`; `guide`: of a guided dream, an array; `where`: as in `render_on_cluster`.

    **Raises:** also `VideoError` if a frame cannot be dreamt on any of them.
    """
    alone = replace(run.recipe, kind="dream", more={}, input_sha256=None, max_size=None)
    jobs = ((index, alone, image, guide) for index, image in enumerate(images) if index >= run.done)
    early = {}  # frames that were done before one that comes before them
    for index, result in render_on_cluster(jobs, **where):
        if isinstance(result, Exception):
            raise VideoError(f"frame {index} could not be dreamt: {result}")
        early[index] = result[0]
        while run.done in early:
            yield run.save(run.done, early.pop(run.done))
