"""Image files <-> arrays, against files made by Pillow or by hand and values worked out here."""

import os
import struct

import numpy as np
import pytest
from helpers import assert_rgb, gamma_profile, image_error, png_file
from PIL import Image, ImageCms

from deepdream import ImageError, read_image, write_image

WHITE, RED, GREEN, BLUE = (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)


def ramp(height=24, width=32):
    """A smooth picture, uint8 (H, W, 3), no two of whose corners look alike."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x + y) * 128 // (height + width)], -1).astype(
        np.uint8
    )


def opened(path):
    """A picture file as Pillow has it: (format, mode, size, array)."""
    with Image.open(path) as picture:
        return picture.format, picture.mode, picture.size, np.asarray(picture)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "gif", "webp", "ppm"])
def test_rgb_comes_in_unchanged(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    pixels = ramp(4, 4) if suffix == "gif" else ramp()  # 16 colours fit a GIF's palette exactly
    Image.fromarray(pixels).save(path, **({"lossless": True} if suffix == "webp" else {}))
    assert read_image(path).shape == pixels.shape
    assert_rgb(read_image(path), pixels)


def test_jpeg_comes_in_nearly_unchanged(tmp_path):
    Image.fromarray(ramp()).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    assert np.abs(read_image(tmp_path / "a.jpg") - ramp()).mean() < 2


@pytest.mark.parametrize("alpha, expected", [(255, (200, 100, 0)), (0, WHITE), (51, (244, 224, 204))])
def test_transparency_is_laid_on_white(tmp_path, alpha, expected):
    # 51 is a fifth: 0.2 · (200, 100, 0) + 0.8 · 255
    Image.new("RGBA", (5, 4), (200, 100, 0, alpha)).save(tmp_path / "a.png")
    assert_rgb(read_image(tmp_path / "a.png"), expected)


def test_grey_with_alpha(tmp_path):
    Image.new("LA", (5, 4), (100, 51)).save(tmp_path / "a.png")
    assert_rgb(read_image(tmp_path / "a.png"), 224)


def test_grey(tmp_path):
    Image.fromarray(ramp()[:, :, 0]).save(tmp_path / "a.png")
    assert_rgb(read_image(tmp_path / "a.png"), ramp()[:, :, :1])


def test_grey_with_a_transparent_value(tmp_path):
    Image.fromarray(np.uint8([[10, 20], [30, 10]])).save(tmp_path / "a.png", transparency=10)
    assert_rgb(read_image(tmp_path / "a.png"), np.float32([[255, 20], [30, 255]])[:, :, None])


def test_rgb_with_a_transparent_colour(tmp_path):
    Image.fromarray(np.uint8([[RED, BLUE]])).save(tmp_path / "a.png", transparency=RED)
    assert_rgb(read_image(tmp_path / "a.png"), [[WHITE, BLUE]])


def palette_picture():
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, *BLUE])
    picture.putdata([0, 1])
    return picture


def test_palette(tmp_path):
    palette_picture().save(tmp_path / "a.png")
    assert_rgb(read_image(tmp_path / "a.png"), [[RED, BLUE]])


@pytest.mark.parametrize("transparency, expected", [(0, [[WHITE, BLUE]]), (b"\xff\x33", [[RED, (204, 204, 255)]])])
def test_palette_with_transparency(tmp_path, transparency, expected):
    palette_picture().save(tmp_path / "a.png", transparency=transparency)
    assert_rgb(read_image(tmp_path / "a.png"), expected)


def test_palette_with_alpha(tmp_path, monkeypatch):
    # No format that Pillow writes keeps this kind; some of those it reads have it.
    picture = Image.new("PA", (1, 1))
    picture.putpalette([*RED, *BLUE])
    picture.putpixel((0, 0), (1, 51))
    Image.new("L", (1, 1)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "open", lambda path: picture)
    assert_rgb(read_image(tmp_path / "a.png"), (204, 204, 255))


def test_one_bit(tmp_path):
    Image.fromarray(np.array([[True, False], [False, True]])).save(tmp_path / "a.png")
    assert opened(tmp_path / "a.png")[1] == "1"
    assert_rgb(read_image(tmp_path / "a.png"), np.float32([[255, 0], [0, 255]])[:, :, None])


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_cmyk(tmp_path, suffix):
    # Cyan takes red away; Pillow writes JPEGs as Adobe does, inverted.
    picture = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (8, 0, 16, 16))
    picture.save(tmp_path / f"a.{suffix}", **({"quality": 100} if suffix == "jpg" else {}))
    img = read_image(tmp_path / f"a.{suffix}")
    assert_rgb(img[:, :8], (0, 255, 255), 2)
    assert_rgb(img[:, 8:], 0, 2)


def test_cmyk_jpeg_without_adobes_mark(tmp_path):
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save(tmp_path / "adobe.jpg", quality=100)
    content = (tmp_path / "adobe.jpg").read_bytes()
    at = content.index(b"\xff\xee")
    assert content[at + 4 : at + 9] == b"Adobe"
    length = int.from_bytes(content[at + 2 : at + 4], "big")
    (tmp_path / "plain.jpg").write_bytes(content[:at] + content[at + 2 + length :])
    # Photoshop's way of storing them is what programs write with and without the mark, and viewers take both so.
    assert_rgb(read_image(tmp_path / "plain.jpg"), (0, 255, 255), 2)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey(tmp_path, suffix):
    values = np.uint16([[0, 257, 32768], [1000, 65278, 65535]])
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    assert_rgb(read_image(tmp_path / f"a.{suffix}"), values[:, :, None] / 65535 * 255)


def test_sixteen_bit_grey_tiff_of_the_other_byte_order(tmp_path):
    values = np.array([[0, 257], [32768, 65535]], ">u2")
    Image.frombytes("I;16B", (2, 2), values.tobytes()).save(tmp_path / "a.tif")
    assert_rgb(read_image(tmp_path / "a.tif"), values[:, :, None] / 65535 * 255)


@pytest.mark.parametrize("colour, samples", [(2, 3), (6, 4)])
def test_sixteen_bit_colour(tmp_path, colour, samples):
    values = np.uint16([[[0, 32768, 65535, 65535], [1000, 60000, 258, 65535]]])[:, :, :samples]
    (tmp_path / "a.png").write_bytes(png_file(2, 1, 16, colour, [row.astype(">u2").tobytes() for row in values]))
    assert_rgb(read_image(tmp_path / "a.png"), values[:, :, :3] / 65535 * 255, 1)  # Pillow keeps eight bits of them


def test_thirty_two_bit_grey(tmp_path):
    values = np.int32([[0, 2**30, 2**31 - 1]])
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert_rgb(read_image(tmp_path / "a.tif"), np.float32([[0, 127.5, 255]])[:, :, None])


@pytest.mark.parametrize(
    "values, expected",
    [
        ([[0, 0.5, 1]], [[0, 127.5, 255]]),
        ([[0, 100, 255]], [[0, 100, 255]]),
        ([[-3, 500, 1000]], [[0, 127.5, 255]]),
    ],
)
def test_float_tiff(tmp_path, values, expected):
    Image.fromarray(np.float32(values)).save(tmp_path / "a.tif")
    assert_rgb(read_image(tmp_path / "a.tif"), np.float32(expected)[:, :, None])


def test_float_tiff_with_nan(tmp_path):
    Image.fromarray(np.float32([[0, np.nan]])).save(tmp_path / "a.tif")
    assert "not numbers" in image_error(read_image, tmp_path / "a.tif")


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (6, 5), colour) for colour in (RED, GREEN, BLUE)]
    for suffix in ("gif", "webp", "png"):
        path = tmp_path / f"a.{suffix}"
        options = {"lossless": True} if suffix == "webp" else {}
        frames[0].save(path, save_all=True, append_images=frames[1:], **options)
        with Image.open(path) as animation:
            assert animation.n_frames == 3
        assert_rgb(read_image(path), RED)


def test_a_file_object(tmp_path):
    Image.fromarray(ramp()).save(tmp_path / "a.png")
    with open(tmp_path / "a.png", "rb") as file:
        assert_rgb(read_image(file), ramp())


# How the pixels are stored for each orientation of the EXIF standard, which says for each which side of the picture
# the first stored row is, and which side the first stored column.
STORED = {
    1: lambda a: a,  # top, left
    2: lambda a: a[:, ::-1],  # top, right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.transpose(1, 0, 2),  # left, top
    6: lambda a: a.transpose(1, 0, 2)[::-1],  # right, top
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
    8: lambda a: a.transpose(1, 0, 2)[:, ::-1],  # left, bottom
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_a_cameras_rotation_is_applied(tmp_path, orientation, suffix):
    upright = ramp()
    picture = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(suffix, {})
    picture.save(tmp_path / f"a.{suffix}", exif=exif, **options)
    img = read_image(tmp_path / f"a.{suffix}")
    assert img.shape == upright.shape
    assert_rgb(img, upright, 6 if suffix == "jpg" else 0.01)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage that is no TIFF", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"])
def test_damaged_exif_data_does_not_hide_the_picture(tmp_path, exif):
    Image.fromarray(ramp()).save(tmp_path / "a.jpg", quality=100, subsampling=0, exif=exif)
    assert_rgb(read_image(tmp_path / "a.jpg"), ramp(), 6)


def test_a_damaged_entry_beside_the_rotation_does_no_harm(tmp_path):
    # Two entries: the width as text, which it cannot be, and the orientation.
    entries = struct.pack("<HHI4s", 0x0100, 2, 2, b"ab") + struct.pack("<HHII", 0x0112, 3, 1, 3)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)
    upside_down = Image.fromarray(np.ascontiguousarray(ramp()[::-1, ::-1]))
    upside_down.save(tmp_path / "a.jpg", quality=100, subsampling=0, exif=exif)
    assert_rgb(read_image(tmp_path / "a.jpg"), ramp(), 6)


def srgb_of_linear(light):
    """The sRGB standard's curve, 0..1 -> 0..255."""
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("mode", ["RGB", "P", "L", "RGBA", "LA"])
def test_an_embedded_profile_is_converted_to_srgb(tmp_path, mode):
    grey = np.uint8([[0, 64, 128, 192, 255]])
    picture = Image.fromarray(grey).convert("RGB")
    picture = picture.quantize(5) if mode == "P" else picture.convert(mode)
    np.testing.assert_array_equal(np.asarray(picture.convert("RGB"))[:, :, 0], grey)
    picture.save(tmp_path / "a.png", icc_profile=gamma_profile(1.0, grey=mode[0] == "L"))
    expected = srgb_of_linear(grey / 255)[:, :, None]
    assert np.abs(expected[:, :, 0] - grey).max() > 40
    assert_rgb(read_image(tmp_path / "a.png"), expected, 1.5)


