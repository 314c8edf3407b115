"""A Caffe network prepared for gradients on its input.

The central type is `Net`, a `caffe.Net`. Inside it a picture is a float32 array (3, H, W): blue, green, red, the
network's mean subtracted; `preprocess` and `deprocess` go between that and an image, (H, W, 3) RGB 0..255.
"""

import contextlib
import difflib
import logging
import os
import tempfile
from pathlib import Path

# Caffe says at length what it builds, unless asked not to before it is imported.
os.environ.setdefault("GLOG_minloglevel", "1")

import caffe
import numpy as np
from google.protobuf import text_format

from . import definition
from . import weights as weight_files
from .device import AUTO, choose_device, explain, use_device
from .ends import objectives_at, weights_of
from .errors import DreamError, LayerError, ModelError, WeightsError
from .fast import fast_layers_wanted, use_fast_layers
from .image import check_image, resize
from .memory import out_of_memory
from .sharing import Alone
from .trial import refusal

log = logging.getLogger(__name__)

# What pycaffe keeps on a net once it was asked for; all of it refers to the net's blobs.
_CACHED_BY_CAFFE = {"_blobs_dict", "_blob_loss_weights_dict", "_layer_dict", "_params_dict", "_input_list",
                    "_output_list", "_top_names", "_bottom_names"}


