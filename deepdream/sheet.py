"""A gallery as one HTML page: each picture with what is known about it and the recipe below.

The page needs nothing but the pictures beside it; it follows the reader's choice of dark or light.
"""

from html import escape

from .files import atomic_path
from .recipe import Recipe

_DEFAULTS = Recipe(seed=0)
# The page's order: what it is made of, then how.
_SHOWN = ("input", "guide", "model", "end", "objective", "iter_n", "octave_n", "octave_scale", "step_size", "jitter",
          "clip", "max_size", "strength", "tile", "kind", "more", "seed")

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #23262b; --soft: #5d6470; --paper: #f7f6f3; --card: #fff; --line: #e2dfd8;
  --link: #2a5f9e }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e4e2dd; --soft: #9ba1ab; --paper: #16181b; --card: #1e2125; --line: #30343a; --link: #8ab8ec }} }}
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


def write_sheet(gallery, outcomes, path):
    """Write the page of a gallery.

    **Arguments:** `gallery`: a `Gallery`; `outcomes`: {name: `Outcome`} of the entries that are done; `path`: where to.
    """
    articles = "\n".join(_article(entry, outcomes.get(entry.name)) for entry in gallery.entries)
    page = _PAGE.format(title=escape(gallery.title), about=escape(gallery.about), articles=articles)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")


def _article(entry, outcome):
    title = entry.title or entry.name
    if outcome is None or outcome.error:
        said = "not made yet" if outcome is None else f"not made: {outcome.error}"
        picture = f'<div class="missing">{escape(said)}</div>'
    else:
        file = escape(outcome.path.name)
        picture = f'<a href="{file}"><img src="{file}" alt="{escape(entry.alt or title)}" loading="lazy"></a>'
    words = "".join(f"<p><b>{what}</b> {escape(text)}</p>" for what, text in
                    (("Known:", entry.known), ("Our guess:", entry.guess)) if text)
    recipe = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in _facts(entry.recipe))
    return (f'<article>\n{picture}\n<div class="text">\n<h2>{escape(title)}</h2>\n{words}{_source(entry.source)}\n'
            f"<dl>{recipe}</dl>\n</div>\n</article>")


def _source(source):
    """Addresses become links, what is between them stays."""
    if not source:
        return ""
    linked = " ".join(f'<a href="{escape(word)}">{escape(word)}</a>' if word.startswith(("https://", "http://"))
                      else escape(word) for word in source.split())
    return f"<p><b>Source:</b> {linked}</p>"


def _facts(recipe):
    """(name, text) of what decides the picture: always its beginnings and seed, of the rest what is no default."""
    always = {"input", "model", "end", "seed"}
    for name in _SHOWN:
        value = getattr(recipe, name)
        if name not in always and value == getattr(_DEFAULTS, name):
            continue
        if name == "end" and value is None:
            value = "the model's own"
        yield name, _text(value)


def _text(value):
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


