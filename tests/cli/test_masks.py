"""`--mask`, `--mask-feather` and `--mask-invert`: of a dream, a zoom and a video, and in their recipes."""

import numpy as np
import pytest
from PIL import Image as Pillow

import deepdream as dd
from deepdream import Recipe
from deepdream.data import clouds
from deepdream.io.arrays import to_uint8

QUICK = ["--model", "squeezenet_v1.1", "--iters", 1, "--octaves", 2, "--seed", 1, "--end", "fire4/concat"]
SETTINGS = {"iter_n": 1, "octave_n": 2, "seed": 1, "end": "fire4/concat"}
SHAPE = 60, 80


@pytest.fixture
def folder(tmp_path, monkeypatch, squeezenet_file):
    """The current folder, with photo.png, mask.png, which is white at the left, and cut.png, opaque there."""
    monkeypatch.chdir(tmp_path)
    photo = to_uint8(clouds.clouds(*SHAPE))
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, :40] = 255
    Pillow.fromarray(photo).save("photo.png")
    Pillow.fromarray(mask).save("mask.png")
    Pillow.fromarray(np.dstack([photo, mask])).save("cut.png")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "given", "kept"),
    [
        (["--mask", "mask.png"], {}, np.s_[:, 40:]),
        (["--mask", "mask.png", "--mask-invert"], {"invert": True}, np.s_[:, :40]),
        (["--mask", "mask.png", "--mask-feather", 6.5], {"feather": 6.5}, np.s_[:, 40:]),
    ],
)
@pytest.mark.usefixtures("folder")
def test_the_dream_is_the_library_s_and_is_made_again(run, squeezenet, arguments, given, kept):
    code, _, err = run("dream", "photo.png", *QUICK, *arguments, "-o", "a.png")
    assert code == 0, err
    photo, made = dd.read_image("photo.png"), dd.read_image("a.png")
    mask = dd.read_mask("mask.png", **given)
    assert np.array_equal(made, to_uint8(dd.deepdream(squeezenet, photo, mask=mask, **SETTINGS)))
    assert np.array_equal(made[kept], photo[kept])
    recipe = Recipe.from_image("a.png")
    assert (recipe.mask, recipe.mask_invert) == ("mask.png", given.get("invert", False))
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert run("replay", "a.png", "-o", "b.png")[2] == "every pixel is the same as in a.png\n"


@pytest.mark.usefixtures("folder")
def test_another_mask_is_told(run):
    run("dream", "photo.png", *QUICK, "--mask", "mask.png", "-o", "a.png")
    Pillow.fromarray(255 - np.asarray(Pillow.open("mask.png"))).save("other.png")
    code, _, err = run("replay", "a.png", "-o", "b.png", "--mask", "other.png")
    assert code == 0 and "another mask: sha256" in err and "pixels differ from a.png" in err
    assert Recipe.from_image("b.png").mask == "other.png"
    Pillow.open("other.png").save("mask.png")
    code, _, err = run("replay", "a.png", "-o", "b.png")
    assert code == 2 and "mask.png has different pixels" in err and "give another one (in a replay: --mask)" in err
    run("dream", "photo.png", *QUICK, "-o", "plain.png")
    code, _, err = run("replay", "plain.png", "-o", "b.png", "--mask", "other.png")
    assert code == 2 and "the recipe has no mask" in err


@pytest.mark.usefixtures("folder")
def test_an_image_may_bring_its_own_mask(run):
    code, _, err = run("dream", "cut.png", *QUICK, "--mask", "alpha", "--max-size", 64, "-o", "a.png")
    assert code == 0, err
    recipe, made = Recipe.from_image("a.png"), dd.read_image("a.png")
    before = to_uint8(recipe.fit(dd.read_image("cut.png")))
    assert np.array_equal(made[:, 34:], before[:, 34:])
    assert np.abs(made[:, :30] - before[:, :30].astype(np.float32)).mean() > 0.3
    assert recipe.mask == "alpha"
    assert run("replay", "a.png", "-o", "b.png")[2] == "every pixel is the same as in a.png\n"


@pytest.mark.usefixtures("folder")
def test_every_frame_of_a_zoom_has_the_mask(run):
    arguments = ["zoom", "photo.png", *QUICK, "--mask", "mask.png", "-o", "z"]
    assert run(*arguments, "--frames", 1)[0] == 0
    assert np.array_equal(dd.read_image("z/00000.png")[:, 40:], dd.read_image("photo.png")[:, 40:])
    assert run(*arguments, "--frames", 2)[0] == 0
    assert run("replay", "z/00001.png", "-o", "b.png")[2] == "every pixel is the same as in z/00001.png\n"
    code, _, err = run("zoom", "photo.png", *QUICK, "--mask", "photo.png", "-o", "z", "--frames", 3)
    assert code == 2 and "another mask" in err


