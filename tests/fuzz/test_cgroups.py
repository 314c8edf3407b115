"""Limits of control groups: a dream that would not fit is refused, or made in tiles, before Linux ends the process.

Real groups are made where this machine lets its user make them, of version 1 or 2; what version 2 says, and what no
machine should say, is read from files in a folder.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path, PosixPath

import numpy as np
import pytest
from helpers import command_environment, write_tiny_model
from PIL import Image

from deepdream import memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has control groups")
MIB = 2**20


@contextlib.contextmanager
def control_group(limit):
    """The folder of a new group whose processes together have at most `limit` bytes."""
    group = next(filter(None, (_made(*each, limit) for each in _HIERARCHIES)), None)
    if group is None:
        pytest.skip("this machine lets this user make no group with a limit of memory")
    try:
        yield group
    finally:
        group.rmdir()


_HIERARCHIES = (("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"))


def _made(root, name, limit):
    """The folder of a new group with this limit, or `None`."""
    group = Path(root) / f"deepdream-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        return None
    with contextlib.suppress(OSError), open(group / name, "r+", encoding="ascii") as file:  # the kernel made it
        file.write(str(limit))
        return group
    group.rmdir()
    return None


def run_in(group, place, *arguments):
    """(exit code, what was said) of the command in a group."""
    script = f'echo $$ > "{group}/cgroup.procs" && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-m", "deepdream", *arguments],
        cwd=place,
        env=command_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.fixture
def place(tmp_path):
    write_tiny_model(tmp_path / "tiny")
    return tmp_path


QUICK = ["--model", "tiny", "--iters", "1", "--octaves", "1", "--jitter", "4", "--seed", "1"]


@pytest.mark.parametrize(
    "limit, picture, tile, code",
    [
        (400 * MIB, "noise:200x150", "none", 0),
        (400 * MIB, "noise:6000x4000", "none", 2),
        (400 * MIB, "noise:1500x1200", "auto", 0),
        pytest.param(300 * MIB, "noise:3000x2000", "none", 2, marks=pytest.mark.slow),
        pytest.param(250 * MIB, "noise:2000x1500", "auto", None, marks=pytest.mark.slow),
        pytest.param(200 * MIB, "noise:600x400", "auto", None, marks=pytest.mark.slow),
        pytest.param(800 * MIB, "noise:4000x3000", "auto", None, marks=pytest.mark.slow),
    ],
)
def test_a_dream_in_a_group_with_a_limit(place, limit, picture, tile, code):
    """It dreams or is refused with the numbers; in no case does Linux end it."""
    with control_group(limit) as group:
        ended, said = run_in(group, place, "dream", picture, *QUICK, "--tile", tile, "-o", "out.png")
    assert ended in ((0, 2) if code is None else (code,)), (ended, said)
    assert (place / "out.png").exists() == (ended == 0)
    if ended:
        assert "memory" in said.splitlines()[-1]


def test_a_picture_that_does_not_fit_into_the_group(place):
    """A small file whose pixels take more than there is, as one line."""
    Image.fromarray(np.zeros((9000, 9000), np.uint8)).save(place / "large.png")
    with control_group(300 * MIB) as group:
        ended, said = run_in(group, place, "dream", "large.png", *QUICK, "-o", "out.png")
    assert ended == 2, (ended, said)
    assert "memory" in said.splitlines()[-1]
    assert not (place / "out.png").exists()


# --- What the files say ----------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A function that lets the files of the system have these contents, {path: text}, and no others be there."""

    class Simulated(PosixPath):
        def read_text(self, *arguments, **options):
            return Path(f"{tmp_path}{self}").read_text(*arguments, **options)

    def put(**contents):
        for name, text in contents.items():
            path = Path(f"{tmp_path}{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    monkeypatch.setattr(memory, "Path", Simulated)
    return put


def group_v2(folder, limit, used, cache=0):
    base = f"/sys/fs/cgroup{folder}"
    return {
        f"{base}/memory.max": f"{limit}\n",
        f"{base}/memory.current": f"{used}\n",
        f"{base}/memory.stat": f"anon 5\nfile {cache}\ninactive_file {cache}\n",
    }


def group_v1(folder, limit, used, cache=0):
    base = f"/sys/fs/cgroup/memory{folder}"
    return {
        f"{base}/memory.limit_in_bytes": f"{limit}\n",
        f"{base}/memory.usage_in_bytes": f"{used}\n",
        f"{base}/memory.stat": f"cache {cache}\ntotal_inactive_file {cache}\n",
    }


HYBRID = "4:memory:/a\n1:name=systemd:/b\n0::/c\n"


@pytest.mark.parametrize(
    "line, groups, free",
    [
        ("0::/a/b\n", [group_v2("/a/b", 1000, 400)], 600),
        ("0::/a/b\n", [group_v2("/a/b", 1000, 400, 100)], 700),
        ("0::/a/b\n", [group_v2("/a/b", "max", 400), group_v2("/a", 900, 500)], 400),
        ("0::/a/b\n", [group_v2("/a/b", 1000, 400), group_v2("/a", 900, 800)], 100),
        ("0::/a/b\n", [group_v2("", 1000, 400)], 600),  # a container that sees only its own root
        ("0::/../../elsewhere\n", [group_v2("", 1000, 400)], 600),  # and one that sees that there is more
        ("0::/\n", [group_v2("", "max", 400)], None),
        ("0::/a\n", [group_v2("/a", 1000, 1200)], 0),  # more is used than allowed, for a moment
        ("0::/a\n", [group_v2("/a", 0, 0)], 0),
        ("0::/a:b c/é\n", [group_v2("/a:b c/é", 1000, 400)], 600),
        ("4:cpu,memory:/a\n", [group_v1("/a", 1000, 400, 50)], 650),
        ("4:memory:/a\n", [group_v1("/a", 2**63 - 4096, 400), group_v1("", 1000, 500)], 500),
        (HYBRID, [group_v1("/a", 1000, 400), group_v2("/c", "max", 3)], 600),
        (HYBRID, [group_v1("/a", 1000, 400), group_v2("/c", 500, 3)], 497),
        ("", [group_v2("", 1000, 400)], None),
        ("nonsense\n", [group_v2("", 1000, 400)], None),
        ("0::/a\n", [{"/sys/fs/cgroup/a/memory.max": "\n"}], None),
        ("0::/a\n", [group_v2("/a", "12 GiB", 400)], None),
        ("0::/a\n", [group_v2("/a", 1000, "")], None),
    ],
)
def test_what_a_group_leaves(files, line, groups, free):
    files(**{"/proc/self/cgroup": line}, **{name: text for group in groups for name, text in group.items()})
    assert memory.free_bytes() == free


def test_the_least_of_what_the_system_and_the_group_leave(files):
    files(**{"/proc/self/cgroup": "0::/a\n", **group_v2("/a", 3 * MIB, 0)})
    for available, free in ((2048, 2 * MIB), (9999, 3 * MIB)):
        files(**{"/proc/meminfo": f"MemTotal: 1 kB\nMemAvailable:    {available} kB\n"})
        assert memory.free_bytes() == free


def test_a_group_whose_statistics_cannot_be_read_has_its_limit_all_the_same(files):
    contents = group_v2("/a", 1000, 400)
    for text in ("", "anon\n", "inactive_file many\n", None):
        contents["/sys/fs/cgroup/a/memory.stat"] = text or "x"
        if text is None:
            del contents["/sys/fs/cgroup/a/memory.stat"]
        files(**{"/proc/self/cgroup": "0::/a\n"}, **contents)
        assert memory.free_bytes() == 600, text
