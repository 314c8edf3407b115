"""Pictures one after the other -> an MP4 or a GIF.

*Images* are what they are elsewhere, (H, W, 3) RGB 0..255, all of one size; they are asked for one at a time, so that a
film of any length fits into memory. This needs PyAV, which brings FFmpeg along (the extra `video`).
"""

import contextlib
import importlib
from fractions import Fraction
from pathlib import Path

import numpy as np

from .errors import DreamError, ParameterError, VideoError
from .files import atomic_path
from .image import to_bytes

RATE = 15  # frames a second where nobody says otherwise
# A quality that a viewer cannot tell from the pictures. Without B-frames, frames are stored in the order they are shown
# in; otherwise an MP4 has no place for how long the last one is shown.
# Without x264's macroblock tree: with AVX-512 it gives other bits from run to run on a busy machine, and a film made
# again would not be the same. (Seen with PyAV 18's x264 on an AMD EPYC; without AVX-512 the same every time.)
_H264 = {"crf": "17", "preset": "medium", "bf": "0", "mbtree": "0"}
_BT709, _LIMITED_RANGE = 1, 1  # FFmpeg's numbers for the matrix, primaries and transfer, and for 16..235
_GIF_TICK = Fraction(1, 100)  # a GIF counts in these
_GIF_SHORTEST = 2  # ticks; browsers show what is shorter slowly


def needs(module, use):
    """Import a module of the extra `video`; a `DreamError` that says how to get it where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise DreamError(f"{use} needs the extra `video`: pip install 'deepdream-caffe[video]'") from None


def check_animation(path):
    """Refuse a path that no animation can be written to, or a machine that lacks PyAV."""
    suffix = Path(path).suffix
    if suffix.lower() not in (".mp4", ".gif"):
        raise VideoError(f"{path}: cannot write {suffix or 'a file without suffix'}; end the name in .mp4 or .gif")
    needs("av", f"{path}: writing films")


def write_animation(path, images, rate=RATE):
    """Write pictures as a film, MP4 (H.264, which every browser plays) or GIF, by the path's suffix.

    The file is written under a temporary name and renamed: it is whole, or the older one stays. H.264 wants even sizes:
    where the width or height is odd, the last column or row is repeated once.

    **Arguments:**

    - `path`: where to; its folder must exist.
    - `images`: (H, W, 3) RGB each; values are clipped to 0..255 and rounded. For a GIF they are iterated over twice,
      the first time to choose its 256 colours, so this must be a list or the like.
    - `rate`: pictures a second, above 0; a GIF shows at most 50 and leaves out the rest.

    **Raises:** `VideoError` or `ParameterError`.
    """
    check_animation(path)
    if isinstance(rate, bool) or not isinstance(rate, (int, float, Fraction)) or not 0 < rate <= 1000:
        raise ParameterError(f"rate={rate!r}: pictures a second must be a number above 0, at most 1000")
    if Path(path).suffix.lower() == ".gif" and iter(images) is images:
        raise VideoError(f"{path}: the pictures of a GIF are iterated over twice; give a list")
    rate = Fraction(rate).limit_denominator(100000)
    write_film(path, images, None, 1 / rate, rate)


def write_film(path, images, times, time_base, rate, aspect=None, sound=None):
    """As `write_animation`, with a time for each picture, and sound.

    **Arguments:**

    - `times`: when each picture begins and at last when the last one ends, a sequence of ascending whole numbers in
      units of `time_base` seconds, a `Fraction`. `None`: 0, 1, 2 and so on.
    - `rate`: pictures a second on average, a `Fraction`.
    - `aspect`: width by height of a pixel, a `Fraction`; `None`: square.
    - `sound`: `None`, or what has `open(container)`, which adds its streams, and `mux(container, until)`, which adds
      what is heard before `until` seconds, everything for `None`. A GIF has none.

    **Raises:** `VideoError`.
    """
    av = needs("av", f"{path}: writing films")
    frames = _Frames(av, images, times, time_base)
    try:
        with atomic_path(path) as temporary:
            if temporary.suffix.lower() == ".gif":
                _write_gif(av, temporary, frames, time_base)
            else:
                _write_mp4(av, temporary, frames, time_base, rate, aspect, sound)
    except (OSError, av.FFmpegError) as error:
        raise VideoError(f"{path} cannot be written: {error.strerror or error}") from None


class _Frames:
    """The pictures as FFmpeg's frames, as often as they are iterated over."""

    def __init__(self, av, images, times, time_base):
        self._av, self._images, self._times, self._time_base = av, images, times, time_base

    def __iter__(self):
        return self.frames()

    def frames(self, coarse=False):
        """The frames; `coarse`: with 32 values of each colour."""
        size = None
        for index, image in enumerate(self._images):
            size = size or image.shape
            if image.shape != size:
                raise VideoError(f"picture {index} is {image.shape[1]}×{image.shape[0]}, the first one {size[1]}×"
                                 f"{size[0]}; the pictures of a film have one size")
            pixels = np.ascontiguousarray(to_bytes(image))
            if coarse:
                pixels = pixels & 0b11111000 | 0b100
            frame = self._av.VideoFrame.from_ndarray(pixels, format="rgb24")
            begin, end = (index, index + 1) if self._times is None else self._times[index:index + 2]
            frame.pts, frame.duration, frame.time_base = begin, end - begin, self._time_base
            yield frame
        if size is None:
            raise VideoError("a film needs one picture at least")


