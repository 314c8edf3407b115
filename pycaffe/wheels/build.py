"""Build wheels of Caffe for every Linux with glibc 2.31 or later: x86-64 and arm64, each Python from 3.10 on.

    .venv/bin/python pycaffe/wheels/build.py dist       # or: make wheels

Caffe is compiled in a Debian 11, by docker, podman or buildah (wheels/Dockerfile), or in the folder of one that --root
names. OpenBLAS is linked in; protobuf, HDF5 and libgomp lie beside the module. The wheels are made here, of the
compiled modules: one for all Pythons from 3.12 on, and one each for 3.10 and 3.11, as far as this machine has these
Pythons with their headers. Beside them go their sha256 sums and the source of Caffe that they were built from.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYCAFFE = HERE.parent
sys.path.insert(0, str(PYCAFFE))
import source  # noqa: E402
import variant  # noqa: E402
from wheel import portable  # noqa: E402

PROCESSORS = ("x86_64", "aarch64")
PROBE = """import sys, sysconfig
print(*sys.version_info[:2], sysconfig.get_path('include'), sysconfig.get_config_var('MULTIARCH') or '')"""


class BuildError(Exception):
    """The wheels cannot be built here."""


def run(command, **options):
    """Run a command, whose output goes to stderr; a failure is a BuildError."""
    if subprocess.run([str(part) for part in command], stdout=sys.stderr, **options).returncode:
        raise BuildError(f"this failed: {' '.join(map(str, command))}")


def interpreters(named):
    """The Pythons to look at: those that are named, or those on PATH and pyenv's."""
    if named:
        return named
    found = [shutil.which(f"python3.{minor}") for minor in range(10, 30)]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return [sys.executable, *filter(None, found), *map(str, sorted(pyenv.glob("3.*/bin/python3")))]


def headers(named=()):
    """{suffix of the module: (folder of Python's headers, name of the folder of those for one processor)}."""
    found = {}
    for python in interpreters(named):
        done = subprocess.run([python, "-c", PROBE], capture_output=True, text=True)
        if done.returncode:
            continue
        major, minor, folder, multiarch = (done.stdout.rstrip("\n") + "  ").split(" ")[:4]
        version = (int(major), int(minor))
        if version < (3, 10) or not Path(folder, "Python.h").is_file():
            continue
        suffix = f".cpython-{major}{minor}.so" if version < (3, 12) else ".abi3.so"
        found.setdefault(suffix, (Path(folder), multiarch))
    if not found:
        raise BuildError(
            "no Python from 3.10 on with its headers (Python.h) is on this machine: name one with --python"
        )
    return found


def gather(context, pythons):
    """Put everything that is compiled into the folder `context`."""
    import nanobind

    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PYCAFFE, context / "pycaffe", ignore=ignored)
    shutil.copytree(Path(nanobind.include_dir()).parent, context / "nanobind", ignore=ignored)
    shutil.copy(source.tarball(), context / source.FILE_NAME)
    for name in ("compile.sh", "packages.sh", "Dockerfile"):
        shutil.copy(HERE / name, context)
    for suffix, (folder, multiarch) in headers(pythons).items():
        target = context / "headers" / suffix
        shutil.copytree(folder, target)
        # Debian keeps pyconfig.h by processor. Both of ours are little-endian with 64 bits: it says the same for them.
        own = folder.parent / multiarch / folder.name
        if multiarch and own.is_dir():
            for processor in PROCESSORS:
                shutil.copytree(own, target / f"{processor}-linux-gnu" / folder.name)


def engine():
    """The command that builds an image and writes what is in it to a folder."""
    if shutil.which("docker") and not subprocess.run(["docker", "info"], capture_output=True).returncode:
        return ["docker", "build"]
    if shutil.which("podman"):
        return ["podman", "build"]
    if shutil.which("buildah"):
        return ["buildah", "build", "--isolation", "chroot"]
    raise BuildError("building needs docker, podman or buildah (as root: apt-get install buildah), or --root")


def compile_in_container(context, out, processors, options):
    chosen = ["--build-arg", f"PROCESSORS={' '.join(processors)}", *options.split()]
    run([*engine(), *chosen, "--output", f"type=local,dest={out}", "--file", context / "Dockerfile", context])


def compile_in_root(root, context, out, processors):
    """As in a container, in the folder of a Debian 11 (as root; debootstrap makes one)."""
    inside = Path(root, "src")
    shutil.rmtree(inside, ignore_errors=True)
    shutil.copytree(context, inside)
    run(["chroot", root, "sh", "/src/packages.sh"])
    for processor in processors:
        run(["chroot", root, "sh", "/src/compile.sh", processor, "/src", f"/out/{processor}"])
        shutil.copytree(Path(root, "out", processor), out / processor)


