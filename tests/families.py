"""Definitions of the well-known families of Caffe networks, few channels wide, with random weights of the right shapes.

Each is the topology of its family: the same types of layers with the same windows, strides and groups in the same
order, only narrower and with fewer repetitions. `definition(family, old)` writes the text, in the format of 2014 (V1,
`layers`) if `old` is true. That format has neither BatchNorm nor Scale, so the old ResNet and MobileNet are those whose
normalisation was folded into the convolutions.
"""

import caffe
import numpy as np

import deepdream as dd

LABELS = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu"]
MEAN = (104, 117, 123)
OLD_TYPES = {
    "Concat": "CONCAT",
    "Convolution": "CONVOLUTION",
    "Dropout": "DROPOUT",
    "Eltwise": "ELTWISE",
    "InnerProduct": "INNER_PRODUCT",
    "LRN": "LRN",
    "Pooling": "POOLING",
    "ReLU": "RELU",
    "Softmax": "SOFTMAX",
}


class Writer:
    """Writes a definition layer by layer; every method returns the name of the blob that its layer makes."""

    def __init__(self, old, side, channels=3):
        self.old = old
        if old:
            self.text = f'input: "data" input_dim: 1 input_dim: {channels} input_dim: {side} input_dim: {side}\n'
        else:
            shape = "".join(f"dim: {n} " for n in (1, channels, side, side))
            self.text = f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {shape}}} }} }}\n'

    def layer(self, kind, name, bottoms, settings="", top=None, rates=0):
        top = top or name
        blobs = "".join(f'bottom: "{bottom}" ' for bottom in bottoms) + f'top: "{top}"'
        if self.old:
            learning = "".join(f"blobs_lr: {i + 1} weight_decay: {1 - i} " for i in range(rates))
            self.text += f'layers {{ name: "{name}" type: {OLD_TYPES[kind]} {blobs} {settings} {learning}}}\n'
        else:
            learning = "".join(f"param {{ lr_mult: {i + 1} decay_mult: {1 - i} }} " for i in range(rates))
            self.text += f'layer {{ name: "{name}" type: "{kind}" {blobs} {settings} {learning}}}\n'
        return top

    def convolution(self, name, bottom, outputs, kernel, more="", top=None, bias=True):
        filler = 'weight_filler { type: "msra" } ' + (
            'bias_filler { type: "constant" value: 0.1 }' if bias else "bias_term: false"
        )
        settings = f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} {more} {filler} }}"
        return self.layer("Convolution", name, [bottom], settings, top, rates=1 + bias)

    def relu(self, name, bottom):
        return self.layer("ReLU", name, [bottom], top=bottom)

    def pool(self, name, bottom, settings, top=None):
        return self.layer("Pooling", name, [bottom], f"pooling_param {{ {settings} }}", top)

    def lrn(self, name, bottom):
        return self.layer("LRN", name, [bottom], "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }")

    def inner_product(self, name, bottom, outputs):
        settings = f'inner_product_param {{ num_output: {outputs} weight_filler {{ type: "msra" }} }}'
        return self.layer("InnerProduct", name, [bottom], settings, rates=2)

    def fully_connected(self, name, bottom, outputs, number):
        top = self.relu(f"relu{number}", self.inner_product(name, bottom, outputs))
        return self.layer("Dropout", f"drop{number}", [top], "dropout_param { dropout_ratio: 0.5 }", top)

    def normalised(self, name, bottom, outputs, kernel, more="", relu=True):
        """A convolution, its BatchNorm, Scale and ReLU, all in place; or only the convolution, with a bias."""
        top = self.convolution(name, bottom, outputs, kernel, more, bias=self.old)
        if not self.old:
            self.layer("BatchNorm", f"{name}/bn", [top], "batch_norm_param { use_global_stats: true }", top)
            self.layer("Scale", f"{name}/scale", [top], "scale_param { bias_term: true }", top)
        return self.relu(f"{name}/relu", top) if relu else top


def vgg(net):
    top = "data"
    for block, (count, outputs) in enumerate([(2, 6), (2, 8), (3, 10), (3, 12), (3, 12)], 1):
        for i in range(1, count + 1):
            top = net.relu(f"relu{block}_{i}", net.convolution(f"conv{block}_{i}", top, outputs, 3, "pad: 1"))
        top = net.pool(f"pool{block}", top, "pool: MAX kernel_size: 2 stride: 2")
    top = net.fully_connected("fc7", net.fully_connected("fc6", top, 20, 6), 20, 7)
    net.layer("Softmax", "prob", [net.inner_product("fc8", top, len(LABELS))])


