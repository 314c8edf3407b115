"""Schedules: settings that change from frame to frame, or from octave to octave."""

import time
from dataclasses import replace

import numpy as np
import pytest

import deepdream as dd
from deepdream import Recipe, Schedule
from deepdream.errors import DreamError
from deepdream.recipes.scheduled import scheduled_settings
from deepdream.zoom import zoom

QUICK = {"iter_n": 1, "octave_n": 2, "seed": 1}


@pytest.fixture
def img():
    return np.random.RandomState(3).uniform(0, 255, (72, 96, 3)).astype(np.float32)


# The values between keyframes


def test_numbers_and_weights_change_evenly_and_stay_at_the_ends():
    schedule = Schedule(
        [
            {"frame": 2, "scale": 0.0, "end": "a", "center": [10, 20]},
            {"frame": 4, "step_size": 3},
            {"frame": 6, "scale": 0.4, "end": {"b": 2.0}, "center": [30, 20]},
        ]
    )
    assert schedule.unit == "frame" and schedule.moments == [2, 4, 6]
    assert schedule.at(0) == schedule.at(2) == {"scale": 0.0, "end": {"a": 1.0}, "center": [10, 20], "step_size": 3}
    assert schedule.at(3) == {"scale": 0.1, "end": {"a": 0.75, "b": 0.5}, "center": [15, 20], "step_size": 3}
    assert schedule.at(9) == schedule.at(6) == {"scale": 0.4, "end": {"b": 2.0}, "center": [30, 20], "step_size": 3}


def test_smooth_changes_begin_and_end_gently():
    frames = [{"frame": 0, "scale": 0.0}, {"frame": 10, "scale": 0.8}]
    even, smooth = ([Schedule(frames, how).at(index)["scale"] for index in range(11)] for how in ("linear", "smooth"))
    assert np.allclose(np.diff(even), 0.08)
    steps = np.diff(smooth)
    assert np.allclose(steps, steps[::-1]) and (np.diff(steps[:5]) > 0).all() and steps[0] < 0.03
    assert (smooth[0], smooth[5], smooth[10]) == (0.0, 0.4, 0.8)


def test_terms_may_be_written_in_three_ways():
    for value in ("x", ["x"], {"x": 1}):
        assert Schedule([{"octave": 0, "label": value}]).at(3) == {"label": {"x": 1.0}}
    assert Schedule([{"octave": 0, "channel": 7}]).at(0) == {"channel": {"7": 1.0}}
    several = Schedule([{"frame": 0, "guide": ["a", "b"]}, {"frame": 5, "guide": {"c": -2, "a": 1}}])
    assert several.guides == ["a", "b", "c"]


def test_a_spec_makes_the_same_schedule():
    schedule = Schedule([{"frame": 0, "end": "a", "pan": [1, 2]}, {"frame": 5, "guide": {"c": -2}}], "smooth")
    again = Recipe(schedule=schedule.spec, guide="c", seed=1)
    assert Recipe.from_json(again.to_json()) == again
    assert again.schedule == schedule.spec
    assert "schedule" not in Recipe(seed=1).to_json()


