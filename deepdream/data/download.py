"""Downloads: a file is fetched, verified and kept in the cache, or it is not kept at all.

The central type is a path in the cache, whose content has the expected checksum (see `deepdream.data.cache`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import BinaryIO, cast

import requests

from ..io.files import atomic_path
from .archive import unpack
from .cache import checksum_algorithm, file_sha256, has_checksum

log = logging.getLogger(__name__)

# Seconds to wait for a connection, and for the next bytes.
CONNECT_READ_TIMEOUT_S = (5, 20)
# A site that sends a byte now and then never reaches that limit. Fewer than these bytes in that many seconds, half a
# kilobyte per second, are too few: the weights would take a day, and the next site may be faster.
CHUNK_BYTES, STALL_TIMEOUT_S = 1 << 14, 30
# Seconds between two lines of the log about the progress of a download.
REPORT_INTERVAL_S = 5
# The limit for a file whose size is not known.
MAX_FILE_BYTES = 2**30


def download_file(
    url: str,
    checksum: str | None,
    size: int | None,
    target: str | os.PathLike[str],
    check: Callable[[Path], object] | None = None,
) -> None:
    """Download one file, verified, to `target`; if this fails, nothing is left behind.

    From a .tar.gz, only the one file with the target's name is extracted, and nothing else is written.

    Args:
        url: its address.
        checksum: the checksum of the file itself, not of an archive around it, or `None`.
        size: the number of bytes that the URL sends, or `None`.
        target: a path whose folder exists.
        check: called with the file's path; it raises an error if the file is wrong.

    Raises:
        OSError: the site cannot be reached, or the transfer broke off.
        ValueError: the size or hash is not the expected one.
        Exception: any error that `check` raises.
    """
    target = Path(target)
    with atomic_path(target) as output:
        with open(output, "wb") as file:
            if url.endswith(".tar.gz"):
                with tempfile.TemporaryFile(dir=target.parent) as archive:
                    _download(url, cast(BinaryIO, archive), None)
                    unpack(cast(BinaryIO, archive), target.name, file, MAX_FILE_BYTES)
            else:
                _download(url, file, size)
        if checksum is not None and not has_checksum(output, checksum):
            raise ValueError(f"its {checksum_algorithm(checksum)} hash is not the published one")
        if check is not None:
            check(output)
        if checksum is None:
            log.info("%s: no published checksum; its layers and shapes fit, its sha256 is %s", url, file_sha256(output))
        os.chmod(output, 0o644)  # other users of the cache may read it, regardless of the umask


def _download(url: str, file: BinaryIO, size: int | None) -> None:
    """Write the content of a URL to an open file, and log the progress."""
    received, last_report = 0, float(-REPORT_INTERVAL_S)
    max_bytes = MAX_FILE_BYTES if size is None else size
    with contextlib.closing(_chunks(url)) as chunks:
        for chunk in chunks:
            file.write(chunk)
            received += len(chunk)
            if received > max_bytes:
                raise ValueError(
                    f"it sends more than the {max_bytes:,} bytes {'allowed' if size is None else 'expected'}"
                )
            if time.monotonic() - last_report >= REPORT_INTERVAL_S:
                log.info("fetching %s: %.0f%s MB", url, received / 1e6, "" if size is None else f" of {size / 1e6:.0f}")
                last_report = time.monotonic()
    if size is not None and received != size:
        raise ValueError(f"it sent {received:,} bytes, expected {size:,}")


def _chunks(url: str) -> Generator[bytes, None, None]:
    """The content of a URL in chunks; an `OSError` if one takes longer than `STALL_TIMEOUT_S`.

    It is read in a separate thread, which is abandoned at the time limit: nothing else ends a read that gets a byte, of
    a header or of the content, each time shortly before its own limit.
    """
    # The chunks, and after them `None` or the exception that ended the read.
    chunks: queue.Queue[bytes | Exception | None] = queue.Queue(4)
    abandoned = threading.Event()

    def put(item: bytes | Exception | None) -> None:
        while not abandoned.is_set():
            with contextlib.suppress(queue.Full):
                return chunks.put(item, timeout=1)

    def read() -> None:
        try:
            # Uncompressed: weights hardly get smaller, and the size is known of the file itself.
            with requests.get(
                url, stream=True, timeout=CONNECT_READ_TIMEOUT_S, headers={"Accept-Encoding": "identity"}
            ) as response:
                response.raise_for_status()
                for chunk in response.iter_content(CHUNK_BYTES):
                    put(chunk)
                    if abandoned.is_set():
                        return
            put(None)
        except Exception as error:
            put(error)

    threading.Thread(target=read, daemon=True).start()
    try:
        while (item := chunks.get(timeout=STALL_TIMEOUT_S)) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    except queue.Empty:
        raise OSError(f"it sends less than {CHUNK_BYTES:,} bytes in {STALL_TIMEOUT_S} seconds") from None
    finally:
        abandoned.set()


def describe_error(error: BaseException) -> str:
    """A failure in a few words: the innermost reason of nested networking exceptions."""
    name = type(error).__name__
    text = " ".join(str(error).split())
    known = {
        "Failed to resolve": "the site's name cannot be resolved",
        "ConnectTimeout": "no connection in time",
        "ReadTimeout": "it stopped sending",
        "Read timed out": "it stopped sending",
        "IncompleteRead": "it broke off midway",
        "Connection refused": "connection refused",
        "Network is unreachable": "the network is unreachable",
        "RemoteDisconnected": "it closed the connection without an answer",
        "No space left on device": "the disk is full",
    }
    for mark, meaning in known.items():
        if mark in text or mark in name:
            return meaning
    return text if len(text) <= 300 else text[:297] + "…"
