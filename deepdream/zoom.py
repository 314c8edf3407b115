"""The zoom of 2015: dream, zoom a little into the image, dream on the result, and so on.

`zoom_frames` is the core, a generator of `Frame` records; it feeds the float32 image back, not the file's 8 bits.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._types import Image
from .dream import dream_steps
from .errors import ParameterError
from .frame import Frame, check_after, fix_settings, scheduled
from .io.arrays import check_image, format_size
from .network.net import Net, check_net
from .resampling import affine_transform
from .schedule import Settings
from .seeds import frame_seed, fresh_seed
from .validation import MAX_PAN, check_count, check_number, is_number, is_pair, short_repr

_MOVES = ("scale", "rotate", "center", "pan")


def zoom_frames(
    net: Net,
    img: ArrayLike,
    frame_n: int | None = 100,
    scale: float = 0.05,
    rotate: float = 0.0,
    strength: float = 1.0,
    seed: int | None = None,
    after: Frame | None = None,
    center: tuple[float, float] | None = None,
    pan: tuple[float, float] = (0, 0),
    schedule: Settings | None = None,
    **dream: Any,
) -> Iterator[Frame]:
    """Dream, zoom in, dream again: the feedback loop of the 2015 release.

    Args:
        net: the network.
        img: the image to start from, (H, W, 3) RGB 0..255; every frame has its size.
        frame_n: the number of frames of the whole run; `None`: no end.
        scale: the share of the image's width and height that is cropped away from one frame to the next, between -1
            and 1; below 0, the share that is added around it.
        rotate: degrees that the image turns counterclockwise from one frame to the next.
        strength: the share of each dream in its frame, 0..1; the rest is the image that the dream began with.
        seed: the random seed of the run, 0..2**32-1; the same seed gives the same frames. `None`: a fresh one.
        after: a frame of the same run, to continue after it; the frames are those of a run that never stopped.
        center: the point (x, y) in pixels that stays in its place; `None`: the middle of the image.
        pan: how far the view moves from one frame to the next, (x, y) in pixels, to the right and down.
        schedule: a function of a frame's number, from 0, that returns what is different there: `scale`, `rotate`,
            `center` and `pan` of the zoom that leads to it, `strength`, or arguments of `deepdream`. `None`: nothing.
        dream: other arguments of `deepdream`: `iter_n`, `octave_n`, `octave_scale`, `end`, `clip`, `objective`,
            `step_size`, `jitter`, `tile`, `mask` (of every frame). Not `wrap`: a zoom crops the edges away.

    Returns:
        An iterator of `Frame` records, up to number `frame_n - 1`.

    Raises:
        ImageError: as `deepdream`; before the first frame.
        LayerError: as `deepdream`; before the first frame.
        ParameterError: another argument is out of its range or unknown; before the first frame.

    Example:
        >>> frames = dd.zoom_frames(net, dd.picture("cat")[:64, :64], frame_n=2, seed=1, iter_n=1, octave_n=1)
        >>> [(frame.index, frame.image.shape) for frame in frames]
        [(0, (64, 64, 3)), (1, (64, 64, 3))]
    """
    check_net(net)
    img = check_image(img)
    if frame_n is not None:
        check_count("frame_n", frame_n, 1, "the number of frames (None: no end)")
    move = {"scale": scale, "rotate": rotate, "center": center, "pan": pan}
    check_zoom(**move)
    check_center(center, img.shape)
    check_number("strength", strength, 0, "the strength of the dream", 1)
    check_after(after, img.shape)
    if dream.get("wrap") is not None:
        raise ParameterError("wrap: the edges of a zoom cannot join, because each frame is cropped; leave it out")
    seed = fresh_seed() if seed is None else seed
    dream = fix_settings(net, img, seed=seed, **dream)
    return _frames(net, img, frame_n, {**move, "strength": strength, **dream}, schedule, seed, after)


def check_zoom(scale: Any, rotate: Any, center: Any = None, pan: Any = (0, 0)) -> None:
    """Validate `scale`, `rotate`, `center` and `pan` of `zoom_frames`.

    Raises:
        ParameterError: one of them is out of its range.
    """
    if not is_number(scale) or not -1 < scale < 1:
        raise ParameterError(
            f"scale={short_repr(scale)}: the share cropped away from frame to frame must be a number between -1 and 1"
        )
    check_number("rotate", rotate, -math.inf, "the rotation in degrees")
    for name, value in (("center", center), ("pan", pan)):
        if not is_pair(value) and not (name == "center" and value is None):
            raise ParameterError(f"{name}={short_repr(value)}: it must be two numbers of pixels, (x, y)")
    if max(map(abs, pan)) > MAX_PAN:
        raise ParameterError(f"pan={short_repr(pan)}: each must be from {-MAX_PAN} to {MAX_PAN} pixels")


def check_center(center: Sequence[float] | None, shape: tuple[int, ...], given: str | None = None) -> None:
    """Check that the point that a zoom leaves in its place is inside of the frame.

    Args:
        center: the point, (x, y); `None`: the middle.
        shape: the shape of the frame, (H, W, 3).
        given: how it was given, for the message.

    Raises:
        ParameterError: it is outside.
    """
    height, width = shape[:2]
    if center is not None and not (0 <= center[0] <= width and 0 <= center[1] <= height):
        raise ParameterError(
            f"{given or f'center={short_repr(tuple(center))}'}: it must be inside of the frame, which has "
            f"{format_size(shape)} pixels: x from 0 to {width}, y from 0 to {height}"
        )


def _frames(
    net: Net,
    img: Image,
    frame_n: int | None,
    settings: Mapping[str, Any],
    schedule: Settings | None,
    seed: int,
    after: Frame | None,
) -> Iterator[Frame]:
    first = 0 if after is None else after.index + 1
    image = img if after is None else after.image
    for index in itertools.count(first) if frame_n is None else range(first, frame_n):
        dream = {**settings, **scheduled(schedule, index, [*_MOVES, "strength"])}
        move = {name: dream.pop(name) for name in _MOVES}
        strength = dream.pop("strength")
        if schedule is not None:
            check_zoom(**move)
            check_center(move["center"], img.shape)
            check_number("strength", strength, 0, "the strength of the dream", 1)
        if index > 0:
            image = zoom(image, **move)
        steps = dream_steps(net, image, seed=frame_seed(seed, index), **dream)
        result = deque(steps, maxlen=1)[0].image
        image = result if strength == 1 else image + np.float32(strength) * (result - image)
        # A copy, because the caller may draw on it.
        yield Frame(index, image.copy(), frame_seed(seed, index))


def zoom(
    img: Image,
    scale: float = 0.05,
    rotate: float = 0.0,
    center: Sequence[float] | None = None,
    pan: Sequence[float] = (0, 0),
) -> Image:
    """Zoom into an image: the start of the next frame of a zoom.

    Args:
        img: (H, W, 3).
        scale: see `zoom_frames`.
        rotate: see `zoom_frames`.
        center: see `zoom_frames`.
        pan: see `zoom_frames`.

    Returns:
        float32 (H, W, 3), linearly interpolated; beyond its edges the image is mirrored.
    """
    centre = np.array(img.shape[:2]) / 2 if center is None else np.array(center[::-1], float)
    matrix = np.full(2, 1.0 - scale)  # only the diagonal, for which SciPy is faster
    offset = centre * scale
    if rotate:
        # From a position in the new image to where it comes from: rows grow downwards, so this turns the other way.
        sine, cosine = math.sin(math.radians(rotate)), math.cos(math.radians(rotate))
        matrix = (1.0 - scale) * np.array([[cosine, sine], [-sine, cosine]])
        offset = centre - matrix @ centre
    offset = offset + np.array(pan[::-1], float)
    # Channel by channel: the same values as for all three at once, in a fraction of the time.
    channels = [affine_transform(img[:, :, c], matrix, offset, order=1, mode="mirror") for c in range(3)]
    return np.stack(channels, axis=-1)
