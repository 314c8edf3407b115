"""On emulated GPUs: what goes between host and GPU, and what happens when a call of CUDA fails (pycaffe/emulate)."""

import concurrent.futures
import multiprocessing
import os
import re
import signal
import subprocess
import sys

import caffe
import numpy as np
import pytest

import deepdream as dd

emulator = getattr(caffe._caffe, "emulator", None)
pytestmark = pytest.mark.skipif(emulator is None, reason="this Caffe has no emulated GPUs (make test-gpu)")
DREAM = {"octave_n": 2, "octave_scale": 1.3, "jitter": 5, "seed": 3}


@pytest.fixture
def net(tiny_model):
    return dd.load(tiny_model, gpu=0)


@pytest.fixture(autouse=True)
def nothing_fails_afterwards():
    yield
    emulator.fail_nothing()


def calls_of(function):
    """How often each function of CUDA is called."""
    before = emulator.calls()
    function()
    return {name: count - before.get(name, 0) for name, count in emulator.calls().items()}


@pytest.mark.parametrize(
    "kind",
    [
        "a kernel with the host's memory",
        "a kernel with memory that was freed",
        "a kernel of no threads",
        "cuBLAS with the host's memory",
        "a copy that is too long",
        "a copy in the wrong direction",
        "memory that is not there",
    ],
)
def test_an_error_in_code_for_gpus_is_found(kind):
    with pytest.raises(caffe.Error):
        emulator.misuse(kind)


def test_to_read_a_gpus_memory_from_the_host_ends_the_process(tiny_model):
    code = (
        "import ctypes, sys, deepdream as dd\n"
        "net = dd.load(sys.argv[1], gpu=0); net.forward()\n"
        "ctypes.string_at(net.blobs['both']._gpu_data_ptr, 4)\n"
    )
    assert run(code, tiny_model).returncode == -signal.SIGSEGV


@pytest.fixture
def without_graphs(net):
    """The same network; its layers are launched one by one."""
    net.gpu_passes = lambda last, blob: None
    return net


def test_the_steps_of_a_dream_copy_nothing(without_graphs, sky):
    net = without_graphs
    dd.deepdream(net, sky, iter_n=1, **DREAM)
    few, many = (calls_of(lambda n=n: dd.deepdream(net, sky, iter_n=n, **DREAM)) for n in (2, 7))
    for direction in ("host to device", "device to host"):
        assert few[direction] == many[direction] > 0
    assert many["launch"] > few["launch"] and many["cudaMalloc"] == few["cudaMalloc"]


def test_a_graph_is_recorded_once_and_takes_one_launch_a_step(net, sky):
    for _ in range(3):
        dd.deepdream(net, sky, iter_n=2, **DREAM)
    few, many = (calls_of(lambda n=n: dd.deepdream(net, sky, iter_n=n, **DREAM)) for n in (2, 7))
    for name in ("host to device", "device to host", "cudaMalloc", "cudaGraphInstantiate", "gemm"):
        assert few[name] == many[name]
    assert few["cudaGraphInstantiate"] == few["gemm"] == 0
    assert (few["cudaGraphLaunch"], many["cudaGraphLaunch"]) == (4, 14)
    assert many["launch"] - few["launch"] == 5 * 2 * 3  # of each step in each octave: a window, its inverse, the step


RECORDING = [
    *("cudaStreamBeginCapture", "cudaStreamCreate", "cudaEventCreate", "cudaEventRecord", "cudaStreamWaitEvent"),
    *(
        "cudaStreamEndCapture",
        "cudaGraphInstantiate",
        "cudaGraphLaunch",
        "launch",
        "gemm",
        "cudaMalloc",
        "cudaMemcpyAsync",
    ),
]


