"""Images that visitors send, and the names they give."""

import io

import numpy as np
import pytest
from helpers import png_bytes, write_png_header
from PIL import Image

from deepdream.data import bundled
from deepdream.errors import ImageError
from deepdream.io.arrays import fit, image_sha256, to_uint8
from deepdream.playground import uploads
from deepdream.playground.uploads import Limits, Picture

LIMITS = Limits()


class TestUploads:
    def test_a_picture_is_read_from_its_bytes(self, photo):
        picture = uploads.uploaded("holiday.png", photo, LIMITS)
        assert picture.name == "holiday.png"
        np.testing.assert_array_equal(to_uint8(picture.read()), np.asarray(Image.open(io.BytesIO(photo))))

    @pytest.mark.parametrize("side, says", [(10_000, "100 megapixels"), (15_000, "megapixels")])
    def test_too_many_pixels_are_refused_before_they_are_unfolded(self, side, says, monkeypatch):
        bomb = io.BytesIO()
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # to make it
        Image.new("1", (side, side)).save(bomb, "PNG")
        monkeypatch.undo()
        assert len(bomb.getvalue()) < 1_000_000
        monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
        with pytest.raises(ImageError, match=says):
            uploads.uploaded("bomb.png", bomb.getvalue(), LIMITS)

    def test_the_limit_itself_is_taken(self):
        limits = Limits(megapixels=1)
        assert uploads.uploaded("a.png", png_bytes(np.zeros((1000, 1000, 3))), limits)
        with pytest.raises(ImageError, match=r"1000×1001 pixels, 1 megapixels; the limit here is 1, so"):
            uploads.uploaded("a.png", png_bytes(np.zeros((1001, 1000, 3))), limits)

    def test_what_is_no_picture_is_refused(self, photo):
        postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
        for data in (b"just text", postscript, photo[:20], b"\x89PNG\r\n\x1a\n", b"P6 2 2 255\n" + bytes(12)):
            with pytest.raises(ImageError, match="not a picture that can be read"):
                uploads.uploaded("text.png", data, LIMITS)

    def test_a_damaged_picture_is_refused_when_it_is_decoded(self, photo):
        picture = uploads.uploaded("half.png", photo[: len(photo) // 2], LIMITS)
        with pytest.raises(ImageError, match=r"half\.png"):
            picture.read()

    def test_what_does_not_fit_into_memory_is_refused_by_its_header(self, tmp_path, little_memory):
        picture = uploads.uploaded("a.png", write_png_header(tmp_path / "a.png", 3000, 2000).read_bytes(), LIMITS)
        for read in (picture.read, picture.open, lambda: picture.open(64)):
            with pytest.raises(ImageError, match=r"a\.png has 3000×2000 pixels and needs about"):
                read()

    def test_a_smaller_version_is_that_of_the_whole(self, photo):
        picture = uploads.uploaded("holiday.png", photo, LIMITS)
        whole = picture.read()
        source = picture.open(20)
        assert (source.shape, source.sha256) == (whole.shape, image_sha256(whole))
        np.testing.assert_array_equal(source.fit(20), fit(whole, 20))
        assert Picture("cat").open(20).fit(20).shape == (13, 20, 3)

    def test_too_many_bytes(self):
        with pytest.raises(ImageError, match=r"a\.png has 33\.0 MB; a file may have up to 32 MB here"):
            uploads.check_size("a.png", 33_000_000, LIMITS)

    @pytest.mark.parametrize("size", [True, False, -1, "7", None, 1e3, [1]])
    def test_sizes_that_are_none(self, size):
        with pytest.raises(ImageError, match=r"^a\.png has no size; a file may have up to 32 MB here$"):
            uploads.check_size("a.png", size, LIMITS)

    def test_an_empty_file(self):
        with pytest.raises(ImageError, match=r"a\.png is empty"):
            uploads.check_size("a.png", 0, LIMITS)

    @pytest.mark.parametrize(
        "given, clean",
        [
            ("holiday.jpg", "holiday.jpg"),
            ("../../etc/passwd", "passwd"),
            ("C:\\dir\\x.png", "x.png"),
            ("cat", "cat.png"),
            ("sky", "sky.png"),
            ("noise:64x64", "noise-64x64"),
            ("~/.ssh/id", "id"),
            ("~", "picture"),
            ("", "picture"),
            ("a\nb\0.png", "a-b-.png"),
            (".hidden", "hidden"),
            ("…/наш кот.jpeg", "наш кот.jpeg"),
            ("x" * 300 + ".png", "x" * 60 + ".png"),
        ],
    )
    def test_names_never_mean_another_picture(self, given, clean):
        assert uploads.clean_name(given) == clean
        assert clean not in bundled.BUILT_IN
        assert not clean.startswith("noise:")

    def test_only_pictures_of_the_page_can_be_chosen(self, tmp_path, photo):
        path = tmp_path / "there.png"
        path.write_bytes(photo)
        for name in (str(path), "/etc/passwd", "noise:1601x2", "noise:99999x9", "noise:0x4", "noise:", "~", None, 7):
            with pytest.raises(ImageError, match="is not a picture on this page"):
                uploads.chosen(name, LIMITS)
        assert uploads.chosen("noise:64x32", LIMITS).read().shape == (32, 64, 3)
        assert uploads.chosen("cat", LIMITS) == Picture("cat")

    def test_names_of_dreams(self):
        assert uploads.next_name("cat") == "cat-dream.png"
        assert uploads.next_name("cat-dream.png") == "cat-dream-2.png"
        assert uploads.next_name("cat-dream-2.jpg") == "cat-dream-3.png"
        assert uploads.next_name("noise:64x64") == "noise-64x64-dream.png"