def test_half_transparent_and_with_a_profile(tmp_path):
    # Colours first, then white shines through: the other way round white's share would be brightened as well.
    Image.new("RGBA", (3, 3), (128, 128, 128, 51)).save(tmp_path / "a.png", icc_profile=gamma_profile(1.0))
    assert_rgb(read_image(tmp_path / "a.png"), 0.2 * srgb_of_linear(np.float64(128 / 255)) + 0.8 * 255, 1)


def test_srgbs_own_profile_changes_nothing(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(ramp()).save(tmp_path / "a.png", icc_profile=profile)
    assert_rgb(read_image(tmp_path / "a.png"), ramp(), 0)


@pytest.mark.parametrize("profile", [b"not a profile", gamma_profile(1.0, grey=True)])
def test_a_useless_profile_is_said_and_left_out(tmp_path, caplog, profile):
    Image.fromarray(ramp()).save(tmp_path / "a.png", icc_profile=profile)
    assert_rgb(read_image(tmp_path / "a.png"), ramp(), 0)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "colour profile" in caplog.text


def test_missing_file(tmp_path):
    path = tmp_path / "missing.png"
    assert image_error(read_image, path) == f"{path}: no such file"
    assert image_error(read_image, str(path)) == f"{path}: no such file"


def test_a_folder(tmp_path):
    assert image_error(read_image, tmp_path) == f"{tmp_path} is a folder, not an image"


@pytest.mark.parametrize("content", [b"", b"Dear diary, this is text.\n" * 20, b"\0" * 500])
def test_not_a_picture(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    text = image_error(read_image, path)
    assert text.startswith(f"{path} is not an image")
    assert "PNG, JPEG" in text


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "gif", "bmp"])
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_cut_short(tmp_path, suffix, part):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.RandomState(0).randint(0, 256, (60, 60, 3), np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    text = image_error(read_image, path)
    assert str(path) in text
    assert "damaged or cut short" in text or "not an image" in text


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_file(30000, 30000, 8, 2, [b"\0\0\0"]))
    text = image_error(read_image, path)
    assert str(path) in text
    assert "megapixels; scale it down" in text


