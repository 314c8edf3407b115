"""Write anew what `make` installs: for each Python and each part, every version and the hash of every file.

    .venv/bin/python locks/lock.py              # or: make lock, which locks the image's packages as well
    .venv/bin/python locks/lock.py 3.11 3.12    # for these Pythons alone

Needs uv and packaging. All parts of a Python are resolved together, so that they fit each other. Only wheels are
locked, those for Linux on x86-64 and aarch64: a source package would bring build requirements of its own, which nothing
holds to a hash. The hashes come from the pylock.toml that uv writes, since there they stand beside the files' names.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "pycaffe"))
import variant  # noqa: E402

# Debian 11, Ubuntu 22.04, Debian 12, Ubuntu 24.04, Debian 13 and 14: the Pythons there.
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
# Debian 11's C library is the oldest.
GLIBC = (2, 31)
PROCESSORS = ("x86_64", "aarch64")
EXTRAS = ("lint", "playground", "browser", "notebooks", "docs")
# {part: the parts that it is installed on top of}. `bench` is left out: PyTorch's libraries for GPUs are gigabytes.
PARTS = {
    "pip": (),
    "build": (),
    "setup": ("build",),
    **dict.fromkeys((*EXTRAS, "lock"), ("build", "setup")),
    # What Caffe is built with, in a folder of its own, and what makes its wheel portable, in the image before all else.
    "wheel": (),
    "caffe": (),
    "cuda": ("caffe",),
    "cudnn": ("caffe", "cuda"),
}
# mypy 2, import-linter and MyST-NB need a newer one.
LEFT_OUT = {("3.9", "lint"), ("3.9", "docs")}


def project(folder):
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(part):
    """What a part is made of, as lines of a requirements file."""
    ours, caffe = project("."), project("pycaffe")
    extras = ours["project"]["optional-dependencies"]
    if part == "build":
        return [*ours["build-system"]["requires"], "editables"]  # which hatchling asks for in editable mode
    if part == "setup":
        return [*ours["project"]["dependencies"], *caffe["project"]["dependencies"], *unfold(extras, "test")]
    if part in extras:
        return unfold(extras, part)
    if part == "caffe":
        return caffe["build-system"]["requires"]
    if part == "cuda":
        return variant.BUILD_REQUIRES
    if part == "cudnn":
        return variant.CUDNN
    return (HERE / f"{part}.in").read_text(encoding="utf-8").split()


def unfold(extras, name):
    """The requirements of an extra, with those of the extras that it names."""
    lines = []
    for line in extras[name]:
        package, bracket, named = line.partition("[")
        if package == "deepdream-caffe" and bracket:
            lines += [each for extra in named.rstrip("]").split(",") for each in unfold(extras, extra)]
        else:
            lines.append(line)
    return lines


def resolve(python, processor, wanted, limits, *options):
    """{name: {"version": ..., "wheels": [...]}} of what the requirements `wanted` need, within `limits`."""
    with tempfile.TemporaryDirectory() as folder:
        constraints, output = Path(folder) / "constraints.txt", Path(folder) / "pylock.toml"
        constraints.write_text("\n".join(limits), encoding="utf-8")
        options = [
            *options,
            "--python-version",
            python,
            "--python-platform",
            f"{processor}-manylinux_{GLIBC[0]}_{GLIBC[1]}",
        ]
        options += ["--only-binary", ":all:", "--constraint", str(constraints), "--format", "pylock.toml"]
        subprocess.run(
            [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *options, "--output-file", str(output), "-"],
            input="\n".join(wanted),
            text=True,
            check=True,
        )
        packages = tomllib.loads(output.read_text(encoding="utf-8"))["packages"]
    return {canonicalize_name(package["name"]): package for package in packages}


def tags(python, processor):
    """The tags of the wheels that this Python installs on this processor."""
    version = tuple(int(number) for number in python.split("."))
    platforms = [f"manylinux_{GLIBC[0]}_{minor}_{processor}" for minor in range(GLIBC[1], 4, -1)]
    platforms += [f"manylinux{year}_{processor}" for year in (2014, 2010, 1)] + [f"linux_{processor}"]
    interpreter = "cp" + python.replace(".", "")
    return {*cpython_tags(version, platforms=platforms), *compatible_tags(version, interpreter, platforms)}


def hashes(python, found, name):
    """The sha256 of a package's wheels for this Python, for each processor one at least."""
    digests = set()
    for processor in PROCESSORS:
        package, installable = found[processor][name], tags(python, processor)
        fitting = {
            wheel["hashes"]["sha256"]
            for wheel in package["wheels"]
            if parse_wheel_filename(wheel.get("name") or wheel["url"].rpartition("/")[2])[3] & installable
        }
        if not fitting:
            sys.exit(f"lock.py: {name} {package['version']} has no wheel for Python {python} on {processor}")
        digests |= fitting
    return sorted(digests)


def lock(python):
    """Write the parts of one Python."""
    parts = [part for part in PARTS if (python, part) not in LEFT_OUT]
    first, second = PROCESSORS
    everything = [line for part in parts for line in requirements(part)]
    limits = (ROOT / "docker" / "cuda.in").read_text(encoding="utf-8").split()
    found = {first: resolve(python, first, everything, limits)}
    # The second processor gets the same versions.
    pins = [f"{name}=={package['version']}" for name, package in found[first].items()]
    found[second] = resolve(python, second, everything, pins)
    differing = found[first].keys() ^ found[second].keys()
    if differing:
        sys.exit(
            f"lock.py: Python {python} does not need the same packages on {second}: {', '.join(sorted(differing))}"
        )
    folder = HERE / f"py{python}"
    folder.mkdir(exist_ok=True)
    names = {}
    for part in parts:
        needed = resolve(python, first, requirements(part), pins, "--offline").keys()  # all is in uv's cache
        names[part] = set(needed).difference(*(names[below] for below in PARTS[part]))
        lines = [f"# What Python {python} installs for `{part}`, by `make lock`."]
        for name in sorted(names[part]):
            entry = [f"{name}=={found[first][name]['version']}"]
            lines.append(" \\\n    --hash=sha256:".join(entry + hashes(python, found, name)))
        (folder / f"{part}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    for python in sys.argv[1:] or PYTHONS:
        lock(python)


if __name__ == "__main__":
    main()
