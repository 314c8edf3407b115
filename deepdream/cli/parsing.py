"""The values of options: checked for their range, or parsed from a text such as LAYER=WEIGHT."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from .._types import Layers
from ..errors import ParameterError
from ..network.device import AUTO
from ..network.tiling import MIN_TILE
from ..validation import WEIGHT_LIMITS, is_number, is_weight, parse_int, short_repr, truncate

MAX_GPU = 2**31 - 1  # CUDA counts in an int


def quoted(text: str) -> str:
    """The value of an option as a message shows it; one that would not be seen stands in quotes."""
    return truncate(text) if text.strip() else repr(text)


def check_range(option: str, value: float | None, lowest: float = -math.inf, highest: float = math.inf) -> None:
    """Check a number before anything is fetched. The library checks it too, but does not know the option's name.

    Args:
        option: its name, for the message.
        value: the number; `None` if the option was not given.
        lowest: the smallest allowed number.
        highest: the largest allowed number.

    Raises:
        ParameterError: the number is not finite or not in the range.
    """
    if value is None or (is_number(value) and lowest <= value <= highest):
        return
    limit = f"from {lowest} to {highest}" if highest < math.inf else f"{lowest} or more"
    finite = [] if is_number(value) else ["a finite number"]
    raise ParameterError(f"{option} {short_repr(value)}: must be {', '.join(finite + [limit] * (lowest > -math.inf))}")


def parse_place(option: str, text: str) -> tuple[int, int]:
    """(x, y) of a text such as 120,80.

    Args:
        option: its name, for the message.
        text: the value.

    Raises:
        ParameterError: it is something else.
    """
    found = re.fullmatch(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*", text)
    if found is None:
        raise ParameterError(
            f"{option} {quoted(text)}: it must be two whole numbers of pixels, from 0, counted from the left and from "
            f"above, as in {option} 120,80"
        )
    return int(found[1]), int(found[2])


def check_wrap_option(wrap: str | None) -> None:
    """Raise `ParameterError` unless this is a value of `--wrap`; `None`: it was not given."""
    if wrap not in (None, "x", "xy"):
        raise ParameterError(f"--wrap {quoted(wrap)}: must be x or xy")


def parse_layers(texts: Sequence[str] | None) -> Layers | None:
    """The library's `end` of the command's `--end`.

    Args:
        texts: LAYER or LAYER=WEIGHT each.

    Returns:
        A layer's name, or {layer: weight}; `None` if there is no text.

    Raises:
        ParameterError: a weight that is not a number or is out of its range, or a layer that is given twice.
    """
    weights: dict[str, float] = {}
    for text in texts or ():
        layer, equals, weight = text.partition("=")
        try:
            number = float(weight) if equals else 1.0
        except ValueError:
            number = math.nan
        if not is_weight(number):
            raise ParameterError(
                f"--end {truncate(text)}: the weight must be {WEIGHT_LIMITS}, as in --end {truncate(layer)}=0.5"
            )
        if layer in weights:
            raise ParameterError(f"--end {truncate(layer)} is given twice; give it once, with a weight if necessary")
        weights[layer] = number
    return next(iter(weights)) if list(weights.values()) == [1.0] else weights or None


def parse_weighted(option: str, text: str) -> tuple[str, float]:
    """(name, weight) of NAME or NAME=WEIGHT; without a weight it is 1. A `=` before something else belongs to the name.

    Args:
        option: its name, for the message.
        text: its value.

    Raises:
        ParameterError: the weight is out of its range.
    """
    name, equals, weight = text.rpartition("=")
    try:
        number = float(weight) if equals else math.nan
    except ValueError:
        equals = ""
    if not equals:
        return text, 1.0
    if not is_weight(number):
        raise ParameterError(
            f"{option} {truncate(text)}: the weight must be {WEIGHT_LIMITS}, as in {option} {truncate(name)}=0.5"
        )
    return name, number


def parse_channels(texts: Sequence[str] | None) -> dict[float, list[int]]:
    """The channels of the command's `--channel`.

    Args:
        texts: N or N=WEIGHT each.

    Returns:
        {weight: the channels with that weight}.

    Raises:
        ParameterError: one of them is neither.
    """
    found: dict[float, list[int]] = {}
    for text in texts or ():
        name, weight = parse_weighted("--channel", text)
        number = parse_int(name.strip())
        if number is None:
            raise ParameterError(
                f"--channel {truncate(text)}: channels are whole numbers from 0, as in --channel 7 or --channel 90=-1"
            )
        if any(number in others for others in found.values()):
            raise ParameterError(f"--channel {number} is given twice; give it once, with a weight if necessary")
        found.setdefault(weight, []).append(number)
    return found


def parse_tile(text: str) -> int | str | None:
    """The library's `tile` of the command's `--tile`.

    Raises:
        ParameterError: the text is something else, or the number is too small.
    """
    if text in ("auto", "none"):
        return None if text == "none" else text
    pixels = parse_int(text)
    if pixels is None or pixels < MIN_TILE:
        raise ParameterError(
            f"--tile {truncate(text)}: must be auto, none, or a whole number of pixels, {MIN_TILE} or more"
        )
    return pixels


def parse_gpu(text: str) -> int | str | None:
    """The library's `gpu` of the command's `--gpu`.

    Raises:
        ParameterError: the text is something else, or the number is too large.
    """
    if text in (AUTO, "none"):
        return None if text == "none" else text
    number = parse_int(text)
    if number is None or number > MAX_GPU:
        raise ParameterError(f"--gpu {truncate(text)}: must be auto, none, or the number of a GPU, from 0 to {MAX_GPU}")
    return number