def test_half_way_to_the_limit_is_no_warning(tmp_path, monkeypatch):
    # Pillow warns from MAX_IMAGE_PIXELS on and refuses twice as many; warnings are errors here.
    Image.fromarray(ramp(30, 50)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert_rgb(read_image(tmp_path / "a.png"), ramp(30, 50))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    assert "megapixels" in image_error(read_image, tmp_path / "a.png")


def test_a_path_through_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "a.png"
    assert image_error(read_image, path) == f"{path} cannot be read: Not a directory"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "link.png").symlink_to("fifo.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name in ("fifo.png", "link.png", "zero.png"):
        text = image_error(read_image, tmp_path / name)
        assert text.startswith(f"{tmp_path / name} is not a file but a device, a pipe")
        assert text.endswith("name a regular file")


def test_links_that_go_in_a_loop(tmp_path):
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).symlink_to(other)
    text = image_error(read_image, tmp_path / "a")
    assert text.startswith(f"{tmp_path / 'a'} cannot be reached, because its symbolic")
    text = image_error(write_image, tmp_path / "a" / "c.png", ramp().astype(np.float32))
    assert f"the folder {tmp_path / 'a'} cannot be reached, because its symbolic links go round in a loop" in text


def test_a_name_that_cannot_be(tmp_path):
    assert "cannot be read: File name too long" in image_error(read_image, tmp_path / ("a" * 300 + ".png"))
    assert "cannot be read" in image_error(read_image, "a\0b.png")


