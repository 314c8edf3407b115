"""Classifies an image: the labels that the network gives to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .errors import ModelError
from .io.source import ImageSource, source_of
from .network.net import Net, check_net, preprocess
from .network.tiling import set_input
from .validation import check_count


def classify(net: Net, img: ArrayLike | ImageSource, top: int = 5) -> list[tuple[str, float]]:
    """Classify an image.

    The shorter side is scaled to 256 pixels (for a network that reads 224), and the centre of that is classified.

    Args:
        net: a `Net` with labels.
        img: (H, W, 3) RGB 0..255, or an `ImageSource` of it.
        top: the number of answers.

    Returns:
        [(label, probability), …], the likeliest first.

    Raises:
        ImageError: `img` is not an image.
        ModelError: the network does not have a label for each of its outputs.
        ParameterError: `net` is not a `Net`, or `top` is not a whole number from 1.

    Example:
        >>> [(label, probability)] = dd.classify(net, dd.picture("cat"), top=1)
        >>> label
        'Egyptian cat'
        >>> 0 < probability < 1
        True
    """
    check_net(net)
    check_count("top", top, 1, "the number of answers")
    source = source_of(img)
    height, width = net.input_size
    scale = max(height, width) * 256 / 224 / min(source.shape[:2])
    scaled = source.resize(*(max(size, round(n * scale)) for n, size in zip(source.shape[:2], (height, width))))
    y, x = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    with net.lock:
        set_input(net, preprocess(net, scaled[y : y + height, x : x + width]))
        probabilities = net.forward()[net.outputs[-1]].flatten()
    if len(net.labels) != len(probabilities):
        raise ModelError(
            f"the network has {len(probabilities)} outputs and {len(net.labels)} labels; "
            "to classify, it needs one label for each output"
        )
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [(net.labels[i], float(probabilities[i])) for i in best]
