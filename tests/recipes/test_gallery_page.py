"""The page of a gallery."""

import html
import html.parser
import re

import pytest

from deepdream.recipes import gallery
from deepdream.recipes.gallery import make_gallery
from deepdream.recipes.gallery_file import read_gallery
from deepdream.recipes.gallery_page import write_gallery_page


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.usefixtures("squeezenet_file")
def test_the_page(gallery_toml, tmp_path):
    list(make_gallery(read_gallery(gallery_toml), tmp_path))
    text = (tmp_path / gallery.PAGE).read_text(encoding="utf-8")
    page = Page(text)
    images = [attributes for tag, attributes in page.found if tag == "img"]
    assert [image["src"] for image in images] == ["first.png", "third.png"]
    assert images[0]["alt"] == 'a "cat"'
    assert all((tmp_path / image["src"]).is_file() for image in images)
    assert "https://example.org/?a&b" in [attributes["href"] for tag, attributes in page.found if tag == "a"]
    assert "not made: the image nowhere.png" in text
    assert "Two &amp; more" in text
    assert "Small &lt;ones&gt;." in text
    facts = re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", text.split("<article>")[3])
    assert dict(facts) == {
        "input": "coffee",
        "model": "squeezenet_v1.1",
        "end": "fire2/concat 1, fire3/concat 0.5",
        "iter_n": "1",
        "octave_n": "1",
        "max_size": "64",
        "seed": "4",
    }
    assert "prefers-color-scheme: dark" in text


def test_everything_that_is_known_of_the_original_gallery_is_on_its_page(tmp_path):
    """The page says what each entry says, word for word, and links every address of it."""
    original = read_gallery("original")
    write_gallery_page(original, {}, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    shown = " ".join(html.unescape(re.sub("<[^>]*>", " ", text)).split())
    hrefs = {attributes["href"] for tag, attributes in Page(text).found if tag == "a"}
    assert " ".join(original.about.split()) in shown
    for entry in original.entries:
        assert entry.known and entry.guess and entry.source and entry.alt
        for words in (entry.title, entry.known, entry.guess):
            assert words in shown
        for address in re.findall(r"https?://[^\s,;]+", entry.source):
            assert address in hrefs
    assert not any(href.endswith((",", ";", ".")) for href in hrefs)
