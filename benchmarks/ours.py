"""deepdream itself: a dream, its steps by size, and the time of each layer."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import deepdream as dd
from deepdream.network.tiling import set_input

from . import contender


def main():
    work = contender.asked()
    net = dd.Net(work.prototxt, work.weights, work.mean, work.end, fast=True)
    if work.task == "steps":
        return steps(net, work)
    if work.task == "layers":
        return layers(net, work)
    if work.task == "nets":
        return two_nets(net, work)
    if work.task in ("forward", "activations"):
        return contender.run_forward(partial(activations, net, work))

    def dream(picture, octave_n, iter_n):
        return dd.deepdream(net, picture, **{**work.settings, "octave_n": octave_n, "iter_n": iter_n})

    def gradient(picture):
        set_input(net, dd.preprocess(net, picture))
        return net.input_gradient(work.end, dd.objective_L2)[0]

    return contender.run(dream, gradient)


def activations(net, work, picture):
    """The activations of the layer, (C, H, W), a live view."""
    set_input(net, dd.preprocess(net, picture))
    net.forward(end=work.end)
    return net.blobs[work.end].data[0]


def two_nets(net, work):
    """The seconds of two dreams: with one network in turn, or with two, each in a thread of its own."""
    nets = [net, dd.Net(work.prototxt, work.weights, work.mean, work.end, fast=True)]
    settings = {**work.settings, "iter_n": work.iter_n}
    for each in nets:
        dd.deepdream(each, contender.middle(work.picture), **{**settings, "octave_n": 1, "iter_n": 1})
    with ThreadPoolExecutor(2 if work.together else 1) as pool:
        begin = time.perf_counter()
        list(pool.map(lambda each: dd.deepdream(each, work.picture, **settings), nets if work.together else [net] * 2))
        contender.answer(seconds=time.perf_counter() - begin)


def steps(net, work):
    """A dream in all its octaves; the seconds of each step at full size except the first, which allocates memory."""
    last = work.settings["octave_n"] - 1
    seconds, begin = [], time.perf_counter()
    for step in dd.dream_steps(net, work.picture, tile=work.tile, **{**work.settings, "iter_n": work.iter_n}):
        now = time.perf_counter()
        if step.octave == last and step.iteration > 0:
            seconds.append(now - begin)
        begin = now
    contender.answer(seconds=statistics.median(seconds))


def layers(net, work):
    """Milliseconds of each layer, forward and backward, at the picture's size: the medians of several passes."""
    set_input(net, dd.preprocess(net, work.picture))
    names = list(net._layer_names)
    count = names.index(work.end) + 1
    forward, backward = [[] for _ in range(count)], [[] for _ in range(count)]
    for _ in range(work.iter_n + 1):
        for i in range(count):
            forward[i].append(_milliseconds(net._forward, i))
        dd.objective_L2(net.blobs[work.end])
        for i in reversed(range(count)):
            backward[i].append(_milliseconds(net._backward, i))
    contender.answer(
        layers=[
            {
                "name": names[i],
                "type": net.layers[i].type,
                "forward": statistics.median(forward[i][1:]),
                "backward": statistics.median(backward[i][1:]),
            }
            for i in range(count)
        ]
    )


def _milliseconds(run, layer):
    begin = time.perf_counter()
    run(layer, layer)
    return 1e3 * (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
