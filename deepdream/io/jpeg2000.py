"""JPEG 2000 images: what Pillow does not read of them.

Pillow (13 and older) rounds colours of more than eight bits up to 256, which is stored as 0: white comes in as black.
They are read here with OpenCV, of the extra `video`. The boxes are those of ISO/IEC 15444-1, annex I.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from types import ModuleType
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image as Pillow

from ..errors import DreamError, ImageError
from ..extras import require_extra
from .background import WHITE
from .carried_metadata import read_metadata
from .colour import find_conversion
from .decoding import PixelSource
from .deep_pixels import DeepPixels, Samples
from .source import check_memory, fitting_bytes

_START_OF_CODESTREAM = b"\xff\x4f\xff\x51"
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EXIF_UUID = b"JpgTiffExif->JP2"
_RESTRICTED, _ANY = 2, 3  # methods of a "colr" box that have an ICC profile
_SRGB = 16  # an enumerated colour space
_MAX_BOX_BYTES = 2**24
_SILENT = 0  # OpenCV's level of messages
_DECODER_BYTES = 4 + 2 + 2  # a sample in OpenJPEG's planes, OpenCV's array and ours


class Header(NamedTuple):
    """What a JPEG 2000 file says about its image.

    Attributes:
        bits: of each channel; those of signed values are negative.
        profile: the ICC profile.
        space: the number of an enumerated colour space.
        xmp: the XMP packet.
        has_exif: whether there is EXIF data.
    """

    bits: tuple[int, ...] = ()
    profile: bytes | None = None
    space: int | None = None
    xmp: bytes | None = None
    has_exif: bool = False

    @property
    def is_deep_colour(self) -> bool:
        """Whether there are colours, or grey and alpha, of more than eight bits."""
        return len(self.bits) > 1 and max(map(abs, self.bits)) > 8


def read_header(opened: Pillow.Image, file: BinaryIO) -> Header:
    """What a file says; of a damaged one, what comes before the damage.

    Args:
        opened: the image, whose `info` then has the profile and the XMP packet, as that of other formats.
        file: the file that it was opened from; its position is kept.
    """
    header = _read_header(file)
    for key, value in (("icc_profile", header.profile), ("xmp", header.xmp)):
        if value is not None:
            opened.info.setdefault(key, value)
    return header


def _read_header(file: BinaryIO) -> Header:
    position, header = file.tell(), Header()
    try:
        file.seek(0)
        if file.read(4) == _START_OF_CODESTREAM:
            return header._replace(bits=_read_bits(file))
        file.seek(0)
        for kind, size in _boxes(file):
            if kind == b"jp2c" and file.read(4) == _START_OF_CODESTREAM:
                header = header._replace(bits=_read_bits(file))
            elif kind == b"jp2h" and size <= _MAX_BOX_BYTES:
                header = _with_colours(header, file.read(size))
            elif kind == b"uuid" and 16 < size <= _MAX_BOX_BYTES:
                name = file.read(16)
                if name == _XMP_UUID:
                    header = header._replace(xmp=file.read(size - 16))
                header = header._replace(has_exif=header.has_exif or name == _EXIF_UUID)
    except (LookupError, struct.error, ValueError):
        pass
    finally:
        file.seek(position)
    return header


class Jpeg2000Source(PixelSource):
    """An image whose colours have more than eight bits.

    Args:
        opened: the image.
        file: the file that it was opened from.
        header: from `read_header`.
        name: for messages.
        max_size: the longer side of the version that is used later, as in `fit`; `None`: the whole.
        background: the RGB colour, 0..255, that its transparent parts are laid on.

    Raises:
        ImageError: OpenCV is missing, the image is damaged or of a kind that cannot be read, or there is not enough
            memory for it.
    """

    def __init__(
        self,
        opened: Pillow.Image,
        file: BinaryIO,
        header: Header,
        name: str,
        max_size: int | None,
        background: tuple[float, ...] = WHITE,
    ) -> None:
        height, width = opened.height, opened.width
        decoded_bytes = _DECODER_BYTES * len(header.bits) * width * height
        check_memory(name, height, width, decoded_bytes + fitting_bytes(height, width, max_size))
        samples = _read_samples(opened, file, header, name)
        super().__init__(DeepPixels(samples, find_conversion(opened, "RGB", file, deep=True)), name, background)
        self.metadata = read_metadata(opened)


def _read_samples(opened: Pillow.Image, file: BinaryIO, header: Header, name: str) -> Samples:
    """The values of colours of more than eight bits."""
    bits = header.bits[0]
    kind = f"a JPEG 2000 image with {max(map(abs, header.bits))} bits a channel"
    if (
        opened.mode not in ("RGB", "RGBA")
        or set(header.bits) != {bits}
        or not 8 < bits <= 16
        or (header.profile is None and header.space not in (None, _SRGB))
    ):
        raise ImageError(f"{name} is {kind}, of a kind that cannot be read; export it as a 16-bit TIFF")
    try:
        cv2 = require_extra("cv2", f"{name} is {kind}, and reading it")
    except DreamError as error:
        raise ImageError(str(error)) from None
    file.seek(0)
    with _quiet(cv2):
        try:
            values = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            values = None
    if values is None or values.dtype != np.uint16 or values.shape != (opened.height, opened.width, len(header.bits)):
        raise ImageError(f"{name} is {kind}, and is damaged or cannot be read; export it as a 16-bit TIFF")
    order = [2, 1, 0, 3][: len(header.bits)]  # OpenCV's is blue, green, red
    return Samples(values[:, :, order], 2**bits - 1, has_alpha=opened.mode == "RGBA")


@contextlib.contextmanager
def _quiet(cv2: ModuleType) -> Iterator[None]:
    """A context in which OpenCV writes no lines of its own about damage."""
    logging: Any = getattr(cv2.utils, "logging", cv2)  # until OpenCV 4, cv2 itself
    if not hasattr(logging, "setLogLevel"):
        yield
        return
    level = logging.getLogLevel()
    logging.setLogLevel(_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """(kind, size of the content) of each box; the file is at its content."""
    while len(start := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", start)
        at = file.tell()
        if size == 1:
            size = int.from_bytes(file.read(8), "big") - 8
            at = file.tell()
        yield kind, size - 8
        if size < 8:  # to the end of the file, or damaged
            return
        file.seek(at + size - 8)


def _read_bits(file: BinaryIO) -> tuple[int, ...]:
    """The bits of each channel, from the segment SIZ of a codestream, after its first marker."""
    *_, count = struct.unpack(">HH8IH", file.read(38))
    sizes = file.read(3 * min(count, 4))[::3]
    return tuple(((size & 0x7F) + 1) * (-1 if size & 0x80 else 1) for size in sizes)


def _with_colours(header: Header, jp2h: bytes) -> Header:
    """The header with the first colour specification that is known."""
    at = 0
    while at + 11 <= len(jp2h):
        size, kind = struct.unpack_from(">I4s", jp2h, at)
        content = jp2h[at + 8 : at + size if size else None]
        if kind == b"colr" and content and header.profile is None and header.space is None:
            if content[0] in (_RESTRICTED, _ANY):
                header = header._replace(profile=content[3:])
            elif content[0] == 1:
                header = header._replace(space=int.from_bytes(content[3:7], "big"))
        if size < 8:
            break
        at += size
    return header
