"""Sphinx's settings for the documentation: make docs.

Two things are made anew before each build: the command's reference, by the command itself, and copies of the notebooks,
whose stored outputs are shown. Nothing is executed.
"""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

sys.path[:0] = [str(ROOT), str(HERE)]  # the package of this checkout, and this folder
from command_reference import PAGE, command_reference  # noqa: E402

from deepdream import __version__  # noqa: E402

project = "deepdream"
author = "the authors of deepdream"
project_copyright = author
release = version = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_copybutton"]

myst_enable_extensions = ["attrs_inline", "attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True  # the kernel cuts what is printed where it likes
nb_mime_priority_overrides = [("html", "text/html", 0), ("html", "image/jpeg", 1), ("html", "image/png", 2)]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_type_aliases = {
    name: name for name in ("Image", "Planes", "Layers", "ObjectiveFunction", "ObjectiveOrMapping", "ArrayLike")
}
maximum_signature_line_length = 100
napoleon_google_docstring = True
napoleon_numpy_docstring = False
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = "deepdream"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}


def copy_notebooks(folder):
    """Copy the notebooks, with alternative texts and links where MyST-NB looks for them."""
    folder.mkdir(exist_ok=True)
    for source in sorted((ROOT / "notebooks").glob("0*.ipynb")):
        notebook = json.loads(source.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                text = "".join(cell["source"]).replace("](../THIRD-PARTY-NOTICES.md)", "](../notices.md)")
                cell["source"] = text.replace("](../docs/", "](../")
            for output in cell.get("outputs", ()):
                for kind, facts in output.get("metadata", {}).items():
                    if kind.startswith("image/") and "alt" in facts:
                        cell["metadata"]["mystnb"] = {"image": {"alt": facts["alt"]}}
        write_if_changed(folder / source.name, json.dumps(notebook))


def name_copies(text):
    """Lead the links to notebooks, which are right where the pages are read in the repository, to their copies."""
    return re.sub(r"\]\(\.\./((?:\.\./)*notebooks/0)", r"](\1", text)


def write_if_changed(path, text):
    """So that an unchanged page is not built again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


write_if_changed(PAGE, command_reference())
copy_notebooks(HERE / "notebooks")


def setup(app):
    app.connect("source-read", lambda app, name, source: source.__setitem__(0, name_copies(source[0])))
    app.connect("autodoc-process-signature", lambda *event: name_types(*event[-2:]))


def name_types(*texts):
    """Show the aliases of types by their names alone."""
    return tuple(text and re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text) for text in texts)
