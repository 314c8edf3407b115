"""HEIC and AVIF: files of pillow-heif and Pillow, whose stored pixels are read here by pillow-heif itself."""

import io
import sys

import numpy as np
import pytest
from helpers import P3_COLORANTS, icc_profile, image_error, srgb_curve
from PIL import Image, ImageCms, features

from deepdream import DreamError, read_image
from deepdream.io.heif import prepare_heif
from deepdream.playground.decoder import Decoding
from deepdream.playground.uploads import Limits, uploaded

COLOURS = np.repeat(
    np.repeat(np.uint8([[[200, 60, 40], [60, 180, 90]], [[90, 90, 200], [240, 240, 240]]]), 32, 0), 24, 1
)
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


def heic(pixels=COLOURS, **options):
    """The bytes of a HEIC image."""
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    picture = pillow_heif.from_pillow(Image.fromarray(pixels))
    picture.save(file, quality=-1, chroma=444, **options)
    return file.getvalue()


def avif(pixels=COLOURS, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "AVIF", quality=100, subsampling="4:4:4", **options)
    return file.getvalue()


def read(content):
    return read_image(io.BytesIO(content))


def test_a_heic_image():
    assert np.abs(read(heic()) - COLOURS).max() <= 2


def test_a_heic_image_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert np.abs(read(heic(exif=exif.tobytes())) - np.rot90(COLOURS, -1)).max() <= 2


def test_the_profile_of_a_heic_image():
    profile = icc_profile(srgb_curve(), colorants=P3_COLORANTS)
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    expected = np.asarray(ImageCms.profileToProfile(Image.fromarray(COLOURS), source, target)).astype(int)
    picture = pytest.importorskip("pillow_heif").from_pillow(Image.fromarray(COLOURS))
    picture.info["icc_profile"] = profile
    file = io.BytesIO()
    picture.save(file, quality=-1, chroma=444)
    img = read(file.getvalue())
    assert np.abs(img - COLOURS).max() > 10
    assert np.abs(img - expected).max() <= 3


def test_a_heic_image_with_alpha():
    pixels = np.dstack([COLOURS, np.full(COLOURS.shape[:2], 51, np.uint8)])
    assert np.abs(read(heic(pixels)) - (0.2 * COLOURS + 0.8 * 255)).max() <= 2


def test_without_the_extra_one_line_names_it(monkeypatch, tmp_path):
    content = heic()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(content)
    text = image_error(read_image, path)
    assert text == f"{path} is a HEIC image, and reading it needs the extra `heif`: pip install 'deepdream-caffe[heif]'"
    with pytest.raises(DreamError, match="needs the extra `heif`"):
        uploaded("IMG_0001.HEIC", content, Limits())


@needs_avif
def test_an_avif_image_is_not_taken_for_heic():
    content = avif()
    assert not prepare_heif(io.BytesIO(content), "a")
    assert np.abs(read(content) - COLOURS).max() <= 3


@pytest.mark.parametrize("make", [heic, pytest.param(avif, marks=needs_avif)])
def test_the_playground_reads_them(make):
    picture = uploaded("photo", make(), Limits())
    decoded = Decoding(picture, 1600, 1200).result()
    assert decoded.shape == (64, 48)


def test_a_damaged_heic_image():
    assert "damaged or cut short" in image_error(read, heic()[:-100])


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\0\x18ftyp", b"\xff\xff\xff\xffftypheic", b"\0\0\0\x18ftypisom\0\0\2\0isomavc1"]
)
def test_other_files_are_not_heic(content):
    prepare_heif(io.BytesIO(content), "a")
    assert "a is " not in image_error(read, content)
