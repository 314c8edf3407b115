"""Galleries as files: what a gallery.toml holds, and what is wrong with one."""

import os
from dataclasses import replace

import numpy as np
import pytest
from helpers import SMALL_RECIPE

import deepdream as dd
from deepdream import DreamError, Recipe
from deepdream.data import cache
from deepdream.recipes import gallery_file
from deepdream.recipes.gallery_file import read_gallery
from deepdream.zoo import registry


def test_a_gallery_file(gallery_toml):
    read = read_gallery(gallery_toml)
    assert (read.title, read.about, len(read.entries)) == ("Two & more", "Small <ones>.", 3)
    first, _, third = read.entries
    assert (first.name, first.title, first.known, first.guess) == ("first", "The first", "All of it.", "Nothing.")
    assert first.recipe == Recipe(**SMALL_RECIPE, seed=gallery_file.SEED)
    assert third.recipe.end == {"fire2/concat": 1, "fire3/concat": 0.5}
    assert [entry.recipe.max_size for entry in gallery_file.limit_gallery_size(read, 50).entries] == [50, 50, 50]
    assert [entry.recipe.max_size for entry in gallery_file.limit_gallery_size(read, 500).entries] == [64, 500, 64]


def read_text(folder, text):
    """The gallery in a file with this text."""
    path = folder / "g.toml"
    path.write_text(text, encoding="utf-8")
    return read_gallery(path)


PICTURE = '[[picture]]\nname = "a"\n'


@pytest.mark.parametrize(
    "text, says",
    [
        ("title = ", "is not TOML"),
        ('title = "a"', r"no \[\[picture\]\] tables"),
        ("picture = 3", r"no \[\[picture\]\] tables"),
        ("[[picture]]", "picture 1 needs a name"),
        ('[[picture]]\nname = "../a"', "picture 1 needs a name"),
        ('[[picture]]\nname = ".a"', "picture 1 needs a name"),
        ('[[picture]]\nname = "a"\n[[picture]]\nname = "a"', "two pictures are called a"),
        ('[[picture]]\nname = "a"\ncolour = 1', "a has 'colour'"),
        ('[[picture]]\nname = "a"\niter_n = "x"', "a: iter_n='x'"),
        (
            PICTURE + 'kind = "film"',
            "a: a recipe of the kind 'film' cannot be made again; this deepdream knows channel",
        ),
        (
            PICTURE + 'kind = "zoom"',
            "a: a recipe of the kind 'zoom' needs 'frame' in its more, as in more = {frame = 9",
        ),
        (PICTURE + 'kind = "stopped dream"\nmore = {octave = 1}', "needs 'iteration' in its more"),
        (PICTURE + 'kind = "channel"', r"objective={'objective': 'L2'}, end=None: .* one channel at one layer: end ="),
        (PICTURE + 'kind = "label"\nobjective = "L2"', "a recipe of the kind 'label' needs one such as {objective ="),
        (PICTURE + "more = {blurr = 1}", "a: more has 'blurr'; for the kind 'dream' there are background, guide_max_"),
        (PICTURE + 'guide = ""', "a: guide='': a name must not be empty"),
        (PICTURE + 'mask = " "', "a: mask=' ': a name must not be empty"),
        (PICTURE + "mask = []", r"a: mask=\[\]: it must be a text"),
        (PICTURE + "clip = 1", "a: clip=1: it must be true or false"),
        (PICTURE + "mask_feather = 3", "a: mask_feather=3, mask_invert=False: both change a mask; name one"),
        (PICTURE + "mask_invert = true", "a: mask_feather=0, mask_invert=True: both change a mask"),
        (
            PICTURE + 'objective = "l2"',
            "a: objective={'objective': 'l2'}: .* there are L2, channels, label, guided, lay",
        ),
        (PICTURE + 'objective = {objective = "channels", channel = 3}', "has 'channel'; .*, indices = "),
        (PICTURE + 'objective = {objective = "channels"}', r"is incomplete; it must be as in .*, indices = \[7\]}"),
        (PICTURE + 'objective = {objective = "sum", terms = []}', "it must be as in {objective = 'sum', terms"),
        (PICTURE + 'objective = {objective = "sum", terms = [{objective = "L2", weight = 0}]}', "its weight must be a"),
        (PICTURE + 'objective = {objective = "guided"}', "a: the objective is guided by an image; pass it as guide"),
        (
            PICTURE + 'objective = {objective = "guided", guide = 1}\nguide = "cat"',
            "but there is 1 guide, numbered from 0",
        ),
        (
            PICTURE + "schedule = {keyframes = [{frame = 0, scale = 0.1}]}",
            "keyframes have frames, .* 'dream' needs octav",
        ),
        (
            PICTURE + "schedule = {keyframes = [{octave = 4, step_size = 1}]}",
            "has octave 4, and the last one of 4 octaves is",
        ),
        ('[[picture]]\nname = "a"\nlike = "b"\n[[picture]]\nname = "b"', "a is like 'b', but no picture above"),
        ('[[picture]]\nname = "a"\nlike = ["a"]', r"a is like \['a'\], but no picture above"),
        ("a=" + "[" * 100_000, "tables and lists are nested too deeply"),
        ('[[picture]]\nname = "a"\nmore' + ".a" * 2000 + "=1", "tables and lists are nested too deeply|levels deep"),
        ("x=1" + "0" * 5000, "cannot be used: .*digits"),
        ('[[picture]]\nname = "a"\nseed = 0x' + "f" * 5000, "a: seed|cannot be used: .*digits"),
        ('[[picture]]\nname = "a"\nmore = {day = 2015-06-17}', "a has a value that a recipe cannot hold, .*date"),
        (PICTURE + "iter_n = 0", "a: iter_n=0: the number of iterations must be a whole number, 1 or more"),
        (PICTURE + "octave_n = 101", "a: octave_n=101: the number of octaves must be .* from 1 to 100"),
        (PICTURE + "octave_scale = inf", "a: octave_scale=inf: the octave scale must be a finite number, 1 or more"),
        (PICTURE + "step_size = 1e7", "a: step_size=10000000.0: the step size must be"),
        (PICTURE + "jitter = -1", "a: jitter=-1: the jitter in pixels must be"),
        (PICTURE + "seed = -1", "a: seed=-1: the seed must be"),
        (PICTURE + "tile = 3", "a: tile=3: a tile must be"),
        (PICTURE + "end = {a = 1e39}", "a: the weight of 'a' is 1e\\+39; it must be"),
        (
            PICTURE + 'kind = "label"\nobjective = {objective = "label", label = "ant"}\nstep_size = -1',
            "a: step_size=-1: ",
        ),
        (
            PICTURE + 'kind = "channel"\nend = "a"\nobjective = {objective = "channels", indices = 1}\niter_n = 0',
            "a: iter_n",
        ),
        (
            PICTURE + f"objective = {{objective = 'channels', indices = {list(range(20_000))}}}",
            "a: the recipe has .* characters, and an image file holds at most 60,000: use fewer",
        ),
        (f'[[picture]]\nname = "{"ä" * 126}"', "picture 1 has 252 bytes, .* limit is 251 before the .png; shorten"),
    ],
)
def test_a_gallery_file_that_is_not_right(tmp_path, text, says):
    with pytest.raises(DreamError, match=says):
        read_text(tmp_path, text)


