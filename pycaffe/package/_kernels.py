"""Load the extension module with the OpenBLAS kernels that suit the processor.

Debian 12's OpenBLAS 0.3.21 takes AMD processors with AVX-512 (Zen 4 and later) for older ones and computes with AVX2;
its AVX-512 kernels run there too, and take about two thirds of the time. OpenBLAS chooses once, when it is loaded.
"""

import os

CORE = "OPENBLAS_CORETYPE"
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
    chosen_here = core is not None and CORE not in os.environ
    if chosen_here:
        os.environ[CORE] = core
    try:
        from . import _caffe  # noqa: F401
    finally:
        if chosen_here:
            del os.environ[CORE]


load()
