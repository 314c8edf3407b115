"""Networks that read grey images."""

import numpy as np
import pytest
from families import FAMILIES, LABELS, load_family
from helpers import TINY, assert_rises, set_image
from PIL import Image

import deepdream as dd
from deepdream.network.luminance import luminance
from deepdream.preview import FullSizePreview

QUICK = {"iter_n": 2, "octave_n": 2, "seed": 1}
GREY = TINY.replace("dim: 2 dim: 3", "dim: 2 dim: 1")


@pytest.fixture
def grey(tmp_path):
    return load_family(tmp_path, "googlenet", channels=1)


def grey_image(img):
    return np.repeat(luminance(img)[:, :, None], 3, 2)


def assert_grey(img):
    assert img.ndim == 3 and img.shape[2] == 3
    assert np.array_equal(img[:, :, 0], img[:, :, 1]) and np.array_equal(img[:, :, 1], img[:, :, 2])


def test_luminance_is_that_of_pillow():
    """Pillow's mode L has the same weights, in whole numbers."""
    img = np.random.RandomState(0).randint(0, 256, (40, 50, 3))
    expected = np.asarray(Image.fromarray(np.uint8(img)).convert("L"), np.float32)
    assert np.abs(luminance(np.float32(img)) - expected).max() <= 0.51
    assert np.allclose(luminance(np.full((2, 2, 3), 255, np.float32)), 255)


def test_preprocess_and_deprocess(grey, sky):
    assert grey.mean.shape == (1, 1, 1) and grey.input.shape[1] == 1
    planes = dd.preprocess(grey, sky)
    assert planes.shape == (1, 90, 160) and planes.dtype == np.float32
    red, green, blue = sky[5, 7].astype(float)
    assert planes[0, 5, 7] == pytest.approx(0.299 * red + 0.587 * green + 0.114 * blue - 118, abs=1e-3)
    out = dd.deprocess(grey, planes)
    assert_grey(out)
    assert out.dtype == np.float32 and np.abs(out - grey_image(sky)).max() < 1e-3
    with pytest.raises(dd.ParameterError, match=r"must be an array \(1, H, W\)"):
        dd.deprocess(grey, np.zeros((3, 4, 4)))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_dreams_in_grey(tmp_path, sky, family):
    net = load_family(tmp_path, family, channels=1)
    assert_rises(net, sky, net.end, iter_n=6, octave_n=1, jitter=0)
    dream = dd.deepdream(net, sky, **QUICK)
    assert_grey(dream)
    assert dream.min() >= 0 and dream.max() <= 255


def test_the_gradient_is_that_of_the_colour_network_that_reads_the_luminance(tmp_path):
    """A colour network whose weights are the grey one's times 0.114, 0.587 and 0.299 computes the same."""
    (tmp_path / "grey.prototxt").write_text(GREY, encoding="utf-8")
    (tmp_path / "colour.prototxt").write_text(TINY, encoding="utf-8")
    grey = dd.Net(tmp_path / "grey.prototxt", None, 0, "both")
    colour = dd.Net(tmp_path / "colour.prototxt", None, (0, 0, 0), "both")
    for name, blobs in grey.params.items():
        for mine, theirs in zip(blobs, colour.params[name]):
            theirs.data[...] = mine.data
    shares = np.float32([0.114, 0.587, 0.299])[None, :, None, None]
    colour.params["conv1"][0].data[...] = grey.params["conv1"][0].data * shares
    img = dd.resize(dd.picture("cat"), 50, 60)
    gradients = []
    for net in (grey, colour):
        set_image(net, dd.preprocess(net, img))
        gradients.append(net.input_gradient("both", dd.objective_L2)[0].copy())
    assert gradients[0].shape == (1, 50, 60)
    expected = gradients[0] * shares[0]
    assert np.abs(gradients[1] - expected).max() < 1e-4 * np.abs(expected).max()


def test_tiles_guides_labels_and_zooms(grey, sky):
    whole = dd.deepdream(grey, sky, **QUICK)
    assert np.array_equal(dd.deepdream(grey, sky, **QUICK, tile=160), whole)
    assert_rises(grey, sky, grey.end, iter_n=6, octave_n=1, tile=70)
    guide = dd.guided(grey, dd.picture("cat")[:100, :120])
    assert_grey(dd.deepdream(grey, sky, **QUICK, objective=guide))
    assert_grey(dd.deepdream(grey, sky, **QUICK, objective=dd.label(grey, "cat")))
    assert {label for label, _ in dd.classify(grey, sky, top=len(LABELS))} == set(LABELS)
    picture = dd.label_picture(grey, "cat", size=96, seed=1, iter_n=3, octave_n=1)
    assert_grey(picture)
    assert picture.std() > 1
    frames = list(dd.zoom_frames(grey, sky, 2, **QUICK))
    for frame in frames:
        assert_grey(frame.image)
    set_image(grey, dd.preprocess(grey, sky))
    before = grey.input.data.copy()
    assert dd.make_step(grey, jitter=4) > 0
    assert np.abs(grey.input.data - before).mean() > 1


def test_a_colour_image_dreams_as_its_grey_version(grey, sky):
    assert np.abs(dd.deepdream(grey, sky, **QUICK) - dd.deepdream(grey, grey_image(sky), **QUICK)).max() < 0.5


def test_a_preview_of_a_grey_step_has_no_colours(grey, sky):
    preview = FullSizePreview(sky, [(64, 114), (90, 160)])
    steps = dd.dream_steps(grey, sky, iter_n=1, octave_n=2, seed=1)
    first = next(iter(steps))
    shown = preview.of(first.image, first.octave)
    assert shown.shape == sky.shape
    assert_grey(shown)


@pytest.mark.parametrize("mean", [(104, 117, 123), (), float("nan"), "118", None, True])
def test_the_mean_must_be_one_number(tmp_path, mean):
    (tmp_path / "grey.prototxt").write_text(GREY, encoding="utf-8")
    with pytest.raises(dd.ParameterError, match="the mean must be one finite number, for grey images"):
        dd.Net(tmp_path / "grey.prototxt", None, mean, "both")
