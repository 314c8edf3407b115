"""The parts of the GPU's report; each is a function that returns plain data, and runs in a process of its own.

python -m benchmarks.gpu_parts NAME '{"gpu": 0, "model": "bvlc_googlenet"}'
"""

import ast
import contextlib
import ctypes
import functools
import hashlib
import json
import logging
import os
import statistics
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import caffe
import numpy as np
from google.protobuf import json_format

import deepdream as dd
from deepdream.network.layers import objectives_at
from deepdream.network.memory import gradient_bytes
from deepdream.network.tiling import set_input

from . import machine
from .measure import say
from .work import DEFAULTS, clouds, octave_shapes, read_definition

# The parts in their order, and the seconds that each may take.
SECONDS = {
    "device": 60,
    "tests": 90,
    "gradient": 60,
    "dreams": 90,
    "repeats": 60,
    "speed": 90,
    "compiled": 120,
    "profile": 60,
    "memory": 90,
    "tiles": 60,
}


class Task:
    """What is measured: a network on a GPU, or in a rehearsal on the CPU at small sizes."""

    def __init__(self, gpu, model):
        self.gpu = gpu
        self.model = dd.find_model(model)
        self.weights = dd.load(self.model.folder).weights
        self.rehearsal = gpu is None
        self.picture = clouds(120, 160) if self.rehearsal else dd.picture("sky").astype(np.float32)
        steps = {"iter_n": 2, "octave_n": 2} if self.rehearsal else {"iter_n": 10, "octave_n": 4}
        self.settings = {**DEFAULTS, **steps}

    def load(self, gpu, fast=True):
        """The network on a device, with our layers or upstream's."""
        return dd.Net(self.model.prototxt, self.weights, self.model.mean, self.model.end, gpu=gpu, fast=fast)

    def ways(self):
        """{way of computing: the network}."""
        upstreams = "cuDNN" if getattr(caffe._caffe, "has_cudnn", False) else "upstream's layers"
        return {"our layers": self.load(self.gpu), upstreams: self.load(self.gpu, fast=False)}

    def reference(self):
        """Upstream's layers on the CPU."""
        return self.load(None, fast=False)


def problem(model, gpu):
    """Why nothing can be measured; `None` if it can."""
    try:
        dd.load(model, gpu=gpu)
    except dd.DreamError as error:
        return str(error)
    return None


def device(task):
    """The machine: GPU, driver, versions; how long a fresh process takes to its first dream."""
    found = {**machine.describe()}
    if task.gpu is not None:
        found["gpu"] = caffe._caffe.gpu_name(task.gpu)
        free, total = caffe._caffe.gpu_memory(task.gpu)
        found["GPU memory, GiB"] = {"free": round(free / 2**30, 1), "total": round(total / 2**30, 1)}
        query = ["nvidia-smi", f"--id={task.gpu}", "--query-gpu=driver_version,compute_cap,clocks.max.sm,power.limit"]
        with_driver = subprocess.run([*query, "--format=csv,noheader"], capture_output=True, text=True)
        found["driver, compute capability, clock, power limit"] = with_driver.stdout.strip()
    begin = time.perf_counter()
    net = task.load(task.gpu)
    loaded = time.perf_counter()
    dd.deepdream(net, clouds(120, 160), iter_n=1, octave_n=1, seed=0)
    found["seconds to load the network, to the first step"] = [loaded - begin, time.perf_counter() - loaded]
    return found


