"""What is killed and run again gives the same result, and leaves nothing behind."""

import fcntl
import hashlib
import os
import subprocess
import sys

import pytest
from helpers import command_environment, write_tiny_model

from deepdream.data import bundled, cache
from deepdream.io import files
from deepdream.io.files import atomic_path, remove_leftovers
from deepdream.zoo import registry, weights
from fuzz import kills


def test_killed_at_random_moments(tmp_path):
    counts = kills.run(7, 2, tmp_path, effort=0.25)
    assert [each["failed"] for each in counts.values() if each["failed"]] == []
    assert [(each["kills"], each["same result"]) for each in counts.values()] == [(1, 1)] * 7


def test_killed_before_every_change_of_a_file(tmp_path):
    """Of what happens in a moment, such as a rename, random ones would not tell; here the film and what comes after."""
    with kills.scenarios(tmp_path, effort=0.1) as scenarios:
        changes, left = kills.killed_at_every_change(scenarios["video"], tmp_path, first=20)
    assert changes > 22
    assert left > 0


# Temporary files

# Writes half of a file in a folder, says so, and waits.
WRITER = """
import sys
from deepdream.io.files import atomic_path
with atomic_path(sys.argv[1]) as path:
    path.write_text("half")
    print(path, flush=True)
    sys.stdin.read()
    path.write_text("whole")
"""


@pytest.fixture
def writer(tmp_path):
    """(a process that has written half of `a.txt`, its temporary file)."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "a.txt")],
        env=command_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process, process.stdout.readline().strip()


def test_only_what_a_killed_process_left_is_removed(tmp_path, writer):
    process, temporary = writer
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == [os.path.basename(temporary)]  # it is at work
    process.kill()
    process.wait()
    assert os.path.exists(temporary)
    with atomic_path(tmp_path / "b.txt") as path:
        path.write_text("b")
    assert os.listdir(tmp_path) == ["b.txt"]


def test_who_is_not_killed_ends_well(tmp_path, writer):
    process, _ = writer
    remove_leftovers(tmp_path)
    process.communicate("")
    assert process.returncode == 0
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_users_own_files_stay(tmp_path):
    for name in (
        ".a-12345678.png",
        ".deepdream-a.png",
        ".deepdream-a-1234567.png",
        "deepdream-a-12345678.png",
        ".deepdream-a-12345678",
    ):
        (tmp_path / name).write_text("mine")
    (tmp_path / ".deepdream-folder-12345678.d").mkdir()
    (tmp_path / ".deepdream-link-12345678.png").symlink_to(tmp_path / "deepdream-a-12345678.png")
    before = sorted(os.listdir(tmp_path))
    remove_leftovers(tmp_path)
    before.remove(".deepdream-a-12345678")  # this is one of ours, of a name without suffix
    assert sorted(os.listdir(tmp_path)) == before


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    (tmp_path / ".deepdream-b-12345678.txt").write_text("perhaps somebody is at work on it")
    with atomic_path(tmp_path / "a.txt") as path:
        path.write_text("a")
    assert sorted(os.listdir(tmp_path)) == [".deepdream-b-12345678.txt", "a.txt"]


def test_a_file_that_is_taken_away_before_it_is_locked(tmp_path, monkeypatch):
    taken, real = [], files._locked

    def locked(file):
        if len(taken) < 2:  # once it is gone, once another process is about to remove it
            taken.append(file.name)
            os.unlink(file.name)
            return len(taken) == 1
        return real(file)

    monkeypatch.setattr(files, "_locked", locked)
    with atomic_path(tmp_path / "a.txt") as path:
        path.write_text("a")
    assert len(taken) == 2
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_a_killed_download_left_goes_when_another_process_has_fetched_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DEEPDREAM_DATA", raising=False)
    model = registry.find_model(write_tiny_model(tmp_path / "far"))
    monkeypatch.setitem(bundled.RELEASE_FILES, "a.jpg", hashlib.sha256(b"a").hexdigest())
    cached, picture = (cache.cache_folder() / each for each in ("models/far/tiny.caffemodel", "images/a.jpg"))
    for path in (cached, picture):
        path.parent.mkdir(parents=True)
        path.with_name(".deepdream-far-12345678.part").write_text("half")
    (model.folder / cached.name).rename(cached)
    picture.write_bytes(b"a")
    assert weights.weights_path(model) == cached
    assert bundled.release_file("a.jpg") == picture
    assert os.listdir(cached.parent) == [cached.name]
    assert os.listdir(picture.parent) == [picture.name]


# Some write files, others do nothing but sweep.
CROWD = """
import os, sys, time
from pathlib import Path
from deepdream.io.files import atomic_path, remove_leftovers
folder, until = Path(sys.argv[1]), time.monotonic() + float(sys.argv[2])
children = []
for number in range(6):
    child = os.fork()
    if not child:
        while time.monotonic() < until:
            if number % 2:
                remove_leftovers(folder)
            else:
                with atomic_path(folder / f"{number}.txt") as path:
                    path.write_text("whole")
        os._exit(0)
    children.append(child)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


def test_processes_in_one_folder_leave_one_another_alone(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CROWD, str(tmp_path), "1"],
        env=command_environment(),
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path)) == ["0.txt", "2.txt", "4.txt"]
