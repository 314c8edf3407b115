"""The geometry of a network's layers: the sizes of their outputs and the windows on their inputs.

Everything follows from the definition, a `caffe_pb2.NetParameter`, without running it. Sizes, kernels, strides and pads
are pairs of ints, (height, width).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from caffe.proto import caffe_pb2

Pair = tuple[int, int]

# Layers whose output does not have a height and width that follow from the input's.
_NOT_SPATIAL = {"Flatten", "Reshape", "Reduction", "ArgMax", "Accuracy", "Embed", "Crop", "SPP"}


def output_sizes(
    net: caffe_pb2.NetParameter, height: int, width: int, through_flatten: bool = False
) -> dict[str, Pair | None]:
    """The size of each blob for an image of this size, computed from the definition.

    Args:
        net: the definition.
        height: the image's, in pixels.
        width: the image's.
        through_flatten: give a flattened blob the size that it had before.

    Returns:
        {blob: (height, width)}, with numbers below 1 if the image is too small; `None` if it does not follow from the
        layer types.
    """
    sizes: dict[str, Pair | None] = {next(layer for layer in net.layer if not layer.bottom).top[0]: (height, width)}
    for layer in net.layer:
        if not layer.bottom:
            continue
        size, kind = sizes.get(layer.bottom[0]), layer.type.removeprefix("Fast")
        if kind in _NOT_SPATIAL:
            size = size if through_flatten and kind == "Flatten" else None
        elif kind == "InnerProduct" or (kind == "Pooling" and layer.pooling_param.global_pooling):
            size = (1, 1) if size is None or min(size) >= 1 else size
        elif size is not None and kind in _OUTPUT_LENGTH:
            output_length = _OUTPUT_LENGTH[kind]
            size = (output_length(layer, 0, size[0]), output_length(layer, 1, size[1]))
        for top in layer.top:
            sizes[top] = size
    return sizes


def misfit(
    net: caffe_pb2.NetParameter, inner_products: Sequence[caffe_pb2.LayerParameter], native: Pair, size: Pair
) -> tuple[str, str, Pair] | None:
    """The first inner product that cannot read an image of this size.

    An inner product has a weight for every value of its bottom, so the bottom must have the size that it has for an
    image of the network's own size.

    Args:
        net: the definition.
        inner_products: those of its inner products that are used.
        native: (height, width) of the definition.
        size: (height, width) of the image.

    Returns:
        (the layer, its bottom, the size that the bottom must have); `None` if there is none.
    """
    if not inner_products:
        return None
    needed, found = (output_sizes(net, *each, through_flatten=True) for each in (native, size))
    for layer in inner_products:
        bottom_size = needed[layer.bottom[0]]
        if bottom_size is not None and found[layer.bottom[0]] != bottom_size:
            return layer.name, layer.bottom[0], bottom_size
    return None


def _convolution_length(layer: caffe_pb2.LayerParameter, axis: int, length: int) -> int:
    kernel, stride, pad = (pair[axis] for pair in convolution_pairs(layer))
    dilation = (list(layer.convolution_param.dilation) or [1])[axis if len(layer.convolution_param.dilation) > 1 else 0]
    return (length + 2 * pad - (dilation * (kernel - 1) + 1)) // stride + 1


def _deconvolution_length(layer: caffe_pb2.LayerParameter, axis: int, length: int) -> int:
    kernel, stride, pad = (pair[axis] for pair in convolution_pairs(layer))
    return stride * (length - 1) + kernel - 2 * pad


def _pooling_length(layer: caffe_pb2.LayerParameter, axis: int, length: int) -> int:
    kernel, stride, pad = (pair[axis] for pair in _pooling_pairs(layer))
    rounded = math.floor if getattr(layer.pooling_param, "round_mode", 0) == 1 else math.ceil
    out = rounded((length + 2 * pad - kernel) / stride) + 1
    if pad and (out - 1) * stride >= length + pad:
        out -= 1  # the last window must begin inside the image or its padding
    return out


# (layer, axis, length of its bottom along the axis) -> length of its top; other layers change no size.
_OUTPUT_LENGTH: dict[str, Callable[[caffe_pb2.LayerParameter, int, int], int]] = {
    "Convolution": _convolution_length,
    "Deconvolution": _deconvolution_length,
    "Pooling": _pooling_length,
}


def kernel_stride_pad(layer: caffe_pb2.LayerParameter) -> tuple[Pair, Pair, Pair] | None:
    """The window through which a layer sees its bottom.

    Args:
        layer: the layer in the definition.

    Returns:
        (kernel, stride, pad), each (height, width); (1, 1), (1, 1), (0, 0) for a layer that sees each position
        by itself. `None` for a layer whose output has no positions, sees the whole input, or is denser than its bottom.
    """
    kind = layer.type.removeprefix("Fast")
    if kind in _NOT_SPATIAL or kind in ("InnerProduct", "Deconvolution", "Tile", "Im2col", "Slice"):
        return None
    if kind == "Convolution":
        kernel, stride, pad = convolution_pairs(layer)
        dilation = list(layer.convolution_param.dilation) or [1]
        return (dilation[0] * (kernel[0] - 1) + 1, dilation[-1] * (kernel[1] - 1) + 1), stride, pad
    if kind == "Pooling":
        return None if layer.pooling_param.global_pooling else _pooling_pairs(layer)
    if kind == "LRN" and layer.lrn_param.norm_region == layer.lrn_param.WITHIN_CHANNEL:
        size = layer.lrn_param.local_size
        return (size, size), (1, 1), ((size - 1) // 2, (size - 1) // 2)
    return (1, 1), (1, 1), (0, 0)


def convolution_pairs(layer: caffe_pb2.LayerParameter) -> tuple[Pair, Pair, Pair]:
    """(kernel, stride, pad) of a convolution or deconvolution, without its dilation."""
    parameters = layer.convolution_param
    return (
        kernel_pair(parameters, "kernel_size", "kernel", 0),
        kernel_pair(parameters, "stride", "stride", 1),
        kernel_pair(parameters, "pad", "pad", 0),
    )


def _pooling_pairs(layer: caffe_pb2.LayerParameter) -> tuple[Pair, Pair, Pair]:
    """(kernel, stride, pad) of a pooling layer."""
    parameters = layer.pooling_param
    return pooling_pair(parameters, "kernel"), pooling_pair(parameters, "stride"), pooling_pair(parameters, "pad")


def kernel_pair(parameters: caffe_pb2.ConvolutionParameter, repeated: str, prefix: str, default: int) -> Pair:
    """A convolution's kernel, stride or pad.

    Args:
        parameters: the layer's `convolution_param`.
        repeated: the name of the field with one value for both axes, or one for each.
        prefix: the beginning of the other fields' names: `kernel` for `kernel_h` and `kernel_w`, which count first.
        default: the value for a layer without any of them.

    Returns:
        (height, width).
    """
    if parameters.HasField(f"{prefix}_h") or parameters.HasField(f"{prefix}_w"):
        return getattr(parameters, f"{prefix}_h"), getattr(parameters, f"{prefix}_w")
    values = list(getattr(parameters, repeated)) or [default]
    return values[0], values[-1]


def pooling_pair(parameters: caffe_pb2.PoolingParameter, name: str) -> Pair:
    """A pooling layer's `kernel`, `pad` or `stride`, by its name; (height, width)."""
    if parameters.HasField(f"{name}_h") or parameters.HasField(f"{name}_w"):
        return getattr(parameters, f"{name}_h"), getattr(parameters, f"{name}_w")
    value = parameters.kernel_size if name == "kernel" else getattr(parameters, name)
    return value, value
