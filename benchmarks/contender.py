"""The input and the output of each contender.

A contender is a module that is run in a separate process: `python -m benchmarks.ours '{"folder": …, "task": …}'`. The
folder holds the same work for all of them, as plain files, so that PyTorch's process never loads Caffe:

- `work.json`: the dream's settings, the layer, the mean, the paths of the definition and the weights;
- `picture.npy`: float32 (H, W, 3), RGB 0..255 (a request may name another file);
- `layers.json`, `weights.npz`: the network, for contenders that do not read Caffe's files.

It answers with one line of JSON, its last, which `answer` prints.
"""

import json
import os
import sys
import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np

PROBE = (224, 320)  # height and width of the picture's middle, where the gradients of all contenders are compared


def asked():
    """The request on the command line: `task` and more, with the work's own settings and picture."""
    request = json.loads(sys.argv[1])
    folder = Path(request["folder"])
    work = json.loads((folder / "work.json").read_text(encoding="utf-8"))
    picture = np.load(folder / request.get("picture", "picture.npy"))
    return SimpleNamespace(**{**work, **request, "folder": folder, "picture": picture})


def answer(**result):
    """Print the result, with the peak memory of this process, in bytes."""
    print(json.dumps({**result, "peak": peak_bytes()}), flush=True)


def peak_bytes():
    """Linux's VmHWM; unlike getrusage's figure it is not inherited from the process that started this one."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmHWM in /proc/self/status: the benchmarks need Linux")


def weights(work):
    """{layer: [weights, bias]} of the network, for contenders that do not read Caffe's files."""
    found = {}
    with np.load(work.folder / "weights.npz") as file:
        for name in file.files:
            found.setdefault(name.rpartition(":")[0], []).append(file[name])
    return found


def threads():
    """The number of threads that a contender may use."""
    return int(os.environ["OMP_NUM_THREADS"])


def run_forward(forward):
    """The tasks of the forward pass alone.

    Args:
        forward: a function of an image that returns the activations of the layer, (C, H, W).
    """
    work = asked()
    if work.task == "activations":
        np.save(work.output, forward(middle(work.picture)))
        return answer()
    seconds = []
    for _ in range(work.iter_n + 1):
        begin = time.perf_counter()
        forward(work.picture)
        seconds.append(time.perf_counter() - begin)
    return answer(seconds=median(seconds[1:]))  # the first one takes memory, and chooses kernels


def middle(picture):
    """The part of the picture where all contenders are compared."""
    y, x = (max(0, n - size) // 2 for n, size in zip(picture.shape, PROBE))
    return picture[y : y + PROBE[0], x : x + PROBE[1]]


def run(dream, gradient, compiles=False):
    """The tasks that every contender has.

    Args:
        dream: a function of the image, the number of octaves and the number of iterations that returns the dream,
            (H, W, 3).
        gradient: a function of an image that returns the gradient at it, (3, H, W) BGR, with the network as loaded.
        compiles: whether something is compiled for each size, whose time does not count.

    Raises:
        ValueError: the result is not a dream.
    """
    work = asked()
    probe = middle(work.picture)
    if work.task == "gradient":
        np.save(work.output, gradient(probe))
        return answer()
    dream(probe, 1, 1)  # libraries start their threads and choose their kernels
    if compiles:
        dream(work.picture, work.settings["octave_n"], 1)
    begin = time.perf_counter()
    result = dream(work.picture, work.settings["octave_n"], work.settings["iter_n"])
    seconds = time.perf_counter() - begin
    if not np.isfinite(result).all() or np.array_equal(result, work.picture):
        raise ValueError("this is not a dream: the image did not change or is not finite")
    return answer(seconds=seconds)
