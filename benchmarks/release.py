"""The algorithm of the 2015 release on stock Caffe: the published definition, with force_backward.

It follows the release's description, including arithmetic and order of operations: every step shifts the picture in the
network's input, adds the scaled gradient to it there, shifts it back and clips it.
"""

import tempfile
from pathlib import Path

import caffe
import numpy as np
import scipy.ndimage

from . import contender


def load(prototxt, weights):
    """A `caffe.Net` as in the release: Caffe computes every gradient, including those of the weights."""
    text = Path(prototxt).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "forced.prototxt"
        path.write_text(f"force_backward: true\n{text}", encoding="utf-8")
        return caffe.Net(str(path), caffe.TEST, weights=str(weights))


def deepdream(
    net, picture, mean, end, iter_n=10, octave_n=4, octave_scale=1.4, step_size=1.5, jitter=32, clip=True, seed=0
):
    """A dream, float32 (H, W, 3) RGB, of a picture of that kind; `mean`: blue, green and red."""
    mean = np.array(mean, np.float32).reshape(3, 1, 1)
    shifts = np.random.RandomState(seed)
    sizes = [np.moveaxis(picture, 2, 0)[::-1] - mean]
    while len(sizes) < octave_n:
        sizes.append(scipy.ndimage.zoom(sizes[-1], (1, 1 / octave_scale, 1 / octave_scale), order=1))
    added = np.zeros_like(sizes[-1])
    for size in reversed(sizes):
        if added.shape != size.shape:
            added = scipy.ndimage.zoom(added, np.divide(size.shape, added.shape), order=1)
        net.blobs["data"].reshape(1, *size.shape)
        net.blobs["data"].data[0] = size + added
        for _ in range(iter_n):
            step(net, mean, end, step_size, *shifts.randint(-jitter, jitter + 1, 2), clip)
        added = net.blobs["data"].data[0] - size
    return np.moveaxis((net.blobs["data"].data[0] + mean)[::-1], 0, 2)


def step(net, mean, end, step_size, x, y, clip):
    """One step on the picture in the network's input."""
    blob = net.blobs["data"]
    blob.data[0] = np.roll(np.roll(blob.data[0], x, 2), y, 1)
    change = gradient(net, end)
    blob.data[0] += np.float32(step_size / np.abs(change).mean()) * change
    blob.data[0] = np.roll(np.roll(blob.data[0], -x, 2), -y, 1)
    if clip:
        blob.data[0] = np.clip(blob.data[0], -mean, 255 - mean)


def gradient(net, end):
    """The gradient of half the sum of the squares at `end`, at the picture in the network's input: a view."""
    net.forward(end=end)
    net.blobs[end].diff[...] = net.blobs[end].data
    net.backward(start=end)
    return net.blobs["data"].diff[0]


def main():
    work = contender.asked()
    net = load(work.prototxt, work.weights)

    def dream(picture, octave_n, iter_n):
        return deepdream(net, picture, work.mean, work.end, **{**work.settings, "octave_n": octave_n, "iter_n": iter_n})

    def gradient_at(picture):
        net.blobs["data"].reshape(1, 3, *picture.shape[:2])
        net.blobs["data"].data[0] = np.moveaxis(picture, 2, 0)[::-1] - np.float32(work.mean).reshape(3, 1, 1)
        return gradient(net, work.end)

    contender.run(dream, gradient_at)


if __name__ == "__main__":
    main()
