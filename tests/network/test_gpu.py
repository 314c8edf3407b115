"""What a GPU computes, against the same on the CPU. These tests run where there is a GPU, or an imitation of one."""

import threading

import caffe
import numpy as np
import pytest
import scipy.ndimage as nd
from helpers import correlation, set_image, why_no_gpu

import deepdream as dd
from deepdream.network import tiling

NO_GPU = why_no_gpu()

pytestmark = pytest.mark.skipif(NO_GPU is not None, reason=NO_GPU or "")
STEP = {"iter_n": 1, "octave_n": 1, "jitter": 5, "seed": 1}


@pytest.fixture
def on_cpu(tiny_model):
    return dd.load(tiny_model, fast=False)


@pytest.fixture(params=[True, False], ids=["our layers", "upstream's"])
def on_gpu(request, tiny_model):
    return dd.load(tiny_model, gpu=0, fast=request.param)


@pytest.fixture
def grained(sky):
    """A picture without equal pixels: where they tie in a max-pool, the last bits decide who wins."""
    return (sky + np.random.RandomState(0).uniform(-8, 8, sky.shape)).astype(np.float32)


@pytest.fixture
def planes():
    return np.random.RandomState(1).uniform(-150, 150, (3, 50, 71)).astype(np.float32)


def on(planes):
    return caffe._caffe.GpuPlanes(planes, 0)


# Images that stay on the GPU


def test_an_image_comes_back_as_it_was(planes):
    held = on(planes)
    assert held.shape == planes.shape and np.array_equal(held.numpy(), planes)


def test_what_comes_back_is_a_copy(planes):
    held = on(planes)
    held.numpy()[...] = 0
    assert np.array_equal(held.numpy(), planes)


def test_sums_and_differences_have_numpys_bits(planes):
    other = np.random.RandomState(2).uniform(-9, 9, planes.shape).astype(np.float32)
    assert np.array_equal((on(planes) + on(other)).numpy(), planes + other)
    assert np.array_equal((on(planes) - on(other)).numpy(), planes - other)


def test_a_scaled_gradient_is_rounded_before_it_is_added(planes):
    gradient = np.random.RandomState(2).uniform(-1e-3, 1e-3, planes.shape).astype(np.float32)
    held, factor = on(planes), np.float32(1 / 3)
    held.add_scaled(on(gradient), float(factor))
    assert np.array_equal(held.numpy(), planes + gradient * factor)


def test_each_plane_is_clipped_to_its_own_limits(planes):
    held, lower, upper = on(planes), [-100, -50, -1], [100, 0.5, 77]
    gradient, factor = planes[:, ::-1].copy(), np.float32(1 / 3)
    held.ascend(on(gradient), float(factor), lower, upper)
    limits = (np.float32(limit).reshape(3, 1, 1) for limit in (lower, upper))
    assert np.array_equal(held.numpy(), np.clip(planes + gradient * factor, *limits))


def test_the_mean_magnitude(planes):
    assert on(planes).mean_magnitude() == pytest.approx(np.abs(planes).mean(), rel=1e-5)


