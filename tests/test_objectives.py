"""Objectives other than the release's L2, and several layers at once."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import caffe
import numpy as np
import pytest
from conftest import assert_is_the_gradient, assert_rises, noise, set_picture
from threadpoolctl import threadpool_info, threadpool_limits

import deepdream as dd
from deepdream import blas, features, guide, memory, objectives, pictures
from deepdream.ends import resolve_end

QUICK = {"iter_n": 2, "octave_n": 2}
SEVERAL = {"conv1": 0.5, "left": 2, "right": -1, "both": 1}


# Channels


@pytest.mark.parametrize("indices", [2, [0, 3], np.array([1, 1]), range(4)])
def test_channels_raise_the_sum_of_their_activations(tiny, indices):
    objective = dd.channels(indices)
    assert_is_the_gradient(tiny, "both", objective)
    set_picture(tiny, noise(20, 26))
    tiny.forward(end="both")
    chosen = sorted(set(np.ravel(indices).tolist()))
    assert objective(tiny.blobs["both"]) == pytest.approx(tiny.blobs["both"].data[0, chosen].sum(), rel=1e-5)
    assert objective.spec == {"objective": "channels", "indices": chosen}


def test_a_channel_rises_in_a_dream(squeezenet, sky):
    assert_rises(squeezenet, sky, "fire6/concat", iter_n=4, octave_n=2, objective=dd.channels(200))


@pytest.mark.parametrize("indices", [-1, [], "3", [1, -2], 1.5, [True], None, ["a"]])
def test_what_is_no_channel_is_refused(indices):
    with pytest.raises(dd.ParameterError, match="channels are whole numbers from 0"):
        dd.channels(indices)


def test_a_channel_that_the_layer_lacks_is_refused_before_the_first_step(tiny, sky):
    with pytest.raises(dd.LayerError, match=r"there is no channel 8: 'both' has 8 channels, 0 to 7"):
        dd.dream_steps(tiny, sky, objective=dd.channels([1, 8]))
    dd.deepdream(tiny, sky, objective=dd.channels([1, 7]), **QUICK)
    with pytest.raises(dd.LayerError, match="no channel 8: the layer has 8 channels"):
        dd.channels(8)(tiny.blobs["both"])


# Labels


def test_a_label_raises_its_score_alone(tiny):
    objective = dd.label(tiny, "c")
    assert objective.end == "score" and objective.spec == {"objective": "label", "label": "c", "index": 2}
    assert_is_the_gradient(tiny, "score", objective)
    assert np.array_equal(tiny.blobs["score"].diff.ravel(), [0, 0, 1, 0, 0])


@pytest.mark.parametrize(("name", "index"), [
    ("tench, Tinca tinca", 0), ("TENCH", 0), (" tinca  Tinca ", 0), ("crane", None), ("maillot", 3), ("tank suit", 4),
    (2, 2), (np.int64(2), 2), ("2", 2)])
def test_labels_are_found_by_any_of_their_names(tiny, name, index):
    tiny.labels = ["tench, Tinca tinca", "crane", "crane", "maillot", "maillot, tank suit"]
    if index is None:
        with pytest.raises(dd.ParameterError, match=r"2 labels are called 'crane'; give a number .*1 \(crane\), 2"):
            dd.label(tiny, name)
    else:
        assert dd.label(tiny, name).spec["index"] == index


@pytest.mark.parametrize(("name", "reason"), [
    ("bananna", "the network knows no 'bananna'; did you mean 'banana'"),
    ("zzz", "the network knows no 'zzz'; it knows, for instance, 'tench'"),
    ("", "the network knows no ''; it knows"), (1000, "1000 is no label: .* 0 to 999"), (-1, "-1 is no label"),
    (True, "True is no label"), (None, "None is no label"), ("1000", "1000 is no label")])
def test_unknown_labels_are_refused_with_the_closest(squeezenet, name, reason):
    with pytest.raises(dd.ParameterError, match=reason):
        dd.label(squeezenet, name)


def test_labels_of_the_networks_there_are(squeezenet):
    starfish = dd.label(squeezenet, "Starfish")
    assert starfish.end == "pool10"
    assert starfish.spec == {"objective": "label", "label": "starfish, sea star", "index": 327}


def test_googlenets_score_layer(googlenet, sky):
    banana = dd.label(googlenet, "banana")
    assert banana.end == "loss3/classifier" and banana.spec["index"] == 954
    assert_rises(googlenet, sky, None, iter_n=3, octave_n=2, objective=banana)


def test_a_network_without_a_classifier_has_no_labels(tiny, tiny_prototxt):
    tiny.labels = ["a"]
    with pytest.raises(dd.ModelError, match="5 scores and 1 labels"):
        dd.label(tiny, "a")
    text = tiny_prototxt.read_text(encoding="utf-8")
    tiny_prototxt.write_text(text[:text.index('layer { name: "prob"')], encoding="utf-8")
    with pytest.raises(dd.ModelError, match="no softmax"):
        dd.label(dd.Net(tiny_prototxt, None, (104, 117, 123), "both", labels=["a"] * 5), "a")


# Guides


def release_guide(features_of_guide, dst):
    """The release's objective, spelled out in NumPy: (diff, the largest dot product of each place)."""
    x = dst.data[0].reshape(len(dst.data[0]), -1)
    y = features_of_guide.reshape(len(features_of_guide), -1)
    products = x.T.dot(y)
    return y[:, products.argmax(1)].reshape(dst.data[0].shape), products.max(1)


