"""A network's definition: a prototxt, parsed and checked.

The central type is Caffe's own message, `caffe_pb2.NetParameter`. It is checked here, in Python, because stock Caffe
ends the whole process if a definition is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import caffe
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from ..errors import ModelError
from ..io.files import check_regular_file
from ..validation import short_repr
from .shapes import Pair, kernel_pair, output_sizes, pooling_pair
from .upgrade import upgrade

MAX_FILE_BYTES = 64 * 2**20  # bytes: a thousand times what GoogLeNet's has
# Layer types that an untrusted definition must not use on the user's machine.
_FORBIDDEN_TYPES = {
    "Python": "runs any code that the definition names",
    "HDF5Output": "writes a file to any path that the definition names",
}


def read_definition(path: str | os.PathLike[str]) -> caffe_pb2.NetParameter:
    """Parse and check a deploy prototxt.

    Args:
        path: the prototxt.

    Returns:
        A definition in the current format, with one `Input` layer of shape (N, 3, H, W), or (N, 1, H, W) for grey
        images.

    Raises:
        ModelError: the file is missing, does not parse, or is not a network that images can be fed to.
    """
    net = caffe_pb2.NetParameter()
    try:
        text_format.Parse(_read_text(path), net)
    except text_format.ParseError as error:
        raise ModelError(f"{path} is not a prototxt that Caffe can read: line {error}") from None
    if not net.IsInitialized():
        raise ModelError(f"{path} lacks what Caffe requires: {', '.join(net.FindInitializationErrors())}")
    upgrade(net, path)
    _drop_training_layers(net)
    _input_fields_to_layer(net, path)
    _check_layers(net, path)
    _check_input(net, path)
    return net


def _read_text(path: str | os.PathLike[str]) -> str:
    check_regular_file(path, MAX_FILE_BYTES, ModelError)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ModelError(f"{path} is not a prototxt: it is not text") from None
    except ValueError as error:  # a null byte
        raise ModelError(f"{short_repr(path)} cannot be a file's path: {error}") from None


def _drop_training_layers(net: caffe_pb2.NetParameter) -> None:
    """Keep only the layers that Caffe builds outside of training, so that the checks see no others."""
    kept = [layer for layer in net.layer if _is_built(layer, net.state.stage)]
    del net.layer[:]
    for layer in kept:
        del layer.include[:], layer.exclude[:]
    net.layer.extend(kept)


def _is_built(layer: caffe_pb2.LayerParameter, stages: Sequence[str]) -> bool:
    if layer.include:
        return any(_meets(rule, stages) for rule in layer.include)
    return not any(_meets(rule, stages) for rule in layer.exclude)


def _meets(rule: caffe_pb2.NetStateRule, stages: Sequence[str]) -> bool:
    """Whether a network that is used and not trained, at level 0, meets a layer's rule."""
    return (
        (not rule.HasField("phase") or rule.phase == caffe_pb2.TEST)
        and (not rule.HasField("min_level") or rule.min_level <= 0)
        and (not rule.HasField("max_level") or rule.max_level >= 0)
        and all(stage in stages for stage in rule.stage)
        and not any(stage in stages for stage in rule.not_stage)
    )


def _input_fields_to_layer(net: caffe_pb2.NetParameter, path: str | os.PathLike[str]) -> None:
    """Old deploy files state the input as fields of the net: turn it into a layer, as since 2016."""
    if not net.input:
        return
    shapes = [list(shape.dim) for shape in net.input_shape]
    if not shapes:
        shapes = [list(net.input_dim[i : i + 4]) for i in range(0, len(net.input_dim), 4)]
    if len(shapes) != len(net.input):
        raise ModelError(f"{path} names {len(net.input)} inputs but {len(shapes)} shapes")
    layers = list(net.layer)
    del net.layer[:]
    for name, shape in zip(net.input, shapes):
        layer = net.layer.add(name=name, type="Input", top=[name])
        layer.input_param.shape.add(dim=shape)
    net.layer.extend(layers)
    for field in ("input", "input_dim", "input_shape"):
        net.ClearField(field)