@pytest.mark.parametrize(
    ("keyframes", "message"),
    [
        ([], "keyframes=[]: a schedule has a list of 1 to 10000 keyframes, a table each, as in [[keyframe]] frame = 0"),
        ("x", "keyframes='x': a schedule has a list of 1 to 10000 keyframes"),
        ([3], "keyframe 1: it must be a table that says its frame or its octave, as in frame = 0"),
        ([{"end": "a"}], "keyframe 1: it must be a table that says its frame or its octave"),
        ([{"frame": 0}, {"octave": 1}], "keyframe 2: it must be a table that says its frame, as the first one does"),
        ([{"octave": 0}, {"frame": 1}], "keyframe 2: it must be a table that says its octave, as the first one does"),
        ([{"frame": 0, "octave": 0}], "keyframe 1 has a frame and an octave: keep the frame in zooms and videos"),
        ([{"frame": -1}], "keyframe 1: frame=-1"),
        ([{"frame": 0.5}], "keyframe 1: frame=0.5"),
        ([{"frame": 0}, {"frame": 0}], "they must ascend"),
        ([{"frame": 0, "endd": "a"}], "keyframe 1 has 'endd'; for a keyframe with a frame there are end, guide"),
        ([{"octave": 0, "scale": 0.1}], "keyframe 1 has 'scale'; for a keyframe with an octave there are end, guide"),
        ([{"frame": 0, "scale": 2}], "keyframe 1: scale = 2: it must be a number from -0.9 to 0.9"),
        ([{"frame": 0, "strength": "x"}], "keyframe 1: strength = 'x': it must be a number from 0 to 1"),
        ([{"frame": 0, "rotate": float("nan")}], "keyframe 1: rotate = nan: it must be a number"),
        ([{"frame": 0, "center": [1]}], "keyframe 1: center = [1]: it must be two numbers of pixels, [x, y]"),
        (
            [{"frame": 0, "pan": [0, -1e300]}],
            "keyframe 1: pan = [0, -1e+300]: it must be two numbers of pixels, [x, y], e",
        ),
        ([{"frame": 0, "end": {}}], "keyframe 1: end = {}: it must be a layer, a list of several, or a table with a"),
        ([{"frame": 0, "end": []}], "keyframe 1: end = []: it must be a layer"),
        ([{"frame": 0, "end": ""}], "keyframe 1: end = '': it must be a layer"),
        ([{"frame": 0, "end": [7]}], "keyframe 1: end = [7]: it must be a layer"),
        ([{"frame": 0, "guide": 7}], "keyframe 1: guide = 7: it must be an image"),
        ([{"frame": 0, "label": True}], "keyframe 1: label = True: it must be a label"),
        ([{"frame": 0, "end": {"a": 0}}], "end = {'a': 0}: the weight of a must be a number other than 0"),
        ([{"frame": 0, "end": {"a": float("inf")}}], "the weight of a must be a number other than 0, from 1.2e-38"),
        (
            [{"frame": 0, "label": {"a": 1e-300}}],
            "label = {'a': 1e-300}: the weight of a must be a number other than 0",
        ),
        ([{"frame": 0, "label": {"a": "x"}}], "label = {'a': 'x'}: the weight of a must be a number other than 0"),
        ([{"frame": 0, "channel": "x"}], "channels are whole numbers from 0"),
        ([{"frame": 0, "x" * 999: "y" * 999}], "keyframe 1 has 'xxx"),
    ],
)
def test_other_keyframes_are_refused(tmp_path, keyframes, message):
    with pytest.raises(dd.ParameterError) as error:
        Schedule(keyframes)
    assert message in str(error.value) and len(str(error.value)) <= 300
    with pytest.raises(dd.ParameterError):
        Recipe(schedule={"interpolation": "linear", "keyframes": keyframes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "keyframes=[]: a schedule has a list of 1 to 10000 keyframes"),
        ("[[keyframe", "is not TOML"),
        ("\xff", "is not TOML: it is not text in UTF-8"),
        ("x = 1" + "0" * 5000, "cannot be used: a number in it has thousands of digits"),
        ("a=" + "[" * 100_000, "nested too deeply"),
        ("frames = 3", "has 'frames'; a schedule has interpolation and [[keyframe]] tables"),
        ('interpolation = "cubic"\n[[keyframe]]\nframe = 0', "interpolation='cubic': it must be 'linear' or 'smooth'"),
        ("[[keyframe]]\nframe = 0\nscale = 2", "keyframe 1: scale = 2"),
    ],
)
def test_a_file_that_is_no_schedule_is_refused(tmp_path, text, message):
    path = tmp_path / "walk.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DreamError) as error:
        dd.read_schedule(path)
    assert message in str(error.value) and "walk.toml" in str(error.value)


# In dreams


def test_a_frame_at_a_keyframe_is_that_of_a_plain_run(tiny, img):
    """Until the second keyframe begins to matter, the frames are those of its own settings."""
    schedule = Schedule(
        [
            {"frame": 1, "end": "left", "scale": 0.1, "strength": 0.5, "step_size": 4},
            {"frame": 2, "end": "both", "scale": 0.2, "strength": 1, "step_size": 2},
        ]
    )
    settings = scheduled_settings(tiny, schedule, [])
    frames = [frame.image for frame in dd.zoom_frames(tiny, img, 4, schedule=settings, **QUICK)]
    plain = list(dd.zoom_frames(tiny, img, 2, 0.1, strength=0.5, end="left", step_size=4, **QUICK))
    assert np.array_equal(frames[0], plain[0].image) and np.array_equal(frames[1], plain[1].image)
    after = dd.Frame(1, frames[1], 1)
    rest = dd.zoom_frames(tiny, img, 4, 0.2, end="both", step_size=2, after=after, **QUICK)
    assert [np.array_equal(frame.image, expected) for frame, expected in zip(rest, frames[2:])] == [True, True]


def test_between_keyframes_the_layers_weights_count(tiny, img):
    schedule = Schedule([{"frame": 0, "end": "left"}, {"frame": 4, "end": "right"}])
    settings = scheduled_settings(tiny, schedule, [])
    for index, end in ((0, {"left": 1.0}), (1, {"left": 0.75, "right": 0.25}), (4, {"right": 1.0})):
        own = dict(settings(index))
        one = dd.deepdream(tiny, img, **own, **QUICK)
        assert np.array_equal(one, dd.deepdream(tiny, img, end=end, **QUICK)), index


