"""The parts of the benchmark. Each takes a `Work` and returns plain data for `results.json`."""

import importlib.util
import os
import sys

import numpy as np

# Of every contender: as many as there are cores, or as OpenMP is told.
THREADS = int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
# What is compared: {name: (module, what it is told besides)}.
CONTENDERS = {
    "deepdream": ("ours", {}),
    "2015": ("release", {}),
    "PyTorch": ("pytorch", {"channels_last": False}),
    "PyTorch, channels last": ("pytorch", {"channels_last": True}),
}


def contenders():
    if importlib.util.find_spec("torch"):
        return CONTENDERS
    say("PyTorch is not installed and is left out; `make bench` installs it (the extra `bench`)")
    return {name: entry for name, entry in CONTENDERS.items() if entry[0] != "pytorch"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def dreams(work):
    """Everybody's dream, one process after the other, round by round; before that, whether they compute the same."""
    chosen = contenders()
    gradients = {}
    for name, (module, more) in chosen.items():
        path = work.folder / f"{module}.npy"
        work.run(module, THREADS, task="gradient", output=str(path), **more)
        gradients[name] = np.load(path)
    ours = gradients["deepdream"]
    differences = {name: float(np.linalg.norm(gradient - ours) / np.linalg.norm(ours))
                   for name, gradient in gradients.items()}
    say("gradients differ from ours by " + ", ".join(f"{d:.1e} ({name})" for name, d in differences.items()))
    seconds, peaks = {name: [] for name in chosen}, {name: [] for name in chosen}
    sgemm = []
    for turn in range(work.scale.rounds):
        for name, (module, more) in chosen.items():
            found = work.run(module, THREADS, task="dream", **more)
            seconds[name].append(found["seconds"])
            peaks[name].append(found["peak"])
        sgemm.append(work.run("sgemm", THREADS, matrix=work.scale.matrix)["flops"])
        say(f"round {turn + 1}: " + ", ".join(f"{times[-1]:.2f} s {name}" for name, times in seconds.items()) +
            f", sgemm {sgemm[-1] / 1e9:.0f} GFLOP/s")
    return {"seconds": seconds, "peak": peaks, "differences": differences, "sgemm": sgemm}


def sizes(work):
    """Seconds of one step at full size, and the whole dream's peak memory, by the picture's size."""
    rows = []
    for megapixels in work.scale.megapixels:
        name, (height, width) = work.resized(megapixels)
        for tile in (None, work.scale.tile):
            found = work.run("ours", THREADS, task="steps", picture=name, tile=tile, iter_n=work.scale.steps)
            rows.append({"width": width, "height": height, "tile": tile, **found})
            say(f"{width}×{height}, tile {tile}: {found['seconds']:.3f} s a step, {found['peak'] / 2**30:.2f} GiB")
    return rows


def threads(work):
    """Our dream's seconds by the number of threads: 1, 2, 4, ... up to the cores that there are."""
    counts = [n for n in (1, 2, 4, 8, 16, 32) if n < THREADS] + [THREADS]
    seconds = {str(count): [] for count in counts}
    for _ in range(work.scale.rounds):
        for count in counts:
            seconds[str(count)].append(work.run("ours", count, task="dream")["seconds"])
    say(f"threads: {seconds}")
    return seconds


def start(work):
    """Seconds from the command to the first gradient, everything cached; the first run may still read the disk."""
    picture = work.scale.picture if isinstance(work.scale.picture, str) else "clouds"
    seconds = [work.run("start", THREADS, name=picture, model=work.model.name)["seconds"]
               for _ in range(2 * work.scale.rounds + 1)][1:]
    say(f"start: {seconds}")
    return seconds


def layers(work):
    """Every layer's milliseconds at full size, with the operations of the convolutions."""
    found = work.run("ours", THREADS, task="layers", iter_n=work.scale.iter_n)["layers"]
    flops = work.flops()
    return [{**layer, "flops": flops.get(layer["name"], 0)} for layer in found]


PARTS = {"dreams": dreams, "sizes": sizes, "threads": threads, "start": start, "layers": layers}
