"""Galleries: recipes in a file, made here or by Dask, stopped and gone on with, shown on a page."""

import html.parser
import http.server
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from conftest import serving, without_device

import deepdream as dd
from deepdream import DreamError, Recipe, cli, gallery, models
from deepdream.gallery import Entry, Gallery, is_made, make, read_gallery

SMALL = {"model": "squeezenet_v1.1", "input": "cat", "max_size": 64, "iter_n": 1, "octave_n": 1, "end": "fire3/concat"}
TOML = """
title = "Two & more"
about = "Small <ones>."

[[picture]]
name = "first"
title = "The first"
alt = 'a "cat"'
known = "All of it."
guess = "Nothing."
source = "made up, https://example.org/?a&b"
input = "cat"
model = "squeezenet_v1.1"
end = "fire3/concat"
max_size = 64
iter_n = 1
octave_n = 1

[[picture]]
name = "second"
input = "nowhere.png"
model = "squeezenet_v1.1"

[[picture]]
name = "third"
input = "coffee"
model = "squeezenet_v1.1"
end = {"fire2/concat" = 1, "fire3/concat" = 0.5}
max_size = 64
iter_n = 1
octave_n = 1
seed = 4
"""


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "gallery.toml"
    path.write_text(TOML, encoding="utf-8")
    return path


def many(count, **changes):
    """A gallery of small recipes, no two of them the same."""
    recipes = [Recipe(**{**SMALL, "seed": i, "max_size": 40 + i, "step_size": 1 + i % 3, **changes})
               for i in range(count)]
    return Gallery("many", "", tuple(Entry(f"n{i:02}", recipe) for i, recipe in enumerate(recipes)))


def pixels(folder):
    return {path.stem: dd.read_image(path) for path in sorted(folder.glob("*.png"))}


# The file

def test_a_gallery_file(toml):
    read = read_gallery(toml)
    assert (read.title, read.about, len(read.entries)) == ("Two & more", "Small <ones>.", 3)
    first, _, third = read.entries
    assert (first.name, first.title, first.known, first.guess) == ("first", "The first", "All of it.", "Nothing.")
    assert first.recipe == Recipe(**SMALL, seed=gallery.SEED)
    assert third.recipe.end == {"fire2/concat": 1, "fire3/concat": 0.5}
    assert [entry.recipe.max_size for entry in gallery.smaller(read, 50).entries] == [50, 50, 50]
    assert [entry.recipe.max_size for entry in gallery.smaller(read, 500).entries] == [64, 500, 64]


@pytest.mark.parametrize("text, says", [
    ("title = ", "is not TOML"),
    ('title = "a"', r"no \[\[picture\]\] tables"),
    ("picture = 3", r"no \[\[picture\]\] tables"),
    ("[[picture]]", "picture 1 needs a name"),
    ('[[picture]]\nname = "../a"', "picture 1 needs a name"),
    ('[[picture]]\nname = ".a"', "picture 1 needs a name"),
    ('[[picture]]\nname = "a"\n[[picture]]\nname = "a"', "two pictures are called a"),
    ('[[picture]]\nname = "a"\ncolour = 1', "a has 'colour'"),
    ('[[picture]]\nname = "a"\niter_n = "x"', "a: iter_n='x'"),
    ('[[picture]]\nname = "a"\nlike = "b"\n[[picture]]\nname = "b"', "a is like 'b', but no picture above"),
    ('[[picture]]\nname = "a"\nlike = ["a"]', r"a is like \['a'\], but no picture above"),
    ("a=" + "[" * 100_000, "tables and lists go too deep"),
    ('[[picture]]\nname = "a"\nmore' + ".a" * 2000 + "=1", "tables and lists go too deep|levels deep"),
    ("x=1" + "0" * 5000, "cannot be used: .*digits"),
    ('[[picture]]\nname = "a"\nseed = 0x' + "f" * 5000, "a: seed|cannot be used: .*digits"),
    ('[[picture]]\nname = "a"\nmore = {day = 2015-06-17}', "a has what no recipe can hold, .*date"),
    (f'[[picture]]\nname = "{"ä" * 126}"', "picture 1 has 252 bytes .* at most 251 before its .png; shorten"),
])
def test_a_gallery_file_that_is_not_right(tmp_path, text, says):
    path = tmp_path / "g.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DreamError, match=says):
        read_gallery(path)


