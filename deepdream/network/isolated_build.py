"""Tries a definition in a separate process, which Caffe may end.

Our Caffe raises `caffe.Error`. Any other Caffe ends its process if one of its hundreds of checks fails. They cannot all
be anticipated here, and a notebook or a night's work would be lost.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from typing import IO

import caffe

_BUILD = "import sys, caffe; caffe.Net(sys.argv[1], caffe.TEST)"


def build_error(prototxt: str) -> str | None:
    """Find out why Caffe would end this process if it built a definition.

    Args:
        prototxt: the definition's path.

    Returns:
        Caffe's own message, in one line; `None` if the network can be built, or if this Caffe raises instead.
    """
    if hasattr(caffe, "Error"):
        return None
    with tempfile.TemporaryFile() as output:
        build = _build_in_fork if hasattr(os, "fork") else _build_in_new_process
        status = build(prototxt, output)
        if not status:
            return None
        output.seek(0)
        text = output.read().decode(errors="replace")
    # As glog writes it: F1124 11:37:30.525985 31662 base_conv_layer.cpp:119] Check failed: num_output_ > 0
    found = re.search(r"^F\d{4}.*?\] *(.*?)\s*$", text, re.MULTILINE)
    return found[1] if found else f"its process ended with {status}"


def _build_in_new_process(prototxt: str, output: IO[bytes]) -> int:
    """Build the network in a new Python; returns its exit code, zero if it succeeded."""
    command = [sys.executable, "-c", _BUILD, prototxt]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output).returncode


def _build_in_fork(prototxt: str, output: IO[bytes]) -> int:
    """Build the network in a fork, which has Caffe already; returns its wait status, zero if it succeeded."""
    child = os.fork()
    if not child:
        try:
            os.dup2(output.fileno(), 2)
            with contextlib.suppress(ImportError):
                import resource

                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            caffe.set_mode_cpu()
            with contextlib.suppress(Exception):  # the parent will get the same exception
                caffe.Net(prototxt, caffe.TEST)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]
