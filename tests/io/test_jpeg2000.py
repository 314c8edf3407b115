"""JPEG 2000: its deep colours, whose right values are those that OpenCV's encoder was given, and its boxes."""

import io
import struct
import sys

import numpy as np
import pytest
from helpers import (
    CAMERA_XMP,
    P3_COLORANTS,
    assert_rgb,
    deep_jpeg2000,
    icc_profile,
    image_error,
    iso_box,
    jpeg2000_with_profile,
    srgb_curve,
)
from PIL import Image, ImageCms

from deepdream import ImageError, read_image
from deepdream.io.image import open_image
from deepdream.io.jpeg2000 import read_header

P3 = icc_profile(srgb_curve(), colorants=P3_COLORANTS)
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
DEEP = np.random.RandomState(4).randint(0, 65536, (64, 96, 3)).astype(np.uint16)
DEEP[:2] = 65535, 65535, 65535  # which Pillow rounds up, and stores as 0
DEEP[2:4] = 65408, 65407, 127


def eight_bit(mode="RGB"):
    file = io.BytesIO()
    Image.fromarray(np.uint8(DEEP >> 8)).convert(mode).save(file, "JPEG2000")
    return file.getvalue()


def with_uuid(content, name, data):
    """A file with a box of this name before its codestream."""
    at = content.index(b"jp2c") - 4
    return content[:at] + iso_box(b"uuid", name + data) + content[at:]


@pytest.mark.parametrize("bits", [16, 12, 10])
def test_deep_colours_keep_their_low_bits(bits):
    values = DEEP >> (16 - bits)
    assert_rgb(read_image(io.BytesIO(deep_jpeg2000(values, bits))), values / (2**bits - 1) * 255, 0.001)


def test_a_codestream_without_boxes():
    content = deep_jpeg2000(DEEP)
    assert_rgb(read_image(io.BytesIO(content[content.index(b"\xff\x4f\xff\x51") :])), DEEP / 257, 0.001)


def test_deep_grey():
    file = io.BytesIO()
    Image.fromarray(DEEP[:, :, 0]).save(file, "JPEG2000")
    assert_rgb(read_image(file), DEEP[:, :, :1] / 257, 0.001)


def test_deep_colours_with_alpha():
    values = np.dstack([DEEP, np.full(DEEP.shape[:2], 13107, np.uint16)])
    source = open_image(io.BytesIO(deep_jpeg2000(values)))
    assert_rgb(source.full(), 0.2 * DEEP / 257 + 0.8 * 255, 0.01)
    assert source.alpha() == pytest.approx(0.2)


def test_an_icc_profile():
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(P3)), ImageCms.createProfile("sRGB")
    stored = Image.fromarray(np.uint8(DEEP >> 8))
    expected = np.asarray(ImageCms.profileToProfile(stored, source, target)).astype(int)
    assert np.abs(expected - (DEEP >> 8)).max() > 20
    assert_rgb(read_image(io.BytesIO(jpeg2000_with_profile(eight_bit(), P3))), expected, 1)
    whole = (DEEP >> 8) * 257  # the same colours with 16 bits
    assert_rgb(read_image(io.BytesIO(jpeg2000_with_profile(deep_jpeg2000(whole), P3))), expected, 1)


def test_metadata():
    content = with_uuid(eight_bit(), XMP_UUID, CAMERA_XMP)
    assert b'xmp:Rating="4"' in open_image(io.BytesIO(content)).metadata.xmp
    assert open_image(io.BytesIO(content)).metadata.dropped == ()
    content = with_uuid(eight_bit(), b"JpgTiffExif->JP2", b"II*\0")
    assert open_image(io.BytesIO(content)).metadata.dropped == ("the EXIF data",)


def test_without_opencv_one_line_names_the_extra(monkeypatch, tmp_path):
    path = tmp_path / "a.jp2"
    path.write_bytes(deep_jpeg2000(DEEP))
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert image_error(read_image, path) == (
        f"{path} is a JPEG 2000 image with 16 bits a channel, and reading it needs the extra `video`: "
        "pip install 'deepdream-caffe[video]'"
    )


def test_what_cannot_be_read_is_refused_by_name(tmp_path, capfd):
    content = deep_jpeg2000(DEEP)
    space = content.index(b"colr") + 7
    path = tmp_path / "a.jp2"
    for changed, says in (
        (content[:space] + b"\0\0\0\x12" + content[space + 4 :], "of a kind that cannot be read"),  # sYCC
        (content[:3000], "is damaged or cannot be read"),
    ):
        path.write_bytes(changed)
        text = image_error(read_image, path)
        assert text.startswith(f"{path} is a JPEG 2000 image with 16 bits a channel, ") and says in text
        assert text.endswith("export it as a 16-bit TIFF")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("length", [0, 4, 12, 20, 40, 80, 90, 120])
def test_damaged_boxes(length):
    content = eight_bit()
    image_error(read_image, io.BytesIO(content[:length]))
    junk = content[:length] + b"\0\0\0\1" + content[length + 4 :]
    try:
        read_image(io.BytesIO(junk))
    except ImageError as error:
        assert "damaged" in str(error) or "not an image" in str(error) or "cannot be read" in str(error)


def test_an_empty_colour_specification_is_skipped():
    content = eight_bit()
    start = content.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", content, start)
    ihdr = start + 30  # its end
    changed = struct.pack(">I", size + 8) + content[start + 4 : ihdr] + iso_box(b"colr", b"") + content[ihdr:]
    assert read_header(Image.new("RGB", (1, 1)), io.BytesIO(content[:start] + changed)).space == 16