def test_a_picture_like_another(tmp_path):
    path = tmp_path / "g.toml"
    path.write_text('[[picture]]\nname = "a"\nalt = "an a"\nguess = "all"\niter_n = 3\njitter = 2\n'
                    '[[picture]]\nname = "b"\nlike = "a"\njitter = 4\nalt = "a b"\n', encoding="utf-8")
    first, second = read_gallery(path).entries
    assert second == replace(first, name="b", alt="a b", recipe=replace(first.recipe, jitter=4))


def test_the_picture_of_a_label_has_the_defaults_of_labels(tmp_path, squeezenet):
    path = tmp_path / "g.toml"
    path.write_text('[[picture]]\nname = "a"\nkind = "label"\nmodel = "squeezenet_v1.1"\nseed = 3\n'
                    'input = "noise:64x64"\niter_n = 2\nobjective = {objective = "label", label = "starfish"}\n',
                    encoding="utf-8")
    recipe = read_gallery(path).entries[0].recipe
    expected = dd.label_picture(squeezenet, "starfish", size=64, seed=3, iter_n=2)
    np.testing.assert_array_equal(recipe.render(net=squeezenet), expected)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_a_gallery_file_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "g.toml")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    for path in (tmp_path / "g.toml", "/dev/zero"):
        with pytest.raises(DreamError, match="is no file but a device, a pipe"):
            read_gallery(path)
    with pytest.raises(DreamError, match="its symbolic links go round in a loop"):
        read_gallery(tmp_path / "loop.toml")


def test_a_folder_whose_links_go_in_a_loop(toml, tmp_path, capfd):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SystemExit) as end:
        cli.main(["gallery", str(toml), "-o", str(tmp_path / "loop")])
    said = capfd.readouterr().err
    assert (end.value.code, said.count("\n")) == (2, 1), said
    assert f"deepdream: -o {tmp_path / 'loop'} cannot be reached, because its symbolic links go round in a loop" in said


def test_a_gallery_file_that_is_not_there(tmp_path):
    with pytest.raises(DreamError, match="No such file"):
        read_gallery(tmp_path / "g.toml")


def test_a_gallery_that_comes_along_is_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_gallery("original") == read_gallery("gallery/original.toml") == read_gallery(
        models.data_folder("gallery") / "original.toml")


@pytest.mark.parametrize("path", sorted(models.data_folder("gallery").glob("*.toml")), ids=lambda path: path.name)
def test_the_galleries_that_come_along(path):
    for entry in read_gallery(path).entries:
        assert entry.title
        assert entry.alt
        assert entry.known or entry.guess
        assert entry.source
        assert entry.recipe.model in models.model_names()


# Making the pictures

def test_what_fails_does_not_stop_the_others(toml, tmp_path, capfd):
    out = tmp_path / "out"

    def run():
        with pytest.raises(SystemExit) as done:
            cli.main(["gallery", str(toml), "-o", str(out)])
        printed, said = capfd.readouterr()
        return done.value.code, printed, without_device(said)

    code, printed, err = run()
    assert code == 2
    assert printed.splitlines() == [str(out / "first.png"), str(out / "third.png")]
    assert err.splitlines()[0].startswith("second could not be made: the picture nowhere.png")
    assert err.splitlines()[-1] == f"2 made, 0 already there, 1 failed; the page is {out / 'index.html'}"
    assert Recipe.from_image(out / "first.png").input_sha256
    before = (out / "first.png").stat().st_mtime_ns
    code, printed, err = run()
    assert err.splitlines()[-1].startswith("0 made, 2 already there, 1 failed")
    assert (out / "first.png").stat().st_mtime_ns == before


