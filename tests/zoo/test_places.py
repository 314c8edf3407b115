"""The Places networks: their weights cannot be had everywhere, so all around them is held to what was published.

The weights here are random, but for those of the classifier, which tells the bundled images apart.
"""

import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers import assert_rises, files_below, tar_gz
from state_dicts import write_legacy, write_pth, write_zip

import deepdream as dd
from deepdream import WeightsError
from deepdream.data import cache
from deepdream.io.arrays import resize
from deepdream.zoo import added, answers, registry, weights
from deepdream.zoo.importing.importer import import_model

pytestmark = pytest.mark.usefixtures("no_user_data", "empty_cache")
NAMES = ["googlenet_places205", "googlenet_places365"]


def make_random(net):
    """Random weights that keep the size of the activations from layer to layer."""
    rng = np.random.RandomState(5)
    for blobs in net.params.values():
        fan_in = np.prod(blobs[0].shape[1:])
        blobs[0].data[...] = rng.standard_normal(blobs[0].data.shape) * np.sqrt(2 / fan_in)


def tell_apart(net):
    """Give the first labels to the bundled images, one each, and to their mirrors; only the classifier changes."""
    features = []
    for name in answers.IMAGES:
        image = dd.picture(name)
        top, left = (np.array(image.shape[:2]) - min(image.shape[:2])) // 2
        square = resize(image[top : top + min(image.shape[:2]), left : left + min(image.shape[:2])], 224, 224)
        for shown in (square, square[:, ::-1]):
            net.input.reshape(1, 3, 224, 224)
            net.input.data[0] = dd.preprocess(net, shown)
            net.forward()
            features.append(net.blobs["pool5/7x7_s1"].data.flatten().astype(float))
    weights, biases = (blob.data for blob in net.params["loss3/classifier"])
    wanted = 10 * np.eye(len(answers.IMAGES)).repeat(2, axis=0)
    weights[...], biases[...] = 0, 0
    weights[: len(answers.IMAGES)] = np.linalg.lstsq(np.array(features), wanted, rcond=None)[0].T


@pytest.fixture(scope="session", params=NAMES)
def random_weights(request, tmp_path_factory):
    """(the model's name, a file of random weights with its layers and shapes)."""
    model = registry.find_model(request.param)
    net = dd.Net(model.prototxt, None, model.mean, model.end)
    make_random(net)
    tell_apart(net)
    path = tmp_path_factory.mktemp(request.param) / model.weights["file"]
    net.save(str(path))
    return request.param, path


def from_sites(model, *urls, **more):
    """The model with these sources, and no others."""
    kept = {key: value for key, value in model.weights.items() if key != "pytorch"}
    return replace(model, weights={**kept, "urls": list(urls), **more})


def test_the_labels_of_places365_are_the_published_list_byte_for_byte():
    """Its size and MD5 are those under which a public collection of data sets keeps categories_places365.txt."""
    names = [label.replace(" ", "_") for label in registry.find_model(NAMES[1]).labels]
    text = "\n".join(f"/{name[0]}/{name} {i}" for i, name in enumerate(names))
    assert len(text) == 6833
    assert hashlib.md5(text.encode()).hexdigest() == "06c963b85866bd0649f97cb43dd16673"


def test_the_labels_of_places205():
    """In order of their first letters, and within a letter those of several kinds (a/b) after the others."""
    labels = registry.find_model(NAMES[0]).labels
    assert len(labels) == len(set(labels)) == 205
    assert list(labels) == sorted(labels, key=lambda label: (label[0], "/" in label, labels.index(label)))
    assert (labels[0], labels[13], labels[-1]) == ("abbey", "apartment building/outdoor", "yard")


