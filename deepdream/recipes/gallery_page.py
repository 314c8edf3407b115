"""A gallery as one HTML page: each image with the known facts about it and its recipe.

The page needs only the images beside it; it follows the reader's choice of a dark or light scheme.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from ..io.files import atomic_path
from .gallery_file import Entry, Gallery, Outcome
from .page_style import COLOURS
from .recipe import Recipe

_DEFAULTS = Recipe(seed=0)
# In the order of the page: first the inputs of the image, then its settings.
_FIELD_ORDER = (
    "input",
    "guide",
    "mask",
    "mask_feather",
    "mask_invert",
    "wrap",
    "schedule",
    "model",
    "end",
    "objective",
    "iter_n",
    "octave_n",
    "octave_scale",
    "step_size",
    "jitter",
    "clip",
    "max_size",
    "strength",
    "tile",
    "kind",
    "more",
    "seed",
)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{colours}
body {{ margin: 0 auto; max-width: 88rem; padding: 2.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif }}
h1 {{ font-size: 1.7rem; margin: 0 0 .4rem }}
h2 {{ font-size: 1.1rem; margin: 0 0 .5rem }}
header p {{ color: var(--soft); max-width: 46rem; margin: 0 0 2rem }}
main {{ display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)) }}
article {{ background: var(--card); border: 1px solid var(--line); border-radius: .6rem; overflow: hidden }}
article > a, article > .missing {{ display: flex; aspect-ratio: 16/10; align-items: center; justify-content: center;
  background: var(--line) }}
img {{ width: 100%; height: 100%; object-fit: contain; display: block }}
.missing {{ color: var(--soft); padding: 1.5rem; box-sizing: border-box; text-align: center;
  overflow-wrap: anywhere }}
.text {{ padding: 1rem 1.2rem 1.2rem }}
.text p {{ margin: 0 0 .5rem; font-size: .95rem }}
.text p b {{ color: var(--soft); font-weight: 600 }}
.text a {{ color: var(--link); overflow-wrap: anywhere }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .8rem 0 0; padding-top: .8rem;
  border-top: 1px solid var(--line); font: .82rem/1.5 ui-monospace, monospace }}
dt {{ color: var(--soft) }}
dd {{ margin: 0; overflow-wrap: anywhere }}
</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{about}</p>
</header>
<main>
{articles}
</main>
</body>
</html>
"""


def write_gallery_page(gallery: Gallery, outcomes: Mapping[str, Outcome], path: Path) -> None:
    """Write the page of a gallery.

    Args:
        gallery: its entries are shown in order.
        outcomes: {name: outcome} of the entries that are done.
        path: the path to write to; it replaces an older page.
    """
    articles = "\n".join(_format_article(entry, outcomes.get(entry.name)) for entry in gallery.entries)
    page = _PAGE.format(colours=COLOURS, title=escape(gallery.title), about=escape(gallery.about), articles=articles)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")


def _format_article(entry: Entry, outcome: Outcome | None) -> str:
    title = entry.title or entry.name
    if outcome is None or outcome.error:
        status = "not made yet" if outcome is None else f"not made: {outcome.error}"
        image = f'<div class="missing">{escape(status)}</div>'
    else:
        file = escape(outcome.path.name)
        image = f'<a href="{file}"><img src="{file}" alt="{escape(entry.alt or title)}" loading="lazy"></a>'
    words = "".join(
        f"<p><b>{what}</b> {escape(text)}</p>"
        for what, text in (("Known:", entry.known), ("Our guess:", entry.guess))
        if text
    )
    recipe = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in _recipe_rows(entry.recipe))
    return (
        f'<article>\n{image}\n<div class="text">\n<h2>{escape(title)}</h2>\n{words}{_format_source(entry.source)}\n'
        f"<dl>{recipe}</dl>\n</div>\n</article>"
    )


def _format_source(source: str) -> str:
    """A paragraph in which addresses are links."""
    if not source:
        return ""
    linked = " ".join(map(_link, source.split()))
    return f"<p><b>Source:</b> {linked}</p>"


def _link(word: str) -> str:
    """A word, as a link if it is an address; a comma behind it is not part of the address."""
    address = word.rstrip(",;.")
    if not address.startswith(("https://", "http://")):
        return escape(word)
    return f'<a href="{escape(address)}">{escape(address)}</a>{escape(word[len(address) :])}'


def _recipe_rows(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """(name, text) of the fields that determine the image: its inputs and seed always, others unless default."""
    always = {"input", "model", "end", "seed"}
    for name in _FIELD_ORDER:
        value = getattr(recipe, name)
        if name not in always and value == getattr(_DEFAULTS, name):
            continue
        if name == "end" and value is None:
            value = "the model's own"
        yield name, _format_value(value)


def _format_value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_format_value(each)}" for key, each in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
