"""A file of weights, checked against a network before Caffe sees it.

Caffe copies what happens to have the right name and leaves the rest as it is: GoogLeNet's weights go into SqueezeNet
without a word, and the first layer is all zeros.
"""

import math
import warnings
from pathlib import Path

from caffe.proto import caffe_pb2
from google.protobuf.message import DecodeError

from .errors import WeightsError
from .files import check_regular
from .geometry import pair

LARGEST = 2**31 - 1  # bytes: more is no protobuf message
_LITTLE = 2**20  # numbers that any network may have


def weight_shapes(path):
    """What a caffemodel holds: {layer name: [shape, ...]}, shapes as tuples of ints.

    **Raises:** `WeightsError` if the file is missing, is no caffemodel, or is cut short.
    """
    check_regular(path, LARGEST, WeightsError)
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file") from None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from None
    net = caffe_pb2.NetParameter()
    try:
        with warnings.catch_warnings(record=True) as complaints:  # an older protobuf only warns of what is no message
            warnings.simplefilter("always")
            net.ParseFromString(content)
        if complaints:
            raise DecodeError(complaints[0].message)
    except DecodeError:
        raise WeightsError(f"{path} is not a caffemodel, or is damaged or cut short "
                           f"({len(content):,} bytes); fetch it again") from None
    if not net.IsInitialized():
        raise WeightsError(f"{path} is damaged: it lacks {', '.join(net.FindInitializationErrors())}")
    # Files of 2014 keep their layers in the older field.
    holders = [layer for layers in (net.layers, net.layer) for layer in layers if layer.blobs]
    shapes = {layer.name: [_shape(blob, path, layer.name) for blob in layer.blobs] for layer in holders}
    if len(shapes) < len(holders):
        raise WeightsError(f"{path} is damaged: it holds weights of two layers with one name")
    if not shapes:
        raise WeightsError(f"{path} holds no weights; it should be a .caffemodel file")
    return shapes


def _shape(blob, path, layer):
    # As Caffe decides: files of 2014 have four numbers, and where there are both they count.
    old = any(blob.HasField(name) for name in ("num", "channels", "height", "width"))
    shape = (blob.num, blob.channels, blob.height, blob.width) if old else tuple(blob.shape.dim)
    count = math.prod(shape)
    if not (len(blob.data) or len(blob.double_data) or count == 0):
        raise WeightsError(f"{path} is damaged: layer {layer!r} says {shape} but holds no numbers")
    # Caffe reads them all, the gradients that training left behind too, and takes their lengths on trust.
    for numbers in (blob.data, blob.double_data, blob.diff, blob.double_diff):
        if len(numbers) not in (0, count):
            raise WeightsError(f"{path} is damaged: layer {layer!r} says {shape} but holds {len(numbers):,} numbers")
    return shape


def check_outputs(path, found, net):
    """Refuse a network that is far too large for these weights before it is built, which takes all of its memory.

    How many values come into a layer is not known by then, so this is a lower limit; `check_fit` compares the shapes.

    **Arguments:** `path`, `found`: as for `check_fit`; `net`: the definition, a `NetParameter`.

    **Raises:** `WeightsError` naming the first such layer.
    """
    for layer in net.layer:
        kernel = (1, 1)
        if layer.type == "InnerProduct":
            outputs = layer.inner_product_param.num_output
        elif layer.type in ("Convolution", "Deconvolution"):
            outputs = layer.convolution_param.num_output
            kernel = pair(layer.convolution_param, "kernel_size", "kernel", 0)
        else:
            continue
        there = math.prod(found[layer.name][0]) if layer.name in found else _LITTLE
        if outputs * kernel[0] * kernel[1] > max(there, _LITTLE):
            raise WeightsError(f"{path} holds the weights of another network: layer {layer.name!r} has the shapes "
                               f"{found.get(layer.name, 'none')}, the network needs {outputs} outputs"
                               + (f" and a kernel of {kernel[1]}×{kernel[0]}" if kernel != (1, 1) else ""))


def check_fit(path, found, needed):
    """Refuse weights that are not this network's.

    **Arguments:**

    - `path`: the file, for the message.
    - `found`: what it holds, as from `weight_shapes`.
    - `needed`: what the network has, {layer name: [shape, ...]}, of every layer.

    **Raises:** `WeightsError` naming the first layer that differs.
    """
    wrong = []
    for layer, shapes in needed.items():
        if shapes and layer not in found:
            wrong.append(f"it has no layer {layer!r}")
        elif [_core(shape) for shape in found.get(layer, [])] != [_core(shape) for shape in shapes]:
            wrong.append(f"layer {layer!r} has the shapes {found[layer]}, the network needs {shapes or 'none'}")
    if wrong:
        more = f" (and {len(wrong) - 1} more layers differ)" if len(wrong) > 1 else ""
        raise WeightsError(f"{path} holds the weights of another network: {wrong[0]}{more}")


def _core(shape):
    """A shape without leading ones: files of 2014 write (1, 1, 1000, 1024) for (1000, 1024)."""
    shape = tuple(shape)
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape
