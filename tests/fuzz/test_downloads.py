"""Sites that misbehave in every way that tests/zoo/test_weights.py leaves out: nothing is believed or hangs."""

import contextlib
import functools
import gzip
import hashlib
import io
import logging
import multiprocessing
import os
import random
import socketserver
import subprocess
import sys
import tarfile
import threading
import time

import pytest
from helpers import TINY, command_environment

from deepdream import ImageError, WeightsError
from deepdream.data import bundled, download
from deepdream.zoo import registry, weights

CONTENT = random.Random(1).randbytes(200_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TOML = f"""
mean = [104, 117, 123]
end = "both"
[weights]
file = "tiny.caffemodel"
sha256 = "{SHA256}"
size = {len(CONTENT)}
"""


def answer(body, *headers, status="200 OK"):
    lines = [f"HTTP/1.1 {status}", *headers, "Connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


def length(body, wrong=0):
    return f"Content-Length: {len(body) + wrong}"


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def packed(content):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        info = tarfile.TarInfo("tiny.caffemodel")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


PAGE = b"<html><body>Sorry, this file has moved.</body></html>"
ZIPPED, BOMB = gzip.compress(CONTENT), gzip.compress(bytes(50_000_000))
ANSWERS = {
    "/good": answer(CONTENT, length(CONTENT)),
    "/without-length": answer(CONTENT),
    "/chunked": answer(chunked(CONTENT[:70_000], CONTENT[70_000:]), "Transfer-Encoding: chunked"),
    "/zipped": answer(ZIPPED, length(ZIPPED), "Content-Encoding: gzip"),
    "/moved": answer(b"", "Location: /good", "Content-Length: 0", status="301 Moved Permanently"),
    "/another-host": answer(b"", "Location: http://localhost:{port}/good", "Content-Length: 0", status="302 Found"),
    "/page": answer(PAGE, length(PAGE), "Content-Type: text/html"),
    "/to-page": answer(b"", "Location: /page", "Content-Length: 0", status="302 Found"),
    "/page-of-404": answer(PAGE, length(PAGE), status="404 Not Found"),
    "/500": answer(PAGE, length(PAGE), status="500 Internal Server Error"),
    "/503-then-all": answer(CONTENT, length(CONTENT), status="503 Service Unavailable"),
    "/round": answer(b"", "Location: /round", "Content-Length: 0", status="302 Found"),
    "/round-and-round": answer(b"", "Location: /round-and-round-2", "Content-Length: 0", status="307 Temporary"),
    "/round-and-round-2": answer(b"", "Location: /round-and-round", "Content-Length: 0", status="307 Temporary"),
    "/to-file": answer(b"", "Location: file://{secret}", "Content-Length: 0", status="302 Found"),
    "/to-ftp": answer(b"", "Location: ftp://127.0.0.1/x", "Content-Length: 0", status="302 Found"),
    "/to-nowhere": answer(b"", "Location: http://", "Content-Length: 0", status="302 Found"),
    "/without-location": answer(b"", "Content-Length: 0", status="302 Found"),
    "/same-size": answer(CONTENT[::-1], length(CONTENT)),
    "/one-bit": answer(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), length(CONTENT)),
    "/says-more": answer(CONTENT, length(CONTENT, 10)),
    "/says-less": answer(CONTENT, length(CONTENT, -10)),
    "/says-nonsense": answer(CONTENT, "Content-Length: many"),
    "/says-negative": answer(CONTENT, "Content-Length: -1"),
    "/empty": answer(b"", "Content-Length: 0"),
    "/no-content": answer(b"", status="204 No Content"),
    "/part": answer(
        CONTENT[:1000], "Content-Length: 1000", "Content-Range: bytes 0-999/200000", status="206 Partial Content"
    ),
    "/bad-chunks": answer(b"zz\r\n" + CONTENT, "Transfer-Encoding: chunked"),
    "/cut-chunks": answer(chunked(CONTENT)[:-100_000], "Transfer-Encoding: chunked"),
    "/not-zipped": answer(CONTENT, length(CONTENT), "Content-Encoding: gzip"),
    "/cut-zip": answer(ZIPPED[:-5000], length(ZIPPED, -5000), "Content-Encoding: gzip"),
    "/bomb": answer(BOMB, length(BOMB), "Content-Encoding: gzip"),
    "/no-http": CONTENT,
    "/nothing": b"",
    "/long-header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "/many-headers": answer(CONTENT, *(f"X-{i}: y" for i in range(200))),
    "/a.tar.gz": answer(packed(CONTENT), "Content-Type: application/gzip"),
    "/unzipped.tar.gz": answer(packed(CONTENT), "Content-Encoding: gzip", "Content-Type: application/x-tar"),
}


class Site(socketserver.BaseRequestHandler):
    """Answers with the very bytes above, whether they make sense or not; some paths take their time."""

    def handle(self):
        self.request.settimeout(10)
        with contextlib.suppress(OSError):
            asked = b""
            while b"\r\n\r\n" not in asked:
                piece = self.request.recv(4096)
                if not piece:
                    return
                asked += piece
            path = asked.split()[1].decode()
            self.server.asked.append(path)
            self.respond(path)

    def respond(self, path):
        if path in ("/drip", "/drip-header"):
            head = answer(b"", length(CONTENT))
            if path == "/drip":
                self.request.sendall(head)
            for byte in CONTENT if path == "/drip" else head + CONTENT:
                if self.server.over.wait(0.02):
                    return
                self.request.sendall(bytes([byte]))
        elif path in ("/endless", "/endless-chunks"):
            self.request.sendall(answer(b"", *["Transfer-Encoding: chunked"][: path.endswith("chunks")]))
            for _ in range(1000):  # 33 MB: enough, should nobody stop it
                self.request.sendall(b"8000\r\n%s\r\n" % bytes(0x8000) if path.endswith("chunks") else bytes(0x8000))
        elif path == "/slow":
            self.request.sendall(answer(b"", length(CONTENT)))
            for start in range(0, len(CONTENT), 20_000):
                self.request.sendall(CONTENT[start : start + 20_000])
                time.sleep(0.05)
        else:
            told = {b"{port}": b"%d" % self.server.server_address[1], b"{secret}": self.server.secret.encode()}
            self.request.sendall(functools.reduce(lambda body, each: body.replace(*each), told.items(), ANSWERS[path]))


@pytest.fixture
def site(tmp_path, monkeypatch):
    """(address, the paths it was asked for) of a running site; the cache is empty."""
    monkeypatch.delenv("DEEPDREAM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    (tmp_path / "secret").write_bytes(CONTENT)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Site) as server:
        server.daemon_threads = True
        server.asked, server.over, server.secret = [], threading.Event(), str(tmp_path / "secret")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", server.asked
        server.over.set()
        server.shutdown()
        thread.join()


def model_of(tmp_path, *urls, toml=TOML):
    folder = tmp_path / "tiny"
    folder.mkdir(exist_ok=True)
    (folder / "deploy.prototxt").write_text(TINY, encoding="utf-8")
    (folder / "model.toml").write_text(f"{toml}urls = {list(urls)}\n", encoding="utf-8")
    return registry.find_model(folder)


def kept(tmp_path):
    return sorted(path for path in (tmp_path / "cache").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "path", ["/good", "/without-length", "/chunked", "/zipped", "/moved", "/another-host", "/slow"]
)
def test_however_it_is_sent_it_is_the_file(tmp_path, site, path):
    found = weights.weights_path(model_of(tmp_path, site[0] + path))
    assert found.read_bytes() == CONTENT
    assert kept(tmp_path) == [found]


@pytest.mark.parametrize("path", ["/a.tar.gz", "/unzipped.tar.gz"])
def test_an_archive_is_unpacked_whether_or_not_the_site_did_it_already(tmp_path, site, path):
    download.download_file(site[0] + path, f"sha256:{SHA256}", len(CONTENT), tmp_path / "tiny.caffemodel")
    assert (tmp_path / "tiny.caffemodel").read_bytes() == CONTENT


REFUSED = [
    ("/to-page", "it sent 53 bytes, expected 200,000"),
    ("/page-of-404", "404"),
    ("/500", "500"),
    ("/503-then-all", "503"),
    ("/round", "30 redirects"),
    ("/round-and-round", "30 redirects"),
    ("/to-file", "file://"),
    ("/to-ftp", "ftp://"),
    ("/to-nowhere", ""),
    ("/without-location", "it sent 0 bytes"),
    ("/same-size", "hash"),
    ("/one-bit", "hash"),
    ("/says-more", "broke off|199,9|hash"),
    ("/says-less", "it sent 199,990 bytes, expected 200,000"),
    ("/empty", "it sent 0 bytes"),
    ("/no-content", "it sent 0 bytes"),
    ("/part", "it sent 1,000 bytes"),
    ("/bad-chunks", ""),
    ("/cut-chunks", "broke off"),
    ("/not-zipped", ""),
    ("/cut-zip", ""),
    ("/bomb", "more than the 200,000 bytes"),
    ("/endless", "more than the 200,000 bytes"),
    ("/endless-chunks", "more than the 200,000 bytes"),
    ("/no-http", ""),
    ("/nothing", "it closed the connection without an answer"),
    ("/long-header", ""),
    ("/many-headers", ""),
]


@pytest.mark.parametrize("path, says", REFUSED, ids=[path for path, _ in REFUSED])
def test_what_is_refused_is_said_in_a_line_and_the_next_source_is_asked(tmp_path, site, path, says):
    start = time.monotonic()
    with pytest.raises(WeightsError, match=f"{path}: .*({says})") as caught:
        weights.weights_path(model_of(tmp_path, site[0] + path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert kept(tmp_path) == []
    found = weights.weights_path(model_of(tmp_path, site[0] + path, site[0] + "/good"))
    assert kept(tmp_path) == [found]
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("path", ["/says-nonsense", "/says-negative"])
def test_a_length_that_is_none_is_not_believed_in_either(tmp_path, site, path):
    with contextlib.suppress(WeightsError):
        assert weights.weights_path(model_of(tmp_path, site[0] + path)).read_bytes() == CONTENT


@pytest.mark.parametrize("path", ["/page", "/to-page", "/same-size", "/empty", "/zipped", "/bomb"])
def test_without_a_checksum_what_does_not_fit_is_refused(tmp_path, site, path, monkeypatch):
    monkeypatch.setattr(download, "MAX_FILE_BYTES", 10_000_000)
    toml = TOML.split("sha256")[0] + "checksum_published = false\n"
    with pytest.raises(WeightsError, match=f"{path}: .*(caffemodel|10,000,000)"):
        weights.weights_path(model_of(tmp_path, site[0] + path, toml=toml))
    assert kept(tmp_path) == []


@pytest.mark.parametrize("path", ["/drip", "/drip-header"])
def test_a_site_that_drips_is_given_up_and_the_next_one_asked(tmp_path, site, path, monkeypatch):
    """Each byte comes in time for the connection's own limit; a slow but steady site is not given up."""
    monkeypatch.setattr(download, "STALL_TIMEOUT_S", 1)
    start = time.monotonic()
    found = weights.weights_path(model_of(tmp_path, site[0] + path, site[0] + "/slow"))
    assert 1 < time.monotonic() - start < 10
    assert found.read_bytes() == CONTENT
    with pytest.raises(WeightsError, match=f"{path}: it sends less than 16,384 bytes in 1 seconds"):
        found.unlink()
        weights.weights_path(model_of(tmp_path, site[0] + path))
    assert kept(tmp_path) == []


def test_a_drip_is_given_up_by_a_process_that_then_ends(tmp_path, site):
    """The thread that still reads keeps nobody waiting, and says nothing at the end."""
    model_of(tmp_path, site[0] + "/drip")
    code = f"""
from deepdream import WeightsError, find_model
from deepdream.data import download
from deepdream.zoo.weights import weights_path
download.STALL_TIMEOUT_S = 1
try:
    weights_path(find_model({str(tmp_path / "tiny")!r}))
except WeightsError as error:
    assert "it sends less than" in str(error), error
"""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**command_environment(), "no_proxy": "127.0.0.1", "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - start < 30


def test_an_interrupted_download_leaves_nothing(tmp_path, site, monkeypatch):
    class Interrupted(download.queue.Queue):
        def get(self, *arguments, **more):
            if super().get(*arguments, **more) is not None:
                raise KeyboardInterrupt

    monkeypatch.setattr(download.queue, "Queue", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        weights.weights_path(model_of(tmp_path, site[0] + "/good"))
    assert kept(tmp_path) == []


@pytest.mark.parametrize("before", [None, b"damaged"])
def test_processes_and_threads_that_fetch_at_once(tmp_path, site, before):
    """Each takes its own copy; who comes second replaces the file by the same one, whole at any moment."""
    model = model_of(tmp_path, site[0] + "/slow")
    target = tmp_path / "cache" / "deepdream" / "models" / "tiny" / "tiny.caffemodel"
    if before:
        target.parent.mkdir(parents=True)
        target.write_bytes(before)
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_fetches, args=(model,)) for _ in range(3)]
    for process in processes:
        process.start()
    results, threads = [], []
    for _ in range(3):
        threads.append(threading.Thread(target=lambda: results.append(weights.weights_path(model).read_bytes())))
        threads[-1].start()
    seen = set()
    while any(each.is_alive() for each in (*processes, *threads)):
        with contextlib.suppress(FileNotFoundError):
            seen.add(target.read_bytes())
        time.sleep(0.005)
    for each in (*processes, *threads):
        each.join(30)
    assert [process.exitcode for process in processes] == [0] * 3
    assert results == [CONTENT] * 3
    assert seen <= {before, CONTENT}
    assert kept(tmp_path) == [target]


def _fetches(model):
    os._exit(weights.weights_path(model).read_bytes() != CONTENT)


def test_pictures_of_the_release_are_held_to_the_same(tmp_path, site, monkeypatch):
    monkeypatch.setattr(download, "STALL_TIMEOUT_S", 1)
    monkeypatch.setattr(bundled, "_RELEASE", site[0])
    for path in ("/same-size", "/to-page", "/to-file", "/drip", "/round", "/nothing"):
        monkeypatch.setitem(bundled.RELEASE_FILES, path, SHA256)
        with pytest.raises(ImageError, match=rf"{path}: .+") as caught:
            bundled.release_file(path)
        assert "\n" not in str(caught.value)
    assert kept(tmp_path) == []


def test_nothing_of_pooch_or_requests_is_said(tmp_path, site, caplog):
    caplog.set_level(logging.DEBUG)
    weights.weights_path(model_of(tmp_path, site[0] + "/same-size", site[0] + "/good"))
    assert {record.name for record in caplog.records if record.levelno >= logging.WARNING} == set()
