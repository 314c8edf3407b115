"""Prepares a definition so that Caffe computes only the gradient of its input.

A definition is a `caffe_pb2.NetParameter`, checked by `deepdream.network.prototxt`. The release of 2015 set
`force_backward`, with which Caffe also computes every weight's gradient, only to discard it. Here the backward pass
is requested only where it is needed: from each output (`loss_weight`) down to the bias of the layer that reads the
image, whose bottom then gets a gradient too (`propagate_down`). The gradient is bit for bit the same, in about half the
time.
"""

from __future__ import annotations

from collections.abc import Callable

from caffe.proto import caffe_pb2

from .prototxt import input_layer, native_size
from .shapes import output_sizes, pooling_pair

# The number of parameter blobs of a layer of this type; other types have none.
_PARAMETER_BLOBS: dict[str, Callable[[caffe_pb2.LayerParameter], int]] = {
    "BatchNorm": lambda layer: 3,
    "Bias": lambda layer: int(len(layer.bottom) == 1),
    "Convolution": lambda layer: 1 + layer.convolution_param.bias_term,
    "Deconvolution": lambda layer: 1 + layer.convolution_param.bias_term,
    "Embed": lambda layer: 1 + layer.embed_param.bias_term,
    "InnerProduct": lambda layer: 1 + layer.inner_product_param.bias_term,
    "PReLU": lambda layer: 1,
    "Scale": lambda layer: int(len(layer.bottom) == 1) + layer.scale_param.bias_term,
}


def prepare(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """The definition for a dream: one image at a time, any size, only the gradient of the input.

    Args:
        net: a checked definition; it is not changed.

    Returns:
        A new definition.
    """
    prepared = caffe_pb2.NetParameter()
    prepared.CopyFrom(net)
    prepared.ClearField("force_backward")
    input_layer(prepared).input_param.shape[0].dim[0] = 1  # a blob never shrinks, so ten images' memory would stay
    _pool_globally(prepared)
    for layer in prepared.layer:
        _freeze_parameters(layer)
    _want_input_gradient(prepared)
    _backward_from_outputs(prepared)
    return prepared


def _pool_globally(net: caffe_pb2.NetParameter) -> None:
    """Make average pools that cover their whole bottom global, so that the classifier works at any image size."""
    sizes = output_sizes(net, *native_size(net))
    for layer in net.layer:
        pool = layer.pooling_param
        if layer.type != "Pooling" or pool.pool != caffe_pb2.PoolingParameter.AVE or pool.global_pooling:
            continue
        if pooling_pair(pool, "kernel") == sizes[layer.bottom[0]] and pooling_pair(pool, "pad") == (0, 0):
            for field in ("kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w"):
                pool.ClearField(field)
            pool.global_pooling = True


def _freeze_parameters(layer: caffe_pb2.LayerParameter) -> None:
    """Turn off the gradients of the layer's parameters. Without a `param` entry they are on, so add the entries."""
    count = _PARAMETER_BLOBS.get(layer.type, lambda layer: 0)(layer)
    while len(layer.param) < count:
        layer.param.add()
    for parameter in layer.param:
        parameter.lr_mult = 0


def _want_input_gradient(net: caffe_pb2.NetParameter) -> None:
    """Extend the backward pass to the input."""
    image = input_layer(net).top[0]
    readers = [layer for layer in net.layer if image in layer.bottom]
    if len(readers) == 1 and readers[0].type in ("Convolution", "InnerProduct") and len(readers[0].bottom) == 1:
        del readers[0].propagate_down[:]
        readers[0].propagate_down.append(True)
        # One parameter must need a gradient, or Caffe skips the layer; the bias (the last one) costs the least.
        readers[0].param[-1].lr_mult = 1
    else:
        net.force_backward = True  # unusual first layers: the gradient is still right, only slower


def _backward_from_outputs(net: caffe_pb2.NetParameter) -> None:
    """Give each output a loss weight; without it, Caffe would not run a backward pass."""
    read_later: set[str] = set()
    for layer in reversed(net.layer):
        unread = [top not in read_later for top in layer.top]
        if layer.type != "Input" and any(unread):
            del layer.loss_weight[:]
            layer.loss_weight.extend(float(flag) for flag in unread)
        read_later.update(layer.bottom)