def test_a_picture_that_cannot_be_written_does_not_stop_the_others(tmp_path, squeezenet):
    (tmp_path / "n00.png").mkdir()
    first, second = make(many(2), tmp_path)
    assert "n00.png cannot be written: Is a directory" in first.error
    assert (second.made, second.error) == (True, None)
    assert (tmp_path / "n01.png").is_file()
    assert "n00.png cannot be written" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_the_pictures_are_those_of_their_recipes(toml, tmp_path, squeezenet):
    outcomes = {outcome.entry.name: outcome for outcome in make(read_gallery(toml), tmp_path)}
    assert {name: outcome.made for name, outcome in outcomes.items()} == {"first": True, "second": False, "third": True}
    for name in ("first", "third"):
        expected = np.rint(outcomes[name].entry.recipe.render(net=squeezenet))
        np.testing.assert_array_equal(dd.read_image(tmp_path / f"{name}.png"), expected)


def test_what_is_there_already(tmp_path, monkeypatch, sky, squeezenet):
    monkeypatch.chdir(tmp_path)
    dd.write_image("sky.png", sky)
    recipe = Recipe(**{**SMALL, "input": "sky.png", "seed": 1})
    path = tmp_path / "a.png"
    assert not is_made(recipe, path)
    list(make(Gallery("", "", (Entry("a", recipe),)), tmp_path))
    assert is_made(recipe, path)
    assert is_made(replace(recipe, tile="auto"), path)
    for change in ({"seed": 2}, {"iter_n": 2}, {"end": "fire4/concat"}, {"end": None}, {"max_size": 63},
                   {"objective": {"objective": "channels", "indices": [1]}}, {"strength": 0.5}, {"input": "cat"}):
        assert not is_made(replace(recipe, **change), path), change
    dd.write_image("sky.png", 255 - sky)
    assert not is_made(recipe, path)  # the input is another one now
    (tmp_path / "sky.png").unlink()
    assert is_made(recipe, path)  # it cannot be asked, and nothing else has changed
    path.write_bytes(path.read_bytes()[:20])
    assert not is_made(recipe, path)


def test_the_model_s_own_layer_is_the_same_as_naming_it(tmp_path):
    recipe = Recipe(**{**SMALL, "end": None, "seed": 1})
    list(make(Gallery("", "", (Entry("a", recipe),)), tmp_path))
    assert is_made(recipe, tmp_path / "a.png")
    assert is_made(replace(recipe, end="fire8/concat"), tmp_path / "a.png")


def test_killed_at_any_moment_it_goes_on(tmp_path):
    """Each time it is killed somewhere else; no picture is ever half there, none that is there is made again."""
    toml = tmp_path / "g.toml"
    toml.write_text("".join(f'[[picture]]\nname = "n{i}"\nseed = {i}\n' + "".join(
        f"{key} = {value!r}\n" for key, value in SMALL.items()) for i in range(12)), encoding="utf-8")
    command = [sys.executable, "-m", "deepdream", "gallery", str(toml), "-o", str(tmp_path / "out")]
    made = {}
    for wait in (0.0, 0.05, 0.2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.stdout.readline()  # it has made, or found, one
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        there = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("n*.png")}
        assert all(there[name] == time_made for name, time_made in made.items())
        for name in there:
            assert dd.read_image(tmp_path / "out" / name).shape == (43, 64, 3)
        made = there
    assert len(made) > 0
    outcomes = list(make(read_gallery(toml), tmp_path / "out"))
    assert sum(outcome.made for outcome in outcomes) == 12 - len(made)
    assert len(pixels(tmp_path / "out")) == 12


# The page

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


