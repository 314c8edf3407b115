"""Measures the default dream on a GPU, beside PyTorch; compares the gradient with the CPU's; runs out of memory.

    python -m benchmarks.gpu                      on GPU 0; writes benchmarks/gpu.md and gpu.json
    python -m benchmarks.gpu --gpu 1 -o FOLDER
    python -m benchmarks.gpu --rehearse           the same at small sizes on the CPU, to test that it runs

Without a usable GPU, it prints the reason and does not measure anything. Contenders run in one process, one after the
other, in rounds; each dreams once before it is timed.
"""

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

import caffe
import numpy as np
from google.protobuf import text_format

import deepdream as dd

from . import machine, report
from .measure import say
from .work import clouds, read_definition

HERE = Path(__file__).resolve().parent
WITH_ENGINE = {
    "Convolution": "convolution_param",
    "Pooling": "pooling_param",
    "LRN": "lrn_param",
    "ReLU": "relu_param",
    "Softmax": "softmax_param",
}
BYTES_A_PIXEL = 1800  # of a dream up to inception_4c, measured on the CPU
MOST_PIXELS = 120e6  # beyond, a blob of the first convolution has more values than Caffe can count


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", type=int, default=0, help="the GPU's number [0]")
    parser.add_argument("--model", default="bvlc_googlenet", help="the network [bvlc_googlenet]")
    parser.add_argument("--rounds", type=int, default=3, help="number of dreams of each contender [3]")
    parser.add_argument("--rehearse", action="store_true", help="small, on the CPU; prints the tables, writes no files")
    parser.add_argument("-o", "--output", type=Path, default=HERE, help="the folder for the results")
    arguments = parser.parse_args()
    try:
        gpu = None if arguments.rehearse else arguments.gpu
        model = dd.find_model(arguments.model)
        weights = dd.load(model.folder, gpu=gpu).weights
    except dd.DreamError as error:
        sys.exit(f"Nothing was measured: {error}")
    picture = clouds(120, 160) if arguments.rehearse else dd.picture("sky")
    settings = {"iter_n": 2, "octave_n": 2} if arguments.rehearse else {"iter_n": 10, "octave_n": 4}
    results = {
        "machine": machine.describe(),
        "gpu": caffe._caffe.gpu_name(gpu) if gpu is not None else "none: the CPU",
        "model": model.name,
        "picture": list(picture.shape[1::-1]),
        **settings,
        "octaves": octaves(contenders(model, weights, gpu), picture, settings, arguments.rounds),
        "gradient": gradients(model, weights, gpu, picture),
        "memory": memory_that_runs_out(model, weights, gpu, arguments.rehearse),
    }
    print(table(results))
    if not arguments.rehearse:
        arguments.output.mkdir(parents=True, exist_ok=True)
        for name, text in (("gpu.json", json.dumps(results, indent=1) + "\n"), ("gpu.md", table(results))):
            report.save(arguments.output / name, text)


def load(model, weights, gpu, cudnn=True):
    """The network on a device; without cuDNN, by setting Caffe's own engine in every layer that has a choice."""
    parsed = read_definition(model)
    for layer in parsed.layer:
        if not cudnn and layer.type in WITH_ENGINE:
            parameters = getattr(layer, WITH_ENGINE[layer.type])
            parameters.engine = type(parameters).CAFFE
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deploy.prototxt"
        path.write_text(text_format.MessageToString(parsed), encoding="utf-8")
        return dd.Net(path, weights, model.mean, model.end, gpu=gpu)


def has_cudnn():
    """Whether this Caffe reports that it computes convolutions with cuDNN on a GPU."""
    return getattr(caffe._caffe, "has_cudnn", False)


def contenders(model, weights, gpu):
    """{name: a function of (picture, settings) that returns the seconds of each octave}."""
    found = {}
    if gpu is None or has_cudnn():
        net = load(model, weights, gpu)
        found["deepdream, cuDNN" if gpu is not None else "deepdream"] = lambda *work, net=net: _seconds(net, *work)
    own = load(model, weights, gpu, cudnn=False)
    found["deepdream, Caffe's own kernels"] = lambda *work: _seconds(own, *work)
    try:
        import torch

        if gpu is not None and not torch.cuda.is_available():
            raise ImportError("this PyTorch has no CUDA")
        found["PyTorch, eager"] = _pytorch(model, own, "cpu" if gpu is None else f"cuda:{gpu}")
    except ImportError as error:
        say(f"PyTorch is left out: {error}")
    return found


def _seconds(net, picture, settings):
    seconds, begin = [0.0] * settings["octave_n"], time.perf_counter()
    for step in dd.dream_steps(net, picture, seed=0, **settings):
        now = time.perf_counter()
        seconds[step.octave] += now - begin
        begin = now
    return seconds


