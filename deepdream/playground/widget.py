"""The page as a Jupyter widget: `Playground()` in a notebook, or through Voilà."""

from __future__ import annotations

from pathlib import Path

import anywidget

from .session import Session
from .uploads import Limits

_FOLDER = Path(__file__).parent


class Playground(anywidget.AnyWidget):
    """A page where anyone can dream.

    Args:
        limits: of what a visitor may do; `None`: those of `Limits()`.

    Attributes:
        session: the `Session` of the visitor.
    """

    _esm = (_FOLDER / "page.js").read_text(encoding="utf-8")
    _css = (_FOLDER / "page.css").read_text(encoding="utf-8")

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__()
        self.session = Session(self.send, limits)
        self.on_msg(lambda _, message, buffers: self.session.handle(message, buffers))

    def close(self) -> None:
        """Close the page, and end its worker."""
        self.session.close()
        super().close()
