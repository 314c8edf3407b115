"""Objectives: what to make more of.

An objective is a callable `f(dst)` on a `caffe.Blob`, the layer's activations after the forward pass. It reads
`dst.data` and writes into `dst.diff`, both float32 (1, channels, height, width), the gradient of what is to be raised,
and may return that quantity as a float. It is always ascent: what points the way up in `dst.diff` is what the picture
is changed towards.

A function that makes an objective from a guide, a channel or a label closes over its data. It may give the objective
these attributes:

- `end`: the layer that its data belongs to.
- `check(net, layer)`: called before a dream begins; raises what is wrong with using the objective there.
- `spec`: what it was made from, as a dict that JSON can hold: `{"objective": name, …}`. `deepdream.specs` makes the
  objective again from it.

`Objectives` is one objective for each of several layers.
"""

import difflib
import operator
from collections.abc import Iterable

import numpy as np

from .checks import shown, whole
from .errors import LayerError, ModelError, ParameterError


class Objectives(dict):
    """{layer: objective}, for a dream of several layers.

    **Attributes:** `end`: {layer: weight}, what `end=None` stands for; `spec`: {"objective": "layers", "layers":
    {layer: spec}}.
    """

    def __init__(self, objectives, end):
        super().__init__(objectives)
        self.end = dict(end)
        self.spec = {"objective": "layers", "layers": {layer: f.spec for layer, f in self.items()}}


def objective_L2(dst):
    """More of whatever the layer already sees: raises half the sum of the squared activations.

    The gradient of ½ Σ x² is x itself, so the layer's diff is a copy of its data. This is the objective of the 2015
    release.

    **Arguments:** `dst`: a `caffe.Blob`; `dst.data` is read, `dst.diff` is written.

    **Returns:** ½ Σ x² as a float.
    """
    dst.diff[...] = dst.data
    x = dst.data.ravel()
    # Not np.dot: a BLAS adds up in another order with another number of threads.
    return 0.5 * float(np.einsum("i,i->", x, x, dtype=np.float64))


objective_L2.spec = {"objective": "L2"}


def channels(indices):
    """More of some channels: raises the sum of their activations, everywhere in the picture.

    A sum, not the sum of squares that `objective_L2` raises: a channel may be silent to begin with, or negative before
    its rectification, and squares would keep it silent or make it more negative still.

    **Arguments:** `indices`: a channel's number, or several, counted from zero.

    **Returns:** an objective for any layer that has those channels; it returns their sum.

    **Raises:** `ParameterError` if the numbers are no channels; the objective a `LayerError` if its layer lacks one.
    """
    chosen = _indices(indices)

    def raise_channels(dst):
        _check_channels(chosen, dst.shape[1], "the layer")
        dst.diff[...] = 0
        dst.diff[:, chosen] = 1
        return float(dst.data[:, chosen].sum(dtype=np.float64))

    raise_channels.check = lambda net, layer: _check_channels(chosen, net.blobs[layer].shape[1], repr(layer))
    raise_channels.spec = {"objective": "channels", "indices": chosen}
    return raise_channels


def _indices(indices):
    try:
        given = list(indices) if isinstance(indices, Iterable) and not isinstance(indices, (str, bytes)) else [indices]
        chosen = [operator.index(i) for i in given if not isinstance(i, (bool, np.bool_))]
    except TypeError:
        given, chosen = [], []
    if not chosen or len(chosen) != len(given) or min(chosen) < 0:
        raise ParameterError(f"channels are whole numbers from 0, one or several; got {shown(indices)}")
    return sorted(set(chosen))


def _check_channels(chosen, count, layer):
    if chosen[-1] >= count:
        raise LayerError(f"there is no channel {shown(chosen[-1])}: {layer} has {count} channels, 0 to {count - 1}")


def label(net, name_or_index):
    """More of what the classifier would call by this label: raises the label's score, the value before the softmax.

    The probability itself would be a poor guide: where it is near zero or one its gradient vanishes, and it also rises
    when other labels' scores fall.

    **Arguments:** `net`: a `Net` with labels; `name_or_index`: a label, or one name of a label that has several
    ("starfish" for "starfish, sea star"), in upper or lower case; or the label's number, counted from zero.

    **Returns:** an objective with the `end` of the score layer; it returns the score.

    **Raises:** `ParameterError` for a label the network does not know, with the closest ones; `ModelError` if it is no
    classifier.
    """
    end = score_layer(net)
    index = label_index(net, name_or_index)

    def raise_label(dst):
        dst.diff[...] = 0
        dst.diff[:, index] = 1
        return float(dst.data[:, index].sum(dtype=np.float64))

    raise_label.end = end
    raise_label.spec = {"objective": "label", "label": net.labels[index], "index": index}
    return raise_label


def score_layer(net):
    """The layer whose values the network's last softmax turns into probabilities.

    **Raises:** `ModelError` if the network has no softmax, or not as many scores as labels.
    """
    layers = {layer.name: layer for layer in net.definition.layer}
    softmax = [layer for layer in layers.values() if layer.type == "Softmax"]
    if not softmax:
        raise ModelError("the network ends in no softmax: it is no classifier, and has no labels to raise")
    makers = {top: layer for layer in layers.values() for top in layer.top if top not in layer.bottom}
    blob = softmax[-1].bottom[0]
    while makers[blob].type == "FastSplit":
        blob = makers[blob].bottom[0]
    scores = net.blobs[net.check_layer(blob)].shape[1]
    if scores != len(net.labels):
        raise ModelError(f"the network has {scores} scores and {len(net.labels)} labels; it needs one label for each")
    return blob


def label_index(net, name_or_index):
    """The number of a label given by name or number; see `label`."""
    labels = net.labels
    if not isinstance(name_or_index, str):
        try:
            index = operator.index(name_or_index)
        except TypeError:
            index = -1
        if isinstance(name_or_index, bool) or not 0 <= index < len(labels):
            raise ParameterError(f"{shown(name_or_index)} is no label: give a name, or a number from 0 to "
                                 f"{len(labels) - 1}")
        return index
    wanted = " ".join(name_or_index.lower().split())
    names = [[name.strip() for name in label.lower().split(",")] for label in labels]
    # A label in full comes first: "maillot" is one label, and one name of another.
    found = ([i for i, label in enumerate(labels) if label.lower() == wanted]
             or [i for i, several in enumerate(names) if wanted in several])
    if len(found) == 1:
        return found[0]
    if found:
        which = ", ".join(f"{i} ({labels[i]})" for i in found)
        raise ParameterError(f"{len(found)} labels are called {shown(name_or_index)}; give a number instead: {which}")
    if wanted.isdecimal():
        index = whole(wanted)
        return label_index(net, -1 if index is None else index)
    known = [name for several in names for name in several]
    close = difflib.get_close_matches(wanted, known, n=3, cutoff=0.6)
    close += [name for name in known if wanted and wanted in name and name not in close]
    hint = f"did you mean {' or '.join(map(repr, close[:3]))}?" if close else "it knows, for instance, " + ", ".join(
        repr(several[0]) for several in names[:3])
    raise ParameterError(f"the network knows no {shown(name_or_index)}; {hint}")
