"""Where a network's layers look: the sizes of their outputs and the windows through which they see their inputs.

Everything follows from the definition, a `caffe_pb2.NetParameter`, without running it.
"""

import math

# Layers whose output has no height and width that would follow from the input's.
_NOT_SPATIAL = {"Flatten", "Reshape", "Reduction", "ArgMax", "Accuracy", "Embed", "Crop", "SPP"}


def spatial_sizes(net, height, width):
    """How large each blob is for a picture of this size, by the definition alone.

    **Returns:** {blob: (height, width)}; numbers below 1 where the picture is too small, `None` where the layer types
    do not tell.
    """
    sizes = {next(layer for layer in net.layer if not layer.bottom).top[0]: (height, width)}
    for layer in net.layer:
        if not layer.bottom:
            continue
        size, kind = sizes.get(layer.bottom[0]), layer.type.removeprefix("Fast")
        if kind in _NOT_SPATIAL:
            size = None
        elif kind == "InnerProduct" or (kind == "Pooling" and layer.pooling_param.global_pooling):
            size = (1, 1) if size is None or min(size) >= 1 else size
        elif size is not None:
            size = tuple(_OUTPUT_SIZE.get(kind, lambda layer, axis, n: n)(layer, axis, n)
                         for axis, n in enumerate(size))
        for top in layer.top:
            sizes[top] = size
    return sizes


def _convolved(layer, axis, n):
    p = layer.convolution_param
    kernel, pad, stride = (pair(p, "kernel_size", "kernel", 0)[axis], pair(p, "pad", "pad", 0)[axis],
                           pair(p, "stride", "stride", 1)[axis])
    dilation = (list(p.dilation) or [1])[axis if len(p.dilation) > 1 else 0]
    return (n + 2 * pad - (dilation * (kernel - 1) + 1)) // stride + 1


def _deconvolved(layer, axis, n):
    p = layer.convolution_param
    kernel, pad, stride = (pair(p, "kernel_size", "kernel", 0)[axis], pair(p, "pad", "pad", 0)[axis],
                           pair(p, "stride", "stride", 1)[axis])
    return stride * (n - 1) + kernel - 2 * pad


def _pooled(layer, axis, n):
    p = layer.pooling_param
    kernel, pad, stride = (pooling_pair(p, name)[axis] for name in ("kernel", "pad", "stride"))
    rounded = math.floor if getattr(p, "round_mode", 0) == 1 else math.ceil
    out = rounded((n + 2 * pad - kernel) / stride) + 1
    if pad and (out - 1) * stride >= n + pad:
        out -= 1  # the last window must begin inside the picture or its padding
    return out


def window(layer):
    """(kernel, stride, pad), each (height, width), of the window through which a layer sees its bottom.

    **Returns:** (1, 1), (1, 1), (0, 0) for layers that see each place by itself; `None` for those whose outputs have no
    places, see all at once, or lie denser than their bottom.
    """
    kind = layer.type.removeprefix("Fast")
    if kind in _NOT_SPATIAL or kind in ("InnerProduct", "Deconvolution", "Tile", "Im2col", "Slice"):
        return None
    if kind == "Convolution":
        p = layer.convolution_param
        dilation = list(p.dilation) or [1]
        kernel = tuple(d * (k - 1) + 1 for d, k in zip((dilation[0], dilation[-1]),
                                                       pair(p, "kernel_size", "kernel", 0)))
        return kernel, pair(p, "stride", "stride", 1), pair(p, "pad", "pad", 0)
    if kind == "Pooling":
        p = layer.pooling_param
        return None if p.global_pooling else tuple(pooling_pair(p, name) for name in ("kernel", "stride", "pad"))
    if kind == "LRN" and layer.lrn_param.norm_region == layer.lrn_param.WITHIN_CHANNEL:
        size = layer.lrn_param.local_size
        return (size, size), (1, 1), ((size - 1) // 2,) * 2
    return (1, 1), (1, 1), (0, 0)


_OUTPUT_SIZE = {"Convolution": _convolved, "Deconvolution": _deconvolved, "Pooling": _pooled}


def pair(parameters, repeated, prefix, default):
    """(height, width) of a convolution's field: `kernel_h`/`kernel_w`, or one or two values of the repeated field."""
    if parameters.HasField(f"{prefix}_h") or parameters.HasField(f"{prefix}_w"):
        return getattr(parameters, f"{prefix}_h"), getattr(parameters, f"{prefix}_w")
    values = list(getattr(parameters, repeated)) or [default]
    return values[0], values[-1]


def pooling_pair(parameters, name):
    """(height, width) of a pooling layer's kernel, pad or stride."""
    if parameters.HasField(f"{name}_h") or parameters.HasField(f"{name}_w"):
        return getattr(parameters, f"{name}_h"), getattr(parameters, f"{name}_w")
    value = parameters.kernel_size if name == "kernel" else getattr(parameters, name)
    return value, value