def tests(task):
    """The tests of the network and of pycaffe that have a GPU's part."""
    chosen = ["tests/network/test_device.py", "tests/network/test_gpu.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *chosen]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines()
    return {"result": lines[-1] if lines else done.stderr[-300:], "output": done.stdout[-6000:]}


def _gradient(net, planes):
    set_input(net, planes)
    return net.input_gradient(net.end, dd.objective_L2)[0].copy()


def gradient(task):
    """The gradient against upstream's on the CPU, beside that of our layers on the CPU.

    Where two values in a window of a max-pool are nearly equal, the last bits decide which of them gets the gradient: a
    few places then differ much, on any device.
    """
    reference, found = task.reference(), []
    ways = {**task.ways(), "our layers, CPU": task.load(None)}
    for height, width in ((64, 96),) if task.rehearsal else ((224, 224), (240, 320), (575, 1024)):
        grained = dd.resize(task.picture, height, width) + np.random.RandomState(0).uniform(-8, 8, (height, width, 3))
        planes = dd.preprocess(reference, grained)
        expected = _gradient(reference, planes)
        activations = reference.blobs[reference.end].data.copy()
        for name, net in ways.items():
            got = _gradient(net, planes)
            most = np.abs(expected).max()
            found.append(
                {
                    "size": f"{width}×{height}",
                    "way": name,
                    "activations, largest difference": _relative(net.blobs[net.end].data, activations),
                    "gradient, largest difference": _relative(got, expected),
                    "its norm": float(np.linalg.norm(got - expected) / np.linalg.norm(expected)),
                    "part within 1e-5": float((np.abs(got - expected) <= 1e-5 * most).mean()),
                }
            )
    return {"rows": found}


def _relative(got, expected):
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def _detail(dream, base):
    return (dream - base).astype(np.float64).ravel()


def _correlation(dream, expected, base):
    return float(np.corrcoef(_detail(dream, base), _detail(expected, base))[0, 1])


def dreams(task):
    """How close dreams come to those of upstream's layers on the CPU, and to the release's vectors if they are there.

    Ascent is chaotic: how close our layers come on the CPU shows what another rounding makes of a dream.
    """
    found, reference = [], task.reference()
    ways = {**task.ways(), "our layers, CPU": task.load(None)}
    base = dd.resize(task.picture, 90, 120) if task.rehearsal else dd.resize(task.picture, 240, 320)
    base = (base + np.random.RandomState(0).uniform(-8, 8, base.shape)).astype(np.float32)
    for what, iter_n, octave_n in (("one step", 1, 1), ("one octave", 10, 1), ("the default", 10, 4)):
        steps = {"iter_n": iter_n, "octave_n": 1 if task.rehearsal else octave_n, "seed": 0}
        expected = dd.deepdream(reference, base, **steps)
        row = {way: _correlation(dd.deepdream(net, base, **steps), expected, base) for way, net in ways.items()}
        found.append({"correlation of the detail": what, **row})
    folder = Path(os.environ.get("DEEPDREAM_DATA", "none")) / "oracles" / "reference"
    for path in sorted(folder.glob("*.npz")) if task.model.name == "bvlc_googlenet" else ():
        with np.load(path) as file:
            image, expected, settings = file["input"], file["output"], ast.literal_eval(str(file["params"]))
            guide = file.get("guide")
        row = {}
        for way, net in ways.items():
            objective = {} if guide is None else {"objective": dd.guided(net, guide, settings["end"])}
            row[way] = _correlation(dd.deepdream(net, image, **settings, **objective), expected, image)
        found.append({"correlation of the detail": f"vector {path.stem}", **row})
    return {"rows": found}


def _hash(dream):
    return hashlib.sha256(np.ascontiguousarray(dream)).hexdigest()[:12]


def repeats(task):
    """The same dream again, in other threads and in another process: the same bits?"""
    settings = {**task.settings, "iter_n": 3}
    found = {}
    for name, net in task.ways().items():
        hashes = {"twice": [_hash(dd.deepdream(net, task.picture, **settings)) for _ in range(2)]}
        other, results = task.load(task.gpu, fast=net.fast), {}

        def work(key, net, results=results):
            results[key] = _hash(dd.deepdream(net, task.picture, **settings))

        for what, nets in (("two threads, one net", (net, net)), ("two threads, two nets", (net, other))):
            threads = [threading.Thread(target=work, args=((what, i), each)) for i, each in enumerate(nets)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            hashes[what] = [results.get((what, i), "failed") for i in range(2)]
        tiled = [_hash(dd.deepdream(net, task.picture, **settings, tile=256)) for _ in range(2)]
        for what, pair in {**hashes, "twice, in tiles": tiled}.items():
            first = hashes["twice"][0] if "tiles" not in what else pair[0]
            found[f"{name}, {what}"] = "the same bits" if set(pair) == {first} else f"different: {first} {pair}"
    return found


def speed(task):
    """The default dream beside PyTorch on the same GPU: medians of seconds."""
    one_by_one = task.load(task.gpu)
    one_by_one.gpu_passes = lambda last, blob: None
    nets = {**task.ways(), "our layers, without graphs": one_by_one}
    ways = {name: partial(dd.deepdream, net, task.picture) for name, net in nets.items()}
    return _race(task, {**ways, **_pytorch(task, compiled=False)})


def compiled(task):
    """The same beside PyTorch's compiler, which takes its time for each octave's size."""
    return _race(task, {"our layers": partial(dd.deepdream, task.load(task.gpu), task.picture), **_pytorch(task, True)})


def _race(task, contenders):
    """Let each contender dream, round after round; one that cannot is left out, with the reason."""
    found, failed = {}, {}
    for name, run in contenders.items():
        begin = time.perf_counter()
        try:
            run(**task.settings)
        except Exception as error:  # such as a compiler that is missing
            failed[name] = f"{type(error).__name__}: {str(error)[:200]}"
            continue
        found[name] = [time.perf_counter() - begin, []]
    for _ in range(2 if task.rehearsal else 5):
        for name, (_, seconds) in found.items():
            begin = time.perf_counter()
            contenders[name](**task.settings)
            seconds.append(time.perf_counter() - begin)
    medians = {name: statistics.median(seconds) for name, (_, seconds) in found.items()}
    others = [median for name, median in medians.items() if name.startswith("PyTorch")]
    rows = [
        {
            "contender": name,
            "first dream, s": first,
            "median, s": medians[name],
            "fastest, s": min(seconds),
            "to PyTorch's best": medians[name] / min(others) if others else "none",
        }
        for name, (first, seconds) in found.items()
    ]
    return {"rows": rows, **failed}


def _pytorch(task, compiled):
    """PyTorch's ways to dream: {name: a function of the settings}; none where it is missing."""
    try:
        import torch
    except ImportError as error:
        say(f"PyTorch is left out: {error}")
        return {}
    from .pytorch import Network, deepdream

    if task.gpu is not None and not torch.cuda.is_available():
        say("PyTorch is left out: it has no CUDA")
        return {}
    where = "cpu" if task.gpu is None else f"cuda:{task.gpu}"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False  # float32, like ours
    layers = [
        json_format.MessageToDict(layer, preserving_proto_field_name=True)
        for layer in read_definition(task.model).layer
    ]
    weights = {name: [np.array(blob.data) for blob in blobs] for name, blobs in task.reference().params.items()}
    mean = torch.tensor(task.model.mean, dtype=torch.float32, device=where).reshape(1, 3, 1, 1)
    planes = np.moveaxis(task.picture, 2, 0)[::-1]

    def contender(layout, faster, benchmark):
        network = Network(layers, weights, task.model.end).to(where, memory_format=layout)

        def eager(tensor):
            tensor = tensor.detach().contiguous(memory_format=layout).requires_grad_()
            output = network(tensor)
            return torch.autograd.grad(output, tensor, output.detach())[0]

        gradient = faster(eager, network) if faster else eager

        def run(**settings):
            torch.backends.cudnn.benchmark = benchmark
            chw = torch.from_numpy(np.ascontiguousarray(planes))[None].to(where) - mean
            return deepdream(gradient, chw, mean, **settings).cpu()

        return run

    def with_compiler(eager, network):
        fast = torch.compile(network, mode="reduce-overhead", dynamic=False)

        def gradient(tensor):
            torch.compiler.cudagraph_mark_step_begin()
            tensor = tensor.detach().clone().requires_grad_()
            output = fast(tensor)
            return torch.autograd.grad(output, tensor, output.detach().clone())[0].clone()

        return gradient

    def with_graphs(eager, network):
        graphs = {}

        def gradient(tensor):
            if tensor.shape not in graphs:
                held = tensor.clone()
                side = torch.cuda.Stream()
                side.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(side):
                    for _ in range(2):
                        eager(held)
                torch.cuda.current_stream().wait_stream(side)
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    answer = eager(held)
                graphs[tensor.shape] = graph, held, answer
            graph, held, answer = graphs[tensor.shape]
            held.copy_(tensor)
            graph.replay()
            return answer.clone()

        return gradient

    rows, last = torch.contiguous_format, torch.channels_last
    if compiled:
        return {"PyTorch, compiled, with CUDA graphs": contender(rows, with_compiler, True)}
    found = {
        "PyTorch, eager": contender(rows, None, False),
        "PyTorch, eager, cuDNN's benchmark": contender(rows, None, True),
        "PyTorch, eager, channels last": contender(last, None, True),
    }
    if task.gpu is not None:
        found["PyTorch, CUDA graphs"] = contender(rows, with_graphs, True)
    return found


def _synchronize():
    """Wait until the GPU has computed everything."""
    with contextlib.suppress(OSError):  # a rehearsal on the CPU
        libcudart().cudaDeviceSynchronize()


@functools.cache
def libcudart():
    """The CUDA runtime that our Caffe has loaded."""
    return ctypes.CDLL("libcudart.so.13")


def profile(task):
    """Where a step's time goes at the picture's full size, in milliseconds; the slowest layers."""
    rows = [row for way, net in task.ways().items() for row in _profile(task, way, net)]
    return {"rows": rows}


def _profile(task, way, net):
    planes = dd.preprocess(net, task.picture)
    set_input(net, planes)
    names = list(net._layer_names)
    last = names.index(net.end_names.makers[net.end])
    repeats = 2 if task.rehearsal else 10

    def row(part, milliseconds, launched=""):
        return {"way": way, "part": part, "ms": milliseconds, "ms to launch": launched}

    yield row("forward", *_milliseconds(repeats, net._forward, 0, last))
    yield row("objective", *_milliseconds(repeats, _objective, net))
    yield row("backward", *_milliseconds(repeats, net._backward, last, 0))
    at_once = partial(net.run_passes, net.end, dd.objective_L2)
    yield row("all three as a dream has them", *_milliseconds(repeats + 2, at_once))  # the third is the first graph
    layers = {}
    for number in range(1, last + 1):
        passes = net._forward, net._backward
        layers[names[number]] = [_milliseconds(3, each, number, number)[0] for each in passes]
    for layer in sorted(layers, key=lambda layer: -sum(layers[layer]))[:12]:
        yield row(f"{layer}: forward, backward", layers[layer])
    yield row(f"{len(layers)} layers, one by one", [sum(each) for each in zip(*layers.values())])
    for height, width in octave_shapes(*task.picture.shape[:2], task.settings["octave_n"], DEFAULTS["octave_scale"]):
        step, rest = _milliseconds_a_step(task, net, dd.resize(task.picture, height, width))
        yield row(f"a step of a dream, {width}×{height}", step)
        yield row(f"a dream without its steps, {width}×{height}", rest)


def _milliseconds(repeats, function, *arguments):
    """Medians: until a function has returned and the GPU has done its work, and until the function has returned."""
    seconds = []
    for _ in range(repeats + 1):
        _synchronize()
        begin = time.perf_counter()
        function(*arguments)
        launched = time.perf_counter()
        _synchronize()
        seconds.append((time.perf_counter() - begin, launched - begin))
    return [1000 * statistics.median(each) for each in zip(*seconds[1:])]


def _milliseconds_a_step(task, net, image):
    """(a step of a dream, all that is not a step), from dreams of few and of many steps."""
    counts, seconds = (1, 2) if task.rehearsal else (10, 30), []
    dd.deepdream(net, image, **{**task.settings, "octave_n": 1, "iter_n": 1})
    for count in counts:
        begin = time.perf_counter()
        dd.deepdream(net, image, **{**task.settings, "octave_n": 1, "iter_n": count})
        seconds.append(time.perf_counter() - begin)
    step = (seconds[1] - seconds[0]) / (counts[1] - counts[0])
    return 1000 * step, 1000 * (seconds[0] - counts[0] * step)


def _objective(net):
    objectives_at(net, net.end, dd.objective_L2)[net.end](net.blobs[net.end])


def memory(task):
    """Seconds of a step and the GPU's memory by size: measured, and as a dream plans with it."""
    rows = []
    for megapixels in (0.02,) if task.rehearsal else (0.1, 0.6, 2, 8, 16):
        height = int((megapixels * 1e6 / 1.5) ** 0.5)
        image = clouds(height, int(1.5 * height))
        for name, net in task.ways().items():
            before = _free(task)
            dd.deepdream(net, image, iter_n=1, octave_n=1, seed=0)
            used = (before - _free(task)) / 2**20
            begin = time.perf_counter()
            dream = dd.deepdream(net, image, iter_n=5, octave_n=1, seed=0)
            step = (time.perf_counter() - begin) / 5
            planned = gradient_bytes(net, net.end, *image.shape[:2]) / 2**20
            rows.append(
                {
                    "megapixels": megapixels,
                    "way": name,
                    "s a step": step,
                    "MiB": used,
                    "MiB planned": planned,
                    "finite": bool(np.isfinite(dream).all()),
                }
            )
            del net
    return {"rows": rows}


def _free(task):
    return caffe._caffe.gpu_memory(task.gpu)[0] if task.gpu is not None else 0


def tiles(task):
    """Dreams when most of the GPU's memory is taken: tiles that are planned, and tiles after it ran out."""
    if task.gpu is None:
        return {"left out": "the CPU's system ends a process instead"}
    said, found = [], {}
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("deepdream")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    net = task.load(task.gpu)
    small = dd.deepdream(net, clouds(200, 300), iter_n=2, octave_n=1, seed=0)
    image = clouds(2000, 3000)
    with Hog(task.gpu, leave=3 * 2**30):
        for what, tile in (("tile='auto'", "auto"), ("tile=3000, too large", 3000)):
            del said[:]
            begin = time.perf_counter()
            dream = dd.deepdream(net, image, iter_n=2, octave_n=1, seed=0, tile=tile)
            found[what] = {
                "s": time.perf_counter() - begin,
                "finite": bool(np.isfinite(dream).all()),
                "moved": float(np.abs(dream - image).mean()),
                "said": list(said),
            }
        try:
            dd.deepdream(net, image, iter_n=1, octave_n=1, seed=0)
            found["without tiles"] = "it fitted"
        except dd.DreamError as error:
            found["without tiles"] = f"refused: {error}"
    net.release()
    again = dd.deepdream(net, clouds(200, 300), iter_n=2, octave_n=1, seed=0)
    found["a small dream afterwards"] = "the same bits" if np.array_equal(small, again) else "different"
    return found


class Hog:
    """Takes a GPU's memory until only `leave` bytes are free; gives it back at the end."""

    def __init__(self, gpu, leave):
        self.cudart, self.held = libcudart(), ctypes.c_void_p()
        size = caffe._caffe.gpu_memory(gpu)[0] - leave
        self.cudart.cudaSetDevice(gpu)
        if size > 0 and self.cudart.cudaMalloc(ctypes.byref(self.held), ctypes.c_size_t(size)):
            raise MemoryError(f"{size} bytes of GPU {gpu} cannot be had")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cudart.cudaFree(self.held)


PARTS = {
    function.__name__: function
    for function in (device, tests, gradient, dreams, repeats, speed, compiled, profile, memory, tiles)
}


def main():
    name, task = sys.argv[1:]
    logging.basicConfig(level=logging.WARNING)
    print(json.dumps(PARTS[name](Task(**json.loads(task)))))


if __name__ == "__main__":
    main()
