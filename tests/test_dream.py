"""The step, the octaves, the loop."""

import dataclasses
import inspect
import math

import numpy as np
import pytest
from helpers import assert_rises

import deepdream as dd
from deepdream.octaves import octave_shapes

QUICK = {"iter_n": 2, "octave_n": 2}


def test_signatures_and_defaults_are_those_of_2015():
    def defaults(function):
        return {
            name: p.default
            for name, p in inspect.signature(function).parameters.items()
            if p.default is not inspect.Parameter.empty
        }

    assert list(inspect.signature(dd.deepdream).parameters)[:2] == ["net", "base_img"]
    expected = {"iter_n": 10, "octave_n": 4, "octave_scale": 1.4, "end": None, "clip": True}
    assert list(defaults(dd.deepdream))[:5] == list(expected)
    assert defaults(dd.deepdream).items() >= {**expected, "step_size": 1.5, "jitter": 32, "seed": None}.items()
    assert defaults(dd.make_step) == {
        "step_size": 1.5,
        "end": None,
        "jitter": 32,
        "clip": True,
        "objective": dd.objective_L2,
        "rng": None,
    }
    assert defaults(dd.dream_steps) == defaults(dd.deepdream)


@pytest.mark.parametrize("end", ["conv1", "pool1", "both", "right"])
def test_the_objective_rises(tiny, sky, end):
    assert_rises(tiny, sky, end, iter_n=5, octave_n=2)


def test_the_objective_rises_on_a_trained_network(squeezenet, sky):
    for end in ("fire3/concat", "fire8/concat"):
        assert_rises(squeezenet, sky, end, iter_n=4, octave_n=2)


def test_steps_are_the_dream(tiny, sky):
    steps = list(dd.dream_steps(tiny, sky, iter_n=3, octave_n=2, seed=5))
    assert [(s.octave, s.iteration) for s in steps] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert [s.image.shape for s in steps] == [(64, 114, 3)] * 3 + [(90, 160, 3)] * 3
    assert all(s.image.dtype == np.float32 and s.objective > 0 for s in steps)
    assert np.array_equal(steps[-1].image, dd.deepdream(tiny, sky, iter_n=3, octave_n=2, seed=5))
    with pytest.raises(dataclasses.FrozenInstanceError):
        steps[0].octave = 3


def test_steps_yield_copies(tiny, sky):
    steps = iter(dd.dream_steps(tiny, sky, **QUICK, seed=5))
    first = next(steps)
    kept = first.image.copy()
    next(steps)
    assert np.array_equal(first.image, kept)
    first.image[...] = 0  # what a caller does to a record must not reach the dream
    assert np.array_equal(list(steps)[-1].image, dd.deepdream(tiny, sky, **QUICK, seed=5))


def test_same_seed_same_picture_and_without_a_seed_another(tiny, sky):
    first = dd.deepdream(tiny, sky, **QUICK, seed=3)
    assert np.array_equal(first, dd.deepdream(tiny, sky, **QUICK, seed=3))
    assert not np.array_equal(first, dd.deepdream(tiny, sky, **QUICK, seed=4))
    assert not np.array_equal(dd.deepdream(tiny, sky, **QUICK), dd.deepdream(tiny, sky, **QUICK))


def test_the_global_random_state_is_left_alone(tiny, sky):
    np.random.seed(1)
    expected = np.random.RandomState(1).uniform()
    dd.deepdream(tiny, sky, **QUICK)
    assert np.random.uniform() == expected


def test_a_dream_does_not_depend_on_what_the_net_dreamt_before(googlenet, sky):
    """A shallow `end` in the middle of a module runs side branches backward: they must start from zero."""

    def dream(net):
        return dd.deepdream(net, sky, end="inception_3b/5x5_reduce", iter_n=2, octave_n=1, seed=0)

    fresh = dream(dd.load("bvlc_googlenet"))
    dd.deepdream(googlenet, np.roll(sky, 30, axis=1), iter_n=1, octave_n=2, seed=9)
    assert np.array_equal(dream(googlenet), fresh)
    googlenet.forward(end="inception_4a/output")
    googlenet.blobs["inception_4a/output"].diff[...] = 1
    googlenet.backward(start="inception_4a/output")
    assert np.array_equal(dream(googlenet), fresh)


def test_two_dreams_on_one_net_may_take_turns(tiny, sky):
    alone = dd.deepdream(tiny, sky, **QUICK, seed=1), dd.deepdream(tiny, sky[:60], **QUICK, seed=2, end="left")
    pairs = zip(dd.dream_steps(tiny, sky, **QUICK, seed=1), dd.dream_steps(tiny, sky[:60], **QUICK, seed=2, end="left"))
    *_, (a, b) = pairs
    assert np.array_equal(a.image, alone[0]) and np.array_equal(b.image, alone[1])


