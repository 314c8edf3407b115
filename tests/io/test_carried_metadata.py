"""What a camera or an agency wrote goes out with the dream: read here by Pillow, and by tifffile."""

import io
import zlib

import numpy as np
import pytest
import tifffile
from helpers import CAMERA_PIXELS, CAMERA_XMP, camera_exif, camera_photo, image_error, iptc_record, png_file
from PIL import Image, ImageCms, IptcImagePlugin

from deepdream import ParameterError, Recipe, read_image, write_image
from deepdream.io.image import open_image

FORMATS = ["png", "jpg", "webp", "tif"]
PIXELS = CAMERA_PIXELS


def written(tmp_path, suffix, content=None, keep_location=False, recipe=None, **options):
    """A file with the pixels of a photo and what it carries, opened again: (Pillow's image, EXIF)."""
    source = open_image(io.BytesIO(camera_photo() if content is None else content))
    metadata = source.metadata if keep_location else source.metadata.without_location()
    path = tmp_path / f"a.{suffix}"
    write_image(path, source.full(), recipe, metadata=metadata, **options)
    picture = Image.open(path)
    picture.load()
    return picture


def xmp_of(picture):
    packet = picture.info.get("xmp") or picture.getexif().get(700)
    return packet.encode() if isinstance(packet, str) else packet


def iptc_of(picture):
    if picture.format == "PNG":
        _, name, size, *digits = picture.info["Raw profile type iptc"].split("\n")
        data = bytes.fromhex("".join(digits))
        assert (name, int(size)) == ("iptc", len(data))
        return data
    return None


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("recipe", [None, Recipe(seed=1)])
def test_the_cameras_exif(tmp_path, suffix, recipe):
    exif = written(tmp_path, suffix, recipe=recipe).getexif()
    main = {
        0x010F: "Canon",
        0x0110: "EOS",
        0x0112: 1,
        0x0132: "2024:05:06 07:08:09",
        0x8298: "(c) Jane",
        0x013B: "Jane",
    }
    assert {number: exif.get(number) for number in main} == main
    assert (exif[0x010E] == "On the hill") == (recipe is None or suffix != "tif")
    folder = exif.get_ifd(0x8769)
    assert folder[0x9003] == "2024:05:06 07:08:09" and float(folder[0x829A]) == 0.005 and folder[0xA434] == "50mm"
    assert (folder[0xA002], folder[0xA003], folder[0xA001]) == (20, 30, 1)  # it was turned, and is sRGB
    assert 0x927C not in folder
    assert not exif.get_ifd(0x8825)
    if recipe is not None:
        assert Recipe.from_image(tmp_path / f"a.{suffix}") == recipe


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_place_is_kept_if_asked_for(tmp_path, suffix):
    picture = written(tmp_path, suffix, keep_location=True)
    gps = picture.getexif().get_ifd(0x8825)
    assert gps[1] == "N" and tuple(map(float, gps[2])) == (48, 8, 12)
    assert b'GPSLatitude="48,8.2N"' in xmp_of(picture) and b"Stuttgart" in xmp_of(picture)
    if suffix in ("jpg", "tif"):
        assert IptcImagePlugin.getiptcinfo(picture)[2, 90] == b"Stuttgart"


@pytest.mark.parametrize("suffix", FORMATS)
def test_xmp(tmp_path, suffix):
    packet = xmp_of(written(tmp_path, suffix)).decode()
    assert 'xmp:Rating="4"' in packet and "<xmp:Label>Größe</xmp:Label>" in packet
    assert not [word for word in ("Orientation=", "GPSLatitude=", "Stuttgart") if word in packet]


def test_a_drones_position_in_xmp_is_the_place():
    drone = b'xmlns:d="http://www.dji.com/drone-dji/1.0/" d:GpsLatitude="+48.1" d:FlightLongitude="9" d:Yaw="+7.20"'
    content = camera_photo(xmp=CAMERA_XMP.replace(b'exif:GPSLatitude="48,8.2N"', drone))
    metadata = open_image(io.BytesIO(content)).metadata
    assert b"+48.1" in metadata.xmp
    packet = metadata.without_location().xmp
    assert b"+7.20" in packet and b"+48.1" not in packet and b"Longitude" not in packet


