"""Models that the user adds: copied whole after every check, found by name, and removed again."""

import os
import time

import numpy as np
import pytest
from helpers import MODEL_TOML, files_below, write_model

import deepdream as dd
from deepdream import DreamError, LayerError, ModelError, WeightsError
from deepdream.zoo import added, registry

pytestmark = pytest.mark.usefixtures("no_user_data", "empty_cache")


@pytest.fixture(autouse=True)
def models_folder(tmp_path, monkeypatch):
    """The folder of added models, which does not exist yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path / "share" / "deepdream" / "models"


@pytest.fixture
def mine(tmp_path):
    """The folder of a whole model, with a file that its model.toml does not name."""
    folder = write_model(tmp_path, 'labels = "words/names.txt"\n' + MODEL_TOML)
    (folder / "words").mkdir()
    (folder / "words" / "names.txt").write_text("a\nb\nc\nd\n", encoding="utf-8")
    (folder / "notes.txt").write_text("not part of the model", encoding="utf-8")
    dd.Net(folder / "deploy.prototxt", None, [1, 2, 3], "conv").save(str(folder / "tiny.caffemodel"))
    return folder


def change_toml(folder, old, new):
    path = folder / "model.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_it_is_found_by_its_name(mine, models_folder, tmp_path):
    expected = dd.load(mine).params["conv"][0].data.copy()
    assert registry.added_names() == []
    model = added.add_model(mine)
    mine.rename(tmp_path / "elsewhere")
    assert (model.name, model.folder, model.labels) == ("tiny", models_folder / "tiny", ("a", "b", "c", "d"))
    assert registry.added_names() == ["tiny"]
    assert files_below(models_folder) == [
        f"tiny/{name}" for name in ("deploy.prototxt", "model.toml", "tiny.caffemodel", "words/names.txt")
    ]
    assert dd.find_model("tiny") == model
    np.testing.assert_array_equal(dd.load("tiny").params["conv"][0].data, expected)
    with pytest.raises(ModelError, match="did you mean tiny"):
        dd.load("tinny")
    assert "tiny" not in dd.model_names()  # these come with deepdream


def test_under_another_name(mine, models_folder):
    assert added.add_model(str(mine), "mine-2").name == "mine-2"
    assert dd.load("mine-2").end == "conv"
    assert os.listdir(models_folder) == ["mine-2"]


def test_removing(mine, models_folder, empty_cache):
    added.add_model(mine)
    added.add_model(mine, "other")
    (empty_cache / "models" / "tiny").mkdir(parents=True)
    (empty_cache / "models" / "tiny" / "tiny.caffemodel").write_bytes(b"x")
    assert added.remove_model("tiny") == [models_folder / "tiny", empty_cache / "models" / "tiny"]
    assert registry.added_names() == ["other"] == os.listdir(models_folder)
    assert files_below(empty_cache) == []
    assert mine.is_dir()
    added.add_model(mine)  # the name is free again


@pytest.mark.parametrize("name", ["bvlc_googlenet", "tiny", "..", "../tiny", "", ".", "\0"])
def test_removing_what_was_not_added(name, mine, models_folder):
    added.add_model(mine, "other")
    with pytest.raises(ModelError, match=r"only added models can|added models: other"):
        added.remove_model(name)
    assert registry.added_names() == ["other"]
    assert mine.is_dir()


def test_removing_a_link_keeps_what_it_points_to(mine, models_folder):
    models_folder.mkdir(parents=True)
    (models_folder / "tiny").symlink_to(mine)
    assert dd.load("tiny").end == "conv"
    added.remove_model("tiny")
    assert registry.added_names() == []
    assert (mine / "tiny.caffemodel").is_file()


def test_a_damaged_one_can_be_removed(mine, models_folder):
    (added.add_model(mine).folder / "model.toml").unlink()
    with pytest.raises(ModelError):
        dd.load("tiny")
    added.remove_model("tiny")
    assert registry.added_names() == []


@pytest.mark.parametrize(
    "name, says",
    [
        ("bvlc_googlenet", "comes with deepdream"),
        ("taken", "already a model taken; remove it first (deepdream models remove taken)"),
        ("a/b", "cannot be a model's name"),
        ("..", "cannot be a model's name"),
        (".hidden", "cannot be a model's name"),
        ("-o", "cannot be a model's name"),
        ("", "cannot be a model's name"),
        ("two\nlines", "cannot be a model's name"),
        ("n" * 101, "1 to 100 letters"),
    ],
)
def test_names_that_cannot_be_had(name, says, mine, models_folder):
    added.add_model(mine, "taken")
    with pytest.raises(ModelError) as caught:
        added.add_model(mine, name)
    assert says in str(caught.value)
    assert "--name NAME" in str(caught.value)
    assert os.listdir(models_folder) == ["taken"]


def link_outside(folder, file):
    outside = folder.parent / "outside"
    (folder / file).replace(outside)
    (folder / file).symlink_to(outside)


def truncate(folder, file, size):
    with open(folder / file, "r+b") as opened:
        opened.truncate(size)


@pytest.mark.parametrize(
    "spoil, error, says",
    [
        (lambda folder: link_outside(folder, "model.toml"), ModelError, "leads outside the folder"),
        (lambda folder: link_outside(folder, "deploy.prototxt"), ModelError, "leads outside the folder"),
        (lambda folder: link_outside(folder, "tiny.caffemodel"), ModelError, "leads outside the folder"),
        (lambda folder: link_outside(folder, "words/names.txt"), ModelError, "leads outside the folder"),
        (lambda folder: change_toml(folder, "words/names.txt", "/etc/passwd"), ModelError, "outside the folder"),
        (lambda folder: change_toml(folder, "words/names.txt", "../../etc/passwd"), ModelError, "no such file"),
        (lambda folder: change_toml(folder, 'end = "conv"', ""), ModelError, "lacks 'end'"),
        (lambda folder: change_toml(folder, '"conv"', '"konv"'), LayerError, "did you mean conv"),
        (lambda folder: (folder / "model.toml").unlink(), ModelError, "model.toml does not exist"),
        (lambda folder: (folder / "deploy.prototxt").unlink(), ModelError, "deploy.prototxt does not exist"),
        (lambda folder: (folder / "tiny.caffemodel").unlink(), WeightsError, "names no source; put the weights into"),
        (lambda folder: truncate(folder, "model.toml", 2**20 + 1), ModelError, "the limit is 1,048,576"),
        (lambda folder: truncate(folder, "deploy.prototxt", 2**30), ModelError, "the limit is 67,108,864"),
        (lambda folder: truncate(folder, "words/names.txt", 2**31), ModelError, "the limit is 1,048,576"),
        (lambda folder: truncate(folder, "tiny.caffemodel", 2**33), ModelError, "the limit is 2,147,483,647"),
        (lambda folder: truncate(folder, "tiny.caffemodel", 100), WeightsError, "damaged or cut short"),
        (lambda folder: (folder / "deploy.prototxt").write_text("layer {"), ModelError, "not a prototxt"),
    ],
)
def test_folders_that_are_refused(spoil, error, says, mine, models_folder):
    """One line, and nothing is left behind, not even of the copies that were made by then."""
    spoil(mine)
    with pytest.raises(error) as caught:
        added.add_model(mine)
    assert says in str(caught.value)
    assert str(mine) in str(caught.value) or error is LayerError
    assert "\n" not in str(caught.value)
    assert str(models_folder) not in str(caught.value)
    assert not models_folder.exists() or os.listdir(models_folder) == []


def test_a_pipe_is_not_waited_for(mine, models_folder):
    (mine / "tiny.caffemodel").unlink()
    os.mkfifo(mine / "tiny.caffemodel")
    with pytest.raises(ModelError, match="a device, a pipe"):
        added.add_model(mine)


def test_something_else_than_a_folder(mine, tmp_path):
    for path in (tmp_path / "missing", mine / "model.toml"):
        with pytest.raises(ModelError, match="is not a folder"):
            added.add_model(path, "x")
    with pytest.raises(dd.ParameterError):
        added.add_model(3)


def test_weights_that_will_be_fetched(mine, served):
    """They need not be in the folder if the model says where they are."""
    address, content = served
    content["/tiny"] = (mine / "tiny.caffemodel").read_bytes()
    (mine / "tiny.caffemodel").unlink()
    change_toml(mine, "[weights]", f'[weights]\nurls = ["{address}/tiny"]\nchecksum_published = false')
    change_toml(mine, 'labels = "words/names.txt"\n', "")  # it is not a classifier
    added.add_model(mine)
    assert dd.load("tiny").end == "conv"


def test_what_a_killed_process_has_left(mine, models_folder):
    """A folder under a temporary name is nobody's model; after a day it goes."""
    for name, age in ((".deepdream-new", 0), (".deepdream-old", 25 * 3600)):
        (models_folder / name / "tiny").mkdir(parents=True)
        os.utime(models_folder / name, (time.time() - age,) * 2)
    assert registry.added_names() == []
    added.add_model(mine)
    assert sorted(os.listdir(models_folder)) == [".deepdream-new", "tiny"]


def test_a_full_disk(mine, models_folder, monkeypatch):
    monkeypatch.setattr(added.shutil, "disk_usage", lambda path: added.shutil._ntuple_diskusage(10, 5, 5))
    with pytest.raises(ModelError, match=r"has 5 free.*XDG_DATA_HOME"):
        added.add_model(mine)
    assert os.listdir(models_folder) == []


def test_a_folder_that_cannot_be_written(mine, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    assert registry.added_names() == []
    with pytest.raises(ModelError, match="cannot be written or read"):
        added.add_model(mine)


def test_a_data_folder_that_is_not_absolute(mine, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "share")
    with pytest.raises(DreamError, match="begin it with /"):
        added.add_model(mine)
    assert dd.find_model("bvlc_googlenet").name == "bvlc_googlenet"  # those that come with deepdream need it not


def test_without_xdg_data_home(mine, tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    model = added.add_model(mine)
    assert model.folder == tmp_path / "home" / ".local" / "share" / "deepdream" / "models" / "tiny"
