"""Where weights are found, and whose file counts."""

import os
import re

import numpy as np
import pytest
from helpers import model_from_site, write_model

import deepdream as dd
from deepdream import WeightsError
from deepdream.zoo import registry, weights

pytestmark = pytest.mark.usefixtures("no_user_data")


def test_the_order_of_places(tmp_path, monkeypatch, empty_cache):
    model = registry.find_model(write_model(tmp_path))
    places = [
        tmp_path / "one" / "models" / "tiny",
        tmp_path / "two" / "models" / "tiny",
        model.folder,
        empty_cache / "models" / "tiny",
    ]
    monkeypatch.setenv(
        "DEEPDREAM_DATA", os.pathsep.join(map(str, [tmp_path / "one", tmp_path / "no", "", tmp_path / "two"]))
    )
    assert weights.local_weights(model) is None
    for place in reversed(places):  # each found before those that are already there
        place.mkdir(parents=True, exist_ok=True)
        (place / "tiny.caffemodel").write_bytes(b"x")
        assert weights.local_weights(model) == place / "tiny.caffemodel"
        assert weights.weights_path(model) == place / "tiny.caffemodel"


def test_another_file_in_the_users_folder_is_used_and_said_once(tmp_path, monkeypatch, log_lines, squeezenet):
    path = tmp_path / "models" / "squeezenet_v1.1" / "squeezenet_v1.1.caffemodel"
    path.parent.mkdir(parents=True)
    monkeypatch.setenv("DEEPDREAM_DATA", str(tmp_path))
    squeezenet.save(str(path))  # the same numbers, written by Caffe: other bytes
    net = dd.load("squeezenet_v1.1")
    dd.load("squeezenet_v1.1")
    np.testing.assert_array_equal(net.params["conv1"][0].data, squeezenet.params["conv1"][0].data)
    assert len(log_lines()) == 1
    assert str(path) in log_lines()[0]
    assert "not the published file" in log_lines()[0]


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


def test_no_source(tmp_path, empty_cache):
    with pytest.raises(WeightsError, match=r"names no source\. Get tiny\.caffemodel by hand"):
        weights.weights_path(registry.find_model(write_model(tmp_path)))


def test_addresses_that_are_none(tmp_path, empty_cache):
    """However long they are: nothing but the reasons is said."""
    model = model_from_site(tmp_path, "http://[x", f"http://[{'y' * 300}")
    with pytest.raises(WeightsError, match="could not get the weights of tiny"):
        weights.weights_path(model)


def test_sites_that_fail_alike_lose_their_names_rather_than_the_reason(tmp_path, empty_cache):
    model = model_from_site(tmp_path, *(f"http://{name * 60}.invalid/x" for name in "abc"))
    with pytest.raises(WeightsError) as caught:
        weights.weights_path(model)
    text = str(caught.value)
    assert len(text) <= 300
    assert re.search(
        r"tiny: a+\.invalid, b+…c+\.invalid: the site's name cannot be resolved\. Get tiny\.caffemodel by hand", text
    )


def test_googlenet_knows_a_cat(googlenet_weights):
    model = registry.find_model("bvlc_googlenet")
    net = dd.Net(model.prototxt, googlenet_weights, model.mean, model.end, model.labels)
    label, probability = dd.classify(net, dd.picture("cat"))[0]
    assert any(cat in label for cat in ("tabby", "Egyptian cat", "tiger cat"))
    assert probability > 0.3
