"""The Places networks: their weights cannot be had everywhere, so all around them is held to what was published."""

import contextlib
import gzip
import hashlib
import http.server
import io
import logging
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from conftest import assert_rises, serving

import deepdream as dd
from deepdream import ModelError, WeightsError, fetch, models

NAMES = ["googlenet_places205", "googlenet_places365"]


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """No data of this machine, an empty cache, and a server on this machine that is reached directly."""
    monkeypatch.delenv("DEEPDREAM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    fetch.say_once.cache_clear()


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "deepdream")
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("deepdream")]


@pytest.fixture
def served():
    """(address, {path: bytes}): what is put there is served."""
    content = {}

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = content.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the other side may have had enough
                self.wfile.write(body or b"")

        def log_message(self, *arguments):
            pass

    with serving(Site) as server:
        yield server.address, content


@pytest.fixture(scope="session", params=NAMES)
def random_weights(request, tmp_path_factory):
    """(the model's name, a file of random weights with its layers and shapes)."""
    model = models.find_model(request.param)
    net = dd.Net(model.prototxt, None, model.mean, model.end)
    rng = np.random.RandomState(5)
    for blobs in net.params.values():
        fan_in = np.prod(blobs[0].shape[1:])
        blobs[0].data[...] = rng.standard_normal(blobs[0].data.shape) * np.sqrt(2 / fan_in)
    path = tmp_path_factory.mktemp(request.param) / model.weights["file"]
    net.save(str(path))
    return request.param, path


