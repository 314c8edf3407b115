"""The steps of a dream at full size, and the file that collects them."""

import numpy as np

import deepdream as dd
from deepdream.io.step_film import StepFilm
from deepdream.octaves import octave_shapes
from deepdream.preview import FullSizePreview


def test_the_steps_of_a_dream_are_shown_at_full_size(tiny):
    image = np.random.RandomState(3).uniform(0, 255, (40, 56, 3)).astype(np.float32)
    settings = {"iter_n": 2, "octave_n": 2, "jitter": 4, "seed": 1}
    steps = list(dd.dream_steps(tiny, image, **settings))
    preview = FullSizePreview(image, octave_shapes(40, 56, 2, 1.4))
    with StepFilm() as film:
        for step in steps:
            film.add(preview.of(step.image, step.octave))
        for _ in range(2):
            pictures = list(film)
            assert [picture.shape for picture in pictures] == [(40, 56, 3)] * 4
    # At full size they are the steps themselves, at the smaller one the picture with something soft added.
    for step, picture in zip(steps[2:], pictures[2:]):
        np.testing.assert_array_equal(picture, np.rint(step.image.clip(0, 255)))
    sharp, added = image - image.mean(), pictures[1] - image
    assert np.corrcoef(sharp.ravel(), (pictures[1] - pictures[1].mean()).ravel())[0, 1] > 0.95
    assert np.abs(added).mean() > 0.5
