"""The tables "what comes in" and "what goes out" of images: a file of each kind is made, read, and written again.

The right values are those that were stored, LittleCMS's (Pillow's ImageCms) for profiles, and formulas for the rest.
What is written is read by Pillow, and by exiftool where it is installed.
"""

import io
import json
import re
import shutil
import struct
import subprocess
from typing import NamedTuple, Optional

import numpy as np
import pytest
import tifffile
from helpers import (
    CAMERA_IPTC,
    CAMERA_XMP,
    P3_COLORANTS,
    ROOT,
    camera_photo,
    deep_jpeg2000,
    gamma_profile,
    icc_profile,
    image_error,
    jpeg2000_with_profile,
    png_file,
    srgb_curve,
)
from PIL import Image, ImageCms, features

from deepdream import Recipe, read_image
from deepdream.io.image import open_image, write_image

PIXELS = np.random.RandomState(3).randint(0, 256, (16, 24, 3), np.uint8)
GREY = PIXELS[:, :, 0]
ALPHA = PIXELS[:, :, 1].copy()
FLAT = np.repeat(
    np.repeat(np.uint8([[[200, 60, 40], [60, 180, 90]], [[90, 90, 200], [240, 240, 240]]]), 16, 0), 16, 1
)  # of codecs with losses
P3 = icc_profile(srgb_curve(), colorants=P3_COLORANTS)
DEEP = np.random.RandomState(4).randint(0, 65536, (16, 24, 3)).astype(np.uint16)
TILED = np.tile(DEEP, (4, 3, 1))  # of a codec that needs larger images


def pillow(pixels, file_format, mode=None, **options):
    """The bytes of a file that Pillow writes."""
    file = io.BytesIO()
    picture = Image.fromarray(pixels)
    (picture if mode is None else picture.convert(mode)).save(file, file_format, **options)
    return file.getvalue()


def several(file_format, **options):
    """A file of two images."""
    return pillow(FLAT, file_format, save_all=True, append_images=[Image.fromarray(FLAT[::-1])], **options)


def heif(pixels, **options):
    module = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    if pixels.dtype == np.uint16:
        made = module.from_bytes("RGB;16", pixels.shape[1::-1], pixels.tobytes())
    else:
        made = module.from_pillow(Image.fromarray(pixels))
    made.save(file, quality=-1, chroma=444, **options)
    return file.getvalue()


def avif(pixels, primaries=1, transfer=13):
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    content = pillow(pixels, "AVIF", quality=100, subsampling="4:4:4")
    codes = content.index(b"nclx") + 4
    return content[:codes] + struct.pack(">2H", primaries, transfer) + content[codes + 4 :]


