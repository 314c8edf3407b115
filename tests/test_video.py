"""Dreams on videos: each frame by itself, and carried along without flicker."""

import numpy as np
import pytest
from helpers import view

import deepdream as dd
from deepdream.optical_flow import warp

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
