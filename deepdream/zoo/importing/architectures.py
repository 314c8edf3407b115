"""The networks that can be imported, and how their tensors are called.

An architecture is a function that adds its layers to a `Definition`, from the names that torchvision gives the
tensors, or from Caffe's. The layers get the names that they have in Caffe's published networks. Szegedy et al., "Going
Deeper with Convolutions" (2014); Simonyan and Zisserman (2014); Krizhevsky, "One weird trick" (2014); Iandola et al.,
"SqueezeNet" (2016).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ...errors import ParameterError, WeightsError
from ...validation import short_repr
from .definition import INPUT, Definition, Norm
from .tensors import Tensor

_INCEPTIONS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
_POOL_BEFORE = {"4a": "pool3", "5a": "pool4"}
_GOOGLENET_EPSILON, _USUAL_EPSILON = 1e-3, 1e-5


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
    """

    title: str
    build: Callable[[Definition], None]
    input_size: int
    end: str
    input: str = "torch"
    ignored: tuple[str, ...] = ()


def _googlenet_torch(net: Definition) -> None:
    """torchvision's GoogLeNet: batch normalisation in place of biases, and no normalisation across channels."""

    def convolution(name: str, bottom: str, source: str, kernel: int, stride: int = 1) -> str:
        norm = Norm(f"{source}.bn", _GOOGLENET_EPSILON)
        return net.convolution(name, bottom, f"{source}.conv", kernel, stride, kernel // 2, norm)

    top = convolution("conv1/7x7_s2", INPUT, "conv1", 7, 2)
    top = net.max_pool("pool1/3x3_s2", top, 3, 2)
    top = convolution("conv2/3x3_reduce", top, "conv2", 1)
    top = convolution("conv2/3x3", top, "conv3", 3)
    top = net.max_pool("pool2/3x3_s2", top, 3, 2)
    for block in _INCEPTIONS:
        if block in _POOL_BEFORE:
            kernel = 2 if block == "5a" else 3
            top = net.max_pool(f"{_POOL_BEFORE[block]}/{kernel}x{kernel}_s2", top, kernel, 2)
        name, source = f"inception_{block}", f"inception{block}"
        first = convolution(f"{name}/1x1", top, f"{source}.branch1", 1)
        second = convolution(f"{name}/3x3_reduce", top, f"{source}.branch2.0", 1)
        second = convolution(f"{name}/3x3", second, f"{source}.branch2.1", 3)
        # The branch of the 5×5 kernels has 3×3 kernels in torchvision; it keeps the name that it has in Caffe.
        third = convolution(f"{name}/5x5_reduce", top, f"{source}.branch3.0", 1)
        third = convolution(f"{name}/5x5", third, f"{source}.branch3.1", 3)
        fourth = net.max_pool(f"{name}/pool", top, 3, 1, pad=1)
        fourth = convolution(f"{name}/pool_proj", fourth, f"{source}.branch4.1", 1)
        top = net.concat(f"{name}/output", [first, second, third, fourth])
    top = net.mean_pool("pool5", top)
    net.softmax("prob", net.fully_connected("loss3/classifier", top, "fc"))


def _googlenet_caffe(net: Definition) -> None:
    """BVLC's and MIT's GoogLeNet: Caffe's names with `_` for `/`, or nested modules.

    Some of the conversions that are published have no classifier at the end, only those that training uses.
    """
    nested = net.has("conv1")

    def convolution(name: str, bottom: str, kernel: int, stride: int = 1) -> str:
        source = _nested_name(name) if nested else name.replace("/", "_")
        return net.convolution(name, bottom, source, kernel, stride, kernel // 2)

    top = convolution("conv1/7x7_s2", INPUT, 7, 2)
    top = net.max_pool("pool1/3x3_s2", top, 3, 2)
    top = net.local_response_norm("pool1/norm1", top)
    top = convolution("conv2/3x3_reduce", top, 1)
    top = convolution("conv2/3x3", top, 3)
    top = net.local_response_norm("conv2/norm2", top)
    top = net.max_pool("pool2/3x3_s2", top, 3, 2)
    for block in _INCEPTIONS:
        if block in _POOL_BEFORE:
            top = net.max_pool(f"{_POOL_BEFORE[block]}/3x3_s2", top, 3, 2)
        name = f"inception_{block}"
        first = convolution(f"{name}/1x1", top, 1)
        second = convolution(f"{name}/3x3", convolution(f"{name}/3x3_reduce", top, 1), 3)
        third = convolution(f"{name}/5x5", convolution(f"{name}/5x5_reduce", top, 1), 5)
        fourth = convolution(f"{name}/pool_proj", net.max_pool(f"{name}/pool", top, 3, 1, pad=1), 1)
        top = net.concat(f"{name}/output", [first, second, third, fourth])
    top = net.mean_pool("pool5/7x7_s1", top)
    classifier = next((name for name in ("loss3_classifier", "loss3_classifier_1") if net.has(name)), None)
    if classifier:
        net.softmax("prob", net.fully_connected("loss3/classifier", top, classifier))


def _nested_name(layer: str) -> str:
    """What a conversion with a module for each inception calls a layer of Caffe's.

    inception_3a/3x3_reduce is inception_3a.conv_3x3_reduce, inception_3a/pool_proj is inception_3a.pool_proj, and
    conv2/3x3_reduce is conv2_reduce.
    """
    block, _, branch = layer.partition("/")
    if block.startswith("inception"):
        return f"{block}.{branch if branch == 'pool_proj' else f'conv_{branch}'}"
    return block + "_reduce" * branch.endswith("_reduce")


def _vgg(net: Definition, convolutions: tuple[int, ...], normalised: bool) -> None:
    """torchvision's VGG: five blocks of 3×3 convolutions, each with a pool behind it, and three connected layers."""
    top, index = INPUT, 0
    for block, count in enumerate(convolutions, 1):
        for number in range(1, count + 1):
            norm = Norm(f"features.{index + 1}", _USUAL_EPSILON) if normalised else None
            name = f"{block}_{number}"
            top = net.convolution(f"conv{name}", top, f"features.{index}", 3, 1, 1, norm, f"relu{name}")
            index += 3 if normalised else 2
        top = net.max_pool(f"pool{block}", top, 2, 2)
        index += 1
    _connected_layers(net, top, (0, 3, 6))


def _alexnet(net: Definition) -> None:
    """torchvision's AlexNet: one tower without groups, and no normalisation."""
    top = net.convolution("conv1", INPUT, "features.0", 11, 4, 2, relu="relu1")
    top = net.max_pool("pool1", top, 3, 2)
    top = net.convolution("conv2", top, "features.3", 5, 1, 2, relu="relu2")
    top = net.max_pool("pool2", top, 3, 2)
    for number, index in ((3, 6), (4, 8), (5, 10)):
        top = net.convolution(f"conv{number}", top, f"features.{index}", 3, 1, 1, relu=f"relu{number}")
    _connected_layers(net, net.max_pool("pool5", top, 3, 2), (1, 4, 6))


def _connected_layers(net: Definition, top: str, indices: tuple[int, int, int]) -> None:
    """The three connected layers of AlexNet and VGG; some files have the convolutions only."""
    if not net.has(f"classifier.{indices[0]}"):
        return
    top = net.fully_connected("fc6", top, f"classifier.{indices[0]}", relu="relu6")
    top = net.fully_connected("fc7", top, f"classifier.{indices[1]}", relu="relu7")
    net.softmax("prob", net.fully_connected("fc8", top, f"classifier.{indices[2]}"))


def _squeezenet(net: Definition, kernel: int, fires: Mapping[int, int], pools: tuple[int, ...]) -> None:
    """torchvision's SqueezeNet.

    Args:
        net: the definition.
        kernel: of the first convolution.
        fires: {number of the fire module: index in `features`}.
        pools: the fire modules that have a pool before them.
    """
    top = net.convolution("conv1", INPUT, "features.0", kernel, 2)
    for fire, index in fires.items():
        if fire in pools:
            top = net.max_pool(f"pool{fire - 1}", top, 3, 2)
        name, source = f"fire{fire}", f"features.{index}"
        squeezed = net.convolution(f"{name}/squeeze1x1", top, f"{source}.squeeze", 1)
        left = net.convolution(f"{name}/expand1x1", squeezed, f"{source}.expand1x1", 1)
        right = net.convolution(f"{name}/expand3x3", squeezed, f"{source}.expand3x3", 3, pad=1)
        top = net.concat(f"{name}/concat", [left, right])
    top = net.convolution("conv10", top, "classifier.1", 1)
    net.softmax("prob", net.mean_pool("pool10", top))


_VGG_BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_SQUEEZENET_1_0 = dict(zip(range(2, 10), (3, 4, 5, 7, 8, 9, 10, 12)))
_SQUEEZENET_1_1 = dict(zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12)))
ARCHITECTURES = {
    "alexnet": Architecture("AlexNet in torchvision's form", _alexnet, 224, "conv4"),
    "googlenet": Architecture(
        "GoogLeNet in torchvision's form", _googlenet_torch, 224, "inception_4c/output", ignored=("aux1.", "aux2.")
    ),
    "googlenet_caffe": Architecture(
        "GoogLeNet in Caffe's form", _googlenet_caffe, 224, "inception_4c/output", "caffe", ("loss1_", "loss2_")
    ),
    "squeezenet1_0": Architecture(
        "SqueezeNet 1.0",
        functools.partial(_squeezenet, kernel=7, fires=_SQUEEZENET_1_0, pools=(2, 5, 9)),
        224,
        "fire8/concat",
    ),
    "squeezenet1_1": Architecture(
        "SqueezeNet 1.1",
        functools.partial(_squeezenet, kernel=3, fires=_SQUEEZENET_1_1, pools=(2, 4, 6)),
        224,
        "fire8/concat",
    ),
    **{
        f"vgg{depth}{'_bn' * normalised}": Architecture(
            f"VGG-{depth}{' with batch normalisation' * normalised}",
            functools.partial(_vgg, convolutions=blocks, normalised=normalised),
            224,
            "conv4_1" if depth == 11 else "conv4_2",
        )
        for depth, blocks in _VGG_BLOCKS.items()
        for normalised in (False, True)
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
