"""Load the extension module with the OpenBLAS kernels that suit the processor, and threads that leave it to others.

Debian 12's OpenBLAS 0.3.21 takes AMD processors with AVX-512 (Zen 4 and later) for older ones and computes with AVX2;
its AVX-512 kernels run there too, and take about two thirds of the time. OpenBLAS chooses once, when it is loaded.

A thread of libgomp that waits for the others keeps its core busy for some milliseconds, in case they are soon done.
Where another program computes on the same cores, it is that program's thread that it waits for, at every layer anew.
libgomp also reads its variables once, when it is loaded.
"""

import os

CORE = "OPENBLAS_CORETYPE"
SPINS, WAIT_POLICY = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"
MAX_SPINS = "1000"  # some ten microseconds, as long as it takes to wake a thread
NEEDED = {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}  # what OpenBLAS's SkylakeX kernels use


def core_type(cpuinfo):
    """OpenBLAS's name of the kernels to use, by the text of /proc/cpuinfo; None: it will choose well by itself."""
    fields = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    amd = fields.get("vendor_id") == "AuthenticAMD"
    return "SkylakeX" if amd and NEEDED.issubset(fields.get("flags", "").split()) else None


def load():
    """Import _caffe; the environment is as before afterwards, for other libraries and child processes."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            core = core_type(file.read())
    except OSError:
        core = None
    chosen = {}
    if core is not None and CORE not in os.environ:
        chosen[CORE] = core
    if SPINS not in os.environ and WAIT_POLICY not in os.environ:
        chosen[SPINS] = MAX_SPINS
    os.environ.update(chosen)
    try:
        from . import _caffe  # noqa: F401
    finally:
        for name in chosen:
            del os.environ[name]


load()
