"""What `make` installs from the package index: the lists of locks/, each file by its hash."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from helpers import write_wheel
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "locks"

if not (LOCKS / "lock.py").is_file():
    pytest.skip("only in a checkout", allow_module_level=True)


def load(path):
    """The module in the file `path`, which is in no package."""
    spec = importlib.util.spec_from_file_location(f"{path.stem}_under_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def lock(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])  # it puts pycaffe/ on it
    return load(LOCKS / "lock.py")


def listed(path):
    """{name: (version, [hash, ...])} of a list; anything but names, versions and hashes fails."""
    found = {}
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = re.fullmatch(r"([a-z0-9-]+)==([\w.+!]+)((?: +--hash=sha256:[0-9a-f]{64})+)", line)
        assert match, f"{path}: {line[:100]}"
        assert match[1] not in found
        found[match[1]] = match[2], re.findall(r"sha256:(\w+)", match[3])
    return found


def chain(lock, python, part):
    """What is installed once a part is: {name: version} of its list and of those below it."""
    lists = [*lock.PARTS[part], part]
    return {name: entry[0] for each in lists for name, entry in listed(LOCKS / f"py{python}" / f"{each}.txt").items()}


def parts(lock, python):
    return [part for part in lock.PARTS if (python, part) not in lock.LEFT_OUT]


PYTHONS = sorted(path.name[2:] for path in LOCKS.glob("py3.*"))


def test_there_is_a_list_for_every_python_and_part(lock):
    assert sorted(lock.PYTHONS) == PYTHONS
    for python in PYTHONS:
        files = {path.stem for path in (LOCKS / f"py{python}").iterdir()}
        assert files == set(parts(lock, python))


@pytest.mark.parametrize("python", PYTHONS)
def test_every_line_is_a_version_with_the_hashes_of_its_files(lock, python):
    versions = {}
    for part in parts(lock, python):
        path = LOCKS / f"py{python}" / f"{part}.txt"
        assert "://" not in path.read_text(encoding="utf-8")
        found = listed(path)
        assert found
        for name, (version, hashes) in found.items():
            assert hashes == sorted(set(hashes))
            assert versions.setdefault(name, version) == version, f"{name} differs between the parts of {python}"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lists_satisfy_what_is_required(lock, python):
    """Where it fails: make lock."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    for part in parts(lock, python):
        locked = chain(lock, python, part)
        for line in lock.requirements(part):
            requirement = Requirement(line)
            if requirement.marker and not requirement.marker.evaluate(environment):
                continue
            version = locked.get(canonicalize_name(requirement.name))
            assert version, f"{part} needs {requirement}"
            assert requirement.specifier.contains(version, prereleases=True), f"{requirement}, but {version} is locked"


def test_the_parts_are_what_pyproject_names(lock):
    extras = lock.project(".")["project"]["optional-dependencies"]
    assert extras.keys() - lock.PARTS.keys() == {"bench", "cluster", "heif", "test", "video"}, (
        "an extra that nobody locks"
    )
    setup = lock.requirements("setup")
    assert {"deepdream-caffe"}.isdisjoint(Requirement(line).name for line in setup)
    for extra in ("cluster", "heif", "video"):
        assert set(extras[extra]) <= set(setup)
    assert set(lock.project("pycaffe")["project"]["dependencies"]) <= set(setup)
    assert set(extras["playground"]) < set(lock.requirements("browser"))


@pytest.mark.skipif("{}.{}".format(*sys.version_info[:2]) not in PYTHONS, reason="no list for this Python")
def test_what_a_locked_package_needs_is_locked_too(lock):
    """As far as the packages that are installed here in the same version tell."""
    python = "{}.{}".format(*sys.version_info[:2])
    looked = 0
    for part in parts(lock, python):
        locked = chain(lock, python, part)
        for name, version in locked.items():
            try:
                distribution = metadata.distribution(name)
            except metadata.PackageNotFoundError:
                continue
            if distribution.version != version:
                continue
            looked += 1
            for line in distribution.requires or ():
                need = Requirement(line)
                if need.marker is None or need.marker.evaluate({"extra": ""}):
                    held = locked.get(canonicalize_name(need.name))
                    assert held and need.specifier.contains(held, prereleases=True), f"{part}: {name} needs {need}"
    assert looked > 0


# make


