"""A dream as data: written into every kind of picture file, read back, and made again to the bit."""

import json
import logging
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from conftest import without_device
from PIL import Image

import deepdream as dd
from deepdream import ImageError, ParameterError, Recipe, cli, pictures
from deepdream.image import to_bytes
from deepdream.recipe import expanded, short_name

SMALL = {"model": "squeezenet_v1.1", "input": "cat", "max_size": 72, "iter_n": 1, "octave_n": 2, "seed": 1}


@pytest.fixture
def run(capfd):
    """Run the command: (exit code, standard output, standard error)."""
    def run(*arguments):
        with pytest.raises(SystemExit) as done:
            cli.main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return done.value.code, out, without_device(err)
    return run


def written(path, recipe, seed=3):
    dd.write_image(path, np.float32(np.random.RandomState(seed).uniform(0, 255, (20, 30, 3))), recipe=recipe)
    return path


# Data

def test_the_defaults_are_those_of_deepdream():
    recipe = Recipe()
    assert (recipe.iter_n, recipe.octave_n, recipe.octave_scale, recipe.step_size) == (10, 4, 1.4, 1.5)
    assert recipe.objective == {"objective": "L2"}
    assert Recipe(guide="flowers.jpg").objective == {"objective": "guided"}
    assert Recipe().seed != Recipe().seed  # drawn here, so that it is known afterwards


def test_json_holds_everything():
    recipe = Recipe(input="ä\udcff", end={"a": 1, "b": np.float32(0.5)}, seed=np.int64(7), tile=128, step_size=0.1,
                    input_sha256="0" * 64, versions={"numpy": "1"})
    text = recipe.to_json()
    assert text.isascii()
    assert Recipe.from_json(text) == recipe
    assert json.loads(text)["end"] == {"a": 1, "b": 0.5}


@pytest.mark.parametrize("values, says", [
    ({"iter_n": "10"}, "iter_n='10'"), ({"clip": 1}, "clip=1"), ({"jitter": True}, "jitter=True"),
    ({"input": None}, "input=None"), ({"end": ["a"]}, "end="), ({"versions": 3}, "versions=3"),
    ({"input_sha256": "00"}, "64 hexadecimal"), ({"strength": 2.0}, "strength=2.0"), ({"max_size": 0}, "max_size=0"),
    ({"strength": float("nan")}, "strength=nan"),
])
def test_what_is_no_recipe_is_refused(values, says):
    with pytest.raises(ParameterError, match=says):
        Recipe(**values)


@pytest.mark.parametrize("text, says", [
    ("", "not a recipe"), ("{", "not a recipe"), ("[1]", "not a recipe"), ("{}", "not a recipe"),
    ("[" * 100_000, "not a recipe"),
    ('{"recipe": 2}', "format 2 and this deepdream reads format 1"), ('{"recipe": null}', "format None"),
    ('{"recipe": 1, "colour": 3}', "'colour'"), ('{"recipe": 1, "seed": "x"}', "seed='x'"),
])
def test_what_is_no_recipe_is_not_read(text, says):
    with pytest.raises(ParameterError, match=says):
        Recipe.from_json(text)


# In picture files

@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_a_picture_file_holds_its_recipe(tmp_path, suffix):
    recipe = Recipe(**{**SMALL, "input": "Größe 大.jpg"}, strength=0.3)
    path = written(tmp_path / f"dream.{suffix}", recipe)
    assert Recipe.from_image(path) == recipe
    without = written(tmp_path / f"without.{suffix}", None)
    np.testing.assert_array_equal(dd.read_image(path), dd.read_image(without))
    with pytest.raises(ImageError, match="holds no recipe"):
        Recipe.from_image(without)


def test_pillow_finds_it_where_other_programs_look(tmp_path):
    """A PNG's text, EXIF's user comment, TIFF's image description: read here without our own code."""
    text = Recipe(**SMALL).to_json()
    for suffix in ("png", "jpg", "webp", "tif"):
        with Image.open(written(tmp_path / f"a.{suffix}", Recipe.from_json(text))) as picture:
            exif = picture.getexif()
            found = {"png": lambda info=picture.info: info["deepdream"],
                     "tif": lambda exif=exif: exif[270]}.get(
                         suffix, lambda exif=exif: exif.get_ifd(0x8769)[0x9286].removeprefix(b"ASCII\0\0\0").decode())()
        assert found == text, suffix