def tiff(values, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def turned(orientation):
    """A PNG whose EXIF data tells this orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return pillow(PIXELS, "PNG", exif=exif)


def on(background, pixels, alpha):
    share = alpha.astype(float)[:, :, None] / 255
    return pixels * share + (1 - share) * background


def lcms(pixels, profile, mode="RGB"):
    """What LittleCMS makes of pixels with a profile."""
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    picture = Image.fromarray(pixels, mode) if mode == "CMYK" else Image.fromarray(pixels)
    return np.asarray(ImageCms.profileToProfile(picture, source, target, outputMode="RGB")).astype(int)


def light_of_pq(signal):
    power = signal ** (1 / 78.84375)
    return 10000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)


def srgb_of(light):
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def jpeg_with_xmp(properties):
    """A JPEG with these properties in its XMP packet, in place of its orientation."""
    segment = b"http://ns.adobe.com/xap/1.0/\0" + CAMERA_XMP.replace(b'tiff:Orientation="6"', properties)
    app1 = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
    return pillow(FLAT, "JPEG", quality=100, subsampling=0, extra=app1)


def pnm(kind, values):
    height, width = values.shape[:2]
    return b"%s %d %d 65535\n" % (kind, width, height) + values.astype(">u2").tobytes()


def rgba():
    return np.dstack([PIXELS, ALPHA])


class Kind(NamedTuple):
    """A kind of file: how it is made, in which row of the documentation it is, and what is read."""

    row: str
    make: object
    expected: object
    tolerance: float = 0.0
    says: str = ""
    dropped: tuple = ()
    alpha: Optional[object] = None


PLAIN, GREYS, TRANSPARENT = "JPEG, PNG, WebP, TIFF, GIF, BMP", "grey, palettes, 1 bit", "transparency"
PROFILE, CHUNKS, HDR, DEEP16 = "an ICC profile", "PNG's cICP", "HDR in PNG", "16 bits a channel"
TWELVE, PACKED, EIGHT = "12 bits in a 16-bit TIFF", "12 bits packed", "16-bit colours in PPM"
TURNED, OTHERS, GAIN, CODES, CMYK = (
    "turned by the camera",
    "animations, bursts, pages",
    "an HDR gain map",
    "the code points",
    "CMYK",
)
GREY3 = np.repeat(GREY[:, :, None], 3, 2)
LINEAR16 = gamma_profile(1.0)
UPRIGHT = {
    1: PIXELS,
    2: PIXELS[:, ::-1],
    3: PIXELS[::-1, ::-1],
    4: PIXELS[::-1],
    5: PIXELS.transpose(1, 0, 2),
    6: np.rot90(PIXELS, -1),
    7: PIXELS[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(PIXELS),
}
KINDS = {
    "png": Kind(PLAIN, lambda: pillow(PIXELS, "PNG"), PIXELS),
    "jpeg": Kind(PLAIN, lambda: pillow(FLAT, "JPEG", quality=100, subsampling=0), FLAT, 2),
    "progressive jpeg": Kind(
        PLAIN, lambda: pillow(FLAT, "JPEG", quality=100, subsampling=0, progressive=True), FLAT, 2
    ),
    "webp": Kind(PLAIN, lambda: pillow(PIXELS, "WEBP", lossless=True), PIXELS),
    "tiff": Kind(PLAIN, lambda: pillow(PIXELS, "TIFF"), PIXELS),
    "tiff lzw": Kind(PLAIN, lambda: pillow(PIXELS, "TIFF", compression="tiff_lzw"), PIXELS),
    "big-endian tiff": Kind(PLAIN, lambda: tiff(PIXELS, byteorder=">", photometric="rgb"), PIXELS),
    "bigtiff": Kind(PLAIN, lambda: tiff(PIXELS, bigtiff=True, photometric="rgb"), PIXELS),
    "gif": Kind(PLAIN, lambda: pillow(FLAT, "GIF"), FLAT),
    "bmp": Kind(PLAIN, lambda: pillow(PIXELS, "BMP"), PIXELS),
    "ppm": Kind(PLAIN, lambda: pillow(PIXELS, "PPM"), PIXELS),
    "tga": Kind(PLAIN, lambda: pillow(PIXELS, "TGA"), PIXELS),
    "jpeg 2000": Kind(PLAIN, lambda: pillow(PIXELS, "JPEG2000"), PIXELS),
    "avif": Kind(PLAIN, lambda: avif(FLAT), FLAT, 3),
    "heic": Kind(PLAIN, lambda: heif(FLAT), FLAT, 2),
    "grey png": Kind(GREYS, lambda: pillow(GREY, "PNG"), GREY3),
    "grey jpeg": Kind(GREYS, lambda: pillow(FLAT[:, :, 0], "JPEG", quality=100), FLAT[:, :, :1], 2),
    "grey tiff, white is zero": Kind(GREYS, lambda: tiff(GREY, photometric="miniswhite"), 255 - GREY3),
    "1-bit png": Kind(GREYS, lambda: pillow(np.uint8(255 * (GREY > 99)), "PNG", "1"), 255 * (GREY3 > 99)),
    "palette png": Kind(GREYS, lambda: pillow(FLAT, "PNG", "P"), FLAT, 60),  # Pillow's web palette
    "png with alpha": Kind(TRANSPARENT, lambda: pillow(rgba(), "PNG"), on(255, PIXELS, ALPHA), 0.01, alpha=ALPHA),
    "grey png with alpha": Kind(
        TRANSPARENT, lambda: pillow(np.dstack([GREY, ALPHA]), "PNG"), on(255, GREY3, ALPHA), 0.01, alpha=ALPHA
    ),
    "webp with alpha": Kind(
        TRANSPARENT,
        lambda: pillow(rgba(), "WEBP", lossless=True, exact=True),
        on(255, PIXELS, ALPHA),
        0.01,
        alpha=ALPHA,
    ),
    "tiff with alpha": Kind(TRANSPARENT, lambda: pillow(rgba(), "TIFF"), on(255, PIXELS, ALPHA), 0.01, alpha=ALPHA),
    "heic with alpha": Kind(
        TRANSPARENT,
        lambda: heif(np.dstack([FLAT, np.full((32, 32), 51, np.uint8)])),
        0.2 * FLAT + 0.8 * 255,
        2,
        alpha=np.full((32, 32), 51),
    ),
    "a transparent colour": Kind(
        TRANSPARENT,
        lambda: png_file(2, 1, 8, 2, [bytes([9, 9, 9, 7, 7, 7])], (b"tRNS", bytes([0, 9, 0, 9, 0, 9]))),
        np.array([[[255] * 3, [7] * 3]]),
        alpha=np.array([[0, 255]]),
    ),
    "gif with transparency": Kind(
        TRANSPARENT,
        lambda: pillow(np.uint8([[0, 1]]), "GIF", "P", transparency=0),
        np.array([[[255] * 3, [1] * 3]]),
        alpha=np.array([[0, 255]]),
    ),
    **{
        f"p3 {name}": Kind(PROFILE, make, lcms(PIXELS, P3))
        for name, make in {
            "png": lambda: pillow(PIXELS, "PNG", icc_profile=P3),
            "tiff": lambda: pillow(PIXELS, "TIFF", icc_profile=P3),
            "webp": lambda: pillow(PIXELS, "WEBP", lossless=True, icc_profile=P3),
        }.items()
    },
    "p3 jpeg": Kind(
        PROFILE, lambda: pillow(FLAT, "JPEG", quality=100, subsampling=0, icc_profile=P3), lcms(FLAT, P3), 3
    ),
    "grey with a profile": Kind(
        PROFILE,
        lambda: pillow(GREY, "PNG", icc_profile=gamma_profile(1.0, grey=True)),
        lcms(GREY, gamma_profile(1.0, grey=True)),
        1,
    ),
    "linear 16-bit png": Kind(
        PROFILE,
        lambda: png_file(24, 16, 16, 2, [row.astype(">u2").tobytes() for row in DEEP], (b"gAMA", b"\0\1\x86\xa0")),
        srgb_of(DEEP / 65535),
        0.05,
    ),
    "gamma in a png": Kind(
        CHUNKS,
        lambda: png_file(24, 16, 8, 2, [row.tobytes() for row in PIXELS], (b"gAMA", b"\0\1\x86\xa0")),
        srgb_of(PIXELS / 255),
        0.1,
    ),
    "p3 by cICP": Kind(
        CHUNKS,
        lambda: png_file(24, 16, 8, 2, [row.tobytes() for row in PIXELS], (b"cICP", bytes([12, 13, 0, 1]))),
        lcms(PIXELS, P3),
        1,
    ),
    "pq in a png": Kind(
        HDR,
        lambda: png_file(
            24,
            16,
            16,
            2,
            [np.repeat(row[:, :1], 3, 1).astype(">u2").tobytes() for row in DEEP],
            (b"cICP", bytes([9, 16, 0, 1])),
        ),
        srgb_of(light_of_pq(np.repeat(DEEP[:, :, :1], 3, 2) / 65535) / 203),
        0.3,
    ),
    "16-bit png": Kind(
        DEEP16, lambda: png_file(24, 16, 16, 2, [row.astype(">u2").tobytes() for row in DEEP]), DEEP / 257, 0.001
    ),
    "16-bit grey png": Kind(DEEP16, lambda: pillow(DEEP[:, :, 0], "PNG"), DEEP[:, :, :1] / 257, 0.001),
    "16-bit tiff": Kind(DEEP16, lambda: tiff(DEEP, photometric="rgb"), DEEP / 257, 0.001),
    "16-bit grey tiff": Kind(DEEP16, lambda: tiff(DEEP[:, :, 0]), DEEP[:, :, :1] / 257, 0.001),
    "16-bit jpeg 2000": Kind(DEEP16, lambda: deep_jpeg2000(TILED), TILED / 257, 0.001),
    "12-bit jpeg 2000": Kind(DEEP16, lambda: deep_jpeg2000(TILED >> 4, 12), (TILED >> 4) / 4095 * 255, 0.001),
    "16-bit grey jpeg 2000": Kind(DEEP16, lambda: pillow(DEEP[:, :, 0], "JPEG2000"), DEEP[:, :, :1] / 257, 0.001),
    "p3 jpeg 2000": Kind(PROFILE, lambda: jpeg2000_with_profile(pillow(PIXELS, "JPEG2000"), P3), lcms(PIXELS, P3)),
    "16-bit pgm": Kind(DEEP16, lambda: pnm(b"P5", DEEP[:, :, 0]), DEEP[:, :, :1] / 257, 0.001),
    "12-bit tiff": Kind(
        TWELVE,
        lambda: tiff(DEEP[:, :, 0] >> 4, extratags=[(281, "H", 1, 4095, True)]),
        (DEEP[:, :, :1] >> 4) / 4095 * 255,
        0.001,
    ),
    "float tiff": Kind(PACKED, lambda: tiff(np.float32(GREY / 255)), GREY3, 0.001),
    "float colour tiff": Kind(PACKED, lambda: tiff(np.float32(PIXELS / 255), photometric="rgb"), PIXELS, 0.001),
    "32-bit tiff": Kind(PACKED, lambda: tiff(DEEP.astype(np.uint32) * 65537, photometric="rgb"), DEEP / 257, 0.001),
    "16-bit ppm": Kind(EIGHT, lambda: pnm(b"P6", DEEP), DEEP / 257, 1),
    "10-bit heic": Kind(EIGHT, lambda: heif(257 * FLAT.astype(np.uint16)), FLAT, 2),
    **{
        f"orientation {number}": Kind(TURNED, lambda number=number: turned(number), upright)
        for number, upright in UPRIGHT.items()
    },
    "animated gif": Kind(OTHERS, lambda: several("GIF"), FLAT, dropped=("the other images",)),
    "animated png": Kind(OTHERS, lambda: several("PNG"), FLAT, dropped=("the other images",)),
    "animated webp": Kind(OTHERS, lambda: several("WEBP", lossless=True), FLAT, dropped=("the other images",)),
    "pages of a tiff": Kind(OTHERS, lambda: several("TIFF"), FLAT, dropped=("the other images",)),
    "several jpegs in one": Kind(
        OTHERS, lambda: several("MPO", quality=100, subsampling=0), FLAT, 2, dropped=("the other images",)
    ),
    "motion photo": Kind(
        OTHERS,
        lambda: (
            jpeg_with_xmp(b'xmlns:c="http://ns.google.com/photos/1.0/camera/" c:MotionPhoto="1"')
            + b"\0\0\0\x18ftypmp42"
        ),
        FLAT,
        2,
        dropped=("the film of the motion photo",),
    ),
    "gain map": Kind(
        GAIN,
        lambda: jpeg_with_xmp(b'xmlns:h="http://ns.adobe.com/hdr-gain-map/1.0/" h:Version="1.0"'),
        FLAT,
        2,
        says="has an HDR gain map, which is left out",
    ),
    "p3 avif": Kind(CODES, lambda: avif(FLAT, 12, 13), lcms(FLAT, P3), 4),
    "pq avif": Kind(
        CODES,
        lambda: avif(np.repeat(FLAT[:, :, :1], 3, 2), 9, 16),
        srgb_of(light_of_pq(FLAT[:, :, :1] / 255) / 203),
        8,
    ),
    "cmyk jpeg": Kind(CMYK, lambda: pillow(FLAT, "JPEG", "CMYK", quality=100, subsampling=0), FLAT, 3),
    "cmyk tiff": Kind(CMYK, lambda: pillow(FLAT, "TIFF", "CMYK"), FLAT),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_comes_in(name, caplog):
    caplog.set_level("INFO", "deepdream")
    kind = KINDS[name]
    content = kind.make()
    source = open_image(io.BytesIO(content))
    img = source.full()
    assert img.shape[:2] == np.shape(kind.expected)[:2]
    assert np.abs(img - kind.expected).max() <= kind.tolerance
    said = "\n".join(record.message for record in caplog.records)
    assert kind.says in said and bool(said) == bool(kind.says)
    assert (source.metadata.dropped if source.metadata else ()) == kind.dropped
    alpha = source.alpha()
    if kind.alpha is None:
        assert alpha is None
    else:
        np.testing.assert_allclose(255 * alpha, kind.alpha, atol=0.01)
        black = open_image(io.BytesIO(content), background=(0, 0, 0)).full()
        assert np.abs(img - black - (255 - np.float32(kind.alpha))[:, :, None]).max() <= 0.01


def raw(*tags, magic=b"II*\0"):
    """A TIFF's beginning with these tags (number, type, value), and a 2×1 grey image."""
    known = [(256, 4, 2), (257, 4, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 200), (277, 3, 1), (279, 4, 2)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in sorted([*known, *tags]))
    content = magic + struct.pack("<I", 8) + struct.pack("<H", len(known) + len(tags)) + entries + bytes(4)
    return content.ljust(200, b"\0") + b"\x10\x20"


@pytest.mark.parametrize(
    "content, says",
    [
        (raw((50706, 4, 0x101), (254, 4, 1)), "(DNG), of which only a preview of 2×1 pixels could be read"),
        (raw((254, 4, 1), (330, 4, 8)), "(of a kind like NEF or ARW), of which only a preview of 2×1 pixels"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(100), "(CR2); develop it first and export a TIFF or JPEG"),
        (b"\0\0\0\x18ftypcrx " + bytes(100), "(CR3); develop it first"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(100), "(RAF); develop it first"),
        (b"IIRO\x08\0\0\0" + bytes(100), "(ORF); develop it first"),
        (b"IIU\0\x08\0\0\0" + bytes(100), "(RW2); develop it first"),
    ],
)
def test_raw_files_are_refused_by_name(content, says, tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(content)
    text = image_error(read_image, path)
    assert text.startswith(f"{path} is a camera's raw file {says}")
    assert read_image(io.BytesIO(raw())).shape == (1, 2, 3)  # a TIFF like them


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_damaged_boxes_of_an_avif_are_left_alone():
    content = avif(FLAT, 12, 13)
    expected = read_image(io.BytesIO(avif(FLAT)))
    for name in (b"pitm", b"ipma", b"iprp"):
        changed = content.replace(name, b"junk")
        try:
            img = read_image(io.BytesIO(changed))
        except Exception as error:  # libavif refuses it itself
            assert "damaged" in str(error) or "not an image" in str(error)
        else:
            np.testing.assert_array_equal(img, expected)


def test_a_tiff_that_pillow_cannot_read_keeps_its_metadata():
    tags = [(271, "s", 0, "Canon", True), (700, "B", len(CAMERA_XMP), CAMERA_XMP, True)]
    tags += [(33723, "B", len(CAMERA_IPTC), CAMERA_IPTC, True)]
    content = tiff(np.float32(PIXELS), photometric="rgb", extratags=tags, resolution=(100, 100), resolutionunit=3)
    metadata = open_image(io.BytesIO(content)).metadata
    assert metadata.tags[271] == "Canon" and metadata.dpi == (254.0, 254.0)
    assert b'xmp:Rating="4"' in metadata.xmp and metadata.iptc == CAMERA_IPTC
    content = tiff(np.float32(PIXELS), photometric="rgb", bigtiff=True)
    assert open_image(io.BytesIO(content)).metadata.dropped == ("the metadata, which cannot be read",)


# What goes out

PLACE = "the place: GPS in EXIF and XMP, cities and countries in XMP and IPTC"
FORMATS = {"PNG": "png", "JPEG": "jpg", "WebP": "webp", "TIFF": "tif"}


def stored(picture):
    """{row of the table: whether Pillow finds it in an opened image}."""
    exif, info = picture.getexif(), picture.info
    folder = exif.get_ifd(0x8769)
    xmp = info.get("xmp") or exif.get(700)
    iptc = picture.format == "PNG" and "Raw profile type iptc" in info
    if picture.format in ("JPEG", "TIFF"):
        from PIL import IptcImagePlugin

        iptc = (IptcImagePlugin.getiptcinfo(picture) or {}).get((2, 80)) == b"Jane Doe"
    profile = info.get("icc_profile")
    return {
        "camera, date, settings (EXIF)": exif.get(0x010F) == "Canon" and folder.get(0x9003) == "2024:05:06 07:08:09",
        "author, copyright (EXIF)": exif.get(0x8298) == "(c) Jane",
        "XMP": xmp is not None and b"Rating" in (xmp.encode() if isinstance(xmp, str) else xmp),
        "IPTC": bool(iptc),
        "resolution": round(float((info.get("dpi") or [exif.get(0x011A, 0)])[0])) == 240,
        PLACE: bool(exif.get_ifd(0x8825)),
        "maker notes, thumbnail": 0x927C in folder or bool(exif.get_ifd(-1)),
        "orientation other than upright": exif.get(0x0112, 1) != 1,
        "that the colours are sRGB": info.get("srgb") == 0
        or (profile is not None and "sRGB" in ImageCms.getProfileDescription(io.BytesIO(profile))),
        "transparency": picture.mode == "RGBA",
    }


def tables():
    """The tables about images in the documentation: {heading: [[cell, …], …]} without their heads."""
    text = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    images = text.partition("## Images\n")[2].partition("\n## ")[0]
    found = {}
    for part in images.split("\n### ")[1:]:
        rows = re.findall(r"^\|(.*)\|$", part, re.M)
        found[part.split("\n", 1)[0]] = [[cell.strip() for cell in row.split("|")] for row in rows if "---" not in row]
    return found


def written(tmp_path, suffix, keep_location):
    source = open_image(io.BytesIO(camera_photo()))
    metadata = source.metadata if keep_location else source.metadata.without_location()
    alpha = np.full(source.shape[:2], 0.5, np.float32)
    write_image(tmp_path / f"a.{suffix}", source.full(), Recipe(seed=1), metadata=metadata, alpha=alpha)
    picture = Image.open(tmp_path / f"a.{suffix}")
    picture.load()
    return picture


@pytest.mark.parametrize("column, suffix", list(enumerate(FORMATS.values(), 1)))
def test_what_goes_out_is_what_the_documentation_says(tmp_path, column, suffix, caplog):
    caplog.set_level("INFO", "deepdream")
    table = tables()["What goes out"]
    assert table[0][1:] == list(FORMATS)
    rows = {row[0]: row[column] for row in table[1:]}
    with written(tmp_path, suffix, keep_location=False) as picture:
        found = stored(picture)
    with written(tmp_path, suffix, keep_location=True) as picture:
        located = stored(picture)
    assert Recipe.from_image(tmp_path / f"a.{suffix}") == Recipe(seed=1)
    assert rows.pop("the recipe") == "yes"
    assert set(rows) == set(found)
    for name, cell in rows.items():
        if name == PLACE:
            assert (cell, found[name], located[name]) == ("with `--keep-location`", False, True)
        else:
            assert found[name] == (cell == "yes"), name
    said = caplog.text
    assert ("lacks the IPTC data" in said) == (rows["IPTC"] != "yes")
    assert ("the transparency: it lies on white" in said) == (rows["transparency"] == "on white")


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize("suffix", FORMATS.values())
def test_exiftool_reads_the_same(tmp_path, suffix):
    written(tmp_path, suffix, keep_location=False).close()
    done = subprocess.run(
        ["exiftool", "-j", "-n", "-G1", "-warning", "-all", str(tmp_path / f"a.{suffix}")],
        capture_output=True,
        check=True,
    )
    tags = json.loads(done.stdout)[0]
    values = {name.partition(":")[2]: value for name, value in tags.items()}
    assert "Warning" not in values
    assert (values["Make"], values["Copyright"], values["Orientation"]) == ("Canon", "(c) Jane", 1)
    assert (values["DateTimeOriginal"], values["Rating"]) == ("2024:05:06 07:08:09", 4)
    assert not [name for name in tags if "GPS" in name or name.endswith((":City", ":ThumbnailImage"))]
    if suffix != "webp":
        assert values["By-line"] == "Jane Doe"


def test_each_row_of_the_documentation_is_a_kind_here():
    rows = [row[0] for row in tables()["What comes in"][1:]]
    known = {kind.row for kind in KINDS.values()}
    unmatched = [row for row in rows if not any(row.startswith(name) for name in known)]
    assert unmatched == ["raw files of cameras (DNG, CR2, CR3, NEF, ARW, RAF, ORF, RW2)", "any other kind of TIFF"]
    assert all(any(row.startswith(name) for row in rows) for name in known)
