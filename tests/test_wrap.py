"""Edges that join: the step over them is like any other, and what cannot join is refused."""

import numpy as np
import pytest

import deepdream as dd
from deepdream import Recipe
from deepdream.resampling import zoom_image_linear, zoom_linear

QUICK = {"iter_n": 2, "octave_n": 2, "end": "both", "seed": 1}


def edge_ratios(net, **settings):
    """The mean step of the detail over the right and the lower edge, each as a share of those inside.

    The mean over many sizes: in one size the lines differ by a tenth, because linear interpolation makes those steps
    largest that no old value divides.
    """
    rng = np.random.RandomState(0)
    over, inside = np.zeros(2), np.zeros(2)
    for size in range(81, 105):
        img = rng.uniform(100, 140, (size, size + 3, 3)).astype(np.float32)
        detail = dd.deepdream(net, img, iter_n=8, octave_n=2, seed=size, **settings) - img
        for axis in (1, 0):
            steps = np.abs(np.roll(detail, -1, axis) - detail).mean(axis=(1 - axis, 2))
            over[1 - axis] += steps[-1]
            inside[1 - axis] += steps[:-1].mean()
    return over / inside


def test_the_step_over_edges_that_join_is_like_any_other(tiny):
    assert min(edge_ratios(tiny)) > 1.3  # without joining
    right, lower = edge_ratios(tiny, wrap="x")
    assert 0.9 < right < 1.1 and lower > 1.3


@pytest.mark.parametrize("tile", [None, 64])
def test_all_four_edges_join(tiny, tile):
    assert all(0.9 < each < 1.1 for each in edge_ratios(tiny, wrap="xy", tile=tile))


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


def test_motion_and_what_it_moves_go_over_edges_that_join():
    pytest.importorskip("cv2")
    from deepdream.optical_flow import motion, warp

    before = dd.resize(np.random.RandomState(0).uniform(0, 255, (16, 24, 3)).astype(np.float32), 96, 144)
    now = np.roll(before, 5, axis=1)
    alone, joined = (motion(before, now, wrap)[1] for wrap in (None, "x"))
    assert alone[:, :4].max() < 0.01 and joined[20:-20, :4].mean() > 0.3
    flow, _ = motion(before, now, "x")
    assert np.abs(flow[20:-20, :, 0] + 5).mean() < 0.5
    exact = np.zeros((96, 144, 2), np.float32)
    exact[:] = -5, -3
    for smooth in (False, True):
        assert np.abs(warp(before, exact, smooth, "xy") - np.roll(before, (3, 5), axis=(0, 1))).max() < 0.01


def test_a_label_without_an_edge(tiny):
    images = [dd.label_picture(tiny, "b", 64, 1, 20, 2, wrap=wrap) for wrap in (None, "xy", "xy")]
    assert np.array_equal(*images[1:]) and not np.array_equal(*images[:2])
    steps = [np.abs(np.roll(img, -1, axis=1) - img).mean(axis=(0, 2)) for img in images[:2]]
    assert [each[-1] / each[:-1].mean() > 2 for each in steps] == [True, False]
    with pytest.raises(dd.ParameterError, match="wrap='y'"):
        dd.label_picture(tiny, "b", wrap="y")


def test_a_panorama_s_poles_are_dreamt_less():
    mask = dd.equirectangular_mask(90, 4)
    assert mask.shape == (90, 4) and mask.dtype == np.float32
    rows = mask[:, 0]
    assert np.allclose(rows, rows[::-1]) and (np.diff(rows[:45]) > 0).all() and 0 < rows[0] < 0.02 < 0.99 < rows[44]
    with pytest.raises(dd.ParameterError, match="height=0"):
        dd.equirectangular_mask(0, 4)