def test_a_file_one_may_not_read(tmp_path, unprivileged):
    path = tmp_path / "a.png"
    Image.fromarray(ramp()).save(path)
    path.chmod(0)
    with unprivileged():
        assert image_error(read_image, path) == f"{path} cannot be read: permission denied"
    path.chmod(0o644)
    with unprivileged():
        assert_rgb(read_image(path), ramp())


def test_one_pixel(tmp_path):
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "a.png")
    assert_rgb(read_image(tmp_path / "a.png"), [[[1, 2, 3]]])


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".tif", ".tiff"])
def test_lossless_round_trip(tmp_path, suffix):
    pixels = np.random.RandomState(0).randint(0, 256, (37, 53, 3), np.uint8)
    write_image(tmp_path / f"a{suffix}", np.float32(pixels))
    np.testing.assert_array_equal(opened(tmp_path / f"a{suffix}")[3], pixels)
    assert_rgb(read_image(tmp_path / f"a{suffix}"), pixels, 0)


@pytest.mark.parametrize("suffix, kind", [(".jpg", "JPEG"), (".jpeg", "JPEG"), (".webp", "WEBP")])
def test_lossy_round_trip(tmp_path, suffix, kind):
    write_image(tmp_path / f"a{suffix}", ramp())
    assert opened(tmp_path / f"a{suffix}")[0] == kind
    assert np.abs(read_image(tmp_path / f"a{suffix}") - ramp()).mean() < 3


