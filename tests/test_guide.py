"""Guided dreams: the release's objective against the same spelled out in NumPy, and bounded memory."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_is_the_gradient, assert_rises, set_image
from threadpoolctl import threadpool_info

import deepdream as dd
from deepdream import guide
from deepdream.io.arrays import image_sha256

QUICK = {"iter_n": 2, "octave_n": 2}


def release_guide(features_of_guide, dst):
    """The release's objective, spelled out in NumPy: (diff, the largest dot product of each place)."""
    x = dst.data[0].reshape(len(dst.data[0]), -1)
    y = features_of_guide.reshape(len(features_of_guide), -1)
    products = x.T.dot(y)
    return y[:, products.argmax(1)].reshape(dst.data[0].shape), products.max(1)


def test_guided_equals_the_release_spelled_out(tiny, sky):
    flowers = dd.picture("cat")[40:101, 60:141]
    set_image(tiny, dd.preprocess(tiny, flowers))
    expected_features = tiny.forward(end="both")["both"][0].copy()
    objective = dd.guided(tiny, flowers, "both")
    assert objective.end == "both"
    set_image(tiny, dd.preprocess(tiny, sky))
    tiny.forward(end="both")
    dst = tiny.blobs["both"]
    value = objective(dst)
    diff, largest = release_guide(expected_features, dst)
    assert np.array_equal(dst.diff[0], diff)
    assert value == pytest.approx(largest.sum(), rel=1e-6)
    assert len(np.unique(diff.reshape(8, -1), axis=1).T) > 2, "several features must win, or the test says little"


def test_guided_raises_the_largest_dot_products(tiny, squeezenet, sky):
    assert_is_the_gradient(tiny, "both", dd.guided(tiny, sky[:40, :40], "both"))
    cat = dd.guided(squeezenet, dd.picture("cat")[:200, :200], "fire6/concat")
    assert_rises(squeezenet, sky, None, iter_n=4, octave_n=2, objective=cat)


def test_matches_in_blocks_equal_the_whole_matrix(monkeypatch):
    rng = np.random.RandomState(0)
    y = rng.normal(size=(16, 1500)).astype(np.float32)
    y[:, 700:900] = y[:, 100:300]  # equal features: the first must win, in whichever block it lies
    blob = type("Blob", (), {"data": rng.normal(size=(1, 16, 33, 21)).astype(np.float32)})
    blob.shape, blob.diff = blob.data.shape, np.zeros_like(blob.data)
    diff, largest = release_guide(y, blob)
    for places, guide_places in ((1024, 4096), (64, 256), (128, 64)):
        monkeypatch.setattr(guide, "_POSITIONS", places)
        monkeypatch.setattr(guide, "_GUIDE_POSITIONS", guide_places)
        assert guide.best_matches(y)(blob) == pytest.approx(largest.sum(), rel=1e-6)
        assert np.array_equal(blob.diff[0], diff)
    blob.data[...] = -np.abs(blob.data)  # every product below that with the zeros that fill the last block up
    diff, largest = release_guide(np.abs(y), blob)
    assert largest.max() < 0
    guide.best_matches(np.abs(y))(blob)
    assert np.array_equal(blob.diff[0], diff)


MATCHES = """
import hashlib, sys, threading
import numpy as np
from threadpoolctl import threadpool_limits
from deepdream.guide import best_matches

def match(seed, channels, height, width, count):
    rng = np.random.RandomState(seed)
    guide = np.abs(rng.normal(size=(channels, count))).astype("f4")
    guide[:, count * 3 // 4:] = guide[:, :count - count * 3 // 4]  # equal features: the first must win
    data = np.abs(rng.normal(size=(1, channels, height, width))).astype("f4")
    blob = type("Blob", (), dict(data=data, shape=data.shape, diff=np.zeros_like(data)))
    return repr(best_matches(guide)(blob)), hashlib.sha256(blob.diff.tobytes()).hexdigest()

sizes = [(96, 37, 53, 5000), (512, 18, 21, 700), (512, 36, 64, 2304), (48, 5, 3, 4097), (832, 9, 16, 64),
         (192, 61, 1, 300), (256, 28, 28, 784), (480, 14, 30, 4096), (64, 40, 40, 9000), (513, 16, 16, 257)]
for seed, size in enumerate(sizes):
    found = set()
    for threads in map(int, sys.argv[1:]):
        with threadpool_limits(threads or None, user_api="blas"):
            found.add(match(seed, *size))
    assert len(found) == 1, (size, found)
    print(size, *found.pop())
assert threading.active_count() == 1
"""