@pytest.mark.parametrize("name, classes", [(NAMES[0], 205), (NAMES[1], 365)])
def test_the_definition_is_googlenets_but_for_the_classes(name, classes):
    theirs = registry.find_model("bvlc_googlenet").prototxt.read_text(encoding="utf-8").splitlines()
    ours = registry.find_model(name).prototxt.read_text(encoding="utf-8").splitlines()
    changed = [(old.strip(), new.strip()) for old, new in zip(theirs, ours) if old != new]
    assert len(theirs) == len(ours)
    assert changed[1:] == [("num_output: 1000", f"num_output: {classes}")]
    assert changed[0][0].startswith("name:")


def test_weights_of_the_right_shapes_dream_and_classify(random_weights, monkeypatch, tmp_path, log_lines):
    name, path = random_weights
    folder = tmp_path / "data" / "models" / name
    folder.mkdir(parents=True)
    (folder / path.name).symlink_to(path)
    monkeypatch.setenv("DEEPDREAM_DATA", str(tmp_path / "data"))
    net = dd.load(name)
    model = registry.find_model(name)
    np.testing.assert_array_equal(net.mean.ravel(), np.float32(model.mean))
    cat = dd.picture("cat")
    assert_rises(net, cat[::4, ::4], "inception_3b/output", iter_n=4, octave_n=1, step_size=6.0)
    answers = dd.classify(net, cat, top=len(model.labels))
    assert sorted(label for label, _ in answers) == sorted(model.labels)
    assert sum(probability for _, probability in answers) == pytest.approx(1, abs=1e-4)
    # of Places205 a checksum is known, and this is another file
    assert ["different sha1" in line for line in log_lines()] == ([True] if name == NAMES[0] else [])


def test_another_networks_weights_are_refused(random_weights, monkeypatch, tmp_path):
    name, path = random_weights
    other = registry.find_model(NAMES[1 - NAMES.index(name)])
    with pytest.raises(WeightsError, match="layer 'loss3/classifier' has the shapes"):
        dd.Net(other.prototxt, path, other.mean, other.end)


def test_places365_is_kept_when_it_fits_and_its_sha256_is_said(random_weights, served, log_lines):
    name, path = random_weights
    if name != NAMES[1]:
        pytest.skip("Places205 has a checksum")
    address, content = served
    model = registry.find_model(name)
    model = from_sites(model, f"{address}/damaged", f"{address}/good")
    content["/good"] = path.read_bytes()
    content["/damaged"] = content["/good"][:-1000]
    assert weights.weights_path(model).read_bytes() == content["/good"]
    labels = [f"{image}: {label}" for image, label in zip(answers.IMAGES, model.labels)]
    [line] = [line for line in log_lines() if "was shown" in line]
    assert re.sub(r" \d+%", "", line) == f"{name} was shown the bundled images. {', '.join(labels)}"
    assert [line for line in log_lines() if "checksum" in line] == [
        f"{address}/good: no published checksum; its layers and shapes fit, its sha256 is "
        f"{hashlib.sha256(content['/good']).hexdigest()}"
    ]
    assert weights.local_weights(model) == cache.cache_folder() / "models" / name / model.weights["file"]
    assert [file.name for file in cache.cache_folder().rglob("*") if file.is_file()] == [model.weights["file"]]


def test_places205_out_of_an_archive(random_weights, served):
    name, path = random_weights
    if name != NAMES[0]:
        pytest.skip("Places365 comes unpacked")
    address, content = served
    model = registry.find_model(name)
    file = model.weights["file"]
    model = from_sites(model, f"{address}/other", f"{address}/places.tar.gz")
    content["/other"] = b"<html>moved</html>"
    content["/places.tar.gz"] = tar_gz(("places/readme.txt", b"hello"), (f"places/{file}", path.read_bytes()))
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1, 127\.0\.0\.1: its sha1 hash is not the published one\. "):
        weights.weights_path(model)
    assert [file for file in cache.cache_folder().rglob("*") if file.is_file()] == []
    model.weights["sha1"] = hashlib.sha1(path.read_bytes()).hexdigest()
    assert weights.weights_path(model).read_bytes() == path.read_bytes()
    weights.weights_path(model).write_bytes(b"damaged")
    assert weights.local_weights(model) is None