def _check_layers(net: caffe_pb2.NetParameter, path: str | os.PathLike[str]) -> None:
    """Raise `ModelError`, with the layer's name, for errors that Caffe would reject, before it reads the definition."""
    if not net.layer:
        raise ModelError(f"{path} defines no layers")
    known = set(caffe.layer_type_list())
    blobs: set[str] = set()
    names: set[str] = set()
    for layer in net.layer:
        if layer.type not in known:
            raise ModelError(f"{path}: layer {layer.name!r} is of the type {layer.type!r}, which this Caffe lacks")
        if layer.type in _FORBIDDEN_TYPES:
            raise ModelError(
                f"{path}: layer {layer.name!r} is of the type {layer.type!r}, which "
                f"{_FORBIDDEN_TYPES[layer.type]}; remove it from the definition"
            )
        if layer.infogain_loss_param.source:
            raise ModelError(
                f"{path}: layer {layer.name!r} reads the file {layer.infogain_loss_param.source!r}; a "
                "definition must not name files: remove the layer"
            )
        if not layer.name or layer.name in names:
            raise ModelError(f"{path}: two layers are called {layer.name!r}; each needs its own name")
        names.add(layer.name)
        for bottom in layer.bottom:
            if bottom not in blobs:
                raise ModelError(f"{path}: layer {layer.name!r} reads {bottom!r}, which no layer before it produces")
        for top in layer.top:
            if top in blobs and top not in layer.bottom:
                raise ModelError(f"{path}: layer {layer.name!r} produces {top!r} a second time")
            blobs.add(top)
        _check_kernel(layer, path)


def _check_kernel(layer: caffe_pb2.LayerParameter, path: str | os.PathLike[str]) -> None:
    """Raise `ModelError` for sizes that make stock Caffe divide by zero or allocate zero bytes."""
    if layer.type in ("Convolution", "Deconvolution"):
        convolution = layer.convolution_param
        kernel = kernel_pair(convolution, "kernel_size", "kernel", 0)
        stride = kernel_pair(convolution, "stride", "stride", 1)
        if convolution.num_output < 1 or convolution.group < 1:
            raise ModelError(f"{path}: layer {layer.name!r} needs num_output and group of at least 1")
    elif layer.type == "Pooling":
        pooling = layer.pooling_param
        if pooling.pool == caffe_pb2.PoolingParameter.STOCHASTIC:
            raise ModelError(
                f"{path}: layer {layer.name!r} uses STOCHASTIC pooling, which Caffe lacks on a CPU; use MAX or AVE"
            )
        if pooling.global_pooling:
            return
        kernel, stride = pooling_pair(pooling, "kernel"), pooling_pair(pooling, "stride")
    else:
        return
    if min(kernel) < 1 or min(stride) < 1:
        raise ModelError(
            f"{path}: layer {layer.name!r} has kernel {kernel} and stride {stride}; both must be at least 1"
        )


def _check_input(net: caffe_pb2.NetParameter, path: str | os.PathLike[str]) -> None:
    """Raise `ModelError` unless one image of the definition's own size can be fed to the network."""
    inputs = [layer for layer in net.layer if not layer.bottom]
    if len(inputs) != 1 or inputs[0].type != "Input" or len(inputs[0].top) != 1:
        kinds = ", ".join(f"{layer.name} ({layer.type})" for layer in inputs)
        raise ModelError(f"{path} must have one Input layer; it has {kinds}. Use the deploy definition of the network")
    shapes = inputs[0].input_param.shape
    if len(shapes) != 1 or len(shapes[0].dim) != 4 or shapes[0].dim[1] not in (1, 3) or min(shapes[0].dim) < 1:
        found = [list(shape.dim) for shape in shapes]
        raise ModelError(
            f"{path}: the input must have the shape (batch, channels, height, width) with 3 channels, or 1 for grey "
            f"images; it has {found}"
        )
    height, width = shapes[0].dim[2:]
    for blob, size in output_sizes(net, height, width).items():
        if size and min(size) < 1:
            raise ModelError(f"{path}: an input of {width}×{height} pixels is too small for {blob!r}")


def input_layer(net: caffe_pb2.NetParameter) -> caffe_pb2.LayerParameter:
    """The one `Input` layer of a checked definition."""
    return next(layer for layer in net.layer if not layer.bottom)


def input_channels(net: caffe_pb2.NetParameter) -> int:
    """How many channels a checked definition reads: 3 for colour images, 1 for grey ones."""
    return int(input_layer(net).input_param.shape[0].dim[1])


def native_size(net: caffe_pb2.NetParameter) -> Pair:
    """The (height, width) of the input in a checked definition."""
    height, width = input_layer(net).input_param.shape[0].dim[2:]
    return height, width
