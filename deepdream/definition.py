"""A network's definition: a prototxt, parsed, checked, and prepared so that Caffe computes the gradient of its input
and of nothing else.

The central type is Caffe's own message, `caffe_pb2.NetParameter`.

Checking happens here, in Python, because stock Caffe ends the whole process on a definition it does not like.
"""

import caffe
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from .errors import ModelError
from .files import check_regular
from .geometry import pair, pooling_pair, spatial_sizes

AVE, STOCHASTIC = caffe_pb2.PoolingParameter.AVE, caffe_pb2.PoolingParameter.STOCHASTIC

# How many parameter blobs a layer of this type has; types not named here have none.
_PARAMETER_BLOBS = {
    "BatchNorm": lambda layer: 3,
    "Bias": lambda layer: int(len(layer.bottom) == 1),
    "Convolution": lambda layer: 1 + layer.convolution_param.bias_term,
    "Deconvolution": lambda layer: 1 + layer.convolution_param.bias_term,
    "Embed": lambda layer: 1 + layer.embed_param.bias_term,
    "InnerProduct": lambda layer: 1 + layer.inner_product_param.bias_term,
    "PReLU": lambda layer: 1,
    "Scale": lambda layer: int(len(layer.bottom) == 1) + layer.scale_param.bias_term,
}

LARGEST = 64 * 2**20  # bytes: a thousand times what GoogLeNet's has

# What a definition from elsewhere must not do to whoever dreams with it.
_REFUSED = {
    "Python": "runs whatever code the definition names",
    "HDF5Output": "writes a file wherever the definition says",
}


def read_definition(path):
    """Parse and check a deploy prototxt.

    **Arguments:** `path`: the prototxt.

    **Returns:** a `caffe_pb2.NetParameter` with one `Input` layer of shape (N, 3, H, W).

    **Raises:** `ModelError` if it is missing, does not parse, or is not a network that pictures can be fed to.
    """
    net = caffe_pb2.NetParameter()
    check_regular(path, LARGEST, ModelError)
    try:
        with open(path, encoding="utf-8") as file:
            text_format.Parse(file.read(), net)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ModelError(f"{path} is not a prototxt: it is not text") from None
    except text_format.ParseError as error:
        raise ModelError(f"{path} is not a prototxt that Caffe can read: line {error}") from None
    if not net.IsInitialized():
        raise ModelError(f"{path} lacks what Caffe requires: {', '.join(net.FindInitializationErrors())}")
    if net.layers and not net.layer:
        raise ModelError(f"{path} is in Caffe's old format ('layers'); convert it with upgrade_net_proto_text")
    _input_fields_to_layer(net, path)
    _check(net, path)
    return net


def _input_fields_to_layer(net, path):
    """Old deploy files state the input as fields of the net: make it the layer it has been since 2016."""
    if not net.input:
        return
    shapes = [list(shape.dim) for shape in net.input_shape]
    if not shapes:
        shapes = [list(net.input_dim[i:i + 4]) for i in range(0, len(net.input_dim), 4)]
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


def _check(net, path):
    """What Caffe would refuse: it names the layer and is raised before Caffe sees the definition."""
    if not net.layer:
        raise ModelError(f"{path} defines no layers")
    known, blobs, names = set(caffe.layer_type_list()), set(), set()
    for layer in net.layer:
        if layer.type not in known:
            raise ModelError(f"{path}: layer {layer.name!r} is of the type {layer.type!r}, which this Caffe lacks")
        if layer.type in _REFUSED:
            raise ModelError(f"{path}: layer {layer.name!r} is of the type {layer.type!r}, which "
                             f"{_REFUSED[layer.type]}; take it out of the definition")
        if layer.infogain_loss_param.source:
            raise ModelError(f"{path}: layer {layer.name!r} reads the file {layer.infogain_loss_param.source!r}; a "
                             "definition may name none: take the layer out")
        if not layer.name or layer.name in names:
            raise ModelError(f"{path}: two layers are called {layer.name!r}; each needs a name of its own")
        names.add(layer.name)
        for bottom in layer.bottom:
            if bottom not in blobs:
                raise ModelError(f"{path}: layer {layer.name!r} reads {bottom!r}, which no layer before it makes")
        for top in layer.top:
            if top in blobs and top not in layer.bottom:
                raise ModelError(f"{path}: layer {layer.name!r} makes {top!r} a second time")
            blobs.add(top)
        _check_window(layer, path)
    inputs = [layer for layer in net.layer if not layer.bottom]
    if len(inputs) != 1 or inputs[0].type != "Input" or len(inputs[0].top) != 1:
        kinds = ", ".join(f"{layer.name} ({layer.type})" for layer in inputs)
        raise ModelError(f"{path} must have one Input layer; it has {kinds}. Use the deploy definition of the network")
    shapes = inputs[0].input_param.shape
    if len(shapes) != 1 or len(shapes[0].dim) != 4 or shapes[0].dim[1] != 3 or min(shapes[0].dim) < 1:
        found = [list(shape.dim) for shape in shapes]
        raise ModelError(f"{path}: the input must have the shape (batch, 3, height, width); it has {found}")
    height, width = shapes[0].dim[2:]
    for blob, size in spatial_sizes(net, height, width).items():
        if size and min(size) < 1:
            raise ModelError(f"{path}: an input of {width}×{height} pixels leaves nothing for {blob!r}")


