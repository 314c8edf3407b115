"""How much memory a dream takes, and how much there is."""

import pytest
from helpers import memory_of_a_pass

from deepdream.network import memory


@pytest.mark.parametrize("layers", ["fast", "upstream"])
def test_the_estimate_is_what_a_pass_takes(squeezenet, layers):
    taken, estimated = memory_of_a_pass('net = dd.load("squeezenet_v1.1")', layers)
    assert 0.95 * taken < estimated < 1.25 * taken


def test_the_memory_that_is_free_is_the_processs_or_the_gpus(monkeypatch):
    monkeypatch.setattr("deepdream.memory.free_bytes", lambda: 1)
    monkeypatch.setattr(memory, "free_gpu_bytes", lambda gpu: 10 + gpu)
    assert [memory.free_bytes(), memory.free_bytes(3)] == [1, 13]


def test_memory_for_several_layers_is_that_of_the_deepest_and_of_what_is_kept(tiny):
    deepest = memory.gradient_bytes(tiny, "both", 90, 160)
    assert memory.gradient_bytes(tiny, {"both": 1}, 90, 160) == deepest
    assert memory.gradient_bytes(tiny, {"conv1": 1, "both": 1}, 90, 160) == deepest + 4 * 6 * 45 * 80
    assert memory.gradient_bytes(tiny, "both", 90, 160, backward=False) < deepest


@pytest.mark.parametrize(
    "text",
    [
        "src/caffe/syncedmem.cpp:71: cudaMalloc(&gpu_ptr_, size_): out of memory",
        "src/caffe/util/math_functions.cu:18: Check failed: status == CUBLAS_STATUS_SUCCESS (3 vs. 0)  "
        "CUBLAS_STATUS_ALLOC_FAILED",
        "src/caffe/layers/cudnn_conv_layer.cu:21: Check failed: status == CUDNN_STATUS_SUCCESS (4003 vs. 0)  "
        "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    ],
)
def test_a_gpus_memory_that_ran_out_is_known_as_such(text):
    assert memory.is_out_of_memory(RuntimeError(text))
