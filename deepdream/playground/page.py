"""The page itself, as a Jupyter widget: `Playground()` in a notebook, or through Voilà."""

from pathlib import Path

import anywidget

from .session import Session

HERE = Path(__file__).parent


class Playground(anywidget.AnyWidget):
    """A page where anyone can dream.

    **Arguments:** `limits`: a `Limits`, what a visitor may ask for; `None`: its defaults.
    """

    _esm = (HERE / "page.js").read_text(encoding="utf-8")
    _css = (HERE / "page.css").read_text(encoding="utf-8")

    def __init__(self, limits=None):
        super().__init__()
        self.session = Session(self.send, limits)
        self.on_msg(lambda _, message, buffers: self.session.handle(message, buffers))

    def close(self):
        self.session.close()
        super().close()
