"""Whole pictures of any kind that a format has, drawn at random: what the suite puts one fault into.

`draw` takes a `random.Random` and a format, and returns a file that every reader takes.
"""

import io
import struct
import zlib

import numpy as np
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from fuzz import mutate, seeds

# Legal sizes (width, height) that nobody expects.
EXTREME_SIZES = ((1, 1), (1, 3000), (3000, 1), (2, 16383), (16383, 2), (1500, 1500), (8, 9000))


def draw(rng, kind, extreme=False):
    """The bytes of a picture of the format `kind`, by its suffix; of an extreme size if asked."""
    width, height = rng.choice(EXTREME_SIZES) if extreme else (rng.randint(24, 70), rng.randint(24, 70))
    # Rotated and mirrored by numbers: no two pictures of a run are the same.
    pixels = np.roll(seeds.photo(), (rng.randrange(48), rng.randrange(64)), (0, 1))
    picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
    return _DRAWN[kind](rng, picture)


def _saved(picture, format_name, **options):
    buffer = io.BytesIO()
    picture.save(buffer, format_name, **options)
    return buffer.getvalue()


def _in_mode(rng, picture, modes):
    mode = rng.choice(modes)
    if mode in ("LA", "RGBA"):
        picture = picture.convert(mode)
        picture.putalpha(picture.getchannel(0))
        return picture
    if mode == "I;16":
        return Image.fromarray(np.asarray(picture)[:, :, 0].astype(np.uint16) * 257)
    if mode == "P":
        return picture.quantize(rng.choice((2, 4, 16, 200, 256)))
    return picture.convert(mode)


def exif(rng, folders=True):
    """EXIF data that turns the picture and says this and that, in folders of its own too."""
    data = Image.Exif()
    data[0x0112] = rng.randint(1, 8)
    if rng.random() < 0.5:
        data[0x010E], data[0x011A], data[0x0213] = "a cat", 72.5, 1
    if folders and rng.random() < 0.5:
        data[0x8769] = {0x9286: b"ASCII\0\0\0a comment", 0x9003: "2015:06:17 12:00:00", 0x829A: 0.01}
        data[0x8825] = {1: "N", 2: (51.0, 30.0, 0.0)}
    return data


def _profile(rng):
    kind = rng.choice(("sRGB", "LAB", "XYZ"))
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()


def xmp(rng):
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{rng.randint(1, 8)}"/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def _some(rng, **options):
    """Each of these options with the chance of a third; values are functions."""
    return {name: make() for name, make in options.items() if rng.random() < 1 / 3}


def _png(rng, picture):
    if rng.random() < 0.25:
        return _interlaced_png(rng, picture)
    picture = _in_mode(rng, picture, ("1", "L", "P", "RGB", "RGBA", "LA", "I;16"))
    notes = PngImagePlugin.PngInfo()
    for add in rng.sample(
        (
            lambda: notes.add_text("Comment", "x" * 60),
            lambda: notes.add_text("Zipped", "y" * 300, zip=True),
            lambda: notes.add_itxt("Title", "a cät", "de", "Titel", zip=True),
            lambda: notes.add_itxt("XML:com.adobe.xmp", xmp(rng).decode()),
            lambda: notes.add(b"gAMA", struct.pack(">I", 45455)),
        ),
        rng.randrange(3),
    ):
        add()
    options = _some(rng, exif=lambda: exif(rng), icc_profile=lambda: _profile(rng), dpi=lambda: (72, 72))
    if picture.mode in ("L", "P") and rng.random() < 0.3:
        options["transparency"] = 1
    if picture.mode in ("RGB", "L", "P") and rng.random() < 0.25:
        options.update(save_all=True, append_images=[picture.transpose(Image.Transpose.ROTATE_180)], duration=40)
    return _saved(picture, "PNG", pnginfo=notes, **options)


