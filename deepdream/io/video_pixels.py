"""FFmpeg's decoded frames -> RGB pixels, as a player shows them.

The central type is `PixelReader`. Interlaced frames are deinterlaced, HDR and wide gamuts become the SDR of HDTV
(BT.709), and frames are turned upright, however the camera was held.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import VideoError
from .filters import filter_graph
from .hdr import HLG, PQ, needs_conversion, to_sdr

if TYPE_CHECKING:
    from av import VideoFrame

_MIN_HD_ROWS = 720  # from this height on, players assume HDTV's colours if a video does not name its colours
# FFmpeg's numbers (those of ITU-T H.273) and names.
_MATRICES = {1: "bt709", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
_ICTCP, _IPT = 14, 15  # matrices of HDR that FFmpeg cannot convert; the second is Dolby Vision's profile 5
_FULL_RANGE = 2  # FFmpeg's number for 0..255
_UNNAMED = 2


class Colours(NamedTuple):
    """How the values of a video are to be understood, in FFmpeg's numbers."""

    matrix: int
    primaries: int
    transfer: int
    full_range: bool

    @property
    def hdr(self) -> str | None:
        """ "HLG" or "PQ"; `None` for SDR."""
        return {PQ: "PQ", HLG: "HLG"}.get(self.transfer)


class Turn(NamedTuple):
    """How a frame is turned to be shown: first transposed, then flipped."""

    transposed: bool
    flip_x: bool
    flip_y: bool


class PixelReader:
    """Converts the frames of one video to RGB.

    If size or format changes in the middle of the video, they stay those of the first frame.

    Args:
        av: PyAV.
        first: the first frame.
        codec: the codec context of the stream.

    Attributes:
        size: (width, height) of the stored frames, in pixels.
        turn: how they are turned.
        colours: how their values are to be understood.
        interlaced: whether there are interlaced frames; to be set when all frames were seen.

    Raises:
        VideoError: the colours cannot be converted.
    """

    def __init__(self, av: ModuleType, first: VideoFrame, codec: Any) -> None:
        self._av = av
        self._format = first.format.name
        self.size = (first.width, first.height)
        self.turn = _display_turn(first)
        self.interlaced = False
        transfer, primaries = (_number(first, codec, name) for name in ("color_trc", "color_primaries"))
        full_range = first.color_range == _FULL_RANGE
        self.colours = Colours(int(first.colorspace), primaries, transfer, full_range)
        self._needs_conversion = needs_conversion(transfer, primaries)
        if self.colours.matrix in (_ICTCP, _IPT):
            what = "HDR in ICtCp" if self.colours.matrix == _ICTCP else "Dolby Vision without a compatible base"
            raise VideoError(f"the colours are {what}, which cannot be converted; make it HDR10, HLG or SDR first")

    def read(self, frames: Iterable[VideoFrame], first: int = 0) -> Iterator[NDArray[np.uint8]]:
        """The pixels of each frame from number `first` on, uint8 (H, W, 3), upright."""
        if not self.interlaced:
            yield from self._convert(itertools.islice(frames, first, None))
            return
        before = min(first, 1)  # a frame is deinterlaced with the help of the one before
        yield from itertools.islice(self._convert(itertools.islice(frames, first - before, None)), before, None)

    def _convert(self, frames: Iterable[VideoFrame]) -> Iterator[NDArray[np.uint8]]:
        graph: Any = None
        source: Any = None
        waiting = 0  # frames in the graph: a frame is deinterlaced when the next one is known
        for frame in frames:
            if (frame.width, frame.height, frame.format.name) != (*self.size, self._format):
                frame = frame.reformat(*self.size, self._format)
            if graph is None:
                graph, (source,) = filter_graph(self._av, [frame], *self._chain())
            source.push(frame)
            waiting += 1
            if waiting > self.interlaced:
                waiting -= 1
                yield self._pull(graph)
        if waiting:
            source.push(None)
            yield self._pull(graph)

    def _pull(self, graph: Any) -> NDArray[np.uint8]:
        pixels = graph.pull().to_ndarray()
        if self._needs_conversion:
            pixels = to_sdr(pixels, self.colours.transfer, self.colours.primaries)
        return _upright(pixels, self.turn)

    def _chain(self) -> list[tuple[str, str | None]]:
        """The filters, with their options."""
        matrix, _, _, full_range = self.colours
        unnamed = "bt2020" if self.colours.hdr else "bt709" if self.size[1] >= _MIN_HD_ROWS else "bt601"
        full = ":in_range=pc" if full_range else ""
        to_rgb = ("scale", f"in_color_matrix={_MATRICES.get(matrix, unnamed)}{full}")
        # One frame for each; those that are not interlaced stay as they are.
        deinterlace = [("bwdif", "mode=send_frame:deint=interlaced")] if self.interlaced else []
        return [*deinterlace, to_rgb, ("format", "rgb48" if self._needs_conversion else "rgb24")]


def _number(frame: VideoFrame, codec: Any, name: str) -> int:
    """A frame's number of its transfer or primaries, or else its codec's; PyAV 15 has only the latter."""
    of_frame = getattr(frame, name, _UNNAMED)
    return int(getattr(codec, name) if of_frame == _UNNAMED else of_frame)


def has_transparency(frame: VideoFrame) -> bool:
    """Whether a frame has pixels that are not opaque."""
    alpha = any(component.is_alpha for component in frame.format.components)
    return alpha and int(frame.to_ndarray(format="rgba")[:, :, 3].min()) < 255


def _display_turn(frame: Any) -> Turn:
    """How a frame is to be turned, from its display matrix."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Turn(False, False, False)
    # x' = a x + c y and y' = b x + d y
    a, b, _, c, d = (int(n) for n in np.frombuffer(bytes(matrix), np.int32)[:5])
    return Turn(True, c < 0, b < 0) if abs(b) > abs(a) else Turn(False, a < 0, d < 0)


def _upright(pixels: NDArray[np.uint8], turn: Turn) -> NDArray[np.uint8]:
    """Stored pixels as they are shown."""
    pixels = pixels.swapaxes(0, 1) if turn.transposed else pixels
    return pixels[:: -1 if turn.flip_y else 1, :: -1 if turn.flip_x else 1]
