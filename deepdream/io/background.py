"""The colour that the transparent parts of an image are laid on."""

from __future__ import annotations

from typing import Any

from PIL import ImageColor

from ..errors import ParameterError
from ..validation import short_repr

WHITE = (255.0, 255.0, 255.0)


def parse_background(text: Any, name: str = "background") -> tuple[float, float, float]:
    """A colour, RGB, 0..255, from a text.

    Args:
        text: as CSS writes it, such as white, #ff8800 or rgb(255, 136, 0).
        name: the argument or option, for the message.

    Raises:
        ParameterError: the text is not an opaque colour.
    """
    try:
        red, green, blue, *alpha = ImageColor.getrgb(text)
    except (AttributeError, TypeError, ValueError):
        red, green, blue, alpha = -1, 0, 0, []
    if alpha not in ([], [255]) or not all(0 <= value <= 255 for value in (red, green, blue)):
        raise ParameterError(
            f"{name}={short_repr(text)}: must be an opaque colour, such as white, #ff8800 or rgb(255,136,0)"
        )
    return float(red), float(green), float(blue)


def format_background(colour: tuple[float, float, float]) -> str:
    """A colour as `parse_background` reads it: # and six hexadecimal digits."""
    return "#" + "".join(f"{round(value):02x}" for value in colour)
