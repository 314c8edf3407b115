"""The cache folder, and the folders of DEEPDREAM_DATA."""

import os

import pytest
from helpers import files_below, model_from_site, write_model

import deepdream as dd
from deepdream import DreamError, WeightsError
from deepdream.zoo import registry, weights

pytestmark = pytest.mark.usefixtures("no_user_data")


@pytest.mark.parametrize("value", ["data", os.pathsep.join(["/", "data"]), "~/data"])
def test_a_relative_data_folder_is_refused(monkeypatch, value):
    monkeypatch.setenv("DEEPDREAM_DATA", value)
    with pytest.raises(DreamError, match="not an absolute path"):
        dd.load("squeezenet_v1.1")


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
