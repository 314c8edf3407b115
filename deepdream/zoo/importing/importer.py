"""Imports a network: reads a file of tensors, recognises the network and writes it as a model's folder."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from ...data.cache import package_data_folder
from ...errors import DreamError, ParameterError, WeightsError
from ...io.files import check_path, check_regular_file
from ...network.end_names import EndNames
from ...network.net import Net
from ...validation import short_repr
from ..new_folder import new_folder
from ..registry import MAX_LABELS_BYTES, Model, find_model
from .architectures import ARCHITECTURES, Architecture, recognise
from .definition import INPUT, Definition
from .files import read_tensors
from .fold import Scaling, choose_scaling, layer_weights
from .folder import WEIGHTS_SUFFIX, check_target, write_definition, write_model_toml, write_weights

log = logging.getLogger(__name__)

# Bundled labels, by the number of classes.
_LABELS = {
    1000: "imagenet_labels.txt",
    205: "googlenet_places205/labels.txt",
    365: "googlenet_places365/labels.txt",
}


def import_model(
    weights: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    architecture: str | None = None,
    input: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    labels: str | os.PathLike[str] | None = None,
    end: str | None = None,
    title: str = "",
    licence: str = "",
) -> Model:
    """Import a network's weights from a file of PyTorch, of the safetensors format, or of Keras.

    Nothing in the file is run, and neither PyTorch nor Keras is needed. The batch normalisation and the scale of the
    image become part of the weights. The folder is complete or does not exist.

    Args:
        weights: a state dict (`.pth`, `.pt`), a `.safetensors` file, or weights of Keras (`.h5`).
        folder: the model's folder, which must be empty or not exist.
        architecture: such as "vgg16"; the guide on importing lists them. `None`: the one whose tensors the file has.
        input: what the network was trained on. "torch": red, green, blue from 0 to 1; "caffe": blue, green, red from
            0 to 255. `None`: what is usual for the architecture.
        mean: what the training subtracted from each channel, in the order and on the scale of `input`. `None`:
            ImageNet's, or for "caffe" the architecture's own or that of the data set with this number of classes.
        std: what the training divided each channel by; `None`: ImageNet's for "torch", 1 for "caffe".
        labels: a file with one label in each line; `None`: ImageNet's for 1000 classes, those of Places for 205 and
            365, none for another number.
        end: the layer to dream if none is named; `None`: one in the middle.
        title: one line about the model.
        licence: of the weights.

    Returns:
        The model.

    Raises:
        LayerError: the network has no layer `end`.
        ModelError: the folder is not empty, or cannot be written.
        ParameterError: an argument is of the wrong kind or out of its range.
        WeightsError: the file is damaged, would run code, holds another network, or has values that are not finite.

    Example:
        >>> import h5py
        >>> with h5py.File("weights.h5", "w") as file:  # as Keras would write this network
        ...     for layer, (kernel, bias) in net.params.items():
        ...         file[f"{layer}/kernel:0"] = kernel.data.transpose(2, 3, 1, 0)
        ...         file[f"{layer}/bias:0"] = bias.data
        >>> model = dd.import_model("weights.h5", "mine")
        >>> model.end, model.title, len(model.labels)
        ('fire8/concat', "SqueezeNet 1.1 in Keras's form", 1000)
        >>> dd.load("mine").end
        'fire8/concat'
    """
    check_path("weights", weights)
    check_path("folder", folder)
    source, target = Path(weights), Path(folder)
    check_target(target)
    try:
        name, net = recognise(read_tensors(source), architecture)
    except WeightsError as error:
        raise WeightsError(f"{source}: {error.args[0]}") from None
    known = ARCHITECTURES[name]
    own_mean = known.mean if input in (None, known.input) else None
    scaling = choose_scaling(input or known.input, mean, std, _class_count(net), own_mean)
    chosen_labels = _read_labels(labels, net.classes())
    chosen_end = EndNames(net.message).blob(end or known.end)
    with new_folder(target) as new:
        file = target.resolve().name + WEIGHTS_SUFFIX
        _write_network(new, file, net, scaling, chosen_end, source)
        write_model_toml(
            new,
            title=title or known.title,
            mean=scaling.caffe_mean(),
            end=chosen_end,
            labels=chosen_labels,
            weights=file,
            licence=licence,
            ladder=net.main_layers(),
        )
    _log_choices(name, known, net, scaling, given=mean is not None or std is not None)
    return find_model(target.resolve())


def _class_count(net: Definition) -> int:
    """The number of classes: the classifier's, or, for a network without one, that of its training's classifiers."""
    names = ("loss1_classifier_1.bias", "loss1_classifier.bias")
    return net.classes() or next((net.tensors[name].shape[0] for name in names if name in net.tensors), 0)


def _read_labels(path: str | os.PathLike[str] | None, classes: int) -> list[str]:
    """The labels of a file, or the bundled ones for this number of classes."""
    if path is None:
        if classes not in _LABELS:
            return []
        path = package_data_folder("models") / _LABELS[classes]
    check_path("labels", path)
    check_regular_file(path, MAX_LABELS_BYTES, ParameterError)
    try:
        labels = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ParameterError(f"labels={short_repr(str(path))}: the file cannot be read ({error})") from None
    if len(labels) != classes:
        raise ParameterError(
            f"labels={short_repr(str(path))}: the file has {len(labels):,} lines, and the network {classes:,} classes; "
            "write one label in each line, in the classifier's order"
        )
    return labels


def _write_network(folder: Path, file: str, net: Definition, scaling: Scaling, end: str, source: Path) -> None:
    """Write the definition and the weights, and load them once."""
    definition = write_definition(folder, net.message)
    first = next(layer.name for layer in net.message.layer if INPUT in layer.bottom)
    try:
        write_weights(
            folder / file,
            definition,
            {
                layer: functools.partial(layer_weights, tensors, scaling if layer == first else None)
                for layer, tensors in net.sources.items()
            },
        )
        Net(definition, folder / file, scaling.caffe_mean(), end)
    except DreamError as error:
        raise type(error)(f"{source}: {error.args[0]}") from None


def _log_choices(name: str, known: Architecture, net: Definition, scaling: Scaling, given: bool) -> None:
    """Say what was recognised, and what cannot be read from the file."""
    classes = f"{net.classes():,} classes" if net.classes() else "no classifier"
    log.info("%s, with %s; mean %s, as in the training (%s)", known.title, classes, scaling.mean, scaling.input)
    if name == "googlenet" and not given:
        log.info(
            "torchvision's own weights of GoogLeNet were trained on another scale: import them with mean and std of "
            "0.5,0.5,0.5"
        )