def test_weights_that_tell_no_images_apart_are_not_kept(random_weights, served):
    """Of the right layers and shapes, and without a checksum: nothing else would notice."""
    name, path = random_weights
    if name != NAMES[1]:
        pytest.skip("Places205 has a checksum")
    model = registry.find_model(name)
    net = dd.Net(model.prototxt, path, model.mean, model.end)
    net.params["loss3/classifier"][0].data[...] = 0
    address, content = served
    net.save(str(path.with_name("useless")))
    content["/useless"] = path.with_name("useless").read_bytes()
    model = from_sites(model, f"{address}/useless")
    with pytest.raises(WeightsError, match=r"it answers the same whatever it is shown \(difference 0\.00\)"):
        weights.weights_path(model)
    assert [file for file in cache.cache_folder().rglob("*") if file.is_file()] == []
    content["/good"] = path.read_bytes()
    model.weights["urls"].append(f"{address}/good")
    assert weights.weights_path(model).read_bytes() == content["/good"]


# A conversion for PyTorch as the last source


def nested(layer):
    """What a layer is called in the modules of the conversion that is fetched."""
    names = {
        "conv1/7x7_s2": "conv1",
        "conv2/3x3_reduce": "conv2_reduce",
        "conv2/3x3": "conv2",
        "loss3/classifier": "loss3_classifier",
    }
    block, _, branch = layer.partition("/")
    return names.get(layer) or f"{block}.{branch if branch == 'pool_proj' else f'conv_{branch}'}"


def underscored(layer):
    """What it is called in the older conversion, which has one flat module."""
    return layer.replace("/", "_")


@pytest.fixture(scope="session")
def state_of(random_weights):
    """A function that gives the random weights as a state dict, named by a function of Caffe's layers."""
    name, path = random_weights
    model = registry.find_model(name)
    net = dd.Net(model.prototxt, path, model.mean, model.end)
    return lambda naming: {
        f"{naming(layer)}.{part}": blob.data.copy()
        for layer, blobs in net.params.items()
        for blob, part in zip(blobs, ("weight", "bias"))
    }


def published(address, content, path, data):
    """Serve bytes; the `[weights.pytorch]` table that names them."""
    content[path] = data
    return {"url": address + path, "sha256_start": hashlib.sha256(data).hexdigest()[:17]}


@pytest.mark.parametrize("naming, write", [(nested, write_pth), (underscored, write_legacy)])
def test_a_conversion_for_pytorch_is_the_last_source(
    random_weights, state_of, served, tmp_path, monkeypatch, naming, write
):
    name, path = random_weights
    address, content = served
    source = published(address, content, "/places.pth", write(tmp_path / "a.pth", state_of(naming)).read_bytes())
    content["/damaged"] = path.read_bytes()[:-1000]
    model = from_sites(registry.find_model(name), f"{address}/missing", f"{address}/damaged", pytorch=source)
    assert weights.local_weights(model) is None
    found = weights.weights_path(model)
    assert found.parent == cache.cache_folder() / "models" / name
    assert found.name != model.weights["file"]  # whose checksum it cannot have
    content.clear()
    assert weights.weights_path(model) == weights.local_weights(model) == found
    converted, direct = (dd.Net(model.prototxt, file, model.mean, model.end) for file in (found, path))
    assert list(converted.params) == list(direct.params)
    for layer, blobs in direct.params.items():
        for ours, theirs in zip(converted.params[layer], blobs):
            np.testing.assert_array_equal(ours.data, theirs.data)


def test_the_published_file_comes_before_its_conversion(random_weights, state_of, served, tmp_path):
    name, path = random_weights
    address, content = served
    source = published(address, content, "/a.pth", write_pth(tmp_path / "a.pth", state_of(nested)).read_bytes())
    content["/good"] = path.read_bytes()
    sha1 = {"sha1": hashlib.sha1(content["/good"]).hexdigest()} if name == NAMES[0] else {}
    model = from_sites(registry.find_model(name), f"{address}/good", pytorch=source, **sha1)
    assert weights.weights_path(model).name == model.weights["file"]


