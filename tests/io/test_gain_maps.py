"""The gain maps of phones are left out, and named once."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from deepdream import read_image

PICTURE = Image.new("RGB", (16, 16), (90, 120, 30))
ADOBE_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/></rdf:RDF></x:xmpmeta>'
)
APPLE_XMP = ADOBE_XMP.replace(b"http://ns.adobe.com/hdr-gain-map/1.0/", b"http://ns.apple.com/HDRGainMap/1.0/")


def segment(marker, content):
    """A JPEG's segment."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg(*segments):
    """A JPEG with these segments."""
    file = io.BytesIO()
    PICTURE.save(file, "JPEG", quality=100)
    content = file.getvalue()
    return content[:2] + b"".join(segments) + content[2:]


def xmp_segment(xmp):
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)


def apples():
    """An MPO whose second image is the gain map."""
    file = io.BytesIO()
    gain = Image.open(io.BytesIO(jpeg(xmp_segment(APPLE_XMP))))
    PICTURE.save(file, "MPO", save_all=True, append_images=[gain], xmp=APPLE_XMP)
    return file.getvalue()


def apples_heic():
    """A HEIC whose auxiliary image is not alpha but a gain map, by the name that Apple gives it."""
    pillow_heif = pytest.importorskip("pillow_heif")
    picture = PICTURE.resize((32, 32))
    picture.putalpha(51)
    file = io.BytesIO()
    pillow_heif.from_pillow(picture).save(file, quality=-1, chroma=444)
    content = file.getvalue()
    old, new = b"urn:mpeg:hevc:2015:auxid:1", b"urn:com:apple:photo:2020:aux:hdrgainmap"
    longer = len(new) - len(old)
    content = bytearray(content.replace(old, new))
    for kind in (b"meta", b"iprp", b"ipco", b"auxC"):
        at = content.index(kind) - 4
        content[at : at + 4] = struct.pack(">I", struct.unpack_from(">I", content, at)[0] + longer)
    for base in (16, 34):  # of the two images' places, behind all that grew
        at = content.index(b"iloc") + base
        content[at : at + 4] = struct.pack(">I", struct.unpack_from(">I", content, at)[0] + longer)
    return bytes(content)


@pytest.mark.parametrize(
    "make",
    [
        lambda: jpeg(xmp_segment(ADOBE_XMP)),
        lambda: jpeg(segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4))),
        apples,
        apples_heic,
    ],
)
def test_a_gain_map_is_named_once(make, caplog):
    caplog.set_level("INFO", "deepdream")
    assert np.abs(read_image(io.BytesIO(make())) - (90, 120, 30)).max() <= 3
    assert [record.message for record in caplog.records] == [
        "the image has an HDR gain map, which is left out: the dream begins with its SDR image"
    ]


def test_other_images_have_none(caplog):
    caplog.set_level("INFO", "deepdream")
    stereo = io.BytesIO()
    PICTURE.save(stereo, "MPO", save_all=True, append_images=[PICTURE])
    for content in (jpeg(), stereo.getvalue()):
        read_image(io.BytesIO(content))
    assert not caplog.records