class Net(caffe.Net):
    """Any Caffe network that reads a picture, ready to be dreamt with.

    It is a `caffe.Net`: `net.blobs`, `net.forward(end=…)` and `net.backward(start=…)` work as in Caffe. It computes
    the gradient of its input and of nothing else, one picture at a time, at any size (average pools that cover
    everything become global).

    Several threads may dream with one network: they take turns step by step, and each dream is what it would have been
    alone. Whoever sets its blobs and runs its passes himself beside other threads does so within `with net.alone:`.
    After a fork both processes can use it, each its own copy.

    **Arguments:**

    - `prototxt`: the deploy definition, a path. Its one input is (N, 3, H, W).
    - `weights`: the caffemodel, a path; `None` leaves what the definition's fillers make.
    - `mean`: what to subtract from blue, green and red, three numbers.
    - `end`: the layer to dream when a call names none; it must be a layer and a blob of the network.
    - `labels`: the classifier's labels, in order.
    - `fast`: use our Caffe's faster CPU layers where it has them; `False`: upstream's own, to compare with. `None`: as
      the environment variable DEEPDREAM_LAYERS says, "fast" (the default) or "upstream".
    - `gpu`: where to compute, in any thread: `None` for the CPU, a GPU's number, or "auto" for the first GPU that
      works, else the CPU.

    **Attributes:** `mean` (float32 (3, 1, 1), BGR), `end`, `labels`, `input_size` ((height, width) of the definition),
    `weights` (the path of its weights, or `None`), `fast` (whether it has any of the faster layers), `gpu` (`None` or
    the GPU's number).

    **Raises:** `ModelError`, `WeightsError` or `LayerError`, before Caffe itself sees what is wrong; `DreamError` if
    the GPU cannot be used.
    """

    def __init__(self, prototxt, weights, mean, end, labels=(), fast=None, gpu=None):
        self.gpu = choose_device(gpu)
        self._process = os.getpid()
        self.alone = Alone()
        parsed = definition.read_definition(prototxt)
        if weights is not None:
            found = weight_files.weight_shapes(weights)
            weight_files.check_outputs(weights, found, parsed)
        self.definition = definition.prepare(parsed)
        if fast_layers_wanted(fast) and self.gpu is None:
            self.definition = use_fast_layers(self.definition)
        self._use_device()
        with self._prepared() as prepared:
            try:
                problem = refusal(prepared)
                if not problem:
                    super().__init__(prepared, caffe.TEST)
            except RuntimeError as error:
                problem = error
        if problem:
            raise ModelError(f"{prototxt} is not a network that Caffe can build: {problem}")
        self.weights = weights
        self.fast = any(layer.type.startswith("Fast") for layer in self.definition.layer)
        if weights is not None:
            self._load(weights, found)
        try:
            self.mean = np.array(mean, np.float32).reshape(3, 1, 1)
        except (TypeError, ValueError):
            raise ModelError(f"the mean must be three numbers (blue, green, red); got {mean!r}") from None
        if not np.isfinite(self.mean).all():
            raise ModelError(f"the mean must be three finite numbers (blue, green, red); got {mean!r}")
        self.labels = list(labels)
        self.input_size = definition.native_size(parsed)
        self.end = self.check_layer(end)
        self._unsaid = explain(self.gpu) if gpu == AUTO else ""

    def _load(self, path, found):
        needed = {name: [tuple(blob.shape) for blob in self.params.get(name, ())] for name in self._layer_names}
        weight_files.check_fit(path, found, needed)
        try:
            self.copy_from(str(path))
        except RuntimeError as error:
            raise WeightsError(f"{path} holds no weights that Caffe can read: {error}") from None

    @property
    def input(self):
        """The blob that the picture goes into; its `diff` is the gradient."""
        return self.blobs[self.inputs[0]]

    @property
    def dreamable(self):
        """The names that `end` may have, from the input upwards: every layer whose output blob bears its name."""
        return [name for name in self._layer_names if name in self.blobs and name not in self.inputs]

    def check_layer(self, end):
        """`end` if it names a layer that can be dreamt; else a `LayerError` that names the closest ones."""
        layers = self.dreamable
        if not layers:
            raise LayerError("the network has no layer that can be dreamt: none has an output of its own name")
        if end in layers:
            return end
        close = difflib.get_close_matches(str(end), layers, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(layers[:3])} … {layers[-1]}"
        raise LayerError(f"the network has no layer {end!r} to dream; {hint} (`deepdream layers` lists them)")

    def sizes(self, height, width, end):
        """{blob: (height, width) or None} for a picture of this size, of every layer up to `end` (one or several)."""
        sizes = definition.spatial_sizes(self.definition, height, width)
        return {top: sizes[top] for layer in self.layers_up_to(end) for top in layer.top}

    def layers_up_to(self, end):
        """The layers, as the definition has them, that a forward pass to `end`, or to the last of several, runs."""
        names = [layer.name for layer in self.definition.layer]
        return self.definition.layer[:max(map(names.index, weights_of(end))) + 1]

    # Every pass of Caffe's Python goes through these two.
    def _forward(self, start, end):
        self._use_device()
        if self._unsaid:  # where it dreams is said when it does: until then something else may be wrong
            log.info(self._unsaid)
            self._unsaid = ""
        with self._failing_plainly():
            return super()._forward(start, end)

    def _backward(self, start, end):
        self._use_device()
        with self._failing_plainly():
            return super()._backward(start, end)

    @contextlib.contextmanager
    def _failing_plainly(self):
        """What Caffe finds wrong only when it computes, such as a fixed Reshape, as an error of the network's."""
        try:
            yield
        except getattr(caffe, "Error", ()) as error:
            if out_of_memory(error):  # another size may do
                raise
            raise ModelError(f"Caffe cannot compute this network at this size: {error}") from None

    def input_gradient(self, end, objective):
        """Forward to `end`, the objective there, backward to the picture in the input blob.

        With several layers both passes run in segments, from one layer to the next: each objective sees its layer as
        it is before an in-place ReLU that follows, and its diff joins what comes from above when the backward pass
        has come down to that layer.

        **Arguments:** `end`: a checked layer name or {layer: weight}; `objective`: see `deepdream.objectives`.

        **Returns:** (gradient, value): the input blob's diff, a live view (3, H, W), and the weighted sum of what the
        objectives returned, `None` if one returned nothing.
        """
        weights, objectives = weights_of(end), objectives_at(end, objective)
        names = list(self._layer_names)
        stops = sorted(map(names.index, weights))
        starts = [0, *(stop + 1 for stop in stops)]
        kept, values = {}, []
        for start, stop in zip(starts, stops):
            layer = names[stop]
            self._forward(start, stop)
            value = objectives[layer](self.blobs[layer])
            values.append(None if value is None else weights[layer] * value)
            if weights[layer] != 1:
                self.blobs[layer].diff[...] *= np.float32(weights[layer])
            if stop != stops[-1]:
                kept[layer] = self.blobs[layer].diff.copy()
        self._clear_unwritten(stops[-1])
        for start, stop in reversed(list(zip(starts, stops))):
            if names[stop] in kept:
                self.blobs[names[stop]].diff[...] += kept.pop(names[stop])
            self._backward(stop, start)
        return self.input.diff[0], None if None in values else sum(values)

    def _clear_unwritten(self, last):
        """Zero the diffs that a backward pass from layer number `last` reads and nothing in it writes.

        Caffe's backward also runs side branches below `last` that do not lead to it, from whatever diffs an earlier
        dream left at their tops.
        """
        names = list(self._layer_names)[:last + 1]
        made = {top for name in names for top in self.top_names[name]}
        read = {bottom for name in names for bottom in self.bottom_names[name] if bottom not in self.top_names[name]}
        for blob in made - read - {names[-1]}:
            self.blobs[blob].diff[...] = 0

    def release(self):
        """Give back the memory of every blob; the next pass takes what it needs, and no more.

        A Caffe blob never shrinks: after a large picture its memory stays. Only our Caffe can do this; with another
        one nothing happens. Arrays taken from blobs before must not be used any more.
        """
        if not hasattr(caffe._caffe, "rebuild"):
            return
        with self.alone, self._prepared() as prototxt:
            self._use_device()
            caffe._caffe.rebuild(self, prototxt)
            for cached in [name for name in vars(self) if name in _CACHED_BY_CAFFE]:
                delattr(self, cached)

    @contextlib.contextmanager
    def _prepared(self):
        """The path of the prepared definition, as a file for Caffe to read."""
        with contextlib.ExitStack() as stack:
            try:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="deepdream-"))
                path = Path(folder) / "prepared.prototxt"
                path.write_text(text_format.MessageToString(self.definition), encoding="utf-8")
            except OSError as error:
                raise ModelError(f"the network's definition cannot be written in {tempfile.gettempdir()} "
                                 f"({error.strerror}); set TMPDIR to a folder that can be") from None
            yield str(path)

    def _use_device(self):
        """Caffe's setting of the device is the thread's; make it this net's own."""
        if self.gpu is not None and os.getpid() != self._process:
            raise DreamError("a network on a GPU cannot be used in a forked process: load it there, in one that was "
                             "started afresh (multiprocessing's method 'spawn')")
        use_device(self.gpu)


