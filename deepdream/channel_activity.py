"""Which channels of a layer an image lights up, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._types import Image
from .errors import ImageError
from .io.arrays import check_image, format_size
from .network.activations import layer_activations
from .network.net import Net, check_net
from .validation import check_count


@dataclass(frozen=True)
class ChannelActivity:
    """How a channel responds to an image.

    Attributes:
        channel: its number, counted from zero.
        value: its activation at the place that was asked for; without a place, its mean over the image.
        peak: its largest activation in the image.
        x: where that is, in pixels of the image.
        y: see `x`.
        map: its activations, float32 (h, w): the layer's positions, evenly over the image.

    Example:
        >>> activity = dd.active_channels(net, dd.picture("cat", max_size=120), "fire6/concat", top=1)[0]
        >>> bool(activity.peak == activity.map.max()), activity.value < activity.peak
        (True, True)
    """

    channel: int
    value: float
    peak: float
    x: int
    y: int
    map: NDArray[np.float32]


def active_channels(
    net: Net, img: Image, end: str | None = None, at: tuple[int, int] | None = None, top: int = 10
) -> list[ChannelActivity]:
    """The channels of a layer that respond most to an image, or to a place of it.

    Args:
        net: the network.
        img: (H, W, 3) RGB 0..255.
        end: the layer; `None`: the network's own.
        at: a place (x, y) in pixels, from the left and from above; `None`: the whole image.
        top: the number of channels.

    Returns:
        The strongest first: by their activation at the place, or by their mean over the image.

    Raises:
        ImageError: the image is too small for the layer, or the place is outside of it.
        LayerError: the network lacks the layer.
        ParameterError: another argument is out of its range.

    Example:
        >>> first = dd.active_channels(net, dd.picture("cat", max_size=120), "fire6/concat", at=(50, 40), top=3)[0]
        >>> first.value > 0, first.map.shape
        (True, (4, 7))
    """
    check_net(net)
    img = check_image(img)
    layer = net.check_layer(net.end if end is None else end)
    check_count("top", top, 1, "the number of channels")
    height, width = img.shape[:2]
    if at is not None:
        for name, value, limit in zip("xy", at, (width, height)):
            check_count(name, value, 0, "the place in pixels")
            if value >= limit:
                raise ImageError(f"{name}={value} is outside of the image, which has {format_size(img.shape)} pixels")
    found = layer_activations(net, img, layer)
    maps = found.reshape(len(found), *(found.shape[1:] or (1, 1)))
    rows, columns = maps.shape[1:]
    if at is None:
        values = maps.mean(axis=(1, 2), dtype=np.float64)
    else:
        values = maps[:, at[1] * rows // height, at[0] * columns // width]
    chosen = np.argsort(-values, kind="stable")[:top]
    activities = []
    for channel in chosen:
        y, x = np.unravel_index(int(maps[channel].argmax()), (rows, columns))
        activities.append(
            ChannelActivity(
                int(channel),
                float(values[channel]),
                float(maps[channel].max()),
                _middle(int(x), columns, width),
                _middle(int(y), rows, height),
                maps[channel].copy(),
            )
        )
    return activities


def heat_map(img: Image, activity: NDArray[np.float32]) -> NDArray[np.uint8]:
    """An image that glows where a channel responds and is dark and grey elsewhere.

    Args:
        img: (H, W, 3) RGB 0..255.
        activity: the `map` of a `ChannelActivity`.

    Returns:
        uint8 (H, W, 3).
    """
    from PIL import Image as Pillow

    height, width = img.shape[:2]
    grey = img.mean(axis=2, dtype=np.float32)[:, :, None]
    scaled = np.maximum(activity, 0) / max(float(activity.max()), 1e-30)
    large = Pillow.fromarray(scaled).resize((width, height), Pillow.Resampling.BILINEAR)
    heat = np.asarray(large, np.float32)[:, :, None].clip(0, 1)
    cold = 0.35 * grey
    return np.round(cold + heat * (img - cold)).clip(0, 255).astype(np.uint8)


def _middle(index: int, count: int, length: int) -> int:
    """The pixel in the middle of a layer's position."""
    return min(length - 1, int((index + 0.5) * length / count))