@pytest.mark.parametrize("name", RECORDING)
def test_a_graph_that_cannot_be_had_is_done_without(tiny_model, sky, name):
    """Whichever call fails while a graph is recorded or launched, the layers are launched one by one."""
    settings = {"octave_n": 1, "iter_n": 3, "jitter": 5, "seed": 3}
    expected = dd.deepdream(dd.load(tiny_model, gpu=0), sky, **settings)
    net = dd.load(tiny_model, gpu=0)
    steps = dd.dream_steps(net, sky, **settings)
    next(steps)
    count, after, found = calls_of(lambda: next(steps))[name], 0, []
    assert count
    for after in range(count):
        net = dd.load(tiny_model, gpu=0)
        steps = dd.dream_steps(net, sky, **settings)
        next(steps)
        emulator.fail(name, after)
        try:
            found.append(np.array_equal(list(steps)[-1].image, expected))
        except (caffe.Error, dd.DreamError):  # of the step itself
            assert name in ("launch", "cudaMalloc")
        emulator.fail_nothing()
        assert np.array_equal(dd.deepdream(net, sky, **settings), expected)
    assert found and all(found)


def test_a_pass_asks_for_no_memory_once_the_net_has_it(net, sky):
    net.forward()
    assert calls_of(net.forward)["cudaMalloc"] == 0


@pytest.mark.parametrize("name", ["launch", "cudaMalloc", "cudaMemcpy", "cudaMemset", "gemm", "asum", "dot"])
def test_whatever_call_fails_the_net_can_be_used_again(without_graphs, sky, name):
    net, settings = without_graphs, {**DREAM, "iter_n": 1}
    expected = dd.deepdream(net, sky, **settings)
    count = calls_of(lambda: dd.deepdream(net, sky, **settings))[name]
    assert count > 1
    for after in range(count):
        emulator.fail(name, after)
        with pytest.raises((caffe.Error, dd.DreamError)):
            dd.deepdream(net, sky, **settings)
        assert np.array_equal(dd.deepdream(net, sky, **settings), expected), after


@pytest.mark.parametrize("name", ["cudnnConvolutionForward", "cudnnConvolutionBackwardData", "cudnnAddTensor"])
def test_whatever_call_of_cudnn_fails_the_net_can_be_used_again(tiny_model, sky, name):
    test_whatever_call_fails_the_net_can_be_used_again(dd.load(tiny_model, gpu=0, fast=False), sky, name)


def test_a_convolution_of_cudnn_does_without_a_workspace_that_cannot_be_had(tiny_model, sky):
    net = dd.load(tiny_model, gpu=0, fast=False)
    expected = dd.deepdream(net, sky, iter_n=1, **DREAM)
    outcomes = []
    for after in range(40):
        net.release()
        emulator.fail("cudaMalloc", after)
        try:
            outcomes.append(np.allclose(dd.deepdream(net, sky, iter_n=1, **DREAM), expected, atol=1e-2))
        except (caffe.Error, dd.DreamError) as error:
            assert "out of memory" in str(error) or "memory ran out" in str(error)
        emulator.fail_nothing()
    assert outcomes and all(outcomes)


def test_memory_that_runs_out_in_a_pass_is_answered_by_tiles(net, sky, caplog):
    settings = {"octave_n": 1, "iter_n": 1, "jitter": 5, "seed": 3, "tile": 160}
    expected = dd.deepdream(net, sky, **settings)
    net.release()
    count = calls_of(lambda: dd.deepdream(net, sky, **settings))["cudaMalloc"]
    outcomes = []
    for after in range(count):
        caplog.clear()
        net.release()
        emulator.fail("cudaMalloc", after)
        try:
            dream = dd.deepdream(net, sky, **settings)
        except caffe.Error as error:
            assert "out of memory" in str(error)
            outcomes.append("refused")
        else:
            outcomes.append("tiles" if "continuing with tiles of" in caplog.text else "whole")
            assert np.isfinite(dream).all()
        emulator.fail_nothing()
        assert np.array_equal(dd.deepdream(net, sky, **settings), expected)
    assert outcomes.count("tiles") > count / 2


