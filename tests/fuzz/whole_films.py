"""Whole films drawn at random. Most change on the way: in size, in format, in speed, or in how they are turned.

`draw` takes a `random.Random` and returns a file that players take.
"""

import io
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from fuzz import seeds

# (suffix, format, codec, formats of the pixels)
_KINDS = (
    ("mp4", "mp4", "libx264", ("yuv420p", "yuv444p")),
    ("mkv", "matroska", "libx264", ("yuv420p", "yuv422p", "yuv420p10le")),
    ("ts", "mpegts", "libx264", ("yuv420p", "yuv444p")),
    ("mov", "mov", "mjpeg", ("yuvj420p", "yuvj444p", "yuvj422p")),
    ("avi", "avi", "mjpeg", ("yuvj420p", "yuvj444p")),
    ("avi", "avi", "mpeg4", ("yuv420p",)),
    ("mov", "mov", "png", ("rgb24", "rgba", "gray", "rgb48be")),
    ("mkv", "matroska", "ffv1", ("yuv420p", "yuv444p", "bgr0", "gray")),
    ("webm", "webm", "libvpx-vp9", ("yuv420p", "yuv444p")),
    ("mpg", "mpeg", "mpeg2video", ("yuv420p",)),
)
CHANGES = ("nothing", "size", "pixels", "speed", "turn")
_SIZES = ((64, 48), (48, 64), (96, 72), (34, 26), (130, 98))
_SPEEDS = (25, 10, 1, 50, 240)
_FRAMES = 2  # of each part
_TICKS = 12_000  # per second


def draw(rng):
    """(suffix, what changes, the bytes of a film)."""
    suffix, container, codec, formats = rng.choice(_KINDS)
    change = rng.choice(CHANGES)
    parts = [{"size": _SIZES[0], "format": formats[0], "speed": _SPEEDS[0], "turn": 0} for _ in range(2)]
    second = parts[1]
    if change == "size":
        second["size"] = rng.choice(_SIZES[1:])
    elif change == "pixels" and len(formats) > 1:
        second["format"] = rng.choice(formats[1:])
    elif change == "turn" and codec == "libx264":
        second["turn"] = rng.choice((90, 180, 270))
    else:
        change = "speed" if change != "nothing" else change
        # An AVI has no ticks between two frames of its rate.
        speeds = _SPEEDS[1:3] if suffix == "avi" else _SPEEDS[1:]
        second["speed"] = rng.choice(speeds) if change == "speed" else second["speed"]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as film:
        _mux(film, codec, parts)
    return suffix, change, buffer.getvalue()


def _mux(film, codec, parts):
    stream = film.add_stream(codec, rate=parts[0]["speed"])
    stream.width, stream.height = parts[0]["size"]
    stream.pix_fmt = parts[0]["format"]
    begin = Fraction(0)
    for part in parts:
        for packet, start in zip(_packets(codec, part, begin), range(_FRAMES)):
            packet.stream = stream
            ticks = round((begin + Fraction(start, part["speed"])) * _TICKS)
            packet.pts = packet.dts = ticks
            packet.duration, packet.time_base = _TICKS // part["speed"], Fraction(1, _TICKS)
            film.mux(packet)
        begin += Fraction(_FRAMES, part["speed"])


def _packets(codec, part, begin):
    """The packets of a part, from an encoder of its own: players take them as one film."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height = part["size"]
    encoder.pix_fmt, encoder.time_base = part["format"], Fraction(1, 25)
    encoder.framerate = Fraction(25)
    encoder.gop_size, encoder.max_b_frames = 1, 0
    if codec == "libx264":
        encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    elif codec == "libvpx-vp9":
        encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    picture = Image.fromarray(seeds.photo()).resize(part["size"])
    found = []
    for number in range(_FRAMES):
        pixels = np.roll(np.asarray(picture), 3 * number + round(float(begin) * 50), 1)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=part["format"])
        frame.pts, frame.time_base = number, Fraction(1, 25)
        found += encoder.encode(frame)
    found += encoder.encode(None)
    return [_turned(packet, part["turn"]) for packet in found] if part["turn"] else found


def _turned(packet, degrees):
    """A packet of H.264 with a message in front that tells how it is to be turned to be shown."""
    # No cancelling, no flips, 16 bits of a turn against the clock, one period, no extension, and filled up with 100.
    bits = f"000{degrees * 2**16 // 360:016b}10100"
    message = bytes((0, 0, 0, 1, 6, 47, 3)) + int(bits, 2).to_bytes(3, "big") + b"\x80"
    return av.Packet(message + bytes(packet))


def packets(content):
    """Where the packets of a film are: a list of (start, size)."""
    with av.open(io.BytesIO(content)) as film:
        return [(packet.pos, packet.size) for packet in film.demux(video=0) if packet.pos is not None and packet.size]