def test_guided_equals_the_release_spelled_out(tiny, sky):
    flowers = dd.picture("cat")[40:101, 60:141]
    set_picture(tiny, dd.preprocess(tiny, flowers))
    expected_features = tiny.forward(end="both")["both"][0].copy()
    objective = dd.guided(tiny, flowers, "both")
    assert objective.end == "both"
    set_picture(tiny, dd.preprocess(tiny, sky))
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
        monkeypatch.setattr(guide, "_PLACES", places)
        monkeypatch.setattr(guide, "_GUIDE_PLACES", guide_places)
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
        done = subprocess.run([sys.executable, "-c", MATCHES, *map(str, threads)], env={**environment, **more},
                              capture_output=True, text=True)
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


def test_what_fails_in_a_match_is_raised_and_leaves_blas_as_it_was():
    before = [each["num_threads"] for each in threadpool_info()]
    with pytest.raises(ZeroDivisionError):
        blas.map_products(lambda item: 1 / item, [1, 2, 0, 4])
    assert [each["num_threads"] for each in threadpool_info()] == before


def test_the_value_of_l2_does_not_depend_on_the_number_of_threads():
    data = np.random.RandomState(0).normal(size=(1, 64, 90, 110)).astype(np.float32)
    blob = type("Blob", (), {"data": data, "diff": np.zeros_like(data)})
    found = set()
    for threads in 1, 2, 3, 8:
        with threadpool_limits(threads, user_api="blas"):
            found.add(dd.objective_L2(blob))
    assert len(found) == 1
    assert found.pop() == pytest.approx(0.5 * np.sum(np.square(data, dtype=np.float64)), rel=1e-12)


def test_a_guide_leaves_no_trace_in_other_dreams(tiny, squeezenet, sky):
    expected = dd.deepdream(tiny, sky, **QUICK, seed=1)
    for _ in range(2):
        dd.guided(tiny, sky[:33, :47], "left")
        assert np.array_equal(dd.deepdream(tiny, sky, **QUICK, seed=1), expected)


def test_a_guide_is_seen_by_the_layers_it_was_made_for(tiny, sky):
    objective = dd.guided(tiny, sky, "left")
    assert objective.spec == {"objective": "guided", "guide_sha256": pictures.picture_sha256(sky)}
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


# A guide in pieces


@pytest.mark.skipif("FastConvolution" not in caffe.layer_type_list(),
                    reason="this Caffe's convolution rounds differently in a picture of another size")
@pytest.mark.parametrize("size", [(180, 320), (203, 165), (161, 300)])
@pytest.mark.parametrize(("end", "piece"), [("conv1/7x7_s2", 40), ("pool2/3x3_s2", 7), ("inception_3b/output", 5),
                                            ("inception_4a/1x1", 3)])
def test_features_in_pieces_equal_the_whole_pass(googlenet, sky, size, end, piece, monkeypatch):
    picture = np.pad(sky, ((0, 120), (0, 160), (0, 0)), "reflect")[:size[0], :size[1]]
    whole = features.features(googlenet, picture, end)
    calls = []
    monkeypatch.setattr(features, "_piece", lambda *_: calls.append(1) or piece)
    assert np.array_equal(features.features(googlenet, picture, end, budget=0), whole)
    assert calls


def test_features_in_pieces_on_upstreams_layers(squeezenet_file, sky, monkeypatch):
    net = dd.load("squeezenet_v1.1", fast=False)
    whole = features.features(net, sky, "fire5/concat")
    monkeypatch.setattr(features, "_piece", lambda *_: 2)
    assert np.abs(features.features(net, sky, "fire5/concat", budget=0) - whole).max() < 1e-4 * whole.max()