_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def _interlaced_png(rng, picture):
    pixels = np.asarray(_in_mode(rng, picture, ("L", "RGB", "RGBA")))
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    passes = [pixels[top::down, left::right] for top, left, down, right in _ADAM7]
    rows = [b"\0" + row.tobytes() for each in passes if each.size for row in each]
    packed = zlib.compress(b"".join(rows))
    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 1)
    chunks = ((b"IHDR", head), (b"IDAT", packed[:200]), (b"IDAT", packed[200:]), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(mutate.png_chunk(*chunk) for chunk in chunks)


def _jpeg(rng, picture):
    picture = _in_mode(rng, picture, ("L", "RGB", "RGB", "CMYK"))
    options = _some(
        rng,
        exif=lambda: exif(rng),
        icc_profile=lambda: _profile(rng),
        comment=lambda: b"a cat",
        dpi=lambda: (72, 72),
        xmp=lambda: xmp(rng),
        restart_marker_blocks=lambda: 3,
    )
    return _saved(
        picture,
        "JPEG",
        progressive=rng.random() < 0.5,
        optimize=rng.random() < 0.5,
        quality=rng.choice((5, 60, 100)),
        **({} if picture.mode == "L" else {"subsampling": rng.randrange(3)}),
        **options,
    )


def _webp(rng, picture):
    picture = _in_mode(rng, picture, ("RGB", "RGBA"))
    options = _some(rng, exif=lambda: exif(rng), icc_profile=lambda: _profile(rng), xmp=lambda: xmp(rng))
    if rng.random() < 0.3:
        turned = picture.transpose(Image.Transpose.ROTATE_180)
        options.update(save_all=True, append_images=[turned], duration=40, loop=rng.randrange(3))
    return _saved(picture, "WEBP", lossless=rng.random() < 0.5, quality=rng.choice((5, 80)), **options)


def _gif(rng, picture):
    picture = _in_mode(rng, picture, ("1", "L", "P", "P"))
    options = _some(rng, transparency=lambda: 1, comment=lambda: b"a cat" * 60)
    if rng.random() < 0.5:
        second = picture.transpose(Image.Transpose.ROTATE_180)
        options.update(save_all=True, append_images=[second], duration=40, loop=0, disposal=rng.randrange(4))
    return _saved(picture, "GIF", interlace=rng.randrange(2), optimize=rng.random() < 0.5, **options)


def _tiff(rng, picture):
    if rng.random() < 0.4:
        return _tiff_of_tiles(rng, picture)
    compression = rng.choice((None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group3", "group4"))
    if compression in ("group3", "group4"):
        picture = picture.convert("1")
    elif compression == "jpeg":
        picture = _in_mode(rng, picture, ("L", "RGB"))
    else:
        picture = _in_mode(rng, picture, ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "I", "LA"))
    options = _some(
        rng,
        exif=lambda: exif(rng, folders=False),
        icc_profile=lambda: _profile(rng),
        dpi=lambda: (72, 72),
        tiffinfo=lambda: {700: xmp(rng)},
    )
    if "exif" in options:
        options.pop("tiffinfo", None)
    if rng.random() < 0.2:
        options.update(save_all=True, append_images=[picture])
    return _saved(picture, "TIFF", **({"compression": compression} if compression else {}), **options)


def _tiff_of_tiles(rng, picture):
    pixels = np.asarray(_in_mode(rng, picture, ("L", "RGB", "RGBA", "I;16", "F")))
    colours = {} if pixels.ndim == 2 else {"photometric": "rgb"}
    if pixels.ndim == 3 and rng.random() < 0.4:
        pixels, colours = np.moveaxis(pixels, 2, 0), {**colours, "planarconfig": "separate"}
    if pixels.shape[0] == 4 or pixels.shape[-1] == 4:
        colours["extrasamples"] = ["unassalpha"]
    where = {"tile": (16, 32)} if rng.random() < 0.6 else {"rowsperstrip": rng.choice((1, 5, 64))}
    buffer = io.BytesIO()
    order = rng.choice("<>")
    # Pillow reads no BigTIFF whose numbers begin with the largest digits.
    big = order == "<" and rng.random() < 0.5
    with tifffile.TiffWriter(buffer, bigtiff=big, byteorder=order) as writer:
        writer.write(pixels, compression=rng.choice((None, "zlib")), metadata=None, **colours, **where)
    return buffer.getvalue()


_INFO, _BITFIELDS = 40, 3
# (bytes of the header, bits of a pixel, compression)
_BMPS = (
    *((12, bits, 0) for bits in (1, 4, 8, 24)),
    *((_INFO, bits, 0) for bits in (1, 4, 8, 16, 24, 32)),
    *((_INFO, 16, _BITFIELDS), (_INFO, 32, _BITFIELDS), (_INFO, 8, 1), (_INFO, 4, 2)),
    *((108, 24, 0), (108, 32, _BITFIELDS), (124, 24, 0), (124, 32, _BITFIELDS), (124, 8, 0)),
)


def _bmp(rng, picture):
    header, bits, compression = rng.choice(_BMPS)
    palette = b""
    if bits <= 8:
        quantised = picture.quantize(2**bits)
        colours = np.zeros((2**bits, 3), np.uint8)
        known = np.array(quantised.getpalette(), np.uint8).reshape(-1, 3)[: 2**bits]
        colours[: len(known)] = known
        entries = colours[:, ::-1] if header == 12 else np.pad(colours[:, ::-1], ((0, 0), (0, 1)))
        palette, pixels = entries.tobytes(), np.asarray(quantised)
    else:
        pixels = np.asarray(picture)
    height, width = pixels.shape[:2]
    top_down = header > 12 and not compression and rng.random() < 0.3
    rows = pixels if top_down else pixels[::-1]
    data = _run_lengths(rows, bits) if compression in (1, 2) else b"".join(_bmp_row(row, bits) for row in rows)
    masks = struct.pack("<IIII", *((0xF800, 0x7E0, 0x1F, 0) if bits == 16 else (0xFF0000, 0xFF00, 0xFF, 0)))
    if header == 12:
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        signed = -height if top_down else height
        used = len(palette) // 4
        head = struct.pack("<IiiHHIIIIII", header, width, signed, 1, bits, compression, len(data), 0, 0, used, 0)
        head += (masks + bytes(header))[: header - _INFO]
        if header == _INFO and compression == _BITFIELDS:
            palette = masks[:12]
    offset = 14 + len(head) + len(palette)
    return struct.pack("<2sIII", b"BM", offset + len(data), 0, offset) + head + palette + data


def _bmp_row(row, bits):
    """A row of pixels, packed and filled up to four bytes."""
    if bits == 24:
        packed = row[:, ::-1].tobytes()
    elif bits == 32:
        packed = np.pad(row[:, ::-1], ((0, 0), (0, 1))).tobytes()
    elif bits == 16:
        red, green, blue = (row[:, channel].astype("<u2") for channel in range(3))
        packed = (red >> 3 << 11 | green >> 2 << 5 | blue >> 3).astype("<u2").tobytes()
    elif bits == 8:
        packed = row.astype(np.uint8).tobytes()
    else:
        ones = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, -bits:]
        packed = np.packbits(ones.ravel()).tobytes()
    return packed + bytes(-len(packed) % 4)


def _run_lengths(rows, bits):
    """Pixels as RLE8 or RLE4: runs, and the marks at the ends of the rows and of the bitmap."""
    found = bytearray()
    for row in rows:
        place = 0
        while place < len(row):
            run = 1
            while place + run < len(row) and run < 255 and row[place + run] == row[place]:
                run += 1
            found += bytes((run, row[place] if bits == 8 else row[place] * 17))
            place += run
        found += b"\0\0"
    return bytes(found) + b"\0\1"


_DRAWN = {"bmp": _bmp, "gif": _gif, "tif": _tiff, "png": _png, "jpg": _jpeg, "webp": _webp}
