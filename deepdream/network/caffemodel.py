"""A file of weights, checked against a network before Caffe sees it.

Caffe copies the blobs that have the right names and leaves the others unchanged: it silently loads GoogLeNet's weights
into SqueezeNet, whose first layer is then all zeros. Here the weights are {layer name: [shape, ...]}, each shape
a tuple of ints.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from caffe.proto import caffe_pb2
from google.protobuf.message import DecodeError

from ..errors import WeightsError
from ..io.files import check_regular_file
from ..validation import short_repr
from .shapes import kernel_pair

MAX_FILE_BYTES = 2**31 - 1  # bytes: the largest protobuf message
_ANY_LAYER_COUNT = 2**20  # numbers that any network may have

Shape = tuple[int, ...]


def weight_shapes(path: str | os.PathLike[str]) -> dict[str, list[Shape]]:
    """Read the shapes that a caffemodel holds.

    Args:
        path: the file.

    Returns:
        {layer name: [shape, ...]} of the layers that have weights.

    Raises:
        WeightsError: the file is missing, is not a caffemodel, or is damaged or cut short.
    """
    check_regular_file(path, MAX_FILE_BYTES, WeightsError)
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file") from None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # a null byte
        raise WeightsError(f"{short_repr(path)} cannot be a file's path: {error}") from None
    net = caffe_pb2.NetParameter()
    try:
        with warnings.catch_warnings(record=True) as complaints:  # an older protobuf only warns about other content
            warnings.simplefilter("always")
            net.ParseFromString(content)
        if complaints:
            raise DecodeError(complaints[0].message)
    except DecodeError:
        raise WeightsError(
            f"{path} is not a caffemodel, or is damaged or cut short ({len(content):,} bytes); fetch it again"
        ) from None
    if not net.IsInitialized():
        raise WeightsError(f"{path} is damaged: it lacks {', '.join(net.FindInitializationErrors())}")
    holders = [layer for layer in _layers_that_caffe_reads(net) if layer.blobs]
    shapes = {layer.name: [_blob_shape(blob, path, layer.name) for blob in layer.blobs] for layer in holders}
    if len(shapes) < len(holders):
        raise WeightsError(f"{path} is damaged: it holds weights of two layers with one name")
    if not shapes:
        raise WeightsError(f"{path} holds no weights; it should be a .caffemodel file")
    return shapes


def _layers_that_caffe_reads(net: caffe_pb2.NetParameter) -> list[Any]:
    """The layers of a file; Caffe ignores those of a newer format beside an older one."""
    if any(entry.HasField("layer") for entry in net.layers):  # files of 2013
        return [entry.layer for entry in net.layers]
    return list(net.layers or net.layer)  # files of 2014, or later ones


def _blob_shape(blob: caffe_pb2.BlobProto, path: str | os.PathLike[str], layer: str) -> Shape:
    """A blob's shape as Caffe decides it, checked against how many numbers the blob holds."""
    # Files of 2014 have four numbers; if a file has both forms, these count.
    old = any(blob.HasField(name) for name in ("num", "channels", "height", "width"))
    shape = (blob.num, blob.channels, blob.height, blob.width) if old else tuple(blob.shape.dim)
    count = math.prod(shape)
    if not (len(blob.data) or len(blob.double_data) or count == 0):
        raise WeightsError(f"{path} is damaged: layer {layer!r} says {shape} but holds no numbers")
    # Caffe reads them all, including gradients left over from training, and trusts their lengths.
    for numbers in (blob.data, blob.double_data, blob.diff, blob.double_diff):
        if len(numbers) not in (0, count):
            raise WeightsError(f"{path} is damaged: layer {layer!r} says {shape} but holds {len(numbers):,} numbers")
    return shape


def check_outputs(
    path: str | os.PathLike[str], found: Mapping[str, Sequence[Shape]], net: caffe_pb2.NetParameter
) -> None:
    """Reject a network that is far too large for these weights before it is built, which would need all of its memory.

    The number of inputs of a layer is not known yet, so this is a lower limit; `check_fit` compares the shapes.

    Args:
        path: the file, for the message.
        found: its shapes, from `weight_shapes`.
        net: the network's definition.

    Raises:
        WeightsError: a layer is too large; the message names the first one.
    """
    for layer in net.layer:
        kernel = (1, 1)
        if layer.type == "InnerProduct":
            outputs = layer.inner_product_param.num_output
        elif layer.type in ("Convolution", "Deconvolution"):
            outputs = layer.convolution_param.num_output
            kernel = kernel_pair(layer.convolution_param, "kernel_size", "kernel", 0)
        else:
            continue
        held_count = math.prod(found[layer.name][0]) if layer.name in found else _ANY_LAYER_COUNT
        if outputs * kernel[0] * kernel[1] > max(held_count, _ANY_LAYER_COUNT):
            raise WeightsError(
                f"{path} holds the weights of another network: layer {layer.name!r} has the shapes "
                f"{found.get(layer.name, 'none')}, the network needs {outputs} outputs"
                + (f" and a kernel of {kernel[1]}×{kernel[0]}" if kernel != (1, 1) else "")
            )


def check_fit(
    path: str | os.PathLike[str], found: Mapping[str, Sequence[Shape]], needed: Mapping[str, Sequence[Shape]]
) -> None:
    """Reject weights that do not belong to this network.

    Args:
        path: the file, for the message.
        found: its shapes, from `weight_shapes`.
        needed: the shapes of every layer of the network; an empty list for a layer without weights.

    Raises:
        WeightsError: a layer differs; the message names the first one.
    """
    wrong = []
    for layer, shapes in needed.items():
        if shapes and layer not in found:
            wrong.append(f"it has no layer {layer!r}")
        elif [_without_leading_ones(s) for s in found.get(layer, [])] != [_without_leading_ones(s) for s in shapes]:
            wrong.append(f"layer {layer!r} has the shapes {found[layer]}, the network needs {shapes or 'none'}")
    if wrong:
        more = f" (and {len(wrong) - 1} more layers differ)" if len(wrong) > 1 else ""
        raise WeightsError(f"{path} holds the weights of another network: {wrong[0]}{more}")


def _without_leading_ones(shape: Shape) -> Shape:
    """Files of 2014 write (1, 1, 1000, 1024) for (1000, 1024)."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape
