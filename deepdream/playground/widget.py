"""The page as a Jupyter widget: `Playground()` in a notebook, or through Voilà."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import Any

import anywidget

from .session import Session
from .uploads import Limits

_FOLDER = Path(__file__).parent


class Playground(anywidget.AnyWidget):
    """A page for dreaming.

    Args:
        limits: the limits of a visitor; `None`: those of `Limits()`.

    Attributes:
        session: the `Session` of the visitor.
    """

    _esm = (_FOLDER / "page.js").read_text(encoding="utf-8")
    _css = (_FOLDER / "page.css").read_text(encoding="utf-8")

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__()
        self.session = Session(self.send, limits)
        self.on_msg(lambda _, message, buffers: self.session.handle(message, buffers))
        with contextlib.suppress(AttributeError, ValueError):  # not on Windows, and only in the main thread
            signal.signal(signal.SIGUSR1, self._stop_dream)  # the server's signal that the visitor is gone

    def _stop_dream(self, *_: Any) -> None:
        self.session.handle({"do": "stop"})

    def close(self) -> None:
        """Close the page, and end its worker."""
        self.session.close()
        super().close()
