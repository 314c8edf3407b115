"""Our own Caffe's faster CPU layers: the same numbers, parameters and blobs under another layer type.

They are in pycaffe/layers. Any other Caffe lacks them and keeps its own layers.
"""

import os
from collections import Counter

import caffe
from caffe.proto import caffe_pb2

from .errors import ModelError

# What each upstream layer type is replaced by. A fast layer hands what it is not made for to upstream's code.
_FAST = {
    "Convolution": "FastConvolution",
    "InnerProduct": "FastInnerProduct",
    "LRN": "FastLRN",
    "Pooling": "FastPooling",
    "ReLU": "FastReLU",
}


def fast_layers_wanted(fast=None):
    """Whether to use the faster layers: `fast`, else what the environment variable DEEPDREAM_LAYERS says.

    **Raises:** `ModelError` if that is neither "fast" nor "upstream".
    """
    if fast is not None:
        return bool(fast)
    choice = os.environ.get("DEEPDREAM_LAYERS", "fast")
    if choice not in ("fast", "upstream"):
        raise ModelError(f"DEEPDREAM_LAYERS is {choice!r}; it must be fast or upstream")
    return choice == "fast"


def use_fast_layers(net):
    """The definition with each layer that this Caffe has a faster one for replaced.

    **Arguments:** `net`: a `caffe_pb2.NetParameter`; it is left as it is.

    **Returns:** a new `NetParameter`.
    """
    known = set(caffe.layer_type_list())
    fast = caffe_pb2.NetParameter()
    fast.CopyFrom(net)
    for layer in fast.layer:
        if _FAST.get(layer.type) in known:
            layer.type = _FAST[layer.type]
    if "FastSplit" in known and not any(layer.include or layer.exclude for layer in fast.layer):
        _insert_splits(fast)
    return fast


def _insert_splits(net):
    """Where a blob has several readers, the layer that Caffe itself would insert, by the same names, as a FastSplit.

    A blob that several layers write in turn (in place) counts anew after each of them. Layers with a loss weight on
    what others read stay as they are: then Caffe inserts its own.
    """
    layers = [caffe_pb2.LayerParameter.FromString(layer.SerializeToString()) for layer in net.layer]
    writer, readers = {}, Counter()  # blob -> (layer, top) that wrote it last; (layer, top) -> how many read that
    sources = []  # for each layer, the (layer, top) of each bottom
    for i, layer in enumerate(layers):
        sources.append([writer[bottom] for bottom in layer.bottom])
        readers.update(sources[-1])
        writer.update((top, (i, j)) for j, top in enumerate(layer.top))
    shared = {(i, j) for (i, j), count in readers.items()
              if count > 1 and not any(layers[i].loss_weight[j:j + 1])}
    used = Counter()
    del net.layer[:]
    for i, layer in enumerate(layers):
        for j, source in enumerate(sources[i]):
            if source in shared:
                layer.bottom[j] = f"{_split_name(layers, *source)}_{used[source]}"
                used[source] += 1
        net.layer.append(layer)
        for j, top in enumerate(layer.top):
            if (i, j) in shared:
                name = _split_name(layers, i, j)
                net.layer.add(name=name, type="FastSplit", bottom=[top],
                              top=[f"{name}_{k}" for k in range(readers[i, j])])


def _split_name(layers, i, j):
    return f"{layers[i].top[j]}_{layers[i].name}_{j}_split"
