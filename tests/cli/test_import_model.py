"""`deepdream import`."""

import os
import pickle

import h5py
import numpy as np
import pytest
from helpers import files_below
from state_dicts import write_pth

from deepdream.zoo.importing.architectures import ARCHITECTURES


@pytest.fixture
def alexnet(tmp_path):
    """A file of a thin AlexNet with random weights."""
    shapes = {"features.0": (4, 3, 11, 11), "features.3": (4, 4, 5, 5)}
    shapes.update({f"features.{index}": (4, 4, 3, 3) for index in (6, 8, 10)})
    random = np.random.RandomState(0)
    arrays = {}
    for name, shape in shapes.items():
        arrays[f"{name}.weight"] = random.standard_normal(shape).astype(np.float32)
        arrays[f"{name}.bias"] = random.standard_normal(shape[0]).astype(np.float32)
    return write_pth(tmp_path / "thin.pth", arrays)


def test_an_imported_network_dreams(tmp_path, run, alexnet):
    folder = tmp_path / "mine"
    options = ["--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5", "--end", "conv2", "--title", "Mine", "--licence", "MIT"]
    code, out, err = run("import", alexnet, "--to", folder, "--architecture", "alexnet", *options)
    assert (code, out) == (0, f"{folder}\n"), err
    assert "AlexNet in torchvision's form, with no classifier; mean (0.5, 0.5, 0.5), as in the training (torch)" in err
    toml = (folder / "model.toml").read_text(encoding="utf-8")
    for line in ('title = "Mine"', "mean = [127.5, 127.5, 127.5]", 'end = "conv2"', 'licence = "MIT"', '"conv5" = ""'):
        assert line in toml
    code, out, err = run("layers", "--model", folder)
    assert code == 0, err
    assert out.splitlines()[1].startswith("* conv2 ")
    picture = tmp_path / "dream.png"
    dream = ["dream", "cat", "--model", folder, "--max-size", "120", "--iters", "1", "--octaves", "1", "-o", picture]
    assert run(*dream)[:2] == (0, f"{picture}\n")


@pytest.mark.parametrize(
    "options, says",
    [
        (["--mean", "1,2"], "--mean 1,2: must be three numbers"),
        (["--std", "a,b,c"], "--std a,b,c: must be three numbers"),
        (["--architecture", "resnet"], "there are alexnet"),
        (["--input", "keras"], "must be torch or caffe"),
        (["--end", "conv9"], "did you mean conv"),
    ],
)
def test_bad_options(tmp_path, run, alexnet, options, says):
    code, out, err = run("import", alexnet, "--to", tmp_path / "mine", *options)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert says in err
    assert files_below(tmp_path) == ["thin.pth"]


def test_a_pickle_that_would_run_a_command(tmp_path, run):
    class Runs:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/mark",)

    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Runs(), 2))
    code, out, err = run("import", path, "--to", tmp_path / "mine")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert f"{os.system.__module__}.system" in err
    assert files_below(tmp_path) == ["evil.pth"]


def test_weights_of_keras(tmp_path, run):
    """Of a thin VGG-16 without its connected layers; the mean is Keras's own, unless another is given."""
    path = tmp_path / "vgg.h5"
    with h5py.File(path, "w") as file:
        inputs = 3
        for block, count in enumerate((2, 2, 3, 3, 3), 1):
            for number in range(1, count + 1):
                name = f"block{block}_conv{number}"
                file[f"{name}/{name}_W_1:0"] = np.ones((3, 3, inputs, 2), np.float32)
                file[f"{name}/{name}_b_1:0"] = np.zeros(2, np.float32)
                inputs = 2
    for options, mean in (([], "103.939, 116.779, 123.68"), (["--mean", "1,2,3"], "1.0, 2.0, 3.0")):
        folder = tmp_path / f"vgg{len(options)}"
        code, out, err = run("import", path, "--to", folder, *options)
        assert (code, out) == (0, f"{folder}\n"), err
        assert "VGG-16 in Keras's form, with no classifier" in err
        assert f"mean = [{mean}]" in (folder / "model.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name, says", [("net.onnx", "ONNX is not read"), ("net.keras", "a whole model is not read")])
def test_other_formats_are_refused_in_a_line_that_names_those_that_are_read(tmp_path, run, name, says):
    (tmp_path / name).write_bytes(b"\x08\x07\x12\x07pytorch")
    code, out, err = run("import", tmp_path / name, "--to", tmp_path / "mine")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert says in err
    assert "read are .pth and .pt (torch.save), .safetensors, and .h5 (Keras)" in err
    assert files_below(tmp_path) == [name]


def test_the_help_names_the_networks(run):
    code, out, _ = run("import", "--help")
    assert code == 0
    words = " ".join(out.split())
    assert all(name in words for name in ARCHITECTURES)
