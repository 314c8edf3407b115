"""What the notebooks draw with."""

import base64
import io
import os

import numpy as np
import pytest
from PIL import Image

from deepdream import notebook


def test_sheet():
    """Large pictures are scaled to their column, small ones stay; captions take room below."""
    wide, small, grey = np.full((50, 400, 3), 200.0), np.full((30, 40, 3), 10.0), np.full((20, 20), 90.0)
    plain = notebook.sheet([wide, small, grey], columns=2, width=208)
    assert plain.dtype == np.uint8 and plain.shape[1] == 208
    assert (plain[:12, :100] == 200).all() and plain.shape[0] == 30 + 8 + 20
    assert (plain[:, :, 0] == 10).sum() == 30 * 40
    assert (plain[-20:, 40:60] == 90).all()
    captioned = notebook.sheet([wide, small, grey], ["a", "b\nc", ""], columns=2, width=208)
    assert captioned.shape[0] == 30 + 2 * 20 + 4 + 8 + 20
    assert (captioned[30:74, 108:] < 128).any()


def test_a_claim_that_holds_says_nothing(capsys, monkeypatch):
    for strict in ("0", "1"):
        monkeypatch.setenv(notebook.STRICT, strict)
        with notebook.claim("Two is two."):
            assert 1 + 1 == 2
    assert capsys.readouterr().out == ""


def test_a_claim_that_does_not_hold_is_said_and_the_notebook_goes_on(capsys, monkeypatch):
    monkeypatch.delenv(notebook.STRICT, raising=False)
    with notebook.claim("Two is three."):
        assert 1 + 1 == 3
    assert capsys.readouterr().out == "With these settings this does not hold: Two is three.\n"


def test_a_published_claim_that_does_not_hold_is_an_error(monkeypatch):
    monkeypatch.setenv(notebook.STRICT, "1")
    with pytest.raises(AssertionError, match=r"^Two is three\.$"), notebook.claim("Two is three."):
        assert 1 + 1 == 3


def test_other_errors_are_not_hidden(monkeypatch):
    monkeypatch.delenv(notebook.STRICT, raising=False)
    with pytest.raises(KeyError), notebook.claim("There is one."):
        assert {}["one"]


def test_show_and_animate():
    frames = [np.full((30, 40, 3), value) for value in (0.0, 120.0, 255.0)]
    picture = notebook.show(*frames, captions=("one", "two", "three"), width=301)
    assert picture.format == "jpeg" and picture.alt == "one, two, three"
    assert Image.open(io.BytesIO(picture.data)).size[0] == 301
    html = notebook.animate(frames, width=32, alt="a test").data
    start, data = html.split("base64,")
    assert 'alt="a test"' in start and "image/webp" in start
    film = Image.open(io.BytesIO(base64.b64decode(data.rstrip('">'))))
    assert film.n_frames == 3 and film.size == (32, 24)


def test_scaled_keeps_proportions():
    img = notebook.scaled(np.random.RandomState(0).uniform(0, 255, (90, 160, 3)), 80)
    assert img.shape == (45, 80, 3) and img.min() >= 0 and img.max() <= 255


def test_draw_network():
    """A circle for each neuron, a line for each weight, a number in each circle that something has reached."""
    os.environ.setdefault("MPLBACKEND", "agg")
    from matplotlib import pyplot as plt

    weights = [np.ones((4, 3)), -np.ones((2, 4))]
    axes = plt.figure().add_subplot()
    notebook.draw_network([[0.5, -1, 2], None, [3.0, -0.001]], weights, [["a", "b", "c"], "middle", "end"], axes=axes)
    assert len(axes.collections) == 9 and len(axes.lines) == 20
    texts = {text.get_text() for text in axes.texts}
    assert {"a", "b", "c", "middle", "end", "0.50", "-1.00", "2.00", "3.00", "0.00"} <= texts
    plt.close(axes.figure)
