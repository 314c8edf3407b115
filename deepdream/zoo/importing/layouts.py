"""The layers of the networks that can be imported, and how their tensors are called.

Each function adds a network's layers to a `Definition`, from the names that torchvision, Keras or Caffe gives the
tensors. The layers get the names that they have in Caffe's published networks. Szegedy et al., "Going Deeper with
Convolutions" (2014); Simonyan and Zisserman (2014); Krizhevsky, "One weird trick" (2014); Iandola et al., "SqueezeNet"
(2016).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .definition import INPUT, Definition, Norm

_INCEPTIONS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
_POOL_BEFORE = {"4a": "pool3", "5a": "pool4"}
_GOOGLENET_EPSILON, _USUAL_EPSILON = 1e-3, 1e-5


def googlenet_torch(net: Definition) -> None:
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


def googlenet_caffe(net: Definition) -> None:
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


def vgg(net: Definition, blocks: tuple[int, ...], normalised: bool) -> None:
    """torchvision's VGG."""
    sources: list[str] = []
    index = 0
    for count in blocks:
        for _ in range(count):
            sources.append(f"features.{index}")
            index += 3 if normalised else 2
        index += 1
    norms = [Norm(f"features.{int(source[9:]) + 1}", _USUAL_EPSILON) if normalised else None for source in sources]
    _connected_layers(
        net, _vgg_blocks(net, blocks, zip(sources, norms)), ("classifier.0", "classifier.3", "classifier.6")
    )


def vgg_keras(net: Definition, blocks: tuple[int, ...]) -> None:
    """Keras's VGG: the names of the layers or, in a `.weights.h5`, their kinds and numbers."""
    if net.has("conv2d"):
        sources = ["conv2d", *(f"conv2d_{number}" for number in range(1, sum(blocks)))]
        connected = ("dense", "dense_1", "dense_2")
    else:
        sources = [f"block{block}_conv{number + 1}" for block, count in enumerate(blocks, 1) for number in range(count)]
        connected = ("fc1", "fc2", "predictions")
    top = _vgg_blocks(net, blocks, ((source, None) for source in sources))
    _connected_layers(net, top, connected, channels_last=True)


def _vgg_blocks(net: Definition, blocks: tuple[int, ...], sources: Iterable[tuple[str, Norm | None]]) -> str:
    """VGG's blocks of 3×3 convolutions, each with a pool behind it; returns the last pool.

    Args:
        net: the definition.
        blocks: how many convolutions each block has.
        sources: the beginnings of the names of each convolution's tensors, and its batch normalisation.
    """
    top, rest = INPUT, iter(sources)
    for block, count in enumerate(blocks, 1):
        for number in range(1, count + 1):
            source, norm = next(rest)
            name = f"{block}_{number}"
            top = net.convolution(f"conv{name}", top, source, 3, 1, 1, norm, f"relu{name}")
        top = net.max_pool(f"pool{block}", top, 2, 2)
    return top


def alexnet(net: Definition) -> None:
    """torchvision's AlexNet: one tower without groups, and no normalisation."""
    top = net.convolution("conv1", INPUT, "features.0", 11, 4, 2, relu="relu1")
    top = net.max_pool("pool1", top, 3, 2)
    top = net.convolution("conv2", top, "features.3", 5, 1, 2, relu="relu2")
    top = net.max_pool("pool2", top, 3, 2)
    for number, index in ((3, 6), (4, 8), (5, 10)):
        top = net.convolution(f"conv{number}", top, f"features.{index}", 3, 1, 1, relu=f"relu{number}")
    _connected_layers(net, net.max_pool("pool5", top, 3, 2), ("classifier.1", "classifier.4", "classifier.6"))


def _connected_layers(net: Definition, top: str, sources: tuple[str, str, str], channels_last: bool = False) -> None:
    """The three connected layers of AlexNet and VGG; some files have the convolutions only."""
    if not net.has(sources[0]):
        return
    top = net.fully_connected("fc6", top, sources[0], "relu6", channels_last)
    top = net.fully_connected("fc7", top, sources[1], "relu7")
    net.softmax("prob", net.fully_connected("fc8", top, sources[2]))


def squeezenet(
    net: Definition, kernel: int, fires: Mapping[int, int], pools: tuple[int, ...], caffe_names: bool = False
) -> None:
    """SqueezeNet.

    Args:
        net: the definition.
        kernel: of the first convolution.
        fires: {number of the fire module: index in torchvision's `features`}.
        pools: the fire modules that have a pool before them.
        caffe_names: whether the tensors are called as in Caffe; otherwise as in torchvision.
    """

    def convolution(name: str, bottom: str, torch_name: str, kernel: int, stride: int = 1, pad: int = 0) -> str:
        return net.convolution(name, bottom, name if caffe_names else torch_name, kernel, stride, pad)

    top = convolution("conv1", INPUT, "features.0", kernel, 2)
    for fire, index in fires.items():
        if fire in pools:
            top = net.max_pool(f"pool{fire - 1}", top, 3, 2)
        name, source = f"fire{fire}", f"features.{index}"
        squeezed = convolution(f"{name}/squeeze1x1", top, f"{source}.squeeze", 1)
        left = convolution(f"{name}/expand1x1", squeezed, f"{source}.expand1x1", 1)
        right = convolution(f"{name}/expand3x3", squeezed, f"{source}.expand3x3", 3, pad=1)
        top = net.concat(f"{name}/concat", [left, right])
    top = convolution("conv10", top, "classifier.1", 1)
    net.softmax("prob", net.mean_pool("pool10", top))
