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

`Objectives` is one objective for each of several layers.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np

from ._types import Objective
from .errors import LayerError, ModelError, ParameterError
from .validation import parse_int, short_repr


class DescribedObjective(Protocol):
    """An objective with the attributes of those made here; see above."""

    end: str | None
    check: Callable[[Any, str], None] | None
    spec: dict[str, Any]

    def __call__(self, dst: Any) -> float: ...


class Classifier(Protocol):
    """The part of a network that `label` needs; `deepdream.Net` has it."""

    labels: list[str]
    definition: Any
    blobs: Any

    def check_layer(self, end: str) -> str: ...


class Objectives(dict[str, Objective]):
    """One objective for each of several layers: {layer: objective}.

    Args:
        objectives: {layer: objective}.
        end: {layer: weight}, with the same layers.

    Attributes:
        end: {layer: weight}, which a dream with `end=None` uses.
        spec: {"objective": "layers", "layers": {layer: spec}}; `None` if one of the objectives has no `spec`.

    Raises:
        ParameterError: these are not mappings with the same layers.

    Example:
        >>> weights = {"fire4/concat": 1, "fire8/concat": 50}
        >>> both = dd.Objectives({"fire4/concat": dd.objective_L2, "fire8/concat": dd.channels(7)}, end=weights)
        >>> dd.deepdream(net, dd.picture("cat")[:64, :64], iter_n=1, octave_n=1, objective=both).shape
        (64, 64, 3)
    """

    end: dict[str, float]
    spec: dict[str, Any] | None

    def __init__(self, objectives: Mapping[str, Objective], end: Mapping[str, float]) -> None:
        if not (isinstance(objectives, Mapping) and isinstance(end, Mapping) and objectives.keys() == end.keys()):
            raise ParameterError(
                f"objectives={short_repr(objectives)}, end={short_repr(end)}: they must be {{layer: objective}} and "
                "{layer: weight} with the same layers"
            )
        super().__init__(objectives)
        self.end = dict(end)
        specs = {layer: getattr(objective, "spec", None) for layer, objective in self.items()}
        self.spec = None if None in specs.values() else {"objective": "layers", "layers": specs}


def describe_objective(
    objective: Callable[[Any], float],
    spec: Mapping[str, Any] | None,
    end: str | None = None,
    check: Callable[[Any, str], None] | None = None,
    on_gpu: Callable[[Any, int], float] | None = None,
) -> DescribedObjective:
    """Give an objective its attributes.

    Args:
        objective: the function; it is changed.
        spec: see the module's description, as for the others.
        end: the layer.
        check: a function of the network and the layer.
        on_gpu: a function of the blob and the GPU's number.

    Returns:
        `objective` itself.
    """
    vars(objective).update(spec=spec, end=end, check=check, on_gpu=on_gpu)
    return cast(DescribedObjective, objective)


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


describe_objective(objective_L2, spec={"objective": "L2"}, on_gpu=_objective_L2_on_gpu)


def channels(indices: int | Iterable[int]) -> DescribedObjective:
    """Maximise some channels: the sum of their activations, everywhere in the image.

    This is not the sum of squares that `objective_L2` maximises: a channel may be silent at first, or negative before
    its rectification, and squares would keep it silent or make it even more negative.

    Args:
        indices: a channel's number, or several, counted from zero.

    Returns:
        An objective for any layer that has those channels; it returns their sum, and raises a `LayerError` if its layer
        lacks one of them.

    Raises:
        ParameterError: the numbers are not channels.

    Example:
        >>> objective = dd.channels([3, 200])
        >>> objective.spec
        {'objective': 'channels', 'indices': [3, 200]}
        >>> img = dd.picture("cat")[:64, :64]
        >>> dd.deepdream(net, img, iter_n=1, octave_n=1, end="fire6/concat", objective=objective).shape
        (64, 64, 3)
    """
    chosen = _parse_channels(indices)

    def raise_channels(dst: Any) -> float:
        _check_channels(chosen, dst.shape[1], "the layer")
        dst.diff[...] = 0
        dst.diff[:, chosen] = 1
        return float(dst.data[:, chosen].sum(dtype=np.float64))

    return describe_objective(
        raise_channels,
        spec={"objective": "channels", "indices": chosen},
        check=lambda net, layer: _check_channels(chosen, net.blobs[layer].shape[1], repr(layer)),
    )


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


def _check_channels(chosen: Sequence[int], count: int, layer: str) -> None:
    if chosen[-1] >= count:
        raise LayerError(
            f"there is no channel {short_repr(chosen[-1])}: {layer} has {count} channels, 0 to {count - 1}"
        )


def label(net: Classifier, name_or_index: str | int) -> DescribedObjective:
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
    index = label_index(net, name_or_index)

    def raise_label(dst: Any) -> float:
        dst.diff[...] = 0
        dst.diff[:, index] = 1
        return float(dst.data[:, index].sum(dtype=np.float64))

    return describe_objective(
        raise_label, spec={"objective": "label", "label": net.labels[index], "index": index}, end=end
    )


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


def label_index(net: Classifier, name_or_index: str | int) -> int:
    """The number of a label given by name or number; see `label`.

    Raises:
        ParameterError: the network does not have the label, or has several with that name.
    """
    labels = net.labels
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
        return label_index(net, -1 if number is None else number)
    raise ParameterError(f"the network does not know {short_repr(name_or_index)}; {_suggest_labels(wanted, names)}")


def _suggest_labels(wanted: str, names: Sequence[Sequence[str]]) -> str:
    """A hint with the names closest to `wanted`; each label has several names."""
    known = [name for several in names for name in several]
    close = difflib.get_close_matches(wanted, known, n=3, cutoff=0.6)
    close += [name for name in known if wanted and wanted in name and name not in close]
    if close:
        return f"did you mean {' or '.join(map(repr, close[:3]))}?"
    return "it knows, for instance, " + ", ".join(repr(several[0]) for several in names[:3])