def _pytorch(model, net, where):
    import torch

    from .pytorch import Network, deepdream

    layers = [json.loads(text) for text in _layers(model)]
    weights = {name: [np.array(blob.data) for blob in blobs] for name, blobs in net.params.items()}
    network = Network(layers, weights, model.end).to(where)
    mean = torch.tensor(model.mean, dtype=torch.float32, device=where).reshape(1, 3, 1, 1)
    torch.backends.cudnn.allow_tf32 = False  # float32, like ours

    def gradient(tensor):
        tensor = tensor.detach().requires_grad_()
        output = network(tensor)
        return torch.autograd.grad(output, tensor, output.detach())[0]

    def octave_seconds(picture, settings):
        """PyTorch's dream does not report steps, so an octave's time is that of a dream that begins with it."""
        bgr = torch.from_numpy(np.ascontiguousarray(np.moveaxis(picture, 2, 0)[::-1]))[None].to(where) - mean
        totals = []
        for octave_n in range(1, settings["octave_n"] + 1):
            begin = time.perf_counter()
            deepdream(gradient, bgr, mean, settings["iter_n"], octave_n, 1.4, 1.5, 32, True, 0).cpu()
            totals.append(time.perf_counter() - begin)
        return [totals[0], *np.diff(totals).tolist()][::-1]

    return octave_seconds


def _layers(model):
    from google.protobuf import json_format

    for layer in read_definition(model).layer:
        yield json_format.MessageToJson(layer, preserving_proto_field_name=True)


def octaves(found, picture, settings, rounds):
    """{contender: the median seconds of each octave, the smallest first}."""
    seconds = {name: [] for name in found}
    for run in found.values():
        run(picture, settings)
    for _ in range(rounds):
        for name, run in found.items():
            seconds[name].append(run(picture, settings))
    return {name: [statistics.median(octave) for octave in zip(*rounds)] for name, rounds in seconds.items()}


def gradients(model, weights, gpu, picture):
    """{way of computing: largest difference from the CPU's gradient, relative to its largest value}."""

    def gradient(net):
        chw = dd.preprocess(net, grained)
        net.input.reshape(1, *chw.shape)
        net.input.data[0] = chw
        return net.input_gradient(net.end, dd.objective_L2)[0].copy()

    # Equal pixels tie in max-pools, and the last bits decide who wins.
    grained = dd.resize(picture, 240, 320) + np.random.RandomState(0).uniform(-8, 8, (240, 320, 3))
    expected = gradient(dd.Net(model.prototxt, weights, model.mean, model.end, fast=False))
    ways = {"Caffe's own kernels": load(model, weights, gpu, cudnn=False)}
    if has_cudnn():
        ways["cuDNN"] = load(model, weights, gpu)
    return {name: float(np.abs(gradient(net) - expected).max() / np.abs(expected).max()) for name, net in ways.items()}


def memory_that_runs_out(model, weights, gpu, rehearse):
    """The message when a picture larger than the GPU's memory is dreamt on as one tile."""
    if gpu is None:
        return {"picture": None, "said": ["not on the CPU, where the system ends a process instead"]}
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger("deepdream").addHandler(handler)
    try:
        side = int(min(1.5 * caffe._caffe.gpu_memory(gpu)[1] / BYTES_A_PIXEL, MOST_PIXELS) ** 0.5)
        net = load(model, weights, gpu)
        dream = dd.deepdream(net, clouds(side, side), iter_n=1, octave_n=1, seed=0, tile=side)
        said.append("finite" if np.isfinite(dream).all() else "not finite")
    finally:
        logging.getLogger("deepdream").removeHandler(handler)
    return {"picture": side, "said": said}


def table(results):
    """The results as Markdown."""
    width, height = results["picture"]
    lines = [
        f"GPU: {results['gpu']}. {results['model']}, {width}×{height}, {results['octave_n']} octaves of "
        f"{results['iter_n']} steps; seconds, medians.",
        "",
        "| | " + " | ".join(f"octave {i + 1}" for i in range(results["octave_n"])) + " | total |",
        "|---|" + "---|" * (results["octave_n"] + 1),
    ]
    lines += [
        f"| {name} | " + " | ".join(f"{value:.3f}" for value in [*seconds, sum(seconds)]) + " |"
        for name, seconds in results["octaves"].items()
    ]
    lines += ["", "| gradient | largest difference from upstream's on the CPU, relative |", "|---|---|"]
    lines += [f"| {name} | {error:.1e} |" for name, error in results["gradient"].items()]
    side = results["memory"]["picture"]
    lines += ["", f"A picture of {side}×{side} in one tile: " if side else "Memory that runs out: "]
    lines[-1] += "; ".join(results["memory"]["said"]) + "."
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
