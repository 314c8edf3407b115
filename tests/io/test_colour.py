"""Colours come in as a colour-managed viewer shows them: against LittleCMS (Pillow's ImageCms) and standards' formulas.

The colours of each image are a cube of RGB, or all greys.
"""

import io
import struct
import zlib

import numpy as np
import pytest
from helpers import P3_COLORANTS, gamma_profile, icc_profile, png_file, srgb_curve
from PIL import Image, ImageCms

from deepdream import read_image

SIDE = np.linspace(0, 255, 16).astype(np.uint8)
CUBE = np.stack(np.meshgrid(SIDE, SIDE, SIDE), axis=-1).reshape(64, 64, 3)
GREYS = np.arange(256, dtype=np.uint8).reshape(16, 16)
ADOBE_COLORANTS = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
TABLE = [round(65535 * (n / 19) ** 1.8) for n in range(20)]
TABLE_CURVE = struct.pack(">4sII20H", b"curv", 0, 20, *TABLE)
PROFILES = {
    "linear, called sRGB": gamma_profile(1.0, description="GIMP built-in Linear sRGB"),
    "gamma 1.8, called sRGB": gamma_profile(1.8, description="sRGB IEC61966-2.1"),
    "gamma 2.2": gamma_profile(2.2),
    "Display P3": icc_profile(srgb_curve(), colorants=P3_COLORANTS),
    "Adobe RGB": gamma_profile(563 / 256, colorants=ADOBE_COLORANTS),
    "a table": icc_profile(TABLE_CURVE),
}


def lcms(pixels, profile):
    """What LittleCMS makes of uint8 pixels with a profile: int (H, W, 3), sRGB."""
    picture = Image.fromarray(pixels)
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    # Without cmsFLAGS_NOOPTIMIZE, it rounds dark greys through a table of 33 entries.
    flags = 0x0100 if picture.mode == "L" else 0
    converted = ImageCms.profileToProfile(picture, source, target, outputMode="RGB", flags=flags)
    return np.asarray(converted).astype(int)


def encoded(picture, file_format, **options):
    file = io.BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


def read(content):
    return read_image(io.BytesIO(content))


def deep(pixels):
    """The same colours with 16 bits: the bytes of a PNG's rows."""
    return [(257 * row.astype(np.uint32)).astype(">u2").tobytes() for row in pixels]


def iccp(profile):
    return b"iCCP", b"p\0\0" + zlib.compress(profile)


def assert_near(img, expected, tolerance=1):
    assert np.abs(img - expected).max() <= tolerance


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_a_profile_is_used_whatever_it_is_called(name, file_format):
    options = {"WEBP": {"lossless": True}}.get(file_format, {})
    content = encoded(Image.fromarray(CUBE), file_format, icc_profile=PROFILES[name], **options)
    with Image.open(io.BytesIO(content)) as stored:  # a JPEG changes the colours, and the profile is then used
        assert_near(read(content), lcms(np.asarray(stored), PROFILES[name]), 0)


def test_middle_grey_of_gimps_linear_srgb():
    content = encoded(Image.new("RGB", (3, 3), (128, 128, 128)), "PNG", icc_profile=PROFILES["linear, called sRGB"])
    assert (read(content) == 188).all()


@pytest.mark.parametrize("description", ["sRGB IEC61966-2.1", "c2", "Monitor"])
def test_srgb_by_any_name_changes_nothing(description):
    profile = icc_profile(srgb_curve(), description=description)
    assert (read(encoded(Image.fromarray(CUBE), "PNG", icc_profile=profile)) == CUBE).all()
    grey = icc_profile(srgb_curve(), grey=True, description=description)
    assert (read(encoded(Image.fromarray(GREYS), "PNG", icc_profile=grey)) == GREYS[:, :, None]).all()


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_with_sixteen_bits(name):
    content = png_file(64, 64, 16, 2, deep(CUBE), iccp(PROFILES[name]))
    assert_near(read(content), lcms(CUBE, PROFILES[name]))


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_a_profile_of_grey_with_sixteen_bits(gamma, file_format):
    profile = gamma_profile(gamma, grey=True)
    picture = Image.fromarray(257 * GREYS.astype(np.uint16))
    assert_near(read(encoded(picture, file_format, icc_profile=profile)), lcms(GREYS, profile))


def test_a_profile_with_sixteen_bits_has_no_steps():
    """The darkest values of a linear image are far apart in eight bits, and are smooth in sixteen."""
    values = np.arange(512, dtype=np.uint16)[None]
    img = read(encoded(Image.fromarray(values), "PNG", icc_profile=gamma_profile(1.0, grey=True)))
    light = values / 65535
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert_near(img[:, :, 0], expected, 0.01)


def chrm(*points):
    return b"cHRM", struct.pack(">8I", *(round(100_000 * value) for point in points for value in point))


def gama(gamma):
    return b"gAMA", struct.pack(">I", round(100_000 * gamma))


