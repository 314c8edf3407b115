"""Texts as a person reads them."""

import pytest

from deepdream import ImageError
from deepdream.text import printable, shorten


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a.png", "a.png"),
        ("one\ntwo\t\x1b[31m", "one\\ntwo\\t\\x1b[31m"),
        ("right\u202eleft\u2028next", "right\\u202eleft\\u2028next"),
        ("\udcff\udc80.png", "\\xff\\x80.png"),
        (repr("\udcff.png"), "'\\xff.png'"),
        (repr("\\udcff.png"), "'\\\\udcff.png'"),  # a name that is spelled so
        ("\ud800", "\\ud800"),
        ("夢é", "夢é"),
    ],
)
def test_a_text_is_one_printable_line(text, shown):
    assert printable(text) == shown


def test_what_a_refusal_quotes_is_shortened_in_the_middle():
    assert shorten("deepdream: a.png: no such file") == "deepdream: a.png: no such file"
    digits = "x=" + "1" * 80 + ": it must be 1"
    assert shorten(digits) == "x=" + "1" * 20 + "…" + "1" * 20 + ": it must be 1"
    for quoted in ("a" * 5000, "a word " * 700, "\x1b" * 900, "\udcff" * 255):
        line = shorten(f"deepdream: {quoted}: name another")
        assert len(line) <= 300
        assert line.startswith(f"deepdream: {printable(quoted)[:80]}")
        assert line.endswith(": name another")
        assert "…" in line
        assert "\x1b" not in line


def test_a_message_that_quotes_two_long_paths_keeps_its_words():
    path = "/".join(["f" * 250] * 16)
    line = shorten(f"-o {path}: the folder {path} cannot be written (No space left on device); choose another")
    assert len(line) <= 300
    assert ": the folder " in line
    assert line.endswith(" cannot be written (No space left on device); choose another")


def test_an_error_is_a_short_line_whatever_it_quotes():
    error = ImageError(f"{'n' * 4000}\n\udcff.png: no such file")
    assert len(str(error)) <= 300
    assert str(error).endswith("\\n\\xff.png: no such file")
