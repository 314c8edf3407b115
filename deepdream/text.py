"""Texts as a person reads them: in one line, without control characters, and not too long."""

from __future__ import annotations

import re

MAX_MESSAGE_CHARS = 300
_MAX_DIGITS = 80  # in a row: more than a person reads, and more than a hash has
# Control characters, characters that end a line or change its direction, and those that no encoding has.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# The form in which Python reads a byte of a file's name that is not UTF-8, and the `repr` of it.
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF
_QUOTED_BYTE = re.compile(r"(?<!\\)\\udc([89a-f][0-9a-f])")


def printable(text: str) -> str:
    """A text as one line without control characters.

    The name of a file, and texts from other people's files, may contain line ends and terminal commands. They are shown
    as Python writes them. A byte of a file's name that is not UTF-8 is shown as that byte: `\\xff`.
    """
    return _QUOTED_BYTE.sub(r"\\x\1", _UNPRINTABLE.sub(_escape, text))


def counted(number: int, noun: str) -> str:
    """A number of things: "1 guide", "2 guides"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def shorten(text: str, max_chars: int = MAX_MESSAGE_CHARS) -> str:
    """One line of at most `max_chars` characters.

    A message may quote a text of any length, and its end says what to do, so long words and the middle are left out.
    """
    text = re.sub(rf"\d{{{_MAX_DIGITS},}}", lambda match: f"{match[0][:20]}…{match[0][-20:]}", printable(text))
    for first, last in (85, 38), (50, 30):
        if len(text) > max_chars:
            text = re.sub(rf"(\S{{{first}}})\S{{2,}}(\S{{{last}}})", r"\1…\2", text)
    return text if len(text) <= max_chars else f"{text[: max_chars // 2 - 1]}…{text[-(max_chars // 2) :]}"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if _FIRST_BYTE <= code <= _LAST_BYTE else repr(match[0])[1:-1]