def test_a_layer_that_sees_all_at_once_is_not_cut(tiny, sky):
    assert features.features(tiny, sky, "score", budget=0).shape == (5,)
    assert features.features(tiny, sky, "both", budget=0).shape == (8, 22, 40)


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


# Several layers


def separate_gradients(net, picture, ends, objective):
    """The weighted sums of each layer's own gradient, from a pass of its own, and of what the objective returned."""
    total, values = np.zeros(picture.shape), 0.0
    for layer, weight in ends.items():
        set_picture(net, picture)
        gradient, value = net.input_gradient(layer, objective[layer] if isinstance(objective, dict) else objective)
        total += weight * gradient.astype(np.float64)
        values += weight * value
    return total, values


def assert_sums(net, picture, ends, objective):
    expected, value = separate_gradients(net, picture, ends, objective)
    for _ in range(3):  # leftovers would show from the second time on
        set_picture(net, picture)
        found, raised = net.input_gradient(ends, objective)
        assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
        assert raised == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("ends", [SEVERAL, {"both": 1, "conv1": 1}, {"right": 1, "left": 1}, {"left": 3}])
def test_several_layers_equal_separate_passes(tiny, ends):
    assert_sums(tiny, noise(40, 51), ends, dd.objective_L2)


@pytest.mark.parametrize("fast", [True, False])
def test_several_layers_equal_separate_passes_on_googlenet(googlenet_weights, fast):
    """Branches beside each other and layers before their in-place ReLU, with both kinds of layers."""
    net = dd.load("bvlc_googlenet", fast=fast)
    picture = noise(120, 97)
    ends = {"inception_3a/5x5_reduce": 1, "inception_3a/1x1": 0.3, "inception_3b/output": 2, "conv2/3x3": 0.1,
            "inception_4a/3x3": 1, "inception_4a/pool_proj": 5}
    assert_sums(net, picture, ends, dd.objective_L2)
    objective = {layer: dd.channels([i, 5]) if i % 2 else dd.objective_L2 for i, layer in enumerate(ends)}
    assert_sums(net, picture, ends, objective)
    set_picture(net, picture)
    alone, _ = net.input_gradient("inception_3b/output", dd.objective_L2)
    expected = dd.load("bvlc_googlenet", fast=fast)
    set_picture(expected, picture)
    assert np.array_equal(alone, expected.input_gradient("inception_3b/output", dd.objective_L2)[0])


def test_objectives_see_values_before_an_in_place_relu(tiny):
    seen = {}

    def look(dst):
        seen[dst.shape[1]] = dst.data.min()
        return dd.objective_L2(dst)

    set_picture(tiny, noise(40, 51))
    tiny.input_gradient({"both": 1, "conv1": 1}, look)
    assert seen[6] < 0, "conv1's ReLU must not have run when its objective is called"


def test_a_dream_of_several_layers(tiny, sky):
    dream = dd.deepdream(tiny, sky, end=SEVERAL, **QUICK, seed=1)
    assert np.array_equal(dd.deepdream(tiny, sky, end=dict(reversed(SEVERAL.items())), **QUICK, seed=1), dream)
    assert np.array_equal(dd.deepdream(tiny, sky, end={"both": 1}, **QUICK, seed=1),
                          dd.deepdream(tiny, sky, end="both", **QUICK, seed=1))
    dd.deepdream(tiny, sky, end="left", **QUICK)
    assert np.array_equal(dd.deepdream(tiny, sky, end=SEVERAL, **QUICK, seed=1), dream)
    assert np.array_equal(dd.deepdream(tiny, sky, end=SEVERAL, **QUICK, seed=1, tile=160), dream)
    assert not np.array_equal(dd.deepdream(tiny, sky, end=SEVERAL, **QUICK, seed=1, tile=80), dream)


def test_the_sum_of_several_layers_rises(squeezenet, sky):
    ends = {"fire3/concat": 1, "fire6/concat": 5}
    assert_rises(squeezenet, sky, ends, iter_n=4, octave_n=2)
    assert_rises(squeezenet, sky, ends, iter_n=4, octave_n=2, tile=80)


def test_make_step_of_several_layers(tiny, sky):
    set_picture(tiny, dd.preprocess(tiny, sky))
    value = dd.make_step(tiny, end=SEVERAL, rng=np.random.RandomState(6))
    made = dd.deprocess(tiny, tiny.input.data[0])
    first = next(iter(dd.dream_steps(tiny, sky, end=SEVERAL, octave_n=1, seed=6)))
    assert np.array_equal(made, first.image)
    assert value == first.objective


