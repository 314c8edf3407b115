"""The images of a gallery, made once."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import SMALL_RECIPE, camera_photo, small_gallery, write_black_png, write_png_header
from PIL import Image

import deepdream as dd
from deepdream import Recipe, memory
from deepdream.io.arrays import to_uint8
from deepdream.io.decoding import DecodedImage
from deepdream.io.image import open_image
from deepdream.recipes import gallery
from deepdream.recipes.gallery import is_made, make_gallery
from deepdream.recipes.gallery_file import Entry, Gallery, read_gallery


def test_a_picture_that_cannot_be_written_does_not_stop_the_others(tmp_path, squeezenet):
    (tmp_path / "n00.png").mkdir()
    first, second = make_gallery(small_gallery(2), tmp_path)
    assert "n00.png cannot be written: Is a directory" in first.error
    assert (second.made, second.error) == (True, None)
    assert (tmp_path / "n01.png").is_file()
    assert "n00.png cannot be written" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_the_pictures_are_those_of_their_recipes(gallery_toml, tmp_path, squeezenet):
    outcomes = {outcome.entry.name: outcome for outcome in make_gallery(read_gallery(gallery_toml), tmp_path)}
    assert {name: outcome.made for name, outcome in outcomes.items()} == {"first": True, "second": False, "third": True}
    for name in ("first", "third"):
        expected = np.rint(outcomes[name].entry.recipe.render(net=squeezenet))
        np.testing.assert_array_equal(dd.read_image(tmp_path / f"{name}.png"), expected)


def test_what_is_there_already(tmp_path, monkeypatch, sky, squeezenet):
    monkeypatch.chdir(tmp_path)
    dd.write_image("sky.png", sky)
    recipe = Recipe(**{**SMALL_RECIPE, "input": "sky.png", "seed": 1})
    path = tmp_path / "a.png"
    assert not is_made(recipe, path)
    list(make_gallery(Gallery("", "", (Entry("a", recipe),)), tmp_path))
    assert is_made(recipe, path)
    assert is_made(replace(recipe, tile="auto"), path)
    for change in (
        {"seed": 2},
        {"iter_n": 2},
        {"end": "fire4/concat"},
        {"end": None},
        {"max_size": 63},
        {"objective": {"objective": "channels", "indices": [1]}},
        {"strength": 0.5},
        {"input": "cat"},
    ):
        assert not is_made(replace(recipe, **change), path), change
    dd.write_image("sky.png", 255 - sky)
    assert not is_made(recipe, path)  # the input is another one now
    (tmp_path / "sky.png").unlink()
    assert is_made(recipe, path)  # it cannot be asked, and nothing else has changed
    path.write_bytes(path.read_bytes()[:20])
    assert not is_made(recipe, path)


@pytest.mark.usefixtures("squeezenet_file")
def test_the_model_s_own_layer_is_the_same_as_naming_it(tmp_path):
    recipe = Recipe(**{**SMALL_RECIPE, "end": None, "seed": 1})
    list(make_gallery(Gallery("", "", (Entry("a", recipe),)), tmp_path))
    assert is_made(recipe, tmp_path / "a.png")
    assert is_made(replace(recipe, end="fire8/concat"), tmp_path / "a.png")


def test_an_image_too_large_for_the_memory_does_not_stop_the_others(tmp_path, monkeypatch, squeezenet):
    large = write_png_header(tmp_path / "large.png", 30_000, 5_000)
    monkeypatch.setattr(memory, "free_bytes", lambda: 500 * 2**20)
    for change, needed in (({"input": str(large)}, "0.6"), ({"guide": str(large)}, "2.2")):  # a guide is not scaled
        first, second = small_gallery(2).entries
        gallery = Gallery("", "", (replace(first, recipe=replace(first.recipe, **change)), second))
        (tmp_path / "n01.png").unlink(missing_ok=True)
        first_outcome, second_outcome = make_gallery(gallery, tmp_path)
        assert f"30000×5000 pixels and needs about {needed} GiB of memory, and 0.5 GiB are free" in first_outcome.error
        assert (second_outcome.made, second_outcome.error) == (True, None)


def test_a_small_version_is_made_of_a_compact_image(tmp_path, monkeypatch, squeezenet):
    """Neither the input nor what is already there is ever an array in full size."""
    write_black_png(tmp_path / "large.png", 600)
    entry = replace(small_gallery(1).entries[0], recipe=replace(small_gallery(1).entries[0].recipe, input="large.png"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(DecodedImage, "full", lambda self: pytest.fail("an array in full size"))
    for made in (True, False):
        [outcome] = make_gallery(Gallery("", "", (entry,)), tmp_path)
        assert (outcome.made, outcome.error) == (made, None)


def test_what_cannot_be_written_is_not_dreamt_first(tmp_path, monkeypatch):
    """A folder, a link into nowhere, a loop, a name that no file can have."""
    made = []
    monkeypatch.setattr(gallery, "make_with_cached_net", lambda recipe, **_: made.append(recipe.seed))
    images = small_gallery(4)
    images = replace(images, entries=(*images.entries, replace(images.entries[0], name="a" * 252)))
    (tmp_path / "n00.png").mkdir()
    (tmp_path / "n01.png").symlink_to("missing/n01.png")
    (tmp_path / "n02.png").symlink_to("n02.png")
    outcomes = {outcome.entry.name: outcome.error or "" for outcome in make_gallery(images, tmp_path)}
    assert made == [3]
    for name, says in (("n00", "Is a directory"), ("n01", "missing, which does not exist"), ("n02", "symbolic links")):
        assert says in outcomes[name]
    assert outcomes["a" * 252].endswith("cannot be written: File name too long")


def test_what_does_not_exist_is_told_before_the_first_dream(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(gallery, "make_with_cached_net", lambda recipe, **_: made.append(recipe.seed))
    lacks = {
        "the mask no.png": {"mask": "no.png"},
        "the guide no.png": {"guide": ["cat", "no.png"], "objective": "guided"},
        "the image no.png": {"input": "no.png"},
        "there is no model 'no'": {"model": "no"},
        "the network has no layer 'fire2/concat_' to dream; did you mean fire2/concat": {"end": "fire2/concat_"},
        "the network has no layer 'no'": {"end": {"fire2/concat": 1, "no": 0.5}},
        "the network does not know 'stairfish'": {
            "objective": {
                "objective": "sum",
                "terms": [{"objective": "L2"}, {"objective": "label", "label": "stairfish"}],
            },
        },
    }
    images = small_gallery(1 + len(lacks))
    changes = [{}, *lacks.values()]
    entries = [replace(each, recipe=replace(each.recipe, **more)) for each, more in zip(images.entries, changes)]
    found = []
    for outcome in make_gallery(replace(images, entries=tuple(entries)), tmp_path):
        if outcome.entry is not entries[0]:
            assert not made
            found.append(outcome.error)
    assert made == [0] and len(found) == len(lacks)
    assert all(error.startswith(says) for error, says in zip(found, lacks)), found


def test_masks_edges_schedules_and_channels(tmp_path, monkeypatch, squeezenet):
    monkeypatch.chdir(tmp_path)
    dd.write_image("mask.png", np.repeat([[[0.0] * 3] * 40 + [[255.0] * 3] * 40], 60, axis=0))
    (tmp_path / "new.toml").write_text(
        """
        [[picture]]
        name = "masked"
        input = "noise:80x60"
        model = "squeezenet_v1.1"
        mask = "mask.png"
        wrap = "xy"
        iter_n = 2
        octave_n = 2
        schedule = { interpolation = "linear", keyframes = [
            { octave = 0, end = "fire6/concat" }, { octave = 1, end = "fire3/concat", step_size = 4 } ] }
        [[picture]]
        name = "guides"
        like = "masked"
        guide = ["cat", "coffee"]
        schedule = { interpolation = "linear", keyframes = [
            { octave = 0, end = "fire4/concat", guide = "cat" }, { octave = 1, guide = "coffee" } ] }
        [[picture]]
        name = "channel"
        model = "squeezenet_v1.1"
        kind = "channel"
        end = "fire6/concat"
        objective = { objective = "channels", indices = [7] }
        """
    )
    new = read_gallery("new.toml")
    outcomes = list(make_gallery(new, tmp_path))
    assert [(outcome.made, outcome.error) for outcome in outcomes] == [(True, None)] * 3
    noise = dd.picture("noise:80x60")
    for name in ("masked", "guides"):
        assert np.array_equal(dd.read_image(f"{name}.png")[:, :40], to_uint8(noise)[:, :40])
    channel = dd.channel_picture(squeezenet, 7, "fire6/concat", seed=2015)
    assert np.array_equal(dd.read_image("channel.png"), to_uint8(channel))
    assert [outcome.made for outcome in make_gallery(new, tmp_path)] == [False] * 3


def test_the_metadata_and_the_alpha_of_the_inputs_are_kept(tmp_path, monkeypatch, squeezenet, caplog):
    caplog.set_level("INFO", "deepdream")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(camera_photo())
    Image.new("RGBA", (64, 48), (90, 120, 30, 51)).save("clear.png", dpi=(240, 240))
    (tmp_path / "new.toml").write_text(
        "".join(
            f'[[picture]]\nname = "{name}"\ninput = "{file}"\nmodel = "squeezenet_v1.1"\nend = "fire3/concat"\n'
            f"iter_n = 1\noctave_n = 1\nmax_size = 40\n{more}\n"
            for name, file, more in (
                ("one", "photo.jpg", ""),
                ("two", "photo.jpg", "seed = 2"),
                ("clear", "clear.png", ""),
                ("grey", "clear.png", 'more = { background = "grey" }'),
            )
        )
    )
    assert [outcome.error for outcome in make_gallery(read_gallery("new.toml"), tmp_path)] == [None] * 4
    for name in ("one", "two"):
        metadata = open_image(f"{name}.png").metadata
        assert (metadata.tags[0x010F], metadata.tags[0x8298]) == ("Canon", "(c) Jane")
        assert metadata.exif[0x9003] == "2024:05:06 07:08:09" and not metadata.gps and metadata.dpi == (240, 240)
        assert b"Rating" in metadata.xmp and b"Stuttgart" not in metadata.xmp
    assert open_image("clear.png").alpha(40) == pytest.approx(0.2, abs=0.003)
    assert open_image("grey.png").alpha() is None
    said = [record.message for record in caplog.records if "left out" in record.message]
    assert said == ["photo.jpg: left out the maker notes, the place"]
