"""The bundled images, noise, and the images of the release of 2015."""

import numpy as np
import pytest
from helpers import CONTENT, CONTENT_SHA256, closed_port, files_below

import deepdream
from deepdream import ImageError, ParameterError
from deepdream.data import bundled, clouds
from deepdream.io import arrays
from deepdream.io.arrays import fit

pytestmark = pytest.mark.usefixtures("no_user_data")


def test_the_names_of_pictures():
    assert set(bundled.BUILT_IN) == {"sky", "clouds", "cat", "face", "coffee", "rocket"}
    for name in ("clouds", "cat", "face", "coffee", "rocket"):
        img = deepdream.picture(name)
        assert img.dtype == np.float32
        assert img.shape[2] == 3
        assert 0 <= img.min() < 60
        assert 200 < img.max() <= 255
    np.testing.assert_array_equal(clouds.clouds(), clouds.clouds())


def test_noise():
    img = deepdream.picture("noise:40x30")
    assert img.shape == (30, 40, 3)
    # What the release began from: np.random.uniform(size=(…, 3)) + 100.
    np.testing.assert_array_equal(img, np.float32(np.random.RandomState(0).uniform(size=(30, 40, 3)) + 100))


@pytest.fixture
def released(monkeypatch, site):
    """The release's files come from the server of this test; sky1024px.jpg is "good" there."""
    monkeypatch.setattr(bundled, "_RELEASE", site[0] + "/")
    monkeypatch.setitem(bundled.RELEASE_FILES, "good", CONTENT_SHA256)
    monkeypatch.setitem(bundled.RELEASE_FILES, "missing", CONTENT_SHA256)
    return site[1]


def test_a_picture_of_the_release_is_fetched_once(empty_cache, released):
    path = bundled.release_file("good")
    assert path.read_bytes() == CONTENT
    assert bundled.release_file("good") == path == empty_cache / "images" / "good"
    assert released == ["/good"]


def test_a_damaged_picture_in_the_cache_is_fetched_again(empty_cache, released):
    bundled.release_file("good").write_bytes(b"half")
    assert bundled.release_file("good").read_bytes() == CONTENT
    assert released == ["/good", "/good"]


def test_a_picture_of_the_release_that_cannot_be_had(empty_cache, released):
    with pytest.raises(ImageError, match="/missing: 404"):
        bundled.release_file("missing")
    assert files_below(empty_cache) == []


def test_a_picture_in_the_users_folder_comes_first(tmp_path, monkeypatch, empty_cache, released):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "good").write_bytes(b"mine")
    monkeypatch.setenv("DEEPDREAM_DATA", str(tmp_path))
    assert bundled.release_file("good").read_bytes() == b"mine"
    assert released == []


def test_without_googles_sky_there_are_clouds(empty_cache, monkeypatch, log_lines):
    monkeypatch.setattr(bundled, "_RELEASE", f"http://127.0.0.1:{closed_port()}/")
    np.testing.assert_array_equal(bundled.picture("sky"), clouds.clouds())
    assert len(log_lines()) == 1
    assert "connection refused" in log_lines()[0]


def test_a_picture_in_a_smaller_size():
    cat = deepdream.picture("cat")
    np.testing.assert_array_equal(deepdream.picture("cat", 100), fit(cat, 100))
    np.testing.assert_array_equal(deepdream.picture("cat", max_size=1000), cat)
    with pytest.raises(ParameterError, match="max_size=0: the longer side in pixels"):
        deepdream.picture("cat", 0)


def test_noise_is_made_in_parts(monkeypatch):
    expected = deepdream.picture("noise:40x30")
    monkeypatch.setattr(arrays, "BLOCK_PIXELS", 90)
    np.testing.assert_array_equal(deepdream.picture("noise:40x30"), expected)


def test_noise_too_large_for_the_memory(little_memory):
    with pytest.raises(ImageError, match=r"the noise has 4000×3000 pixels and needs about 0\.1 GiB .* scale it down"):
        deepdream.picture("noise:4000x3000")