def alexnet(net):
    top = net.relu("relu1", net.convolution("conv1", "data", 8, 11, "stride: 4"))
    top = net.pool("pool1", net.lrn("norm1", top), "pool: MAX kernel_size: 3 stride: 2")
    top = net.relu("relu2", net.convolution("conv2", top, 12, 5, "pad: 2 group: 2"))
    top = net.pool("pool2", net.lrn("norm2", top), "pool: MAX kernel_size: 3 stride: 2")
    top = net.relu("relu3", net.convolution("conv3", top, 16, 3, "pad: 1"))
    top = net.relu("relu4", net.convolution("conv4", top, 16, 3, "pad: 1 group: 2"))
    top = net.relu("relu5", net.convolution("conv5", top, 12, 3, "pad: 1 group: 2"))
    top = net.pool("pool5", top, "pool: MAX kernel_size: 3 stride: 2")
    top = net.fully_connected("fc7", net.fully_connected("fc6", top, 20, 6), 20, 7)
    net.layer("Softmax", "prob", [net.inner_product("fc8", top, len(LABELS))])


def nin(net):
    top = "data"
    for block, (outputs, kernel, more) in enumerate([(8, 11, "stride: 4"), (12, 5, "pad: 2"), (14, 3, "pad: 1")], 1):
        top = net.relu(f"relu{block}", net.convolution(f"conv{block}", top, outputs, kernel, more))
        for i in (2 * block - 1, 2 * block):
            top = net.relu(f"crelu{i}", net.convolution(f"cccp{i}", top, outputs, 1))
        top = net.pool(f"pool{block}", top, "pool: MAX kernel_size: 3 stride: 2")
    top = net.layer("Dropout", "drop", [top], "dropout_param { dropout_ratio: 0.5 }", top)
    for name, outputs, kernel, more in (("conv4", 16, 3, "pad: 1"), ("cccp7", 16, 1, ""), ("cccp8", 7, 1, "")):
        # The layers that were trained anew for ImageNet are named apart from their blobs.
        top = net.relu(f"{name}/relu", net.convolution(f"{name}-1024", top, outputs, kernel, more, top=name))
    net.layer("Softmax", "prob", [net.pool("pool4", top, "pool: AVE kernel_size: 2 stride: 1")])


def resnet(net):
    top = net.normalised("conv1", "data", 8, 7, "pad: 3 stride: 2")
    top = net.pool("pool1", top, "pool: MAX kernel_size: 3 stride: 2")
    for name, inner, outputs, stride in (
        ("res2a", 6, 12, 1),
        ("res2b", 6, 12, 1),
        ("res3a", 8, 16, 2),
        ("res4a", 8, 20, 2),
    ):
        other = top
        if name != "res2b":
            other = net.normalised(f"{name}_branch1", top, outputs, 1, f"stride: {stride}", relu=False)
        side = net.normalised(f"{name}_branch2a", top, inner, 1, f"stride: {stride}")
        side = net.normalised(f"{name}_branch2b", side, inner, 3, "pad: 1")
        side = net.normalised(f"{name}_branch2c", side, outputs, 1, relu=False)
        top = net.relu(f"{name}_relu", net.layer("Eltwise", name, [other, side], "eltwise_param { operation: SUM }"))
    top = net.pool("pool5", top, "pool: AVE kernel_size: 6 stride: 1")
    net.layer("Softmax", "prob", [net.inner_product("fc1000", top, len(LABELS))])


def mobilenet(net):
    top, width = net.normalised("conv1", "data", 8, 3, "pad: 1 stride: 2"), 8
    for i, (outputs, stride) in enumerate([(12, 1), (16, 2), (16, 1), (20, 2), (24, 2)], 2):
        top = net.normalised(f"conv{i}/dw", top, width, 3, f"pad: 1 stride: {stride} group: {width}")
        top, width = net.normalised(f"conv{i}/sep", top, outputs, 1), outputs
    top = net.pool("pool6", top, "pool: AVE global_pooling: true")
    net.layer("Softmax", "prob", [net.convolution("fc7", top, len(LABELS), 1)])


def fire(net, name, bottom, squeezed, expanded):
    bottom = net.relu(f"{name}/relu_squeeze", net.convolution(f"{name}/squeeze", bottom, squeezed, 1))
    sides = [
        net.relu(f"{name}/relu_{k}", net.convolution(f"{name}/expand{k}", bottom, expanded, k, f"pad: {k // 2}"))
        for k in (1, 3)
    ]
    return net.layer("Concat", f"{name}/concat", sides)


