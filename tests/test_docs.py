"""README and documentation: links lead somewhere, images are described, commands and snippets fit the program.

`make docs` builds the site and finds what is wrong between its pages; here is what it cannot know.
"""

import ast
import re
import shlex
import sys
from pathlib import Path

import pytest
import typer

import deepdream as dd
from deepdream.cli.commands import app
from deepdream.zoo.registry import find_model

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
pytestmark = pytest.mark.skipif(not (DOCS / "conf.py").exists(), reason="only in a checkout")
GENERATED = {DOCS / "reference" / "command.md"}  # by make docs
PAGES = sorted({*DOCS.rglob("*.md")} - GENERATED) if DOCS.exists() else []
READ_ON_THE_WEB = [
    path
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "THIRD-PARTY-NOTICES.md")),
        *(ROOT / folder / "README.md" for folder in ("benchmarks", "pycaffe", "tests/fuzz")),
    )
    if path.exists()
]
EVERYTHING = [*READ_ON_THE_WEB, *PAGES]
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<language>[^\n]*)\n(?P<content>.*?)^(?P=fence)\s*$", re.M | re.S)
MAX_README_LINES = 150
COMMANDS = typer.main.get_command(app).commands


def name(path):
    return path.relative_to(ROOT).as_posix()


def without_code(text):
    return re.sub(r"`[^`\n]+`", "", FENCE.sub("", text))


def links(text):
    """(whether it is an image, its text, its address) of each link of a page."""
    for mark, words, address in re.findall(
        r"(!?)\[((?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*)\]\(([^)\s]+)\)", without_code(text)
    ):
        yield bool(mark), words, address
        yield from links(words)


def anchors(path):
    """What the headings of a page are called in addresses."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.M)
    explicit = re.findall(r"^\(([\w-]+)\)=$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings} | set(explicit)


def commands(text):
    """The words of each `deepdream` command in the blocks of a page."""
    for block in FENCE.finditer(text):
        if block["language"].strip() in ("", "console", "bash", "sh", "shell"):
            for line in block["content"].replace("\\\n", " ").splitlines():
                words = shlex.split(line.strip().removeprefix("$ "), comments=True)
                for number, word in enumerate(words):
                    if word in ("deepdream", ".venv/bin/deepdream") and (
                        not number or words[number - 1] in ("&&", "deepdream")
                    ):
                        rest = words[number + 1 :]
                        end = next((i for i, each in enumerate(rest) if each in ("&&", "|", ";", ">", "2>")), len(rest))
                        if rest[:1] != ["deepdream"] and "&&" not in rest[:1]:
                            yield rest[:end]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MAX_README_LINES


@pytest.mark.parametrize("page", EVERYTHING, ids=name)
def test_links_lead_somewhere(page):
    for _, _, address in links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", address):
            continue
        place, _, anchor = address.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), address
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), address


@pytest.mark.parametrize("page", EVERYTHING, ids=name)
def test_images_are_described(page):
    for is_image, words, address in links(page.read_text(encoding="utf-8")):
        if is_image:
            assert len(words) >= 12, f"{address}: {words!r}"


@pytest.mark.parametrize("page", EVERYTHING, ids=name)
def test_commands_have_the_options_that_they_are_shown_with(page):
    for words in commands(page.read_text(encoding="utf-8")):
        if not words or words[0].startswith("-"):
            continue
        command = COMMANDS[words[0]]
        if "--help" not in words:
            command.make_context(words[0], list(words[1:]))


@pytest.mark.parametrize("page", EVERYTHING, ids=name)
def test_snippets_use_public_names(page):
    for block in FENCE.finditer(page.read_text(encoding="utf-8")):
        if block["language"].strip() in ("python", "py"):
            tree = ast.parse(block["content"])
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "dd":
                    assert node.attr in (*dd.__all__, "notebook", "playground"), node.attr


@pytest.mark.parametrize("model", ["bvlc_googlenet", "squeezenet_v1.1"])
def test_the_guide_to_layers_says_what_the_command_says(model):
    page = (DOCS / "howto" / "layer.md").read_text(encoding="utf-8")
    for layer, text in find_model(model).ladder.items():
        assert re.search(rf"^\| `{re.escape(layer)}` \| \d+ \| {re.escape(text)} \|$", page, re.M), layer


def test_what_is_looked_for_is_found():
    text = "![a](b.png)\n[![alt text](c.jpg)](d.md) `[no](x)`\n```\ndeepdream dream a.png --iters 3  # comment\n```\n"
    assert [address for _, _, address in links(text)] == ["b.png", "d.md", "c.jpg"]
    assert list(commands(text)) == [["dream", "a.png", "--iters", "3"]]
    assert list(commands("```console\n$ conda activate x && deepdream dream\n```\n")) == [["dream"]]
    assert list(commands("```\ndocker run x deepdream deepdream dream a.jpg\n```\n")) == [["dream", "a.jpg"]]
    with pytest.raises(Exception, match="--no-such"):
        COMMANDS["dream"].make_context("dream", ["--no-such"])


@pytest.mark.skipif(sys.version_info < (3, 11), reason="an older Typer may describe it in other words")
def test_the_reference_of_the_command_is_what_the_command_says(monkeypatch):
    """`make docs` writes it."""
    monkeypatch.syspath_prepend(str(DOCS))
    import command_reference

    assert command_reference.PAGE.read_text(encoding="utf-8") == command_reference.command_reference()