def test_make_step_is_one_step_of_the_dream(tiny, sky):
    for _ in range(2):  # the second time after another size was in the blob
        tiny.input.reshape(1, 3, *sky.shape[:2])
        tiny.input.data[0] = dd.preprocess(tiny, sky)
        rng = np.random.RandomState(6)
        value = dd.make_step(tiny, rng=rng)
        dd.make_step(tiny, rng=rng)
        made = dd.deprocess(tiny, tiny.input.data[0])
        expected = list(dd.dream_steps(tiny, sky, iter_n=2, octave_n=1, seed=6))
        assert np.array_equal(made, expected[1].image)
        assert value == expected[0].objective
        dd.deepdream(tiny, sky[:40], **QUICK)


def test_the_step_has_the_asked_size(tiny, sky):
    base = sky.clip(60, 190)  # far from what clipping would cut off
    for step_size in (0.5, 2.0):
        dream = dd.deepdream(tiny, base, iter_n=1, octave_n=1, step_size=step_size, seed=0)
        assert np.abs(dream - base).mean() == pytest.approx(step_size, rel=1e-3)


def test_clip(tiny):
    white = np.full((40, 50, 3), 254, np.float32)
    white[::3] = 1
    clipped = dd.deepdream(tiny, white, **QUICK, seed=0)
    assert clipped.min() >= -1e-3 and clipped.max() <= 255 + 1e-3
    free = dd.deepdream(tiny, white, **QUICK, clip=False, seed=0)
    assert free.min() < -0.5 and free.max() > 255.5


def test_a_silent_layer_leaves_the_picture_as_it_is(tiny, sky, caplog):
    def silent(dst):
        dst.diff[...] = 0

    steps = list(dd.dream_steps(tiny, sky, iter_n=1, octave_n=1, objective=silent, seed=0))
    assert np.abs(steps[0].image - sky).max() < 1e-3
    assert math.isnan(steps[0].objective)
    assert "zero gradient at 'both': this step left the image unchanged" in caplog.text


def test_a_gradient_too_small_to_be_divided_by_leaves_the_picture_as_it_is(tiny, sky, caplog):
    """As at a softmax that saturates: 1.5 divided by a denormal number is infinite."""

    def faint(dst):
        dst.diff[...] = 1e-39

    steps = list(dd.dream_steps(tiny, sky, iter_n=1, octave_n=1, objective=faint, seed=0))
    assert np.abs(steps[0].image - sky).max() < 1e-3
    assert "zero gradient at 'both': this step left the image unchanged" in caplog.text


def test_a_gradient_that_overflows_is_an_error(tiny, sky):
    def infinite(dst):
        dst.diff[...] = np.inf

    with pytest.raises(dd.LayerError, match="not finite"):
        dd.deepdream(tiny, sky, objective=infinite, **QUICK)


def test_an_objective_may_name_its_layer(tiny, sky):
    def leftish(dst):
        dst.diff[...] = dst.data
        return float(dst.data.size)

    leftish.end = "left"
    step = next(iter(dd.dream_steps(tiny, sky, objective=leftish, octave_n=1, seed=0)))
    tiny.forward(end="left")
    assert step.objective == tiny.blobs["left"].data.size
    dd.deepdream(tiny, sky, objective=leftish, end="left", **QUICK)
    with pytest.raises(dd.LayerError, match=r"end is 'right' but the objective was made for 'left'"):
        dd.deepdream(tiny, sky, objective=leftish, end="right", **QUICK)


def test_octaves_shrink_as_the_release_rounded_them():
    assert octave_shapes(575, 1024, 4, 1.4) == [(210, 373), (294, 522), (411, 731), (575, 1024)]
    assert octave_shapes(100, 100, 1, 1.4) == [(100, 100)]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"iter_n": 0}, "iter_n=0: the number of iterations must be a whole number, 1 or more"),
        ({"iter_n": 2.5}, "iter_n=2.5"),
        ({"iter_n": True}, "iter_n=True"),
        ({"octave_n": 0}, "octave_n=0: the number of octaves must be a whole number, from 1 to 100"),
        ({"octave_n": -3}, "octave_n=-3"),
        ({"octave_n": 10**9}, "octave_n=1000000000"),
        ({"octave_scale": 0}, "octave_scale=0: the octave scale must be a finite number, 1 or more"),
        ({"octave_scale": float("nan")}, "octave_scale=nan"),
        ({"octave_scale": "1.4"}, "octave_scale='1.4'"),
        ({"step_size": float("inf")}, "step_size=inf: the step size must be a finite number"),
        ({"step_size": 1e38}, "step_size=1e+38: the step size must be a finite number, from -1e+06 to 1e+06"),
        (
            {"jitter": 10**20},
            "jitter=100000000000000000000: the jitter in pixels must be a whole number, from 0 to 100000",
        ),
        ({"jitter": -1}, "jitter=-1: the jitter in pixels must be a whole number, from 0 to 100000"),
        ({"seed": -1}, "seed=-1: the seed must be a whole number, from 0 to 4294967295"),
        ({"seed": 2**32}, "seed=4294967296"),
        ({"seed": 1.0}, "seed=1.0"),
    ],
)
def test_parameters_out_of_range_are_refused_before_the_first_step(tiny, sky, settings, reason):
    with pytest.raises(dd.ParameterError) as refusal:
        dd.dream_steps(tiny, sky, **settings)  # not even iterated
    assert str(refusal.value).startswith(reason)


