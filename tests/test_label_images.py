"""Images of labels, out of noise."""

import os
import subprocess
import sys

import caffe
import numpy as np
import pytest
from helpers import assert_is_the_gradient

import deepdream as dd
from deepdream import label_images

SHORT = {"size": 64, "iter_n": 3, "octave_n": 2}


def shown(net, picture):
    """(label, probability) of a picture as its file holds it."""
    return dd.classify(net, np.rint(picture), top=1)[0]


def test_the_classifier_sees_the_label_in_a_picture_of_it(googlenet):
    picture = dd.label_picture(googlenet, "starfish", seed=0)
    assert picture.shape == (224, 224, 3) and picture.dtype == np.float32
    assert picture.min() >= -1e-3 and picture.max() <= 255 + 1e-3
    name, probability = shown(googlenet, picture)
    assert name == "starfish, sea star" and probability > 0.9


def test_squeezenet_as_well(squeezenet):
    name, probability = shown(squeezenet, dd.label_picture(squeezenet, "starfish", seed=0))
    assert name == "starfish, sea star" and probability > 0.9


def test_steps_are_the_picture(squeezenet):
    steps = list(dd.label_steps(squeezenet, "banana", **SHORT, octave_scale=2, seed=4))
    assert [(s.octave, s.iteration) for s in steps] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert [s.image.shape for s in steps] == [(32, 32, 3)] * 3 + [(64, 64, 3)] * 3
    again = dd.label_picture(squeezenet, "banana", **SHORT, octave_scale=2, seed=4)
    assert np.array_equal(steps[-1].image, again)


def test_the_odds_rise(squeezenet):
    steps = dd.label_steps(squeezenet, "banana", size=96, iter_n=20, octave_n=1, seed=0)
    odds = [step.objective for step in steps]
    assert odds[0] < 0 and odds[-1] > odds[0] + 3


def test_the_objective_is_the_log_of_the_label_s_odds(tiny):
    assert_is_the_gradient(tiny, "score", label_images._odds(2))
    tiny.blobs["score"].data[...] = [[1, -2, 0.5, 3, 0]]
    p = np.exp([1, -2, 0.5, 3, 0])[2] / np.exp([1, -2, 0.5, 3, 0]).sum()
    assert label_images._odds(2)(tiny.blobs["score"]) == pytest.approx(np.log(p / (1 - p)), rel=1e-6)


def test_same_seed_same_picture_and_without_a_seed_another(squeezenet):
    first = dd.label_picture(squeezenet, "banana", **SHORT, seed=3)
    dd.deepdream(squeezenet, first, iter_n=1, octave_n=1)
    assert np.array_equal(dd.label_picture(squeezenet, "Banana", **SHORT, seed=3), first)
    assert not np.array_equal(dd.label_picture(squeezenet, "banana", **SHORT, seed=4), first)
    assert not np.array_equal(
        dd.label_picture(squeezenet, "banana", **SHORT), dd.label_picture(squeezenet, "banana", **SHORT)
    )


LABEL_PICTURE = """
import hashlib, sys, deepdream as dd
net = dd.load(sys.argv[1])
*_, step = dd.label_steps(net, "ant", size=int(sys.argv[2]), iter_n=2, octave_n=2, seed=1)
print(hashlib.sha256(step.image).hexdigest(), repr(step.objective), dd.classify(net, step.image))
"""