def test_a_guide_for_each_of_several_layers(tiny, sky):
    guides = dd.guided(tiny, sky[:40, :50], {"both": 0.5, "conv1": 1})
    assert list(guides) == ["both", "conv1"] and guides["conv1"].end == "conv1"
    assert guides.end == {"both": 0.5, "conv1": 1}
    assert_sums(tiny, noise(40, 51), {"conv1": 1, "both": 0.5}, guides)
    assert resolve_end(tiny, None, guides) == {"conv1": 1, "both": 0.5}
    dream = dd.deepdream(tiny, sky, objective=guides, **QUICK, seed=1)
    assert np.array_equal(dd.deepdream(tiny, sky, end={"conv1": 1, "both": 0.5}, objective=dict(guides), **QUICK,
                                       seed=1), dream)


def test_a_step_is_without_a_value_if_one_objective_has_none(tiny, sky):
    def silent(dst):
        dst.diff[...] = dst.data

    step = next(iter(dd.dream_steps(tiny, sky, objective={"left": dd.objective_L2, "right": silent}, octave_n=1)))
    assert np.isnan(step.objective)


@pytest.mark.parametrize(("end", "objective", "error", "reason"), [
    ({}, dd.objective_L2, dd.LayerError, "must name at least one layer"),
    ([], dd.objective_L2, dd.LayerError, r"end=\[\]: it must be a layer's name, or layers with weights"),
    (3, dd.objective_L2, dd.LayerError, "end=3: it must be"),
    ("left", "L2", dd.LayerError, "the objective for 'left' is 'L2'; it must be callable"),
    ({"left": 1, "lift": 1}, dd.objective_L2, dd.LayerError, "no layer 'lift' to dream; did you mean left"),
    ({"left": 0}, dd.objective_L2, dd.ParameterError, "the weight of 'left' is 0; it must be a finite number other"),
    ({"left": float("nan")}, dd.objective_L2, dd.ParameterError, "the weight of 'left' is nan"),
    ({"left": "1"}, dd.objective_L2, dd.ParameterError, "the weight of 'left' is '1'"),
    ({"left": True}, dd.objective_L2, dd.ParameterError, "the weight of 'left' is True"),
    ({"left": 1, "right": 1}, {"left": dd.objective_L2}, dd.LayerError, "end is 'left' and 'right' but the objective "
                                                                        "was made for 'left'"),
    ("right", {"left": dd.objective_L2}, dd.LayerError, "end is 'right' but the objective was made for 'left'"),
    ({"left": 1, "both": 1}, dd.channels(5), dd.LayerError, "no channel 5: 'left' has 4 channels, 0 to 3"),
])
def test_ends_and_objectives_that_do_not_fit_are_refused_before_the_first_step(tiny, sky, end, objective, error,
                                                                               reason):
    with pytest.raises(error, match=reason):
        dd.dream_steps(tiny, sky, end=end, objective=objective)


def test_an_objective_in_a_mapping_must_stand_at_its_own_layer(tiny, sky):
    with pytest.raises(dd.LayerError, match="the objective for 'left' was made for 'right'"):
        dd.dream_steps(tiny, sky, objective={"left": dd.guided(tiny, sky, "right")})


def test_a_label_among_several_layers(squeezenet, sky):
    ends = {"fire6/concat": 0.01, "pool10": 1}
    objective = {"fire6/concat": dd.objective_L2, "pool10": dd.label(squeezenet, "banana")}
    assert_rises(squeezenet, sky, ends, iter_n=3, octave_n=1, objective=objective)
    with pytest.raises(dd.LayerError, match="end is 'fire6/concat' but the objective was made for 'pool10'"):
        dd.dream_steps(squeezenet, sky, end="fire6/concat", objective=dd.label(squeezenet, "banana"))


def test_memory_for_several_layers_is_that_of_the_deepest_and_of_what_is_kept(tiny):
    deepest = memory.gradient_bytes(tiny, "both", 90, 160)
    assert memory.gradient_bytes(tiny, {"both": 1}, 90, 160) == deepest
    assert memory.gradient_bytes(tiny, {"conv1": 1, "both": 1}, 90, 160) == deepest + 4 * 6 * 45 * 80
    assert memory.gradient_bytes(tiny, "both", 90, 160, backward=False) < deepest