def test_values_are_clipped_and_rounded(tmp_path):
    write_image(str(tmp_path / "a.png"), np.float32([[[-300, -0.4, 0.4], [0.6, 254.4, 255.4], [300, 1e9, 127.6]]]))
    np.testing.assert_array_equal(opened(tmp_path / "a.png")[3], [[[0, 0, 0], [1, 254, 255], [255, 255, 128]]])


@pytest.mark.parametrize("name", ["a.bmp", "a", "a.png.txt", "a."])
def test_an_unknown_suffix(tmp_path, name):
    text = image_error(write_image, tmp_path / name, ramp())
    assert name in text
    assert ".png, .jpg" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix, side", [("jpg", 65501), ("webp", 16384)])
def test_too_long_for_the_format(tmp_path, suffix, side):
    text = image_error(write_image, tmp_path / f"a.{suffix}", np.zeros((1, side, 3), np.uint8))
    assert f"the image has {side}; write a PNG" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix, side", [("jpg", 65500), ("webp", 16383), ("png", 70000)])
def test_as_long_as_the_format_allows(tmp_path, suffix, side):
    write_image(tmp_path / f"a.{suffix}", np.zeros((1, side, 3), np.uint8))
    assert opened(tmp_path / f"a.{suffix}")[2] == (side, 1)


def test_what_is_no_image_is_not_written(tmp_path):
    image_error(write_image, tmp_path / "a.png", np.full((3, 3, 3), np.nan))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist(tmp_path):
    text = image_error(write_image, tmp_path / "no" / "a.png", ramp())
    assert f"the folder {tmp_path / 'no'} does not exist; create it first" in text
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_the_picture(tmp_path):
    (tmp_path / "a.png").mkdir()
    assert "it is a folder; choose another name" in image_error(write_image, tmp_path / "a.png", ramp())
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_folder_one_may_not_write(tmp_path, unprivileged):
    write_image(tmp_path / "a.png", ramp())
    before = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").chmod(0o666)  # so that it is the folder's fault
    tmp_path.chmod(0o555)
    with unprivileged():
        assert "Permission denied" in image_error(write_image, tmp_path / "a.png", 255 - ramp())
    assert (tmp_path / "a.png").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_an_older_file_is_replaced(tmp_path):
    write_image(tmp_path / "a.png", ramp())
    write_image(tmp_path / "a.png", 255 - ramp())
    assert_rgb(read_image(tmp_path / "a.png"), 255 - ramp(), 0)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("failure", [OSError("no room"), KeyboardInterrupt()])
def test_an_older_file_stays_when_the_encoder_fails(tmp_path, monkeypatch, failure):
    write_image(tmp_path / "a.png", ramp())
    before = (tmp_path / "a.png").read_bytes()

    def fail(picture, file, name):
        file.write(b"\x89PNG half a pic")
        raise failure

    monkeypatch.setitem(Image.SAVE, "PNG", fail)
    with pytest.raises(ImageError if isinstance(failure, OSError) else KeyboardInterrupt):
        write_image(tmp_path / "a.png", 255 - ramp())
    assert (tmp_path / "a.png").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_files_mode_is_the_users_choice(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_image(tmp_path / "a.png", ramp())
    finally:
        os.umask(before)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == mode


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "a.png").symlink_to(tmp_path / "real" / "b.png")
    write_image(tmp_path / "a.png", ramp())
    assert (tmp_path / "a.png").is_symlink()
    assert_rgb(read_image(tmp_path / "real" / "b.png"), ramp(), 0)


@pytest.mark.parametrize("stem", ["a" * 251, "梦" * 83, "空 día ☁"])
def test_any_name_that_the_file_system_takes(tmp_path, stem):
    write_image(tmp_path / f"{stem}.png", ramp())
    assert [path.name for path in tmp_path.iterdir()] == [f"{stem}.png"]