@pytest.mark.skipif(
    "FastInnerProduct" not in caffe.layer_type_list(),
    reason="this Caffe's layers round differently with another number of threads",
)
@pytest.mark.parametrize(
    "model",
    [
        pytest.param("squeezenet_v1.1", marks=pytest.mark.network),
        pytest.param("bvlc_googlenet", marks=pytest.mark.weights),
    ],
)
def test_the_same_with_any_number_of_threads(model, request):
    """GoogLeNet's classifier is fully connected: its gradient is a sum over a thousand labels."""
    request.getfixturevalue("squeezenet_file" if model == "squeezenet_v1.1" else "googlenet_weights")
    found = {
        subprocess.run(
            [sys.executable, "-c", LABEL_PICTURE, model, "64" if model == "squeezenet_v1.1" else "96"],
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in (1, 2, 3)
    }
    assert len(found) == 1, found


def test_the_blur_makes_neighbours_alike(squeezenet):
    """What makes a picture readable: without it neighbouring pixels differ several times as much."""

    def roughness(blur):
        picture = dd.label_picture(squeezenet, "banana", size=64, iter_n=10, octave_n=1, seed=0, blur=blur)
        return np.abs(np.diff(picture, axis=1)).mean()

    assert roughness((0, 0)) > 3 * roughness((2, 1))


def test_the_edge_changes_less_than_the_middle(squeezenet):
    picture = dd.label_picture(squeezenet, "banana", size=96, iter_n=6, octave_n=1, seed=0, blur=(1, 1))
    grey = squeezenet.mean[::-1].ravel()
    corner, middle = (np.abs(picture[part, part] - grey).mean() for part in (slice(0, 8), slice(40, 56)))
    assert middle > 3 * corner


def test_other_shapes_than_squares(squeezenet):
    assert dd.label_picture(squeezenet, "banana", size=(48, 80), iter_n=1, octave_n=2, seed=0).shape == (48, 80, 3)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"size": 0}, "size=0: the side of the image in pixels must be a whole number, from 1 to 4096"),
        ({"size": (64, 64, 3)}, r"size=\(64, 64, 3\)"),
        ({"size": (64, 1.5)}, "size=1.5"),
        ({"size": "64"}, "size='64'"),
        ({"iter_n": 0}, "iter_n=0"),
        ({"octave_n": 0}, "octave_n=0"),
        ({"octave_scale": 0.5}, "octave_scale=0.5"),
        ({"step_size": -1}, "step_size=-1: the step size must be a finite number, from 0"),
        ({"jitter": 10**20}, "jitter"),
        ({"blur": (1, -1)}, "blur=-1"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_parameters_out_of_range_are_refused_before_the_first_step(squeezenet, settings, reason):
    with pytest.raises(dd.ParameterError, match=reason):
        dd.label_steps(squeezenet, "banana", **{**SHORT, **settings})


def test_what_cannot_be_shown_is_refused_before_the_first_step(squeezenet):
    with pytest.raises(dd.ImageError, match="too few to dream 'pool10'"):
        dd.label_steps(squeezenet, "banana", size=20)
    with pytest.raises(dd.ParameterError, match="does not know 'bananna'; did you mean 'banana'"):
        dd.label_steps(squeezenet, "bananna")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"blur": 0.5}, "blur=0.5: it must be two numbers of pixels"),
        ({"blur": (1, 2, 3)}, r"blur=\(1, 2, 3\)"),
        ({"blur": (1e9, 1)}, "blur=1000000000.0: the blur in pixels must be a finite number, from 0 to 4096"),
        ({"size": None}, "size=None: it must be a number of pixels"),
        ({"size": 10**5000}, "size=a number of thousands"),
        ({"step_size": 10**400}, "step_size=1000"),
        ({"name": "9" * 5000}, "is not a label: give a name"),
        ({"net": "bvlc"}, "net='bvlc': it must be a deepdream.Net"),
    ],
)
def test_strange_arguments_are_refused_with_their_limit(tiny, given, says):
    with pytest.raises(dd.ParameterError, match=says) as refused:
        dd.label_steps(**{"net": tiny, "name": "a", **given})
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("scale", [0, 1e-40])
def test_a_network_that_hardly_responds_leaves_the_noise_unchanged(tiny, scale):
    """The quotient of the step's size and the gradient's would overflow; NumPy's warnings are errors here."""
    tiny.params["conv1"][0].data[...] *= scale
    steps = [step.image for step in dd.label_steps(tiny, 1, 32, iter_n=2, octave_n=1, seed=0, blur=(0, 0))]
    assert np.isfinite(steps).all()
    np.testing.assert_array_equal(steps[0], steps[1])