def test_octaves_too_small_for_the_deepest_of_several_layers_are_refused(squeezenet):
    with pytest.raises(dd.ImageError, match="16×16 pixels are too few to dream 'fire2/concat' and 'fire8/concat'"):
        dd.dream_steps(squeezenet, np.zeros((16, 16, 3)), octave_n=1, end={"fire2/concat": 1, "fire8/concat": 1})


# Objectives as data


def test_objectives_are_made_again_from_their_specs(tiny, sky):
    mapping = {"left": dd.channels(3), "both": dd.guided(tiny, sky[:40], "both")}
    for objective in (dd.objective_L2, dd.channels([3, 1]), dd.label(tiny, "b"), dd.guided(tiny, sky[:40], "left"),
                      mapping, dd.guided(tiny, sky[:40], {"left": 1, "both": 1})):
        spec, end = dd.spec_of(objective), resolve_end(tiny, None, objective)
        again = dd.objective_from_spec(tiny, spec, end, sky[:40])
        assert dd.spec_of(again) == spec
        assert np.array_equal(dd.deepdream(tiny, sky, end=end, objective=again, **QUICK, seed=0),
                              dd.deepdream(tiny, sky, end=end, objective=objective, **QUICK, seed=0))


@pytest.mark.parametrize("spec", [None, {}, {"objective": "L3"}, {"objective": "channels"}, {"objective": "layers"},
                                  {"objective": "layers", "layers": [1]}, "L2"])
def test_what_describes_no_objective_is_refused(tiny, spec):
    with pytest.raises(dd.ParameterError, match="describes no objective"):
        dd.objective_from_spec(tiny, spec)


def test_a_guided_spec_needs_its_guide(tiny):
    with pytest.raises(dd.ParameterError, match="guided by a picture; pass it as guide"):
        dd.objective_from_spec(tiny, {"objective": "guided", "guide_sha256": "0"}, "left")


def test_other_peoples_objectives_have_no_spec(tiny):
    assert dd.spec_of(lambda dst: None) is None
    assert dd.spec_of({"left": dd.objective_L2, "right": lambda dst: None}) is None
    assert objectives.objective_L2.spec == {"objective": "L2"}


# What is no objective, and what overflows


@pytest.mark.parametrize("objective", [None, {"both": None}, {"both": 3}])
def test_what_is_no_objective_is_refused_before_the_first_step(tiny, sky, objective):
    for begin in (lambda: dd.dream_steps(tiny, sky, objective=objective, **QUICK),
                  lambda: dd.make_step(tiny, objective=objective)):
        with pytest.raises(dd.LayerError, match=r"the objective for 'both' is (None|3); it must be callable"):
            begin()


@pytest.mark.parametrize("value", ["x", "1", b"1", [1], {}, np.ones(2), 1j, 10**400])
def test_an_objective_that_returns_no_number_is_refused(tiny, sky, value):
    def strange(dst):
        dst.diff[...] = dst.data
        return value

    for objective, end in ((strange, None), ({"conv1": dd.objective_L2, "both": strange}, None)):
        with pytest.raises(dd.LayerError, match=r"the objective for 'both' returned .*; it must return a number, or"):
            dd.deepdream(tiny, sky, objective=objective, end=end, **QUICK)


@pytest.mark.parametrize("value", [None, 1, np.float32(1), np.ones(1), True])
def test_an_objective_may_return_any_number_or_none(tiny, sky, value):
    def plain(dst):
        dst.diff[...] = dst.data
        return value

    steps = list(dd.dream_steps(tiny, sky, objective=plain, **QUICK))
    assert all(np.isnan(step.objective) if value is None else step.objective == 1 for step in steps)


@pytest.mark.parametrize("weight", [1e40, -1e308, 10**400, float("inf")])
def test_a_weight_that_float32_cannot_hold_is_refused(tiny, sky, weight):
    with pytest.raises(dd.ParameterError, match=r"the weight of 'both' is .*, from -3\.4e\+38 to 3\.4e\+38"):
        dd.deepdream(tiny, sky, end={"both": weight, "left": 1}, **QUICK)


def test_what_overflows_is_an_error_and_no_warning(tiny, sky):
    """Warnings are errors here."""
    def overflowing(dst):
        dst.data[...] *= np.float32(1e38)
        dst.data[...] *= np.float32(1e38)
        return dd.objective_L2(dst)

    with pytest.raises(dd.LayerError, match="the gradient at 'both' is not finite"):
        dd.deepdream(tiny, sky, objective=overflowing, **QUICK)
    with pytest.raises(dd.LayerError, match="is not finite"):
        dd.deepdream(tiny, sky, end={"both": 3e38, "left": 3e38}, **QUICK)
