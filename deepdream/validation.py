"""Checks arguments before anything begins; an error names the value, its limit and its meaning."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import ParameterError

MAX_JITTER = 100_000  # pixels: larger than any image
MAX_PAN = 100_000  # pixels from frame to frame, likewise; SciPy crashes at much larger ones
MAX_SEED = 2**32 - 1  # of NumPy's RandomState
MAX_STEP_SIZE = 1_000_000  # on a scale of 0..255: float32 loses the result of a larger step

# Gradients are weighted in float32, which makes a smaller weight 0 and a larger one infinite.
MIN_WEIGHT, MAX_WEIGHT = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
WEIGHT_LIMITS = f"a number other than 0, from {MIN_WEIGHT:.2g} to {MAX_WEIGHT:.2g} without its sign"


def check_count(name: str, value: Any, lowest: int, what: str, highest: float = math.inf) -> None:
    """Raise `ParameterError` unless `value` is a whole number from `lowest` to `highest`; `what` describes it."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not lowest <= value <= highest:
        limit = f"{lowest} or more" if highest == math.inf else f"from {lowest} to {short_repr(highest)}"
        raise ParameterError(f"{name}={short_repr(value)}: {what} must be a whole number, {limit}")


def check_number(name: str, value: Any, lowest: float, what: str, highest: float = math.inf) -> None:
    """Raise `ParameterError` unless `value` is a finite number from `lowest` to `highest`; `what` describes it."""
    if not is_number(value) or not lowest <= value <= highest:
        limit = f", from {lowest:g} to {highest:g}" if highest < math.inf else f", {lowest:g} or more"
        limit = limit if lowest > -math.inf else ""
        raise ParameterError(f"{name}={short_repr(value)}: {what} must be a finite number{limit}")


def check_seed(seed: Any) -> None:
    """Raise `ParameterError` unless `seed` is one of NumPy's `RandomState`."""
    check_count("seed", seed, 0, "the seed", MAX_SEED)


def check_flag(name: str, value: Any, what: str) -> None:
    """Raise `ParameterError` unless `value` is `True` or `False`; `what` describes it."""
    if not isinstance(value, (bool, np.bool_)):
        raise ParameterError(f"{name}={short_repr(value)}: {what} must be True or False")


def check_wrap(wrap: Any) -> None:
    """Raise `ParameterError` unless `wrap` names edges that join: "x", "xy" or `None`."""
    if not (wrap is None or (isinstance(wrap, str) and wrap in ("x", "xy"))):
        raise ParameterError(
            f"wrap={short_repr(wrap)}: it must be 'x', where left and right join, 'xy', where top and bottom join, "
            "too; leave it out if no edges join"
        )


def is_number(value: Any) -> bool:
    """Whether a value is a finite number that a float can hold."""
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of more than 308 digits
        return False


def is_weight(number: float) -> bool:
    """Whether a float can be the weight of a layer or an objective."""
    return MIN_WEIGHT <= abs(number) <= MAX_WEIGHT


def is_pair(value: Any) -> bool:
    """Whether a value is a list or tuple of two finite numbers."""
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(is_number, value))


def parse_int(text: str) -> int | None:
    """The whole number that a text is, from 0; `None` for another text, and for more digits than Python reads."""
    try:
        return int(text) if text.isdecimal() else None
    except ValueError:
        return None


def short_repr(value: Any) -> str:
    """A value as a message shows it: in one line, and shortened where it is long."""
    try:
        return truncate(" ".join(repr(value).split()))
    except ValueError:  # a whole number of more digits than Python writes
        return "a number of thousands of digits"


def truncate(text: str, max_chars: int = 80) -> str:
    """A text of at most `max_chars` characters, with the middle left out where it has more."""
    if len(text) <= max_chars:
        return text
    return f"{text[: max_chars * 2 // 3]}…{text[1 - max_chars + max_chars * 2 // 3 :]}"
