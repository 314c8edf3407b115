"""A Caffe network prepared for gradients on its input.

The central type is `Net`, a `caffe.Net`. Inside it, an image is a float32 array (3, H, W): blue, green, red, the
network's mean subtracted; `preprocess` and `deprocess` convert an image, (H, W, 3) RGB 0..255, to this form and back.
In a network that reads grey images it is (1, H, W), the luminance.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import caffe
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from numpy.typing import NDArray

from .._types import Image, Layers, ObjectiveOrMapping, Planes
from ..errors import DreamError, ImageError, ModelError, ParameterError, WeightsError
from ..fork_lock import ForkSafeLock
from ..io.arrays import check_image
from ..validation import short_repr
from . import forking  # noqa: F401 - it registers its work before a fork
from .caffemodel import check_fit, check_outputs, weight_shapes
from .device import AUTO, choose_device, describe_choice, use_device
from .end_names import EndNames
from .fast_layers import fast_layers_wanted, use_fast_layers
from .gradient import input_gradient, run_passes
from .isolated_build import build_error
from .layers import weights_of
from .luminance import luminance
from .memory import is_out_of_memory
from .prepare import prepare
from .prototxt import input_channels, native_size, read_definition
from .shapes import misfit, output_sizes

log = logging.getLogger(__name__)

# The attributes that pycaffe caches on a net; all of them refer to the net's blobs.
_CACHED_BY_CAFFE = {
    "_blobs_dict",
    "_blob_loss_weights_dict",
    "_layer_dict",
    "_params_dict",
    "_input_list",
    "_output_list",
    "_top_names",
    "_bottom_names",
}


class Net(caffe.Net):
    """A Caffe network that reads an image, prepared for dreaming.

    It is a `caffe.Net`: `net.blobs`, `net.forward(end=…)` and `net.backward(start=…)` work as in Caffe. It computes
    only the gradient of its input, for one image at a time, at any size (average pools that cover everything become
    global).

    Several threads may dream with one network: they alternate step by step, and each dream is the same as if it ran
    alone. To set blobs or run passes yourself while other threads use the network, hold `net.lock`. After a fork, both
    processes can use it, each with its own copy.

    Args:
        prototxt: the path of the deploy definition, in any of Caffe's formats. Its one input is (N, 3, H, W), or
            (N, 1, H, W) for grey images.
        weights: the path of the caffemodel; `None` keeps the values of the definition's fillers.
        mean: the three numbers to subtract from blue, green and red; one number if the network reads grey images.
        end: the layer to dream if a call names none, by its own name or that of its output.
        labels: the classifier's labels, in order.
        fast: `True`: use our Caffe's faster layers where it has them. `False`: upstream's own, for comparison.
            `None`: the environment variable DEEPDREAM_LAYERS decides, "fast" (the default) or "upstream".
        gpu: the device for all threads: `None` for the CPU, a GPU's number, or "auto" for the first GPU that
            works, else the CPU.

    Attributes:
        mean: float32 (3, 1, 1), BGR; (1, 1, 1) for grey images.
        end: the layer to dream if a call names none, by the name of its output.
        end_names: the names by which its layers can be dreamt.
        labels: the classifier's labels, in order.
        input_size: (height, width) of the definition.
        weights: the path of its weights, or `None`.
        fast: whether it has any of the faster layers.
        gpu: `None`, or the GPU's number.
        definition: the definition that Caffe built it from, a `caffe_pb2.NetParameter`.
        lock: a context that one thread at a time can enter.

    Raises:
        ModelError: the definition cannot be used; raised before Caffe itself reads it.
        WeightsError: the weights are damaged or belong to another network.
        LayerError: the network has no layer `end`.
        ParameterError: another argument is of the wrong kind.
        DreamError: the GPU cannot be used.

    Example:
        >>> model = dd.find_model("squeezenet_v1.1")
        >>> untrained = dd.Net(model.prototxt, None, mean=(104, 117, 123), end="fire8/concat")
        >>> untrained.input_size, untrained.blobs["fire8/concat"].shape[1]
        ((227, 227), 512)
    """

    def __init__(
        self,
        prototxt: str | os.PathLike[str],
        weights: str | os.PathLike[str] | None,
        mean: Sequence[float],
        end: str,
        labels: Sequence[str] = (),
        fast: bool | None = None,
        gpu: int | str | None = None,
    ) -> None:
        _check_path("prototxt", prototxt)
        if weights is not None:
            _check_path("weights", weights)
        self.labels = _checked_labels(labels)
        use_fast = fast_layers_wanted(fast)
        self.gpu = choose_device(gpu)
        self._process = os.getpid()
        self.lock = ForkSafeLock()
        parsed = read_definition(prototxt)
        self.mean = _checked_mean(mean, input_channels(parsed))
        self.end_names = EndNames(parsed)
        if weights is not None:
            found = weight_shapes(weights)
            check_outputs(weights, found, parsed)
        self.definition = prepare(parsed)
        if use_fast:
            self.definition = use_fast_layers(self.definition)
        self._use_device()
        with self._prepared() as prepared:
            try:
                problem = build_error(prepared)
                if not problem:
                    super().__init__(prepared, caffe.TEST)
            except RuntimeError as error:
                problem = str(error)
        if problem:
            raise ModelError(f"{prototxt} is not a network that Caffe can build: {problem}")
        self.weights = weights
        self.fast = any(layer.type.startswith("Fast") for layer in self.definition.layer)
        self._inner_products = [layer for layer in self.definition.layer if layer.type.endswith("InnerProduct")]
        if weights is not None:
            self._load(weights, found, [layer.name for layer in parsed.layer])
        self.input_size = native_size(parsed)
        self._loose_ends: dict[int, frozenset[str]] = {}
        self._gpu_passes: dict[tuple[int, str], Any] = {}
        self._sizes: dict[tuple[int, int], dict[str, tuple[int, int] | None]] = {}
        self.end = self.check_layer(end)
        self._pending_message = describe_choice(self.gpu) if gpu == AUTO else ""

    def _load(self, path: str | os.PathLike[str], found: dict[str, list[tuple[int, ...]]], layers: list[str]) -> None:
        needed = {name: [tuple(blob.shape) for blob in self.params.get(name, ())] for name in layers}
        check_fit(path, found, needed)
        try:
            self.copy_from(str(path))
        except RuntimeError as error:
            raise WeightsError(f"{path} does not contain weights that Caffe can read: {error}") from None

    @property
    def input(self) -> Any:
        """The `caffe.Blob` that the image goes into; its `diff` is the gradient."""
        return self.blobs[self.inputs[0]]

    @property
    def dreamable(self) -> list[str]:
        """The layers that `end` may name, from the input upwards, each by the name of its output."""
        return list(self.end_names.makers)

    def check_layer(self, end: str) -> str:
        """Check that `end` names a layer that can be dreamt.

        Args:
            end: the name of a layer or of its output, the blob. Where they differ, a blob's name counts first.

        Returns:
            The blob's name.

        Raises:
            LayerError: the network has no such layer; the message names the closest ones.
            ParameterError: `end` is not a text.
        """
        if not isinstance(end, str):
            raise ParameterError(f"end={short_repr(end)}: it must be a layer's name, such as 'inception_4c/output'")
        return self.end_names.blob(end)

    def sizes(self, height: int, width: int, end: Layers) -> dict[str, tuple[int, int] | None]:
        """The sizes of the blobs for an image of this size, computed from the definition.

        Args:
            height: the image's, in pixels.
            width: the image's.
            end: a checked layer name or {layer: weight}.

        Returns:
            The (height, width) of every blob of the layers up to `end`, by name; `None` for a blob that is not spatial.
        """
        sizes = self._sizes.get((height, width))
        if sizes is None:  # it takes milliseconds, and a dream asks for the same ones more than once
            sizes = output_sizes(self.definition, height, width)
            self._sizes = {**dict(list(self._sizes.items())[-15:]), (height, width): sizes}
        return {top: sizes[top] for layer in self.layers_up_to(end) for top in layer.top}

    def layers_up_to(self, end: Layers) -> Sequence[caffe_pb2.LayerParameter]:
        """The layers that a forward pass to `end`, or to the last of several, runs.

        Args:
            end: a checked layer name or {layer: weight}.

        Returns:
            The layers of the definition, from the input upwards.
        """
        names = [layer.name for layer in self.definition.layer]
        return self.definition.layer[: max(names.index(self.end_names.makers[blob]) for blob in weights_of(end)) + 1]

    def loose_ends(self, last: int) -> frozenset[str]:
        """The blobs that the layers up to number `last` make and none of them reads."""
        if last not in self._loose_ends:  # a dream asks at every step
            names = list(self._layer_names)[: last + 1]
            made = {top for name in names for top in self.top_names[name]}
            read = {blob for name in names for blob in self.bottom_names[name] if blob not in self.top_names[name]}
            self._loose_ends[last] = frozenset(made - read)
        return self._loose_ends[last]

    def check_size(self, height: int, width: int, end: Layers) -> None:
        """Raise `ImageError` if an inner product before or at `end` cannot read an image of this size.

        Args:
            height: the image's or tile's, in pixels.
            width: the image's or tile's.
            end: a checked layer or {layer: weight}.
        """
        self._check_inner_products([layer.name for layer in self.layers_up_to(end)], height, width)

    def _check_inner_products(self, used: Sequence[str], height: int, width: int) -> None:
        inner_products = [layer for layer in self._inner_products if layer.name in used]
        found = misfit(self.definition, inner_products, self.input_size, (height, width))
        if found is None:
            return
        layer, bottom, needed = found
        own_height, own_width = self.input_size
        raise ImageError(
            f"{width}×{height} pixels do not fit layer {layer!r}, which reads exactly {needed[1]}×{needed[0]} values "
            f"of {bottom!r}: use an image of {own_width}×{own_height} pixels and one octave, or dream a layer up to "
            f"{bottom!r}"
        )

    # Every pass of Caffe's Python goes through the first two. A dream's backward goes through the third, and on a GPU
    # both may go through `gpu_passes`.
    def _forward(self, start: int, end: int) -> Any:
        with self._prepared_for_passes(start, end):
            return super()._forward(start, end)

    def _backward(self, start: int, end: int) -> Any:
        self._use_device()
        with self._translate_caffe_errors():
            return super()._backward(start, end)

    def _backward_to_input(self, start: int, end: int) -> None:
        """As `_backward`, for the gradient of the input alone: other blobs' diffs may not be their gradients.

        Our Caffe saves a pass through memory for each rectification then.
        """
        self._use_device()
        backward: Any = getattr(super(), "_backward_to_input", super()._backward)
        with self._translate_caffe_errors():
            backward(start, end)

    @contextlib.contextmanager
    def _prepared_for_passes(self, start: int, end: int) -> Iterator[None]:
        """Check and prepare what a forward pass of these layers needs."""
        # A stock Caffe would end the process.
        self._check_inner_products(self._layer_names[start : end + 1], *self.input.shape[2:])
        self._use_device()
        if self._pending_message:  # the device is logged at the first dream: something else may fail before
            log.info("%s", self._pending_message)
            self._pending_message = ""
        with self._translate_caffe_errors():
            yield

    @contextlib.contextmanager
    def _translate_caffe_errors(self) -> Iterator[None]:
        """Turn errors that Caffe finds only when it computes, such as a fixed Reshape, into errors of the network."""
        try:
            yield
        except getattr(caffe, "Error", ()) as error:
            if is_out_of_memory(error):  # another size may work
                raise
            raise ModelError(f"Caffe cannot compute this network at this size: {error}") from None

    def gpu_passes(self, last: int, blob: str) -> Any:
        """Both passes on a GPU with half the sum of the squares as the objective, launched at once.

        Args:
            last: the number of the layer.
            blob: the name of its output.

        Returns:
            A function that runs them and returns the objective's value; `None` on the CPU, and with another Caffe.
        """
        if self.gpu is None or not hasattr(caffe._caffe, "GpuPasses"):
            return None
        if (last, blob) not in self._gpu_passes:
            number = list(self._blob_names).index(blob)
            self._gpu_passes[last, blob] = caffe._caffe.GpuPasses(self, last, number, self.gpu)
        passes = self._gpu_passes[last, blob]

        def run() -> float:
            with self._prepared_for_passes(0, last):
                return passes.run()

        return run

    def input_gradient(self, end: Layers, objective: ObjectiveOrMapping) -> tuple[Planes, float | None]:
        """The gradient of an objective with respect to the image in the input blob.

        Args:
            end: a checked layer name or {layer: weight}.
            objective: see `deepdream.objectives`.

        Returns:
            The gradient, which is the input blob's diff, a live view (3, H, W), and the weighted sum of the values that
            the objectives returned; `None` if one returned nothing.

        Raises:
            LayerError: an objective returned something that is not a number.
            ModelError: Caffe cannot compute the network at this size.
        """
        return input_gradient(self, end, objective)

    def run_passes(self, end: Layers, objective: ObjectiveOrMapping) -> float | None:
        """As `input_gradient`, without reading the gradient from the input blob, which may be on a GPU."""
        return run_passes(self, end, objective)

    def release(self) -> None:
        """Release the memory of every blob; the next pass allocates only as much as it needs.

        A Caffe blob never shrinks: after a large image, its memory stays allocated. Our Caffe releases it by itself
        only for an image with less than a sixteenth of the pixels; any other cannot, and nothing happens. Arrays that
        were taken from blobs earlier keep their memory, and are the network's no longer.
        """
        if not hasattr(caffe._caffe, "rebuild"):
            return
        with self.lock, self._prepared() as prototxt:
            self._use_device()
            self._gpu_passes.clear()
            caffe._caffe.rebuild(self, prototxt)
            for cached in [name for name in vars(self) if name in _CACHED_BY_CAFFE]:
                delattr(self, cached)

    @contextlib.contextmanager
    def _prepared(self) -> Iterator[str]:
        """The path of the prepared definition, as a file for Caffe to read."""
        with contextlib.ExitStack() as stack:
            try:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="deepdream-"))
                path = Path(folder) / "prepared.prototxt"
                path.write_text(text_format.MessageToString(self.definition), encoding="utf-8")
            except OSError as error:
                raise ModelError(
                    f"the network's definition cannot be written in {tempfile.gettempdir()} "
                    f"({error.strerror}); set TMPDIR to a writable folder"
                ) from None
            yield str(path)

    def _use_device(self) -> None:
        """Set Caffe's device in this thread, which has its own setting, to this net's device."""
        if self.gpu is not None and os.getpid() != self._process:
            raise DreamError(
                "a network on a GPU cannot be used in a forked process: load it in a process that "
                "was started with multiprocessing's method 'spawn'"
            )
        use_device(self.gpu)


def _check_path(name: str, path: Any) -> None:
    if not isinstance(path, (str, os.PathLike)):
        raise ParameterError(f"{name}={short_repr(path)}: it must be the path of a file")


def _checked_labels(labels: Any) -> list[str]:
    with contextlib.suppress(TypeError):
        checked = list(labels)  # an iterator can be read only once
        if not isinstance(labels, (str, bytes)) and all(isinstance(label, str) for label in checked):
            return checked
    raise ParameterError(f"labels={short_repr(labels)}: they must be a list of texts, the classifier's in order")


def _checked_mean(mean: Any, channels: int) -> NDArray[np.float32]:
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        numbers = np.asarray(mean)
        if numbers.dtype.kind in "iufO":  # NumPy would also accept texts and truth values as numbers
            with np.errstate(over="ignore"):  # values too large for float32 become infinite
                checked = numbers.astype(np.float32).reshape(channels, 1, 1)
            if np.isfinite(checked).all():
                return checked
    needed = "three finite numbers (blue, green, red)" if channels == 3 else "one finite number, for grey images"
    raise ParameterError(f"mean={short_repr(mean)}: the mean must be {needed}")


def preprocess(net: Net, img: Image) -> Planes:
    """Convert an image to the form that the network reads.

    Args:
        net: the network.
        img: (H, W, 3) RGB 0..255.

    Returns:
        float32 (3, H, W), BGR, mean subtracted. For a network that reads grey images (1, H, W), the luminance.

    Raises:
        ImageError: `img` is not an image.
        ParameterError: `net` is not a `Net`.

    Example:
        >>> planes = dd.preprocess(net, dd.picture("cat"))
        >>> planes.shape, planes.dtype
        ((3, 300, 451), dtype('float32'))
    """
    check_net(net)
    img = check_image(img)
    planes = luminance(img)[None] if len(net.mean) == 1 else np.moveaxis(img, 2, 0)[::-1]
    return np.subtract(planes, net.mean, out=np.empty(planes.shape, np.float32))  # contiguous, without another copy


def deprocess(net: Net, chw: Planes) -> Image:
    """The inverse of `preprocess`.

    Args:
        net: the network.
        chw: as from `preprocess`.

    Returns:
        float32 (H, W, 3) RGB, not clipped. For a network that reads grey images the three channels are equal.

    Raises:
        ParameterError: an argument is of the wrong kind.

    Example:
        >>> cat = dd.picture("cat")
        >>> bool(np.allclose(dd.deprocess(net, dd.preprocess(net, cat)), cat, atol=1e-3))
        True
    """
    check_net(net)
    shape = getattr(chw, "shape", None)
    if shape is None or len(shape) != 3 or shape[0] != len(net.mean):
        raise ParameterError(f"chw={short_repr(chw)}: it must be an array ({len(net.mean)}, H, W), as from preprocess")
    planes = np.asarray(chw, np.float32)
    image = np.empty((*planes.shape[1:], 3), np.float32)
    for channel in range(3):  # plane by plane, which is twice as fast as all at once
        plane = 2 - channel if len(planes) == 3 else 0
        np.add(planes[plane], net.mean[plane], out=image[..., channel])
    return image


def check_net(net: Any) -> None:
    """Raise `ParameterError` unless `net` is a `Net`."""
    if not isinstance(net, Net):
        raise ParameterError(
            f"net={short_repr(net)}: it must be a deepdream.Net, such as deepdream.load('bvlc_googlenet')"
        )