def bare():
    """The environment without what an outer make has put there."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}


@pytest.fixture
def checkout(tmp_path):
    """A folder with our Makefile and a Python that only notes what it is asked: (make, calls)."""
    if not shutil.which("make"):
        pytest.skip("there is no make")
    log, fake, lists = tmp_path / "calls", tmp_path / "python", tmp_path / "locks" / "py3.11"
    for folder in (tmp_path / "pycaffe", tmp_path / ".venv" / "bin", lists):
        folder.mkdir(parents=True)
    fake.write_text(
        f'#!/bin/sh\necho "$*" >> "{log}"\ncase "$*" in\n*version_info*) echo 3.11;;\n*variant.py) echo cpu;;\n'
        "*wheel.py*) echo caffe.whl;;\nesac\n",
        encoding="utf-8",
    )
    fake.chmod(0o755)
    for tool in ("python", "ruff", "lint-imports", "mypy"):
        (tmp_path / ".venv" / "bin" / tool).symlink_to(fake)
    (tmp_path / "pycaffe" / "apt.sh").touch()
    (tmp_path / "pyproject.toml").touch()
    for part in ("pip", "build", "setup", "lint"):
        (lists / f"{part}.txt").touch()
    shutil.copy(ROOT / "Makefile", tmp_path)

    def run(*goals):
        """What pip was asked by `make GOALS`, a line each, and what make said."""
        log.write_text("", encoding="utf-8")
        done = subprocess.run(
            ["make", f"PYTHON={fake}", *goals], cwd=tmp_path, env=bare(), capture_output=True, text=True, check=True
        )
        lines = log.read_text(encoding="utf-8").splitlines()
        return [line.partition("install --quiet ")[2] for line in lines if "install --quiet" in line], done.stderr

    return tmp_path, run


def later(path):
    """Make the file newer than all that was written before."""
    path.touch()
    os.utime(path, ns=(path.stat().st_mtime_ns + 10**9,) * 2)


HELD = "--require-hashes --only-binary :all: --requirement locks/py3.11/"


def test_make_installs_from_the_lists(checkout):
    _, run = checkout
    asked, said = run("setup")
    assert asked == [
        f"{HELD}pip.txt",
        f"{HELD}build.txt {HELD}setup.txt",
        "--force-reinstall --no-deps caffe.whl",
        "--no-index --no-build-isolation caffe.whl --editable .[test]",
    ]
    assert "no hash" not in said
    assert run("setup") == ([], ""), "the second time there is nothing to do"


@pytest.mark.parametrize("changed", ["locks/py3.11/pip.txt", "locks/py3.11/setup.txt", "locks/py3.11/build.txt"])
def test_a_list_that_changes_is_installed(checkout, changed):
    folder, run = checkout
    run("setup")
    later(folder / changed)
    assert f"{HELD}build.txt {HELD}setup.txt" in run("setup")[0]


def test_a_part_is_installed_when_it_is_asked_for_and_when_its_list_changes(checkout):
    folder, run = checkout
    run("setup")
    assert run("lint")[0] == [f"{HELD}lint.txt"]
    assert run("lint")[0] == []
    later(folder / "locks" / "py3.11" / "lint.txt")
    assert run("lint")[0] == [f"{HELD}lint.txt"]


def test_without_lists_for_this_python_make_says_so_and_goes_on(checkout):
    folder, run = checkout
    shutil.rmtree(folder / "locks")
    asked, said = run("setup")
    assert asked == ["--upgrade pip", "--force-reinstall --no-deps caffe.whl", "caffe.whl --editable .[test]"]
    assert said.count("No locks/py3.11/") == 1 and "held to no hash" in said
    asked, said = run("lint")
    assert asked == ["--editable .[lint]"]
    assert said.count("No locks/py3.11/lint.txt") == 1


def test_whatever_else_make_installs_is_held_too(checkout):
    """Each `pip install` of the Makefile, by the words that it is written with."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    # What stays as it is: PyTorch, and the stock Caffe with what it needs, which environment.yml lists.
    recipes = [recipe for recipe in re.split(r"\n(?=\S)", text) if not recipe.startswith(("bench:", "conda-test:"))]
    commands = [each for recipe in recipes for each in re.findall(r"\$\(PIP\) install ([^&;\n]+)", recipe)]
    assert len(commands) >= 4
    for command in commands:
        held = "$(HASHED)" in command or "--no-index" in command or ("--no-deps" in command and "$$wheel" in command)
        assert held or command.strip() == "--quiet $(2)", command
    used = set(re.findall(r"\$\(call (?:part|install),(\w+)", text)) | {"build", "setup", "caffe", "cuda", "cudnn"}
    assert used - {"PART"} == set(load(LOCKS / "lock.py").PARTS), "a list that nobody installs, or one that is missing"