def test_a_recipe_too_long_for_a_picture_is_refused(tmp_path):
    recipe = Recipe(objective={"objective": "channels", "indices": list(range(20_000))})
    with pytest.raises(ImageError, match="holds at most"):
        written(tmp_path / "a.png", recipe)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "a caption", '{"recipe": ', '{"recipe": 1, "tile": []}', '{"recipe": 99}'])
def test_a_tampered_recipe_is_one_clear_error(tmp_path, text, run):
    class Tampered:
        def to_json(self):
            return text

    path = written(tmp_path / "a.jpg", Tampered())
    with pytest.raises(ImageError, match=str(path)) as refused:
        Recipe.from_image(path)
    assert "\n" not in str(refused.value)
    code, out, err = run("replay", path, "-o", tmp_path / "b.png")
    assert (code, out, len(err.splitlines())) == (2, "", 1)


def test_damaged_files_are_image_errors(tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        Recipe.from_image(tmp_path / "none.png")
    whole = written(tmp_path / "whole.jpg", Recipe(**SMALL)).read_bytes()
    damaged = tmp_path / "damaged.jpg"
    for at in range(0, 700, 23):  # through the header, EXIF and the recipe
        damaged.write_bytes(whole[:at] + b"\xff\x00\x80" + whole[at + 3:])
        try:
            assert isinstance(Recipe.from_image(damaged), Recipe)
        except ImageError as error:
            assert str(damaged) in str(error)
    damaged.write_bytes(b"not a picture")
    with pytest.raises(ImageError, match="not a picture"):
        Recipe.from_image(damaged)


# Finding what it was made from

def test_pictures_are_found_by_their_pixels(tmp_path, monkeypatch, sky):
    folders = [tmp_path / name for name in ("work", "beside", "data/images")]
    for folder in folders:
        folder.mkdir(parents=True)
    monkeypatch.setenv("DEEPDREAM_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(folders[0])
    dd.write_image("a.png", sky)
    sha256 = pictures.picture_sha256(dd.read_image("a.png"))
    for folder in folders[1:]:  # the same pixels in another kind of file are the same picture
        (folders[0] / "a.png").rename(tmp_path / "moved.png")
        dd.write_image("a.png", 255 - sky)
        (tmp_path / "moved.png").rename(folder / "a.png")
        found = pictures.find_picture("a.png", sha256, beside=folders[1])
        assert pictures.picture_sha256(found) == sha256
        (folder / "a.png").rename(folders[0] / "a.png")
    dd.write_image("a.png", 255 - sky)
    with pytest.raises(ImageError, match=r"a\.png has other pixels.*no such file.*give one as image"):
        pictures.find_picture("a.png", sha256, beside=folders[1])
    assert pictures.picture_sha256(sky) != pictures.picture_sha256(np.swapaxes(sky, 0, 1))


def test_a_recipe_does_not_tell_who_made_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "alice"))
    name = short_name(str(tmp_path / "alice" / "a.png"))
    assert name == "~/a.png"
    assert expanded(name) == str(tmp_path / "alice" / "a.png")
    assert short_name("b/a.png") == "b/a.png"


# Making it again

def test_complete_records_what_decides_the_pixels(squeezenet, squeezenet_file):
    recipe = Recipe(**SMALL)
    cat = dd.picture("cat")
    done = recipe.complete(squeezenet, cat)
    assert done.end == "fire8/concat"
    assert done.input_sha256 == pictures.picture_sha256(cat)
    assert done.weights_sha256.startswith("dd48cbdc")
    assert done.versions["kind of layers"] == ("fast" if squeezenet.fast else "upstream")
    assert done.versions["device"] == "CPU"
    assert done.versions["deepdream"] == dd.__version__
    assert not done.differences(done)
    changed = {"input_sha256", "weights_sha256", "end", "versions"}
    assert {key for key, value in asdict(done).items() if value != asdict(recipe)[key]} == changed


def test_render_is_the_dream_that_deepdream_makes(squeezenet):
    recipe = Recipe(**SMALL, end="fire6/concat", step_size=2.0, jitter=5, strength=0.25)
    cat = recipe.fit(dd.picture("cat"))
    assert max(cat.shape) == 72
    dream = dd.deepdream(squeezenet, cat, iter_n=1, octave_n=2, end="fire6/concat", step_size=2.0, jitter=5, seed=1)
    np.testing.assert_array_equal(recipe.render(net=squeezenet), cat + np.float32(0.25) * (dream - cat))