def preprocess(net, img):
    """An image as the network reads it.

    **Arguments:** `net`: a `Net`; `img`: (H, W, 3) RGB 0..255.

    **Returns:** float32 (3, H, W), BGR, mean subtracted.
    """
    return np.ascontiguousarray(np.moveaxis(np.asarray(img, np.float32), 2, 0)[::-1]) - net.mean


def deprocess(net, chw):
    """The inverse of `preprocess`: float32 (H, W, 3) RGB, not clipped."""
    return np.ascontiguousarray(np.moveaxis((np.asarray(chw, np.float32) + net.mean)[::-1], 0, 2))


def classify(net, img, top=5):
    """What is this a picture of?

    The shorter side is scaled to 256 (for a network that reads 224 pixels) and the centre is looked at.

    **Arguments:** `net`: a `Net` with labels; `img`: (H, W, 3) RGB 0..255; `top`: how many answers.

    **Returns:** [(label, probability), …], the likeliest first.

    **Raises:** `ModelError` if the network has no labels for its outputs.
    """
    img = check_image(img)
    height, width = net.input_size
    scale = max(height, width) * 256 / 224 / min(img.shape[:2])
    scaled = resize(img, *(max(size, round(n * scale)) for n, size in zip(img.shape[:2], (height, width))))
    y, x = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    with net.alone:
        net.input.reshape(1, 3, height, width)
        net.input.data[0] = preprocess(net, scaled[y:y + height, x:x + width])
        probabilities = net.forward()[net.outputs[-1]].flatten()
    if len(net.labels) != len(probabilities):
        raise ModelError(f"the network has {len(probabilities)} outputs and {len(net.labels)} labels; "
                         "it needs one label for each to classify")
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [(net.labels[i], float(probabilities[i])) for i in best]
