"""Hundreds of dreams in one process: the memory stays flat, and every image is that of a process that made no other.

Sizes, layers, objectives and networks change from dream to dream; networks are loaded anew now and then, as a program
that runs for days would. How much memory is in use then depends on which networks are loaded and on the largest image
that each has seen, so it is also measured at rest, when all of them have been released.
"""

import ctypes
import gc
import hashlib
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz import sandbox

SIZES = ((48, 64), (64, 48), (97, 131), (33, 200), (120, 160), (160, 120), (75, 75))
MAX_GROWTH = 0.05
REST = 25  # dreams from one rest to the next
SETTLED = 50  # dreams: by then everything that is made once has been made


def asked(number, seed, models):
    """What dream `number` is: JSON."""
    rng = random.Random(f"{seed} {number}")
    model = rng.choice(models)
    return {
        "model": model,
        "size": rng.choice(SIZES),
        "layer": rng.random(),
        "seed": rng.randrange(2**32),
        "octave_n": rng.choice((1, 2)),
        "iter_n": rng.choice((1, 2)),
        "tile": rng.choice((None, None, 64)),
        "objective": rng.choice(("L2", "L2", "channels", "guided")),
        "load": rng.random() < 0.1,
    }


def dream(net, what):
    """The sha256 of a dream's pixels."""
    import deepdream as dd

    height, width = what["size"]
    layers = [layer for layer in net.dreamable if net.blobs[layer].data.ndim == 4 and _fits(net, layer, what)]
    end = layers[int(what["layer"] * len(layers))]
    objective = {
        "L2": lambda: dd.objective_L2,
        "channels": lambda: dd.channels([0]),
        "guided": lambda: dd.guided(net, dd.picture("noise:50x40"), end),
    }[what["objective"]]()
    result = dd.deepdream(
        net,
        dd.picture("cat")[:height, :width],
        end=end,
        objective=objective,
        jitter=8,
        **{key: what[key] for key in ("seed", "octave_n", "iter_n", "tile")},
    )
    return hashlib.sha256(result.tobytes()).hexdigest()


def _fits(net, layer, what):
    """Whether a layer has something to show at the smallest octave, and is neither too deep to be told apart."""
    height, width = (round(side / 1.4 ** (what["octave_n"] - 1)) for side in what["size"])
    return all(min(size) >= 2 for size in net.sizes(height, width, layer).values() if size)


def alone(argument):
    """One dream by itself, in the sandbox: its hash goes into the file `hash`."""
    import deepdream as dd

    what = json.loads(argument)
    Path("hash").write_text(dream(dd.load(what["model"]), what), encoding="ascii")


def together(count, seed, models):
    """All the dreams, one after the other, in this process.

    Prints a line of JSON for each: [hash, bytes in memory, the same at rest or `None`].
    """
    import deepdream as dd

    nets = {}
    for number in range(count):
        what = asked(number, seed, models)
        if what["load"] or what["model"] not in nets:
            nets.pop(what["model"], None)
            nets[what["model"]] = dd.load(what["model"])
        found = dream(nets[what["model"]], what)
        resident, resting = _resident(), None
        if number % REST == REST - 1:
            nets.clear()
            resting = _resident()
        print(json.dumps([found, resident, resting]), flush=True)


def _resident():
    """The process's memory in bytes, without what is only waiting to be collected."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def run(count, seed, models, report=lambda *_: None):
    """Dream `count` times in one process, and each dream by itself in another.

    Args:
        count: how many dreams.
        seed: decides what is dreamt.
        models: the names of the networks that take part.
        report: called with each dream's number, the memory after it, and the `Outcome` of the same dream alone.

    Returns:
        (the memory after each dream in bytes, the same at each rest, the numbers of the dreams that give another image
        in a process of their own).

    Raises:
        RuntimeError: the process ended before its last dream.
    """
    command = [sys.executable, "-c", f"from fuzz import soak; soak.together({count}, {seed}, {models!r})"]
    memory, rests, differing = [], [], []
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-") as folder,
        sandbox.Sandbox(folder) as box,
        subprocess.Popen(command, env=sandbox.ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process,
    ):
        for number, line in enumerate(process.stdout):
            found, resident, resting = json.loads(line)
            memory.append(resident)
            rests += [] if resting is None else [resting]

            def look(path, found=found):
                if path.read_text(encoding="ascii") != found:
                    raise ValueError("another image")

            outcome = box.run(
                {}, call=("soak", "alone", json.dumps(asked(number, seed, models))), writes=("hash",), look=look
            )
            if outcome.kind != "done":
                differing.append(number)
            report(number, resident, outcome)
    if process.returncode or len(memory) != count:
        raise RuntimeError(f"the process ended with {process.returncode} behind {len(memory)} of {count} dreams")
    return memory, rests, differing


def growth(memory, rests):
    """How much more there is at the end than when all had settled, as shares: (at rest, of the peaks at work).

    The peaks are the highest of the first and of the last third of what comes after that.
    """
    third = (len(memory) - SETTLED) // 3
    return (
        rests[-1] / rests[SETTLED // REST - 1] - 1,
        max(memory[-third:]) / max(memory[SETTLED : SETTLED + third]) - 1,
    )