def test_each_octave_may_have_its_own_layer(tiny, img):
    schedule = Schedule([{"octave": 0, "end": "left", "step_size": 1}, {"octave": 1, "end": "right", "step_size": 6}])
    both = list(dd.dream_steps(tiny, img, schedule=scheduled_settings(tiny, schedule, []), **QUICK))
    first = next(dd.dream_steps(tiny, img, end="left", step_size=1, **QUICK))
    assert np.array_equal(both[0].image, first.image)
    base = dd.resize(img, 51, 69)
    assert both[0].image.shape == base.shape and both[1].image.shape == img.shape
    only = list(dd.dream_steps(tiny, img, end="right", step_size=6, **QUICK))
    assert not np.array_equal(both[1].image, only[1].image)
    same = Schedule([{"octave": 0, "end": "left"}])
    assert np.array_equal(
        dd.deepdream(tiny, img, schedule=scheduled_settings(tiny, same, []), **QUICK),
        dd.deepdream(tiny, img, end="left", **QUICK),
    )


def test_guides_channels_and_labels_may_change(tiny, img):
    guides = [img[:40, :40], img[30:, 30:]]
    schedule = Schedule(
        [
            {"frame": 0, "end": "both", "guide": "one"},
            {"frame": 2, "guide": {"two": 0.5}, "channel": 2},
            {"frame": 4, "label": "b"},
        ]
    )
    settings = scheduled_settings(tiny, schedule, guides)
    one, two = (dd.guided(tiny, each, "both") for each in guides)
    channel, label = dd.channels([2], tiny, "both"), dd.label(tiny, "b")
    expected = {0: one + channel + label, 1: 0.5 * one + 0.25 * two + channel + label}
    for index, objective in expected.items():
        made = dd.deepdream(tiny, img, **settings(index), **QUICK)
        assert np.array_equal(made, dd.deepdream(tiny, img, objective=objective, **QUICK)), index


def test_a_video_s_strength_and_layer_may_change(tiny, img):
    images = [np.roll(img, shift, axis=1) for shift in range(3)]
    schedule = Schedule([{"frame": 0, "strength": 0.0, "end": "left"}, {"frame": 2, "strength": 1.0, "end": "both"}])
    frames = list(dd.video_frames(tiny, images, 0.0, schedule=scheduled_settings(tiny, schedule, []), **QUICK))
    assert np.array_equal(frames[0].image, images[0])
    assert np.array_equal(frames[2].image, dd.deepdream(tiny, images[2], end="both", **QUICK))
    carried = dd.video_frames(tiny, images, schedule=scheduled_settings(tiny, schedule, []), **QUICK)
    assert all(np.isfinite(frame.image).all() for frame in carried)


def test_a_run_that_continues_is_the_same(tiny, img):
    schedule = Schedule([{"frame": 0, "end": "left", "scale": 0.0}, {"frame": 5, "end": "both", "scale": 0.3}])
    settings = scheduled_settings(tiny, schedule, [])
    whole = list(dd.zoom_frames(tiny, img, 5, schedule=settings, **QUICK))
    rest = list(dd.zoom_frames(tiny, img, 5, schedule=settings, after=whole[2], **QUICK))
    assert [np.array_equal(a.image, b.image) for a, b in zip(whole[3:], rest)] == [True, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"end": "nothing"}, "nothing"),
        ({"scale": 0.1}, "octave 0 has 'scale'; it may have end, objective and step_size"),
        ({"step_size": "x"}, "step_size"),
    ],
)
def test_a_function_s_settings_are_checked_before_the_first_step(tiny, img, settings, message):
    with pytest.raises(dd.DreamError, match=message):
        dd.dream_steps(tiny, img, schedule=lambda octave: settings, **QUICK)


@pytest.mark.parametrize("keyframe", [{"end": "nothing"}, {"channel": 99}, {"label": "nobody"}])
def test_what_the_network_lacks_is_found_at_once(tiny, keyframe):
    with pytest.raises(dd.DreamError):
        scheduled_settings(tiny, Schedule([{"frame": 0, "end": "both"}, {"frame": 900, **keyframe}]), [])


# The point that a zoom goes to


def test_the_centre_of_a_zoom_stays_in_its_place():
    img = np.zeros((60, 80, 3), np.float32)
    img[20, 30] = 255
    there = zoom(img, 0.1, center=(30, 20))
    assert np.unravel_index(there[:, :, 0].argmax(), (60, 80)) == (20, 30)
    assert np.array_equal(zoom(img, 0.1, center=(40, 30)), zoom(img, 0.1))
    assert np.array_equal(zoom(img, 0.1, 5.0, center=(40, 30)), zoom(img, 0.1, 5.0))
    turned = zoom(img, 0.1, 30.0, center=(30, 20))
    assert np.unravel_index(turned[:, :, 0].argmax(), (60, 80)) == (20, 30)


