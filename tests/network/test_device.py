"""Where Caffe computes.

The GPUs here are stand-ins for what our Caffe answers, so that the choice is tested anywhere; what a GPU computes is
tested where there is one.
"""

import logging
import os
import threading

import caffe
import numpy as np
import pytest
from helpers import why_no_gpu

import deepdream as dd
from deepdream.network import device, memory, tiling

NO_GPU = why_no_gpu()


gpu_needed = pytest.mark.skipif(NO_GPU is not None, reason=NO_GPU or "")
no_gpu_needed = pytest.mark.skipif(NO_GPU is None, reason="there is a GPU")
ours = pytest.mark.skipif(not hasattr(caffe, "Error"), reason="another pycaffe than the one built by pycaffe/")


@pytest.fixture
def machine(monkeypatch):
    """A machine whose GPUs are: {number: what is wrong with it, or None}; None instead: no driver."""

    def with_gpus(gpus):
        def count():
            if gpus is None:
                raise caffe.Error("pycaffe/gpu.cpp:37: cudaGetDeviceCount(&count): no CUDA-capable device is detected")
            return len(gpus)

        def attempt(gpu):
            if gpus[gpu]:
                raise caffe.Error(f"src/caffe/util/math_functions.cu:1: cudaPeekAtLastError(): {gpus[gpu]}")

        monkeypatch.setattr(device, "has_cuda", lambda: True)
        for name, function in (("gpu_count", count), ("gpu_try", attempt), ("gpu_name", lambda gpu: f"Model {gpu}")):
            monkeypatch.setattr(caffe._caffe, name, function, raising=False)

    return with_gpus


def test_the_cpu_is_asked_for_with_none():
    assert device.choose_device(None) is None


@no_gpu_needed
def test_without_a_gpu_auto_is_the_cpu(caplog, tiny_prototxt):
    with caplog.at_level(logging.INFO, logger="deepdream"):
        net = dd.Net(tiny_prototxt, None, (104, 117, 123), "both", gpu="auto")
        assert net.gpu is None and not caplog.messages
        net.forward()
        net.forward()
    assert caplog.messages == ([device.describe_choice(None)] if device.has_cuda() else [])


def test_a_caffe_without_cuda_says_so_only_where_there_is_a_gpu(monkeypatch):
    monkeypatch.setattr(device, "has_cuda", lambda: False)
    monkeypatch.setattr(device.os.path, "exists", lambda path: path == "/dev/nvidia0")
    assert device.describe_choice(None) == "dreaming on the CPU: this Caffe was built without CUDA"
    monkeypatch.setattr(device.os.path, "exists", lambda path: False)
    assert device.describe_choice(None) == ""


@ours
def test_a_driver_that_is_missing_is_called_so(machine, monkeypatch):
    """CUDA says the same of an old driver and of none."""

    def count():
        raise caffe.Error(
            "pycaffe/gpu.cpp:39: cudaGetDeviceCount(&count): CUDA driver version is insufficient for "
            "CUDA runtime version"
        )

    machine({})
    monkeypatch.setattr(caffe._caffe, "gpu_count", count)
    with pytest.raises(dd.DreamError, match=r"^GPU 0 cannot be used: the NVIDIA driver is missing, or too old"):
        device.choose_device(0)
    assert device.choose_device("auto") is None


@no_gpu_needed
def test_without_a_gpu_a_number_is_refused_before_anything_is_fetched(monkeypatch):
    monkeypatch.setattr("deepdream.zoo.loading.weights_path", lambda model: pytest.fail("fetched"))
    with pytest.raises(dd.DreamError, match=r"^GPU 0 cannot be used: .+\. Compute on the CPU instead \(gpu=None"):
        dd.load("squeezenet_v1.1", gpu=0)


@pytest.mark.parametrize("gpu", [-1, 1.5, "0", True, "first"])
def test_what_is_no_device_is_refused(gpu):
    with pytest.raises(dd.DreamError, match="must be None for the CPU, the number of a GPU, or 'auto'"):
        device.choose_device(gpu)


@ours
def test_auto_takes_the_first_gpu_that_works(machine):
    machine({0: "no kernel image is available for execution on the device", 1: None, 2: None})
    assert device.choose_device("auto") == 1
    assert device.describe_choice(1) == "dreaming on GPU 1, Model 1"


