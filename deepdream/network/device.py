"""The device on which Caffe computes: the CPU, or one of the GPUs.

A device is `None` for the CPU or a GPU's number, from 0. Caffe has one device setting for each thread; a `Net` knows
its own device and sets it in each thread that uses the network (`use_device`).
"""

from __future__ import annotations

import os

import caffe

from ..errors import DreamError, ParameterError
from ..validation import short_repr

AUTO = "auto"


def has_cuda() -> bool:
    """Whether this Caffe was built with CUDA."""
    return hasattr(caffe._caffe.Blob, "_gpu_data_ptr")


def has_cudnn() -> bool:
    """Whether this Caffe computes convolutions with cuDNN on a GPU; `False` if this is unknown."""
    return getattr(caffe._caffe, "has_cudnn", False)


def has_gpu_planes() -> bool:
    """Whether this Caffe can keep an image on a GPU from one step to the next; only ours can."""
    return hasattr(caffe._caffe, "GpuPlanes")


def choose_device(gpu: int | str | None) -> int | None:
    """Choose a device and test it.

    Args:
        gpu: `None` for the CPU, a GPU's number, or "auto" for the first GPU that works, else the CPU.

    Returns:
        A device: `None` for the CPU, or the GPU's number.

    Raises:
        DreamError: the GPU with this number cannot be used; the message has the reason.
        ParameterError: `gpu` is none of these.
    """
    if gpu is None:
        return None
    if isinstance(gpu, str) and gpu == AUTO:
        return next((number for number in range(_gpu_count()) if not _describe_problem(number)), None)
    if isinstance(gpu, bool) or not isinstance(gpu, int) or gpu < 0:
        raise ParameterError(f"gpu={short_repr(gpu)}: it must be None for the CPU, the number of a GPU, or 'auto'")
    problem = _describe_problem(gpu)
    if problem:
        raise DreamError(
            f"GPU {short_repr(gpu)} cannot be used: {problem}. Compute on the CPU instead (gpu=None, --gpu none)"
        )
    return gpu


def use_device(device: int | None) -> None:
    """Make Caffe compute on `device` in this thread. This is cheap if it already does."""
    if device is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_device(device)
        caffe.set_mode_gpu()


def free_gpu_bytes(device: int) -> int | None:
    """How much memory of a GPU is free, in bytes; `None` if this Caffe does not report it."""
    return caffe._caffe.gpu_memory(device)[0] if hasattr(caffe._caffe, "gpu_memory") else None


def describe_choice(device: int | None) -> str:
    """The choice of "auto" and its reason, in a line; empty if there was no choice: no GPU, and no CUDA either."""
    if device is not None:
        return f"dreaming on GPU {device}, {caffe._caffe.gpu_name(device)}"
    if not has_cuda() and not os.path.exists("/dev/nvidia0"):
        return ""
    problem = _describe_problem(0) or "this Caffe does not report the GPUs; choose one by its number"
    return f"dreaming on the CPU: {problem}"


def _describe_problem(gpu: int) -> str:
    """Why this GPU cannot be used; an empty text if it can, as far as this Caffe reports."""
    if not has_cuda():
        return "this Caffe was built without CUDA"
    if not _can_query_gpus():
        return ""
    try:
        count = caffe._caffe.gpu_count()
        if gpu >= count:
            return f"there {'is 1 GPU' if count == 1 else f'are {count} GPUs'}, numbered from 0"
        caffe._caffe.gpu_try(gpu)
    except caffe.Error as error:
        # Caffe names the place in its source and the call, then CUDA's message.
        reason = str(error).rpartition("): ")[2]
        if "driver version is insufficient" in reason:  # CUDA also says this if there is no driver
            return "the NVIDIA driver is missing, or too old for this Caffe's CUDA (CUDA 13 needs 580 or later)"
        return reason
    return ""


def _gpu_count() -> int:
    if not _can_query_gpus():
        return 0
    try:
        return caffe._caffe.gpu_count()
    except caffe.Error:
        return 0


def _can_query_gpus() -> bool:
    """Whether this is our own Caffe: any other would end the process in a query about GPUs."""
    return hasattr(caffe._caffe, "gpu_try")