@pytest.mark.parametrize("carried", [[], ["--independent"]])
def test_every_frame_of_a_video_has_the_mask(run, folder, carried):
    (folder / "in").mkdir()
    photo = dd.read_image("photo.png")
    for number in range(2):
        dd.write_image(f"in/{number}.png", np.roll(photo, 2 * number, axis=1))
    code, _, err = run("video", "in", "out/", *QUICK, "--mask", "mask.png", *carried)
    assert code == 0, err
    made_files, files = sorted((folder / "out").glob("*.png")), sorted((folder / "in").glob("*.png"))
    assert len(made_files) == len(files) == 2
    for made, before in zip(made_files, files):
        assert np.array_equal(dd.read_image(made)[:, 40:], dd.read_image(before)[:, 40:])
        assert np.abs(dd.read_image(made)[:, :40] - dd.read_image(before)[:, :40]).mean() > 0.3


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--mask-feather", 3], "--mask-feather and --mask-invert change a mask; give one"),
        (["--mask-invert"], "--mask-feather and --mask-invert change a mask; give one"),
        (["--mask", "none.png"], "--mask none.png: no such file"),
        (["--mask", "broken.png"], "--mask broken.png is not an image that can be read"),
        (["--mask", ""], "--mask '' is not the name of an image; give a file"),
        (["--mask", "-"], "--mask -: standard input can only be the image that is dreamt on"),
        (["--mask", "mask.png", "--mask-feather", -1], "--mask-feather -1.0: must be from 0 to 10000"),
        (["--mask", "alpha"], "photo.png has no transparent parts, so it has no mask of its own"),
        (
            ["--mask", "tall.png"],
            "the mask tall.png has 60×80 pixels and the image 80×60: give it the same proportions",
        ),
        (["--mask", "black.png"], "the mask black.png is black everywhere, so nothing would be dreamt"),
    ],
)
def test_what_is_no_mask_is_said_in_one_line(run, folder, arguments, reason):
    Pillow.new("L", (60, 80), 255).save("tall.png")
    Pillow.new("L", (80, 60)).save("black.png")
    (folder / "broken.png").write_text("hello")
    code, _, err = run("dream", "photo.png", *QUICK, *arguments, "-o", "a.png")
    assert (code, len(err.splitlines())) == (2, 1)
    assert reason in err
    assert not (folder / "a.png").exists()


@pytest.mark.usefixtures("folder")
def test_a_mask_is_not_overwritten(run):
    code, _, err = run("dream", "photo.png", *QUICK, "--mask", "mask.png", "-o", "mask.png")
    assert code == 2 and "mask.png is the input file" in err


def test_recipes_without_a_mask_are_written_as_before():
    assert "mask" not in Recipe(seed=1).to_json()


@pytest.mark.usefixtures("folder")
def test_the_last_line_says_where_it_was_dreamt(run):
    _, _, err = run("dream", "photo.png", *QUICK, "--mask", "mask.png", "--mask-invert", "--wrap", "x", "-o", "a.png")
    assert "; mask mask.png inverted; wrap x, seed" in err


@pytest.mark.usefixtures("folder")
def test_a_panorama_is_dreamt_without_an_edge_and_made_again(run):
    options = ["--wrap", "x", "--mask", "equirectangular"]
    code, _, err = run("dream", "photo.png", *QUICK, *options, "-o", "a.png")
    assert code == 0, err
    recipe = Recipe.from_image("a.png")
    assert (recipe.wrap, recipe.mask) == ("x", "equirectangular")
    assert run("replay", "a.png", "-o", "b.png")[2] == "every pixel is the same as in a.png\n"
    run("dream", "photo.png", *QUICK, "-o", "plain.png")
    assert "wrap" not in Recipe.from_image("plain.png").to_json()
    assert not np.array_equal(dd.read_image("plain.png"), dd.read_image("a.png"))


@pytest.mark.parametrize("command", [("dream", "photo.png"), ("label", "ant")])
@pytest.mark.usefixtures("folder")
def test_other_edges_are_refused(run, command):
    code, _, err = run(*command, "--wrap", "y", "-o", "a.png")
    assert (code, err) == (2, "deepdream: --wrap y: must be x or xy\n")


@pytest.mark.usefixtures("folder")
def test_the_edges_of_a_zoom_cannot_join(run):
    code, _, err = run("zoom", "photo.png", "--wrap", "x", "-o", "frames")
    assert code == 2 and "--wrap x: the edges of a zoom cannot join" in err
