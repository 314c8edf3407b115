"""`--schedule` and `--center`: of a dream, a zoom and a video, in recipes, and resumed."""

import numpy as np
import pytest
from PIL import Image as Pillow

import deepdream as dd
from deepdream import Recipe
from deepdream.data import clouds
from deepdream.io.arrays import to_uint8

QUICK = ["--model", "squeezenet_v1.1", "--iters", 1, "--octaves", 2, "--seed", 1]
SETTINGS = {"iter_n": 1, "octave_n": 2, "seed": 1}
WALK = """
interpolation = "smooth"
[[keyframe]]
frame = 0
end = "fire3/concat"
scale = 0.0
[[keyframe]]
frame = 2
end = "fire6/concat"
scale = 0.1
center = [20, 10]
"""
OCTAVES = """
[[keyframe]]
octave = 0
guide = "guide.png"
[[keyframe]]
octave = 1
end = {"fire4/concat" = 1, "fire6/concat" = 0.5}
step_size = 3.0
label = {"ant" = -1e-3}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, squeezenet_file):
    monkeypatch.chdir(tmp_path)
    Pillow.fromarray(to_uint8(clouds.clouds(60, 80))).save("photo.png")
    Pillow.fromarray(to_uint8(clouds.clouds(60, 80, seed=3))).save("guide.png")
    (tmp_path / "walk.toml").write_text(WALK)
    (tmp_path / "octaves.toml").write_text(OCTAVES)
    return tmp_path


def test_a_zoom_follows_its_schedule_is_resumed_and_made_again(folder, run, squeezenet):
    code, _, err = run("zoom", "photo.png", *QUICK, "--schedule", "walk.toml", "--frames", 2, "-o", "frames")
    assert code == 0 and "dreamt at what walk.toml says, seed 1" in err, err
    code, _, err = run("zoom", "photo.png", *QUICK, "--schedule", "walk.toml", "--frames", 4, "-o", "frames")
    assert code == 0 and "2 new frames" in err
    img, frames = dd.read_image("photo.png"), [dd.read_image(f"frames/0000{n}.png") for n in range(4)]
    assert np.array_equal(frames[0], to_uint8(dd.deepdream(squeezenet, img, end="fire3/concat", **SETTINGS)))
    run("zoom", "photo.png", *QUICK, "--schedule", "walk.toml", "--frames", 4, "-o", "whole")
    assert all(np.array_equal(frame, dd.read_image(f"whole/0000{n}.png")) for n, frame in enumerate(frames))
    recipe = Recipe.from_image("frames/00003.png")
    assert recipe.schedule == dd.read_schedule("walk.toml").spec
    (folder / "walk.toml").unlink()  # the recipe has all of it
    code, _, err = run("replay", "frames/00003.png", "-o", "again.png")
    assert (code, err) == (0, "every pixel is the same as in frames/00003.png\n")


def test_another_schedule_is_another_run(folder, run):
    run("zoom", "photo.png", *QUICK, "--schedule", "walk.toml", "--frames", 1, "-o", "frames")
    (folder / "walk.toml").write_text(WALK.replace("0.1", "0.2"))
    code, _, err = run("zoom", "photo.png", *QUICK, "--schedule", "walk.toml", "--frames", 2, "-o", "frames")
    assert (
        code == 2 and "frames holds another run, with scale 0.1 in keyframe 2 of its sched" in err and len(err) <= 301
    )
    code, _, err = run("zoom", "photo.png", *QUICK, "--end", "fire3/concat", "--frames", 2, "-o", "frames")
    assert code == 2 and "frames holds another run" in err and len(err) <= 301


def test_octaves_guides_and_labels_of_one_picture(folder, run):
    code, _, err = run("dream", "photo.png", *QUICK, "--schedule", "octaves.toml", "-o", "a.png")
    assert code == 0, err
    recipe = Recipe.from_image("a.png")
    assert (recipe.guide, len(recipe.guide_sha256)) == ("guide.png", 64)
    code, _, err = run("replay", "a.png", "-o", "b.png")
    assert (code, err) == (0, "every pixel is the same as in a.png\n")
    code, _, err = run("replay", "a.png", "-o", "b.png", "--guide", "photo.png")
    assert code == 0 and "another guide" in err and "pixels differ" in err
    run("dream", "photo.png", *QUICK, "--guide", "guide.png", "-o", "plain.png")
    assert not np.array_equal(dd.read_image("plain.png"), dd.read_image("a.png"))


def test_the_centre_of_a_zoom(folder, run):
    for name, more in (("middle", []), ("same", ["--center", "40,30"]), ("corner", ["--center", "5,5"])):
        code, _, err = run("zoom", "photo.png", *QUICK, "--frames", 2, *more, "-o", name)
        assert code == 0, err
    middle, same, corner = (dd.read_image(f"{name}/00001.png") for name in ("middle", "same", "corner"))
    assert np.array_equal(middle, same) and not np.array_equal(middle, corner)
    code, _, err = run("replay", "corner/00001.png", "-o", "again.png")
    assert (code, err) == (0, "every pixel is the same as in corner/00001.png\n")


def test_a_video_follows_its_schedule(folder, run, squeezenet):
    pytest.importorskip("av")
    dd.write_animation("in.mp4", [dd.read_image("photo.png")] * 3)
    options = ["--schedule", "walk.toml", "--independent", "--step", 6]
    code, _, err = run("video", "in.mp4", "out.mp4", *QUICK, *options)
    assert code == 2 and "--schedule walk.toml sets scale, which only a zoom has" in err
    (folder / "walk.toml").write_text(WALK.replace("scale = 0.0\n", "").replace("scale = 0.1\ncenter = [20, 10]", ""))
    code, _, err = run("video", "in.mp4", "out.mp4", *QUICK, *options)
    assert code == 0, err
    first, _, last = dd.Video("out.mp4")
    img = next(iter(dd.Video("in.mp4")))
    shallow, deep = (
        dd.deepdream(squeezenet, img, end=end, step_size=6, **SETTINGS) for end in ("fire3/concat", "fire6/concat")
    )
    for frame, own, other in ((first, shallow, deep), (last, deep, shallow)):  # but for what encoding loses
        assert np.abs(frame - own).mean() < 0.75 * np.abs(frame - other).mean()
    code, _, err = run("video", "in.mp4", "other.mp4", *QUICK, "--schedule", "walk.toml", "--workers", 2)
    assert code == 2 and "a scheduled video is dreamt in this process" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dream", "photo.png", "--schedule", "walk.toml"], "its keyframes have frames, and here they need octaves"),
        (["zoom", "photo.png", "--schedule", "octaves.toml", "-o", "f"], "its keyframes have octaves, and here they"),
        (["dream", "photo.png", "--schedule", "no.toml"], "no.toml"),
        (["dream", "photo.png", "--schedule", "photo.png"], "photo.png is not TOML"),
        (["dream", "photo.png", "--schedule", "octaves.toml", "--end", "conv1"], "--end and --schedule octaves.toml"),
        (["dream", "photo.png", "--schedule", "octaves.toml", "-o", "octaves.toml"], "octaves.toml"),
        (["zoom", "photo.png", "--center", "3", "-o", "f"], "--center 3: it must be two whole numbers of pixels"),
        (
            ["zoom", "photo.png", "--center", "-3,2", "-o", "f"],
            "--center -3,2: it must be two whole numbers of pixels, fr",
        ),
        (
            ["zoom", "photo.png", "--center", "3,61", "-o", "f"],
            "--center 3,61: it must be inside of the frame, which has",
        ),
        (
            ["zoom", "photo.png", "--schedule", "far.toml", "-o", "f"],
            "--schedule far.toml: center=(20.0, 61.0): it must",
        ),
        (["dream", "photo.png", "--schedule", "deep.toml"], "has octave 2, and the last one of 2 octaves is 1; leave"),
        (["dream", "photo.png", "--schedule", "wrong.toml"], "--schedule wrong.toml: octave 1 of the schedule: "),
        (
            ["dream", "photo.png", "--schedule", "-"],
            "--schedule - does not exist; give a TOML file, or a bundled sched",
        ),
    ],
)
def test_what_does_not_fit_is_refused(folder, run, arguments, message):
    (folder / "far.toml").write_text(WALK.replace("[20, 10]", "[20, 61]"))
    (folder / "deep.toml").write_text(OCTAVES.replace("octave = 1", "octave = 2"))
    (folder / "wrong.toml").write_text(OCTAVES.replace('"ant"', '"no such label"'))
    code, _, err = run(*arguments, *QUICK)
    assert code == 2 and message in err and len(err.splitlines()[-1]) <= 300
    assert not (folder / "f").exists()


@pytest.mark.parametrize("command", ["dream", "zoom"])
def test_a_schedule_that_an_image_cannot_hold_is_refused_before_the_first_step(folder, run, command):
    unit = "frame" if command == "zoom" else "octave"
    keyframes = [f"[[keyframe]]\n{unit} = {n}\nchannel = {list(range(512))}\n" for n in range(12)]
    (folder / "long.toml").write_text("".join(keyframes))
    octaves = ["--octaves", 12, "--octave-scale", 1.01] if command == "dream" else ["--frames", 2]
    code, _, err = run(command, "photo.png", *QUICK, *octaves, "--schedule", "long.toml", "-o", "out.png")
    assert code == 2 and "characters, and an image file holds at most 60,000: use fewer keyframes" in err
    assert "holds at most" in err.splitlines()[-1] and len(err.splitlines()[-1]) <= 300
    assert not (folder / "out.png").exists()


def test_a_missing_guide_is_found_before_the_first_step(folder, run):
    (folder / "guide.png").unlink()
    code, _, err = run("dream", "photo.png", *QUICK, "--schedule", "octaves.toml")
    assert code == 2 and "--schedule octaves.toml: guide guide.png: no such file" in err


def test_a_run_of_another_schedule_is_told_by_its_first_difference(folder, run):
    run("zoom", "photo.png", *QUICK, "--schedule", "walk.toml", "--frames", 1, "-o", "z")
    for old, new, words in (
        ("scale = 0.1", "scale = 0.2", "scale 0.1 in keyframe 2 of its schedule and not 0.2"),
        ("[20, 10]", "[20, 11]", "center [20.0, 10.0] in keyframe 2 of its schedule and not [20.0, 11.0]"),
    ):
        (folder / "walk.toml").write_text(WALK.replace(old, new))
        code, _, err = run("zoom", "photo.png", *QUICK, "--schedule", "walk.toml", "--frames", 2, "-o", "z")
        assert code == 2 and f"z holds another run, with {words}; use another folder" in err


def test_a_video_does_not_replace_what_it_reads(folder, run):
    pytest.importorskip("av")
    dd.write_animation("in.mp4", [dd.read_image("photo.png")] * 2)
    dd.write_animation("guide.mp4", [dd.read_image("guide.png")] * 2)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for name, options in (
        ("in.mp4", []),
        ("guide.mp4", ["--guide", "guide.mp4"]),
        ("walk.toml", ["--schedule", "walk.toml"]),
        ("mask.gif", ["--mask", "mask.gif"]),
    ):
        if name == "mask.gif":
            Pillow.new("L", (80, 60), 255).save(name)
            before[folder / name] = (folder / name).read_bytes()
        code, _, err = run("video", "in.mp4", name, *QUICK, "--independent", *options)
        assert code == 2 and name in err, (name, err)
        if name == "mask.gif":
            code, _, err = run("zoom", "photo.png", *QUICK, *options, "-o", "z", "--frames", 1, "--gif", name)
            assert code == 2 and f"--gif mask.gif is the input file {name}" in err
            code, _, err = run("dream", "photo.png", *QUICK, *options, "-o", "d.png", "--animate", name)
            assert code == 2 and f"--animate mask.gif is the input file {name}" in err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
