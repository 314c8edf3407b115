"""PyTorch itself: its files are read, and Caffe computes what it computes. Skipped where it is not installed.

The modules are written here from the papers, with torchvision's names; the weights are random and of the real sizes.
"""

import functools

import numpy as np
import pytest
from helpers import assert_rises, set_image

import deepdream as dd
from deepdream.zoo.importing.importer import import_model

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
RTOL = 1e-4  # of the largest activation of a layer
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class Block(nn.Module):
    """A convolution without biases, batch normalisation and a ReLU."""

    def __init__(self, inputs, outputs, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches side by side."""

    def __init__(self, inputs, one, three_reduce, three, five_reduce, five, projection):
        super().__init__()
        self.branch1 = Block(inputs, one, 1)
        self.branch2 = nn.Sequential(Block(inputs, three_reduce, 1), Block(three_reduce, three, 3))
        self.branch3 = nn.Sequential(Block(inputs, five_reduce, 1), Block(five_reduce, five, 3))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), Block(inputs, projection, 1))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNet(nn.Module):
    """GoogLeNet in torchvision's form; `forward` returns {Caffe's layer: its values}."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = Block(3, 64, 7, 2), Block(64, 64, 1), Block(64, 192, 3)
        inputs = 192
        for name, widths in INCEPTIONS.items():
            setattr(self, f"inception{name}", Inception(inputs, *widths))
            inputs = widths[0] + widths[2] + widths[4] + widths[5]
        self.fc = nn.Linear(inputs, 1000)

    def forward(self, x):
        made = {"conv1/7x7_s2": self.conv1(x)}
        x = F.max_pool2d(made["conv1/7x7_s2"], 3, 2, ceil_mode=True)
        made["conv2/3x3"] = self.conv3(self.conv2(x))
        x = F.max_pool2d(made["conv2/3x3"], 3, 2, ceil_mode=True)
        for name in INCEPTIONS:
            if name in ("4a", "5a"):
                x = F.max_pool2d(x, 3 if name == "4a" else 2, 2, ceil_mode=True)
            x = made[f"inception_{name}/output"] = getattr(self, f"inception{name}")(x)
        return {**made, "loss3/classifier": self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))}


class Vgg(nn.Module):
    """VGG with batch normalisation after each convolution."""

    def __init__(self, blocks=(1, 1, 2, 2, 2), width=16):
        super().__init__()
        layers, inputs = [], 3
        for number, count in enumerate(blocks):
            outputs = width * 2 ** min(number, 3)
            for _ in range(count):
                layers += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU()]
                inputs = outputs
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        fully = [nn.Linear(inputs * 49, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 64), nn.ReLU(), nn.Dropout()]
        self.classifier = nn.Sequential(*fully, nn.Linear(64, 10))

    def forward(self, x):
        x = self.features(x)
        return {"pool5": x, "fc8": self.classifier(x.flatten(1))}


class AlexNet(nn.Module):
    """AlexNet of the real widths but for the connected layers."""

    def __init__(self):
        super().__init__()
        relu, pool = nn.ReLU(), functools.partial(nn.MaxPool2d, 3, 2)
        first = [nn.Conv2d(3, 64, 11, 4, 2), relu, pool(), nn.Conv2d(64, 192, 5, 1, 2), relu, pool()]
        rest = [nn.Conv2d(192, 384, 3, 1, 1), relu, nn.Conv2d(384, 256, 3, 1, 1), relu, nn.Conv2d(256, 256, 3, 1, 1)]
        self.features = nn.Sequential(*first, *rest, relu, pool())
        fully = [nn.Dropout(), nn.Linear(256 * 36, 64), relu, nn.Dropout(), nn.Linear(64, 64), relu]
        self.classifier = nn.Sequential(*fully, nn.Linear(64, 10))

    def forward(self, x):
        x = self.features(x)
        return {"pool5": x, "fc8": self.classifier(x.flatten(1))}


def with_random_weights(module):
    """The module with weights that keep the size of the activations, and statistics as training leaves them."""
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(part.weight, generator=generator)
        if isinstance(part, nn.BatchNorm2d):
            for tensor, low, high in (
                (part.weight, 0.5, 1.5),
                (part.bias, -0.3, 0.3),
                (part.running_mean, -1, 1),
                (part.running_var, 0.1, 3),
            ):
                nn.init.uniform_(tensor, low, high, generator=generator)
    return module.eval()


@pytest.fixture(scope="module")
def image():
    """The cat: (224, 224, 3) RGB 0..255."""
    return dd.resize(dd.picture("cat"), 224, 224).clip(0, 255)


@pytest.mark.parametrize("kind", [GoogLeNet, Vgg, AlexNet])
def test_caffe_computes_what_pytorch_computes(tmp_path, image, kind):
    module = with_random_weights(kind())
    torch.save(module.state_dict(), tmp_path / "a.pth")
    net = dd.load(import_model(tmp_path / "a.pth", tmp_path / "net").folder)
    with torch.no_grad():
        expected = module(((torch.from_numpy(image / 255) - MEAN) / STD).permute(2, 0, 1)[None].float())
    set_image(net, dd.preprocess(net, image))
    net.forward()
    for layer, values in expected.items():
        found, values = net.blobs[layer].data.reshape(values.shape), values.numpy()
        np.testing.assert_allclose(found, values, rtol=0, atol=RTOL * np.abs(values).max(), err_msg=layer)
    if kind is GoogLeNet:
        assert_rises(net, image, "inception_4c/output", octave_n=1, iter_n=5)


def test_every_form_of_its_files(tmp_path):
    """Both formats, parameters, an older protocol, views, another order in memory, and half precision."""
    module = with_random_weights(AlexNet())
    state = module.state_dict()
    plain = weights_of(tmp_path, "plain", state)
    assert weights_of(tmp_path, "legacy", state, _use_new_zipfile_serialization=False) == plain
    assert weights_of(tmp_path, "protocol", state, pickle_protocol=4) == plain
    assert weights_of(tmp_path, "parameters", module.state_dict(keep_vars=True)) == plain
    assert weights_of(tmp_path, "checkpoint", {"epoch": 3, "best": 0.5, "state_dict": state}) == plain
    other_order = {
        name: each.contiguous(memory_format=torch.channels_last) for name, each in state.items() if each.dim() == 4
    }
    assert weights_of(tmp_path, "channels_last", {**state, **other_order}) == plain
    flat = torch.cat([each.flatten() for each in state.values()])
    pieces = flat.split([each.numel() for each in state.values()])
    views = {name: piece.view(each.shape) for (name, each), piece in zip(state.items(), pieces)}
    assert weights_of(tmp_path, "views", views) == plain
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        narrow = {name: each.to(dtype) for name, each in state.items()}
        wide = {name: each.float() for name, each in narrow.items()}
        assert weights_of(tmp_path, f"{dtype}", narrow) == weights_of(tmp_path, f"{dtype}-wide", wide)


def weights_of(tmp_path, name, state, **options):
    """The bytes of the caffemodel that a saved dictionary is imported as."""
    (tmp_path / name).mkdir()
    torch.save(state, tmp_path / name / "a.pth", **options)
    model = import_model(tmp_path / name / "a.pth", tmp_path / name / "net")
    return (model.folder / model.weights["file"]).read_bytes()
