"""More than eight bits a channel: files of tifffile, Pillow, FFmpeg or written by hand, and values worked out here."""

import io
import struct
from fractions import Fraction

import numpy as np
import pytest
import tifffile
from helpers import assert_rgb, gamma_profile, image_error, png_file
from PIL import Image

from deepdream import read_image

RANDOM = np.random.RandomState(0)
VALUES = RANDOM.randint(0, 65536, (13, 17, 4)).astype(np.uint16)
LEVELS = VALUES / 65535 * 255


def tiff(values, **options):
    """The bytes of a TIFF that tifffile writes."""
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def read(content):
    return read_image(io.BytesIO(content))


def on_white(levels, alpha):
    return levels * alpha + 255 * (1 - alpha)


def png(values, colour, *chunks):
    height, width = values.shape[:2]
    return png_file(width, height, 16, colour, [row.astype(">u2").tobytes() for row in values], *chunks)


def test_a_png_keeps_the_low_bytes():
    assert_rgb(read(png(VALUES[:, :, :3], 2)), LEVELS[:, :, :3], 1e-4)
    alpha = LEVELS[:, :, 3:] / 255
    assert_rgb(read(png(VALUES, 6)), on_white(LEVELS[:, :, :3], alpha), 1e-3)
    assert_rgb(read(png(VALUES[:, :, 2:], 4)), on_white(LEVELS[:, :, 2:3], alpha), 1e-3)


def test_a_png_that_is_interlaced_or_filtered():
    """Pillow's decoder undoes both; FFmpeg wrote the rows of this one with every filter."""
    av = pytest.importorskip("av")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(VALUES[:, :, :3]), "rgb48be")
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = 17, 13, "rgb48be", Fraction(1)
    codec.options = {"pred": "mixed"}
    codec.flags |= 1 << 18  # AV_CODEC_FLAG_INTERLACED_DCT: Adam7
    content = b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])
    assert content[28] == 1  # interlaced
    assert_rgb(read(content), LEVELS[:, :, :3], 1e-4)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("options", [{}, {"planarconfig": "separate"}, {"bigtiff": True}, {"tile": (16, 16)}])
def test_a_tiff_keeps_the_low_bytes(order, compression, options):
    values = VALUES[:, :, :3]
    stored = values.transpose(2, 0, 1) if "planarconfig" in options else values
    content = tiff(stored, photometric="rgb", byteorder=order, compression=compression, **options)
    assert_rgb(read(content), values / 65535 * 255, 1e-4)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_every_compression_of_a_tiff(compression):
    """libtiff recompresses what tifffile wrote; Pillow passes grey of 16 bits through."""
    file = io.BytesIO()
    Image.fromarray(VALUES[:, :, 0]).save(file, "TIFF", compression=compression)
    assert_rgb(read(file.getvalue()), LEVELS[:, :, :1], 1e-4)


@pytest.mark.parametrize("order", "<>")
def test_a_tiff_with_alpha(order):
    alpha = LEVELS[:, :, 3:] / 255
    straight = tiff(VALUES, photometric="rgb", extrasamples=["unassalpha"], byteorder=order)
    assert_rgb(read(straight), on_white(LEVELS[:, :, :3], alpha), 1e-3)
    colours = np.rint(VALUES[:, :, :3] * alpha).astype(np.uint16)
    multiplied = tiff(
        np.dstack([colours, VALUES[:, :, 3]]), photometric="rgb", extrasamples=["assocalpha"], byteorder=order
    )
    assert_rgb(read(multiplied), on_white(LEVELS[:, :, :3], alpha), 0.01)
    grey = tiff(
        VALUES[:, :, 2:], photometric="minisblack", extrasamples=["unassalpha"], planarconfig="contig", byteorder=order
    )
    assert_rgb(read(grey), on_white(LEVELS[:, :, 2:3], alpha), 1e-3)


@pytest.mark.parametrize("bits, dtype", [(16, np.uint16), (32, np.float32), (32, np.uint32)])
@pytest.mark.parametrize("channels", [1, 2])
def test_white_is_zero(bits, dtype, channels):
    top = 1.0 if dtype == np.float32 else 2**bits - 1
    stored = (LEVELS[:, :, 0] / 255 * top).astype(dtype)
    stored[0, 0] = top
    options = {"extrasamples": ["unspecified"], "planarconfig": "contig"} if channels == 2 else {}
    content = tiff(np.dstack([stored] * channels) if channels == 2 else stored, photometric="miniswhite", **options)
    assert_rgb(read(content), 255 - stored[:, :, None] / top * 255, 0.01)


def test_white_is_zero_of_the_other_byte_order():
    content = tiff(VALUES[:, :, 0], photometric="miniswhite", byteorder=">")
    assert_rgb(read(content), 255 - LEVELS[:, :, :1], 1e-3)


def test_a_transparent_value():
    transparent = int(VALUES[3, 4, 0])
    grey = read(png(VALUES[:, :, :1], 0, (b"tRNS", struct.pack(">H", transparent))))
    expected = np.where(VALUES[:, :, :1] == transparent, 255, LEVELS[:, :, :1])
    assert_rgb(grey, expected, 1e-4)
    colour = VALUES[3, 4, :3]
    rgb = read(png(VALUES[:, :, :3], 2, (b"tRNS", colour.astype(">u2").tobytes())))
    assert (rgb[3, 4] == 255).all()
    rgb[3, 4] = LEVELS[3, 4, :3]
    assert_rgb(rgb, LEVELS[:, :, :3], 1e-4)