def test_conversions_that_are_refused_leave_what_was_there(random_weights, state_of, served, tmp_path):
    """Without the classifier, with another number of classes, untrained, with a NaN, hostile, of another checksum."""
    name, _ = random_weights
    address, content = served
    whole = state_of(nested)
    classifier = {part: whole[f"loss3_classifier.{part}"] for part in ("weight", "bias")}
    nan = whole["conv2.weight"].copy()
    nan[0, 0, 0, 0] = np.nan
    part = {key: value for key, value in state_of(underscored).items() if not key.startswith("loss3")}
    files = {
        "/part": (part, "it lacks loss3/classifier; only deepdream import reads such a file"),
        "/classes": (
            {**whole, **{f"loss3_classifier.{part}": array[:-1] for part, array in classifier.items()}},
            r"'loss3/classifier': has the shape \(\d+, 1024\), expected",
        ),
        "/untrained": ({**whole, "loss3_classifier.weight": classifier["weight"] * 0}, "it answers the same whatever"),
        "/nan": ({**whole, "conv2.weight": nan}, "'conv2/3x3': has values that are not fin"),
        "/less": ({key: value for key, value in whole.items() if key != "conv2.bias"}, "it lacks 'conv2.bias'"),
    }
    model = registry.find_model(name)
    (cache.cache_folder() / "models" / name).mkdir(parents=True)
    (cache.cache_folder() / "models" / name / "notes.txt").write_text("mine")
    for path, (arrays, says) in files.items():
        source = published(address, content, path, write_pth(tmp_path / "a.pth", arrays).read_bytes())
        with pytest.raises(WeightsError, match=says) as caught:
            weights.weights_path(from_sites(model, pytorch=source))
        assert len(str(caught.value)) <= 300
        assert files_below(cache.cache_folder()) == [f"models/{name}/notes.txt"]
    pickle = b"\x80\x02cos\nsystem\n(" + b"X\x0b\x00\x00\x00touch owned" + b"tR."
    hostile = published(address, content, "/hostile", write_zip(tmp_path / "c.pth", pickle).read_bytes())
    other = {**published(address, content, "/whole", b"other"), "sha256_start": "0" * 16}
    for source, says in ((hostile, "os.system"), (other, "its sha256 hash is not the published one")):
        with pytest.raises(WeightsError, match=says):
            weights.weights_path(from_sites(model, pytorch=source))
        assert files_below(cache.cache_folder()) == [f"models/{name}/notes.txt"]


def test_the_digits_of_the_conversions_are_those_in_their_names():
    """PyTorch's convention: a dash and the first digits of the SHA-256 end the name."""
    for name in NAMES:
        source = registry.find_model(name).weights["pytorch"]
        assert source["url"].endswith(f"/{name}-{source['sha256_start']}.pth")


def test_the_older_conversion_lacks_the_classifier_and_dreams(random_weights, state_of, tmp_path, monkeypatch):
    """Imported and added, as the documentation shows; the classifiers that only training uses tell the mean."""
    name, path = random_weights
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    bundled = registry.find_model(name)
    arrays = {key: value for key, value in state_of(underscored).items() if not key.startswith("loss3")}
    arrays["loss1_classifier_1.weight"] = np.zeros((len(bundled.labels), 1024), np.float32)
    arrays["loss1_classifier_1.bias"] = np.zeros(len(bundled.labels), np.float32)
    added.add_model(import_model(write_pth(tmp_path / "a.pth", arrays), tmp_path / "places").folder)
    net, found = dd.Net(bundled.prototxt, path, bundled.mean, bundled.end), dd.load("places")
    np.testing.assert_allclose(found.mean, net.mean)
    cat = dd.picture("cat")[::4, ::4]
    settings = {"iter_n": 1, "octave_n": 1, "seed": 1}
    np.testing.assert_allclose(dd.deepdream(found, cat, **settings), dd.deepdream(net, cat, **settings), atol=0.05)