def test_a_picture_like_another(tmp_path):
    gallery = read_text(
        tmp_path,
        '[[picture]]\nname = "a"\nalt = "an a"\nguess = "all"\niter_n = 3\njitter = 2\n'
        '[[picture]]\nname = "b"\nlike = "a"\njitter = 4\nalt = "a b"\n',
    )
    first, second = gallery.entries
    assert second == replace(first, name="b", alt="a b", recipe=replace(first.recipe, jitter=4))


def test_the_picture_of_a_label_has_the_defaults_of_labels(tmp_path, squeezenet):
    gallery = read_text(
        tmp_path,
        '[[picture]]\nname = "a"\nkind = "label"\nmodel = "squeezenet_v1.1"\nseed = 3\n'
        'input = "noise:64x64"\niter_n = 2\nobjective = {objective = "label", label = "starfish"}\n',
    )
    recipe = gallery.entries[0].recipe
    expected = dd.label_picture(squeezenet, "starfish", size=64, seed=3, iter_n=2)
    np.testing.assert_array_equal(recipe.render(net=squeezenet), expected)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_a_gallery_file_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "g.toml")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    for path in (tmp_path / "g.toml", "/dev/zero"):
        with pytest.raises(DreamError, match="is not a file but a device, a pipe"):
            read_gallery(path)
    with pytest.raises(DreamError, match="its symbolic links go round in a loop"):
        read_gallery(tmp_path / "loop.toml")


def test_a_gallery_file_that_is_not_there(tmp_path):
    with pytest.raises(DreamError, match="No such file"):
        read_gallery(tmp_path / "g.toml")


def test_a_gallery_that_comes_along_is_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        read_gallery("original")
        == read_gallery("gallery/original.toml")
        == read_gallery(cache.package_data_folder("gallery") / "original.toml")
    )


@pytest.mark.parametrize(
    "path", sorted(cache.package_data_folder("gallery").glob("*.toml")), ids=lambda path: path.name
)
def test_the_galleries_that_come_along(path):
    for entry in read_gallery(path).entries:
        assert entry.title
        assert entry.alt
        assert entry.known or entry.guess
        assert entry.source
        assert entry.recipe.model in registry.model_names()


def test_a_zoom_s_picture_needs_only_its_frame(tmp_path):
    gallery = read_text(
        tmp_path,
        PICTURE + 'kind = "zoom"\nmore = {frame = 2}\nschedule = {keyframes = [{frame = 0, guide = "cat"}]}',
    )
    recipe = gallery.entries[0].recipe
    assert recipe.more == {"frame": 2, "scale": 0.05, "rotate": 0.0} and recipe.guide == "cat"
