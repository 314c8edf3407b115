"""Sliders, and an image that can be clicked on: what they lead to is computed while the notebook runs.

Where nothing runs, in a page that was rendered, the stored image of the first setting stands alone.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from IPython import display
from numpy.typing import ArrayLike
from PIL import Image as Pillow

from ..io.arrays import to_uint8

_SCRIPT = Path(__file__).with_name("click.js")


class _Result:
    """What a function makes of the current settings, shown in one place of the notebook."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, **settings: Any) -> None:
        self._function = function
        self._handle = display.display(function(*arguments, **settings), display_id=True)

    def update(self, *arguments: Any, **settings: Any) -> None:
        try:
            result = self._function(*arguments, **settings)
        except Exception as error:  # a callback's error would go to a log that nobody reads
            result = display.Markdown(f"**{type(error).__name__}:** {error}")
        self._handle.update(result)


def explore(function: Callable[..., Any], **controls: Any) -> None:
    """Show what a function makes of some settings, with a slider or a list for each of them.

    Args:
        function: of the settings, by name; it returns what the notebook displays, for example `show(…)`. The defaults
            of its parameters are the first settings.
        controls: for each setting `(lowest, highest)`, `(lowest, highest, step)`, a list of values, or a widget: the
            abbreviations of `ipywidgets.interact`.

    Raises:
        ValueError: an abbreviation has no meaning.
    """
    import ipywidgets

    boxes = ipywidgets.interactive(function, **controls).kwargs_widgets
    for box in boxes:
        if hasattr(box, "continuous_update"):
            box.continuous_update = False  # a dream takes a second: compute it when the slider is let go
        box.style.description_width = "initial"

    def settings() -> dict[str, Any]:
        return {box._kwarg: box.value for box in boxes}

    result = _Result(function, **settings())
    for box in boxes:
        box.observe(lambda change: result.update(**settings()), "value")
    display.display(ipywidgets.HBox(boxes, layout={"flex_flow": "row wrap"}))


def click(img: ArrayLike, function: Callable[[int, int], Any], place: tuple[int, int], alt: str) -> None:
    """Show an image that can be clicked on, and below it what a function makes of the place.

    The arrow keys move the place, too, by a sixteenth of the image.

    Args:
        img: (H, W, 3) RGB 0..255, or grey (H, W).
        function: of the place's column and row, in pixels of the image; it returns what the notebook displays.
        place: the first place, (column, row).
        alt: a description of the image for those who cannot see it.
    """
    import anywidget
    import traitlets

    class _Clickable(anywidget.AnyWidget):
        _esm = _SCRIPT
        source = traitlets.Unicode().tag(sync=True)
        alt = traitlets.Unicode().tag(sync=True)
        size = traitlets.List().tag(sync=True)  # width, height
        place = traitlets.List().tag(sync=True)  # column, row

    encoded = io.BytesIO()
    picture = Pillow.fromarray(to_uint8(np.asarray(img, np.float32)))
    picture.convert("RGB").save(encoded, "JPEG", quality=90)
    source = f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"
    widget = _Clickable(source=source, alt=alt, size=list(picture.size), place=list(place))
    display.display(widget)
    result = _Result(function, *place)
    widget.observe(lambda change: result.update(*change["new"]), "place")
