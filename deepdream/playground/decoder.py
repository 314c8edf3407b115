"""Decodes a visitor's image in a separate process with little memory and little time.

A file of a few kilobytes can hold an image of gigabytes, or keep a decoder busy for minutes. The process gets the file
through its standard input and answers with a line of JSON and a JPEG. The central type is `Decoding`, such a process.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import DreamError, ImageError
from ..io.image import read_embedded_text
from ..io.metadata import MAX_TEXT_BYTES
from .images import jpeg
from .uploads import Picture

if sys.platform != "win32":
    import resource

MEMORY_BYTES = 1536 * 2**20  # address space: Python and its libraries take a third of it
CPU_S = 30
_TIMEOUT_S = 90  # two may run at a time, on a machine that is busy dreaming


@dataclass(frozen=True)
class Decoded:
    """The facts about an image that the page shows.

    Attributes:
        shape: (height, width) of the image, in pixels.
        fitted: the same after the image is scaled down to the size that is dreamt on.
        text: the recipe in the file, as JSON; `None` if it has none.
        jpeg: the image for the page.
    """

    shape: tuple[int, int]
    fitted: tuple[int, int]
    text: str | None
    jpeg: bytes


def decode(picture: Picture, side: int, shown_side: int) -> Decoded:
    """Decode an image in this process.

    Args:
        picture: the image.
        side: the longer side that it is scaled down to, in pixels.
        shown_side: the same of its JPEG.

    Raises:
        ImageError: it cannot be decoded.
    """
    img = picture.open(side)
    fitted = img.fit(side)
    height, width = fitted.shape[:2]
    text = read_embedded_text(io.BytesIO(picture.data)) if picture.data else None
    if text is not None and len(text) > MAX_TEXT_BYTES:
        text = None
    return Decoded(img.shape[:2], (height, width), text, jpeg(fitted, shown_side))


class Decoding:
    """A process that decodes one image, started with this object.

    Args:
        picture: the image, with its bytes.
        side: see `decode`.
        shown_side: see `decode`.
    """

    def __init__(self, picture: Picture, side: int, shown_side: int) -> None:
        self._picture = picture
        self._request = json.dumps({"name": picture.name, "side": side, "shown_side": shown_side}).encode() + b"\n"
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from deepdream.playground.decoder import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )

    def result(self) -> Decoded:
        """Wait for the image.

        Raises:
            ImageError: it cannot be decoded, or not with this memory and time, or `cancel` was called.
        """
        with self._process:  # closes the pipes
            try:
                answer, _ = self._process.communicate(self._request + (self._picture.data or b""), timeout=_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.cancel()
                answer = b""
        line, _, shown = answer.partition(b"\n")
        if self._process.returncode != 0 or not line:
            raise ImageError(f"{self._picture.name} needs too much memory or time to decode; scale it down first")
        values = json.loads(line)
        if "error" in values:
            raise ImageError(values["error"])
        return Decoded(tuple(values["shape"]), tuple(values["fitted"]), values["text"], shown)

    def cancel(self) -> None:
        """End the process now."""
        self._process.kill()
        self._process.wait()


def _environment() -> dict[str, str]:
    """The environment of the process, which needs no second thread."""
    return {**child_environment(), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def child_environment() -> dict[str, str]:
    """The environment of a process that imports this same package from any folder."""
    here = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])}


def main() -> None:
    """The process: answer one request."""
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    answer(sys.stdin.buffer, sys.stdout.buffer)


def answer(source: BinaryIO, answers: BinaryIO) -> None:
    """Answer the request of a `Decoding`.

    Args:
        source: the stream with the request: a line of JSON, and the file.
        answers: the stream for the answer.
    """
    request = json.loads(source.readline())
    try:
        decoded = decode(Picture(request["name"], source.read()), request["side"], request["shown_side"])
    except DreamError as error:
        answers.write(json.dumps({"error": str(error)}).encode())
        return
    values = {name: value for name, value in asdict(decoded).items() if name != "jpeg"}
    answers.write(json.dumps(values).encode() + b"\n" + decoded.jpeg)
