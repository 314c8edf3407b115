"""Make the images of channels that notebook 7 shows: `python notebooks/channels.py [--check N]`.

They lie in `notebooks/channels/`: for each layer one sheet, and an index. The channels are those that reach the largest
values anywhere in the bundled images, and those that are among the five strongest at the most places. It needs the
weights of both networks and takes about five minutes. With this project's Caffe the same seed gives the same images.
Another Caffe rounds otherwise, and after ninety steps a small difference is a large one.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import deepdream as dd
from deepdream.notebook.channels import SIDE, store_images, stored_images

FOLDER = Path(__file__).resolve().parent / "channels"
LAYERS = {
    "bvlc_googlenet": ["inception_4c/output", "inception_4d/output"],
    "squeezenet_v1.1": ["fire8/concat"],
}
PICTURES = ["clouds", "cat", "face", "coffee", "rocket"]
COUNT, PEAKS = 72, 42  # channels of a layer, and how many of them are chosen by their largest value
STRONGEST = 5  # at a place
TOLERANCE = 8  # grey levels, on average: the JPEG changes about 5; two channels' images differ by more than 40


def choose(net, layer):
    """The numbers of the layer's channels that a reader is likely to meet; each picture counts alike."""
    shares = np.zeros(net.blobs[layer].shape[1])
    peaks = np.zeros(len(shares))
    for name in PICTURES:
        img = dd.picture(name, max_size=400)
        net.input.reshape(1, 3, *img.shape[:2])
        net.input.data[0] = dd.preprocess(net, img)
        net.forward(end=layer)
        values = net.blobs[layer].data[0].reshape(len(shares), -1)
        strongest = np.argsort(-values, axis=0, kind="stable")[:STRONGEST]
        shares += np.bincount(strongest.ravel(), minlength=len(shares)) / strongest.size
        np.maximum.at(peaks, strongest.ravel(), np.take_along_axis(values, strongest, 0).ravel())
    chosen = np.argsort(-peaks, kind="stable")[:PEAKS]
    shares[chosen] += len(PICTURES)  # so that they come first
    return sorted(np.argsort(-shares, kind="stable")[:COUNT].tolist())


def make(model, net):
    for layer in LAYERS[model]:
        store_images(
            FOLDER,
            model,
            layer,
            {channel: dd.channel_picture(net, channel, layer, seed=2015) for channel in choose(net, layer)},
        )


def differences(model, net, count):
    """(layer, channel, mean difference in grey levels) of `count` channels of each layer, made again and as stored."""
    for layer in LAYERS[model]:
        stored = stored_images(FOLDER, model, layer)
        for channel in sorted(stored)[:: max(1, len(stored) // count)][:count]:
            again = dd.resize(dd.channel_picture(net, channel, layer, seed=2015), SIDE, SIDE)
            yield layer, channel, float(np.abs(again - stored[channel]).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", type=int, metavar="N", help="write nothing; make N channels of each layer again")
    arguments = parser.parse_args()
    if arguments.check is not None and arguments.check < 1:
        parser.error("--check needs a number from 1")
    bad = False
    for model in LAYERS:
        net = dd.load(model)
        if arguments.check is None:
            make(model, net)
            continue
        for layer, channel, difference in differences(model, net, arguments.check):
            print(f"{model} {layer} #{channel}: {difference:.1f} grey levels from what is stored")
            bad = bad or difference > TOLERANCE
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