def bill_of_materials(packages):
    """What is linked into a module, as CycloneDX; `packages` has a line for each Debian package."""
    caffe = {
        "type": "library",
        "name": "caffe",
        "version": source.VERSION.rpartition("-")[0],
        "hashes": [{"alg": "SHA-256", "content": source.SHA256}],
    }
    components = [caffe]
    for line in packages.read_text(encoding="utf-8").splitlines():
        name, version, processor = line.split()
        purl = f"pkg:deb/debian/{name}@{version}?arch={processor}"
        components.append({"type": "library", "name": name, "version": version, "purl": purl})
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}


def metadata(folder):
    """Write the .dist-info folder of the wheel, as the build back end does; returns its path."""
    code = "import sys; from scikit_build_core import build; print(build.prepare_metadata_for_build_wheel(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(folder.resolve())]
    done = subprocess.run(command, cwd=PYCAFFE, capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"no metadata: {done.stderr.strip().splitlines()[-1:]}")
    return folder / done.stdout.split()[-1]


def package(folder):
    """Write the Python part of the wheel into `folder`: upstream's, mended, and the messages."""
    with tempfile.TemporaryDirectory() as unpacked:
        source.unpack(unpacked)
        upstream = Path(unpacked)
        run([sys.executable, PYCAFFE / "mend.py", upstream / "python" / "caffe", folder / "caffe"])
        shutil.copy(upstream / "LICENSE", folder / "caffe")
        protos = upstream / "src" / "caffe" / "proto"
        # By this machine's protoc: what Debian 11's writes is refused by protobuf 4 and later.
        run(["protoc", f"--proto_path={protos}", f"--python_out={folder / 'caffe' / 'proto'}", protos / "caffe.proto"])
    text = (folder / "caffe" / "proto" / "caffe_pb2.py").read_text(encoding="utf-8")
    if "internal import builder" not in text:
        raise BuildError("this machine's protoc is too old: protobuf-compiler 3.21 or later is needed")


def pack(folder, module, processor, compiled):
    """Pack a module and the package in `folder` into a wheel, with the libraries that it needs; returns its path."""
    python, abi = ("cp312", "abi3") if "abi3" in module.name else 2 * (f"cp{module.name.split('-')[1]}",)
    tree = folder / f"{processor}-{python}"
    shutil.copytree(folder / "pure", tree)
    shutil.copy(module, tree / "caffe" / module.name)
    information = metadata(tree)
    lines = ["Wheel-Version: 1.0", "Generator: pycaffe/wheels/build.py", "Root-Is-Purelib: false"]
    lines.append(f"Tag: {python}-{abi}-linux_{processor}")
    (information / "WHEEL").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (information / "sboms").mkdir(exist_ok=True)
    (information / "sboms" / "pycaffe.cdx.json").write_text(
        json.dumps(bill_of_materials(compiled / "packages.txt"), indent=1), encoding="utf-8"
    )
    run([sys.executable, "-m", "wheel", "pack", "--dest-dir", folder, tree])
    packed = next(folder.glob(f"*-{python}-{abi}-linux_{processor}.whl"))
    return portable(packed, folder / "repaired", "auto", compiled)


def build(target, processors, pythons, root, options):
    """Write the wheels into the folder `target`; returns their paths."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix="build-") as made:
        folder = Path(made)
        context, out = folder / "context", folder / "out"
        context.mkdir()
        gather(context, pythons)
        package(folder / "pure")
        if root:
            compile_in_root(root, context, out, processors)
        else:
            compile_in_container(context, out, processors, options)
        wheels = []
        for processor in processors:
            compiled = out / processor
            for module in sorted(compiled.glob("_caffe*.so")):
                wheels.append(pack(folder, module, processor, compiled))
        paths = [Path(shutil.move(made_wheel, target / made_wheel.name)) for made_wheel in wheels]
    kept = source.tarball()
    if not (target / source.FILE_NAME).exists() or not kept.samefile(target / source.FILE_NAME):
        shutil.copy(kept, target)
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(target.glob("*.whl"))]
    (target / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    return paths


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processor", action="append", choices=PROCESSORS, help="only this one")
    parser.add_argument("--python", action="append", default=[], help="take headers from these Pythons, not from all")
    parser.add_argument("--root", help="compile in the folder of a Debian 11 instead of a container")
    parser.add_argument("--options", default="", help="more options for the build of the container")
    arguments = parser.parse_args()
    if variant.cuda():
        sys.exit("build.py: wheels for GPUs are built by `make wheel`")
    try:
        processors = arguments.processor or PROCESSORS
        for path in build(arguments.folder, processors, arguments.python, arguments.root, arguments.options):
            print(path)
    except (BuildError, source.SourceError) as error:
        sys.exit(f"build.py: {error}")


if __name__ == "__main__":
    main()
