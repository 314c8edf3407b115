"""Images of channels from noise: what a single channel looks for.

The steps have the constraints of `deepdream.label_images`, without the one that keeps the thing in the middle: a
channel responds anywhere. Olah, Mordvintsev and Schubert 2017, "Feature Visualization", show such images for every
channel of this network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._types import Image
from .label_images import MAX_SIDE, noise_steps
from .network.net import Net, check_net
from .network.tiling import InputGradient, plan_tiles
from .objectives import channel_source, channels
from .octaves import check_sizes
from .seeds import fresh_seed
from .validation import check_count, check_seed

_SCALES = (0.5, 0.7, 1.0)
_BLUR = (0.8, 0.3)  # pixels, at the beginning and at the end of each scale
_STEP_SIZE = 6.0
_JITTER = 16  # pixels
_CONTRAST = 45.0  # the standard deviation of a finished image, about that of a photograph


def channel_picture(
    net: Net,
    channel: int,
    end: str | None = None,
    size: int = 128,
    seed: int | None = None,
    iter_n: int = 30,
    progress: Callable[[float], Any] | None = None,
) -> Image:
    """Make an image from noise to which one channel responds strongly, everywhere in the image.

    Large things are stronger than small ones, the image is blurred a little after each step, and it grows from scale to
    scale, as in `label_picture`. The channel is maximised where it is made, see `channels`. The contrast of the result
    is set to that of a photograph.

    Args:
        net: the network.
        channel: the channel's number, counted from zero.
        end: the layer; `None`: the network's own.
        size: the side of the image in pixels.
        seed: the random seed of the noise and the shifts, 0..2**32-1; the same seed gives the same image. `None`: a
            fresh one.
        iter_n: steps at each of the three scales.
        progress: called with the share that is done, 0..1.

    Returns:
        float32 (size, size, 3), RGB, 0..255.

    Raises:
        ImageError: the image would be too small for the layer; before the first step.
        LayerError: the network lacks the layer, or the layer the channel; before the first step.
        ParameterError: another argument is out of its range; before the first step.

    Example:
        >>> image = dd.channel_picture(net, 3, "fire6/concat", size=64, seed=1, iter_n=2)
        >>> image.shape, image.dtype
        ((64, 64, 3), dtype('float32'))
    """
    check_net(net)
    layer = net.check_layer(net.end if end is None else end)
    check_count("size", size, 1, "the side of the image in pixels", MAX_SIDE)
    check_count("iter_n", iter_n, 1, "the number of iterations")
    seed = fresh_seed() if seed is None else seed
    check_seed(seed)
    source, number = channel_source(net, layer, channel)
    sides = [max(1, round(scale * size)) for scale in _SCALES]
    shapes = [(side, side) for side in sides]
    check_sizes(net, source, shapes, 1 / _SCALES[1])
    plan_tiles(net, source, shapes, None)
    gradient_of = InputGradient(net, source, channels(number))
    rng = np.random.RandomState(seed)
    steps = noise_steps(net, gradient_of, shapes, iter_n, _STEP_SIZE, _JITTER, _BLUR, rng, centred=False)

    for done, step in enumerate(steps, 1):
        image = step.image
        if progress is not None:
            progress(done / (iter_n * len(shapes)))
    image -= image.mean(axis=(0, 1))
    return np.clip(128 + image * np.float32(_CONTRAST / max(float(image.std()), 1e-30)), 0, 255)
