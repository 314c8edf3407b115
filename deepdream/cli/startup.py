"""Checks the limits and the environment of this process before the libraries that it needs are imported.

If these are wrong, OpenBLAS and OpenMP print lines of their own, end the process, or retry for ever.
"""

from __future__ import annotations

import os

from ..text import printable

_MB = 10**6
# Measured, with one thread: the address space (ulimit -v) and the data (ulimit -d) of a small dream with SqueezeNet.
# Each further thread of NumPy's and of SciPy's OpenBLAS takes its stack and a buffer of 32 MB.
_ADDRESS_SPACE, _DATA, _FOR_EACH_THREAD = 800 * _MB, 600 * _MB, 80 * _MB
_BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")  # in the order of OpenBLAS
_ISAS = ("", "avx512", "avx2", "baseline")
_MAX_THREADS = 64  # that the OpenBLAS of NumPy's and SciPy's wheels starts
_POOLS = 3  # of threads: NumPy's OpenBLAS, SciPy's, and Caffe's OpenMP
_SHOWN_LIMITS = {  # name: (ulimit's letter, its unit)
    "RLIMIT_AS": ("v", 1024),
    "RLIMIT_DATA": ("d", 1024),
    "RLIMIT_NOFILE": ("n", 1),
    "RLIMIT_NPROC": ("u", 1),
    "RLIMIT_STACK": ("s", 1024),
}


def find_problem() -> str:
    """The problem that will keep the libraries from loading or computing: a message, or an empty text."""
    return _small_limit() or _bad_variable() or _missing_threads() or _openmp_complaint()


def describe_import_error(error: Exception) -> str:
    """Why the libraries could not be imported, with the limits that may be the cause.

    Args:
        error: the exception.
    """
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):  # NumPy surrounds it with many lines
        error = error.__cause__
    if isinstance(error, ModuleNotFoundError):
        return f"the module {str(error.name).partition('.')[0]} is missing; install it, or run `make`"
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[-120:]}"
    limits = _limits("RLIMIT_AS", "RLIMIT_DATA", *(["RLIMIT_NOFILE"] if "open files" in reason else []))
    fix = f"raise the limits of this process ({limits})" if limits else "`make` installs versions that fit together"
    return f"a library cannot be loaded ({reason}); {fix}. python -c 'import deepdream.cli.commands' shows more"


def _small_limit() -> str:
    further = _blas_threads() - 1
    for name, what, needed in (("RLIMIT_AS", "address space", _ADDRESS_SPACE), ("RLIMIT_DATA", "data", _DATA)):
        needed += further * _FOR_EACH_THREAD
        limit = _soft_limit(name)
        if limit is not None and limit < needed:
            letter, unit = _SHOWN_LIMITS[name]
            enough_for_one = further and limit >= needed - further * _FOR_EACH_THREAD
            return (
                f"the {what} of this process is limited to {limit / _MB:.0f} MB (ulimit -{letter} {limit // unit}), "
                f"and {needed / _MB:.0f} MB are needed with {further + 1} threads; raise the limit "
                f"(ulimit -{letter} unlimited){', or set OPENBLAS_NUM_THREADS=1' if enough_for_one else ''}"
            )
    return ""


def _bad_variable() -> str:
    isa = os.environ.get("PYCAFFE_ISA", "")
    if isa not in _ISAS:
        return f"PYCAFFE_ISA is {_quote(isa)}; it must be {', '.join(_ISAS[1:-1])} or {_ISAS[-1]}, or unset"
    for name in _BLAS_VARIABLES[:2]:  # OpenBLAS would silently take all processors
        value = os.environ.get(name, "")
        if value and not (value.isdecimal() and int(value[:9]) > 0):
            return f"{name} is {_quote(value)}; it must be a number of threads, 1 or more, or unset"
    return ""


def _missing_threads() -> str:
    """Try whether the threads that the libraries will start can be started, all at once."""
    count = _POOLS * (_blas_threads() - 1)
    if not count or not hasattr(os, "fork"):
        return ""
    try:
        child = os.fork()  # the memory of the threads is freed when it ends
        if not child:
            _start_threads_and_leave(count)
        missing = os.waitpid(child, 0)[1] != 0
    except OSError:
        missing = True
    if not missing:
        return ""
    return (
        f"this process cannot start the {count} threads that the libraries need "
        f"({_limits('RLIMIT_NPROC', 'RLIMIT_STACK')}); change these limits or those of its container, or set "
        "OPENBLAS_NUM_THREADS=1 and OMP_NUM_THREADS=1"
    )


def _start_threads_and_leave(count: int) -> None:
    import _thread

    code = 1
    try:
        wait = _thread.allocate_lock()
        wait.acquire()
        for _ in range(count):
            _thread.start_new_thread(wait.acquire, ())
        code = 0
    finally:
        os._exit(code)


def _openmp_complaint() -> str:
    """OpenMP's complaint about its environment variables, each of which has a syntax of its own."""
    names = [name for name in os.environ if name.startswith(("OMP_", "GOMP_"))]
    said = _say_of_openmp() if names and hasattr(os, "fork") else ""
    lines = [line.removeprefix("libgomp: ") for line in said.splitlines() if line.startswith("libgomp: ")]
    if not lines:
        return ""
    named = [name for name in names if name in lines[0]] or names
    settings = ", ".join(f"{name}={_quote(os.environ[name])}" for name in sorted(named)[:3])
    return f"{settings}: OpenMP cannot use this ({lines[0]}); correct it, or unset {sorted(named)[0]}"


def _say_of_openmp() -> str:
    """The text that GCC's OpenMP prints when it is loaded and starts its threads."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.dup2(theirs, 2)
            import ctypes

            start = ctypes.CDLL("libgomp.so.1").GOMP_parallel
            start(ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p), None, 0, 0)  # free(NULL) does nothing
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, encoding="utf-8", errors="replace") as said:
        text = said.read()
    os.waitpid(child, 0)
    return text


def _blas_threads() -> int:
    """The number of threads that OpenBLAS starts."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for name in _BLAS_VARIABLES:
        value = os.environ.get(name, "").partition(",")[0].strip()
        if value.isdecimal() and int(value[:9]):
            return min(int(value[:9]), processors, _MAX_THREADS)
    return min(processors, _MAX_THREADS)


def _soft_limit(name: str) -> int | None:
    """A limit of this process; `None` if there is none."""
    try:
        import resource
    except ImportError:  # on Windows
        return None
    limit = resource.getrlimit(getattr(resource, name))[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _limits(*names: str) -> str:
    """The limits that are set, as arguments of ulimit."""
    found = []
    for name in names:
        limit = _soft_limit(name)
        if limit is not None:
            letter, unit = _SHOWN_LIMITS[name]
            found.append(f"ulimit -{letter} {limit // unit}")
    return ", ".join(found)


def _quote(value: str) -> str:
    return f"'{printable(value if len(value) <= 40 else f'{value[:40]}…')}'"
