"""Damages a file in the ways that files are damaged, and in ways that only an enemy would think of.

Each function takes a `random.Random` and something, and returns another, changed in one to a few places.
"""

import json
import re
import struct
import zlib

NUMBERS = (
    0, 1, 2, 3, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, -1,
    -2, -128, -32768, -(2**31),
)  # fmt: skip
WORDS = (
    "0", "-1", "1", "2", "99999999999999999999", "2147483647", "4294967295", "1e308", "1e-45", "nan", "inf", "-0.0",
    "true", "false", '""', "''", "{}", "[]", "{", "}", "[", "]", '"', "\\", "#", ":", "=", ",", "\0", "\ufeff", "é",
    "日本", "../../etc/passwd", "/dev/zero", "/dev/stdin", "%s%n", "${HOME}", "A" * 5000, " " * 300,
)  # fmt: skip


def how_many(rng):
    """How many changes: mostly one, sometimes many."""
    return rng.choice((1, 1, 1, 1, 2, 2, 3, 5, 10, 40))


def mutate_bytes(rng, data, others=()):
    """Bytes with bits flipped, numbers replaced, and spans cut, doubled, moved, or taken from another file."""
    data = bytearray(data)
    for _ in range(how_many(rng)):
        place = rng.randrange(len(data) + 1)
        span = min(len(data) - place, rng.choice((1, 2, 4, 8, 32, 128, 1024)))
        change = rng.randrange(12)
        if change <= 2 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif change == 3 and place < len(data):
            data[place] = rng.choice((0, 1, 127, 128, 254, 255, rng.randrange(256)))
        elif change <= 5 and place + 8 <= len(data):
            width = rng.choice((2, 4, 8))
            number = rng.choice(NUMBERS) % 2 ** (8 * width)
            data[place : place + width] = number.to_bytes(width, rng.choice(("little", "big")))
        elif change == 6:
            del data[place : place + span]
        elif change == 7:
            data[place:place] = data[place : place + span] * rng.choice((1, 1, 3, 50))
        elif change == 8:
            data[place : place + span] = bytes(span)
        elif change == 9:
            data[place:place] = rng.randbytes(span)
        elif change == 10 and others:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            data[place : place + span] = other[start : start + rng.choice((8, 64, 512, 4096))]
        elif change == 11:
            del data[place:]
    return bytes(data)


def mutate_text(rng, text):
    """Text with numbers, words and lines replaced, doubled, left out or exchanged."""
    for _ in range(how_many(rng)):
        pieces = re.findall(r"\d+(?:\.\d+)?|\w+|\s+|.", text, re.DOTALL) or [" "]
        numbers = [i for i, piece in enumerate(pieces) if piece[0].isdigit()]
        words = [i for i, piece in enumerate(pieces) if not piece.isspace()]
        change = rng.randrange(9)
        if change <= 2 and numbers:
            pieces[rng.choice(numbers)] = str(rng.choice(NUMBERS))
        elif change == 3 and words:
            pieces[rng.choice(words)] = rng.choice(WORDS)
        elif change == 4 and words:
            pieces[rng.choice(words)] = pieces[rng.choice(words)]
        elif change == 5 and words:
            del pieces[rng.choice(words)]
        elif change == 6:
            lines = text.splitlines(keepends=True)
            first = rng.randrange(len(lines)) if lines else 0
            block = lines[first : first + rng.choice((1, 1, 3, 10))]
            if rng.random() < 0.5:
                del lines[first : first + len(block)]
            else:
                other = rng.randrange(len(lines) + 1)
                lines[other:other] = block
            pieces = lines
        elif change == 7:
            pieces = pieces[: rng.randrange(len(pieces) + 1)]
        elif change == 8:
            pieces.insert(rng.randrange(len(pieces) + 1), rng.choice(WORDS))
        text = "".join(pieces)
    return text


def mutate_message(rng, message):
    """A protobuf message, changed in place, whose fields have other values: still one that parses.

    Only such ones get past the parser, to what uses them.
    """
    for _ in range(how_many(rng)):
        holder, field = rng.choice(list(_places(message)))
        _change_field(rng, holder, field)
    return message


def _places(message, depth=0):
    """(message, field) of every field that is set, and of all the unset ones of each message."""
    for field in message.DESCRIPTOR.fields:
        yield message, field
        if field.message_type is None or depth > 4:
            continue
        value = getattr(message, field.name)
        for each in value if _repeated(field) else [value] if message.HasField(field.name) else []:
            yield from _places(each, depth + 1)


