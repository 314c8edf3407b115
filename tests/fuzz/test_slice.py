"""A part of `make fuzz` with a fixed seed, small enough for every change."""

import os

import caffe
import pytest

from fuzz import files, parameters, sandbox, soak

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the sandbox needs Linux"),
    pytest.mark.skipif(not hasattr(caffe, "Error"), reason="another pycaffe ends the process where ours raises"),
]


def test_damaged_files(tmp_path):
    counts, bad, _ = files.run(150, 2015, tmp_path)
    assert bad == []
    assert set(counts) == set(files.SHARES)
    for outcome in ("done", "refused"):
        assert sum(each.get(outcome, 0) for each in counts.values()) > 20, counts


def test_whole_files_are_taken(tmp_path):
    """Else nothing would be learnt from refusals."""
    whole = files.Seeds()
    with sandbox.Sandbox(tmp_path / "box") as box:
        for name, content in {**whole.pictures, **whole.videos}.items():
            command = ["video", name, "out.mp4"] if name in whole.videos else ["dream", name, "-o", "out.png"]
            found = box.run({**whole.model, name: content}, command=[*command, *files.QUICK], writes=(command[-1],))
            assert found.kind == "done", (name, found)
        for name, text in whole.definitions.items():
            found = box.run(
                {**whole.model, **whole.photo, "model/deploy.prototxt": text.encode()},
                call=("files", "dream_unweighted", files.END[name]),
            )
            assert found.kind == "done", (name, found)


def test_parameters(tmp_path):
    counts, _ = parameters.run(100, 2015, tmp_path)
    assert sum(sum(each.values()) for each in counts.values()) >= 100
    assert sum(each.get("done", 0) for each in counts.values()) > 20, counts


def test_dreams_in_one_process_are_those_of_fresh_ones(squeezenet_file):
    memory, _, differing = soak.run(12, 2015, ["squeezenet_v1.1"])
    assert differing == []
    assert max(memory) < 2**30


CASES = {
    "done": ("ok", "done"),
    "refused": ("refuse", "refused"),
    "signal": ("die", "signal"),
    "hang": ("wait", "hang"),
    "traceback": ("raise_", "traceback"),
    "exit code": ("leave", "exit code"),
    "long line": ("ramble", "long line"),
    "no reason": ("mumble", "no reason"),
    "half-written": ("litter", "half-written"),
    "changed": ("spoil", "changed"),
    "memory": ("eat", "out of memory"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_sandbox_tells_how_a_case_ended(tmp_path, name):
    function, kind = CASES[name]
    with sandbox.Sandbox(tmp_path / "box", memory=2**29, seconds=1 if name == "hang" else 30) as box:
        found = box.run({"there": b"before"}, call=("misbehave", function, None))
    assert found.kind == kind, found
    assert found.good == (kind in sandbox.GOOD)
