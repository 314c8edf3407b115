"""Which wheel of Caffe is taken (pycaffe/wheel.py), and what the wheels for other systems are made of (wheels/)."""

import functools
import http.server
import importlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from helpers import ROOT, serving

PYCAFFE = ROOT / "pycaffe"
METADATA = "Metadata-Version: 2.1\nName: deepdream-pycaffe\nVersion: 1.0.0\n"
VERSION = "{}{}".format(*sys.version_info[:2])


def ready(**environment):
    """`wheel.py --ready`, run with the Python of the tests."""
    command = [sys.executable, str(PYCAFFE / "wheel.py"), "--ready"]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


@pytest.fixture
def modules(monkeypatch):
    """(recipe, wheel, build) of pycaffe/."""
    monkeypatch.syspath_prepend(PYCAFFE)
    monkeypatch.syspath_prepend(PYCAFFE / "wheels")
    monkeypatch.delenv("PYCAFFE_CUDA", raising=False)
    for name in ("recipe", "wheel", "build", "source", "variant"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield tuple(importlib.import_module(name) for name in ("recipe", "wheel", "build"))
    for name in ("recipe", "wheel", "build", "source", "variant"):
        sys.modules.pop(name, None)


def write(folder, tags, version="1.0.0", recipe=None):
    """An empty wheel of Caffe with these tags, and with a recipe inside."""
    folder.mkdir(exist_ok=True)
    path = folder / f"deepdream_pycaffe-{version}-{tags}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        if recipe:
            archive.writestr("caffe/RECIPE", f"{recipe}\n")
    return path


def own_tags():
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"cp{VERSION}-cp{VERSION}-{platform}"


class Index(http.server.SimpleHTTPRequestHandler):
    """Its lists of folders are what a package index answers with."""

    def log_message(self, *arguments):
        pass


class TestReady:
    def test_a_named_folder_is_looked_into(self, tmp_path):
        write(tmp_path, own_tags(), version="1.0.0+cuda13")
        write(tmp_path, f"cp{VERSION}-cp{VERSION}-win_amd64")
        done = ready(PYCAFFE_WHEELS=str(tmp_path))
        assert done.returncode == 1 and f"no wheel of Caffe there fits Python {sys.version_info[0]}." in done.stderr
        fitting = write(tmp_path, own_tags())
        assert ready(PYCAFFE_WHEELS=str(tmp_path)).stdout.strip() == str(fitting)
        assert "cuda13" in ready(PYCAFFE_WHEELS=str(tmp_path), PYCAFFE_CUDA="1").stdout

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="a wheel for the stable interface needs Python 3.12")
    def test_one_wheel_fits_every_later_python(self, tmp_path):
        fitting = write(tmp_path, own_tags().replace(f"cp{VERSION}-cp{VERSION}", "cp312-abi3"))
        assert ready(PYCAFFE_WHEELS=str(tmp_path)).stdout.strip() == str(fitting)

    def test_an_index_is_asked(self, tmp_path):
        wheel = write(tmp_path / "deepdream-pycaffe", own_tags())
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("deepdream_pycaffe-1.0.0.dist-info/METADATA", METADATA)
            archive.writestr("deepdream_pycaffe-1.0.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        with serving(functools.partial(Index, directory=str(tmp_path))) as server:
            done = ready(PYCAFFE_WHEELS=server.address, XDG_CACHE_HOME=str(tmp_path / "cache"))
            assert done.stdout.strip().endswith(wheel.name), done.stderr
            wheel.unlink()
            done = ready(PYCAFFE_WHEELS=server.address, XDG_CACHE_HOME=str(tmp_path / "empty"))
        assert done.returncode == 1 and "has no wheel of deepdream-pycaffe" in done.stderr

    def test_dist_is_taken_only_if_built_from_the_same_files(self, tmp_path, modules, monkeypatch, capsys):
        recipe, wheel, _ = modules
        monkeypatch.delenv("PYCAFFE_WHEELS", raising=False)
        monkeypatch.setattr(wheel, "DIST", tmp_path)
        assert wheel.ready() is None
        write(tmp_path, own_tags(), recipe="0123456789abcdef")
        assert wheel.ready() is None
        assert "built from other files" in capsys.readouterr().err
        fitting = write(tmp_path, own_tags(), recipe=recipe.digest("cpu"))
        assert wheel.ready() == fitting
        fitting.write_bytes(b"no archive")
        assert wheel.ready() is None


class TestBuild:
    def test_headers_are_found_by_the_pythons_themselves(self, modules, tmp_path):
        _, _, build = modules
        none = tmp_path / "none"
        none.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        none.chmod(0o755)
        with pytest.raises(build.BuildError, match="name one with --python"):
            build.headers([str(none)])
        include = tmp_path / "include"
        include.mkdir()
        (include / "Python.h").touch()
        for version, suffix in (("3 11", ".cpython-311.so"), ("3 12", ".abi3.so"), ("3 14", ".abi3.so")):
            python = tmp_path / version.replace(" ", ".")
            python.write_text(f"#!/bin/sh\necho {version} {include} x86_64-linux-gnu\n", encoding="utf-8")
            python.chmod(0o755)
            assert build.headers([str(python)]) == {suffix: (include, "x86_64-linux-gnu")}

    def test_a_machine_without_an_engine_is_told_so(self, modules, monkeypatch, tmp_path):
        _, _, build = modules
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(build.BuildError, match="docker, podman or buildah"):
            build.engine()

    def test_the_bill_of_materials_names_what_is_linked_in(self, modules, tmp_path):
        _, _, build = modules
        packages = tmp_path / "packages.txt"
        packages.write_text("libopenblas-openmp-dev 0.3.13 arm64\nlibgomp1 10.2 arm64\n", encoding="utf-8")
        bill = json.loads(json.dumps(build.bill_of_materials(packages)))
        assert [each["name"] for each in bill["components"]] == ["caffe", "libopenblas-openmp-dev", "libgomp1"]
        assert bill["components"][1]["purl"] == "pkg:deb/debian/libopenblas-openmp-dev@0.3.13?arch=arm64"
        assert bill["components"][0]["hashes"][0]["content"].startswith("e0eb3f06")


def test_the_packages_that_a_bill_lists_are_installed():
    """compile.sh asks dpkg for their versions; one that packages.sh only unpacks is unknown to it."""
    text = (PYCAFFE / "wheels" / "packages.sh").read_text(encoding="utf-8").replace("\\\n", " ")
    install = " ".join(re.findall(r"apt-get install (.*)", text))
    query = (PYCAFFE / "wheels" / "compile.sh").read_text(encoding="utf-8").partition("dpkg-query")[2]
    listed = set(re.findall(r"\b(?:lib[\w.-]+|zlib1g-dev)", query))
    assert len(listed) == 8
    assert listed - set(re.findall(r"[\w.-]+", install)) == {"libgomp1"}, "which the compiler brings"


def test_the_recipe_leaves_out_what_changes_no_wheel(modules):
    recipe, _, _ = modules
    names = set(recipe.files())
    assert {"CMakeLists.txt", "binding/net.cpp", "compat/cuda/cudnn.h", "layers/lrn.inl"} <= names
    assert not names & {"wheel.py", "README.md", "wheels/build.py", "wheels/Dockerfile"}
    assert len({recipe.digest(kind) for kind in ("cpu", "cuda", "emulated")}) == 3


BACK_END = """
from pathlib import Path
def prepare_metadata_for_build_wheel(folder):
    Path(folder, "a.dist-info").mkdir(parents=True)
    return "a.dist-info"
"""


def test_a_wheel_is_described_in_a_folder_with_a_relative_path(modules, tmp_path, monkeypatch):
    (tmp_path / "scikit_build_core").mkdir()
    (tmp_path / "scikit_build_core" / "build.py").write_text(BACK_END)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert modules[2].metadata(Path("tree")).is_dir()
