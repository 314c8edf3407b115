"""Our own Caffe's faster layers: the same numbers, parameters and blobs under another layer type.

They are in pycaffe/layers. Any other Caffe lacks them and uses its own layers. The functions here take and return
definitions, `caffe_pb2.NetParameter`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import caffe
import numpy as np
from caffe.proto import caffe_pb2

from ..errors import ModelError, ParameterError
from ..validation import short_repr

# The faster type that replaces each upstream type. A fast layer leaves cases that it does not cover to upstream's code.
_FAST_TYPES = {
    "Convolution": "FastConvolution",
    "InnerProduct": "FastInnerProduct",
    "LRN": "FastLRN",
    "Pooling": "FastPooling",
    "ReLU": "FastReLU",
}


def fast_layers_wanted(fast: bool | None = None) -> bool:
    """Whether to use the faster layers.

    Args:
        fast: the caller's choice; `None`: the environment variable DEEPDREAM_LAYERS decides.

    Raises:
        ModelError: DEEPDREAM_LAYERS is neither "fast" nor "upstream".
        ParameterError: `fast` is not `None`, `True` or `False`.
    """
    if fast is not None:
        if not isinstance(fast, (bool, np.bool_)):
            raise ParameterError(f"fast={short_repr(fast)}: it must be True, False, or None (DEEPDREAM_LAYERS decides)")
        return bool(fast)
    choice = os.environ.get("DEEPDREAM_LAYERS", "fast")
    if choice not in ("fast", "upstream"):
        raise ModelError(f"DEEPDREAM_LAYERS is {choice!r}; it must be fast or upstream")
    return choice == "fast"


def use_fast_layers(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Replace each layer for which this Caffe has a faster one.

    Args:
        net: the definition; it is left as it is.

    Returns:
        A new definition.
    """
    known = set(caffe.layer_type_list())
    fast = caffe_pb2.NetParameter()
    fast.CopyFrom(net)
    for layer in fast.layer:
        if _FAST_TYPES.get(layer.type) in known:
            layer.type = _FAST_TYPES[layer.type]
    if "FastSplit" in known:
        _insert_splits(fast)
    return fast


def _insert_splits(net: caffe_pb2.NetParameter) -> None:
    """If a blob has several readers, insert a FastSplit, with the same names as the split that Caffe would insert.

    A blob that several layers write in turn (in place) counts as a new one after each of them. Layers with a loss
    weight on a blob that others read stay unchanged: Caffe then inserts its own split.
    """
    layers = [caffe_pb2.LayerParameter.FromString(layer.SerializeToString()) for layer in net.layer]
    writer: dict[str, tuple[int, int]] = {}  # blob -> (layer, top) that wrote it last
    readers: Counter[tuple[int, int]] = Counter()  # (layer, top) -> how many layers read it
    sources: list[list[tuple[int, int]]] = []  # for each layer, the (layer, top) of each bottom
    for i, layer in enumerate(layers):
        sources.append([writer[bottom] for bottom in layer.bottom])
        readers.update(sources[-1])
        writer.update((top, (i, j)) for j, top in enumerate(layer.top))
    shared = {(i, j) for (i, j), count in readers.items() if count > 1 and not any(layers[i].loss_weight[j : j + 1])}
    used: Counter[tuple[int, int]] = Counter()
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
                tops = [f"{name}_{k}" for k in range(readers[i, j])]
                net.layer.add(name=name, type="FastSplit", bottom=[top], top=tops)


def _split_name(layers: Sequence[caffe_pb2.LayerParameter], i: int, j: int) -> str:
    """Caffe's own name for the split of layer `i`'s top `j` (upstream's `SplitLayerName`)."""
    return f"{layers[i].top[j]}_{layers[i].name}_{j}_split"
