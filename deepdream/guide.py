"""Guided dreams: they get their features from another image.

The central type is the guide's features, float32 (channels, positions): the layer's activations at each position of the
guide. Each position of the dream is changed towards the feature that has the largest dot product with its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._types import Layers
from .blas import map_products
from .errors import LayerError
from .io.arrays import check_image, image_sha256, warn_if_unit_range
from .network.activations import layer_activations
from .network.net import Net, check_net
from .objective_sums import Objective, Objectives

# Dot products are taken for this many positions of the dream and of the guide at a time: 4 MiB of them in each thread.
_POSITIONS, _GUIDE_POSITIONS = 256, 4096

Features = NDArray[np.float32]


def guided(net: Net, guide: ArrayLike, end: Layers | None = None) -> Objective | Objectives:
    """Dream in a guide's features: at each position of the layer, the one with the largest dot product.

    This is the guided dream of the 2015 release: the objective is the sum over the positions of the largest dot
    product, and its gradient at a position is the feature with that product.

    Args:
        net: the network. The guide is run through it, which changes its input. A guide too large for one pass is run
            in pieces, and the network's memory is then freed: get any arrays of `net.blobs` again afterwards.
        guide: an image of any size, (H, W, 3) RGB 0..255; it is not scaled.
        end: the layer; several, {layer: weight}, give an objective for each; `None`: the network's own.

    Returns:
        An objective with this `end`, which returns the sum of the largest dot products; for several layers
        `Objectives`.

    Raises:
        ImageError: the guide is not an image, or is too small or too large for the layer.
        LayerError: the network does not have the layer.
        ParameterError: `net` is not a `Net`.

    Example:
        >>> objective = dd.guided(net, dd.picture("cat")[60:140, 100:200], "fire6/concat")
        >>> dd.deepdream(net, dd.picture("coffee")[:64, :64], iter_n=1, octave_n=1, objective=objective).shape
        (64, 64, 3)
    """
    check_net(net)
    guide = check_image(guide)
    warn_if_unit_range(guide)
    if isinstance(end, Mapping):
        return Objectives({layer: _guided_at(net, guide, layer) for layer in end}, end)
    return _guided_at(net, guide, net.end if end is None else end)


def _guided_at(net: Net, guide: NDArray[np.float32], layer: str) -> Objective:
    layer = net.check_layer(layer)
    activations = layer_activations(net, guide, layer)
    spec = {"objective": "guided", "guide_sha256": image_sha256(guide)}
    return best_matches(activations.reshape(len(activations), -1), layer, spec)


def best_matches(features: Features, end: str | None = None, spec: Mapping[str, Any] | None = None) -> Objective:
    """The objective of `guided`.

    Args:
        features: the features of the guide, float32 (channels, positions).
        end: the layer that they belong to; `None`: any with as many channels.
        spec: the objective as data.

    Returns:
        An objective; it returns the sum over the positions of the largest dot product.
    """
    channels, count = features.shape
    block = min(_GUIDE_POSITIONS, _round_up(count, 64))
    padded = np.zeros((channels, _round_up(count, block)), np.float32)
    padded[:, :count] = features

    def raise_matches(dst: Any) -> float:
        _check_channels(channels, dst.shape[1], "the layer")
        x = dst.data[0].reshape(channels, -1)
        width = min(_POSITIONS, _round_up(x.shape[1], 64))
        starts = range(0, x.shape[1], width)
        found = map_products(lambda start: _match(x[:, start : start + width], padded, count, block, width), starts)
        best, largest = (np.concatenate(each) for each in zip(*found))
        dst.diff[0] = padded[:, best].reshape(dst.diff[0].shape)
        return float(largest.sum(dtype=np.float64))

    return Objective(
        raise_matches,
        spec=spec,
        end=end,
        check=lambda net, layer: _check_channels(channels, net.blobs[layer].shape[1], repr(layer)),
    )


def _match(
    x: Features, features: Features, count: int, block: int, width: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Find the best of the guide's features for each column of `x`.

    All products are of one shape, the last ones filled up with zeros, and each is computed by one thread: a matrix
    multiplication of another shape, or one that is split among threads, may add up in another order, and then which of
    two equal features comes first would depend on where they lie.

    Args:
        x: (channels, at most `width`), of the dream.
        features: (channels, a multiple of `block`), of the guide.
        count: how many columns of `features` count; the rest is padding.
        block: how many columns of `features` go into one product.
        width: how many columns of `x` go into one product.

    Returns:
        (the column of `features` with the largest dot product, that product), both for each column of `x`.
    """
    n = x.shape[1]
    if n < width:
        x = np.pad(x, ((0, 0), (0, width - n)))
    best, largest = np.zeros(n, np.intp), np.full(n, -np.inf, np.float32)
    for start in range(0, count, block):
        products = (x.T @ features[:, start : start + block])[:n, : count - start]
        winner = products.argmax(1)
        product = products[np.arange(n), winner]
        better = product > largest  # so that of equal ones the first stays
        best[better], largest[better] = winner[better] + start, product[better]
    return best, largest


def _round_up(count: int, block: int) -> int:
    """`count` rounded up to whole blocks."""
    return -(-count // block) * block


def _check_channels(channels: int, count: int, layer: str) -> None:
    if channels != count:
        raise LayerError(
            f"the guide's features have {channels} channels, {layer} has {count}; make the guide for the "
            "layer that it is used at"
        )