@pytest.mark.parametrize("suffix", FORMATS)
def test_iptc(tmp_path, suffix, caplog):
    caplog.set_level("INFO", "deepdream")
    picture = written(tmp_path, suffix)
    assert (f"a.{suffix} lacks the IPTC data" in caplog.text) == (suffix == "webp")
    if suffix in ("jpg", "tif"):
        found = IptcImagePlugin.getiptcinfo(picture)
        assert found[2, 5] == b"A title" and found[2, 80] == b"Jane Doe" and (2, 90) not in found
    elif suffix == "png":
        assert iptc_of(picture) == iptc_record(5, b"A title") + iptc_record(80, b"Jane Doe")


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_resolution(tmp_path, suffix):
    picture = written(tmp_path, suffix)
    dpi = picture.info["dpi"] if suffix != "webp" else [picture.getexif()[tag] for tag in (0x011A, 0x011B)]
    assert [round(float(each)) for each in dpi] == [240, 240]


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_colours_are_marked_as_srgb(tmp_path, suffix):
    write_image(tmp_path / f"a.{suffix}", PIXELS)
    with Image.open(tmp_path / f"a.{suffix}") as picture:
        if suffix == "png":
            assert picture.info["srgb"] == 0
        else:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
            assert "sRGB" in ImageCms.getProfileDescription(profile)
    first = (tmp_path / f"a.{suffix}").read_bytes()
    write_image(tmp_path / f"a.{suffix}", PIXELS)
    assert (tmp_path / f"a.{suffix}").read_bytes() == first


@pytest.mark.parametrize("suffix", FORMATS)
def test_without_any_metadata(tmp_path, suffix):
    write_image(tmp_path / f"a.{suffix}", PIXELS, metadata=None)
    with Image.open(tmp_path / f"a.{suffix}") as picture:
        picture.load()
        assert not {"exif", "xmp", "icc_profile", "dpi", "srgb", "photoshop"} & picture.info.keys() - {"dpi"}
        assert 0x8769 not in picture.getexif()


def test_what_is_dropped_is_in_words():
    metadata = open_image(io.BytesIO(camera_photo())).metadata
    assert metadata.dropped == ("the maker notes",)
    assert metadata.without_location().dropped == ("the maker notes", "the place (--keep-location keeps it)")


def test_tifffile_reads_the_tags_of_a_tiff(tmp_path):
    written(tmp_path, "tif", keep_location=True, recipe=Recipe(seed=1))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = file.pages[0].tags
        assert tags["Make"].value == "Canon"
        assert tags["ExifTag"].value["LensModel"] == "50mm"
        assert tags["GPSTag"].value["GPSLatitudeRef"] == "N"
        assert Recipe.from_json(tags["ImageDescription"].value) == Recipe(seed=1)
        source = open_image(io.BytesIO(camera_photo())).full()
        assert (file.pages[0].asarray() == np.rint(source)).all()


def test_a_dream_of_a_dream_has_the_new_recipe(tmp_path):
    for suffix in FORMATS:
        first = written(tmp_path, suffix, recipe=Recipe(seed=1))
        content = (tmp_path / first.filename).read_bytes()
        written(tmp_path, suffix, content, recipe=Recipe(seed=2))
        assert Recipe.from_image(tmp_path / f"a.{suffix}") == Recipe(seed=2)
        for other in FORMATS:
            written(tmp_path, other, content, recipe=Recipe(seed=3))
            assert Recipe.from_image(tmp_path / f"a.{other}") == Recipe(seed=3)


@pytest.mark.parametrize("junk", [b"garbage", b"<x", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"\xff\xfe<a/>"])
def test_damaged_xmp_is_left_out_and_named(junk):
    content = png_file(1, 1, 8, 0, [b"\0"], (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + junk))
    metadata = open_image(io.BytesIO(content)).metadata
    assert metadata.xmp is None
    assert metadata.dropped == ("the XMP data, which is damaged or too long",)


