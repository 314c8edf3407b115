"""What can be combined: each pair of objective and setting that the documentation's table names."""

import itertools

import numpy as np
import pytest

import deepdream as dd

SHAPE = 72, 96
QUICK = {"iter_n": 1, "octave_n": 2, "seed": 1}
MASK = np.zeros(SHAPE, np.float32)
MASK[:, :50] = 1
OBJECTIVES = {
    "layer": lambda net, guide: {"objective": dd.Objective(dd.objective_L2, "both")},
    "guide": lambda net, guide: {"objective": dd.guided(net, guide, "both")},
    "channel": lambda net, guide: {"objective": dd.channels([2, 5], net, "both")},
    "label": lambda net, guide: {"objective": dd.label(net, "b")},
}
SETTINGS = {
    "mask": {"mask": MASK},
    "tiles": {"tile": 64},
    "mask and tiles": {"mask": MASK, "tile": 64},
    "wrap": {"wrap": "x"},
    "wrap and tiles": {"wrap": "xy", "tile": 64},
    "wrap and mask": {"wrap": "xy", "mask": MASK},
    "schedule": {"schedule": lambda number: {"step_size": 2.0 + number}},
    "schedule, wrap, mask and tiles": {
        "schedule": lambda number: {"step_size": 2.0 + number},
        "wrap": "x",
        "mask": MASK,
        "tile": 64,
    },
    "none": {},
}


def dream(net, img, how, **settings):
    if how == "zoom":
        return next(itertools.islice(dd.zoom_frames(net, img, frame_n=2, **settings), 1, None)).image
    if how == "video":
        return list(dd.video_frames(net, [img, np.roll(img, 2, axis=1)], **settings))[1].image
    return dd.deepdream(net, img, **settings)


@pytest.mark.parametrize("how", ["image", "zoom", "video"])
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("one", OBJECTIVES)
def test_each_objective_alone_and_added_to_each_other(tiny, one, setting, how):
    if how == "zoom" and "wrap" in setting:
        with pytest.raises(dd.ParameterError, match="the edges of a zoom cannot join"):
            dream(tiny, np.zeros((*SHAPE, 3)), how, **QUICK, **SETTINGS[setting])
        return
    img = np.random.RandomState(3).uniform(0, 255, (*SHAPE, 3)).astype(np.float32)
    settings = {**QUICK, **SETTINGS[setting]}
    first = OBJECTIVES[one](tiny, img[:40, :40])["objective"]
    alone = dream(tiny, img, how, objective=first, **settings)
    assert np.isfinite(alone).all() and not np.array_equal(alone, img)
    for other in OBJECTIVES:
        # So large a weight that each term counts, whatever the sizes of their gradients.
        second = OBJECTIVES[other](tiny, img[30:, 30:])["objective"] * 1000
        both = dream(tiny, img, how, objective=first + second, **settings)
        assert np.isfinite(both).all()
        if other != one:
            assert not np.array_equal(both, alone), other
        if "mask" in settings and how == "image":
            assert np.array_equal(both[:, 50:], img[:, 50:])
