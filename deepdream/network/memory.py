"""How much memory a dream needs, in bytes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from caffe.proto import caffe_pb2

from .. import memory
from .._types import Layers
from .device import free_gpu_bytes, has_cudnn, has_gpu_planes
from .interface import NetInterface
from .layers import weights_of
from .shapes import Pair, convolution_pairs

# The memory that does not grow with the image: BLAS buffers, packed weights, Python itself. Measured.
FIXED_BYTES = 60 * 2**20
# The same on a GPU: cuBLAS, and the matrix that the convolutions share. If there is less, a dream continues in smaller
# tiles.
FIXED_GPU_BYTES = 256 * 2**20
CUDNN_WORKSPACE_BYTES = 3 * 8 * 2**20  # a convolution's: Caffe allows 8 MiB, in each of three streams


def gradient_bytes(net: NetInterface, end: Layers, height: int, width: int, backward: bool = True) -> int:
    """Estimate the memory that Caffe allocates for a forward and backward pass to `end`, for an image of this size.

    Every blob up to `end` has its data and its diff; some layers keep more. If there are several layers, a copy of the
    diffs of all but the last is kept during the forward pass.

    Args:
        net: the network.
        end: a checked layer or {layer: weight}.
        height: the image's or tile's, in pixels.
        width: the image's or tile's.
        backward: `False` for only a forward pass.

    Returns:
        Bytes, without the weights.
    """
    sizes = net.sizes(height, width, end)
    counts = {
        blob: math.prod(net.blobs[blob].shape[:2]) * size[0] * size[1] if size else net.blobs[blob].count
        for blob, size in sizes.items()
    }
    total = FIXED_BYTES if net.gpu is None else FIXED_GPU_BYTES
    layers = net.layers_up_to(end)
    readers = Counter(bottom for layer in layers for bottom in layer.bottom if bottom not in layer.top)
    for layer in layers:
        for top in layer.top:
            if top not in layer.bottom:  # in place: no additional memory
                data, diff = 0 if layer.type == "FastSplit" else 4, 4 * backward  # a split's data is its bottom's
                total += counts[top] * (data + diff)
                total += counts[top] * (diff * readers[top] if readers[top] > 1 else 0)  # the splits Caffe inserts
        total += _extra_bytes(layer, counts, sizes, net.gpu is not None)
    return total + sum(4 * counts[blob] for blob in weights_of(end) if blob not in layers[-1].top)


def _extra_bytes(
    layer: caffe_pb2.LayerParameter, counts: Mapping[str, int], sizes: Mapping[str, Pair | None], on_gpu: bool
) -> int:
    """The memory that a layer keeps in addition to its output's data and diff.

    Args:
        layer: the layer in the definition.
        counts: {blob: number of its values}.
        sizes: {blob: (height, width)}.
        on_gpu: whether a GPU computes.

    Returns:
        Bytes.
    """
    if layer.type in ("Convolution", "FastConvolution", "Deconvolution"):
        if on_gpu and layer.type == "FastConvolution":
            return 0  # they share one matrix of a limited size
        return CUDNN_WORKSPACE_BYTES if on_gpu and has_cudnn() else _column_bytes(layer, counts, sizes)
    return int(_kept_bytes(layer, on_gpu) * counts[layer.top[0]])


def _kept_bytes(layer: caffe_pb2.LayerParameter, on_gpu: bool) -> int:
    """What a layer keeps for the backward pass, in bytes for each value of its output."""
    kind, in_place = layer.type, layer.top[0] in layer.bottom
    if kind == "FastPooling":
        return 4 if on_gpu else 1
    if kind == "BatchNorm":  # the deviations, the normalised values, and in place a copy of the diffs
        return 4 * (2 + in_place)
    if kind in ("Scale", "PReLU"):  # what they overwrite
        return 4 * in_place
    is_maximum = kind == "Eltwise" and layer.eltwise_param.operation == caffe_pb2.EltwiseParameter.MAX
    return 4 * (kind.endswith("LRN") or kind == "Pooling" or is_maximum)


def _column_bytes(layer: caffe_pb2.LayerParameter, counts: Mapping[str, int], sizes: Mapping[str, Pair | None]) -> int:
    """The matrix into which upstream's convolution writes every patch that its kernel sees."""
    parameters = layer.convolution_param
    if layer.type == "FastConvolution" and all(dilation == 1 for dilation in parameters.dilation):
        return 0  # with a dilation it leaves the work to upstream's
    kernel, stride, pad = convolution_pairs(layer)
    if kernel == stride == (1, 1) and pad == (0, 0):
        return 0
    # A deconvolution is a convolution backwards.
    seen, seeing = layer.bottom[0], layer.top[0]
    if layer.type == "Deconvolution":
        seen, seeing = seeing, seen
    (seen_height, seen_width), (height, width) = sizes[seen] or (1, 1), sizes[seeing] or (1, 1)
    channels = counts[seen] // max(1, seen_height * seen_width)
    return 4 * channels * kernel[0] * kernel[1] * height * width


def image_bytes(height: int, width: int) -> int:
    """The memory of the loop itself for an image of this size, in float32: the image, its octaves, the gradient."""
    return 7 * 4 * 3 * height * width


def keeps_image_on_gpu(gpu: int, height: int, width: int) -> bool:
    """Whether the loop's images stay on the GPU between the steps: with our Caffe, if they leave most of its memory."""
    free = free_bytes(gpu)
    return has_gpu_planes() and (free is None or image_bytes(height, width) <= free / 4)


def free_bytes(gpu: int | None = None) -> int | None:
    """How much memory this process may still use.

    Args:
        gpu: the number of a GPU, to measure its memory instead.

    Returns:
        Bytes; `None` if the system does not report it.
    """
    return memory.free_bytes() if gpu is None else free_gpu_bytes(gpu)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of Caffe says that there is not enough memory."""
    text = str(error)
    signs = ("host allocation", "out of memory", "ALLOC_FAILED", "ALLOCATION_FAILED")
    return isinstance(error, MemoryError) or any(sign in text for sign in signs)
