"""The parts of the benchmark.

Each is a generator with a `Work` and its earlier results `before`, to which it adds (`None`: nothing), as arguments. It
yields plain data for `results.json`: all results so far, whenever they should be saved.
"""

import importlib.util
import os
import shutil
import sys

import numpy as np

from .work import DISTURBED

# The threads of every contender: as many as there are cores, or as OpenMP's variable sets.
THREADS = int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
# The contenders: {name: (module, additional arguments)}.
CONTENDERS = {
    "deepdream": ("ours", {}),
    "2015": ("release", {}),
    "PyTorch": ("pytorch", {"channels_last": False}),
    "PyTorch, channels last": ("pytorch", {"channels_last": True}),
    "PyTorch, compiled": ("pytorch", {"channels_last": False, "compiled": True}),
    "JAX": ("with_jax", {}),
}
# Those of the forward pass alone.
FORWARD_CONTENDERS = {"deepdream": ("ours", {}), "ONNX Runtime": ("with_onnx", {})}
NEEDED = {"pytorch": ("torch",), "with_jax": ("jax",), "with_onnx": ("onnx", "onnxruntime")}


def contenders(every):
    """Those of the contenders that can run here; PyTorch's compiler needs a C++ compiler."""
    found = {}
    for name, (module, more) in every.items():
        missing = [package for package in NEEDED.get(module, ()) if importlib.util.find_spec(package) is None]
        if missing:
            say(f"{name} is left out, because {missing[0]} is missing; `make bench` installs it (the extra `bench`)")
        elif more.get("compiled") and not shutil.which("g++"):
            say(f"{name} is left out, because there is no C++ compiler, g++")
        else:
            found[name] = (module, more)
    return found


def say(text):
    print(text, file=sys.stderr, flush=True)


def dreams(work, before):
    """The dream of each contender, process after process, round by round; before that, a check of their gradients."""
    chosen = contenders(CONTENDERS)
    result = before or {
        "differences": differences(work, chosen, "gradient"),
        "seconds": {name: [] for name in chosen},
        "peak": {name: [] for name in chosen},
        "others": [],
        "sgemm": [],
    }
    for turn in range(work.scale.rounds):
        for name in result["seconds"]:
            module, more = CONTENDERS[name]
            found = work.run(module, THREADS, task="dream", **more)
            result["seconds"][name].append(found["seconds"])
            result["peak"][name].append(found["peak"])
            result["others"].append(work.others[-1])
            say(f"{name}: {found['seconds']:.2f} s{work.disturbance()}")
        result["sgemm"].append(work.run("sgemm", THREADS, matrix=work.scale.matrix)["flops"])
        say(f"sgemm: {result['sgemm'][-1] / 1e9:.0f} GFLOP/s; that was round {turn + 1} of {work.scale.rounds}")
        yield result


def differences(work, chosen, task):
    """{name: the distance of the contender's gradient (or activations) from ours, relative to its length}."""
    results = {}
    for name, (module, more) in chosen.items():
        path = work.folder / f"{task}.npy"
        work.run(module, THREADS, task=task, output=str(path), **more)
        results[name] = np.load(path)
    ours = results["deepdream"]
    found = {name: float(np.linalg.norm(result - ours) / np.linalg.norm(ours)) for name, result in results.items()}
    say(f"{task}: differences from ours are " + ", ".join(f"{d:.1e} ({name})" for name, d in found.items()))
    return found


def sizes(work, before):
    """Seconds of one step at full size, and the whole dream's peak memory, by the picture's size.

    Sizes that were measured before without disturbance are not measured again.
    """
    rows = [row for row in before or [] if row["others"] <= DISTURBED]
    known = {(row["megapixels"], row["tile"]) for row in rows}
    for megapixels in work.scale.megapixels:
        name, (height, width) = work.resized(megapixels)
        for tile in (None, work.scale.tile):
            if (megapixels, tile) in known:
                continue
            found = work.run("ours", THREADS, task="steps", picture=name, tile=tile, iter_n=work.scale.steps)
            rows.append(
                {
                    "megapixels": megapixels,
                    "width": width,
                    "height": height,
                    "tile": tile,
                    "others": work.others[-1],
                    **found,
                }
            )
            say(
                f"{width}×{height}, tile {tile}: {found['seconds']:.3f} s a step, {found['peak'] / 2**30:.2f} GiB"
                f"{work.disturbance()}"
            )
        yield rows


def threads(work, before):
    """Our dream's seconds by the number of threads: 1, 2, 4, ... up to the number of cores."""
    counts = [str(n) for n in (1, 2, 4, 8, 16, 32) if n < THREADS] + [str(THREADS)]
    seconds = before or {count: [] for count in counts}
    for _ in range(work.scale.rounds):
        for count in counts:
            seconds[count].append(work.run("ours", count, task="dream")["seconds"])
            say(f"{count} threads: {seconds[count][-1]:.2f} s{work.disturbance()}")
        yield seconds


def start(work, before):
    """Seconds from the command to the first gradient, everything cached; the first run may still read the disk."""
    picture = work.scale.picture if isinstance(work.scale.picture, str) else "clouds"
    found = [
        work.run("start", THREADS, name=picture, model=work.model.name)["seconds"]
        for _ in range(2 * work.scale.rounds + 1)
    ][1:]
    say("from the command to the first gradient: " + ", ".join(f"{seconds:.2f} s" for seconds in found))
    yield [*(before or []), *found]


def layers(work, before):
    """Every layer's milliseconds at full size, with the operations of the convolutions."""
    flops = work.flops()
    found = work.run("ours", THREADS, task="layers", iter_n=work.scale.iter_n)["layers"]
    yield [{**layer, "flops": flops.get(layer["name"], 0)} for layer in found]


def forward(work, before):
    """Seconds of the forward pass alone, at full size, of programs that have no other."""
    chosen = contenders(FORWARD_CONTENDERS)
    result = before or {
        "differences": differences(work, chosen, "activations"),
        "seconds": {name: [] for name in chosen},
    }
    for _ in range(work.scale.rounds):
        for name in result["seconds"]:
            module, more = FORWARD_CONTENDERS[name]
            seconds = work.run(module, THREADS, task="forward", iter_n=work.scale.iter_n, **more)["seconds"]
            result["seconds"][name].append(seconds)
            say(f"forward pass, {name}: {seconds:.3f} s{work.disturbance()}")
        yield result


def nets(work, before):
    """Seconds of two dreams: one after the other with all threads, or at once, each with half of them."""
    result = before or {"in turn": [], "at once": []}
    for _ in range(work.scale.rounds):
        for name, count in (("in turn", THREADS), ("at once", max(1, THREADS // 2))):
            together = name == "at once"
            found = work.run("ours", count, task="nets", together=together, iter_n=work.scale.iter_n)
            result[name].append(found["seconds"])
            say(f"two dreams {name}: {found['seconds']:.2f} s{work.disturbance()}")
        yield result


PARTS = {
    "dreams": dreams,
    "forward": forward,
    "nets": nets,
    "sizes": sizes,
    "threads": threads,
    "start": start,
    "layers": layers,
}