def test_what_differs_is_said(squeezenet, caplog):
    recipe = replace(Recipe(**SMALL), weights_sha256="0" * 64, input_sha256="1" * 64, versions={"numpy": "0.1"})
    caplog.set_level(logging.WARNING, "deepdream")
    recipe.render(image="coffee", net=squeezenet)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert said[0].startswith("another input: sha256 ")
    assert said[0].endswith("… here, 11111111… in the recipe")
    assert said[1] == "other weights: sha256 dd48cbdc… here, 00000000… in the recipe"
    assert said[2] == f"another numpy: {np.__version__} here, 0.1 in the recipe"


def test_other_kinds_are_refused(squeezenet):
    with pytest.raises(ParameterError, match=r"kind 'film'.* knows dream, "):
        Recipe(**SMALL, kind="film").render(net=squeezenet)
    with pytest.raises(ParameterError, match="'zoom' needs 'frame' in its more"):
        Recipe(**SMALL, kind="zoom").render(net=squeezenet)


# The command

def test_dream_writes_a_recipe_and_replay_makes_it_again(tmp_path, monkeypatch, run, sky):
    monkeypatch.chdir(tmp_path)
    dd.write_image("Wölkchen.png", sky)
    code, _, err = run("dream", "Wölkchen.png", "--model", "squeezenet_v1.1", "--iters", 1, "--octaves", 2,
                       "--max-size", 80, "--tile", 64, "--end", "fire4/concat")
    assert code == 0, err
    recipe = Recipe.from_image("dream.png")
    assert (recipe.input, recipe.tile, recipe.max_size, recipe.end) == ("Wölkchen.png", 64, 80, "fire4/concat")
    code, out, err = run("replay", "dream.png", "-o", "again.png")
    assert (code, err) == (0, "every pixel is the same as in dream.png\n")
    assert out == f"{tmp_path / 'again.png'}\n"
    np.testing.assert_array_equal(dd.read_image("again.png"), dd.read_image("dream.png"))
    assert Recipe.from_image("again.png") == recipe
    np.testing.assert_array_equal(to_bytes(recipe.render()), dd.read_image("dream.png"))

    dd.write_image("Wölkchen.png", 255 - sky)
    code, _, err = run("replay", "dream.png", "-o", "again.png")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "has other pixels" in err
    code, _, err = run("replay", "dream.png", "-o", "again.png", "--input", "Wölkchen.png")
    assert code == 0
    assert "another input: sha256" in err
    assert " pixels differ from dream.png\n" in err


def test_replay_over_itself(tmp_path, run):
    path = tmp_path / "a.png"
    run("dream", "cat", "--model", "squeezenet_v1.1", "--iters", 1, "--octaves", 1, "--max-size", 60, "-o", path)
    before = path.read_bytes()
    code, _, err = run("replay", path, "-o", path)
    assert (code, err) == (0, f"every pixel is the same as in {path}\n")
    assert path.read_bytes() == before


def test_a_frame_of_a_zoom_is_made_again(tmp_path, run):
    code, _, err = run("zoom", "cat", "-o", tmp_path / "z", "--frames", 3, "--scale", 0.1, "--rotate", 3, "--seed", 5,
                       "--model", "squeezenet_v1.1", "--iters", 1, "--octaves", 1, "--max-size", 60, "--strength", 0.5)
    assert code == 0, err
    last = sorted((tmp_path / "z").glob("*.png"))[-1]
    assert Recipe.from_image(last).more["frame"] == 2
    code, _, err = run("replay", last, "-o", tmp_path / "again.png")
    assert (code, err) == (0, f"every pixel is the same as in {last}\n")


TEN = {
    "plain": {},
    "guided": {"guide": "coffee", "end": "fire4/concat"},
    "channels": {"objective": {"objective": "channels", "indices": list(range(0, 384, 9))}, "end": "fire6/concat"},
    "label": {"objective": {"objective": "label", "label": "tabby"}},
    "several layers": {"end": {"fire3/concat": 1.0, "fire6/concat": 0.5}},
    "an objective for each": {"objective": {"objective": "layers", "layers": {
        "fire3/concat": {"objective": "L2"}, "fire5/concat": {"objective": "channels", "indices": [0]}}}},
    "tiles": {"tile": 64, "max_size": 120, "end": "fire4/concat"},
    "guided in tiles": {"tile": 64, "max_size": 100, "guide": "coffee", "end": "fire4/concat"},
    "not clipped, blended": {"clip": False, "strength": 0.4, "jitter": 3, "step_size": 4.0},
    "noise": {"input": "noise:50x70", "max_size": None, "octave_scale": 1.2},
}


