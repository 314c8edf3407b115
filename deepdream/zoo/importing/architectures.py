"""The networks that can be imported, and how one is recognised by its tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ...errors import ParameterError, WeightsError
from ...validation import short_repr
from .definition import Definition
from .layouts import alexnet, googlenet_caffe, googlenet_torch, squeezenet, vgg, vgg_keras
from .tensors import Tensor


@dataclass(frozen=True)
class Architecture:
    """A network that can be imported.

    Attributes:
        title: one line about it.
        build: adds its layers to a definition.
        input_size: the height and width of the image that it was made for.
        end: the layer to dream if none is named.
        input: "torch" or "caffe", what its layout's networks were trained on; see `Scaling`.
        ignored: the beginnings of the names of tensors that only training uses.
        mean: what the training subtracted, for `input`; `None`: what is usual for the data set.
    """

    title: str
    build: Callable[[Definition], None]
    input_size: int
    end: str
    input: str = "torch"
    ignored: tuple[str, ...] = ()
    mean: tuple[float, ...] | None = None


_VGG_BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_SQUEEZENET_1_0 = dict(zip(range(2, 10), (3, 4, 5, 7, 8, 9, 10, 12)))
_SQUEEZENET_1_1 = dict(zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12)))
_squeezenet1_1 = functools.partial(squeezenet, kernel=3, fires=_SQUEEZENET_1_1, pools=(2, 4, 6))
_KERAS_MEAN = (103.939, 116.779, 123.68)  # ImageNet's, blue, green, red, as Keras's own function subtracts it
ARCHITECTURES = {
    "alexnet": Architecture("AlexNet in torchvision's form", alexnet, 224, "conv4"),
    "googlenet": Architecture(
        "GoogLeNet in torchvision's form", googlenet_torch, 224, "inception_4c/output", ignored=("aux1.", "aux2.")
    ),
    "googlenet_caffe": Architecture(
        "GoogLeNet in Caffe's form", googlenet_caffe, 224, "inception_4c/output", "caffe", ("loss1_", "loss2_")
    ),
    "squeezenet1_0": Architecture(
        "SqueezeNet 1.0",
        functools.partial(squeezenet, kernel=7, fires=_SQUEEZENET_1_0, pools=(2, 5, 9)),
        224,
        "fire8/concat",
    ),
    "squeezenet1_1": Architecture("SqueezeNet 1.1", _squeezenet1_1, 224, "fire8/concat"),
    "squeezenet1_1_keras": Architecture(
        "SqueezeNet 1.1 in Keras's form",
        functools.partial(_squeezenet1_1, caffe_names=True),
        227,
        "fire8/concat",
        "caffe",
    ),
    **{
        f"vgg{depth}{'_bn' * normalised}": Architecture(
            f"VGG-{depth}{' with batch normalisation' * normalised}",
            functools.partial(vgg, blocks=blocks, normalised=normalised),
            224,
            "conv4_1" if depth == 11 else "conv4_2",
        )
        for depth, blocks in _VGG_BLOCKS.items()
        for normalised in (False, True)
    },
    **{
        f"vgg{depth}_keras": Architecture(
            f"VGG-{depth} in Keras's form",
            functools.partial(vgg_keras, blocks=_VGG_BLOCKS[depth]),
            224,
            "conv4_2",
            "caffe",
            mean=_KERAS_MEAN,
        )
        for depth in (16, 19)
    },
}


def recognise(tensors: Mapping[str, Tensor], name: str | None) -> tuple[str, Definition]:
    """The architecture of a file, and its definition.

    Args:
        tensors: the tensors of the file.
        name: the architecture; `None`: the one that fits.

    Returns:
        Its name and the definition.

    Raises:
        ParameterError: there is no architecture `name`.
        WeightsError: the tensors do not fit it, or none.
    """
    if name is not None and name not in ARCHITECTURES:
        raise ParameterError(f"architecture={short_repr(name)}: there are {', '.join(ARCHITECTURES)}")
    closest = (0, "", "")  # how many tensors it knows, its name, what differs
    for each in [name] if name else ARCHITECTURES:
        architecture = ARCHITECTURES[each]
        net = Definition(tensors, architecture.input_size)
        try:
            architecture.build(net)
            _check_all_used(tensors, net, architecture)
            return each, net
        except WeightsError as error:
            closest = max(closest, (len(net.used), each, error.args[0]))
    known, closest_name, problem = closest
    if known or name:
        raise WeightsError(f"its tensors come closest to those of {closest_name}, but {problem}")
    first = ", ".join(short_repr(each) for each in list(tensors)[:2]) or "none"
    raise WeightsError(f"its tensors ({first}, …) fit no network that can be imported: {', '.join(ARCHITECTURES)}")


def _check_all_used(tensors: Mapping[str, Tensor], net: Definition, architecture: Architecture) -> None:
    """Raise `WeightsError` for tensors that belong to another network."""
    unknown = [
        name
        for name in tensors
        if name not in net.used
        and not name.startswith(architecture.ignored)
        and not name.endswith(".num_batches_tracked")
    ]
    if unknown:
        raise WeightsError(
            f"it also has {short_repr(unknown[0])}, of the shape {short_repr(tensors[unknown[0]].shape)}"
        )