def test_damaged_iptc_is_left_out_and_named():
    content = camera_photo().replace(iptc_record(80, b"Jane Doe"), b"\x1c\x02\x50\x7f\xffJane Doe")
    metadata = open_image(io.BytesIO(content)).metadata
    assert metadata.iptc is None and "the IPTC data, which is damaged or too long" in metadata.dropped


def test_exif_too_long_for_a_jpeg_beside_the_recipe(tmp_path, caplog):
    caplog.set_level("INFO", "deepdream")
    exif = camera_exif()
    exif[0x8769] = {0x9286: b"ASCII\0\0\0" + b"x" * 30000, 0xA434: "l" * 20000}
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", exif=exif)
    recipe = Recipe(objective={"objective": "channels", "indices": list(range(9000))})
    written(tmp_path, "jpg", file.getvalue(), recipe=recipe)
    assert Recipe.from_image(tmp_path / "a.jpg") == recipe
    assert "lacks the comment, in whose place the recipe is, the EXIF data, which are too long" in caplog.text


def rgba(alpha):
    return np.dstack([PIXELS, np.broadcast_to(np.uint8(alpha), PIXELS.shape[:2])])


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_alpha_goes_out_as_it_came_in(tmp_path, suffix):
    alpha = np.arange(0, 600, dtype=np.uint16).reshape(20, 30) * 255 // 599
    file = io.BytesIO()
    Image.fromarray(rgba(alpha)).save(file, "PNG")
    source = open_image(io.BytesIO(file.getvalue()))
    write_image(tmp_path / f"a.{suffix}", source.full(), alpha=source.alpha())
    with Image.open(tmp_path / f"a.{suffix}") as picture:
        assert picture.mode == "RGBA"
        stored = np.asarray(picture)
    assert (stored[:, :, 3] == alpha).all()
    if suffix != "webp":
        visible = alpha > 0
        assert np.abs(stored[visible][:, :3].astype(int) - PIXELS[visible]).max() == 0
        assert np.abs(read_image(tmp_path / f"a.{suffix}") - source.full()).max() <= 0.51


def test_a_jpeg_lies_on_white(tmp_path):
    write_image(tmp_path / "a.jpg", np.full((8, 8, 3), 90), alpha=np.zeros((8, 8), np.float32), quality=100)
    with Image.open(tmp_path / "a.jpg") as picture:
        assert picture.mode == "RGB"
    assert np.abs(read_image(tmp_path / "a.jpg") - 90).max() <= 1


def test_an_opaque_alpha_is_left_out():
    file = io.BytesIO()
    Image.fromarray(rgba(255)).save(file, "PNG")
    assert open_image(io.BytesIO(file.getvalue())).alpha() is None


@pytest.mark.parametrize("max_size", [None, 10])
def test_the_alpha_of_a_smaller_version(max_size):
    file = io.BytesIO()
    Image.fromarray(rgba(51)).save(file, "PNG")
    source = open_image(io.BytesIO(file.getvalue()))
    alpha = source.alpha(max_size)
    assert alpha.shape == source.fit(max_size).shape[:2]
    np.testing.assert_allclose(alpha, 0.2, atol=1e-5)


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_quality(tmp_path, suffix):
    sizes = []
    for quality in (10, None, 100):
        write_image(tmp_path / f"a.{suffix}", PIXELS, quality=quality)
        sizes.append((tmp_path / f"a.{suffix}").stat().st_size)
    assert sizes == sorted(sizes) and sizes[0] < sizes[2]
    with pytest.raises(ParameterError, match="quality=101"):
        write_image(tmp_path / f"a.{suffix}", PIXELS, quality=101)


def test_a_png_with_a_huge_text_is_refused():
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(10**8))
    content = png_file(1, 1, 8, 0, [b"\0"], (b"iTXt", text))
    assert "damaged or cut short" in image_error(open_image, io.BytesIO(content))
