"""What the notebooks show, draw and check with."""

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


WEIGHTS = [np.ones((4, 3)), -np.ones((2, 4))]


@pytest.fixture
def axes():
    os.environ.setdefault("MPLBACKEND", "agg")
    from matplotlib import pyplot as plt

    axes = plt.figure().add_subplot()
    yield axes
    plt.close(axes.figure)


def test_draw_network(axes):
    """A circle for each neuron, a line for each weight, a number in each circle that something has reached."""
    figure = notebook.draw_network(
        [[0.5, -1, 2], None, [3.0, -0.001]], WEIGHTS, [["a", "b", "c"], "middle", "end"], axes=axes
    )
    assert figure is axes.figure
    assert len(axes.collections) == 9 and len(axes.lines) == 20
    texts = {text.get_text() for text in axes.texts}
    assert {"a", "b", "c", "middle", "end", "0.50", "-1.00", "2.00", "3.00", "0.00"} <= texts


def test_draw_network_with_numbers_on_its_lines_and_a_path(axes):
    """Each number stands on its own line, no two in the same place; the path is black and its numbers are bold."""
    numbers = [np.arange(12).reshape(4, 3) / 10, np.arange(8).reshape(2, 4) + 10]
    notebook.draw_network([None] * 3, WEIGHTS, lines=numbers, path=[None, 2, 1], axes=axes)
    written = {text.get_text(): text for text in axes.texts}
    assert {f"{number:.2f}" for matrix in numbers for number in matrix.ravel()} <= set(written)
    places = np.array([text.get_position() for text in axes.texts if text.get_text()])
    apart = np.abs(places[:, None] - places).max(axis=2)
    assert apart[~np.eye(len(places), dtype=bool)].min() > 0.04
    x, y = written["0.70"].get_position()  # from input 2 of 3 to neuron 3 of 4
    assert 0 < x < 1 and y == pytest.approx(0 + x * (-0.5))
    assert [text for text, drawn in written.items() if drawn.get_weight() == "bold"] == ["16.00"]
    assert sum(line.get_color() == "black" for line in axes.lines) == 1


def test_show_figure_closes_the_plot(axes):
    from matplotlib import pyplot as plt

    shown = notebook.show_figure(axes.figure, alt="nothing yet", dpi=50)
    assert shown.format == "png" and shown.alt == "nothing yet"
    assert Image.open(io.BytesIO(shown.data)).size == tuple(50 * axes.figure.get_size_inches())
    assert not plt.fignum_exists(axes.figure.number)


@pytest.mark.parametrize(
    ("answer", "expected", "said"),
    [
        (..., 5, "no answer yet. Replace the dots, and run this cell again."),
        (5, 5, "right."),
        (5.04, 5, "right."),
        (-1, -1.0, "right."),
        (5.2, 5, "not yet. Your answer is 5.2, which is too large. Add."),
        (4, 5, "not yet. Your answer is 4, which is too small. Add."),
        (-5, 5, "not yet. Your answer is -5, which has the wrong sign. Add."),
        (float("nan"), 5, "not yet. Your answer has a number that is not finite. Add."),
        ("five", 5, "not yet. It cannot be checked, ValueError: could not convert string to float: 'five'. Add."),
        (None, 5, "not yet. Your answer is None, which is what a function without `return` returns. Add."),
        (abs, 5, "not yet. Your answer is a function; give what it returns. Add."),
        ([1, 2], [1, 2], "right."),
        (
            np.array([1, 2]),
            [1, 2, 3],
            "not yet. Your answer is an array of shape (2,); expected is an array of shape (3,). Add.",
        ),
        (2, [1, 2], "not yet. Your answer is a single number; expected is an array of shape (2,). Add."),
        ([1, 3], [1, 2], "not yet. Number 2 of your answer is 3: that is not right. Add."),
        ([], [], "right."),
        (np.array([5.0]), 5, "right."),
        ([6], 5, "not yet. Your answer is [6], which is too large. Add."),
        (2, lambda answer: answer(1) == 3, "not yet. Give the function itself, without brackets and arguments. Add."),
        (0, 0, "right."),
        (" Cat", "cat", "right."),
        (3, "cat", "not yet. Your answer is 3. Add."),
        ("x" * 99, "cat", f"not yet. Your answer is '{28 * 'x'}…{29 * 'x'}'. Add."),
        (2, lambda answer: answer % 2 == 0, "right."),
        (3, lambda answer: answer % 2 == 0, "not yet. This is not what was asked for. Add."),
        (3, lambda answer: "It is odd.", "not yet. It is odd. Add."),
        (3, lambda answer: "", "right."),
        (lambda: 1 / 0, lambda answer: answer() == 3, "not yet. It cannot be checked, ZeroDivisionError: "),
    ],
)
def test_check_answers_in_words(capsys, answer, expected, said):
    notebook.check(3, answer, expected, hint="Add.")
    out = capsys.readouterr().out
    assert out.startswith(f"Exercise 3: {said}") and out.endswith("\n") and out.count("\n") == 1 and len(out) <= 300


@pytest.fixture
def displayed(monkeypatch):
    """What is displayed, in order; an update of it replaces it."""
    things = []

    class Handle:
        def __init__(self, thing):
            self.number = len(things)
            things.append(thing)

        def update(self, thing):
            things[self.number] = thing

    monkeypatch.setattr("IPython.display.display", lambda thing, display_id=False: Handle(thing))
    return things


def test_explore_computes_again_when_a_slider_moves(displayed):
    notebook.explore(lambda layer="b", steps=3: f"{layer}{steps}", steps=(1, 10, 2), layer=["a", "b"])
    result, box = displayed
    assert result == "b3"
    layer, steps = box.children
    assert (steps.min, steps.max, steps.step, steps.continuous_update) == (1, 10, 2, False)
    steps.value = 5
    assert displayed[0] == "b5"
    layer.value = "a"
    assert displayed[0] == "a5"


def test_what_goes_wrong_while_exploring_is_shown(displayed):
    def tenth(number=1):
        return 10 / number

    notebook.explore(tenth, number=(0, 2))
    displayed[1].children[0].value = 0
    assert displayed[0].data == "**ZeroDivisionError:** division by zero"
    displayed[1].children[0].value = 2
    assert displayed[0] == 5


def test_click_computes_for_the_place(displayed):
    notebook.click(np.full((30, 40), 7.0), lambda column, row: (column, row), place=(12, 5), alt="grey")
    widget, result = displayed
    assert result == (12, 5) and widget.size == [40, 30] and widget.alt == "grey"
    start, data = widget.source.split("base64,")
    assert start == "data:image/jpeg;" and Image.open(io.BytesIO(base64.b64decode(data))).size == (40, 30)
    widget.place = [3, 29]
    assert displayed[1] == (3, 29)


def test_a_description_in_words_cannot_break_out_of_its_place():
    alt = notebook.animate([np.zeros((4, 4, 3))], alt='a "quoted" <b>').data
    assert 'alt="a &quot;quoted&quot; &lt;b&gt;"' in alt