def squeezenet(net):
    top = net.relu("relu_conv1", net.convolution("conv1", "data", 8, 3, "stride: 2"))
    for number in (2, 4, 6):
        top = net.pool(f"pool{number - 1}", top, "pool: MAX kernel_size: 3 stride: 2")
        top = fire(net, f"fire{number + 1}", fire(net, f"fire{number}", top, 4, 8), 4, 8)
    top = net.layer("Dropout", "drop9", [top], "dropout_param { dropout_ratio: 0.5 }", top)
    top = net.relu("relu_conv10", net.convolution("conv10", top, len(LABELS), 1))
    net.layer("Softmax", "prob", [net.pool("pool10", top, "pool: AVE global_pooling: true")])


def inception(net, name, bottom):
    def branch(part, bottom, outputs, kernel, more=""):
        return net.relu(f"{name}/relu_{part}", net.convolution(f"{name}/{part}", bottom, outputs, kernel, more))

    pooled = net.pool(f"{name}/pool", bottom, "pool: MAX kernel_size: 3 stride: 1 pad: 1")
    sides = [
        branch("1x1", bottom, 6, 1),
        branch("3x3", branch("3x3_reduce", bottom, 4, 1), 8, 3, "pad: 1"),
        branch("5x5", branch("5x5_reduce", bottom, 3, 1), 4, 5, "pad: 2"),
        branch("pool_proj", pooled, 4, 1),
    ]
    return net.layer("Concat", f"{name}/output", sides)


def googlenet(net):
    top = net.relu("conv1/relu_7x7", net.convolution("conv1/7x7_s2", "data", 8, 7, "pad: 3 stride: 2"))
    top = net.lrn("pool1/norm1", net.pool("pool1/3x3_s2", top, "pool: MAX kernel_size: 3 stride: 2"))
    top = net.relu("conv2/relu_3x3", net.convolution("conv2/3x3", top, 10, 3, "pad: 1"))
    top = net.pool("pool2/3x3_s2", net.lrn("conv2/norm2", top), "pool: MAX kernel_size: 3 stride: 2")
    top = inception(net, "inception_3b", inception(net, "inception_3a", top))
    top = inception(net, "inception_4a", net.pool("pool3/3x3_s2", top, "pool: MAX kernel_size: 3 stride: 2"))
    top = net.pool("pool5", top, "pool: AVE kernel_size: 6 stride: 1")
    net.layer("Softmax", "prob", [net.inner_product("classifier", top, len(LABELS))])


# family -> (what writes it, its input's side, a deep layer, a shallow layer, the layer of the labels' scores)
FAMILIES = {
    "vgg": (vgg, 96, "conv4_2", "conv2_2", "fc8"),
    "alexnet": (alexnet, 99, "conv4", "norm1", "fc8"),
    "nin": (nin, 96, "conv4", "cccp2", "pool4"),
    "resnet": (resnet, 96, "res3a", "res2b", "fc1000"),
    "mobilenet": (mobilenet, 96, "conv4/sep", "conv2/sep", "fc7"),
    "squeezenet": (squeezenet, 96, "fire5/concat", "fire2/concat", "pool10"),
    "googlenet": (googlenet, 96, "inception_3b/output", "conv2/3x3", "classifier"),
}


def definition(family, old=False, channels=3):
    """The text of a family's definition."""
    write, side = FAMILIES[family][:2]
    writer = Writer(old, side, channels)
    write(writer)
    return writer.text


def write_family(folder, family, old=False, channels=3):
    """(definition, weights): the paths of a new definition and of seeded random weights of its shapes."""
    prototxt, weights = (folder / f"{family}{'-old' * old}.{kind}" for kind in ("prototxt", "caffemodel"))
    prototxt.write_text(definition(family, old, channels), encoding="utf-8")
    caffe.set_random_seed(5)
    net = caffe.Net(str(prototxt), caffe.TEST)
    rng = np.random.RandomState(5)
    for name, blobs in net.params.items():
        if len(blobs) == 3:  # a BatchNorm's mean, variance and factor; its filler leaves all of them at zero
            blobs[0].data[...] = rng.normal(0, 20, blobs[0].shape)
            blobs[1].data[...] = rng.uniform(1000, 4000, blobs[1].shape)
            blobs[2].data[...] = 1
        elif name.endswith("/scale"):
            blobs[0].data[...] = rng.uniform(30, 60, blobs[0].shape)
            blobs[1].data[...] = rng.normal(0, 5, blobs[1].shape)
    net.save(str(weights))
    return prototxt, weights


def load_family(folder, family, old=False, channels=3, **options):
    """A family's network with seeded random weights."""
    prototxt, weights = write_family(folder, family, old, channels)
    mean = MEAN if channels == 3 else (118,)
    return dd.Net(prototxt, weights, mean, FAMILIES[family][2], labels=LABELS, **options)
