"""The playground: a web page for dreaming, as a Jupyter widget that Voilà can also serve.

    from deepdream.playground import Limits, Playground
    Playground()

`widget` is the page, `session` its behaviour, `worker` the process that dreams, `records` the messages to and from that
process, `progress` the reports about a dream to the page, `dream_queue` the queue of all pages on a machine; `form` and
`uploads` check the input of a visitor. `page.js` and `page.css` are the page's layout.
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