class _Encoder:
    """A stream of a container that is encoded frame by frame.

    How long a frame is shown gets lost in the encoders, which matters for the last one; here it is put back.
    """

    def __init__(self, container, stream):
        self._container, self._stream, self._durations = container, stream, {}

    def write(self, frame):
        """Encode a frame, whose times are in the stream's units; `None`: what is still on its way."""
        if frame is not None:
            self._durations[frame.pts] = frame.duration
        for packet in self._stream.encode(frame):
            packet.duration = self._durations.pop(packet.pts, packet.duration)
            self._container.mux(packet)


def _write_mp4(av, path, frames, time_base, rate, aspect, sound):
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        encoder, to_yuv = None, _ToYuv(av)
        for frame in frames:
            if encoder is None:
                stream = _add_h264(container, frame, time_base, rate, aspect)
                encoder = _Encoder(container, stream)
                if sound:
                    sound.open(container)
            if sound:  # in step with the pictures, or the container would have to keep what comes too early
                sound.mux(container, float(frame.pts * time_base))
            encoder.write(to_yuv(frame))
        encoder.write(None)
        if sound:
            sound.mux(container, None)


def _add_h264(container, frame, time_base, rate, aspect):
    stream = container.add_stream("libx264", rate=rate, options=_H264)
    stream.width, stream.height = (n + n % 2 for n in (frame.width, frame.height))
    stream.pix_fmt = "yuv420p"
    codec = stream.codec_context
    codec.time_base = time_base
    codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
    codec.color_range = _LIMITED_RANGE
    if aspect:
        codec.sample_aspect_ratio = aspect
    return stream


class _ToYuv:
    """Frames as H.264 takes them: with the colours of HDTV, at half the size, which is therefore even."""

    def __init__(self, av):
        self._av, self._graph = av, None

    def __call__(self, frame):
        padded = self._padded(frame)
        if self._graph is None:
            self._graph, (self._source,) = filters(self._av, [padded], ("scale", "out_color_matrix=bt709:out_range=tv"),
                                                   ("format", "yuv420p"))
        self._source.push(padded)
        result = self._graph.pull()
        result.pts, result.duration, result.time_base = frame.pts, frame.duration, frame.time_base
        return result

    def _padded(self, frame):
        missing = [(0, frame.height % 2), (0, frame.width % 2), (0, 0)]
        if not frame.height % 2 and not frame.width % 2:
            return frame
        padded = self._av.VideoFrame.from_ndarray(np.pad(frame.to_ndarray(), missing, mode="edge"), format="rgb24")
        padded.pts, padded.time_base = frame.pts, frame.time_base
        return padded


def _write_gif(av, path, frames, time_base):
    """FFmpeg's own filters in two passes: one palette for all the pictures, then every picture in its colours."""
    graph = None
    # The filter counts how often it meets each colour; there are 16 million that are not coarse.
    for frame in frames.frames(coarse=True):
        if graph is None:
            graph, (source,) = filters(av, [frame], ("palettegen", None))
        source.push(frame)
        with contextlib.suppress(av.BlockingIOError):  # it has no palette yet, but now it takes the frame in
            graph.pull()
    source.push(None)
    palette = graph.pull()
    with av.open(str(path), "w", format="gif") as container:
        stream = container.add_stream("gif", rate=round(1 / _GIF_TICK))
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "pal8"
        stream.codec_context.time_base = _GIF_TICK
        encoder = _Encoder(container, stream)
        graph, (source, colours) = filters(av, [frame, palette], ("paletteuse", "dither=bayer:bayer_scale=4"))
        colours.push(palette)
        colours.push(None)
        shown = None
        for frame in frames:
            tick = round(frame.pts * time_base / _GIF_TICK)
            if shown is not None and tick < shown + _GIF_SHORTEST:
                continue
            shown = tick
            source.push(frame)
            coloured = graph.pull()
            coloured.pts, coloured.time_base = tick, _GIF_TICK
            coloured.duration = max(_GIF_SHORTEST, round(frame.duration * time_base / _GIF_TICK))
            encoder.write(coloured)
        encoder.write(None)


def filters(av, templates, *chain):
    """(graph, [source, …]): some of FFmpeg's filters, one behind the other.

    **Arguments:** `templates`: a frame like those that each source will be fed; `chain`: (name, options) of each
    filter; the sources lead into the first.
    """
    graph = av.filter.Graph()
    sources = [graph.add_buffer(template=each, time_base=templates[0].time_base) for each in templates]
    nodes = [graph.add(*each) for each in chain] + [graph.add("buffersink")]
    for number, source in enumerate(sources):
        source.link_to(nodes[0], 0, number)
    for node, following in zip(nodes, nodes[1:]):
        node.link_to(following)
    graph.configure()
    return graph, sources