@pytest.mark.parametrize("shape", [(70, 99), (50, 71), (36, 51), (1, 1), (1, 90), (49, 72), (501, 13)])
def test_a_zoom_is_scipys(planes, shape):
    expected = nd.zoom(planes, (1, shape[0] / 50, shape[1] / 71), order=1)
    assert np.allclose(on(planes).zoom(*shape).numpy(), expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("top, left", [(0, 0), (7, -9), (-50, 71), (-49, 70), (123, -456)])
@pytest.mark.parametrize("shape", [(50, 71), (20, 71), (50, 1), (13, 29)])
def test_windows_wrap_around(planes, on_gpu, top, left, shape):
    held = on(planes)
    on_gpu.input.reshape(1, 3, *shape)
    held.read_window(top, left, on_gpu.input)
    rows, columns = (np.arange(top, top + shape[0]) % 50)[:, None], np.arange(left, left + shape[1]) % 71
    assert np.array_equal(on_gpu.input.data[0], planes[:, rows, columns])
    on_gpu.input.diff[...] = 1 - on_gpu.input.data
    held.write_window(top, left, on_gpu.input)
    planes[:, rows, columns] = 1 - planes[:, rows, columns]
    assert np.array_equal(held.numpy(), planes)


def test_what_does_not_fit_is_refused(planes, on_gpu):
    held, small = on(planes), on(planes[:, :9].copy())
    on_gpu.input.reshape(1, 3, 51, 71)
    for wrong in (
        lambda: held + small,
        lambda: held.add_scaled(small, 1.0),
        lambda: held.read_window(0, 0, on_gpu.input),
        lambda: held.write_window(0, 0, on_gpu.input),
        lambda: held.zoom(0, 5),
        lambda: held.ascend(held, 1.0, [0], [1]),
        lambda: held.ascend(small, 1.0, [0] * 3, [1] * 3),
    ):
        with pytest.raises(caffe.Error):
            wrong()
    assert np.array_equal(held.numpy(), planes)


# Gradients and dreams


def gradient(net, image, objective=dd.objective_L2):
    set_image(net, dd.preprocess(net, image))
    found, value = net.input_gradient(net.end, objective)
    return found.copy(), value


@pytest.mark.parametrize("size", [(32, 32), (90, 160), (61, 47)])
def test_the_gradient_is_the_cpus(on_cpu, on_gpu, grained, size):
    image = dd.resize(grained, *size)
    (expected, value), (got, on_gpus) = gradient(on_cpu, image), gradient(on_gpu, image)
    assert np.abs(got - expected).max() <= 1e-5 * np.abs(expected).max() > 0
    assert on_gpus == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("fast", [True, False], ids=["our layers", "upstream's"])
@pytest.mark.parametrize("size", [(64, 64), (90, 160), (121, 95)])
def test_the_gradient_of_a_large_network_is_the_cpus(googlenet_weights, grained, size, fast):
    """Where two values in a window of a max-pool are nearly equal, the last bits decide which gets the gradient."""
    image = dd.resize(grained, *size)
    nets = [dd.load("bvlc_googlenet", gpu=gpu, fast=fast) for gpu in (None, 0)]
    (expected, _), (got, _) = (gradient(net, image) for net in nets)
    activations = [net.blobs[net.end].data for net in nets]
    assert np.abs(activations[1] - activations[0]).max() <= 1e-5 * activations[0].max() > 0
    assert (np.abs(got - expected) <= 1e-5 * np.abs(expected).max()).mean() > 0.9
    assert correlation(got, expected) > 0.999


def test_an_objective_on_the_host_gives_the_same_gradient(on_gpu, grained):
    def on_the_host(dst):
        return dd.objective_L2(dst)

    (expected, value), (got, on_host) = gradient(on_gpu, grained), gradient(on_gpu, grained, on_the_host)
    assert np.array_equal(got, expected) and on_host == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("make", [lambda net, _: dd.channels([1, 5]), lambda net, guide: dd.guided(net, guide, "both")])
def test_other_objectives_give_the_cpus_gradient(on_cpu, on_gpu, grained, make):
    guide = dd.resize(grained, 40, 56)[:, ::-1]
    (expected, _), (got, _) = (gradient(net, grained, make(net, guide)) for net in (on_cpu, on_gpu))
    assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max() > 0


def test_several_layers_give_the_cpus_dream(on_cpu, on_gpu, grained):
    end = {"conv1": 1, "both": 0.5}
    expected, got = (dd.deepdream(net, grained, **STEP, end=end) for net in (on_cpu, on_gpu))
    assert np.abs(got - expected).max() <= 1e-2


@pytest.mark.parametrize("more", [{}, {"clip": False}, {"tile": 64}, {"tile": "auto"}, {"iter_n": 3, "octave_n": 3}])
def test_a_dream_is_the_cpus(on_cpu, on_gpu, grained, more):
    expected, got = (dd.deepdream(net, grained, **{**STEP, **more}) for net in (on_cpu, on_gpu))
    assert correlation(got - grained, expected - grained) > 0.999
    assert np.abs(got - grained).mean() > 0.5


def left_half(shape):
    mask = np.zeros(shape[:2], np.float32)
    mask[:, : shape[1] // 2] = 1
    return mask


def by_octave(octave):
    return {"end": ("left", "right")[octave], "step_size": 1.0 + octave}


@pytest.mark.parametrize("more", ["mask", "wrap", "schedule"])
def test_parts_edges_and_schedules_are_the_cpus(on_cpu, on_gpu, grained, more):
    """A mask and edges that join are applied on the host, a schedule on the GPU."""
    settings = {
        "mask": {"mask": left_half(grained.shape)},
        "wrap": {"wrap": "xy"},
        "schedule": {"schedule": by_octave},
    }[more]
    settings |= {"iter_n": 2, "octave_n": 2, "seed": 1, "end": "both"}
    expected, found = (dd.deepdream(net, grained, **settings) for net in (on_cpu, on_gpu))
    assert correlation(expected - grained, found - grained) > 0.99
    assert np.abs(expected - found).mean() < 0.05 * np.abs(expected - grained).mean()
    if more == "mask":
        assert np.array_equal(found[:, grained.shape[1] // 2 :], grained[:, grained.shape[1] // 2 :])


def test_a_weighted_sum_is_the_cpus(on_cpu, on_gpu, grained):
    made = []
    for net in (on_cpu, on_gpu):
        objective = dd.Objective(dd.objective_L2, "both") + 0.5 * dd.channels([1], net, "both")
        made.append(dd.deepdream(net, grained, objective=objective, **STEP))
    assert correlation(made[0] - grained, made[1] - grained) > 0.999


def test_a_dream_is_the_same_again_and_step_by_step(on_gpu, grained):
    settings = {**STEP, "iter_n": 3, "octave_n": 2}
    dream = dd.deepdream(on_gpu, grained, **settings)
    steps = list(dd.dream_steps(on_gpu, grained, **settings))
    assert np.array_equal(dream, steps[-1].image) and not np.array_equal(steps[-2].image, dream)
    assert np.array_equal(dream, dd.deepdream(on_gpu, grained, **settings))
    assert [step.image.shape[:2] for step in steps] == [(64, 114)] * 3 + [(90, 160)] * 3


def test_an_image_within_a_tile_is_dreamt_whole(on_gpu, grained):
    assert np.array_equal(dd.deepdream(on_gpu, grained, **STEP, tile=160), dd.deepdream(on_gpu, grained, **STEP))


def test_memory_that_runs_out_is_answered_by_tiles(on_gpu, grained, monkeypatch, caplog):
    passes = on_gpu.run_passes

    def run_passes(*arguments):
        if max(on_gpu.input.shape) > 80:
            raise caffe.Error("cudaMalloc(&gpu_ptr_, size_): out of memory")
        return passes(*arguments)

    monkeypatch.setattr(on_gpu, "run_passes", run_passes)
    dream = dd.deepdream(on_gpu, grained, **STEP, tile=160)
    assert "continuing with tiles of 80 pixels" in caplog.text
    assert np.isfinite(dream).all() and np.abs(dream - grained).mean() > 0.5


def test_a_gradient_that_is_not_finite_is_an_error(on_gpu, grained):
    def overflow(dst):
        dst.diff[...] = np.inf

    with pytest.raises(dd.LayerError, match="not finite"):
        dd.deepdream(on_gpu, grained, **STEP, objective=overflow)


def test_a_silent_layer_leaves_the_image(on_gpu, grained, caplog):
    def silent(dst):
        dst.diff[...] = 0

    dream = dd.deepdream(on_gpu, grained.clip(0, 255), **STEP, objective=silent)
    assert "zero gradient" in caplog.text and np.allclose(dream, grained.clip(0, 255), atol=1e-4)


def test_the_plan_of_tiles_reads_the_gpus_memory(on_gpu, monkeypatch):
    monkeypatch.setattr("deepdream.network.memory.free_gpu_bytes", lambda gpu: 600 * 2**20)
    assert tiling.plan_tiles(on_gpu, "both", [(4000, 6000)], "auto") < 6000


# Layers with parts of their own for a GPU


def passes_of(folder, layer, shape, gpu):
    """A layer's output, and the gradients of its input and its parameters, on the GPU or on the CPU."""
    path = folder / "layer.prototxt"
    dims = " ".join(f"dim: {n}" for n in shape)
    # force_backward asks for the gradients of all parameters, whatever their lr_mult.
    force, ask = ("", "propagate_down: true loss_weight: 1") if "lr_mult" in layer else ("force_backward: true", "")
    path.write_text(
        f'{force} layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {dims} }} }} }}'
        f'layer {{ name: "y" bottom: "x" top: "y" {ask} {layer} }}'
    )
    if gpu:
        caffe.set_device(0)
        caffe.set_mode_gpu()
    try:
        net, random = caffe.Net(str(path), caffe.TEST), np.random.RandomState(3)
        for blob in net.params.get("y", ()):
            blob.data[...] = random.randn(*blob.shape)
        net.blobs["x"].data[...] = 3 * random.randn(*shape)
        net.forward()
        net.blobs["y"].diff[...] = random.randn(*net.blobs["y"].shape)
        for blob in net.params.get("y", ()):
            blob.diff[...] = random.randn(*blob.shape)  # a parameter's gradient is added to what is there
        net.backward()
        return [net.blobs["y"].data, net.blobs["x"].diff, *(blob.diff for blob in net.params.get("y", ()))]
    finally:
        caffe.set_mode_cpu()


def assert_like_upstreams(folder, layer, shape):
    expected = passes_of(folder, f'type: "{layer}', shape, False)
    for theirs, ours in zip(expected, passes_of(folder, f'type: "Fast{layer}', shape, True)):
        assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("weights", ["lr_mult: 1", "lr_mult: 0"])
@pytest.mark.parametrize(
    "parameters",
    [
        "kernel_size: 3 pad: 1",
        "kernel_size: 7 stride: 2 pad: 3",
        "kernel_size: 3 pad: 2 dilation: 2",
        "kernel_size: 3 stride: 2 dilation: 3",
        "kernel_h: 2 kernel_w: 5 stride_h: 3 stride_w: 1 pad_h: 0 pad_w: 4",
        "kernel_size: 1",
        "kernel_size: 2 stride: 3 group: 2",
    ],
)
@pytest.mark.parametrize("shape", [(1, 4, 19, 23), (2, 6, 40, 33)])
def test_a_convolution_is_upstreams(tmp_path, parameters, shape, weights):
    parameters = f"num_output: 8 {parameters}"
    layer = f'Convolution" param {{ {weights} }} param {{ lr_mult: 1 }} convolution_param {{ {parameters} }}'
    assert_like_upstreams(tmp_path, layer, shape)


@pytest.mark.parametrize(
    "parameters",
    [
        "local_size: 5 alpha: 0.01",
        "local_size: 3 alpha: 2 k: 2",
        "local_size: 9 alpha: 0.5 beta: 0.5",
        "local_size: 1",
        "local_size: 3 alpha: 1 norm_region: WITHIN_CHANNEL",
    ],
)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 7, 3, 5), (1, 64, 17, 31)])
def test_a_normalisation_is_upstreams(tmp_path, parameters, shape):
    assert_like_upstreams(tmp_path, f'LRN" lrn_param {{ {parameters} }}', shape)


# Graphs: from the second step of a size on, both passes are launched at once


@pytest.fixture
def ours(tiny_model):
    return dd.load(tiny_model, gpu=0)


def launches(net):
    """How often a graph was launched."""
    return sum(passes.launches for passes in net._gpu_passes.values())


def without_graphs(net, image, **settings):
    """The dream with each layer launched by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(net, "gpu_passes", lambda last, blob: None)
        return dd.deepdream(net, image, **settings)


def test_a_graph_has_the_bits_of_its_layers(ours, grained):
    """Emulated, the graph's kernels run in another order at each launch, as far as their dependencies allow."""
    settings = {**STEP, "iter_n": 6, "octave_n": 2}
    expected = without_graphs(ours, grained, **settings)
    assert launches(ours) == 0
    for _ in range(3):
        assert np.array_equal(dd.deepdream(ours, grained, **settings), expected)
    assert launches(ours) == (5 + 6 + 6) * 2  # the first step of each size is not one


def test_a_graph_of_a_large_network_has_the_bits_of_its_layers(googlenet_weights, grained):
    net, image = dd.load("bvlc_googlenet", gpu=0), dd.resize(grained, 64, 80)
    settings = {**STEP, "iter_n": 4}
    expected = without_graphs(net, image, **settings)
    assert np.array_equal(dd.deepdream(net, image, **settings), expected) and launches(net) == 3


def test_a_graph_gives_the_objectives_values(ours, grained):
    def on_the_host(dst):
        return dd.objective_L2(dst)

    settings = {**STEP, "iter_n": 5}
    values, expected = (
        [step.objective for step in dd.dream_steps(ours, grained, **settings, objective=objective)]
        for objective in (dd.objective_L2, on_the_host)
    )
    assert launches(ours) == 4 and np.allclose(values, expected, rtol=1e-5)


def test_what_is_read_between_the_steps_is_what_the_graph_wrote(ours, grained):
    seen = []
    for way in (lambda last, blob: None, ours.gpu_passes):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ours, "gpu_passes", way)
            steps = dd.dream_steps(ours, grained, **{**STEP, "iter_n": 5})
            seen.append([(ours.blobs["both"].data.copy(), ours.blobs["conv1"].diff.copy()) for _ in steps])
    assert launches(ours) == 4
    for first, second in zip(*seen):
        assert all(map(np.array_equal, first, second))