@pytest.mark.parametrize("core", ["Haswell", "Zen", None])
def test_a_guided_dream_is_the_same_with_any_number_of_threads(core):
    """OpenBLAS's kernels for Haswell and Zen split a product otherwise for another number of threads."""
    if core and not runs_avx2():
        pytest.skip("this processor has no AVX2")
    environment = {**os.environ, **({"OPENBLAS_CORETYPE": core} if core else {})}

    def matches(*threads, **more):
        done = subprocess.run(
            [sys.executable, "-c", MATCHES, *map(str, threads)],
            env={**environment, **more},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    expected = matches(1, 2, 3, 4, 5, 6, 7, 8)
    assert expected.count("\n") == 10
    assert matches(0, OPENBLAS_NUM_THREADS="1") == expected  # as many as the environment says
    assert matches(0, OPENBLAS_NUM_THREADS="3") == expected


def runs_avx2():
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.is_file() and "avx2" in cpuinfo.read_text(encoding="utf-8")


def test_matches_in_two_threads_at_once_leave_blas_as_it_was():
    before = [each["num_threads"] for each in threadpool_info()]
    rng = np.random.RandomState(0)
    y = rng.normal(size=(64, 700)).astype(np.float32)

    def blob():
        data = np.random.RandomState(1).normal(size=(1, 64, 30, 30)).astype(np.float32)
        return type("Blob", (), {"data": data, "shape": data.shape, "diff": np.zeros_like(data)})

    objective, blobs = guide.best_matches(y), [blob() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        values = list(pool.map(objective, blobs))
    assert len(set(values)) == 1
    assert all(np.array_equal(each.diff, blobs[0].diff) for each in blobs)
    assert [each["num_threads"] for each in threadpool_info()] == before


def test_a_guide_leaves_no_trace_in_other_dreams(tiny, squeezenet, sky):
    expected = dd.deepdream(tiny, sky, **QUICK, seed=1)
    for _ in range(2):
        dd.guided(tiny, sky[:33, :47], "left")
        assert np.array_equal(dd.deepdream(tiny, sky, **QUICK, seed=1), expected)


@pytest.mark.usefixtures("squeezenet_file")
def test_a_guide_is_seen_by_the_layers_it_was_made_for(tiny, sky):
    objective = dd.guided(tiny, sky, "left")
    assert objective.spec == {"objective": "guided", "guide_sha256": image_sha256(sky)}
    assert dd.guided(tiny, sky).end == "both"
    with pytest.raises(dd.LayerError, match="end is 'right' but the objective was made for 'left'"):
        dd.dream_steps(tiny, sky, end="right", objective=objective)
    with pytest.raises(dd.LayerError, match="the guide's features have 4 channels, the layer has 8"):
        objective(tiny.blobs["both"])
    with pytest.raises(dd.LayerError, match="no layer 'lift' to dream; did you mean left"):
        dd.guided(tiny, sky, "lift")
    with pytest.raises(dd.ImageError):
        dd.guided(tiny, sky[..., 0], "left")
    with pytest.raises(dd.ImageError, match="2×2 pixels are too few for 'fire8/concat'"):
        dd.guided(dd.load("squeezenet_v1.1"), sky[:2, :2], "fire8/concat")


LARGE_GUIDE = """
import resource, sys
import numpy as np
import deepdream as dd
net = dd.load("bvlc_googlenet")
rng = np.random.RandomState(0)
large = np.kron(rng.uniform(0, 255, (150, 200, 3)), np.ones((10, 10, 1))).astype(np.float32)
assert large.shape == (1500, 2000, 3)
objective = dd.guided(net, large, "inception_4c/output")
dream = dd.deepdream(net, dd.picture("cat")[:120, :160], objective=objective, iter_n=1, octave_n=1, seed=0)
assert np.isfinite(dream).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def test_a_guide_of_2000x1500_stays_within_2_gib(googlenet_weights):
    done = subprocess.run([sys.executable, "-c", LARGE_GUIDE], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 2