def run(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_every_gpu_computes_the_same(tiny_model):
    code = (
        "import sys, threading, numpy as np, caffe, deepdream as dd\n"
        "image, dreams = dd.picture('clouds')[:90, :120], {}\n"
        "def work(gpu):\n"
        "    net = dd.load(sys.argv[1], gpu=gpu)\n"
        "    dreams[gpu] = dd.deepdream(net, image, iter_n=2, octave_n=2, seed=1)\n"
        "threads = [threading.Thread(target=work, args=(gpu,)) for gpu in range(3)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
        "print(caffe._caffe.gpu_count(), all(np.array_equal(dreams[0], dreams[gpu]) for gpu in range(3)))\n"
        "try: dd.load(sys.argv[1], gpu=3)\n"
        "except dd.DreamError as error: print(error)\n"
    )
    done = run(code, tiny_model, PYCAFFE_EMULATED_GPUS="3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 True\nGPU 3 cannot be used: ")


def test_an_image_lies_on_its_own_gpu():
    code = (
        "import numpy as np, caffe\n"
        "image = np.arange(3 * 200 * 300, dtype=np.float32).reshape(3, 200, 300)\n"
        "free = lambda: np.array([caffe._caffe.gpu_memory(gpu)[0] for gpu in range(3)])\n"
        "before = free()\n"
        "planes = caffe._caffe.GpuPlanes(image, 1)\n"
        "twice = planes + planes\n"
        "print(*(before - free()) // image.nbytes, np.array_equal(twice.numpy(), 2 * image))\n"
        "del planes, twice\n"
        "print(*before - free())\n"
    )
    done = run(code, PYCAFFE_EMULATED_GPUS="3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["0 2 0 True", "0 0 0"]


def test_a_small_gpu_gets_tiles(tiny_model):
    code = (
        "import sys, logging, numpy as np, deepdream as dd\n"
        "logging.basicConfig(level=logging.INFO, format='%(message)s')\n"
        "net = dd.load(sys.argv[1], gpu=0)\n"
        "image = np.tile(dd.picture('clouds'), (3, 3, 1))\n"
        "dream = dd.deepdream(net, image, iter_n=1, octave_n=1, seed=1, tile='auto')\n"
        "print(np.isfinite(dream).all(), net.input.shape[2:])\n"
    )
    done = run(code, tiny_model, PYCAFFE_EMULATED_MEMORY=str(400 << 20))
    assert done.returncode == 0, done.stderr
    assert "dreaming in tiles of" in done.stderr and done.stdout.startswith("True")


def test_no_gpu_is_the_cpu(tiny_model):
    code = (
        "import sys, deepdream as dd\n"
        "print(dd.load(sys.argv[1], gpu='auto').gpu)\n"
        "try: dd.load(sys.argv[1], gpu=0)\n"
        "except dd.DreamError as error: print(error)\n"
    )
    done = run(code, tiny_model, PYCAFFE_EMULATED_GPUS="0")
    assert re.match(r"None\nGPU 0 cannot be used: .*no CUDA-capable device", done.stdout), (done.stdout, done.stderr)


def _dream(folder, gpu):
    image = dd.picture("clouds")[:64, :90]
    return dd.deepdream(dd.load(folder, gpu=gpu), image, iter_n=1, octave_n=1, seed=1)


def test_a_spawned_process_computes_the_same(tiny_model):
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(_dream, tiny_model, 0).result()
    assert np.array_equal(there, _dream(tiny_model, 0))


def test_the_command_dreams_on_a_gpu(tiny_model, tmp_path):
    output = tmp_path / "dream.png"
    options = f"noise:90x64 --model {tiny_model} --iters 1 --octaves 1 --gpu 0 -o {output}".split()
    done = subprocess.run([sys.executable, "-m", "deepdream", "dream", *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert dd.read_image(output).shape == (64, 90, 3)
