"""TIFFs that Pillow refuses or misreads: colours as floats or 32 bits, deep grey with alpha, deep separate planes.

They are read with tifffile, which scikit-image needs anyway.
"""

from __future__ import annotations

import contextlib
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from ..errors import ImageError
from .background import WHITE
from .carried_metadata import Metadata, read_metadata
from .colour import profile_conversion
from .decoding import PixelSource
from .deep_pixels import DeepPixels, Samples, warn_if_dark, white_of_bits, white_of_floats
from .source import check_memory, fitting_bytes

_SIGNATURES = {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2  # photometric interpretations
_BITS_TAG, _PLANES_TAG, _SEPARATE_PLANES = 258, 284, 2
_RESOLUTION_TAGS, _UNIT_TAG, _INCH, _CENTIMETRE = (282, 283), 296, 2, 3
_PREMULTIPLIED, _STRAIGHT = 1, 2  # kinds of extra samples
# An image upright, (H, W, …), by its orientation; 1 is upright already.
_UPRIGHT = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


class TiffSource(PixelSource):
    """The first page of a TIFF, decoded by tifffile.

    Args:
        file: the file.
        name: for messages.
        max_size: the longer side of the version that is used later, as in `fit`; `None`: the whole.
        background: the RGB colour, 0..255, that its transparent parts are laid on.

    Raises:
        ImageError: it is of a kind that cannot be read either, or there is not enough memory for it.
        Exception: any error that tifffile raises for damaged files, or `ValueError` for values that are not numbers.
    """

    def __init__(self, file: BinaryIO, name: str, max_size: int | None, background: tuple[float, ...] = WHITE) -> None:
        import tifffile

        file.seek(0)
        with tifffile.TiffFile(file) as tiff:
            page: Any = tiff.pages[0]
            check_memory(
                name,
                page.imagelength,
                page.imagewidth,
                2 * page.nbytes + fitting_bytes(page.imagelength, page.imagewidth, max_size),
            )
            samples = _samples(page, name)
            warn_if_dark(samples, name)
            profile = _tag(page, "InterColorProfile")
        mode = "L" if samples.colours_n == 1 else "RGB"
        conversion = profile_conversion(profile, mode, deep=True) if profile else None
        super().__init__(DeepPixels(samples, conversion), name, background)
        self.metadata = _read_metadata(file)


class _Tags:
    """The tags of a TIFF's first image, for `read_metadata`.

    Args:
        file: the file.

    Raises:
        Exception: any error that Pillow raises for damaged files.
    """

    format = "TIFF"

    def __init__(self, file: BinaryIO) -> None:
        file.seek(0)
        self.tag_v2 = Pillow.Exif()
        self.tag_v2.load_from_fp(file)
        self.info: dict[str, Any] = {}
        with contextlib.suppress(KeyError, TypeError, ValueError, ZeroDivisionError):
            factor = {_INCH: 1.0, _CENTIMETRE: 2.54}[self.tag_v2.get(_UNIT_TAG, _INCH)]
            self.info["dpi"] = tuple(factor * float(self.tag_v2[tag]) for tag in _RESOLUTION_TAGS)

    def getexif(self) -> Pillow.Exif:
        """As that of a `PIL.Image.Image`."""
        return self.tag_v2


def _read_metadata(file: BinaryIO) -> Metadata:
    """The metadata of a TIFF that Pillow cannot open."""
    try:
        return read_metadata(_Tags(file))
    except Exception:  # damage may make Pillow's reader raise any error
        return Metadata(dropped=("the metadata, which cannot be read",))


def is_tiff(file: BinaryIO) -> bool:
    """Whether a file is a TIFF, by its first bytes; its position is then the start."""
    file.seek(0)
    signature = file.read(4)
    file.seek(0)
    return signature in _SIGNATURES


def is_misread(opened: Pillow.Image) -> bool:
    """Whether Pillow opens a TIFF but takes its planes of 16 bits for planes of eight."""
    tags: Any = getattr(opened, "tag_v2", None) or {}
    separate = tags.get(_PLANES_TAG) == _SEPARATE_PLANES
    return opened.format == "TIFF" and separate and max(tags.get(_BITS_TAG, (8,))) > 8


def _samples(page: Any, name: str) -> Samples:
    """The values of a page of tifffile."""
    photometric, channels_n = int(page.photometric), int(page.samplesperpixel)
    colours_n = 3 if photometric == _RGB else 1
    kind = f"{page.dtype} in {channels_n} channels" if page.dtype else "values of an unusual size"
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) or page.dtype is None or page.dtype.kind not in "uf":
        raise ImageError(f"{name} is a kind of TIFF that cannot be read ({kind}); export it as 16-bit RGB")
    if page.imagedepth != 1 or channels_n < colours_n:
        raise ImageError(f"{name} is a kind of TIFF that cannot be read ({kind}); export it as 16-bit RGB")
    values = _upright(_pixels_of(page, name), _tag(page, "Orientation"))
    extra = [int(kind) for kind in page.extrasamples][:1]
    has_alpha = channels_n > colours_n and extra in ([_PREMULTIPLIED], [_STRAIGHT])
    values = values[:, :, : colours_n + has_alpha]
    if values.dtype.kind == "f":
        white = white_of_floats(values[:, :, :colours_n])
    else:
        white = white_of_bits(int(page.bitspersample), _tag(page, "MaxSampleValue"))
    black, white = (white, 0) if photometric == _WHITE_IS_ZERO else (0, white)
    return Samples(values, white, black, has_alpha, premultiplied=extra == [_PREMULTIPLIED])


def _pixels_of(page: Any, name: str) -> NDArray[Any]:
    """The decoded values of a page, (H, W, channels)."""
    try:
        values: NDArray[Any] = page.asarray(maxworkers=1)
    except (KeyError, ModuleNotFoundError):  # a compression that needs a further package
        compression = str(getattr(page.compression, "name", page.compression))
        raise ImageError(
            f"{name} has {page.dtype} values compressed with {compression}, which cannot be read; "
            "export it uncompressed or with Deflate (ZIP)"
        ) from None
    if page.samplesperpixel == 1:
        return values.reshape(page.imagelength, page.imagewidth, 1)
    if page.planarconfig == _SEPARATE_PLANES:
        values = np.moveaxis(values.reshape(page.samplesperpixel, page.imagelength, page.imagewidth), 0, 2)
    return values.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)


def _upright(values: NDArray[Any], orientation: Any) -> NDArray[Any]:
    """The values, turned as the orientation says."""
    return _UPRIGHT.get(orientation, lambda a: a)(values) if isinstance(orientation, int) else values


def _tag(page: Any, name: str) -> Any:
    """The value of a tag of a page; `None` if there is none, or it is damaged."""
    with contextlib.suppress(Exception):  # damage may make tifffile raise any error
        tag = page.tags.get(name)
        return None if tag is None else tag.value
    return None