def test_a_pan_moves_the_view():
    img = np.random.RandomState(0).uniform(0, 255, (60, 80, 3)).astype(np.float32)
    moved = zoom(img, 0.0, pan=(7, -4))
    assert np.allclose(moved[4:, :-7], img[:-4, 7:], atol=1e-3)


@pytest.mark.parametrize("settings", [{"center": 5}, {"center": (1, "x")}, {"pan": None}, {"pan": (1, 2, 3)}])
def test_other_points_are_refused(tiny, img, settings):
    with pytest.raises(dd.ParameterError, match="it must be two numbers of pixels"):
        dd.zoom_frames(tiny, img, **settings, **QUICK)


@pytest.mark.parametrize("pan", [(1e300, 0), (0, -100_001)])
def test_a_pan_at_which_scipy_crashes_is_refused(tiny, img, pan):
    with pytest.raises(dd.ParameterError, match="each must be from -100000 to 100000"):
        dd.zoom_frames(tiny, img, pan=pan, **QUICK)
    assert np.isfinite(zoom(img, pan=(-100_000, 100_000))).all()


def test_ten_thousand_keyframes_take_no_time():
    schedule = Schedule([{"frame": n, "end": "ab"[n % 2], "scale": n / 20_000} for n in range(10_000)])
    begin = time.process_time()
    assert [schedule.at(n)["scale"] for n in range(10_000)] == [n / 20_000 for n in range(10_000)]
    assert time.process_time() - begin < 5  # seconds; a minute if each frame went through all of them


def test_what_cannot_change_between_frames_is_refused(tiny, img):
    zoomed = dd.zoom_frames(tiny, img, 2, schedule=lambda index: {"seed": 3}, **QUICK)
    with pytest.raises(dd.ParameterError, match="schedule: frame 0 has 'seed', which cannot change there"):
        next(zoomed)
    with pytest.raises(dd.ParameterError, match="schedule: frame 0 has 'scale', which cannot change there"):
        next(dd.video_frames(tiny, [img], schedule=lambda index: {"scale": 0.1}, **QUICK))


def test_the_bundled_schedule_is_one_of_bvlc_googlenet():
    ladder = dd.read_schedule("ladder")
    assert set(ladder.layers()) <= set(dd.find_model("bvlc_googlenet").ladder)
    assert ladder.moments == list(range(0, 81, 8))


def test_every_guide_must_be_given(tiny, img):
    schedule = Schedule([{"frame": 0, "end": "both", "guide": ["one", "two"]}])
    with pytest.raises(dd.ParameterError, match="the schedule has 2 guides and 1 were given"):
        scheduled_settings(tiny, schedule, [img])
    more = {"frame": 0, "scale": 0, "rotate": 0}
    recipe = Recipe(kind="zoom", more=more, input="noise:72x96", schedule=schedule.spec, seed=1)
    assert recipe.guide == ["one", "two"]
    with pytest.raises(dd.ImageError, match="the guide one was not found"):
        recipe.render(net=tiny)
    with pytest.raises(dd.ParameterError, match=r"guide='one': the schedule's guides are \['one', 'two'\]"):
        replace(recipe, guide="one").render(net=tiny)


def test_an_error_names_the_keyframe(tiny):
    schedule = Schedule([{"frame": 0, "end": "both"}, {"frame": 7, "end": "no"}])
    with pytest.raises(dd.LayerError, match=r"^frame 7 of the schedule: .*'no'"):
        scheduled_settings(tiny, schedule, [])
    schedule = Schedule([{"octave": 2, "end": "both", "channel": 999}])
    with pytest.raises(dd.LayerError, match=r"^octave 2 of the schedule: there is no channel 999"):
        scheduled_settings(tiny, schedule, [])


def test_a_recipe_s_schedule_is_linear_unless_it_says_otherwise():
    recipe = Recipe(schedule={"keyframes": [{"octave": 0, "step_size": 1}]}, seed=1)
    assert recipe.schedule == Schedule([{"octave": 0, "step_size": 1}]).spec
    for spec in {}, {"keyframe": []}, {"interpolation": "linear"}, {"keyframes": [], "x": 1}:
        with pytest.raises(dd.ParameterError, match="it must have keyframes, a list of tables, and may have inter"):
            Recipe(schedule=spec)


def test_a_center_outside_of_the_frame_is_refused(tiny, img):
    with pytest.raises(dd.ParameterError, match=r"center=\(97, 0\): it must be inside of the frame, which has 96×72"):
        dd.zoom_frames(tiny, img, 2, center=(97, 0))
    frames = dd.zoom_frames(tiny, img, 2, schedule=lambda index: {"center": (0, 72 + index)}, iter_n=1, octave_n=1)
    next(frames)
    with pytest.raises(dd.ParameterError, match=r"center=\(0, 73\)"):
        next(frames)
