"""Objectives: what to make more of.

An objective is a callable `f(dst)` on a `caffe.Blob`, the layer's activations after the forward pass. It reads
`dst.data` and writes into `dst.diff`, both float32 (1, channels, height, width), the gradient of what is to be raised,
and may return that quantity as a float. It is always ascent: what points the way up in `dst.diff` is what the picture
is changed towards.

A function that makes an objective from a guide, a channel or a label closes over its data. It may give the objective
an attribute `end`, the layer that its data belongs to.
"""

import numpy as np


def objective_L2(dst):
    """More of whatever the layer already sees: raises half the sum of the squared activations.

    The gradient of ½ Σ x² is x itself, so the layer's diff is a copy of its data. This is the objective of the 2015
    release.

    **Arguments:** `dst`: a `caffe.Blob`; `dst.data` is read, `dst.diff` is written.

    **Returns:** ½ Σ x² as a float.
    """
    dst.diff[...] = dst.data
    x = dst.data.ravel()
    return 0.5 * float(np.dot(x, x))


objective_L2.spec = {"objective": "L2"}


def objective_from_spec(net, spec, end, guide=None):
    """The objective that a recipe's `spec` describes."""
    return objective_L2