SRGB_CHRM = chrm((0.3127, 0.3290), (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
WIDE_CHRM = chrm((0.3127, 0.3290), (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
NOT_D65_CHRM = chrm((0.34567, 0.35850), (0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))  # ProPhoto RGB's
PROPHOTO_COLORANTS = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82490))


def srgb_of(light):
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("gamma", [1.0, 0.5556, 0.35])
@pytest.mark.parametrize("chunks", [(), (SRGB_CHRM,)])
@pytest.mark.parametrize("depth", [8, 16])
def test_gama(gamma, chunks, depth):
    rows = deep(CUBE) if depth == 16 else [row.tobytes() for row in CUBE]
    img = read(png_file(64, 64, depth, 2, rows, gama(gamma), *chunks))
    assert_near(img, srgb_of((CUBE / 255) ** (1 / gamma)), 0.1)


@pytest.mark.parametrize("depth, colour", [(8, 0), (16, 0), (8, 4)])
def test_gama_of_grey(depth, colour):
    rows = deep(GREYS) if depth == 16 else [row.tobytes() for row in GREYS]
    if colour == 4:
        rows = [bytes(value for grey in row for value in (grey, 255)) for row in GREYS]
    img = read(png_file(16, 16, depth, colour, rows, gama(1.0)))
    assert_near(img, srgb_of(GREYS / 255)[:, :, None], 0.1)


def test_gama_of_a_palette():
    palette = bytes([0, 0, 0, 128, 128, 128, 255, 0, 0])
    img = read(png_file(3, 1, 8, 3, [bytes([0, 1, 2])], gama(1.0), (b"PLTE", palette)))
    assert_near(img, np.array([[[0, 0, 0], [188, 188, 188], [255, 0, 0]]]), 0.5)


@pytest.mark.parametrize(
    "chunks, colorants, gamma",
    [
        ((gama(256 / 563), WIDE_CHRM), ADOBE_COLORANTS, 563 / 256),
        ((gama(1 / 1.8), NOT_D65_CHRM), PROPHOTO_COLORANTS, 1.8),
    ],
)
def test_chrm_is_as_a_profile_with_those_primaries(chunks, colorants, gamma):
    img = read(png_file(64, 64, 8, 2, [row.tobytes() for row in CUBE], *chunks))
    assert_near(img, lcms(CUBE, gamma_profile(gamma, colorants=colorants)), 1.5)  # both gammas are rounded
    assert np.abs(img - CUBE).max() > 20


@pytest.mark.parametrize("chunks", [(gama(0.45455),), (gama(0.45455), SRGB_CHRM), (WIDE_CHRM,), (b"sRGB", b"\0")])
def test_srgb_comes_in_as_it_is(chunks):
    chunks = chunks if isinstance(chunks[0], tuple) else (chunks,)
    assert (read(png_file(64, 64, 8, 2, [row.tobytes() for row in CUBE], *chunks)) == CUBE).all()


BT2020_LINEAR, SRGB_CICP, P3_CICP = (bytes(codes) for codes in ((9, 8, 0, 1), (1, 13, 0, 1), (12, 13, 0, 1)))


@pytest.mark.parametrize(
    "chunks, kind",
    [
        ([(b"cICP", P3_CICP), iccp(gamma_profile(1.0)), (b"sRGB", b"\0"), gama(1.0)], "P3"),
        ([(b"cICP", SRGB_CICP), iccp(gamma_profile(1.0))], "sRGB"),
        ([(b"cICP", bytes((1, 200, 0, 1))), iccp(gamma_profile(1.0))], "linear"),  # an unknown code
        ([(b"cICP", bytes((2, 2, 0, 1))), gama(1.0)], "linear"),  # not specified
        ([gama(0.45455), iccp(gamma_profile(1.0))], "linear"),
        ([(b"sRGB", b"\0"), gama(1.0), WIDE_CHRM], "sRGB"),
        ([gama(1.0)], "linear"),
        ([(b"gAMA", bytes(4))], "sRGB"),  # a gamma of 0 says nothing
        ([gama(1.0), (b"cHRM", bytes(32))], "sRGB"),
    ],
)
@pytest.mark.parametrize("depth", [8, 16])
def test_the_order_of_precedence_of_pngs_chunks(chunks, kind, depth):
    rows = deep(CUBE) if depth == 16 else [row.tobytes() for row in CUBE]
    img = read(png_file(64, 64, depth, 2, rows, *chunks))
    expected = {"sRGB": CUBE, "linear": srgb_of(CUBE / 255), "P3": lcms(CUBE, PROFILES["Display P3"])}[kind]
    assert_near(img, expected)


def test_a_chunk_behind_the_pixels_does_not_count():
    content = png_file(64, 64, 8, 2, [row.tobytes() for row in CUBE])
    chunk = b"".join(gama(1.0))
    chunk = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    assert (read(content[:-12] + chunk + content[-12:]) == CUBE).all()


# White, mid tones and the brightest light, by the formulas of ITU-R BT.2100 with white at 203 cd/m² (BT.2408).
def pq_signal(nits):
    power = (nits / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


@pytest.mark.parametrize("nits", [0, 1, 20, 50, 100, 203, 1000, 10000])
def test_pq_grey(nits):
    value = round(65535 * pq_signal(nits))
    row = struct.pack(">3H", value, value, value)
    img = read(png_file(1, 1, 16, 2, [row], (b"cICP", bytes((9, 16, 0, 1)))))
    assert_near(img, srgb_of(np.float64(min(nits / 203, 1))), 0.2)


@pytest.mark.parametrize("signal, nits", [(0, 0), (0.75, 203), (1, 1000), (0.5, 1000 * (1 / 12) ** 1.2)])
def test_hlg_grey(signal, nits):
    value = round(65535 * signal)
    img = read(png_file(1, 1, 16, 2, [struct.pack(">3H", value, value, value)], (b"cICP", bytes((9, 18, 0, 1)))))
    assert_near(img, srgb_of(np.float64(min(nits / 203, 1))), 0.3)


def test_a_narrow_range():
    rows = [bytes([16, 16, 16, 235, 235, 235, 126, 126, 126])]
    img = read(png_file(3, 1, 8, 2, rows, (b"cICP", bytes((1, 13, 0, 0)))))
    assert_near(img, 255 / 219 * np.array([[[0], [219], [110]]]), 0.1)
