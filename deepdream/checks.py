"""Numbers out of their range are refused before anything begins: the value, the limit, and what it is."""

import math

import numpy as np

from .errors import ParameterError

MOST_JITTER = 100_000  # pixels: more than any picture has a side
MOST_STEP = 1_000_000  # of 255: what is taken beyond it is lost in float32


def check_count(name, value, lowest, what, highest=math.inf):
    """Refuse what is not a whole number from `lowest` to `highest`; `what` says what it is."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not lowest <= value <= highest:
        limit = f"{lowest} or more" if highest == math.inf else f"from {lowest} to {shown(highest)}"
        raise ParameterError(f"{name}={shown(value)}: {what} must be a whole number, {limit}")


def check_number(name, value, lowest, what, highest=math.inf):
    """Refuse what is not a finite number from `lowest` to `highest`; `what` says what it is."""
    if not is_number(value) or not lowest <= value <= highest:
        limit = f", from {lowest:g} to {highest:g}" if highest < math.inf else f", {lowest:g} or more"
        limit = limit if lowest > -math.inf else ""
        raise ParameterError(f"{name}={shown(value)}: {what} must be a finite number{limit}")


def is_number(value):
    """Whether a value is a finite number, and a float can hold it."""
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of more than 308 digits
        return False


def whole(text):
    """The whole number that a text is, from 0; `None` for another text, and for more digits than Python reads."""
    try:
        return int(text) if text.isdecimal() else None
    except ValueError:
        return None


def shown(value):
    """A value as a message shows it: in one line, and not all of it where it is long."""
    try:
        return short(" ".join(repr(value).split()))
    except ValueError:  # a whole number of more digits than Python writes
        return "a number of thousands of digits"


def short(text, most=80):
    """A text of at most `most` characters, with the middle left out where it has more."""
    return text if len(text) <= most else f"{text[:most * 2 // 3]}…{text[1 - most + most * 2 // 3:]}"
