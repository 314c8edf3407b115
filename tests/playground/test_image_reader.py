"""The images of a visitor: one at a time, and the newest stays."""

import threading
import time

import pytest

from deepdream.errors import ImageError
from deepdream.playground import image_reader
from deepdream.playground.decoder import Decoded
from deepdream.playground.image_reader import MAX_DECODINGS, ImageReader
from deepdream.playground.uploads import Limits, Picture


class SlowDecoding:
    """Decodes until it is let go or cancelled; counts those that run."""

    running = most = 0
    lock = threading.Lock()

    def __init__(self, picture, side, shown_side):
        self.picture, self.go, self.cancelled = picture, threading.Event(), False
        with SlowDecoding.lock:
            SlowDecoding.running += 1
            SlowDecoding.most = max(SlowDecoding.most, SlowDecoding.running)
            SlowDecoding.made.append(self)

    def result(self):
        assert self.go.wait(30)
        with SlowDecoding.lock:
            SlowDecoding.running -= 1
        if self.cancelled:
            raise ImageError("cancelled")
        return Decoded((4, 4), (4, 4), None, self.picture.data)

    def cancel(self):
        self.cancelled = True
        self.go.set()


@pytest.fixture
def made(monkeypatch, own_cache):
    """The decodings that were begun."""
    monkeypatch.setattr(image_reader, "Decoding", SlowDecoding)
    monkeypatch.setattr(image_reader, "_POLL_S", 0.01)
    SlowDecoding.made, SlowDecoding.running, SlowDecoding.most = [], 0, 0
    return SlowDecoding.made


class Heard:
    def __init__(self):
        self.ready, self.failed = [], []
        self.reader = ImageReader(
            Limits(), lambda role, picture, _: self.ready.append(picture.name), self.failed.append
        )


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def file(name):
    return Picture(name, b"x")


def test_a_newer_image_replaces_an_older_one(made):
    heard = Heard()
    for number in range(6):
        heard.reader.read("picture", file(f"{number}.png"))
        if number == 0:
            wait_for(lambda: made)
    wait_for(lambda: len(made) == 2)
    made[1].go.set()
    wait_for(lambda: heard.ready)
    assert (heard.ready, heard.failed, SlowDecoding.most) == (["5.png"], [], 1)
    assert made[0].cancelled


def test_a_guide_does_not_replace_the_picture(made):
    heard = Heard()
    heard.reader.read("picture", file("picture.png"))
    wait_for(lambda: made)
    heard.reader.read("guide", file("guide.png"))
    made[0].go.set()
    wait_for(lambda: len(made) == 2)
    made[1].go.set()
    wait_for(lambda: len(heard.ready) == 2)
    assert (heard.ready, SlowDecoding.most) == (["picture.png", "guide.png"], 1)


def test_a_few_are_decoded_at_a_time_over_all_visitors(made):
    visitors = [Heard() for _ in range(5)]
    for visitor in visitors:
        visitor.reader.read("picture", file("a.png"))
    done = 0
    while done < len(visitors):
        wait_for(lambda: len(made) > done)  # noqa: B023
        made[done].go.set()
        done += 1
    wait_for(lambda: all(visitor.ready for visitor in visitors))
    assert SlowDecoding.most == MAX_DECODINGS


def test_one_that_waits_can_be_replaced(made):
    others = [Heard() for _ in range(MAX_DECODINGS)]
    for other in others:
        other.reader.read("picture", file("a.png"))
    wait_for(lambda: len(made) == MAX_DECODINGS)
    heard = Heard()
    for name in ("first.png", "second.png"):
        heard.reader.read("picture", file(name))
        time.sleep(0.05)
    for each in list(made):
        each.go.set()
    wait_for(lambda: len(made) == MAX_DECODINGS + 1)
    made[-1].go.set()
    wait_for(lambda: heard.ready)
    assert heard.ready == ["second.png"]


def test_a_cancelled_one_is_not_told(made):
    heard = Heard()
    heard.reader.read("guide", file("a.png"))
    wait_for(lambda: made)
    heard.reader.cancel("guide")
    heard.reader.read("picture", Picture("noise:8x8"))  # needs no process
    wait_for(lambda: heard.ready)
    assert (heard.ready, heard.failed) == (["noise:8x8"], [])


def test_errors_are_told(made):
    heard = Heard()
    heard.reader.read("picture", file("a.png"))
    wait_for(lambda: made)
    made[0].cancel()
    wait_for(lambda: heard.failed)
    assert str(heard.failed[0]) == "cancelled"
