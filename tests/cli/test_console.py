"""What the command prints: on a terminal, into a file, and where nobody reads it."""

import os
import pty
import re
import select
import signal
import time

import pytest
from helpers import SMALL_DREAM, SQUEEZENET, assert_refused, without_device


def test_nobody_reads_the_output(place):
    dream = ["dream", "noise:40x40", *SQUEEZENET, *SMALL_DREAM]
    for command in (["layers", *SQUEEZENET], dream, ["models"], ["--help"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = place.run(*command, stdout=writer)
        os.close(writer)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "BrokenPipe" not in done.stderr


def test_no_output_at_all(place):
    done = place.run("layers", *SQUEEZENET, preexec_fn=lambda: os.close(1))
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr


def test_the_output_is_full(place):
    with open("/dev/full", "wb") as full:
        assert_refused(place.run("layers", *SQUEEZENET, stdout=full), "output cannot be written", "No space left")


@pytest.mark.parametrize("older", [None, b"older"])
def test_an_interruption_leaves_nothing_half_written(place, older):
    if older:
        (place.folder / "dream.png").write_bytes(older)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    process, said = in_terminal(
        place, "dream", "cat", *SQUEEZENET, "--iters", "100000", "--octaves", "1", "--max-size", "120"
    )
    signal.signal(signal.SIGINT, before)
    try:
        said.wait_for(r"iteration ([2-9]|\d\d+)/100000 ")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert "interrupted" in said.rest()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        said.close()
    assert "Traceback" not in said.text
    assert place.files() == (["dream.png"] if older else [])
    if older:
        assert (place.folder / "dream.png").read_bytes() == older


def test_the_progress_line_on_a_terminal(place):
    # The line is drawn ten times a second.
    process, said = in_terminal(place, "dream", "noise:200x200", *SQUEEZENET, "--iters", "80", "--octaves", "2")
    try:
        said.wait_for(r"octave 1/2, iteration \d+/80 .* left ")
        said.wait_for(r"octave 2/2, iteration \d+/80 ")
        said.rest()
        assert process.wait(timeout=20) == 0
        assert process.stdout.read().decode() == f"{place.folder / 'dream.png'}\n"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        said.close()


def test_no_progress_line_into_a_file(place):
    done = place.run("dream", "noise:40x40", *SQUEEZENET, "--iters", "2", "--octaves", "1")
    assert done.returncode == 0
    assert len(without_device(done.stderr).splitlines()) == 1
    assert "\x1b" not in done.stderr


def in_terminal(place, *arguments):
    """A run whose standard error is a terminal: (process, what the terminal shows)."""
    ours, theirs = pty.openpty()
    process = place.start(*arguments, stderr=theirs, env={"TERM": "xterm", "COLUMNS": "120"})
    os.close(theirs)
    return process, Terminal(ours)


class Terminal:
    """What a program writes to its terminal."""

    def __init__(self, descriptor):
        self.descriptor, self.text = descriptor, ""

    def wait_for(self, pattern, seconds=60):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            assert time.monotonic() < end, f"{pattern} did not come; there is {self.text[-500:]!r}"
            assert self._read(1) is not False, f"{pattern} did not come before the end: {self.text[-500:]!r}"

    def rest(self):
        while self._read(60):
            pass
        return self.text

    def _read(self, seconds):
        if not select.select([self.descriptor], [], [], seconds)[0]:
            return None
        try:
            chunk = os.read(self.descriptor, 65536)
        except OSError:  # Linux's way of saying that the other side is closed
            return False
        self.text += chunk.decode("utf-8", "replace")
        return bool(chunk)

    def close(self):
        os.close(self.descriptor)
