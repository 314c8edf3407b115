"""A definition tried out where it can do no harm: in a process of its own, which Caffe may end.

Our Caffe raises `caffe.Error`. Any other ends its process when one of its hundreds of checks fails, more than can be
foreseen here, and takes a notebook or a night's work with it.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile

import caffe

_ALONE = "import sys, caffe; caffe.Net(sys.argv[1], caffe.TEST)"


def refusal(prototxt):
    """What Caffe would end this process with if it built this definition, a path; `None` if nothing."""
    if hasattr(caffe, "Error"):
        return None
    with tempfile.TemporaryFile() as said:
        ended = _in_fork(prototxt, said) if hasattr(os, "fork") else subprocess.run(
            [sys.executable, "-c", _ALONE, prototxt], stdin=subprocess.DEVNULL, stdout=said, stderr=said).returncode
        if not ended:
            return None
        said.seek(0)
        text = said.read().decode(errors="replace")
    # As glog writes it: F1124 11:37:30.525985 31662 base_conv_layer.cpp:119] Check failed: num_output_ > 0
    found = re.search(r"^F\d{4}.*?\] *(.*?)\s*$", text, re.MULTILINE)
    return found[1] if found else f"its process ended with {ended}"


def _in_fork(prototxt, said):
    """Build the network in a fork, which has Caffe already; returns how it ended, zero if well."""
    child = os.fork()
    if not child:
        try:
            os.dup2(said.fileno(), 2)
            with contextlib.suppress(ImportError):
                import resource
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            caffe.set_mode_cpu()
            with contextlib.suppress(Exception):  # what is raised here will be raised in the parent as well
                caffe.Net(prototxt, caffe.TEST)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]
