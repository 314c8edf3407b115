"""The benchmarks run, at small sizes, and what was committed of them is what they measured."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import caffe
import numpy as np
import pytest

from benchmarks import report
from benchmarks.work import QUICK, Work
from deepdream.zoo import registry

ROOT = Path(__file__).resolve().parent.parent
COMMITTED = [ROOT / "benchmarks", ROOT / "benchmarks" / "avx2"]


@pytest.fixture(params=COMMITTED, ids=lambda folder: folder.name)
def committed(request):
    """(results, the text of their tables) as they were committed."""
    texts = [(request.param / name).read_text(encoding="utf-8") for name in ("results.json", "results.md")]
    return json.loads(texts[0]), texts[1]


@pytest.fixture(scope="module")
def quick(tmp_path_factory, squeezenet_file):
    """The folder that a quick run of everything fills."""
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "benchmarks", "--quick", "--model", "squeezenet_v1.1", "-o", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_part_is_measured(quick):
    results = json.loads((quick / "results.json").read_text(encoding="utf-8"))
    names = set(results["dreams"]["seconds"])
    assert {"deepdream", "2015"} <= names
    assert ("PyTorch" in names) == bool(importlib.util.find_spec("torch"))
    assert all(0 < seconds < 60 for times in results["dreams"]["seconds"].values() for seconds in times)
    assert len(results["sizes"]) == 2 * len(QUICK.megapixels)
    assert all(row["peak"] > 50 * 2**20 and row["seconds"] > 0 for row in results["sizes"])
    assert list(results["threads"]) == ["1"]
    assert all(0 < seconds < 60 for seconds in results["start"])
    assert all(0 < seconds < 60 for times in results["nets"].values() for seconds in times)
    forward = results["forward"]
    assert ("ONNX Runtime" in forward["seconds"]) == bool(importlib.util.find_spec("onnxruntime"))
    assert all(0 < seconds < 60 for times in forward["seconds"].values() for seconds in times)
    assert max(forward["differences"].values()) < 1e-5
    assert {"Convolution", "Pooling"} <= {layer["type"].removeprefix("Fast") for layer in results["layers"]}


def test_all_contenders_compute_the_same_gradient(quick):
    differences = json.loads((quick / "results.json").read_text(encoding="utf-8"))["dreams"]["differences"]
    assert max(differences.values()) < 1e-4
    if "FastConvolution" in caffe.layer_type_list():
        assert differences["2015"] > 0, "stock Caffe rounds differently; is it our own layers that were compared?"


def test_the_report_names_what_was_measured(quick):
    text = (quick / "results.md").read_text(encoding="utf-8")
    for heading in ("The dream", "The forward pass alone", "Two networks", "Threads", "Sizes", "Layers"):
        assert f"## {heading}" in text
    assert "ours / 2015" in text and "160×120 pixels" in text


def test_multiplications_are_counted_as_by_hand(tmp_path, squeezenet_file):
    work = Work(tmp_path, registry.find_model("squeezenet_v1.1"), QUICK)
    # conv1: 64 filters of 3×3×3, stride 2, on 160×120 -> 79×59
    assert work.flops()["conv1"] == 2 * 64 * 27 * 79 * 59
    # fire2/expand3x3: 64 filters of 16×3×3, padded, after a 3×3 pool of stride 2 (rounded up): 39×29
    assert work.flops()["fire2/expand3x3"] == 2 * 64 * 16 * 9 * 39 * 29
    at_full_size = sum(work.flops().values()) * 2 * QUICK.iter_n
    assert at_full_size * (1 + 1 / 1.4**2) == pytest.approx(work.dream_flops(), rel=0.1)


def test_the_memory_asked_for_is_seen():
    code = "import numpy; numpy.ones(2**25); from benchmarks import contender; print(contender.peak_bytes())"
    held = int(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT))
    assert 2**28 <= held < 2**28 + 150 * 2**20


def test_the_committed_tables_are_those_of_the_committed_results(committed):
    results, tables = committed
    assert tables == report.tables(results)


def test_the_committed_results_keep_the_limits(committed):
    facts = report.facts(committed[0])
    assert {"ours / 2015", "ours / fastest other framework", "ours / sgemm limit"} <= set(facts)
    for what, (value, limit, _, _) in facts.items():
        assert value <= limit, f"{what}: {value:.3g} > {limit:.3g}"


def test_the_committed_contenders_computed_the_same(committed):
    """Where two values in a max-pool's window differ in the last bits only, rounding picks another winner."""
    assert max(committed[0]["dreams"]["differences"].values()) < 1e-2


def test_the_plot_is_small_and_says_what_it_shows(quick):
    if not importlib.util.find_spec("matplotlib"):
        pytest.skip("matplotlib is not installed (the extra `bench`)")
    text = (quick / "bench.svg").read_text(encoding="utf-8")
    assert len(text) < 150_000
    assert "dream" in text


def test_the_2015_algorithm_is_the_release_s(tmp_path):
    """What a step of the release is, on a network whose gradient is known: the picture itself."""
    from types import SimpleNamespace

    from benchmarks import release

    class Identity:
        def __init__(self):
            blob = SimpleNamespace(data=np.zeros((1, 3, 1, 1), np.float32), diff=np.zeros((1, 3, 1, 1), np.float32))
            blob.reshape = self.reshape
            self.blobs = {"data": blob}

        def reshape(self, *shape):
            self.blobs["data"].data, self.blobs["data"].diff = np.zeros((2, *shape), np.float32)

        def forward(self, end):
            pass

        def backward(self, start):
            pass

    picture = np.random.RandomState(0).rand(40, 60, 3).astype(np.float32) * 255
    mean = np.float32([104, 116, 122])
    found = release.deepdream(Identity(), picture, mean, "data", iter_n=1, octave_n=1)
    signal = picture - mean[::-1]
    expected = np.clip(signal * (1 + 1.5 / np.abs(signal).mean()) + mean[::-1], 0, 255)
    assert np.abs(found - expected).max() < 1e-3
