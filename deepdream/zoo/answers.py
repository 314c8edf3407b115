"""Checks a classifier by its answers to the bundled images.

Layers and shapes say nothing about the numbers in a file. A trained classifier tells images apart that show different
things, and hardly notices when one of them is mirrored; random numbers and numbers that were torn apart do neither.
What the answers are cannot be checked: weights whose classes are in another order, or which expect red and blue the
other way round, pass. So the answers are returned, for a person to judge.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..data.bundled import picture
from ..io.arrays import resize
from ..network.net import Net, preprocess
from ..network.tiling import set_input

IMAGES = ("clouds", "rocket", "coffee", "face", "cat")  # all of them work without a connection
# The half sum of absolute differences of two probability distributions is 0 for equal ones and 1 at most. Between the
# answers to two of the images its mean is 0.98 for bvlc_googlenet, and at most 0.06 for random weights of several
# sizes, unless these are so large that the softmax saturates.
MIN_MEAN_DIFFERENCE = 0.2


def check_answers(net: Net) -> str:
    """Raise `ValueError` unless a network answers as a trained classifier does.

    Args:
        net: a classifier with a label for each of its outputs.

    Returns:
        Its first answers, as a text for a person: "clouds: sky 45 %, …".

    Raises:
        ValueError: it has another number of outputs than labels, or its answers are not those of a trained classifier.
    """
    squares = [_centre(net, name) for name in IMAGES]
    answers = np.array([_probabilities(net, image) for image in squares])
    mirrored = np.array([_probabilities(net, image[:, ::-1]) for image in squares])
    if answers.shape[1] != len(net.labels):
        raise ValueError(f"it has {answers.shape[1]:,} outputs and {len(net.labels):,} labels")
    if not np.isfinite([answers, mirrored]).all():
        raise ValueError("its answers are not finite numbers")
    differences = _differences(answers, answers)
    count = len(IMAGES)
    mean = differences.sum() / (count * (count - 1))
    if mean < MIN_MEAN_DIFFERENCE:
        raise ValueError(f"it answers the same whatever it is shown (difference {mean:.2f}), as untrained weights do")
    if not _are_nearest_to_their_mirrors(differences, _differences(answers, mirrored)):
        raise ValueError("it answers differently when an image is mirrored, as untrained weights do")
    return ", ".join(_first_answer(net, name, each) for name, each in zip(IMAGES, answers))


def _centre(net: Net, name: str) -> NDArray[np.float32]:
    """The centre of a bundled image at the size that the network reads."""
    image = picture(name)
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return resize(image[top : top + side, left : left + side], *net.input_size)


def _probabilities(net: Net, image: NDArray[np.float32]) -> NDArray[np.float64]:
    with net.lock:
        set_input(net, preprocess(net, image))
        return net.forward()[net.outputs[-1]].flatten().astype(np.float64)


def _differences(these: NDArray[np.float64], those: NDArray[np.float64]) -> NDArray[np.float64]:
    """The half sums of absolute differences of each of these distributions and each of those."""
    total: NDArray[np.float64] = np.abs(these[:, np.newaxis] - those).sum(axis=-1)
    return total / 2


def _are_nearest_to_their_mirrors(between: NDArray[np.float64], to_mirrored: NDArray[np.float64]) -> bool:
    """Whether each image is answered more like its own mirror image than like any other image."""
    others = between + np.where(np.eye(len(between), dtype=bool), np.inf, 0)
    return bool((to_mirrored.diagonal() < others.min(axis=1)).all())


def _first_answer(net: Net, name: str, probabilities: NDArray[np.float64]) -> str:
    best = int(probabilities.argmax())
    labels: Sequence[str] = net.labels
    return f"{name}: {labels[best]} {probabilities[best]:.0%}"