@pytest.mark.parametrize("changes", TEN.values(), ids=TEN)
def test_ten_recipes_replayed_give_identical_pixels(tmp_path, run, changes):
    recipe = Recipe(**{**SMALL, "end": "fire6/concat" if "objective" not in changes else None, "iter_n": 2, **changes})
    img, done = recipe.make()
    dd.write_image(tmp_path / "a.png", img, recipe=done)
    code, _, err = run("replay", tmp_path / "a.png", "-o", tmp_path / "b.png")
    assert (code, err) == (0, f"every pixel is the same as in {tmp_path / 'a.png'}\n")
    assert Recipe.from_image(tmp_path / "b.png") == done
    assert np.abs(img - recipe.fit(recipe.pictures()[0])).mean() > 0.3


def test_googlenet_replayed(tmp_path, run, googlenet):
    done = Recipe(**{**SMALL, "model": "bvlc_googlenet", "guide": "coffee", "end": "inception_3b/output"})
    img, done = done.make(net=googlenet)
    dd.write_image(tmp_path / "a.png", img, recipe=done)
    code, _, err = run("replay", tmp_path / "a.png", "-o", tmp_path / "b.png")
    assert code == 0
    assert err.endswith(f"every pixel is the same as in {tmp_path / 'a.png'}\n")


def test_the_picture_of_a_label_is_made_again(tmp_path, run):
    path = tmp_path / "a.png"
    code, _, err = run("label", "starfish", "-o", path, "--size", 64, "--iters", 3, "--octaves", 2, "--model",
                       "squeezenet_v1.1")
    assert code == 0, err
    recipe = Recipe.from_image(path)
    assert (recipe.kind, recipe.input, recipe.objective["label"]) == ("label", "noise:64x64", "starfish, sea star")
    code, _, err = run("replay", path, "-o", tmp_path / "again.png")
    assert (code, err) == (0, f"every pixel is the same as in {path}\n")


def test_a_recipe_of_endless_octaves_is_refused_at_once(tmp_path, run):
    """A picture of somebody else's may ask for anything."""
    recipe = Recipe(**{**SMALL, "octave_n": 2**31})
    code, _, said = run("replay", written(tmp_path / "made.png", recipe), "-o", tmp_path / "again.png")
    assert (code, said.count("\n")) == (2, 1), said
    assert "octave_n=2147483648: the number of octaves must be a whole number, from 1 to 100" in said


@pytest.mark.parametrize("text, said_of_it", [("Unable to allocate 8 GiB", " (Unable to allocate 8 GiB)"), ("", "")])
def test_memory_that_runs_out_is_said_in_a_line(tmp_path, run, monkeypatch, text, said_of_it):
    def no_memory(*_, **__):
        raise MemoryError(text)

    monkeypatch.setattr(sys.modules["deepdream.cli.replay"], "to_bytes", no_memory)
    made = written(tmp_path / "made.png", Recipe(**SMALL))
    code, _, said = run("replay", made, "-o", tmp_path / "again.png")
    assert code == 2
    assert said.splitlines()[-1].startswith(f"deepdream: the memory does not suffice{said_of_it}; close other programs")
    assert not (tmp_path / "again.png").exists()


HUGE = 10**399  # more than a float holds, and fewer digits than Python refuses to read
STRANGE = {"model": "squeezenet_v1.1", "input": "noise:40x40", "end": "fire2/concat", "iter_n": 1, "octave_n": 1,
           "seed": 1, "tile": None}
