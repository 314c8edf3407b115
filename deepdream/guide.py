"""A guide: dreams that take their features from another picture.

The central type is the guide's features, float32 (channels, positions): what the layer sees at each place of the
guide. Of these, each place of the dream is changed towards the one that it resembles most.
"""

from collections.abc import Mapping

import numpy as np

from .blas import map_products
from .errors import LayerError
from .features import features
from .image import check_image
from .objectives import Objectives
from .pictures import picture_sha256

# Dot products are taken for this many places of the dream and of the guide at a time: 4 MiB of them in each thread.
_PLACES, _GUIDE_PLACES = 256, 4096


def guided(net, guide, end=None):
    """More of what a guide shows: at each place of the layer, the guide's feature with the largest dot product.

    That is the guide of the 2015 release: the objective is the sum over the places of the largest dot product, and its
    gradient at a place is the feature that won.

    **Arguments:**

    - `net`: a `Net`. The guide goes through it, so its input is another one afterwards. A guide too large for one pass
      goes through in pieces, after which the network's memory is given back: then take anew what you took from
      `net.blobs` before.
    - `guide`: a picture of any size, (H, W, 3) RGB 0..255; it is not scaled.
    - `end`: the layer; several, {layer: weight}, give an objective for each; `None`: the network's own.

    **Returns:** an objective with this `end`, which returns the sum of the largest dot products; for several layers
    `Objectives`.

    **Raises:** `LayerError` for layers that the network lacks; `ImageError` for a guide that is no picture, or too
    small or large for the layer.
    """
    guide = check_image(guide)
    if isinstance(end, Mapping):
        return Objectives({layer: guided(net, guide, layer) for layer in end}, end)
    end = net.check_layer(net.end if end is None else end)
    found = features(net, guide, end)
    objective = best_matches(found.reshape(len(found), -1))
    objective.end = end
    objective.spec = {"objective": "guided", "guide_sha256": picture_sha256(guide)}
    return objective


def best_matches(guide):
    """The objective of `guided` for features, float32 (channels, positions)."""
    channels, count = guide.shape
    block = min(_GUIDE_PLACES, _whole(count, 64))
    padded = np.zeros((channels, _whole(count, block)), np.float32)
    padded[:, :count] = guide

    def raise_matches(dst):
        _check_channels(channels, dst.shape[1], "the layer")
        x = dst.data[0].reshape(channels, -1)
        places = min(_PLACES, _whole(x.shape[1], 64))
        starts = range(0, x.shape[1], places)
        found = map_products(lambda start: _match(x[:, start:start + places], padded, count, block, places), starts)
        best, largest = (np.concatenate(each) for each in zip(*found))
        dst.diff[0] = padded[:, best].reshape(dst.diff[0].shape)
        return float(largest.sum(dtype=np.float64))

    raise_matches.check = lambda net, layer: _check_channels(channels, net.blobs[layer].shape[1], repr(layer))
    return raise_matches


def _match(x, guide, count, block, places):
    """Which of the first `count` columns of `guide` has the largest dot product with each column of x, and that.

    All products are of one shape, the last ones filled up with zeros, and each is computed by one thread: a matrix
    multiplication of another shape, or one that is split among threads, may add up in another order, and then which of
    two equal features comes first would depend on where they lie.
    """
    n = x.shape[1]
    if n < places:
        x = np.pad(x, ((0, 0), (0, places - n)))
    best, largest = np.zeros(n, np.intp), np.full(n, -np.inf, np.float32)
    for start in range(0, count, block):
        products = (x.T @ guide[:, start:start + block])[:n, :count - start]
        winner = products.argmax(1)
        product = products[np.arange(n), winner]
        better = product > largest  # so that of equal ones the first stays
        best[better], largest[better] = winner[better] + start, product[better]
    return best, largest


def _whole(count, block):
    """`count` rounded up to whole blocks."""
    return -(-count // block) * block


def _check_channels(channels, count, layer):
    if channels != count:
        raise LayerError(f"the guide's features have {channels} channels, {layer} has {count}; make the guide for the "
                         "layer that it is used at")
