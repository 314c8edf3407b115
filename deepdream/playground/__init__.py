"""The playground: a page where anyone can dream, as a Jupyter widget that Voilà also serves.

    from deepdream.playground import Limits, Playground
    Playground()

`session` holds what the page does, `worker` the process that dreams, `turns` the queue of all pages on a machine,
`uploads` and `settings` what comes from a visitor. `page.js` and `page.css` lay it out.
"""

from .uploads import Limits

__all__ = ["Limits", "Playground"]


def __getattr__(name):
    if name == "Playground":  # only this needs Jupyter; the process that dreams does not
        from .page import Playground

        return Playground
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
