"""Definitions in Caffe's older formats, converted to the current one as Caffe itself does when it reads them.

The checks must see the layers that Caffe will build, so the conversion comes first. There are two older formats, both
in the field `layers`:

- V1, of 2014, in which a type is a number (`type: CONVOLUTION`). VGG and NIN were published in it.
- V0, of 2013, in which each entry wraps a `layer` that has the settings of all types side by side (`kernelsize: 3`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import caffe
from caffe.proto import caffe_pb2

from ..errors import ModelError

# The V1 type whose current name is more than its words put together.
_RENAMED_V1_TYPES = {"SOFTMAX_LOSS": "SoftmaxWithLoss"}

_FILLED = {
    "num_output": "num_output",
    "biasterm": "bias_term",
    "weight_filler": "weight_filler",
    "bias_filler": "bias_filler",
}
_WINDOW = {"kernelsize": "kernel_size", "stride": "stride", "pad": "pad"}
# V0 type -> (current type, its message of settings, {V0 field: field of that message}). Types that read or write files
# are missing: a definition for dreaming has none of them.
_V0_TYPES: dict[str, tuple[str, str, dict[str, str]]] = {
    "bnll": ("BNLL", "", {}),
    "concat": ("Concat", "concat_param", {"concat_dim": "concat_dim"}),
    "conv": ("Convolution", "convolution_param", {**_FILLED, **_WINDOW, "group": "group"}),
    "dropout": ("Dropout", "dropout_param", {"dropout_ratio": "dropout_ratio"}),
    "flatten": ("Flatten", "", {}),
    "im2col": ("Im2col", "convolution_param", _WINDOW),
    "innerproduct": ("InnerProduct", "inner_product_param", _FILLED),
    "lrn": ("LRN", "lrn_param", {"local_size": "local_size", "alpha": "alpha", "beta": "beta", "k": "k"}),
    "pool": ("Pooling", "pooling_param", {"pool": "pool", **_WINDOW}),
    "relu": ("ReLU", "", {}),
    "sigmoid": ("Sigmoid", "", {}),
    "softmax": ("Softmax", "", {}),
    "softmax_loss": ("SoftmaxWithLoss", "", {}),
    "split": ("Split", "", {}),
    "tanh": ("TanH", "", {}),
}


def upgrade(net: caffe_pb2.NetParameter, path: str | os.PathLike[str]) -> None:
    """Convert the layers of a definition in an older format; one in the current format stays as it is.

    Args:
        net: a parsed definition; it is changed.
        path: its file, for the message.

    Raises:
        ModelError: it mixes formats, or has a layer without a counterpart.
    """
    if not net.layers:
        return
    wrapped = [entry.HasField("layer") for entry in net.layers]
    if net.layer or any(wrapped) != all(wrapped):
        raise ModelError(f"{path} has layers in several of Caffe's formats; write all of them as 'layer {{ … }}'")
    layers = _from_v0(net.layers, path) if all(wrapped) else [_from_v1(entry) for entry in net.layers]
    net.ClearField("layers")
    net.layer.extend(layers)


def _from_v1(old: Any) -> caffe_pb2.LayerParameter:
    layer = caffe_pb2.LayerParameter(
        name=old.name, type=_v1_type(old), bottom=old.bottom, top=old.top, loss_weight=old.loss_weight
    )
    for field, value in old.ListFields():
        if field.message_type is None:
            continue
        target = getattr(layer, field.name)  # the settings of a type are the same message, under the same name
        if hasattr(target, "extend"):
            target.extend(value)
        else:
            target.CopyFrom(value)
    _add_rates(layer, old)
    for i, name in enumerate(old.param):  # layers that share weights give them a name
        _parameter(layer, i).name = name
    for i, mode in enumerate(old.blob_share_mode):
        _parameter(layer, i).share_mode = mode
    return layer


def _v1_type(old: Any) -> str:
    types = type(old).DESCRIPTOR.enum_types_by_name["LayerType"]
    name = str(types.values_by_number[old.type].name)
    current = {known.lower(): known for known in caffe.layer_type_list()}
    # A type that this Caffe lacks keeps its old name, with which it is refused.
    return str(_RENAMED_V1_TYPES.get(name) or current.get(name.replace("_", "").lower(), name))


def _from_v0(entries: Iterable[Any], path: str | os.PathLike[str]) -> list[caffe_pb2.LayerParameter]:
    layers: list[caffe_pb2.LayerParameter] = []
    padded: dict[str, tuple[str, int]] = {}  # blob -> (the blob without the padding, the padding)
    for entry in entries:
        old = entry.layer
        if old.type == "padding" and len(entry.bottom) == len(entry.top) == 1:
            padded[entry.top[0]] = (entry.bottom[0], old.pad)
            continue
        if old.type not in _V0_TYPES:
            raise ModelError(
                f"{path}: layer {old.name!r} is of the type {old.type!r} of Caffe's format of 2013, which cannot be "
                "converted; use the deploy definition, in the current format"
            )
        layers.append(_from_v0_layer(entry))
        if any(bottom in padded for bottom in entry.bottom):
            _pad(layers[-1], *padded[entry.bottom[0]], path)
    return layers


def _from_v0_layer(entry: Any) -> caffe_pb2.LayerParameter:
    old = entry.layer
    kind, settings, fields = _V0_TYPES[old.type]
    layer = caffe_pb2.LayerParameter(name=old.name, type=kind, bottom=entry.bottom, top=entry.top, blobs=old.blobs)
    for old_name, name in fields.items():
        if old.HasField(old_name):
            _set(getattr(layer, settings), name, getattr(old, old_name))
    _add_rates(layer, old)
    return layer


def _set(settings: Any, name: str, value: Any) -> None:
    """Set a field: a number, a message, or a list, which then has this one value."""
    field = getattr(settings, name)
    if hasattr(field, "append"):
        field.append(value)
    elif hasattr(field, "CopyFrom"):
        field.CopyFrom(value)
    else:
        setattr(settings, name, value)


def _pad(layer: caffe_pb2.LayerParameter, bottom: str, pad: int, path: str | os.PathLike[str]) -> None:
    """Give a layer the padding that a layer of its own did before it."""
    if layer.type not in ("Convolution", "Pooling") or len(layer.bottom) != 1:
        raise ModelError(
            f"{path}: layer {layer.name!r} is of the type {layer.type!r} and reads a padding layer; only a "
            "convolution or pooling can"
        )
    layer.bottom[0] = bottom
    if layer.type == "Convolution":
        layer.convolution_param.pad[:] = [pad]
    else:
        layer.pooling_param.pad = pad


def _add_rates(layer: caffe_pb2.LayerParameter, old: Any) -> None:
    """The learning rate and decay of each parameter."""
    for i, rate in enumerate(old.blobs_lr):
        _parameter(layer, i).lr_mult = rate
    for i, decay in enumerate(old.weight_decay):
        _parameter(layer, i).decay_mult = decay


def _parameter(layer: caffe_pb2.LayerParameter, i: int) -> Any:
    """The layer's parameter number `i`, which is added if it is missing."""
    while len(layer.param) <= i:
        layer.param.add()
    return layer.param[i]
