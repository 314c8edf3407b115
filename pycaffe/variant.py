"""Which Caffe is built: for the CPU, or for NVIDIA GPUs as well. The environment decides.

| variable | meaning |
|---|---|
| `PYCAFFE_CUDA=1` | with CUDA 13; the same wheel computes on the CPU where there is no GPU |
| `PYCAFFE_CUDA=emulated` | for tests: the same code for GPUs, computed by the CPU (`emulate/`) |
| `PYCAFFE_CUDNN=0` | CUDA without cuDNN: convolutions by Caffe's own kernels and cuBLAS |
| `PYCAFFE_CUDA_ARCHITECTURES="75;90"` | the GPU generations to compile for, instead of all; `native`: this machine's |

    python3 variant.py            # for CMake: "cpu", "emulated;CUDNN" or "cuda;CUDNN;ARCHITECTURE;..."; CUDNN is 0 or 1

Everything of CUDA comes from the package index: the compiler and the headers into pip's build environment, the
libraries as what the wheel depends on. A wheel for GPUs has a version of its own, so that pip tells the two apart.
"""

import os
import subprocess
import sys

VERSION = "1.0.0"

# One for each generation from Turing to Blackwell: what is compiled for 8.0 runs on 8.6 and 8.9 as well, 10.0 on 10.3,
# 12.0 on 12.1. Newer ones compile the last one's PTX when they first meet it.
ARCHITECTURES = ("75", "80", "90", "100", "120")

# 13.0 is the oldest that has them all, and what it makes runs on every driver for CUDA 13 (580 and later).
BUILD_REQUIRES = [
    "nvidia-cuda-cccl==13.0.*",
    "nvidia-cuda-crt==13.0.*",
    "nvidia-cuda-nvcc==13.0.*",
    "nvidia-cuda-runtime==13.0.*",
    "nvidia-nvvm==13.0.*",
    "nvidia-cublas>=13.0,<14",
    "nvidia-curand>=10.4,<11",
]
RUNTIME = ["nvidia-cublas>=13.0,<14", "nvidia-cuda-runtime>=13.0,<14", "nvidia-curand>=10.4,<11"]
CUDNN = ["nvidia-cudnn-cu13>=9.12,<10"]
CUDNN_RUNTIME = ["nvidia-cuda-nvrtc>=13.0,<14"]  # cuDNN compiles some of its kernels when it meets a GPU


class VariantError(ValueError):
    """An environment variable says something that is no variant."""


def _choice(name, default, choices):
    value = os.environ.get(name, default)
    if value not in choices:
        raise VariantError(f"{name}={value!r}: it must be {', '.join(choices[:-1])} or {choices[-1]}")
    return value


def _chosen():
    return _choice("PYCAFFE_CUDA", "0", ("0", "1", "emulated"))


def cuda():
    """Whether to build for GPUs."""
    return _chosen() == "1"


def emulated():
    """Whether to build for emulated GPUs."""
    return _chosen() == "emulated"


def kind():
    """ "cpu", "cuda" or "emulated"."""
    return describe().partition(";")[0]


def cudnn():
    """Whether to build with cuDNN."""
    return _chosen() != "0" and _choice("PYCAFFE_CUDNN", "1", ("0", "1")) == "1"


def architectures():
    """The GPU architectures to compile for, as nvcc numbers them, the oldest first."""
    named = os.environ.get("PYCAFFE_CUDA_ARCHITECTURES", "").replace(";", " ").replace(",", " ").split()
    if named == ["native"]:
        return _native() or ARCHITECTURES
    if not all(name.isdigit() for name in named):
        raise VariantError(f"PYCAFFE_CUDA_ARCHITECTURES={' '.join(named)!r}: it must be numbers, as in '75;90'")
    return tuple(sorted(named, key=int)) or ARCHITECTURES


def _native():
    """The architectures of this machine's GPUs; none without a GPU, or with one that is not known here."""
    try:
        query = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
        lines = subprocess.run(query, capture_output=True, text=True, timeout=60).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = set()
    for line in lines:
        capability = line.replace(".", "")
        older = [each for each in ARCHITECTURES if capability.isdigit() and int(each) <= int(capability)]
        if not older or older[-1][:-1] != capability[:-1]:  # code runs on later GPUs of the same generation only
            return ()
        found.add(older[-1])
    return tuple(sorted(found, key=int))


def describe():
    """The variant in one line, which is also its part of the key that wheels are kept under."""
    if emulated():
        return f"emulated;{int(cudnn())}"
    return ";".join(["cuda", str(int(cudnn())), *architectures()]) if cuda() else "cpu"


def version():
    if emulated():
        return f"{VERSION}+emulated"
    if not cuda():
        return VERSION
    return f"{VERSION}+cuda13" if cudnn() else f"{VERSION}+cuda13.nocudnn"


def build_requires():
    """The packages with what CUDA's part is compiled with."""
    return BUILD_REQUIRES + (CUDNN if cudnn() else []) if cuda() else []


def libraries():
    """The packages with the libraries that CUDA's part runs on."""
    return RUNTIME + (CUDNN + CUDNN_RUNTIME if cudnn() else []) if cuda() else []


# What scikit-build-core asks a metadata provider (pyproject.toml names this file).
def get_requires_for_dynamic_metadata(settings):
    return build_requires()


def dynamic_metadata(settings, project):
    return {"version": version(), "dependencies": libraries()}


if __name__ == "__main__":
    try:
        print(describe())
    except VariantError as error:
        sys.exit(f"variant.py: {error}")
