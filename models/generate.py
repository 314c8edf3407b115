"""Write the deploy definitions of the bundled networks.

    python models/generate.py

Each is a program in Caffe's own definition language, `caffe.NetSpec`; the architectures are those of two papers.
Szegedy et al., "Going Deeper with Convolutions" (2014), in BVLC's version, which the Places networks of MIT share
except for the number of classes (Zhou et al., 2014 and 2017); Iandola et al., "SqueezeNet" (2016), version 1.1.
"""

from functools import partial
from pathlib import Path

import caffe
from caffe import layers as L
from caffe import params as P

HERE = Path(__file__).resolve().parent


def add_convolution(net, name, bottom, relu, num_output, kernel_size, **window):
    """A convolution called `name` and, in place after it, its ReLU called `relu`. Returns the blob."""
    net[name] = L.Convolution(net[bottom], num_output=num_output, kernel_size=kernel_size, **window)
    net[relu] = L.ReLU(net[name], in_place=True)
    return name


def add_max_pool(net, name, bottom, stride, pad=0):
    """Max-pooling over 3×3 windows. Returns the blob."""
    window = {"pad": pad} if pad else {}
    net[name] = L.Pooling(net[bottom], pool=P.Pooling.MAX, kernel_size=3, stride=stride, **window)
    return name


def add_norm(net, name, bottom):
    """GoogLeNet's normalisation across five neighbouring channels. Returns the blob."""
    net[name] = L.LRN(net[bottom], local_size=5, alpha=1e-4, beta=0.75)
    return name


def add_inception(net, name, bottom, one, three_reduce, three, five_reduce, five, projection):
    """An inception module: four branches of these numbers of channels, side by side. Returns the blob."""

    def convolution(branch, below, num_output, kernel_size, **window):
        return add_convolution(
            net, f"{name}/{branch}", below, f"{name}/relu_{branch}", num_output, kernel_size, **window
        )

    branches = [convolution("1x1", bottom, one, 1)]
    below = convolution("3x3_reduce", bottom, three_reduce, 1)
    branches.append(convolution("3x3", below, three, 3, pad=1))
    below = convolution("5x5_reduce", bottom, five_reduce, 1)
    branches.append(convolution("5x5", below, five, 5, pad=2))
    below = add_max_pool(net, f"{name}/pool", bottom, stride=1, pad=1)
    branches.append(convolution("pool_proj", below, projection, 1))
    net[f"{name}/output"] = L.Concat(*(net[branch] for branch in branches))
    return f"{name}/output"


def googlenet(name="GoogleNet", classes=1000, classifier="loss3/classifier"):
    """GoogLeNet without its auxiliary heads, as BVLC trained it."""
    net = caffe.NetSpec()
    net["data"] = L.Input(input_param={"shape": {"dim": [10, 3, 224, 224]}})
    top = add_convolution(net, "conv1/7x7_s2", "data", "conv1/relu_7x7", 64, 7, pad=3, stride=2)
    top = add_max_pool(net, "pool1/3x3_s2", top, stride=2)
    top = add_norm(net, "pool1/norm1", top)
    top = add_convolution(net, "conv2/3x3_reduce", top, "conv2/relu_3x3_reduce", 64, 1)
    top = add_convolution(net, "conv2/3x3", top, "conv2/relu_3x3", 192, 3, pad=1)
    top = add_norm(net, "conv2/norm2", top)
    top = add_max_pool(net, "pool2/3x3_s2", top, stride=2)
    top = add_inception(net, "inception_3a", top, 64, 96, 128, 16, 32, 32)
    top = add_inception(net, "inception_3b", top, 128, 128, 192, 32, 96, 64)
    top = add_max_pool(net, "pool3/3x3_s2", top, stride=2)
    top = add_inception(net, "inception_4a", top, 192, 96, 208, 16, 48, 64)
    top = add_inception(net, "inception_4b", top, 160, 112, 224, 24, 64, 64)
    top = add_inception(net, "inception_4c", top, 128, 128, 256, 24, 64, 64)
    top = add_inception(net, "inception_4d", top, 112, 144, 288, 32, 64, 64)
    top = add_inception(net, "inception_4e", top, 256, 160, 320, 32, 128, 128)
    top = add_max_pool(net, "pool4/3x3_s2", top, stride=2)
    top = add_inception(net, "inception_5a", top, 256, 160, 320, 32, 128, 128)
    top = add_inception(net, "inception_5b", top, 384, 192, 384, 48, 128, 128)
    net["pool5/7x7_s1"] = L.Pooling(net[top], pool=P.Pooling.AVE, kernel_size=7, stride=1)
    net["pool5/drop_7x7_s1"] = L.Dropout(net["pool5/7x7_s1"], dropout_ratio=0.4, in_place=True)
    net[classifier] = L.InnerProduct(net["pool5/7x7_s1"], num_output=classes)
    net["prob"] = L.Softmax(net[classifier])
    return with_name(net, name)


def squeezenet():
    """SqueezeNet v1.1: fire modules (squeeze to few channels, expand again), no fully connected layer."""
    net = caffe.NetSpec()
    net["data"] = L.Input(input_param={"shape": {"dim": [10, 3, 227, 227]}})
    top = add_convolution(net, "conv1", "data", "relu_conv1", 64, 3, stride=2)
    top = add_max_pool(net, "pool1", top, stride=2)
    for fire, squeeze, expand in [
        (2, 16, 64),
        (3, 16, 64),
        (4, 32, 128),
        (5, 32, 128),
        (6, 48, 192),
        (7, 48, 192),
        (8, 64, 256),
        (9, 64, 256),
    ]:
        if fire in (4, 6):
            top = add_max_pool(net, f"pool{fire - 1}", top, stride=2)

        def convolution(part, below, *shape, fire=fire, **window):
            return add_convolution(net, f"fire{fire}/{part}", below, f"fire{fire}/relu_{part}", *shape, **window)

        squeezed = convolution("squeeze1x1", top, squeeze, 1)
        expanded = [convolution("expand1x1", squeezed, expand, 1), convolution("expand3x3", squeezed, expand, 3, pad=1)]
        top = f"fire{fire}/concat"
        net[top] = L.Concat(*(net[branch] for branch in expanded))
    net["drop9"] = L.Dropout(net[top], dropout_ratio=0.5, in_place=True)
    top = add_convolution(net, "conv10", top, "relu_conv10", 1000, 1)
    net["pool10"] = L.Pooling(net[top], pool=P.Pooling.AVE, global_pooling=True)
    net["prob"] = L.Softmax(net["pool10"])
    return with_name(net, "SqueezeNet v1.1")


def with_name(net, name):
    """The NetSpec as the text of a prototxt."""
    definition = net.to_proto()
    definition.name = name
    return str(definition)


DEFINITIONS = {
    "bvlc_googlenet": googlenet,
    "googlenet_places205": partial(googlenet, "GoogleNet-Places205", classes=205),
    "googlenet_places365": partial(googlenet, "GoogleNet-Places365", classes=365),
    "squeezenet_v1.1": squeezenet,
}


def main():
    for folder, build in DEFINITIONS.items():
        (HERE / folder / "deploy.prototxt").write_text(build(), encoding="utf-8")


if __name__ == "__main__":
    main()
