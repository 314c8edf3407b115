"""Files decoded block by block: the pixels are those of the whole; what does not fit into memory is refused first."""

import io

import numpy as np
import pytest
from helpers import gamma_profile, image_error, peak_bytes, resized_whole, write_black_png, write_png_header
from PIL import Image, ImageFile

from deepdream import memory, read_image
from deepdream.io import arrays
from deepdream.io.arrays import image_sha256
from deepdream.io.image import open_image, read_embedded_text

SIZES = [(23, 31), (40, 9), (9, 40), (1, 30), (30, 1)]  # (height, width); the second is resized vertically first
MAX_SIZES = [1, 7, 22, 30, 100]
ORIENTATION = 0x0112


def picture(mode, height=23, width=31):
    """A random Pillow image of this mode."""
    random = np.random.RandomState(height)
    if mode == "I;16":
        return Image.fromarray(random.randint(0, 2**16, (height, width)).astype(np.uint16))
    if mode == "I":
        return Image.fromarray(random.randint(-5, 2**31 - 1, (height, width)).astype(np.int32))
    if mode == "F":
        return Image.fromarray(random.uniform(-100, 5000, (height, width)).astype(np.float32))
    colours = Image.fromarray(random.randint(0, 256, (height, width, 4), np.uint8))
    return colours.convert("P").convert("PA") if mode == "PA" else colours.convert(mode)


