"""The same dream in PyTorch, as it is usually written there: the whole loop on tensors, eager or compiled.

The network is a module made from the layers of the definition, with the same weights.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F

from . import contender


class Network(torch.nn.Module):
    """The layers up to `end`; `layers` are Caffe's, as dictionaries, `weights` maps their names to (weight, bias)."""

    def __init__(self, layers, weights, end):
        super().__init__()
        names = [layer["name"] for layer in layers]
        self.end = end
        self.plan = layers[: names.index(end) + 1]
        self.convolutions = torch.nn.ModuleDict()
        for layer in self.plan:
            if layer["type"] == "Convolution":
                self.convolutions[_key(layer)] = _convolution(layer["convolution_param"], *weights[layer["name"]])
        self.requires_grad_(False)

    def forward(self, picture):
        blobs = {}
        for layer in self.plan:
            if layer["type"] == "Input":
                blobs[layer["top"][0]] = picture
            else:
                blobs[layer["top"][0]] = self._run(layer, [blobs[bottom] for bottom in layer["bottom"]])
        return blobs[self.end]

    def _run(self, layer, bottoms):
        kind, bottom = layer["type"], bottoms[0]
        if kind == "Convolution":
            return self.convolutions[_key(layer)](bottom)
        if kind == "ReLU":
            return F.relu(bottom, inplace=True)
        if kind == "Pooling":
            p = layer["pooling_param"]
            pool = {"MAX": F.max_pool2d, "AVE": F.avg_pool2d}[p.get("pool", "MAX")]
            return pool(bottom, p["kernel_size"], p.get("stride", 1), p.get("pad", 0), ceil_mode=True)
        if kind == "LRN":
            p = layer["lrn_param"]
            return F.local_response_norm(bottom, p["local_size"], p["alpha"], p["beta"], p.get("k", 1))
        if kind == "Concat":
            return torch.cat(bottoms, 1)
        if kind == "Dropout":
            return bottom
        raise ValueError(f"layer {layer['name']}: {kind} layers are not implemented for PyTorch")


def _key(layer):
    return layer["name"].replace(".", "_")  # a module's name must not have dots


def _convolution(p, weight, bias):
    outputs, channels, *kernel = weight.shape
    convolution = torch.nn.Conv2d(
        channels * p.get("group", 1),
        outputs,
        tuple(kernel),
        p.get("stride", [1])[0],
        p.get("pad", [0])[0],
        groups=p.get("group", 1),
    )
    convolution.weight.data = torch.from_numpy(weight)
    convolution.bias.data = torch.from_numpy(bias)
    return convolution


def deepdream(gradient, picture, mean, iter_n, octave_n, octave_scale, step_size, jitter, clip, seed):
    """A dream, (1, 3, H, W), of a picture of that shape, mean subtracted; `gradient` is a function of such a one."""
    shifts = np.random.RandomState(seed)
    sizes = [picture]
    while len(sizes) < octave_n:
        smaller = [round(n / octave_scale) for n in sizes[-1].shape[2:]]
        sizes.append(F.interpolate(sizes[-1], smaller, mode="bilinear", align_corners=True))
    added = torch.zeros_like(sizes[-1])
    for size in reversed(sizes):
        picture = size + F.interpolate(added, size.shape[2:], mode="bilinear", align_corners=True)
        for _ in range(iter_n):
            x, y = shifts.randint(-jitter, jitter + 1, 2).tolist()
            change = gradient(torch.roll(picture, (y, x), (2, 3)))
            change *= step_size / change.abs().mean()
            picture += torch.roll(change, (-y, -x), (2, 3))
            if clip:
                picture = torch.clamp(picture, -mean, 255 - mean)
        added = picture - size
    return picture


def main():
    work = contender.asked()
    torch.set_num_threads(contender.threads())
    layout = torch.channels_last if work.channels_last else torch.contiguous_format
    layers = json.loads((work.folder / "layers.json").read_text(encoding="utf-8"))
    network = Network(layers, contender.weights(work), work.end).to(memory_format=layout)
    compiled = getattr(work, "compiled", False)
    if compiled:
        network = torch.compile(network, dynamic=False)
    mean = torch.tensor(work.mean).reshape(1, 3, 1, 1)

    def tensor(picture):
        chw = np.ascontiguousarray(np.moveaxis(picture, 2, 0)[::-1])
        return (torch.from_numpy(chw)[None] - mean).to(memory_format=layout)

    def gradient(tensor):
        tensor = tensor.detach().contiguous(memory_format=layout).requires_grad_()
        output = network(tensor)
        return torch.autograd.grad(output, tensor, output.detach())[0]

    def dream(picture, octave_n, iter_n):
        settings = {**work.settings, "octave_n": octave_n, "iter_n": iter_n}
        return np.moveaxis((deepdream(gradient, tensor(picture), mean, **settings) + mean)[0].numpy()[::-1], 0, 2)

    contender.run(dream, lambda picture: gradient(tensor(picture))[0].numpy(), compiled)


if __name__ == "__main__":
    main()
