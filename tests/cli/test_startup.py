"""The command before it has imported its libraries: interrupted, under small limits, with variables that are wrong."""

import os
import resource
import subprocess
import sys

import pytest
from helpers import ROOT, assert_refused, command_environment

from deepdream.cli import startup

MEBIBYTE = 2**20
# Sends itself what Ctrl-C sends when a module is about to be imported.
INTERRUPTED = """
import os, signal, sys

awaited = sys.argv.pop(1)

class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name == awaited:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
sys.meta_path.insert(0, Interrupter())
from deepdream.cli import main
main()
"""


def run(*arguments, limits=(), **environment):
    """Run a command of which nothing is imported yet, with {limit: value} and further variables."""

    def limit():
        for name, value in dict(limits).items():
            resource.setrlimit(getattr(resource, name), (value, resource.getrlimit(getattr(resource, name))[1]))

    return subprocess.run(
        [sys.executable, "-m", "deepdream", *arguments],
        env={**command_environment(), **environment},
        capture_output=True,
        preexec_fn=limit,
        text=True,
        errors="surrogateescape",
        timeout=20,
    )


@pytest.mark.parametrize("module", ["deepdream.cli.commands", "typer", "numpy", "caffe", "scipy", "deepdream.zoom"])
def test_an_interruption_of_the_imports(module):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, module, "models"],
        env=command_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "deepdream: interrupted\n")


def test_the_process_ignores_interruptions_that_it_was_told_to_ignore():
    """As those of a shell's background jobs are."""
    ignoring = INTERRUPTED.replace("signal.default_int_handler", "signal.SIG_IGN")
    done = subprocess.run(
        [sys.executable, "-c", ignoring, "numpy", "--help"],
        env=command_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("mebibytes", [50, 100, 150, 200, 300, 400, 500, 600, 700, 750])
@pytest.mark.parametrize("name, letter", [("RLIMIT_AS", "v"), ("RLIMIT_DATA", "d")])
def test_small_limits_of_memory(mebibytes, name, letter):
    needed = (startup._ADDRESS_SPACE if name == "RLIMIT_AS" else startup._DATA) // MEBIBYTE
    if mebibytes >= needed:
        pytest.skip("this is enough")
    done = run("models", limits={name: mebibytes * MEBIBYTE})
    assert_refused(done, f"(ulimit -{letter} {mebibytes * 1024})", f"raise the limit (ulimit -{letter} unlimited)")


@pytest.mark.parametrize("name", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_a_limit_of_memory_that_is_just_large_enough(tmp_path, tiny_model, name):
    needed = startup._ADDRESS_SPACE if name == "RLIMIT_AS" else startup._DATA
    output, one_thread = str(tmp_path / "a.png"), {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    dream = ["dream", "noise:64x64", "--model", str(tiny_model), "--octaves", "1", "--iters", "1", "-o", output]
    done = run(*dream, limits={name: needed}, **one_thread)
    assert (done.returncode, done.stdout) == (0, f"{output}\n"), done.stderr
    more = startup._FOR_EACH_THREAD // 2  # enough for one thread, but not for two
    if startup._blas_threads() > 1:
        assert_refused(run(*dream, limits={name: needed + more}), "or set OPENBLAS_NUM_THREADS=1")


def test_too_few_open_files():
    done = run("models", limits={"RLIMIT_NOFILE": 5})
    if sys.version_info >= (3, 12) and done.returncode == 0:
        pytest.skip("this Python loads its libraries one after the other")
    assert_refused(done, "a library cannot be loaded", "ulimit -n 5")


@pytest.mark.skipif(startup._blas_threads() == 1, reason="one processor, so that no threads are started")
def test_threads_that_cannot_be_started():
    """A stack of a hundred terabytes; as root no number of processes would be too large."""
    limits = {"RLIMIT_STACK": 100 * 2**40}
    assert_refused(run("models", limits=limits), "cannot start the", "ulimit -s", "OPENBLAS_NUM_THREADS=1")
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    assert run("--help", limits=limits, **one_thread).returncode == 0


@pytest.mark.parametrize(
    "name, value",
    [
        *(("OMP_NUM_THREADS", value) for value in ("0", "abc", "-1", "", "4,abc")),
        ("OMP_STACKSIZE", "abc"),
        ("OMP_STACKSIZE", "0"),
        ("OMP_SCHEDULE", "xyz"),
        ("OMP_PROC_BIND", "x" * 500),
        ("GOMP_SPINCOUNT", "z"),
        ("OPENBLAS_NUM_THREADS", "abc"),
        ("OPENBLAS_NUM_THREADS", "0"),
        ("PYCAFFE_ISA", "avx1024"),
        ("XDG_CACHE_HOME", "relative"),
    ],
)
def test_variables_that_are_wrong(name, value):
    done = run("dream", "noise:64x64", DEEPDREAM_DATA="", **{name: value})
    assert_refused(done, name, repr(value)[:20], "unset")


def test_a_variable_that_is_not_text():
    assert_refused(run("models", OMP_SCHEDULE="\udcff"), "OMP_SCHEDULE='\\xff'")


def test_variables_that_are_right():
    right = {"OMP_NUM_THREADS": "2,1", "OMP_STACKSIZE": "4M", "OPENBLAS_NUM_THREADS": "2", "PYCAFFE_ISA": "baseline"}
    done = run("--help", **right)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_library_that_cannot_be_imported(tmp_path):
    (tmp_path / "skimage.py").write_text("raise ImportError('libmissing.so.7: cannot open shared object file')")
    done = run("models", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert_refused(done, "a library cannot be loaded", "libmissing.so.7", "fit together")


def test_a_library_that_is_missing():
    code = "import sys; sys.modules['caffe'] = None; from deepdream.cli import main; main(['models'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=command_environment(), capture_output=True, text=True, timeout=20
    )
    assert_refused(done, "the module caffe is missing", "install it")


def test_an_interruption_at_the_end_of_the_process():
    """What is done is done: the exit code stays."""
    code = """
import atexit, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["deepdream", "--help"]
atexit.register(os.kill, os.getpid(), signal.SIGINT)
from deepdream.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], env=command_environment(), capture_output=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_handler_of_interruptions_is_pythons_own_afterwards():
    code = """
import signal
from deepdream.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    main(["--help"])
finally:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""
    done = subprocess.run([sys.executable, "-c", code], env=command_environment(), capture_output=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, b"")
