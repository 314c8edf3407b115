"""The cache folder, and the folders of DEEPDREAM_DATA."""

import hashlib
import os
import subprocess
import sys

import pytest
from helpers import CONTENT, command_environment, files_below, model_from_site, write_model

import deepdream as dd
from deepdream import DreamError, WeightsError
from deepdream.data import cache
from deepdream.zoo import registry, weights

pytestmark = pytest.mark.usefixtures("no_user_data")


@pytest.mark.parametrize("value", ["data", os.pathsep.join(["/", "data"]), "~/data"])
def test_a_relative_data_folder_is_refused(monkeypatch, value):
    monkeypatch.setenv("DEEPDREAM_DATA", value)
    with pytest.raises(DreamError, match="not an absolute path"):
        dd.load("squeezenet_v1.1")


def test_a_relative_cache_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    with pytest.raises(DreamError, match=r"XDG_CACHE_HOME is 'cache', which is not an absolute path"):
        weights.weights_path(registry.find_model(write_model(tmp_path)))
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"file.*cannot be written.*XDG_CACHE_HOME"):
        weights.weights_path(registry.find_model(write_model(tmp_path)))


def test_a_cache_that_may_not_be_written(tmp_path, empty_cache, site, unprivileged):
    model = model_from_site(tmp_path, site[0] + "/good")
    (empty_cache / "models" / "tiny").mkdir(parents=True)
    (empty_cache / "models" / "tiny").chmod(0o555)
    with unprivileged(), pytest.raises(WeightsError, match=r"cannot be written.*XDG_CACHE_HOME"):
        weights.weights_path(model)
    assert site[1] == []
    assert files_below(empty_cache) == []


FETCH = """
import sys
from deepdream.zoo import registry, weights
print(weights.weights_path(registry.find_model(sys.argv[1])))
"""


def test_processes_that_fetch_at_once(tmp_path, empty_cache, site):
    """Each has the whole file, and nothing else is left."""
    model = model_from_site(tmp_path, site[0] + "/good")
    environment = {**command_environment(), "no_proxy": "*"}
    processes = [
        subprocess.Popen([sys.executable, "-c", FETCH, str(model.folder)], env=environment, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    path = empty_cache / "models" / "tiny" / "tiny.caffemodel"
    for process in processes:
        said, _ = process.communicate(timeout=120)
        assert (process.returncode, said.decode().strip()) == (0, str(path))
        assert path.read_bytes() == CONTENT
    assert files_below(empty_cache) == ["models/tiny/tiny.caffemodel"]


def test_the_first_digits_of_a_checksum(tmp_path):
    """Enough of them; fewer, none, or a pattern fit no file, and a whole checksum is not taken for its beginning."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert all(cache.has_checksum(path, f"sha256-start:{digest[:count]}") for count in (16, 17, 63, 64))
    for start in ("", digest[:15], digest + "0", "." * 16, digest[:16].upper() + "A", "0" * 16, digest[1:18]):
        assert not cache.has_checksum(path, f"sha256-start:{start}")
    assert cache.has_checksum(path, f"sha256:{digest}")
    assert not any(cache.has_checksum(path, f"sha256:{start}") for start in ("", digest[:16], digest[:63]))
