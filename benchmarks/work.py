"""The work that is measured, written to a folder for the contenders, and the processes that do it."""

import json
import math
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import caffe
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import json_format, text_format

import deepdream as dd

from . import machine

DISTURBED = 0.5  # processors that other processes keep busy while a contender runs
DEFAULTS = {"octave_scale": 1.4, "step_size": 1.5, "jitter": 32, "clip": True, "seed": 0}


@dataclass(frozen=True)
class Scale:
    """The size of the work, and the number of repetitions."""

    picture: tuple  # a built-in picture's name, or (height, width) of clouds
    iter_n: int
    octave_n: int
    rounds: int
    matrix: int  # the side of the sgemm
    megapixels: tuple
    tile: int
    steps: int  # of each octave, for the curves
    quick: bool = False


def clouds(height, width):
    """The bundled sky at this size, float32 (height, width, 3)."""
    return dd.resize(dd.picture("clouds"), height, width).clip(0, 255)


def read_definition(model):
    """The published definition of a model, as Caffe's `NetParameter`; `Net.definition` is prepared for dreaming."""
    return text_format.Parse(model.prototxt.read_text(encoding="utf-8"), caffe_pb2.NetParameter())


def octave_shapes(height, width, octave_n, octave_scale):
    """(height, width) of each octave, the smallest first, rounded as `dd.deepdream` does."""
    shapes = [(height, width)]
    while len(shapes) < octave_n:
        shapes.insert(0, tuple(round(side * (1 / octave_scale)) for side in shapes[0]))
    return shapes


FULL = Scale("sky", 10, 4, 3, 2048, (0.1, 0.25, 0.5, 1, 2, 4, 8), 512, 4)
QUICK = Scale((120, 160), 2, 2, 1, 256, (0.02, 0.04), 96, 2, quick=True)


class Work:
    """One network and one picture, and the tasks on them.

    Args:
        folder: an empty folder to write to.
        model: a model from `dd.find_model`.
        scale: a `Scale`.
    """

    def __init__(self, folder, model, scale):
        self.folder, self.model, self.scale = folder, model, scale
        self.picture = (dd.picture(scale.picture) if isinstance(scale.picture, str) else clouds(*scale.picture)).astype(
            np.float32
        )
        self.others = []  # the processors that other processes kept busy, while each process ran
        self.net = dd.load(model.folder, fast=True)
        self.settings = {**DEFAULTS, "iter_n": scale.iter_n, "octave_n": scale.octave_n}
        self._write(
            "work.json",
            {
                "prototxt": str(model.prototxt.resolve()),
                "weights": str(self.net.weights),
                "mean": model.mean,
                "end": model.end,
                "settings": self.settings,
            },
        )
        self._write(
            "layers.json",
            [
                json_format.MessageToDict(layer, preserving_proto_field_name=True)
                for layer in read_definition(model).layer
            ],
        )
        np.savez(
            folder / "weights.npz",
            **{f"{name}:{i}": blob.data for name, blobs in self.net.params.items() for i, blob in enumerate(blobs)},
        )
        np.save(folder / "picture.npy", self.picture)

    def _write(self, name, value):
        (self.folder / name).write_text(json.dumps(value), encoding="utf-8")

    def resized(self, megapixels):
        """(file name, (height, width)) of the picture at another size."""
        height, width = self.picture.shape[:2]
        factor = math.sqrt(1e6 * megapixels / (height * width))
        size = (round(factor * height), round(factor * width))
        name = f"picture-{megapixels}.npy"
        np.save(self.folder / name, dd.resize(self.picture, *size).clip(0, 255).astype(np.float32))
        return name, size

    def flops(self):
        """{convolution: floating-point operations of its forward pass at the picture's size}, up to the layer.

        The gradient of its input takes as many. A multiplication and its addition count as two.
        """
        return self._flops(*self.picture.shape[:2])

    def dream_flops(self):
        """The operations of the whole dream, forward and backward."""
        shapes = octave_shapes(*self.picture.shape[:2], self.settings["octave_n"], self.settings["octave_scale"])
        return sum(2 * self.settings["iter_n"] * sum(self._flops(*shape).values()) for shape in shapes)

    def _flops(self, height, width):
        sizes = self.net.sizes(height, width, self.model.end)
        return {
            layer.name: 2 * math.prod(self.net.params[layer.name][0].shape) * math.prod(sizes[layer.top[0]])
            for layer in self.net.layers_up_to(self.model.end)
            if layer.name in self.net.params
        }

    def run(self, module, threads, **request):
        """The answer of a contender, from a separate process.

        If other processes kept the processors busy meanwhile, it is run once more, and the quieter run counts.
        """
        others, result = self._run(module, threads, request)
        if others > DISTURBED and not self.scale.quick:
            others, result = min((others, result), self._run(module, threads, request), key=lambda run: run[0])
        self.others.append(others)
        return result

    def disturbance(self):
        """The disturbance of the last process, as text."""
        return f"; other processes kept {self.others[-1]:.2f} processors busy" if self.others[-1] > DISTURBED else ""

    def _run(self, module, threads, request):
        count = str(threads)
        environment = {**os.environ, "OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count, "MKL_NUM_THREADS": count}
        # NumPy's OpenBLAS does not know all processors either: everyone gets the kernels that our Caffe chooses.
        kernels = getattr(caffe, "_kernels", None)  # a stock Caffe has none
        if kernels and (core := kernels.core_type(machine.cpuinfo())):
            environment.setdefault(kernels.CORE, core)
        request = {"folder": str(self.folder), "begin": time.time(), **request}
        busy, own, begin = machine.busy_seconds(), machine.childrens_seconds(), time.time()
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{module}", json.dumps(request)],
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"benchmarks.{module} failed:\n{done.stderr[-2000:]}")
        others = (machine.busy_seconds() - busy) - (machine.childrens_seconds() - own)
        return max(0, others / (time.time() - begin)), json.loads(done.stdout.splitlines()[-1])

    def description(self):
        """The work, for the report."""
        height, width = self.picture.shape[:2]
        return {
            **asdict(self.scale),
            "model": self.model.name,
            "end": self.model.end,
            "picture": [width, height],
            "gigaflop": round(self.dream_flops() / 1e9, 1),
        }
