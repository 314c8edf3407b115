"""Describes the machine of the benchmarks: processor, system, versions; nothing that identifies it."""

import importlib.metadata
import os
import platform
import resource
from pathlib import Path

PACKAGES = ("deepdream-caffe", "deepdream-pycaffe", "numpy", "scipy", "torch", "jax", "onnxruntime")
# Variables that keep the contenders to AVX2 where there is AVX-512. ONNX Runtime has none, and PyTorch's own loops,
# a small part of its time, keep AVX-512: with ATEN_CPU_CAPABILITY=avx2, what PyTorch 2.13 compiles there fails.
AVX2_ALONE = {
    "PYCAFFE_ISA": "avx2",
    "OPENBLAS_CORETYPE": "Haswell",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
}


def describe():
    """A dictionary of short strings."""
    facts = {}
    for line in cpuinfo().splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    memory = Path("/proc/meminfo").read_text(encoding="ascii").split()[1]
    flags = facts.get("flags", "").split()
    vectors = next((name for flag, name in (("avx512vl", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "no AVX2")
    used = "AVX2" if os.environ.get("PYCAFFE_ISA") == "avx2" else vectors
    named = facts.get("model name", platform.machine())
    if "cpu family" in facts:
        named += f" (family {facts['cpu family']}, model {facts['model']})"
    return {
        "processor": f"{named}, {vectors}{'' if used == vectors else f', of which only {used} was used'}",
        "vectors": used,
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{int(memory) / 2**20:.0f} GiB",
        "system": _system(),
        "versions": {"Python": platform.python_version(), **_versions()},
    }


def cpuinfo():
    """What Linux says of the processors."""
    return Path("/proc/cpuinfo").read_text(encoding="utf-8")


def busy_seconds():
    """Processor seconds since the start of the machine that were used, or taken by another virtual machine."""
    line = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    user, nice, system, _, _, irq, softirq, steal, *_ = map(int, line.split()[1:])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def childrens_seconds():
    """Processor seconds of this process's children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _system():
    system = platform.freedesktop_os_release() if hasattr(platform, "freedesktop_os_release") else {}
    return f"{system.get('ID', platform.system()).capitalize()} {system.get('VERSION_ID', '')}".strip()


def _versions():
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
