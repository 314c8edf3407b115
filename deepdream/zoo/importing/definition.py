"""Builds the definition of a network around the tensors of a file.

The central type is `Definition`. Each method adds a layer and checks the shapes of its tensors; how many channels a
layer has is what its tensors say. No numbers are read here: `sources` says which tensors a layer's weights come from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from caffe.proto import caffe_pb2

from ...errors import WeightsError
from ...network.shapes import output_sizes
from ...validation import short_repr
from .tensors import Tensor

INPUT = "data"


@dataclass(frozen=True)
class Source:
    """The tensors of a layer.

    Attributes:
        weight: of the convolution or the fully connected layer.
        bias: `None` for a convolution without one, whose batch normalisation has it.
        norm: weight, bias, mean and variance of the batch normalisation behind it, or `None`.
        epsilon: what is added to the variance.
        flattened: the height, width and channels of the input of a fully connected layer, if its weights are in this
            order; `None` for Caffe's order, channels first.
    """

    weight: Tensor
    bias: Tensor | None
    norm: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
    epsilon: float = 0.0
    flattened: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Norm:
    """Batch normalisation behind a convolution.

    Attributes:
        name: the beginning of its tensors' names.
        epsilon: what is added to the variance.
    """

    name: str
    epsilon: float


class Definition:
    """A network's definition while it is built.

    Args:
        tensors: the tensors of the file.
        input_size: the height and width of the image that the network was made for.

    Attributes:
        message: Caffe's own message.
        sources: {layer: the tensors of its weights}.
        used: the names of the tensors that the network has too.
    """

    def __init__(self, tensors: Mapping[str, Tensor], input_size: int) -> None:
        self.tensors = tensors
        self.input_size = input_size
        self.message = caffe_pb2.NetParameter()
        self.sources: dict[str, Source] = {}
        self.used: set[str] = set()
        self._channels = {INPUT: 3}
        layer = self.message.layer.add(name=INPUT, type="Input", top=[INPUT])
        layer.input_param.shape.add(dim=[1, 3, input_size, input_size])

    def has(self, name: str) -> bool:
        """Whether the file has tensors whose names begin with `name` and a dot."""
        return f"{name}.weight" in self.tensors

    def convolution(
        self,
        name: str,
        bottom: str,
        source: str,
        kernel: int,
        stride: int = 1,
        pad: int = 0,
        norm: Norm | None = None,
        relu: str = "",
    ) -> str:
        """Add a convolution and, in place behind it, a ReLU.

        Args:
            name: the layer's name.
            bottom: the blob that it reads.
            source: the beginning of its tensors' names.
            kernel: its height and width.
            stride: the distance between windows.
            pad: zeros at each border.
            norm: the batch normalisation behind it, which will be made part of it.
            relu: the ReLU's name.

        Returns:
            The blob.

        Raises:
            WeightsError: a tensor is missing, or has another shape.
        """
        weight = self._tensor(f"{source}.weight", None, self._channels[bottom], kernel, kernel)
        outputs = weight.shape[0]
        with_bias = norm is None or f"{source}.bias" in self.tensors
        bias = self._tensor(f"{source}.bias", outputs) if with_bias else None
        tensors = self._norm(norm, outputs) if norm else None
        self.sources[name] = Source(weight, bias, tensors, norm.epsilon if norm else 0.0)
        layer = self._add(name, "Convolution", bottom, channels=outputs)
        layer.convolution_param.num_output = outputs
        layer.convolution_param.kernel_size.append(kernel)
        if stride > 1:
            layer.convolution_param.stride.append(stride)
        if pad:
            layer.convolution_param.pad.append(pad)
        return self._relu(relu or f"relu_{name}", name)

    def fully_connected(self, name: str, bottom: str, source: str, relu: str = "", channels_last: bool = False) -> str:
        """Add a fully connected layer and, unless `relu` is empty, a ReLU of this name in place behind it.

        Args:
            name: the layer's name.
            bottom: the blob that it reads.
            source: the beginning of its tensors' names.
            relu: the ReLU's name.
            channels_last: whether the weights go through the rows and columns of `bottom` first, as Keras's do.

        Returns:
            The blob.

        Raises:
            WeightsError: a tensor is missing, or has another shape.
        """
        size = output_sizes(self.message, self.input_size, self.input_size)[bottom]
        inputs = self._channels[bottom] * math.prod(size or ())
        flattened = (*size, self._channels[bottom]) if channels_last and size else None
        weight = self._tensor(f"{source}.weight", None, inputs)
        outputs = weight.shape[0]
        self.sources[name] = Source(weight, self._tensor(f"{source}.bias", outputs), flattened=flattened)
        layer = self._add(name, "InnerProduct", bottom, channels=outputs)
        layer.inner_product_param.num_output = outputs
        return self._relu(relu, name) if relu else name

    def max_pool(self, name: str, bottom: str, kernel: int, stride: int, pad: int = 0) -> str:
        """Add max-pooling, whose last windows may reach over the border, as Caffe's do; returns the blob."""
        layer = self._add(name, "Pooling", bottom, channels=self._channels[bottom])
        layer.pooling_param.pool = caffe_pb2.PoolingParameter.MAX
        layer.pooling_param.kernel_size = kernel
        layer.pooling_param.stride = stride
        if pad:
            layer.pooling_param.pad = pad
        return name

    def mean_pool(self, name: str, bottom: str) -> str:
        """Add the mean of each channel; returns the blob."""
        layer = self._add(name, "Pooling", bottom, channels=self._channels[bottom])
        layer.pooling_param.pool = caffe_pb2.PoolingParameter.AVE
        layer.pooling_param.global_pooling = True
        return name

    def local_response_norm(self, name: str, bottom: str) -> str:
        """Add GoogLeNet's normalisation across five neighbouring channels; returns the blob."""
        layer = self._add(name, "LRN", bottom, channels=self._channels[bottom])
        layer.lrn_param.local_size, layer.lrn_param.alpha, layer.lrn_param.beta = 5, 1e-4, 0.75
        return name

    def concat(self, name: str, bottoms: list[str]) -> str:
        """Add the channels of several blobs, one after the other; returns the blob."""
        layer = self._add(name, "Concat", bottoms[0], channels=sum(self._channels[bottom] for bottom in bottoms))
        layer.bottom.extend(bottoms[1:])
        return name

    def softmax(self, name: str, bottom: str) -> str:
        """Add the classifier's probabilities; returns the blob."""
        self._add(name, "Softmax", bottom, channels=self._channels[bottom])
        return name

    def classes(self) -> int:
        """The number of the classifier's classes; 0 without a classifier."""
        last = self.message.layer[-1]
        return self._channels[last.name] if last.type == "Softmax" else 0

    def main_layers(self) -> list[str]:
        """The layers to show, from shallow to deep: the convolutions before the first module, and each module's output.

        A network without modules shows all of its convolutions.
        """
        kinds = {layer.name: layer.type for layer in self.message.layer}
        modules = [name for name, kind in kinds.items() if kind == "Concat"]
        inside = {name.rpartition("/")[0] for name in modules}
        return [
            name
            for name, kind in kinds.items()
            if kind == "Concat" or (kind == "Convolution" and name.rpartition("/")[0] not in inside)
        ]

    def _add(self, name: str, kind: str, bottom: str, channels: int) -> caffe_pb2.LayerParameter:
        self._channels[name] = channels
        return self.message.layer.add(name=name, type=kind, bottom=[bottom], top=[name])

    def _relu(self, name: str, blob: str) -> str:
        self.message.layer.add(name=name, type="ReLU", bottom=[blob], top=[blob])
        return blob

    def _norm(self, norm: Norm, channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        weight, bias, mean, variance = (
            self._tensor(f"{norm.name}.{part}", channels) for part in ("weight", "bias", "running_mean", "running_var")
        )
        return weight, bias, mean, variance

    def _tensor(self, name: str, *shape: int | None) -> Tensor:
        """The tensor of a name, after its shape was checked; `None` stands for any size of 1 or more."""
        if name not in self.tensors:
            raise WeightsError(f"it lacks {short_repr(name)}")
        self.used.add(name)
        tensor = self.tensors[name]
        fits = len(tensor.shape) == len(shape) and all(
            found == size or (size is None and found) for found, size in zip(tensor.shape, shape)
        )
        if not fits:
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise WeightsError(f"{short_repr(name)} has the shape {short_repr(tensor.shape)}, expected ({wanted})")
        return tensor
