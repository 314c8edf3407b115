"""Where the fields of a file are, by its format.

A walker takes a whole file and returns its `Layout`: the fields that a parser reads one by one, and the pieces that the
file is made of. `change_field` gives one field another value of the same size, so that the rest of the file stays what
it was and a parser gets as far as that field.
"""

import struct
import zlib
from typing import NamedTuple, Optional


class Field(NamedTuple):
    """A field of a file.

    Attributes:
        name: for people, such as "IHDR.width".
        start: of its first byte.
        size: in bytes.
        format: of `struct` for a number; `None` for bytes.
    """

    name: str
    start: int
    size: int
    format: Optional[str] = None


class Layout(NamedTuple):
    """The fields of a file, and its pieces as (name, start, end)."""

    fields: list
    pieces: list


def change_field(rng, content, field):
    """The file with another value in one field."""
    before = content[field.start : field.start + field.size]
    after = before
    while after == before:
        after = _another_number(rng, before, field.format) if field.format else _other_bytes(rng, before)
    return content[: field.start] + after + content[field.start + field.size :]


def _another_number(rng, before, form):
    bits, (value,) = 8 * len(before), struct.unpack(form, before)
    order = "little" if form[0] == "<" else "big"
    value = int.from_bytes(before, order) if form[-1] in "fdihlqb" else value
    largest = 2**bits - 1
    after = rng.choice(
        (
            *(0, 1, value - 1, value + 1, value + rng.randrange(2, 9), 2 * value, value // 2, -value),
            *(largest, largest // 2, largest // 2 + 1, value ^ 1 << rng.randrange(bits), rng.randrange(2**bits)),
        )
    )
    return (after % 2**bits).to_bytes(len(before), order)


def _other_bytes(rng, before):
    place, change = rng.randrange(len(before)), rng.randrange(6)
    if change <= 2:
        return before[:place] + bytes([before[place] ^ 1 << rng.randrange(8)]) + before[place + 1 :]
    if change == 3:
        return before[:place] + bytes(len(before) - place)
    if change == 4:
        return rng.randbytes(len(before))
    return b"\xff" * len(before)


def _fields(names_and_formats, start, prefix=""):
    """Fields after one another: a list of (name, format of struct)."""
    found = []
    for name, form in names_and_formats:
        size = struct.calcsize(form)
        found.append(Field(prefix + name, start, size, form))
        start += size
    return found


def _within(fields, end):
    return [field for field in fields if field.size and field.start + field.size <= end]


# --- Pictures --------------------------------------------------------------------------------------------------------

_PNG_CHUNKS = {
    b"IHDR": [("width", ">I"), ("height", ">I")]
    + [(name, ">B") for name in ("bits", "colour", "compression", "filter", "interlace")],
    b"pHYs": [("x", ">I"), ("y", ">I"), ("unit", ">B")],
    b"gAMA": [("gamma", ">I")],
    b"acTL": [("frames", ">I"), ("plays", ">I")],
    b"fcTL": [(name, ">I") for name in ("number", "width", "height", "x", "y")]
    + [("delay", ">H"), ("of", ">H"), ("dispose", ">B"), ("blend", ">B")],
    b"fdAT": [("number", ">I")],
}


def png(content):
    found, pieces, place = [], [], 8
    while place + 12 <= len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        name, start = kind.decode("latin-1"), place + 8
        found += [Field(f"{name}.length", place, 4, ">I"), Field(f"{name}.name", place + 4, 4)]
        if kind == b"eXIf":
            found += tiff(content[start : start + length], start).fields
        else:
            found += _within(_fields(_PNG_CHUNKS.get(kind, []), start, f"{name}."), start + length)
            found += [Field(f"{name}.data", start, length)] if kind not in _PNG_CHUNKS and length else []
        found.append(Field(f"{name}.checksum", start + length, 4, ">I"))
        pieces.append((name, place, start + length + 4))
        place = start + length + 4
    return Layout(found, pieces)


def mend_png(content, layout, field):
    """The checksum of the chunk with this field, right again; one that is itself the fault stays wrong."""
    for _, start, end in layout.pieces:
        if start + 4 <= field.start < end - 4:
            checksum = zlib.crc32(content[start + 4 : end - 4])
            return content[: end - 4] + struct.pack(">I", checksum) + content[end:]
    return content


_BMP_FILE = [("size", "<I"), ("reserved", "<I"), ("offset", "<I")]
_BMP_CORE = [("header", "<I"), ("width", "<H"), ("height", "<H"), ("planes", "<H"), ("bits", "<H")]
_BMP_INFO = [("header", "<I"), ("width", "<i"), ("height", "<i"), ("planes", "<H"), ("bits", "<H")] + [
    (name, "<I") for name in ("compression", "bytes", "x", "y", "colours", "important")
]


def bmp(content):
    (offset,), (header,) = struct.unpack("<I", content[10:14]), struct.unpack("<I", content[14:18])
    found = [Field("signature", 0, 2), *_fields(_BMP_FILE, 2)]
    found += _fields(_BMP_CORE if header == 12 else _BMP_INFO, 14)
    found += _within(
        [Field(f"mask {number}", 54 + 4 * number, 4, "<I") for number in range(4)], max(14 + header, min(offset, 66))
    )
    found.append(Field("pixels", offset, len(content) - offset))
    pieces = [("file", 0, 14), ("header", 14, 14 + header), ("pixels", offset, len(content))]
    if offset > 14 + header:
        found.append(Field("palette", 14 + header, offset - 14 - header))
        pieces.append(("palette", 14 + header, offset))
    return Layout(found, pieces)


_GIF_SCREEN = [("width", "<H"), ("height", "<H"), ("flags", "<B"), ("background", "<B"), ("aspect", "<B")]
_GIF_FRAME = [("left", "<H"), ("top", "<H"), ("width", "<H"), ("height", "<H"), ("flags", "<B")]
_GIF_CONTROL = [("size", "<B"), ("flags", "<B"), ("delay", "<H"), ("transparent", "<B"), ("end", "<B")]


def gif(content):
    found, pieces = [Field("signature", 0, 6), *_fields(_GIF_SCREEN, 6, "screen.")], []
    place = 13 + _gif_palette(content[10])
    found += _within([Field("palette", 13, place - 13)], len(content))
    while place < len(content):
        start, mark = place, content[place]
        found.append(Field("mark", place, 1, "<B"))
        if mark == 0x21:
            found.append(Field("label", place + 1, 1, "<B"))
            place += 2
            if content[place - 1] == 0xF9:
                found += _fields(_GIF_CONTROL, place, "control.")
        elif mark == 0x2C:
            found += _fields(_GIF_FRAME, place + 1, "frame.")
            palette = _gif_palette(content[place + 9])
            found += _within([Field("frame.palette", place + 10, palette)], len(content))
            place += 10 + palette
            found.append(Field("frame.code size", place, 1, "<B"))
            place += 1
        else:
            break
        while content[place]:
            found += [Field("block.size", place, 1, "<B"), Field("block.codes", place + 1, content[place])]
            place += 1 + content[place]
        found.append(Field("block.end", place, 1, "<B"))
        place += 1
        pieces.append((f"block {mark:02x}", start, place))
    return Layout(found, pieces)


def _gif_palette(flags):
    """The size of the palette that flags tell of, in bytes."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_TIFF_FORMATS = {1: "B", 3: "H", 4: "I", 5: "I", 8: "h", 9: "i", 10: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 18: "Q"}
_TIFF_FOLDERS = (0x014A, 0x8769, 0x8825)


def tiff(content, base=0):
    """The layout of a TIFF, or of EXIF data, which stands at `base` in its file."""
    order = "<" if content[:2] == b"II" else ">"
    big = struct.unpack(order + "H", content[2:4])[0] == 43
    word, count_form, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    width, found, seen, pieces = struct.calcsize(word), [], set(), []
    found += [Field("byte order", base, 2), Field("version", base + 2, 2, order + "H")]
    first = 8 if big else 4
    found.append(Field("first directory", base + first, width, order + word))
    waiting = [struct.unpack_from(order + word, content, first)[0]]
    while waiting:
        place = waiting.pop()
        if not place or place in seen or place + 2 > len(content):
            continue
        seen.add(place)
        (count,) = struct.unpack_from(order + count_form, content, place)
        found.append(Field("entries", base + place, struct.calcsize(count_form), order + count_form))
        place += struct.calcsize(count_form)
        for _ in range(count):
            if place + entry > len(content):
                break
            tag, kind = struct.unpack_from(order + "HH", content, place)
            (number,) = struct.unpack_from(order + word, content, place + 4)
            name, value, bytes_ = f"tag {tag}", place + 4 + width, number * _TIFF_SIZES.get(kind, 1)
            pieces.append((name, base + place, base + place + entry))
            found += [
                Field(f"{name}.tag", base + place, 2, order + "H"),
                Field(f"{name}.type", base + place + 2, 2, order + "H"),
                Field(f"{name}.count", base + place + 4, width, order + word),
            ]
            if bytes_ > width:
                found.append(Field(f"{name}.offset", base + value, width, order + word))
                value = struct.unpack_from(order + word, content, value)[0]
            elif tag in _TIFF_FOLDERS:
                waiting.append(struct.unpack_from(order + word, content, value)[0])
            form = _TIFF_FORMATS.get(kind)
            size = struct.calcsize(form) if form else max(1, bytes_)
            found += [
                Field(f"{name}.value", base + each, size, form and order + form)
                for each in range(value, min(value + bytes_, value + 6 * size), size)
                if each + size <= len(content)
            ]
            place += entry
        if place + width <= len(content):
            found.append(Field("next directory", base + place, width, order + word))
            waiting.append(struct.unpack_from(order + word, content, place)[0])
    found.append(Field("data", base + first + width, len(content) - first - width))
    return Layout(found, pieces)


_JPEG_FRAME = [("precision", ">B"), ("height", ">H"), ("width", ">H"), ("components", ">B")]
_JPEG_COMPONENT = [("id", ">B"), ("sampling", ">B"), ("table", ">B")]
_JPEG_STARTS = {0xC0, 0xC1, 0xC2}


def jpeg(content):
    found, pieces, place = [Field("signature", 0, 2)], [], 2
    while place + 4 <= len(content) and content[place] == 0xFF and content[place + 1] != 0xD9:
        begin, kind = place, content[place + 1]
        (length,) = struct.unpack_from(">H", content, place + 2)
        name, start, end = f"{kind:02X}", place + 4, place + 2 + length
        found += [Field(f"{name}.marker", place + 1, 1, ">B"), Field(f"{name}.length", place + 2, 2, ">H")]
        if kind in _JPEG_STARTS:
            found += _fields(_JPEG_FRAME, start, "frame.")
            for number in range(content[start + 5]):
                found += _fields(_JPEG_COMPONENT, start + 6 + 3 * number, f"component {number}.")
        elif kind == 0xDA:
            found.append(Field("scan.components", start, 1, ">B"))
            found += [Field("scan.header", place, 1, ">B") for place in range(start + 1, end)]
        elif kind in (0xC4, 0xDB):
            found += [Field(f"{name}.class", start, 1, ">B"), Field(f"{name}.table", start + 1, end - start - 1)]
        elif content[start : start + 6] == b"Exif\0\0":
            found += tiff(content[start + 6 : end], start + 6).fields
        elif end > start:
            found.append(Field(f"{name}.data", start, end - start))
        place = end
        if kind == 0xDA:
            while place + 1 < len(content) and (
                content[place] != 0xFF or content[place + 1] == 0 or 0xD0 <= content[place + 1] <= 0xD7
            ):
                place += 1
            found += _within([Field("scan.codes", end, place - end)], len(content))
        pieces.append((name, begin, place))
    return Layout(found, pieces)


_OF_A_FRAME = ("x", "y", "width", "height", "duration")  # in 24 bits each
_RIFF_CHUNKS = {
    b"VP8X": [
        *[("flags", "<B"), ("reserved", "<H"), ("r2", "<B")],
        *[("width", "<H"), ("w2", "<B"), ("height", "<H"), ("h2", "<B")],
    ],
    b"ANIM": [("background", "<I"), ("loops", "<H")],
    b"ANMF": [(f"{name}{part}", form) for name in _OF_A_FRAME for part, form in (("", "<H"), (" high", "<B"))]
    + [("flags", "<B")],
    b"VP8 ": [("tag", "<H"), ("t2", "<B"), ("start", "<H"), ("s2", "<B"), ("width", "<H"), ("height", "<H")],
    b"VP8L": [("signature", "<B"), ("size", "<I")],
    b"ALPH": [("flags", "<B")],
    b"avih": [(name, "<I") for name in ("microseconds", "rate", "padding", "flags", "frames", "first", "streams")]
    + [("buffer", "<I"), ("width", "<I"), ("height", "<I")],
    b"strh": [(name, "<I") for name in ("type", "codec", "flags", "priority", "first", "scale", "rate", "start")]
    + [(name, "<I") for name in ("length", "buffer", "quality", "sample")],
    b"strf": _BMP_INFO,
}


def riff(content):
    """The layout of a WebP or an AVI."""
    found = [Field("RIFF.size", 4, 4, "<I"), Field("RIFF.form", 8, 4)]
    pieces = []
    _riff_chunks(content, 12, len(content), found, pieces)
    return Layout(found, pieces)


def _riff_chunks(content, place, end, found, pieces):
    while place + 8 <= end:
        kind, size = struct.unpack_from("<4sI", content, place)
        name, start = kind.decode("latin-1"), place + 8
        known = _fields(_RIFF_CHUNKS.get(kind, []), start, f"{name}.")
        found += [Field(f"{name}.name", place, 4), Field(f"{name}.size", place + 4, 4, "<I")]
        found += _within(known, min(start + size, end))
        after = known[-1].start + known[-1].size if known else start
        if kind in (b"LIST", b"ANMF"):
            _riff_chunks(content, start + (4 if kind == b"LIST" else 16), min(start + size, end), found, pieces)
        elif kind == b"EXIF":
            data = content[start : start + size]
            skip = 6 if data.startswith(b"Exif\0\0") else 0
            found += tiff(data[skip:], start + skip).fields
        else:
            found += _within([Field(f"{name}.data", after, start + size - after)], end)
        pieces.append((name, place, min(end, start + size + size % 2)))
        place = start + size + size % 2


PICTURES = {"bmp": bmp, "gif": gif, "tif": tiff, "png": png, "jpg": jpeg, "webp": riff}

# --- Films -----------------------------------------------------------------------------------------------------------

_BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta", b"mvex", b"moof", b"traf"}


def mp4(content):
    """The layout of an MP4 or a QuickTime film: its boxes, and the words at their beginning."""
    found, pieces = [], []
    _boxes(content, 0, len(content), found, pieces)
    return Layout(found, pieces)


def _boxes(content, place, end, found, pieces):
    while place + 8 <= end:
        size, kind = struct.unpack_from(">I4s", content, place)
        name, after = kind.decode("latin-1"), place + size if size >= 8 else end
        found += [Field(f"{name}.size", place, 4, ">I"), Field(f"{name}.name", place + 4, 4)]
        if kind in _BOXES:
            _boxes(content, place + 8, after, found, pieces)
        elif kind != b"mdat":
            words = range(place + 8, min(after - 3, place + 8 + 120), 4)
            found += [Field(f"{name} {(word - place) // 4 - 2}", word, 4, ">I") for word in words]
        pieces.append((name, place, after))
        place = after


def film(content, packets, header=240):
    """The layout of any film: its packets as (start, size), and the words of its beginning."""
    found = [Field(f"packet {number}", start, size) for number, (start, size) in enumerate(packets) if size]
    first = min((start for start, _ in packets), default=len(content))
    found += [Field(f"word {place // 4}", place, 4, ">I") for place in range(4, min(first, header) - 3, 4)]
    pieces = [(f"packet {number}", start, start + size) for number, (start, size) in enumerate(packets) if size]
    return Layout(found, pieces)