def test_weights_that_change_are_used_by_the_next_step(ours, grained):
    set_image(ours, dd.preprocess(ours, grained))
    before = [ours.run_passes(ours.end, dd.objective_L2) for _ in range(4)]
    ours.params["conv1"][0].data[...] *= 2
    after = [ours.run_passes(ours.end, dd.objective_L2) for _ in range(4)]
    assert len(set(before)) == len(set(after)) == 1 and after[0] > 1.5 * before[0] and launches(ours) == 7


def test_a_graph_is_not_used_when_what_it_holds_has_moved(ours, tiny_model, grained):
    """Other sizes, another network that needs a larger shared matrix, memory that was given back."""
    small, large = dd.resize(grained, 40, 60), np.tile(grained, (2, 2, 1))
    settings = {**STEP, "iter_n": 4}
    expected = [without_graphs(ours, image, **settings) for image in (small, large)]

    def dreams_are_as_expected():
        for image, dream in zip((small, large), expected):
            assert np.array_equal(dd.deepdream(ours, image, **settings), dream)

    dreams_are_as_expected()
    used = launches(ours)
    dreams_are_as_expected()
    assert launches(ours) > used > 0
    other = dd.load(tiny_model, gpu=0)
    dd.deepdream(other, np.tile(grained, (3, 3, 1)), **settings)
    dreams_are_as_expected()
    ours.release()
    del other
    dreams_are_as_expected()
    assert launches(ours) > 0


def test_threads_with_graphs_dream_the_same(ours, tiny_model, grained):
    other, settings, dreams = dd.load(tiny_model, gpu=0), {**STEP, "iter_n": 6, "octave_n": 2}, {}
    expected = without_graphs(ours, grained, **settings)

    def work(key, net):
        dreams[key] = dd.deepdream(net, grained, **settings)

    threads = [threading.Thread(target=work, args=each) for each in enumerate((ours, ours, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(dreams) == 3 and all(np.array_equal(dream, expected) for dream in dreams.values())


def test_layers_that_are_not_ours_are_launched_one_by_one(tiny_model, grained):
    net = dd.load(tiny_model, gpu=0, fast=False)
    dd.deepdream(net, grained, **{**STEP, "iter_n": 4})
    assert launches(net) == 0


def test_a_callback_sees_every_layer(ours, grained):
    seen = []
    ours.after_forward(seen.append)
    dd.deepdream(ours, grained, **{**STEP, "iter_n": 3})
    assert seen.count(0) == 3 and launches(ours) == 0