def tar_gz(*members):
    """An archive as bytes; members are (name, content) or TarInfo."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for member in members:
            info, content = (member, b"") if isinstance(member, tarfile.TarInfo) else (
                tarfile.TarInfo(member[0]), member[1])
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


# What the models say

def test_the_labels_of_places365_are_the_published_list_byte_for_byte():
    """Its size and MD5 are those under which a public collection of data sets keeps categories_places365.txt."""
    names = [label.replace(" ", "_") for label in models.find_model(NAMES[1]).labels]
    text = "\n".join(f"/{name[0]}/{name} {i}" for i, name in enumerate(names))
    assert len(text) == 6833
    assert hashlib.md5(text.encode()).hexdigest() == "06c963b85866bd0649f97cb43dd16673"


def test_the_labels_of_places205():
    """In order of their first letters, and within a letter those of several kinds (a/b) after the others."""
    labels = models.find_model(NAMES[0]).labels
    assert len(labels) == len(set(labels)) == 205
    assert list(labels) == sorted(labels, key=lambda label: (label[0], "/" in label, labels.index(label)))
    assert (labels[0], labels[13], labels[-1]) == ("abbey", "apartment building/outdoor", "yard")


@pytest.mark.parametrize("name, classes", [(NAMES[0], 205), (NAMES[1], 365)])
def test_the_definition_is_googlenets_but_for_the_classes(name, classes):
    theirs = models.find_model("bvlc_googlenet").prototxt.read_text(encoding="utf-8").splitlines()
    ours = models.find_model(name).prototxt.read_text(encoding="utf-8").splitlines()
    changed = [(old.strip(), new.strip()) for old, new in zip(theirs, ours) if old != new]
    assert len(theirs) == len(ours)
    assert changed[1:] == [("num_output: 1000", f"num_output: {classes}")]
    assert changed[0][0].startswith("name:")


# Dreaming with them

def test_weights_of_the_right_shapes_dream_and_classify(random_weights, monkeypatch, tmp_path, said):
    name, path = random_weights
    folder = tmp_path / "data" / "models" / name
    folder.mkdir(parents=True)
    (folder / path.name).symlink_to(path)
    monkeypatch.setenv("DEEPDREAM_DATA", str(tmp_path / "data"))
    net = dd.load(name)
    model = models.find_model(name)
    np.testing.assert_array_equal(net.mean.ravel(), np.float32(model.mean))
    cat = dd.picture("cat")
    assert_rises(net, cat[::4, ::4], "inception_3b/output", iter_n=4, octave_n=1, step_size=6.0)
    answers = dd.classify(net, cat, top=len(model.labels))
    assert sorted(label for label, _ in answers) == sorted(model.labels)
    assert sum(probability for _, probability in answers) == pytest.approx(1, abs=1e-4)
    # of Places205 a checksum is known, and this is another file
    assert ["another sha1" in line for line in said()] == ([True] if name == NAMES[0] else [])


def test_another_networks_weights_are_refused(random_weights, monkeypatch, tmp_path):
    name, path = random_weights
    other = models.find_model(NAMES[1 - NAMES.index(name)])
    with pytest.raises(WeightsError, match="layer 'loss3/classifier' has the shapes"):
        dd.Net(other.prototxt, path, other.mean, other.end)


# Their downloads, from a server on this machine

def test_places365_is_kept_when_it_fits_and_its_sha256_is_said(random_weights, served, said):
    name, path = random_weights
    if name != NAMES[1]:
        pytest.skip("Places205 has a checksum")
    address, content = served
    model = models.find_model(name)
    model = replace(model, weights={**model.weights, "urls": [f"{address}/damaged", f"{address}/good"]})
    content["/good"] = path.read_bytes()
    content["/damaged"] = content["/good"][:-1000]
    assert models.weights_path(model).read_bytes() == content["/good"]
    assert [line for line in said() if "checksum" in line] == [
        f"{address}/good: nobody published a checksum of it; its layers and shapes fit, its sha256 is "
        f"{hashlib.sha256(content['/good']).hexdigest()}"]
    assert models.local_weights(model) == fetch.cache_folder() / "models" / name / model.weights["file"]
    assert [file.name for file in fetch.cache_folder().rglob("*") if file.is_file()] == [model.weights["file"]]


def test_places205_out_of_an_archive(random_weights, served):
    name, path = random_weights
    if name != NAMES[0]:
        pytest.skip("Places365 comes unpacked")
    address, content = served
    model = models.find_model(name)
    file = model.weights["file"]
    model = replace(model, weights={**model.weights, "urls": [f"{address}/other", f"{address}/places.tar.gz"]})
    content["/other"] = b"<html>moved</html>"
    content["/places.tar.gz"] = tar_gz(("places/readme.txt", b"hello"), (f"places/{file}", path.read_bytes()))
    with pytest.raises(WeightsError, match=r"/other: its (sha1 hash) is not .*\.gz: its \1 is not the published one"):
        models.weights_path(model)
    assert [file for file in fetch.cache_folder().rglob("*") if file.is_file()] == []
    model.weights["sha1"] = hashlib.sha1(path.read_bytes()).hexdigest()
    assert models.weights_path(model).read_bytes() == path.read_bytes()
    models.weights_path(model).write_bytes(b"damaged")
    assert models.local_weights(model) is None


@pytest.fixture
def tiny_model(tiny_prototxt, tiny, tmp_path, served):
    """(model, content, the bytes of its weights): a model whose weights come in an archive from this machine."""
    (tiny_prototxt.parent / "deploy.prototxt").write_text(tiny_prototxt.read_text(encoding="utf-8"), encoding="utf-8")
    (tiny_prototxt.parent / "model.toml").write_text(
        'mean = [1, 2, 3]\nend = "both"\n[weights]\nfile = "a.caffemodel"\nchecksum_published = false\n'
        f'urls = ["{served[0]}/a.tar.gz"]\n', encoding="utf-8")
    tiny.save(str(tmp_path / "right"))
    return models.find_model(tiny_prototxt.parent), served[1], (tmp_path / "right").read_bytes()


def test_an_archive_writes_nowhere_else(tiny_model, tmp_path):
    model, content, right = tiny_model
    link = tarfile.TarInfo("x/a.caffemodel")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    climbing = "../" * 12 + str(tmp_path / "evil.txt").lstrip("/")
    content["/a.tar.gz"] = tar_gz((climbing, b"evil"), (str(tmp_path / "evil.txt"), b"evil"), link,
                                  ("../../../../a.caffemodel", right))
    before = sorted(tmp_path.rglob("*"))
    path = models.weights_path(model)
    assert path.read_bytes() == right
    assert not path.is_symlink()
    assert {file for file in tmp_path.rglob("*") if file.is_file()} == {
        file for file in before if file.is_file()} | {path}


def evil_link():
    link = tarfile.TarInfo("a.caffemodel")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return link


@pytest.mark.parametrize("archive, says", [
    (lambda right: b"<html>", "not a gzip|damaged"),
    (lambda right: tar_gz(("a.caffemodel", right))[:-200], "damaged|end-of-stream"),
    (lambda right: gzip.compress(b"not a tar"), "damaged"),
    (lambda right: tar_gz(("b.caffemodel", right)), "0 files called a.caffemodel"),
    (lambda right: tar_gz(("x/a.caffemodel", right), ("y/a.caffemodel", right)), "2 files called a.caffemodel"),
    (lambda right: tar_gz(evil_link()), "0 files called a.caffemodel"),
    (lambda right: tar_gz(("a.caffemodel", right[:-40])), "damaged or cut short"),
])
def test_an_archive_that_is_not_right_leaves_nothing(tiny_model, archive, says):
    model, content, right = tiny_model
    content["/a.tar.gz"] = archive(right)
    with pytest.raises(WeightsError, match=f"a.tar.gz: .*({says})"):
        models.weights_path(model)
    assert [file for file in fetch.cache_folder().rglob("*") if file.is_file()] == []


def test_an_endless_file_is_given_up(tiny_model, monkeypatch):
    model, content, _ = tiny_model
    content["/a.tar.gz"] = tar_gz(("a.caffemodel", bytes(300_000)))
    monkeypatch.setattr(fetch, "MOST", 100_000)
    with pytest.raises(WeightsError, match="more than the 100,000 bytes that are taken"):
        models.weights_path(model)
    content["/a.tar.gz"] = np.random.RandomState(0).bytes(200_000)
    with pytest.raises(WeightsError, match="it sends more than the 100,000 bytes"):
        models.weights_path(model)


def test_a_download_without_checksum_must_say_so(tiny_model):
    model, _, _ = tiny_model
    toml = model.folder / "model.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace("checksum_published = false\n", ""), encoding="utf-8")
    with pytest.raises(ModelError, match=r"no sha256.*checksum_published = false"):
        models.find_model(model.folder)
