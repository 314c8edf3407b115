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
        limit = f"{lowest} or more" if highest == math.inf else f"from {lowest} to {highest}"
        raise ParameterError(f"{name}={value!r}: {what} must be a whole number, {limit}")


def check_number(name, value, lowest, what, highest=math.inf):
    """Refuse what is not a finite number from `lowest` to `highest`; `what` says what it is."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not lowest <= value <= highest:
        limit = f", from {lowest:g} to {highest:g}" if highest < math.inf else f", {lowest:g} or more"
        raise ParameterError(f"{name}={value!r}: {what} must be a finite number{limit if lowest > -math.inf else ''}")
