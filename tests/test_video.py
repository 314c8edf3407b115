"""Dreams on videos: each frame by itself, and carried along without flicker."""

import numpy as np
import pytest
from helpers import view

import deepdream as dd
from deepdream.optical_flow import warp
from deepdream.video import find_shots

SMALL = {"iter_n": 2, "octave_n": 1, "jitter": 4, "seed": 3}


def test_frames_by_themselves_are_single_dreams(tiny, scene):
    images = [view(scene, index)[0] for index in range(3)]
    frames = list(dd.video_frames(tiny, images, carry=0, **SMALL))
    assert [frame.index for frame in frames] == [0, 1, 2]
    for image, frame in zip(images, frames):
        np.testing.assert_array_equal(frame.image, dd.deepdream(tiny, image, **SMALL))


def test_going_on_behind_a_frame_gives_the_same_frames(tiny, scene):
    images = [view(scene, index)[0] for index in range(5)]
    for strength in (1, 0.5):
        whole = list(dd.video_frames(tiny, iter(images), strength=strength, **SMALL))
        rest = list(dd.video_frames(tiny, images, strength=strength, after=whole[2], **SMALL))
        assert [frame.index for frame in rest] == [3, 4]
        for one, other in zip(whole[3:], rest):
            np.testing.assert_array_equal(one.image, other.image)


def two_shots(scene):
    """Four frames of one shot, three of another one."""
    images = [view(scene, index)[0] for index in range(4)]
    return images + [255 - view(scene, 20 + index, 64, 96)[0][::-1] for index in range(3)]


def test_shots_are_found(tiny, scene):
    images = two_shots(scene)
    assert list(find_shots(images)) == [0, 4]
    assert list(find_shots(images[:4])) == [0]
    assert list(find_shots([])) == []


@pytest.mark.parametrize(("carry", "strength"), [(0.7, 1.0), (1.0, 0.6)])
def test_a_shot_does_not_depend_on_the_one_before(tiny, scene, carry, strength):
    images = two_shots(scene)
    whole = list(dd.video_frames(tiny, images, carry, strength, **SMALL))
    second = list(dd.video_frames(tiny, images[4:], carry, strength, **SMALL))
    assert len(second) == 3
    for one, other in zip(whole[4:], second):
        np.testing.assert_array_equal(one.image, other.image)
    moved = list(dd.video_frames(tiny, images[1:], carry, strength, **SMALL))
    assert np.abs(moved[0].image - whole[1].image).mean() > 1  # within a shot the dream is carried along


def test_each_frame_has_its_guide(tiny, scene):
    images = [view(scene, index)[0] for index in range(4)]
    guides = [scene[0][:64, 96 * n : 96 * (n + 1)] for n in range(2)] + [scene[1]]
    frames = list(dd.video_frames(tiny, images, carry=0, guides=guides, **SMALL))
    for image, guide, frame in zip(images, [*guides, guides[-1]], frames):  # the last one stays
        objective = dd.guided(tiny, guide)
        np.testing.assert_array_equal(frame.image, dd.deepdream(tiny, image, objective=objective, **SMALL))
    rest = list(dd.video_frames(tiny, images, carry=0, guides=iter(guides), after=frames[1], **SMALL))
    np.testing.assert_array_equal(rest[0].image, frames[2].image)
    np.testing.assert_array_equal(rest[1].image, frames[3].image)
    for wrong, says in [
        ({"guides": []}, "guides is empty"),
        ({"guides": 3}, "guides=3: they must be"),
        ({"guides": guides, "objective": dd.objective_L2}, "pass only one of them"),
    ]:
        with pytest.raises(dd.ParameterError, match=says):
            dd.video_frames(tiny, images, **{**SMALL, **wrong})


def test_strength_blends_with_the_frames(tiny, scene):
    images = [view(scene, index)[0] for index in range(3)]
    none = list(dd.video_frames(tiny, images, strength=0, **SMALL))
    for image, frame in zip(images, none):
        np.testing.assert_array_equal(frame.image, image.clip(0, 255))


def test_a_still_keeps_its_dream(tiny, scene):
    """What does not move is carried along whole: with carry=1 the dream of the first frame stays."""
    image = view(scene, 3)[0]
    first, second = dd.video_frames(tiny, [image, image], carry=1, clip=False, **SMALL)
    added, kept = first.image - image, second.image - image
    assert np.corrcoef(added.ravel(), kept.ravel())[0, 1] > 0.95


def test_wrong_arguments_are_refused_before_the_first_dream(tiny, scene):
    images = [view(scene, index)[0] for index in range(2)]
    for settings, says in [
        ({"carry": 1.5}, "carry=1.5"),
        ({"strength": -1}, "strength=-1"),
        ({"iter_n": 0}, "iter_n=0"),
    ]:
        with pytest.raises(dd.ParameterError, match=says):
            dd.video_frames(tiny, images, **{**SMALL, **settings})
    with pytest.raises(dd.VideoError, match=r"frame 1 is 96×60"):
        list(dd.video_frames(tiny, [images[0], images[1][:60]], **SMALL))
    assert list(dd.video_frames(tiny, [], **SMALL)) == []


def change(scene, frames):
    """The mean frame-to-frame difference of the dream detail, motion compensated by the true motion; and its size."""
    apart, size = [], []
    for index in range(1, len(frames)):
        (before, _, _), (now, flow, seen) = view(scene, index - 1, 96, 144), view(scene, index, 96, 144)
        detail = frames[index].image - now
        apart.append(np.abs(detail - warp(frames[index - 1].image - before, flow))[seen].mean())
        size.append(np.abs(detail).mean())
    return float(np.mean(apart)), float(np.mean(size))


def test_the_dream_moves_along_and_does_not_flicker(squeezenet, scene):
    images = [view(scene, index, 96, 144)[0] for index in range(5)]
    settings = {"iter_n": 6, "octave_n": 2, "seed": 1}
    alone, alone_size = change(scene, list(dd.video_frames(squeezenet, images, carry=0, **settings)))
    carried, carried_size = change(scene, list(dd.video_frames(squeezenet, images, **settings)))
    print(f"difference {carried:.2f}, independent {alone:.2f}; size {carried_size:.2f}, independent {alone_size:.2f}")
    assert carried < alone / 2
    assert carried_size > 0.8 * alone_size  # it is no fainter for that
