"""What decides how a wheel of Caffe turns out: the files of this folder, as one hash.

The hash names the wheel in the user's cache, and stands inside every wheel (caffe/RECIPE), so that one that was built
from other files is known.
"""

import hashlib
from pathlib import Path

import source

HERE = Path(__file__).resolve().parent
# What changes nothing in the wheel must not cause a build.
LEFT_OUT = {"wheel.py", "README.md", "apt-packages.txt", "apt.sh", "source.py", "upstream_tests.cmake"}
LEFT_OUT_FOLDERS = ("wheels/",)
# What counts for some kinds of Caffe only: for GPUs, for NVIDIA's, for emulated ones.
FOR_GPUS = ("compat/cuda/", "gpu/", "gpu.cmake", "binding/gpu.cpp")
NOT_FOR = {
    "cpu": (*FOR_GPUS, "cuda.cmake", "emulate/", "emulate.cmake"),
    "cuda": ("emulate/", "emulate.cmake"),
    "emulated": ("cuda.cmake",),
}


def files():
    """{name: path} of the files that count."""
    every = {path.relative_to(HERE).as_posix(): path for path in sorted(HERE.rglob("*")) if path.is_file()}
    return {
        name: path
        for name, path in every.items()
        if name not in LEFT_OUT and not name.startswith(LEFT_OUT_FOLDERS) and "__pycache__" not in path.parts
    }


def digest(kind, prefix=""):
    """The first 16 digits of the hash, for a kind of Caffe (variant.py); `prefix` is hashed as well."""
    total = hashlib.sha256(f"{prefix} {source.SHA256}".encode())
    for name, path in files().items():
        if not name.startswith(NOT_FOR[kind]):
            total.update(f"\0{name}\0".encode())
            total.update(path.read_bytes())
    return total.hexdigest()[:16]