def _repeated(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def _change_field(rng, holder, field):
    value = getattr(holder, field.name)
    if _repeated(field):
        if len(value) and rng.random() < 0.4:
            index = rng.randrange(len(value))
            del value[index : index + rng.choice((1, 1, len(value)))]
        elif len(value) and rng.random() < 0.5:
            again = list(value)
            rng.shuffle(again)
            again += again[:1]
            del value[:]
            value.extend(again)
        elif field.message_type is not None:
            value.add()
        else:
            value.extend([_scalar(rng, field)] * rng.choice((1, 1, 2, 40)))
    elif field.message_type is not None:
        if holder.HasField(field.name) and rng.random() < 0.5:
            holder.ClearField(field.name)
        else:
            value.SetInParent()
    elif rng.random() < 0.15:
        holder.ClearField(field.name)
    else:
        setattr(holder, field.name, _scalar(rng, field))


def _scalar(rng, field):
    kind = field.cpp_type
    if kind == field.CPPTYPE_STRING:
        return rng.choice(("", "data", "conv1", "both", "é", "A" * 3000, "/dev/zero", "Convolution", "ReLU", "Python"))
    if kind == field.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if kind == field.CPPTYPE_ENUM:
        return rng.choice(field.enum_type.values).number
    if kind in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return rng.choice((0.0, -0.0, 1.0, -1.0, 1e-30, 1e30, float("inf"), float("-inf"), float("nan"), 0.5))
    bits = 32 if kind in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32) else 64
    signed = kind in (field.CPPTYPE_INT32, field.CPPTYPE_INT64)
    number = rng.choice((*NUMBERS, *range(1, 9))) % 2**bits
    return number - 2**bits if signed and number >= 2 ** (bits - 1) else number


def mutate_values(rng, value):
    """What JSON or TOML holds, with entries left out, exchanged, or of another kind."""
    value = json.loads(json.dumps(value))
    for _ in range(how_many(rng)):
        holders = list(_holders(value))
        if not holders:
            break
        holder = rng.choice(holders)
        key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        change = rng.randrange(5)
        if change == 0:
            del holder[key]
        elif change == 1:
            source = rng.choice(holders)
            taken = rng.choice(list(source.values() if isinstance(source, dict) else source) or [None])
            holder[key] = json.loads(json.dumps(taken))
        elif change == 2 and isinstance(holder, dict):
            holder[rng.choice(WORDS)] = holder.pop(key)
        else:
            holder[key] = rng.choice(
                (
                    None,
                    True,
                    0,
                    -1,
                    1,
                    2**31,
                    2**70,
                    0.5,
                    -1e308,
                    float("nan"),
                    float("inf"),
                    "",
                    "cat",
                    "é\0",
                    "A" * 5000,
                    [],
                    {},
                    [1, 2, 3],
                    {"L2": 1},
                    {"conv1": 1},
                    [[]],
                    {"objective": "channels"},
                    "noise:10x10",
                    "both",
                )
            )
    return value


def _holders(value):
    if isinstance(value, (dict, list)) and value:
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from _holders(each)


def mutate_png(rng, data):
    """A PNG whose chunks were changed, exchanged, doubled or left out, with checksums that are right again.

    Others do not get past the checksums.
    """
    chunks, place = [], 8
    while place + 12 <= len(data):
        length, name = struct.unpack(">I4s", data[place : place + 8])
        chunks.append((name, data[place + 8 : place + 8 + length]))
        place += 12 + length
    for _ in range(how_many(rng)):
        index = rng.randrange(len(chunks)) if chunks else 0
        change = rng.randrange(6)
        if not chunks:
            break
        name, content = chunks[index]
        if change <= 2 and content:
            chunks[index] = name, mutate_bytes(rng, content)
        elif change == 3 and name == b"IDAT":
            try:
                content = zlib.compress(mutate_bytes(rng, zlib.decompress(content)))
            except zlib.error:
                continue
            chunks[index] = name, content
        elif change == 4:
            chunks.insert(rng.randrange(len(chunks) + 1), chunks[rng.randrange(len(chunks))])
        elif change == 5:
            del chunks[index]
    return data[:8] + b"".join(png_chunk(*chunk) for chunk in chunks)


def png_chunk(name, content):
    return struct.pack(">I4s", len(content), name) + content + struct.pack(">I", zlib.crc32(name + content))
