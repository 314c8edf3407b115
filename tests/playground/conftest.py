"""A visitor of the playground without a browser."""

import threading

import pytest
from helpers import FORM, png_bytes, upload_requests

from deepdream.data import clouds
from deepdream.data.cache import cache_folder
from deepdream.playground.session import Session


@pytest.fixture(scope="module")
def photo():
    """The bytes of a small picture file."""
    return png_bytes(clouds.clouds(96, 144, seed=3))


@pytest.fixture
def own_cache(tmp_path, monkeypatch, squeezenet_file):
    """A cache folder with the real weights and a queue that nobody else stands in."""
    models = cache_folder() / "models"
    (tmp_path / "cache" / "deepdream").mkdir(parents=True)
    (tmp_path / "cache" / "deepdream" / "models").symlink_to(models)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Visitor:
    """A page without a browser: what its session says is kept in `said`."""

    def __init__(self, limits=None):
        self.said, self._news = [], threading.Condition()
        self.session = Session(self._hear, limits)
        self.ask("open")
        self.wait("picture")

    def _hear(self, message, buffers):
        with self._news:
            self.said.append((message, buffers))
            self._news.notify_all()

    def ask(self, do, *buffers, **more):
        self.session.handle({"do": do, **more}, [memoryview(buffer) for buffer in buffers])

    def wait(self, *events, since=0, timeout=60):
        """(message, buffers) of the first of these events after the first `since` messages."""

        def find():
            return next((entry for entry in self.said[since:] if entry[0]["event"] in events), None)

        with self._news:
            assert self._news.wait_for(find, timeout), f"no {events} in {[m for m, _ in self.said[since:]]}"
            return find()

    def do(self, do, *buffers, until, **more):
        since = len(self.said)
        self.ask(do, *buffers, **more)
        return self.wait(*until, since=since)

    def upload(self, name, data, which="picture", piece=10_000):
        """Send a file as the page does, piece by piece; the message that comes of it."""
        sent = 0
        for part, request in upload_requests(name, data, which, piece):
            message, _ = self.do("upload", part, **request)
            if message["event"] != "more":
                return message
            sent += len(part)
            assert message["have"] == sent
        raise AssertionError(message)

    def dream(self, again=False, **form):
        return self.do("dream", form={**FORM, **form}, again=again, until=("ended", "refused"))

    def download(self, kind="png"):
        message, (data,) = self.do("download", kind=kind, until=("download", "refused"))
        return message["name"], data


@pytest.fixture
def visitor(own_cache):
    """Makes visitors, whose workers end with the test."""
    made = []

    def make(limits=None):
        made.append(Visitor(limits))
        return made[-1]

    yield make
    for each in made:
        each.session.close()
