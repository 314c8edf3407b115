"""Objectives: the quantities to maximise.

An objective is a callable `f(dst)` on a `caffe.Blob`, the layer's activations after the forward pass. It reads
`dst.data` and writes into `dst.diff`, both float32 (1, channels, height, width), the gradient of the quantity to
maximise, and may return that quantity as a float. It is always ascent: the image is changed in the direction of
`dst.diff`.

A function that makes an objective from a guide, a channel or a label closes over its data. The objective may have these
attributes, each of them `None` or missing where it does not apply:

- `end`: the layer that its data belongs to.
- `check(net, layer)`: called before a dream begins; raises an error if the objective cannot be used at that layer.
- `on_gpu(dst, gpu)`: computes the same on that GPU, where the blob is; without it, the blob is copied to the host and
  back.
- `spec`: its description, as a dict that JSON can hold: `{"objective": name, …}`. From it,
  `deepdream.recipes.objective_spec` makes the objective again.

`deepdream.objective_sums` has the classes that add and scale objectives; the functions here return an `Objective`.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from .errors import LayerError, ModelError, ParameterError
from .objective_sums import Objective, Objectives
from .validation import parse_int, short_repr

# What may follow a blob in place without changing the direction in which its channels grow.
_MONOTONE = {"ReLU", "FastReLU", "Dropout"}


class Network(Protocol):
    """The part of a network that `channels` needs; `deepdream.Net` has it."""

    definition: Any
    blobs: Any
    end: str

    def check_layer(self, end: str) -> str: ...


class Classifier(Network, Protocol):
    """The part of a network that `label` needs; `deepdream.Net` has it."""

    labels: list[str]


def objective_L2(dst: Any) -> float:
    """Maximise what the layer already sees: half the sum of the squared activations.

    The gradient of ½ Σ x² is x itself, so the layer's diff is a copy of its data. This is the objective of the 2015
    release.

    Args:
        dst: a `caffe.Blob`; `dst.data` is read, `dst.diff` is written.

    Returns:
        ½ Σ x².

    Example:
        >>> blob = net.blobs["fire8/concat"]
        >>> dd.objective_L2(blob) >= 0
        True
        >>> np.array_equal(blob.diff, blob.data)
        True
    """
    dst.diff[...] = dst.data
    x = dst.data.ravel()
    # Not np.dot: a BLAS adds up in another order with another number of threads.
    return 0.5 * float(np.einsum("i,i->", x, x, dtype=np.float64))


def _objective_L2_on_gpu(dst: Any, gpu: int) -> float:
    import caffe

    return caffe._caffe.gpu_half_sum_of_squares(dst, gpu)


vars(objective_L2).update(spec={"objective": "L2"}, on_gpu=_objective_L2_on_gpu, is_half_sum_of_squares=True)


def channels(
    indices: int | Iterable[int], net: Network | None = None, end: str | None = None
) -> Objective | Objectives:
    """Maximise some channels: the sum of their activations, everywhere in the image.

    This is not the sum of squares that `objective_L2` maximises: a channel may be silent at first, or negative before
    its rectification, and squares would keep it silent or make it even more negative.

    A concatenation's channels are rectified: where one is silent everywhere, its gradient is zero and nothing moves.
    With `net`, each channel is maximised where it is made, at the branch of the concatenation before its rectification,
    and has a gradient everywhere.

    Args:
        indices: a channel's number, or several, counted from zero.
        net: the network, to maximise the channels where they are made; `None`: at the layer itself.
        end: with `net`, the layer; `None`: the network's own.

    Returns:
        An objective for any layer that has those channels; it returns their sum, and raises a `LayerError` if its layer
        lacks one of them. With `net` it belongs to the branches that make them, which may be several.

    Raises:
        LayerError: the network lacks the layer, or the layer a channel.
        ParameterError: the numbers are not channels, or `end` is given without `net`.

    Example:
        >>> objective = dd.channels([3, 200])
        >>> objective.spec
        {'objective': 'channels', 'indices': [3, 200]}
        >>> img = dd.picture("cat")[:64, :64]
        >>> dd.deepdream(net, img, iter_n=1, octave_n=1, end="fire6/concat", objective=objective).shape
        (64, 64, 3)
        >>> dd.channels([3, 200], net, "fire6/concat").end
        {'fire6/expand1x1': 1.0, 'fire6/expand3x3': 1.0}
    """
    chosen = _parse_channels(indices)
    if net is not None:
        return _channels_at_sources(chosen, net, net.check_layer(net.end if end is None else end))
    if end is not None:
        raise ParameterError(f"end={short_repr(end)}: pass net, too, or use channels(…).at(end)")
    return _channels_at_layer(chosen)


def _channels_at_layer(chosen: list[int]) -> Objective:
    def raise_channels(dst: Any) -> float:
        check_channels(chosen, dst.shape[1], "the layer")
        dst.diff[...] = 0
        dst.diff[:, chosen] = 1
        return float(dst.data[:, chosen].sum(dtype=np.float64))

    return Objective(
        raise_channels,
        spec={"objective": "channels", "indices": chosen},
        check=lambda net, layer: check_channels(chosen, net.blobs[layer].shape[1], repr(layer)),
    )


def _channels_at_sources(chosen: list[int], net: Network, end: str) -> Objective | Objectives:
    """The channels of a layer, each at the blob that makes it."""
    check_channels(chosen, net.blobs[end].shape[1], repr(end))
    sources: dict[str, list[int]] = {}
    for channel in chosen:
        blob, own_channel = channel_source(net, end, channel)
        sources.setdefault(blob, []).append(own_channel)
    first, *others = (_channels_at_layer(own).at(blob) for blob, own in sources.items())
    return sum(others, first)


def channel_source(net: Network, end: str, channel: int) -> tuple[str, int]:
    """Where a channel is made: a layer that concatenates others only copies it.

    There its values can be read before they are rectified, by `net.forward(end=blob)`; a channel that is silent after
    that has no gradient.

    Args:
        net: the network.
        end: a layer that `net.check_layer` has returned.
        channel: its channel, counted from zero.

    Returns:
        The blob that makes the channel before rectifications and concatenations, and the channel's number there; `end`
        and `channel` themselves if that is the layer itself.

    Raises:
        LayerError: the layer has no such channel.
        ParameterError: the channel is not a number from 0.
    """
    (channel,) = _parse_channels(channel)
    check_channels([channel], net.blobs[end].shape[1], repr(end))
    makers = {top: layer for layer in net.definition.layer for top in layer.top if top not in layer.bottom}
    in_place: dict[str, set[str]] = {}
    for layer in net.definition.layer:
        for top in set(layer.top) & set(layer.bottom):
            in_place.setdefault(top, set()).add(layer.type)
    source, blob = (end, channel), end
    while True:
        layer = makers[blob]
        if layer.type in _MONOTONE or layer.type == "FastSplit":
            blob = layer.bottom[0]
        elif layer.type == "Concat" and layer.concat_param.axis == 1 and layer.concat_param.concat_dim == 1:
            for bottom in layer.bottom:
                blob, count = bottom, net.blobs[bottom].shape[1]
                if channel < count:
                    break
                channel -= count
        else:
            return source
        if in_place.get(blob, set()) <= _MONOTONE and makers[blob].type != "FastSplit":
            source = blob, channel


def _parse_channels(indices: Any) -> list[int]:
    """The numbers of channels, sorted, each once."""
    try:
        given = list(indices) if isinstance(indices, Iterable) and not isinstance(indices, (str, bytes)) else [indices]
        chosen = [operator.index(i) for i in given if not isinstance(i, (bool, np.bool_))]
    except TypeError:
        given, chosen = [], []
    if not chosen or len(chosen) != len(given) or min(chosen) < 0:
        raise ParameterError(f"channels are whole numbers from 0, one or several; got {short_repr(indices)}")
    return sorted(set(chosen))


def check_channels(chosen: Sequence[int], count: int, layer: str) -> None:
    """Raise `LayerError` if a layer lacks the last of these channels.

    Args:
        chosen: numbers, ascending.
        count: the number of the layer's channels.
        layer: the layer, for the message.
    """
    if chosen[-1] >= count:
        raise LayerError(
            f"there is no channel {short_repr(chosen[-1])}: {layer} has {count} channels, 0 to {count - 1}"
        )


def label(net: Classifier, name_or_index: str | int) -> Objective:
    """Maximise a label of the classifier: the label's score, which is its value before the softmax.

    The probability itself would be a poor objective: where it is near zero or one its gradient vanishes, and it also
    rises when other labels' scores fall.

    Args:
        net: a `Net` with labels.
        name_or_index: a label, or one name of a label that has several ("starfish" for "starfish, sea star"), in upper
            or lower case; or the label's number, counted from zero.

    Returns:
        An objective whose `end` is the score layer; it returns the score.

    Raises:
        ParameterError: the network does not have the label; the message names the closest ones.
        ModelError: the network is not a classifier.

    Example:
        >>> starfish = dd.label(net, "starfish")
        >>> starfish.end, starfish.spec["label"], starfish.spec["index"]
        ('pool10', 'starfish, sea star', 327)
        >>> dd.deepdream(net, dd.picture("cat")[:64, :64], iter_n=1, octave_n=1, objective=starfish).shape
        (64, 64, 3)
    """
    if not hasattr(net, "labels"):
        raise ParameterError(
            f"net={short_repr(net)}: it must be a deepdream.Net, such as deepdream.load('bvlc_googlenet')"
        )
    end = score_layer(net)
    index = label_index(net.labels, name_or_index)

    def raise_label(dst: Any) -> float:
        dst.diff[...] = 0
        dst.diff[:, index] = 1
        return float(dst.data[:, index].sum(dtype=np.float64))

    return Objective(raise_label, spec={"objective": "label", "label": net.labels[index], "index": index}, end=end)


def score_layer(net: Classifier) -> str:
    """The layer whose values the network's last softmax turns into probabilities.

    Raises:
        ModelError: the network has no softmax, or not as many scores as labels.
    """
    layers = {layer.name: layer for layer in net.definition.layer}
    softmax = [layer for layer in layers.values() if layer.type == "Softmax"]
    if not softmax:
        raise ModelError("the network has no softmax, so it is not a classifier and has no labels")
    makers = {top: layer for layer in layers.values() for top in layer.top if top not in layer.bottom}
    blob = softmax[-1].bottom[0]
    while makers[blob].type == "FastSplit":
        blob = makers[blob].bottom[0]
    scores = net.blobs[net.check_layer(blob)].shape[1]
    if scores != len(net.labels):
        raise ModelError(f"the network has {scores} scores and {len(net.labels)} labels; it needs one label for each")
    return blob


def label_index(labels: Sequence[str], name_or_index: str | int) -> int:
    """The number of one of a network's labels, given by name or number; see `label`.

    Raises:
        ParameterError: the network does not have the label, or has several with that name.
    """
    if not isinstance(name_or_index, str):
        try:
            index = operator.index(name_or_index)
        except TypeError:
            index = -1
        if isinstance(name_or_index, bool) or not 0 <= index < len(labels):
            raise ParameterError(
                f"{short_repr(name_or_index)} is not a label: give a name, or a number from 0 to {len(labels) - 1}"
            )
        return index
    wanted = " ".join(name_or_index.lower().split())
    names = [[name.strip() for name in label.lower().split(",")] for label in labels]
    # A full label takes precedence: "maillot" is one label, and one name of another.
    found = [i for i, label in enumerate(labels) if label.lower() == wanted] or [
        i for i, several in enumerate(names) if wanted in several
    ]
    if len(found) == 1:
        return found[0]
    if found:
        which = ", ".join(f"{i} ({labels[i]})" for i in found)
        raise ParameterError(
            f"{len(found)} labels are called {short_repr(name_or_index)}; give a number instead: {which}"
        )
    if wanted.isdecimal():
        number = parse_int(wanted)
        return label_index(labels, -1 if number is None else number)
    name, equals, _ = wanted.rpartition("=")  # as after --label, where only a number is a weight
    hint = f"a weight is a number, as in {name}=0.5" if equals else _suggest_labels(wanted, names)
    raise ParameterError(f"the network does not know {short_repr(name_or_index)}; {hint}")


def _suggest_labels(wanted: str, names: Sequence[Sequence[str]]) -> str:
    """A hint with the names closest to `wanted`; each label has several names."""
    known = [name for several in names for name in several]
    close = difflib.get_close_matches(wanted, known, n=3, cutoff=0.6)
    close += [name for name in known if wanted and wanted in name and name not in close]
    if close:
        return f"did you mean {' or '.join(map(repr, close[:3]))}?"
    return "it knows, for instance, " + ", ".join(repr(several[0]) for several in names[:3])
