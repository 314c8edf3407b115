"""A video file, read: its frames as images, the times they are shown at, its sound.

A `Video` is read through once when it is opened, so that what is wrong with it is found before anything is dreamt.
Frames come upright, as a player shows them, whatever way the camera was held.
"""

import errno
import logging
import math
from array import array
from fractions import Fraction
from pathlib import Path

import numpy as np

from .animation import filters, needs
from .errors import VideoError
from .files import check_regular

log = logging.getLogger(__name__)

_COPIED = {"aac", "mp3", "opus", "flac", "alac", "ac3", "eac3"}  # sound that an MP4 holds as it is
_AAC_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}
_HD = 720  # rows; from here on a video that does not say so is taken to have the colours of HDTV, as players do
_MATRICES = {1: "bt709", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}  # by FFmpeg's numbers
_FULL_RANGE = 2
_FEW_HANDLES = (errno.EMFILE, errno.ENFILE)
_TICKS = 1_000_000  # FFmpeg's own unit of a file's start


class Video:
    """A video file.

    **Arguments:** `path`.

    **Attributes:**

    - `width`, `height`: of its upright frames, in pixels; `aspect`: a pixel's width by its height, a `Fraction`.
    - `times`: when each frame begins and at last when the last one ends, whole numbers in units of `time_base` seconds.
    - `rate`: frames a second on average, a `Fraction`.

    `len(video)` is the number of frames; iterating over it gives them, float32 (H, W, 3) RGB 0..255, as often as asked.

    **Raises:** `VideoError` if it cannot be read, is damaged, or holds no pictures.
    """

    def __init__(self, path):
        self.path = Path(path)
        self._av = needs("av", f"{path}: reading videos")
        check_regular(self.path, math.inf, VideoError)
        if self.path.is_dir() or not self.path.exists():
            raise VideoError(f"{path}: {'is a folder, not a video' if self.path.is_dir() else 'no such file'}")
        if self.path.stat().st_size == 0:
            raise VideoError(f"{path} is empty: it has no bytes at all")
        self.times = array("q")
        with self._opened() as container:
            self._scan(container)

    def __len__(self):
        return len(self.times) - 1

    def __iter__(self):
        with self._opened() as container:
            stream = container.streams[self._index]
            stream.thread_type = "AUTO"
            to_rgb = self._to_rgb()
            for frame in self._decoded(container, [stream]):
                yield np.float32(_upright(to_rgb(frame), self._turn))

    def sound(self):
        """What `write_film` takes as its `sound`: every track, copied where an MP4 can hold it, else as AAC."""
        return _Sound(self)

    def _opened(self):
        try:
            return self._av.open(str(self.path), metadata_errors="replace")  # a title that is no text spoils nothing
        except (self._av.FFmpegError, OSError) as error:
            if isinstance(error, PermissionError):
                raise VideoError(f"{self.path} cannot be read: permission denied") from None
            if error.errno in _FEW_HANDLES:  # nothing of the file was read yet
                raise VideoError(f"{self.path} cannot be opened: {error.strerror}; close other programs, or raise the "
                                 "limit (ulimit -n)") from None
            raise VideoError(f"{self.path} is not a video that can be read, or is damaged ({error.strerror}); convert "
                             "it to an MP4 first") from None

    def _decoded(self, container, streams):
        """The video frames of a container; frames of other `streams` are decoded too, to see whether they can be.

        `self._end` becomes when the last of all packets ends, in seconds.
        """
        seen, self._end = 0, 0.0
        try:
            for packet in container.demux():
                if packet.pts is not None:
                    self._end = max(self._end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                for frame in packet.decode() if packet.stream in streams else ():
                    if packet.stream.type == "video":
                        seen += 1
                        yield frame
        except (self._av.FFmpegError, OSError) as error:
            raise VideoError(f"{self.path} is damaged behind frame {seen} ({error.strerror}); convert it with a "
                             "program that mends it, or cut that part off") from None

    def _scan(self, container):
        moving = [stream.index for stream in container.streams.video if not _is_cover(stream)]
        if not moving:
            what = "only sound" if container.streams.audio else "no pictures"
            raise VideoError(f"{self.path} holds {what}; name a video")
        self._index = moving[0]
        stream = container.streams[self._index]
        stream.thread_type = "AUTO"
        tracks = [track for track in container.streams.audio if track.codec_context is not None]
        self.tracks = [track.index for track in tracks]
        if len(tracks) < len(container.streams.audio):
            log.warning("%s: a track of sound in an unknown format is left out", self.path)
        self.start = Fraction(container.start_time or 0, _TICKS)
        self.time_base, last = stream.time_base, None
        for frame in self._decoded(container, [stream, *(track for track in tracks if not _is_copied(track))]):
            if last is None:
                self._size, self._format = (frame.width, frame.height), frame.format.name
                self._turn = _display_turn(frame)
            self._add_time(frame)
            last = frame
        if last is None:
            raise VideoError(f"{self.path} holds not a single frame that can be read")
        self.rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        length = last.duration or round(1 / (self.rate * self.time_base))
        self.times.append(self.times[-1] + max(1, length))
        self._check_whole(container, stream)
        self.width, self.height = self._size[::-1] if self._turn[0] else self._size
        aspect = stream.sample_aspect_ratio or Fraction(1)
        self.aspect = 1 / aspect if self._turn[0] else aspect

    def _add_time(self, frame):
        """When a frame begins: as the file says, and if it does not, after the frame before."""
        time = frame.pts if frame.pts is not None else frame.dts
        if time is not None:
            time -= round(self.start / self.time_base)
        elif self.times:
            time = self.times[-1] + (frame.duration or 1)
        self.times.append(max(time or 0, self.times[-1] + 1 if self.times else 0))

    def _check_whole(self, container, stream):
        """Refuse a file whose index promises much more than there is: it was cut short on its way."""
        if stream.duration:
            there, promised = self.times[-1] - self.times[0], stream.duration
            there, promised = float(there * self.time_base), float(promised * self.time_base)
        else:  # Matroska tells how long the whole file is, its sound and subtitles included
            there, promised = self._end - float(self.start), (container.duration or 0) / _TICKS
        if promised > 1.05 * there + 0.5:
            raise VideoError(f"{self.path} is cut short: {there:.1f} of {promised:.1f} seconds are there; get it again")

    def _to_rgb(self):
        """A function that gives a frame's pixels, uint8 (h, w, 3), as they are stored."""
        graph = source = None

        def to_rgb(frame):
            nonlocal graph, source
            # Should they change on the way, size and format stay those of the first frame.
            if (frame.width, frame.height, frame.format.name) != (*self._size, self._format):
                frame = frame.reformat(*self._size, self._format)
            if graph is None:
                matrix = _MATRICES.get(frame.colorspace, "bt709" if self._size[1] >= _HD else "bt601")
                full = ":in_range=pc" if frame.color_range == _FULL_RANGE else ""
                graph, (source,) = filters(self._av, [frame], ("scale", f"in_color_matrix={matrix}{full}"),
                                           ("format", "rgb24"))
            source.push(frame)
            return graph.pull().to_ndarray()
        return to_rgb


def _is_cover(stream):
    """Whether a stream is the picture on the cover of a piece of music."""
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def _display_turn(frame):
    """How a frame is turned to be shown: (transposed, flipped in x, flipped in y), in this order."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    # x' = a x + c y and y' = b x + d y
    a, b, _, c, d = (int(n) for n in np.frombuffer(bytes(matrix), np.int32)[:5])
    transposed = abs(b) > abs(a)
    return (True, c < 0, b < 0) if transposed else (False, a < 0, d < 0)


def _upright(pixels, turn):
    transposed, flip_x, flip_y = turn
    pixels = pixels.swapaxes(0, 1) if transposed else pixels
    return pixels[::-1 if flip_y else 1, ::-1 if flip_x else 1]


def _is_copied(track):
    return track.codec_context.name.split("_")[0] in _COPIED or track.codec_context.name == "mp3float"


class _Sound:
    """The tracks of a video on their way into another container."""

    def __init__(self, video):
        self._video = video

    def open(self, container):
        """Add a stream for each track to an output container."""
        self._input = self._video._opened()
        self._streams = {}
        for index in self._video.tracks:
            track = self._input.streams[index]
            if _is_copied(track):
                stream = container.add_stream_from_template(track)
            else:
                codec = track.codec_context
                stream = container.add_stream("aac", rate=codec.rate if codec.rate in _AAC_RATES else 48000)
                stream.layout = "mono" if codec.layout.nb_channels == 1 else "stereo"
            self._streams[index] = stream
        self._packets = self._input.demux([self._input.streams[index] for index in self._streams])
        self._waiting = None

    def mux(self, container, until):
        """Add what is heard before `until` seconds; everything that is left for `None`, and close the input."""
        while self._streams:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                break
            later = None not in (packet.dts, until) and packet.dts * packet.time_base - self._video.start > until
            if later:
                self._waiting = packet
                return
            self._pass_on(container, packet)
        if until is None:
            self._input.close()

    def _pass_on(self, container, packet):
        track, stream = packet.stream, self._streams[packet.stream.index]
        shift = round(self._video.start / packet.time_base)
        if _is_copied(track):
            if None not in (packet.dts, packet.pts):  # the last, empty one only asks a decoder for what it still holds
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                container.mux(packet)
            return
        for frame in packet.decode():
            frame.pts = None if frame.pts is None else frame.pts - shift
            container.mux(stream.encode(frame))
        if packet.dts is None:
            container.mux(stream.encode(None))
