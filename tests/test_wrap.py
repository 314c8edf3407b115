"""Edges that join: the step over them is like any other, and what cannot join is refused."""

import numpy as np
import pytest

import deepdream as dd
from deepdream import Recipe
from deepdream.resampling import zoom_image_linear, zoom_linear

QUICK = {"iter_n": 2, "octave_n": 2, "end": "both", "seed": 1}


def edge_ratios(net, height, width, **settings):
    """The mean step of the detail over the right and the lower edge, each as a share of those inside."""
    steps, rng = {1: 0, 0: 0}, np.random.RandomState(0)
    for seed in range(16):
        img = rng.uniform(100, 140, (height, width, 3)).astype(np.float32)
        detail = dd.deepdream(net, img, iter_n=8, octave_n=2, seed=seed, **settings) - img
        for axis in steps:
            steps[axis] += np.abs(np.roll(detail, -1, axis) - detail).mean(axis=(1 - axis, 2))
    return [each[-1] / each[:-1].mean() for each in steps.values()]


def test_the_step_over_edges_that_join_is_like_any_other(tiny):
    right, lower = edge_ratios(tiny, 96, 96)
    assert min(right, lower) > 1.3  # without joining
    right, lower = edge_ratios(tiny, 96, 96, wrap="x")
    assert 0.9 < right < 1.1 and lower > 1.3
    for tile in (None, 64):
        assert all(0.9 < each < 1.1 for each in edge_ratios(tiny, 96, 96, wrap="xy", tile=tile)), tile


@pytest.mark.parametrize("shape", [(40, 60), (25, 37), (13, 17), (20, 45)])
def test_resizing_wraps(shape):
    planes = np.random.RandomState(0).rand(3, 20, 30).astype(np.float32)
    thrice = zoom_linear(np.tile(planes, (1, 3, 3)), (3 * shape[0], 3 * shape[1]), "xy")
    middle = thrice[:, shape[0] : 2 * shape[0], shape[1] : 2 * shape[1]]
    assert np.abs(zoom_linear(planes, shape, "xy") - middle).max() < 1e-5
    x_only = zoom_linear(planes, shape, "x")
    assert (
        np.abs(x_only - zoom_linear(np.tile(planes, (1, 1, 3)), (shape[0], 3 * shape[1]), "x")[:, :, : shape[1]]).max()
        < 1e-5
    )


@pytest.mark.parametrize("wrap", ["x", "xy"])
def test_detail_is_enlarged_to_where_it_was(wrap):
    """The dream of an octave is added to the image at the next size: it must not move."""
    y, x = (2 * np.pi * np.arange(n) / n for n in (70, 98))
    large = np.stack(
        [np.sin(y)[:, None] + np.cos(x), np.cos(y)[:, None] * np.sin(x), np.cos(x - 1) + 0 * y[:, None]], -1
    )
    back = zoom_image_linear(zoom_image_linear(np.float32(large), (50, 70), wrap), (70, 98), wrap)
    inner = np.s_[2:-2] if wrap == "x" else np.s_[:]
    assert np.abs(back - large)[inner].max() < 0.01


def test_nothing_changes_where_no_edges_join(tiny, sky):
    assert np.array_equal(dd.deepdream(tiny, sky, wrap=None, **QUICK), dd.deepdream(tiny, sky, **QUICK))
    one, other = (dd.deepdream(tiny, sky, wrap=wrap, **QUICK) for wrap in ("x", "xy"))
    assert not np.array_equal(one, other)
    assert np.array_equal(one, dd.deepdream(tiny, sky, wrap="x", **QUICK))


def test_a_masks_edges_fade_over_edges_that_join():
    img = np.full((20, 40, 3), 255, np.float32)
    img[:, :5] = 0
    assert (dd.read_mask(img, feather=9)[:, 20:] == 1).all()
    joined = dd.read_mask(img, feather=9, wrap="x")
    assert np.allclose(joined[10, -10:], np.arange(10, 0, -1) / 10)
    assert np.allclose(joined[10, 5:15], np.arange(1, 11) / 10)


@pytest.mark.parametrize("wrap", ["y", "", "yx", 1, True, ["x"]])
def test_other_edges_are_refused(tiny, sky, wrap):
    with pytest.raises(dd.ParameterError, match="it must be 'x', where left and right join"):
        dd.dream_steps(tiny, sky, wrap=wrap, **QUICK)
    with pytest.raises(dd.ParameterError):
        Recipe(wrap=wrap)


def test_a_zoom_has_no_edges_that_join(tiny, sky):
    with pytest.raises(dd.ParameterError, match="the edges of a zoom cannot join"):
        dd.zoom_frames(tiny, sky, wrap="x", **QUICK)
