"""The weights of a layer as Caffe needs them: batch normalisation and the scale of the image become part of them.

Caffe's networks read blue, green and red from 0 to 255, less a mean. Most others read red, green and blue from 0 to 1,
less a mean and divided by a standard deviation. All of these steps are linear, so the first convolution can do them; at
the border nothing changes either, because both pad with zeros after the mean was subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError, WeightsError
from ...validation import is_number, short_repr
from .definition import Source

_INPUTS = {"torch": 255.0, "caffe": 1.0}  # the value of white, divided by the network's
# ImageNet's, in red, green, blue from 0 to 1, as torchvision's networks were trained.
_TORCH_MEAN, _TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Blue, green, red from 0 to 255, by the number of classes: ImageNet, Places205, Places365.
_CAFFE_MEANS = {
    1000: (104.0, 117.0, 123.0),
    205: (105.417, 113.753, 116.047),
    365: (104.051, 112.514, 116.676),
}


@dataclass(frozen=True)
class Scaling:
    """What a network's training did to each pixel.

    Attributes:
        input: "torch": red, green, blue from 0 to 1. "caffe": blue, green, red from 0 to 255.
        mean: the three numbers that are subtracted, in this order and on this scale.
        std: the three numbers that it is divided by then.
    """

    input: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def caffe_mean(self) -> tuple[float, ...]:
        """The mean in blue, green, red from 0 to 255."""
        mean = tuple(round(value * _INPUTS[self.input], 4) for value in self.mean)
        return mean[::-1] if self.input == "torch" else mean

    def fold(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """The first convolution's weights for an image in blue, green, red from 0 to 255, less `caffe_mean`.

        Args:
            weight: (outputs, 3, height, width), for the image as in the training.

        Returns:
            The same shape.
        """
        scale = np.array(self.std) * _INPUTS[self.input]
        folded = weight / scale[:, np.newaxis, np.newaxis]
        return folded[:, ::-1] if self.input == "torch" else folded


def choose_scaling(
    input: str, mean: object, std: object, classes: int, own_mean: tuple[float, ...] | None = None
) -> Scaling:
    """The scaling of a network: what was asked for, else what is usual for the input and the number of classes.

    Args:
        input: "torch" or "caffe".
        mean: three numbers, or `None`.
        std: three numbers, or `None`.
        classes: the number of classes.
        own_mean: the mean that the network was trained with for this input; `None`: the data set's.

    Returns:
        The scaling.

    Raises:
        ParameterError: a value is out of its range, or has no default here.
    """
    if input not in _INPUTS:
        raise ParameterError(f"input={short_repr(input)}: it must be torch or caffe")
    white = 255 / _INPUTS[input]
    if mean is None and own_mean is None and input == "caffe" and classes not in _CAFFE_MEANS:
        raise ParameterError(
            f"the mean of a network with {classes} classes is not known; give it (blue, green, red, from 0 to 255)"
        )
    usual: tuple[float, ...] = _TORCH_MEAN if input == "torch" else _CAFFE_MEANS.get(classes, ())
    means = own_mean or usual if mean is None else _three("mean", mean, 0, white)
    if std is None:
        return Scaling(input, means, _TORCH_STD if input == "torch" else (1.0, 1.0, 1.0))
    return Scaling(input, means, _three("std", std, 1e-6 * white, 1000 * white))


def layer_weights(source: Source, scaling: Scaling | None) -> list[NDArray[np.float32]]:
    """The weights and the biases of a layer.

    Args:
        source: its tensors.
        scaling: of the image, for the layer that reads it; `None` for other layers.

    Returns:
        [weights, biases], in Caffe's order of axes, which is PyTorch's.

    Raises:
        WeightsError: a value is not finite.
    """
    weight: NDArray[Any] = source.weight.array()
    bias: NDArray[Any] = source.bias.array() if source.bias else np.zeros(len(weight), np.float32)
    if source.flattened:
        weight = np.moveaxis(weight.reshape(-1, *source.flattened), 3, 1).reshape(len(weight), -1)
    if source.norm:
        gain, offset, mean, variance = (tensor.array().astype(np.float64) for tensor in source.norm)
        with np.errstate(invalid="ignore", divide="ignore"):  # a variance below zero is noticed below
            factor = gain / np.sqrt(variance + source.epsilon)
        weight = weight.astype(np.float64) * factor[:, np.newaxis, np.newaxis, np.newaxis]
        bias = offset + (bias - mean) * factor
    if scaling:
        weight = scaling.fold(weight.astype(np.float64))
    with np.errstate(over="ignore"):
        folded = [np.ascontiguousarray(array, np.float32) for array in (weight, bias)]
    if not all(np.isfinite(array).all() for array in folded):
        raise WeightsError("has values that are not finite (NaN or infinite), and would dream nothing")
    return folded


def _three(name: str, values: object, lowest: float, highest: float) -> tuple[float, ...]:
    """Three numbers in a range."""
    numbers = tuple(values) if isinstance(values, (list, tuple)) else ()
    if len(numbers) != 3 or not all(is_number(number) and lowest <= number <= highest for number in numbers):
        raise ParameterError(
            f"{name}={short_repr(values)}: it must be three numbers, one for each channel, from {lowest:g} to "
            f"{highest:g}"
        )
    return tuple(float(number) for number in numbers)
