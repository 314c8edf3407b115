"""How much memory this process may still take."""

import subprocess
import sys

import pytest
from helpers import command_environment

from deepdream import memory


def test_free_memory_is_a_sensible_number():
    free = memory.free_bytes()
    assert free is not None
    assert 2**20 < free < 2**50


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_the_process_s_own_limits_count(limit):
    """What `ulimit -v` or `ulimit -d` leaves, and not what the machine has."""
    code = f"""
import resource
from deepdream.memory import free_bytes
before = free_bytes()
pages = [int(n) * resource.getpagesize() for n in open("/proc/self/statm").read().split()]
used = pages[0 if {limit!r} == "RLIMIT_AS" else 5]
resource.setrlimit(resource.{limit}, (used + 300 * 2**20, -1))
print(before, free_bytes())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=command_environment()
    )
    before, after = map(int, done.stdout.split())
    assert 250 * 2**20 < after <= 301 * 2**20 < before


@pytest.mark.parametrize(
    "free, says",
    [(None, None), (2**31, None), (2**31 - 1, "about 2.0 GiB of memory, and 2.0 GiB are free")],
)
def test_a_shortage_in_words(monkeypatch, free, says):
    monkeypatch.setattr(memory, "free_bytes", lambda: free)
    assert memory.describe_shortage(2**31) == says