GUIDED = {"guide": "noise:20x20", "objective": {"objective": "guided"}}
LABEL = {"kind": "label", "end": "pool10", "objective": {"objective": "label", "label": 1}}
NO_RECIPES = [  # what a recipe in somebody else's picture may hold, and what is said of it
    *(({"kind": "zoom", "more": {"frame": frame, "scale": 0.1, "rotate": 0}}, f"frame={frame!r}: the frame's number")
      for frame in ("a", [1], -1, True, 0.5, None)),
    ({"kind": "zoom", "more": {"frame": 0, "scale": HUGE, "rotate": 0}}, "scale=1000"),
    ({"kind": "zoom", "more": {"frame": 0, "scale": 0.1, "rotate": HUGE}}, "rotate=1000"),
    *(({"kind": "stopped dream", "more": {"octave": o, "iteration": i}}, says) for o, i, says in (
        (-1, -1, "octave=-1: the octave that the dream was stopped in must be a whole number, from 0 to 0"),
        ("a", [], "octave='a'"), (10**30, 1, "octave=1000"), (0.5, 1, "octave=0.5"), (0, HUGE, "iteration=1000"),
        (0, -5, "iteration=-5"), (None, 0, "octave=None"), (0, "1", "iteration='1'"), (0, 1.5, "iteration=1.5"),
        (0, float("nan"), "iteration=nan"), (10**9, 10**9, "octave=1000000000"), (True, 0, "octave=True"),
        (0, 1, "iteration=1: the iteration that the dream was stopped in must be a whole number, from 0 to 0"))),
    *(({**LABEL, "more": {"blur": blur, "decay": 0.1}}, says) for blur, says in (
        (0.5, "blur=0.5: it must be two numbers"), ("ab", "blur='ab': it must be two numbers"), (None, "blur=None"),
        ([1], r"blur=[1]"), ([1, 1e9], "blur=1000000000.0: the blur in pixels must be a finite number, from 0 to 4096"),
        ([float("nan"), 1], "blur=nan"), ([HUGE, 1], "blur=1000"))),
    *(({**GUIDED, "more": {"guide_max_size": size}}, f"guide_max_size={size!r}: the longer side of the guide")
      for size in ("x", [1], float("nan"), -1, 0, True)),
    ({"octave_scale": HUGE}, "octave_scale=1000"), ({"step_size": HUGE}, "step_size=1000"),
    ({"strength": HUGE}, "strength=1000"), ({"end": {"fire2/concat": HUGE}}, "the weight of 'fire2/concat' is 1000"),
    ({"end": {"fire2/concat": 1e308, "fire3/concat": -1e308}}, "the weight of 'fire2/concat' is 1e+308"),
    ({"input": "noise:" + "9" * 5000 + "x1"}, "noise is asked for as noise:WIDTHxHEIGHT"),
    ({**LABEL, "objective": {"objective": "label", "label": "9" * 5000}, "more": {"blur": [1, 1]}}, "is no label"),
]


@pytest.mark.parametrize(("values", "says"), NO_RECIPES, ids=[f"{i}" for i in range(len(NO_RECIPES))])
def test_what_a_recipe_cannot_hold_is_refused_in_a_line(squeezenet, values, says):
    text = json.dumps({"recipe": 1, **STRANGE, **values})
    with pytest.raises(dd.DreamError) as refused:
        Recipe.from_json(text).render(net=squeezenet)
    said = str(refused.value)
    assert says in said
    assert "\n" not in said and len(said) < 600


def test_the_command_refuses_such_recipes_in_a_line(tmp_path, run):
    class Strange:
        def __init__(self, values):
            self.values = values

        def to_json(self):
            return json.dumps({"recipe": 1, **STRANGE, **self.values})

    for values, says in NO_RECIPES[::6] + NO_RECIPES[-3:]:
        code, out, err = run("replay", written(tmp_path / "a.png", Strange(values)), "-o", tmp_path / "b.png")
        assert (code, out, err.count("\n"), says in err) == (2, "", 1, True), err
        assert not (tmp_path / "b.png").exists()


def test_what_an_older_deepdream_wrote_is_still_read():
    assert Recipe(**{**STRANGE, **LABEL}, more={"label": 1, "blur": [0.5, 0], "decay": 0.1, "edge": 0.1}).more["edge"]
    assert Recipe(**{**STRANGE, **GUIDED}, more={"guide_max_size": None}).more == {"guide_max_size": None}
    assert Recipe(**STRANGE, kind="stopped dream", more={"octave": 0, "iteration": 0}).more["octave"] == 0


@pytest.mark.parametrize("text", [None, 3, []])
def test_what_is_no_text_is_no_recipe(text):
    with pytest.raises(ParameterError, match="not a recipe"):
        Recipe.from_json(text)


@pytest.mark.parametrize("depth", [40, 300, 900, 5000, 100_000])
@pytest.mark.parametrize("entry", ['"more": {"x": %s}', '"objective": {"label": %s}', '"end": {"fire2/concat": %s}'])
def test_a_recipe_nested_deep_is_refused(entry, depth):
    """Within Python's limit as well, where something later would meet it."""
    for opening, middle, closing in (("[", "", "]"), ('{"a":', "1", "}")):
        with pytest.raises(ParameterError, match="not a recipe"):
            Recipe.from_json('{"recipe": 1, %s}' % (entry % (opening * depth + middle + closing * depth)))