def encoded(image, file_format, **options):
    """The bytes of an image file."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def assert_same_as_whole(content, monkeypatch):
    """Assert that an image has the same pixels and hash block by block, and the same smaller versions, as the whole."""
    monkeypatch.setattr(arrays, "BLOCK_PIXELS", 2**40)
    whole = read_image(io.BytesIO(content))
    sha256 = image_sha256(whole)
    height, width = whole.shape[:2]
    for block_pixels in (1, 101):
        monkeypatch.setattr(arrays, "BLOCK_PIXELS", block_pixels)
        source = open_image(io.BytesIO(content))
        assert source.shape == whole.shape
        assert source.sha256 == sha256
        assert source.full().tobytes() == whole.tobytes()
        for max_size in MAX_SIZES:
            new_height, new_width = arrays.fitted_size(height, width, max_size)
            expected = whole if max(height, width) <= max_size else resized_whole(whole, new_height, new_width)
            for smaller in (source.fit(max_size), read_image(io.BytesIO(content), max_size)):
                assert smaller.dtype == np.float32
                assert smaller.shape == (new_height, new_width, 3)
                assert smaller.tobytes() == expected.clip(0, 255).tobytes()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
@pytest.mark.parametrize("size", SIZES)
def test_every_mode_is_the_same_block_by_block(mode, size, monkeypatch):
    file_format = "TIFF" if mode in ("CMYK", "I", "F") else "PNG"
    assert_same_as_whole(encoded(picture(mode, *size), file_format), monkeypatch)


@pytest.mark.parametrize("mode", ["PA", "YCbCr", "HSV", "LAB", "RGBX"])
def test_modes_that_few_files_have(mode, monkeypatch):
    image = Image.frombytes("LAB", (31, 23), bytes(range(31)) * 69) if mode == "LAB" else picture(mode)
    content = encoded(picture("L"), "PNG")
    monkeypatch.setattr(Image, "open", lambda file: image.copy())
    assert_same_as_whole(content, monkeypatch)


@pytest.mark.parametrize(
    "mode, transparency", [("L", 10), ("RGB", (1, 2, 3)), ("P", 3), ("P", bytes(range(200, 0, -1)))]
)
def test_a_transparent_colour(mode, transparency, monkeypatch):
    assert_same_as_whole(encoded(picture(mode), "PNG", transparency=transparency), monkeypatch)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("grey", [False, True])
def test_a_profile(mode, grey, monkeypatch):
    profile = gamma_profile(1.0, grey=grey)  # of the other kind it is useless, and said to be so
    assert_same_as_whole(encoded(picture(mode), "PNG", icc_profile=profile), monkeypatch)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode, file_format", [("RGB", "JPEG"), ("RGBA", "WEBP"), ("I;16", "TIFF"), ("1", "PNG")])
def test_a_cameras_rotation(orientation, mode, file_format, monkeypatch):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert_same_as_whole(encoded(picture(mode), file_format, exif=exif), monkeypatch)


def test_a_large_image_comes_compact_and_a_small_version_costs_little(tmp_path):
    path = write_black_png(tmp_path / "a.png", 6300)
    assert path.stat().st_size < 10_000
    taken = peak_bytes(
        "from deepdream.io.image import open_image",
        f"source = open_image({str(path)!r}, 64); source.fit(64); source.sha256",
    )
    assert taken < 120 * 2**20  # 40 are Pillow's; as float32 it has 476 MB


def test_the_whole_of_a_large_image_costs_its_array_and_little_more(tmp_path):
    path = write_black_png(tmp_path / "a.png", 4000)
    taken = peak_bytes("from deepdream import read_image", f"image = read_image({str(path)!r})")
    assert taken < (13 * 4000**2) + 40 * 2**20


def test_what_does_not_fit_into_memory_is_refused_by_its_header(tmp_path, monkeypatch):
    path = write_png_header(tmp_path / "a.png", 3000, 2000)
    assert "damaged" in image_error(read_image, path)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    # Three bytes a pixel take four in Pillow; as float32 there are twelve more.
    monkeypatch.setattr(memory, "free_bytes", lambda: 16 * 3000 * 2000 - 1)
    text = image_error(read_image, path)
    assert text == (
        f"{path} has 3000×2000 pixels and needs about 0.1 GiB of memory, and 0.1 GiB are free; scale it down first, or "
        "use a smaller version (max_size)"
    )
    with pytest.raises(pytest.fail.Exception, match="decoded"):
        read_image(path, 100)
    monkeypatch.setattr(memory, "free_bytes", lambda: 4 * 3000 * 2000 - 1)
    assert image_error(read_image, path, 100).endswith("are free; scale it down first")


def test_the_memory_is_enough_where_the_system_does_not_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: None)
    assert read_image(write_black_png(tmp_path / "a.png", 50)).shape == (50, 50, 3)


def test_what_the_decoder_itself_takes_counts(tmp_path, monkeypatch):
    image = picture("RGB", 600, 700)
    sizes = {}
    for name, options in (("a.jpg", {}), ("b.jpg", {"progressive": True}), ("a.webp", {}), ("a.png", {})):
        image.save(tmp_path / name, **options)
        needed = []
        monkeypatch.setattr(memory, "free_bytes", lambda: 2**40)
        monkeypatch.setattr("deepdream.io.source.describe_shortage", lambda count: needed.append(count))  # noqa: B023
        open_image(tmp_path / name, max_size=1)
        sizes[name] = needed[0] / (600 * 700)
    assert sizes["a.jpg"] == sizes["a.png"]
    assert sizes["b.jpg"] == 4 + max(6, sizes["a.png"] - 4)
    assert sizes["a.webp"] == 4 + max(12, sizes["a.png"] - 4)


def test_turning_an_image_takes_memory_as_well(tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    path = tmp_path / "a.png"
    picture("RGB", 600, 700).save(path, exif=exif)
    free = iter([2**40, 4 * 600 * 700 - 1])
    monkeypatch.setattr(memory, "free_bytes", lambda: next(free))
    assert "700×600 pixels and needs about" in image_error(open_image, path)


def test_the_text_of_a_png_is_not_worth_more_memory_than_there_is(tmp_path, little_memory):
    path = write_png_header(tmp_path / "a.png", 3000, 2000)
    assert "3000×2000 pixels and needs about" in image_error(read_embedded_text, path)


def test_memory_that_runs_out_after_all(tmp_path, monkeypatch):
    source = open_image(write_black_png(tmp_path / "a.png", 50))

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(source, "_to_rgb", fail)
    assert image_error(source.full) == f"{tmp_path / 'a.png'} does not fit into memory; scale it down first"


def test_a_file_that_is_cut_short_later_does_no_harm(tmp_path):
    """Pillow maps some files into memory, and a process that reads behind their end dies."""
    path = tmp_path / "a.tif"
    Image.fromarray(np.full((500, 500), 7, np.uint8)).save(path)
    source = open_image(path)
    path.write_bytes(b"")
    assert (source.full() == 7).all()


@pytest.mark.parametrize("max_size", [0, -1, 1.5, "64", True])
def test_max_size_is_a_number_of_pixels(tmp_path, max_size):
    with pytest.raises(ValueError, match=r"^max_size=.*: the longer side in pixels must be a whole number, 1 or more"):
        read_image(write_black_png(tmp_path / "a.png", 5), max_size)
