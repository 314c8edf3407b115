"""The images of channels in notebook 7: how they are made, and that those which are stored are true."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT

import deepdream as dd
from deepdream.notebook.channels import SIDE, store_images, stored_images
from deepdream.objectives import channel_source

FOLDER = ROOT / "notebooks" / "channels"


def _load_script():
    spec = importlib.util.spec_from_file_location("make_channels", FOLDER.with_suffix(".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = _load_script()


def response(net, layer, channel, img):
    """A channel's mean activation in an image."""
    net.input.reshape(1, 3, *img.shape[:2])
    net.input.data[0] = dd.preprocess(net, img)
    net.forward(end=layer)
    return float(net.blobs[layer].data[0, channel].mean())


def nearest(net, model, layer):
    """The first stored channel of a layer, and the one whose stored image is most like the first one made again.

    Another processor or Caffe rounds otherwise, and after ninety steps a small difference is a large one.
    """
    stored = stored_images(FOLDER, model, layer)
    again = dd.resize(dd.channel_picture(net, min(stored), layer, seed=2015), SIDE, SIDE)
    return min(stored), min(stored, key=lambda channel: np.abs(again - stored[channel]).mean())


# Where a channel is computed


def test_a_channel_of_a_concatenation_is_one_of_a_branch(squeezenet):
    assert channel_source(squeezenet, "fire8/concat", 0) == ("fire8/expand1x1", 0)
    assert channel_source(squeezenet, "fire8/concat", 255) == ("fire8/expand1x1", 255)
    assert channel_source(squeezenet, "fire8/concat", 256) == ("fire8/expand3x3", 0)
    assert channel_source(squeezenet, "fire8/concat", 511) == ("fire8/expand3x3", 255)
    assert channel_source(squeezenet, "fire8/expand3x3", 7) == ("fire8/expand3x3", 7)


def test_the_values_of_the_branch_are_those_of_the_concatenation(squeezenet):
    """Before the ReLU in the branch, after it in the concatenation."""
    img = dd.picture("cat", max_size=96)
    for channel in (3, 300, 504):
        branch, number = channel_source(squeezenet, "fire8/concat", channel)
        response(squeezenet, "fire8/concat", channel, img)
        rectified = squeezenet.blobs["fire8/concat"].data[0, channel].copy()
        response(squeezenet, branch, number, img)
        assert np.array_equal(np.maximum(squeezenet.blobs[branch].data[0, number], 0), rectified)


@pytest.mark.weights
def test_branches_of_googlenet(googlenet):
    branches = [
        channel_source(googlenet, "inception_4c/output", channel) for channel in (127, 128, 383, 384, 447, 448, 511)
    ]
    names = [branch.partition("/")[2] for branch, _ in branches]
    assert names == ["1x1", "3x3", "3x3", "5x5", "5x5", "pool_proj", "pool_proj"]
    assert [number for _, number in branches] == [127, 0, 255, 0, 63, 0, 63]


@pytest.mark.parametrize("channel", [512])
def test_a_channel_that_the_layer_lacks(squeezenet, channel):
    with pytest.raises(dd.LayerError, match=f"no channel {channel}: 'fire8/concat' has 512 channels, 0 to 511"):
        channel_source(squeezenet, "fire8/concat", channel)


def test_a_layer_that_the_network_lacks(squeezenet):
    with pytest.raises(dd.LayerError, match="fire8/concat"):
        dd.channel_picture(squeezenet, 3, "fire8/conca")


# An image of a channel


def test_a_channel_responds_to_its_own_image_more_than_to_others(squeezenet):
    chosen = [3, 100, 300, 504]
    images = [
        dd.channel_picture(squeezenet, channel, "fire8/concat", size=64, seed=2015, iter_n=5) for channel in chosen
    ]
    assert all(image.shape == (64, 64, 3) and image.dtype == np.float32 for image in images)
    assert all(image.min() >= 0 and image.max() <= 255 for image in images)
    table = np.array([[response(squeezenet, "fire8/concat", c, image) for image in images] for c in chosen])
    assert (table.argmax(axis=1) == np.arange(len(chosen))).all()


def test_the_same_seed_gives_the_same_image(squeezenet):
    first, second, other = (
        dd.channel_picture(squeezenet, 3, "fire8/concat", size=48, iter_n=2, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, second) and not np.allclose(first, other)


# Stored images


def test_what_is_stored_is_what_is_loaded(tmp_path):
    """Two layers in one folder, more images than one row; the sheets are JPEG."""
    smooth = np.linspace(0, 255, SIDE, dtype=np.float32)[:, None, None] * np.ones((1, SIDE, 3), np.float32)
    images = {channel: np.abs(smooth - 20 * channel) for channel in (11, 2, 30, 4, 5, 6, 7, 8, 9, 10)}
    store_images(tmp_path, "net", "a/b", images)
    store_images(tmp_path, "net", "c", {0: smooth})
    loaded = stored_images(tmp_path, "net", "a/b")
    assert list(loaded) == sorted(images)
    for channel, image in loaded.items():
        assert image.shape == (SIDE, SIDE, 3) and image.dtype == np.float32
        assert np.abs(image - images[channel].clip(0, 255)).mean() < 2
    assert list(stored_images(tmp_path, "net", "c")) == [0]


def test_a_folder_without_images(tmp_path):
    assert stored_images(tmp_path / "none", "net", "a") == {}
    store_images(tmp_path, "net", "a", {1: np.zeros((SIDE, SIDE, 3), np.float32)})
    assert stored_images(tmp_path, "net", "b") == {} and stored_images(tmp_path, "other", "a") == {}


def test_the_sheets_of_the_notebook_are_those_of_the_script():
    index = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
    assert {model: list(layers) for model, layers in index.items()} == script.LAYERS
    sheets = [entry["sheet"] for layers in index.values() for entry in layers.values()]
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted([*sheets, "index.json"])
    assert max((FOLDER / sheet).stat().st_size for sheet in sheets) <= 250_000
    for model, layers in script.LAYERS.items():
        for layer in layers:
            assert len(stored_images(FOLDER, model, layer)) == script.COUNT


def test_stored_images_of_squeezenet_are_true(squeezenet):
    first, most_alike = nearest(squeezenet, "squeezenet_v1.1", "fire8/concat")
    assert most_alike == first


def test_channels_respond_to_their_stored_images(squeezenet):
    """Each more than to the others on average."""
    layer = "fire8/concat"
    stored = stored_images(FOLDER, "squeezenet_v1.1", layer)
    chosen = sorted(stored)[::6]
    table = np.array([[response(squeezenet, layer, c, stored[other]) for other in chosen] for c in chosen])
    assert (table.diagonal() > (table.sum(axis=1) - table.diagonal()) / (len(chosen) - 1)).all()


@pytest.mark.weights
@pytest.mark.parametrize("layer", script.LAYERS["bvlc_googlenet"])
def test_stored_images_of_googlenet_are_true(googlenet, layer):
    first, most_alike = nearest(googlenet, "bvlc_googlenet", layer)
    assert most_alike == first


def test_the_channels_are_those_that_the_script_chooses(squeezenet):
    """With another Caffe, which rounds otherwise, perhaps but for a few."""
    stored = stored_images(FOLDER, "squeezenet_v1.1", "fire8/concat")
    assert len(stored.keys() & set(script.choose(squeezenet, "fire8/concat"))) >= script.COUNT - 2


def test_check_needs_a_number():
    done = subprocess.run(
        [sys.executable, FOLDER.with_suffix(".py"), "--check", "0"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "--check needs a number from 1" in done.stderr
