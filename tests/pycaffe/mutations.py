"""Deliberate errors in the code for GPUs, each of which the tests on emulated GPUs must find.

    .venv/bin/python tests/pycaffe/mutations.py          # half an hour on 2 cores; prints which test found each

Each error is written into a copy of pycaffe/ that was built once, so that only what it changes is compiled again.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
FOLDER = CHECKOUT / "build" / "mutations"
TESTS = ["tests/network/test_gpu.py", "tests/pycaffe/test_emulated.py"]
# What it is: (file, text, the text with the error).
MUTATIONS = {
    "a kernel for one value too few": (
        "gpu/planes.cu",
        "const int count = window->count();",
        "const int count = window->count() - 1;",
    ),
    "a window's place swapped": (
        "gpu/planes.cu",
        "window.shape(2), window.shape(3), top, left, image",
        "window.shape(2), window.shape(3), left, top, image",
    ),
    "a missing copy": (
        "gpu/planes.cu",
        "  caffe::caffe_copy(blob->count(), blob->gpu_data(), blob->mutable_gpu_diff());\n",
        "",
    ),
    "a wrong count of blocks": (
        "gpu/convolution.cu",
        "bias_kernel<<<caffe::CAFFE_GET_BLOCKS(count)",
        "bias_kernel<<<caffe::CAFFE_GET_BLOCKS(count) / 2",
    ),
    "pointers swapped": ("gpu/convolution.cu", "&one, b, b_row, a, transpose", "&one, a, b_row, b, transpose"),
    "a band that overwrites the one before": ("gpu/convolution.cu", "rows, !whole, picture", "rows, false, picture"),
    "the host's pointer given to a kernel": (
        "layers/convolution.cpp",
        "const float* from = bottom[i]->gpu_data();",
        "const float* from = bottom[i]->cpu_data();",
    ),
    "a copy of half the bytes": (
        "binding/gpu.cpp",
        "blob_->count() * sizeof(float), blob_->gpu_data(), copy",
        "blob_->count() * sizeof(float) / 2, blob_->gpu_data(), copy",
    ),
    "an error that is left behind": (
        "compat/cuda/workspace.hpp",
        "if (error != cudaSuccess) cudaGetLastError();",
        "",
    ),
    "memory kept after its blob": (
        "gpu/convolution.cu",
        "if (count <= count_[branch]) return;",
        "if (count_[branch]) return;",
    ),
    "the other GPU": (
        "binding/gpu.cpp",
        "CUDA_CHECK(cudaSetDevice(device));\n    caffe::Caffe::set_mode",
        "caffe::Caffe::set_mode",
    ),
    "a branch that does not wait for the others": (
        "gpu/passes.cu",
        "if (other == chosen || branch.has_waited_for[other] >= *step) continue;",
        "continue;",
    ),
    "branches that share one matrix": ("gpu/passes.cu", "    Columns::branch = chosen;\n", ""),
    "a graph whose memory has moved": ("gpu/passes.cu", " || size.addresses != addresses()) {", ") {"),
    "what the host had read hides what a graph writes": ("gpu/passes.cu", "    mark_written();\n", ""),
    "a factor that a gradient lacks": ("gpu/lrn.cu", " * y[other] / scale[other];", " * y[other];"),
    "a bias's gradient that replaces the one before": ("gpu/convolution.cu", "total[i] += sum;", "total[i] = sum;"),
    "four gradients of which three are added": ("gpu/planes.cu", "a[i] + b[i] + c[i] + d[i]", "a[i] + b[i] + c[i]"),
}


def configure(source):
    """Make the build folder; what CMake writes anew would be compiled anew, so this is done once."""
    python, tools = sys.executable, FOLDER / "tools"
    lists = CHECKOUT / "locks" / "py{}.{}".format(*sys.version_info[:2]) / "caffe.txt"
    if not tools.is_dir():
        install = [python, "-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"]
        subprocess.run([*install, "--target", tools, "--requirement", lists], check=True)
    options = ["-DCMAKE_BUILD_TYPE=Release", f"-DPython_EXECUTABLE={python}"]
    _cmake("-S", source, "-B", FOLDER / "build", *options, PYCAFFE_CUDA="emulated", PYTHONPATH=str(tools))


def build():
    """Compile the copy; returns the folder of the package."""
    _cmake("--build", FOLDER / "build", "--parallel", str(os.cpu_count()))
    _cmake("--install", FOLDER / "build", "--prefix", FOLDER / "site")
    return FOLDER / "site"


def _cmake(*arguments, **environment):
    subprocess.run(["cmake", *arguments], env={**os.environ, **environment}, stdout=subprocess.DEVNULL, check=True)


def failed_test(site):
    """The first test that fails with the package in this folder; `None` if all pass."""
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{CHECKOUT}"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].partition(" - ")[0] if failed else f"the process ended with {done.returncode}"


def main():
    source = FOLDER / "pycaffe"
    shutil.copytree(CHECKOUT / "pycaffe", source, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    configure(source)
    found = failed_test(build())
    if found:
        sys.exit(f"without an error, {found}")
    survived = []
    for name, (file, text, wrong) in MUTATIONS.items():
        path = source / file
        right = path.read_text(encoding="utf-8")
        if right.count(text) != 1:
            sys.exit(f"{name}: {file} does not have {text!r} once")
        path.write_text(right.replace(text, wrong), encoding="utf-8")
        try:
            found = failed_test(build())
        finally:
            path.write_text(right, encoding="utf-8")
        print(f"{name}: {found or 'NOT FOUND'}", flush=True)
        survived += [name] * (found is None)
    if survived:
        sys.exit(f"{len(survived)} of {len(MUTATIONS)} were not found")


if __name__ == "__main__":
    main()