@ours
def test_auto_says_why_no_gpu_works(machine):
    for gpus, reason in (
        (None, "no CUDA-capable device is detected"),
        ({}, "there are 0 GPUs, numbered from 0"),
        ({0: "all CUDA-capable devices are busy or unavailable"}, "all CUDA-capable devices are busy or unavailable"),
    ):
        machine(gpus)
        assert device.choose_device("auto") is None
        assert device.describe_choice(None) == f"dreaming on the CPU: {reason}"


@ours
def test_a_number_names_a_gpu_that_works_or_is_refused_with_the_reason(machine):
    machine({0: "no kernel image is available for execution on the device", 1: None})
    assert device.choose_device(1) == 1
    with pytest.raises(dd.DreamError, match="GPU 0 cannot be used: no kernel image is available"):
        device.choose_device(0)
    with pytest.raises(dd.DreamError, match="GPU 2 cannot be used: there are 2 GPUs, numbered from 0"):
        device.choose_device(2)


def test_a_net_is_on_its_device_in_every_thread_that_uses_it(tiny, monkeypatch):
    used = []
    monkeypatch.setattr(
        "deepdream.network.net.use_device", lambda gpu: used.append((threading.current_thread().name, gpu))
    )
    tiny.gpu = 3

    def dream():
        tiny.forward(end="both")
        tiny.backward(start="both")
        tiny.release()

    thread = threading.Thread(target=dream, name="another")
    thread.start()
    thread.join()
    assert set(used) == {("another", 3)}
    assert len(used) == (3 if hasattr(caffe._caffe, "rebuild") else 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_net_on_a_gpu_is_refused_in_a_forked_process(tiny, monkeypatch):
    tiny.gpu = 0
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(dd.DreamError, match="forked process: load it in a process"):
        tiny.forward()


def test_threads_with_nets_of_their_own_dream_the_same(tiny_prototxt, sky):
    """The setting is the thread's, so a dream in a thread that never set one must be that of the main thread."""

    def dream():
        caffe.set_random_seed(7)
        net = dd.Net(tiny_prototxt, None, (104, 117, 123), "both", gpu="auto" if NO_GPU is None else None)
        dreams.append(dd.deepdream(net, sky, iter_n=2, octave_n=2, seed=1))

    dreams = []
    dream()
    thread = threading.Thread(target=dream)
    thread.start()
    thread.join()
    assert len(dreams) == 2 and np.array_equal(*dreams)


def test_a_dream_on_a_gpu_is_planned_within_the_gpus_memory(tiny, sky, monkeypatch):
    tiny.gpu = 0
    monkeypatch.setattr(memory, "free_gpu_bytes", lambda gpu: 2 * 2**30 if gpu == 0 else pytest.fail(f"GPU {gpu}"))
    assert tiling.plan_tiles(tiny, "both", [(90, 160)], None) is None
    with pytest.raises(dd.ImageError, match=r"2\.0 GiB are free; dream in tiles"):
        tiling.plan_tiles(tiny, "both", [(9000, 16000)], None)
    assert tiling.plan_tiles(tiny, "both", [(9000, 16000)], "auto") % 32 == 0


@gpu_needed
def test_the_gradient_on_a_gpu_is_the_cpus(squeezenet_file, sky):
    def gradient(gpu):
        net = dd.load("squeezenet_v1.1", gpu=gpu)
        tiling.set_input(net, dd.preprocess(net, sky))
        return net.input_gradient(net.end, dd.objective_L2)[0].copy()

    cpu, gpu = gradient(None), gradient(0)
    assert np.abs(gpu - cpu).max() < 1e-3 * np.abs(cpu).max()


@gpu_needed
def test_memory_that_runs_out_on_a_gpu_raises_and_can_be_used_again(squeezenet_file, sky):
    net = dd.load("squeezenet_v1.1", gpu=0)
    before = dd.deepdream(net, sky, iter_n=1, octave_n=1, seed=1)
    side = 64
    with pytest.raises(caffe.Error, match=r"out of memory|ALLOC|INT_MAX"):
        while True:
            side *= 2
            net.input.reshape(1, 3, side, side)
            net.forward(end=net.end)
    net.release()
    assert np.array_equal(dd.deepdream(net, sky, iter_n=1, octave_n=1, seed=1), before)