def _check_window(layer, path):
    """Sizes that make stock Caffe divide by zero or ask for no memory at all."""
    if layer.type in ("Convolution", "Deconvolution"):
        parameters = layer.convolution_param
        kernel, stride = pair(parameters, "kernel_size", "kernel", 0), pair(parameters, "stride", "stride", 1)
        if parameters.num_output < 1 or parameters.group < 1:
            raise ModelError(f"{path}: layer {layer.name!r} needs num_output and group of at least 1")
    elif layer.type == "Pooling":
        parameters = layer.pooling_param
        if parameters.pool == STOCHASTIC:
            raise ModelError(f"{path}: layer {layer.name!r} pools at random, which Caffe cannot do on a CPU; "
                             "let it pool MAX or AVE")
        if parameters.global_pooling:
            return
        kernel, stride = pooling_pair(parameters, "kernel"), pooling_pair(parameters, "stride")
    else:
        return
    if min(kernel) < 1 or min(stride) < 1:
        raise ModelError(f"{path}: layer {layer.name!r} has kernel {kernel} and stride {stride}; both must be at "
                         "least 1")


def input_layer(net):
    """The one `Input` layer of a checked definition."""
    return next(layer for layer in net.layer if not layer.bottom)


def native_size(net):
    """(height, width) that the definition itself gives its input."""
    return tuple(input_layer(net).input_param.shape[0].dim[2:])


def prepare(net):
    """The definition as the dream needs it: one picture at a time, any size, the input's gradient and no other.

    The release set `force_backward`, with which Caffe also computes every weight's gradient, only to throw it away.
    Here the backward pass is asked for where it is needed: from each output (`loss_weight`) down to the bias of the
    layer that reads the picture, whose bottom is then wanted too (`propagate_down`). The gradient is bit for bit the
    same, in about half the time.

    **Arguments:** `net`: a checked `NetParameter`; it is left as it is.

    **Returns:** a new `NetParameter`.
    """
    prepared = caffe_pb2.NetParameter()
    prepared.CopyFrom(net)
    prepared.ClearField("force_backward")
    input_layer(prepared).input_param.shape[0].dim[0] = 1  # a blob never shrinks, so ten pictures' memory would stay
    _pool_globally(prepared)
    for layer in prepared.layer:
        _freeze(layer)
    _want_input_gradient(prepared)
    _backward_from_outputs(prepared)
    return prepared


def _freeze(layer):
    """No gradient for any parameter of the layer. One without a `param` entry counts as wanted, so add the entries."""
    wanted = _PARAMETER_BLOBS.get(layer.type, lambda layer: 0)(layer)
    while len(layer.param) < wanted:
        layer.param.add()
    for parameter in layer.param:
        parameter.lr_mult = 0


def _want_input_gradient(net):
    picture = input_layer(net).top[0]
    readers = [layer for layer in net.layer if picture in layer.bottom]
    if len(readers) == 1 and readers[0].type in ("Convolution", "InnerProduct") and len(readers[0].bottom) == 1:
        del readers[0].propagate_down[:]
        readers[0].propagate_down.append(True)
        # One parameter must count as wanted, or Caffe skips the layer; the bias (the last one) costs the least.
        readers[0].param[-1].lr_mult = 1
    else:
        net.force_backward = True  # unusual beginnings: right all the same, only slower


def _backward_from_outputs(net):
    """Give each output a loss weight, without which Caffe finds that nothing needs a backward pass."""
    read_later = set()
    for layer in reversed(net.layer):
        unread = [top not in read_later for top in layer.top]
        if layer.type != "Input" and any(unread):
            del layer.loss_weight[:]
            layer.loss_weight.extend(float(flag) for flag in unread)
        read_later.update(layer.bottom)


def _pool_globally(net):
    """Average pools that cover their whole bottom pool globally, so that the classifier works at any picture size."""
    sizes = spatial_sizes(net, *native_size(net))
    for layer in net.layer:
        if layer.type != "Pooling" or layer.pooling_param.pool != AVE or layer.pooling_param.global_pooling:
            continue
        pool = layer.pooling_param
        if pooling_pair(pool, "kernel") == sizes[layer.bottom[0]] and pooling_pair(pool, "pad") == (0, 0):
            for field in ("kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w"):
                pool.ClearField(field)
            pool.global_pooling = True
