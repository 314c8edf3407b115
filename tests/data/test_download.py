"""Downloads, from real servers on this machine: verified, and given up when they stall."""

import contextlib
import socket
import time

import pytest
from helpers import CONTENT, closed_port, files_below, model_from_site

from deepdream import WeightsError
from deepdream.data import download
from deepdream.zoo import weights

pytestmark = pytest.mark.usefixtures("no_user_data")


def test_a_good_download(tmp_path, empty_cache, site, log_lines):
    path = weights.weights_path(model_from_site(tmp_path, site[0] + "/good"))
    assert path == empty_cache / "models" / "tiny" / "tiny.caffemodel"
    assert path.read_bytes() == CONTENT
    assert files_below(empty_cache) == ["models/tiny/tiny.caffemodel"]
    assert path.stat().st_mode & 0o444 == 0o444  # other users of the empty_cache can read it
    assert len(log_lines()) == 1
    assert f"{site[0]}/good" in log_lines()[0]


def test_what_was_fetched_is_not_fetched_again(tmp_path, empty_cache, site):
    model = model_from_site(tmp_path, site[0] + "/good")
    weights.weights_path(model)
    weights.weights_path(model)
    assert site[1] == ["/good"]


@pytest.mark.parametrize(
    "path, says",
    [
        ("/missing", "404"),
        ("/short", "255,995 bytes, expected 256,000"),
        ("/long", "more than the 256,000 bytes"),
        ("/other", "hash"),
        ("/broken", "broke off"),
        ("/moved", "it sent 18 bytes, expected 256,000"),
    ],
)
def test_a_download_that_fails_leaves_nothing_and_says_why(tmp_path, empty_cache, site, path, says):
    url = site[0] + path
    with pytest.raises(WeightsError) as caught:
        weights.weights_path(model_from_site(tmp_path, url))
    text = str(caught.value)
    assert f"{url}: " in text
    assert says in text
    assert "DEEPDREAM_DATA" in text
    assert "\n" not in text
    assert files_below(empty_cache) == []


@pytest.mark.parametrize("path, says", [("/short", "hash"), ("/moved", "hash"), ("/broken", "broke off")])
def test_a_download_of_unknown_size_is_verified_as_well(tmp_path, empty_cache, site, path, says):
    with pytest.raises(WeightsError, match=says):
        weights.weights_path(model_from_site(tmp_path, site[0] + path, size=None))
    assert files_below(empty_cache) == []


def test_a_site_that_stops_sending_is_given_up(tmp_path, empty_cache, site, monkeypatch):
    monkeypatch.setattr(download, "CONNECT_READ_TIMEOUT_S", (1, 0.5))
    start = time.monotonic()
    with pytest.raises(WeightsError, match="/stalled: it stopped sending"):
        weights.weights_path(model_from_site(tmp_path, site[0] + "/stalled"))
    assert time.monotonic() - start < 5
    assert files_below(empty_cache) == []


def test_a_site_that_nobody_answers_for(tmp_path, empty_cache, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    start = time.monotonic()
    with pytest.raises(WeightsError, match=r"/x: connection refused.*/y: the site's name cannot be resolved"):
        weights.weights_path(model_from_site(tmp_path, f"http://127.0.0.1:{closed_port()}/x", "http://no.invalid/y"))
    assert time.monotonic() - start < 20
    assert files_below(empty_cache) == []


def test_a_connection_that_never_comes_about_is_given_up(tmp_path, empty_cache, monkeypatch):
    monkeypatch.setattr(download, "CONNECT_READ_TIMEOUT_S", (0.5, 0.5))
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
            weights.weights_path(model_from_site(tmp_path, f"http://127.0.0.1:{listener.getsockname()[1]}/x"))
        assert time.monotonic() - start < 5


def test_the_next_source_is_asked_when_one_fails(tmp_path, empty_cache, site):
    urls = [site[0] + path for path in ("/missing", "/broken", "/good", "/other")]
    assert weights.weights_path(model_from_site(tmp_path, *urls)).read_bytes() == CONTENT
    assert site[1] == ["/missing", "/broken", "/good"]
    assert files_below(empty_cache) == ["models/tiny/tiny.caffemodel"]


def test_a_damaged_file_in_the_cache_is_fetched_again(tmp_path, empty_cache, site, log_lines):
    model = model_from_site(tmp_path, site[0] + "/good")
    path = weights.weights_path(model)
    path.write_bytes(CONTENT[:1000])
    assert weights.local_weights(model) is None
    assert weights.weights_path(model).read_bytes() == CONTENT
    assert site[1] == ["/good", "/good"]
    assert [line for line in log_lines() if "damaged" in line] == [
        f"{path} is damaged (wrong sha256) and has to be fetched again"
    ]


def test_a_damaged_file_in_the_cache_is_not_used_when_it_cannot_be_fetched(tmp_path, empty_cache, site):
    model = model_from_site(tmp_path, site[0] + "/missing")
    path = empty_cache / "models" / "tiny" / "tiny.caffemodel"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    with pytest.raises(WeightsError, match="404"):
        weights.weights_path(model)
