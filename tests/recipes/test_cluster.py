"""Galleries on a Dask cluster, whose workers may die."""

import http.server
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import SMALL_RECIPE, command_environment, read_folder, serving, small_gallery

import deepdream as dd
from deepdream import DreamError, Recipe
from deepdream.recipes import cluster as cluster_module
from deepdream.recipes.gallery import make_gallery
from deepdream.recipes.gallery_file import Entry, Gallery


@pytest.fixture
def cluster():
    """Two worker processes with one thread each."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        yield cluster


@pytest.mark.usefixtures("squeezenet_file")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_worker_that_dies_loses_no_picture(tmp_path, cluster):
    """Thirty recipes on two workers, of which one is killed half-way: all pictures, each equal to the serial run's."""
    serial, parallel = tmp_path / "serial", tmp_path / "parallel"
    serial.mkdir()
    parallel.mkdir()
    recipes = small_gallery(30)
    assert all(outcome.made for outcome in make_gallery(recipes, serial))
    victim = next(iter(cluster.workers.values())).process.pid
    outcomes = []
    for outcome in make_gallery(recipes, parallel, scheduler=cluster.scheduler_address):
        outcomes.append(outcome)
        if len(outcomes) == 10:
            os.kill(victim, signal.SIGKILL)
    assert [outcome for outcome in outcomes if not outcome.made] == []
    expected, got = read_folder(serial), read_folder(parallel)
    assert len(got) == 30
    assert expected.keys() == got.keys()
    for name, image in expected.items():
        np.testing.assert_array_equal(got[name], image)
        assert Recipe.from_image(serial / f"{name}.png") == Recipe.from_image(parallel / f"{name}.png")


@pytest.mark.usefixtures("squeezenet_file")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_recipe_that_fails_on_a_worker_is_an_outcome(tmp_path, cluster, sky):
    dd.write_image(tmp_path / "own.png", sky)
    recipes = [
        Recipe(**{**SMALL_RECIPE, "seed": 1, **change})
        for change in ({"end": "no/layer"}, {"input": "no.png"}, {"input": str(tmp_path / "own.png")})
    ]
    several = Gallery("", "", tuple(Entry(f"n{i}", recipe) for i, recipe in enumerate(recipes)))
    outcomes = make_gallery(several, tmp_path, cluster.scheduler_address)
    errors = {outcome.entry.name: outcome.error for outcome in outcomes}
    assert "no layer 'no/layer'" in errors["n0"]
    assert "no.png: no such file" in errors["n1"]
    assert errors["n2"] is None


def test_no_scheduler(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    from deepdream.recipes import cluster

    monkeypatch.setattr(cluster, "TIMEOUT_S", 0.5)
    with pytest.raises(DreamError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 "):
        list(make_gallery(small_gallery(1), tmp_path, scheduler="tcp://127.0.0.1:9"))


class NoScheduler(http.server.BaseHTTPRequestHandler):
    """A web server's answer to Dask's greeting."""

    def handle(self):
        self.rfile.read(8)
        self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" * 8)

    def log_message(self, *_):
        pass


@pytest.mark.usefixtures("squeezenet_file")
def test_workers_that_do_not_start_are_one_error(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")

    def fail(**_):
        raise RuntimeError("Nanny failed to start. " + "x" * 500)

    monkeypatch.setattr(distributed, "LocalCluster", fail)
    with pytest.raises(
        DreamError, match=r"the 2 worker processes could not be started .Nanny failed .*try fewer"
    ) as raised:
        list(make_gallery(small_gallery(1), tmp_path, workers=2))
    assert len(str(raised.value)) <= 300


@pytest.mark.parametrize("server", [NoScheduler, http.server.SimpleHTTPRequestHandler])
def test_something_else_than_a_scheduler_answers(tmp_path, monkeypatch, server):
    pytest.importorskip("distributed")
    from deepdream.recipes import cluster

    monkeypatch.setattr(cluster, "TIMEOUT_S", 2)
    with serving(server) as site:
        address = site.address.replace("http", "tcp")
        with pytest.raises(DreamError, match=f"no Dask scheduler answers at {address} "):
            list(make_gallery(small_gallery(1), tmp_path, scheduler=address))


def test_without_dask(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DreamError, match=r"pip install 'deepdream-caffe\[cluster\]'"):
        list(make_gallery(small_gallery(1), tmp_path, workers=2))


# The command, interrupted and ended

PICTURE = """
[[picture]]
name = "n{}"
input = "cat"
model = "squeezenet_v1.1"
max_size = 400
"""
LONG_GALLERY = "".join(map(PICTURE.format, range(9)))


def session(leader):
    """The numbers of the processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it has ended meanwhile
            continue
        if int(of) == leader and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system does not list its processes")
@pytest.mark.usefixtures("squeezenet_file")
@pytest.mark.parametrize("wait_s", [0, 1, 3])
@pytest.mark.parametrize("number, send, code", [("SIGINT", os.killpg, 130), ("SIGTERM", os.kill, 143)])
def test_a_command_with_workers_ends_quietly_and_leaves_none(tmp_path, number, send, code, wait_s):
    """Ctrl-C goes to every process of a terminal, SIGTERM to the one that is named; while workers start, and later."""
    pytest.importorskip("distributed")
    (tmp_path / "many.toml").write_text(LONG_GALLERY)
    process = subprocess.Popen(
        [sys.executable, "-m", "deepdream", "gallery", "many.toml", "-o", "out", "--workers", "2", "--gpu", "none"],
        cwd=tmp_path,
        env=command_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a background job ignores it
    )
    try:
        end = time.monotonic() + 60
        while len(session(process.pid)) < 3 and time.monotonic() < end:  # multiprocessing's tracker is one of them
            time.sleep(0.02)
        time.sleep(wait_s)
        send(process.pid, getattr(signal, number))
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (code, "deepdream: interrupted\n" if number == "SIGINT" else "")
        end = time.monotonic() + 10
        while session(process.pid) and time.monotonic() < end:
            time.sleep(0.05)
        assert session(process.pid) == []
    finally:
        for each in session(process.pid):
            os.kill(each, signal.SIGKILL)
        process.communicate()


def test_sigterm_is_as_before_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end, cluster_module._exit_on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    assert end.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
