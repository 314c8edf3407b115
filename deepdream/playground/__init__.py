"""The playground: a page where anyone can dream, as a Jupyter widget that Voilà also serves.

    from deepdream.playground import Limits, Playground
    Playground()

`widget` is the page, `session` what it does, `worker` the process that dreams, `records` what it is sent and sends,
`progress` what the page is told about a dream, `dream_queue` the queue of all pages on a machine, `form` and `uploads`
what comes from a visitor. `page.js` and `page.css` are the page's layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .uploads import Limits

if TYPE_CHECKING:
    from .widget import Playground

__all__ = ["Limits", "Playground"]


def __getattr__(name: str) -> Any:
    if name == "Playground":  # only this needs Jupyter; the process that dreams does not
        from .widget import Playground

        return Playground
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