def test_an_unknown_layer_is_refused_before_the_first_step(tiny, sky):
    with pytest.raises(dd.LayerError, match="no layer 'inception_4c/output'"):
        dd.dream_steps(tiny, sky, end="inception_4c/output")


@pytest.mark.parametrize(
    "picture",
    [
        np.full((40, 40, 3), np.nan),
        np.zeros((40, 40)),
        np.zeros((40, 40, 4)),
        np.zeros((0, 40, 3)),
        None,
        "sky.jpg",
        np.full((40, 40, 3), np.inf),
        np.zeros((40, 40, 3), complex),
        [[1, 2], [3]],
    ],
)
def test_what_is_no_picture_is_refused(tiny, picture):
    with pytest.raises(dd.ImageError):
        dd.dream_steps(tiny, picture, octave_n=1)


def test_numbers_of_any_kind_make_a_picture(tiny, sky):
    whole = np.rint(sky)
    expected = dd.deepdream(tiny, whole, **QUICK, seed=0)
    for kind in (np.uint8, np.int64, np.float64):
        assert np.array_equal(dd.deepdream(tiny, whole.astype(kind), **QUICK, seed=0), expected)


def test_the_callers_picture_is_not_changed(tiny, sky):
    before = sky.copy()
    dd.deepdream(tiny, sky, **QUICK)
    assert np.array_equal(sky, before)


def test_a_picture_too_small_for_its_octaves_says_what_would_fit(tiny, sky):
    with pytest.raises(dd.ImageError, match=r"22×13 pixels are too few .*octave 1 of 6.*at most 5 octaves"):
        dd.dream_steps(tiny, np.zeros((68, 122, 3)), octave_n=6)
    dd.deepdream(tiny, np.zeros((68, 122, 3)) + sky[:68, :122], octave_n=5, iter_n=1)
    message = r"1×1 pixels are too few .*each side needs at least 16.*larger image or a shallower"
    with pytest.raises(dd.ImageError, match=message):
        dd.dream_steps(tiny, np.zeros((1, 1, 3)), octave_n=1)


def test_a_picture_too_small_for_its_layer_says_so(squeezenet):
    message = r"16×16 pixels .* 'fire8/concat'; each side needs at least 17.*: use a larger"
    with pytest.raises(dd.ImageError, match=message):
        dd.dream_steps(squeezenet, np.zeros((16, 16, 3)), octave_n=1)
    message = r"16×16 pixels .*each side needs at least 17.*at most 1 octave at scale 1.8"
    with pytest.raises(dd.ImageError, match=message):
        dd.dream_steps(squeezenet, np.zeros((29, 29, 3)), octave_n=2, octave_scale=1.8)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"octave_scale": 10**400}, "octave_scale=1000"),
        ({"step_size": 10**400}, "step_size=1000"),
        ({"iter_n": -(10**5000)}, "iter_n=a number of thousands of digits: the number of iterations"),
        ({"net": "bvlc"}, r"net='bvlc': it must be a deepdream\.Net"),
        ({"net": None}, "net=None: it must be a deepdream"),
    ],
)
def test_what_no_float_holds_and_what_is_no_network_is_refused(tiny, sky, given, says):
    with pytest.raises(dd.ParameterError, match=says) as refused:
        dd.deepdream(**{"net": tiny, "base_img": sky, **QUICK, **given})
    assert len(str(refused.value)) < 200
    if "net" in given:
        with pytest.raises(dd.ParameterError, match=says):
            dd.make_step(given["net"])


def test_what_overflows_is_an_error_and_no_warning(tiny, sky):
    """Warnings are errors here."""

    def overflowing(dst):
        dst.data[...] *= np.float32(1e38)
        dst.data[...] *= np.float32(1e38)
        return dd.objective_L2(dst)

    with pytest.raises(dd.LayerError, match="the gradient at 'both' is not finite"):
        dd.deepdream(tiny, sky, objective=overflowing, **QUICK)
    with pytest.raises(dd.LayerError, match="is not finite"):
        dd.deepdream(tiny, sky, end={"both": 3e38, "left": 3e38}, **QUICK)


def test_values_within_0_and_1_are_said_to_be_nearly_black(tiny, caplog):
    """`caffe.io.load_image` returns them; a black frame of whole numbers is what it is."""
    unit = np.random.RandomState(0).rand(20, 30, 3).astype(np.float32)
    dd.deepdream(tiny, unit, iter_n=1, octave_n=1)
    assert "within 0..1" in caplog.text and "multiply it by 255" in caplog.text
    caplog.clear()
    dd.guided(tiny, unit)
    assert "within 0..1" in caplog.text
    caplog.clear()
    for fine in (255 * unit, (unit > 0.5).astype(np.uint8), unit - 0.5):
        dd.deepdream(tiny, fine, iter_n=1, octave_n=1)
    assert "within 0..1" not in caplog.text