def test_the_gpus_libraries_are_held_by_the_images_lists(checkout):
    folder, run = checkout
    (folder / "docker").mkdir()
    for name in ("cuda", "cudnn"):
        (folder / "docker" / f"{name}.txt").touch()
    lists = f"{HELD}build.txt {HELD}setup.txt"
    held = HELD.replace("locks/py3.11/", "docker/")
    assert f"{lists} {held}cuda.txt {held}cudnn.txt" in run("VARIANT=cuda;1;75", "READY=.venv/.ready-1", "setup")[0]
    assert f"{lists} {held}cuda.txt" in run("VARIANT=cuda;0;75", "READY=.venv/.ready-0", "setup")[0]


# pip, and the build of Caffe


def held_options():
    """The options with which the Makefile installs a list."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return re.search(r"^HASHED := (.*)$", text, re.MULTILINE)[1].split()


@pytest.mark.parametrize("case", ["whole", "tampered with", "without a hash", "a source package"])
def test_pip_takes_only_the_file_that_was_locked(tmp_path, case):
    wheel = write_wheel(tmp_path, "tiny_thing", 1)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    line = f"tiny-thing==1 --hash=sha256:{digest}"
    if case == "tampered with":
        with zipfile.ZipFile(wheel, "a") as file:
            file.writestr("tiny_thing.py", "print('another')")
    elif case == "without a hash":
        line = "tiny-thing==1"
    elif case == "a source package":
        wheel.rename(tmp_path / "tiny_thing-1.zip")
    (tmp_path / "list.txt").write_text(line + "\n", encoding="utf-8")
    options = ["--disable-pip-version-check", "install", "--quiet", "--no-index", "--find-links", str(tmp_path)]
    into = tmp_path / "into"
    done = subprocess.run(
        [sys.executable, "-m", "pip", *options, "--target", str(into), *held_options(), str(tmp_path / "list.txt")],
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == (case == "whole"), done.stderr
    assert into.exists() == (case == "whole")


@pytest.fixture
def wheel(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "pycaffe"))
    return load(ROOT / "pycaffe" / "wheel.py")


@pytest.mark.parametrize(
    "environment, lists",
    [
        ({}, ["caffe"]),
        ({"PYCAFFE_CUDA": "1"}, ["caffe", "cuda", "cudnn"]),
        ({"PYCAFFE_CUDA": "1", "PYCAFFE_CUDNN": "0"}, ["caffe", "cuda"]),
    ],
)
def test_caffe_is_built_with_what_is_locked(wheel, monkeypatch, tmp_path, environment, lists):
    for name in ("PYCAFFE_CUDA", "PYCAFFE_CUDNN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(wheel, "LOCKS", LOCKS / "py3.11")
    install, build = wheel.commands(tmp_path, tmp_path / "tools")
    assert {"--require-hashes", "--only-binary", ":all:"} <= set(install)
    named = [word.partition("=")[2] for word in install if word.startswith("--requirement=")]
    assert named == [str(LOCKS / "py3.11" / f"{part}.txt") for part in lists]
    assert "--no-build-isolation" in build, "or pip would bring others by itself"


def test_without_a_list_caffe_is_built_all_the_same(wheel, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(wheel, "LOCKS", tmp_path / "py3.99")
    (build,) = wheel.commands(tmp_path, tmp_path / "tools")
    assert "--no-build-isolation" not in build
    assert "py3.99/caffe.txt: what pip takes to build Caffe is held to no hash" in capsys.readouterr().err


# The script that writes the lists


def test_only_what_a_processor_installs_is_taken(lock):
    package = {
        "version": "1",
        "wheels": [
            {"url": f"folder/{name}", "hashes": {"sha256": digest}}
            for name, digest in (
                ("a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "x86"),
                ("a-1-cp311-cp311-manylinux_2_28_aarch64.whl", "arm"),
                ("a-1-cp311-cp311-manylinux_2_39_aarch64.whl", "newer libc"),
                ("a-1-cp311-cp311-musllinux_1_2_x86_64.whl", "musl"),
                ("a-1-cp311-cp311-win_amd64.whl", "windows"),
                ("a-1-cp312-cp312-manylinux_2_28_x86_64.whl", "newer"),
                ("a-1-cp39-abi3-manylinux_2_28_x86_64.whl", "stable"),
            )
        ],
    }
    found = {processor: {"a": package} for processor in lock.PROCESSORS}
    assert lock.hashes("3.11", found, "a") == ["arm", "stable", "x86"]
    with pytest.raises(SystemExit, match=r"a 1 has no wheel for Python 3\.10 on aarch64"):
        lock.hashes("3.10", found, "a")