def test_the_page(toml, tmp_path):
    list(make(read_gallery(toml), tmp_path))
    text = (tmp_path / gallery.PAGE).read_text(encoding="utf-8")
    page = Page(text)
    images = [attributes for tag, attributes in page.found if tag == "img"]
    assert [image["src"] for image in images] == ["first.png", "third.png"]
    assert images[0]["alt"] == 'a "cat"'
    assert all((tmp_path / image["src"]).is_file() for image in images)
    assert "https://example.org/?a&b" in [attributes["href"] for tag, attributes in page.found if tag == "a"]
    assert "not made: the picture nowhere.png" in text
    assert "Two &amp; more" in text
    assert "Small &lt;ones&gt;." in text
    facts = re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", text.split("<article>")[3])
    assert dict(facts) == {"input": "coffee", "model": "squeezenet_v1.1", "end": "fire2/concat 1, fire3/concat 0.5",
                           "iter_n": "1", "octave_n": "1", "max_size": "64", "seed": "4"}
    assert "prefers-color-scheme: dark" in text


# On a cluster

@pytest.fixture
def cluster():
    """Two worker processes with one thread each."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        yield cluster


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_worker_that_dies_loses_no_picture(tmp_path, cluster):
    """Thirty recipes on two workers, of which one is killed half-way: all pictures, each equal to the serial run's."""
    serial, parallel = tmp_path / "serial", tmp_path / "parallel"
    serial.mkdir()
    parallel.mkdir()
    recipes = many(30)
    assert all(outcome.made for outcome in make(recipes, serial))
    victim = next(iter(cluster.workers.values())).process.pid
    outcomes = []
    for outcome in make(recipes, parallel, scheduler=cluster.scheduler_address):
        outcomes.append(outcome)
        if len(outcomes) == 10:
            os.kill(victim, signal.SIGKILL)
    assert [outcome for outcome in outcomes if not outcome.made] == []
    expected, got = pixels(serial), pixels(parallel)
    assert len(got) == 30
    assert expected.keys() == got.keys()
    for name, image in expected.items():
        np.testing.assert_array_equal(got[name], image)
        assert Recipe.from_image(serial / f"{name}.png") == Recipe.from_image(parallel / f"{name}.png")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_recipe_that_fails_on_a_worker_is_an_outcome(tmp_path, cluster, sky):
    dd.write_image(tmp_path / "own.png", sky)
    recipes = [Recipe(**{**SMALL, "seed": 1, "end": "no/layer"}), Recipe(**{**SMALL, "seed": 1, "input": "no.png"}),
               Recipe(**{**SMALL, "seed": 1, "input": str(tmp_path / "own.png")})]
    several = Gallery("", "", tuple(Entry(f"n{i}", recipe) for i, recipe in enumerate(recipes)))
    errors = {outcome.entry.name: outcome.error for outcome in make(several, tmp_path, cluster.scheduler_address)}
    assert "no layer 'no/layer'" in errors["n0"]
    assert "no.png: no such file" in errors["n1"]
    assert errors["n2"] is None


def test_no_scheduler(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    from deepdream import cluster

    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with pytest.raises(DreamError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 "):
        list(make(many(1), tmp_path, scheduler="tcp://127.0.0.1:9"))


class NoScheduler(http.server.BaseHTTPRequestHandler):
    """A web server's answer to Dask's greeting."""

    def handle(self):
        self.rfile.read(8)
        self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" * 8)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("server", [NoScheduler, http.server.SimpleHTTPRequestHandler])
def test_something_else_than_a_scheduler_answers(tmp_path, monkeypatch, server):
    pytest.importorskip("distributed")
    from deepdream import cluster

    monkeypatch.setattr(cluster, "PATIENCE", 2)
    with serving(server) as site:
        address = site.address.replace("http", "tcp")
        with pytest.raises(DreamError, match=f"no Dask scheduler answers at {address} "):
            list(make(many(1), tmp_path, scheduler=address))


def test_without_dask(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DreamError, match=r"pip install 'deepdream-caffe\[cluster\]'"):
        list(make(many(1), tmp_path, workers=2))