def test_another_low_byte_is_not_the_transparent_colour():
    values = np.uint16([[[0x1234] * 3, [0x1235] * 3]])
    img = read(png(values, 2, (b"tRNS", values[0, 0].astype(">u2").tobytes())))
    assert_rgb(img, [[[255] * 3, [0x1235 / 257] * 3]], 1e-4)


def test_twelve_bits_in_sixteen():
    """By TIFF's MaxSampleValue, which counts only if it is that of a number of bits."""
    values = RANDOM.randint(0, 4096, (5, 6, 3)).astype(np.uint16)
    said = tiff(values, photometric="rgb", extratags=[(281, 3, 3, (4095,) * 3, True)])
    assert_rgb(read(said), values / 4095 * 255, 1e-3)
    grey = tiff(values[:, :, 0], photometric="minisblack", extratags=[(281, 3, 1, 4095, True)])
    assert_rgb(read(grey), values[:, :, :1] / 4095 * 255, 1e-3)
    statistic = tiff(VALUES[:, :, 0], photometric="minisblack", extratags=[(281, 3, 1, 65000, True)])
    assert_rgb(read(statistic), LEVELS[:, :, :1], 1e-3)


def test_twelve_bits_without_a_word_are_named(caplog):
    values = RANDOM.randint(0, 4096, (5, 6)).astype(np.uint16)
    values[0, 0] = 4095
    assert_rgb(read(tiff(values, photometric="minisblack")), values[:, :, None] / 257, 1e-3)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "its largest value is 4095, and white is 65535" in caplog.text


def packed_twelve_bits(values):
    """A TIFF of 12-bit grey, two values in three bytes, written from TIFF's text."""
    height, width = values.shape
    pairs = values.reshape(-1, 2).astype(int)
    data = b"".join(struct.pack(">I", a << 12 | b)[1:] for a, b in pairs)
    tags = [
        (256, width),
        (257, height),
        (258, 12),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, len(data)),
    ]
    data += bytes(len(data) % 2)
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4)


def test_twelve_bits_packed():
    values = RANDOM.randint(0, 4096, (5, 6))
    values[0, 0] = 4095
    assert_rgb(read(packed_twelve_bits(values)), values[:, :, None] / 4095 * 255, 1e-3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("top", [1, 255, 1000])
def test_float_colour(dtype, top):
    values = (LEVELS[:, :, :3] / 255 * top).astype(dtype)
    values[0, 0] = top
    assert_rgb(
        read(tiff(values, photometric="rgb")), values.astype(float) / top * 255, 0.3 if dtype == np.float16 else 1e-3
    )


def test_float_colour_with_a_linear_profile():
    values = np.float32(LEVELS[:, :, :3] / 255)
    img = read(tiff(values, photometric="rgb", iccprofile=gamma_profile(1.0)))
    expected = 255 * np.where(values <= 0.0031308, 12.92 * values, 1.055 * values ** (1 / 2.4) - 0.055)
    assert_rgb(img, expected, 0.5)  # the profile's primaries are rounded


def test_float_colour_with_alpha():
    values = np.float32(LEVELS / 255)
    img = read(tiff(values, photometric="rgb", extrasamples=["unassalpha"]))
    assert_rgb(img, on_white(LEVELS[:, :, :3], values[:, :, 3:]), 1e-3)


def test_a_float_a_little_above_white_is_white():
    values = np.float32([[[0, 0.5, 1.05]]])
    assert_rgb(read(tiff(values, photometric="rgb")), [[[0, 127.5, 255]]], 1e-3)


def test_float_colour_with_nan():
    values = np.float32(LEVELS[:, :, :3])
    values[3, 3, 1] = np.nan
    assert "not numbers" in image_error(read, tiff(values, photometric="rgb"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_float_tiff(orientation):
    """Against Pillow's own reading of an eight-bit TIFF of the same orientation."""
    values = np.uint8(LEVELS[:, :, :3])
    tag = [(274, 3, 1, orientation, True)]
    eight = read(tiff(values, photometric="rgb", extratags=tag))
    img = read(tiff(np.float32(values / 255), photometric="rgb", extratags=tag))
    assert_rgb(img, eight, 0.01)
    assert_rgb(read(tiff(257 * values.astype(np.uint16), photometric="rgb", extratags=tag)), eight, 1e-3)


def test_thirty_two_bits_unsigned():
    values = RANDOM.randint(0, 2**32, (4, 5, 3)).astype(np.uint32)
    assert_rgb(read(tiff(values, photometric="rgb")), values / (2**32 - 1) * 255, 1e-3)
    assert_rgb(read(tiff(values[:, :, 0], photometric="minisblack")), values[:, :, :1] / (2**32 - 1) * 255, 1e-3)


def test_a_kind_of_tiff_that_cannot_be_read_is_named():
    text = image_error(read, tiff(VALUES[:, :, 0].astype(np.complex64), photometric="minisblack"))
    assert "complex64" in text and "export it as 16-bit RGB" in text


def test_a_float_tiff_cut_short():
    content = tiff(np.float32(LEVELS[:, :, :3]), photometric="rgb")
    assert "damaged or cut short" in image_error(read, content[:-200])


def test_a_float_tiff_that_claims_to_be_huge(little_memory):
    content = bytearray(tiff(np.zeros((2, 2, 3), np.float32), photometric="rgb"))
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        for name in ("ImageWidth", "ImageLength"):
            at = file.pages[0].tags[name].valueoffset
            content[at : at + 2] = struct.pack("<H", 60000)
    assert "60000×60000 pixels and needs about" in image_error(read, bytes(content))
