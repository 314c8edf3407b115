"""Bring the pristine source of BVLC Caffe 1.0 and verify it: one file, one sha256, from several places.

    python3 source.py --unpack FOLDER

The file is the upstream tarball of Debian's source package `caffe` (1.0.0+git20180821.99bd997), whose src, include,
python and cmake folders are those of upstream's last commit. It comes from

1. PYCAFFE_SOURCE=FILE, a copy already at hand;
2. the user's cache, where an earlier run put it, or dist/, where `make wheels` keeps it;
3. the machine's own Debian mirror, with `apt-get source` and private lists, so that apt's own set-up stays as it is;
4. the machine's own Ubuntu mirror, whose pool has the same file;
5. Debian's archive of old releases, with apt-get again, for the day the mirrors drop bullseye: the one whose address
   PYCAFFE_ARCHIVE has, or the one that many mirrors keep beside the releases of today.

Needs nothing but Python's standard library, because it runs before anything else is installed.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path

VERSION = "1.0.0+git20180821.99bd997-8"
SUITE = "bullseye"
FILE_NAME = "caffe_1.0.0+git20180821.99bd997.orig.tar.gz"
SHA256 = "e0eb3f06794f7402c77b7dec8e8480273ee1a1bb192e9122b621a69d4147ad0c"
POOL = f"pool/universe/c/caffe/{FILE_NAME}"
# Debian's keys: package debian-archive-keyring, on Ubuntu too.
KEYRINGS = [
    Path("/usr/share/keyrings", f"debian-archive-{part}.{ending}")
    for part in ("keyring", "removed-keys")
    for ending in ("gpg", "pgp")
]
DIST = Path(__file__).resolve().parent.parent / "dist"


class SourceError(Exception):
    """Caffe's source cannot be fetched, or is not the file it should be."""


def cache_folder():
    """The user's cache folder for this project, created; a folder beside the code when the home cannot be written."""
    home_cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for folder in (Path(home_cache) / "deepdream", Path(__file__).resolve().parent.parent / "build" / "cache"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    raise SourceError(f"no folder to keep files in: {home_cache} cannot be written; set XDG_CACHE_HOME to one that can")


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def verified(path):
    """The path, if it is the file we want; else a SourceError that says what it is instead."""
    if not Path(path).is_file():
        raise SourceError(f"{path} is not a file")
    found = sha256_of(path)
    if found != SHA256:
        raise SourceError(f"{path} has sha256 {found}, expected {SHA256} ({FILE_NAME})")
    return Path(path)


def run(command, folder):
    try:
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError as error:
        raise SourceError(f"{command[0]} is not installed") from error
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        raise SourceError(f"{command[0]} failed: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout


def mirrors(folder, system):
    """The addresses of the machine's mirrors of a system, "debian" or "ubuntu", as apt's own configuration has them."""
    listing = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], folder)
    found = dict.fromkeys(line.strip().rstrip("/") for line in listing.splitlines() if line.strip())
    # Security and third-party repositories do not carry the package: the main archive's address ends in the name.
    matching = [mirror for mirror in found if mirror.endswith(f"/{system}")]
    if not matching:
        raise SourceError(f"apt's configuration names no {system.capitalize()} mirror")
    return matching


def archives(folder):
    """The addresses where Debian's archive of old releases may be."""
    named = os.environ.get("PYCAFFE_ARCHIVE")
    return [named] if named else [f"{mirror}-archive/debian" for mirror in mirrors(folder, "debian")]


def with_apt(folder, mirror):
    """The file from a Debian mirror; its lists are verified by Debian's keys."""
    keys = [str(path) for path in KEYRINGS if path.is_file()]
    if not keys:
        raise SourceError(f"{KEYRINGS[0]} is not there: install the package debian-archive-keyring")
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb-src [signed-by={','.join(keys)}] {mirror} {SUITE} main\n")
    options = {
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "-",
        "APT::Sandbox::User": "",
        "Acquire::Check-Valid-Until": "false",  # an archive's lists have expired
        "Acquire::Languages": "none",
        "Acquire::Retries": 2,
        "Acquire::http::Timeout": 20,
        "Acquire::https::Timeout": 20,
    }
    apt = ["apt-get", *(f"-o{name}={value}" for name, value in options.items())]
    # Without any-error apt-get would call an unreachable mirror a warning.
    run([*apt, "-o", "APT::Update::Error-Mode=any", "update"], folder)
    run([*apt, "source", "--download-only", "--only-source", f"caffe={VERSION}"], folder)
    return verified(folder / FILE_NAME)


def download(folder, mirror):
    """The file from a mirror's pool; its sha256 is what verifies it."""
    path = folder / FILE_NAME
    try:
        with urllib.request.urlopen(f"{mirror}/{POOL}", timeout=20) as reply, open(path, "wb") as file:
            shutil.copyfileobj(reply, file)
    except (OSError, ValueError) as error:
        raise SourceError(str(error)) from error
    return verified(path)


def from_each(folder, addresses, fetch):
    """The file from the first address that has it."""
    failures = []
    for address in addresses:
        try:
            return fetch(folder, address)
        except SourceError as error:
            failures.append(f"{address}: {error}")
    raise SourceError("; ".join(failures))


# What it is called, and how to get the file into a folder.
PLACES = (
    ("the Debian mirror", lambda folder: from_each(folder, mirrors(folder, "debian"), with_apt)),
    ("the Ubuntu mirror", lambda folder: from_each(folder, mirrors(folder, "ubuntu"), download)),
    ("Debian's archive of old releases", lambda folder: from_each(folder, archives(folder), with_apt)),
)


def tarball():
    """The path of the verified tarball, in the user's cache unless PYCAFFE_SOURCE names another."""
    if os.environ.get("PYCAFFE_SOURCE"):
        return verified(os.environ["PYCAFFE_SOURCE"])
    kept = cache_folder() / FILE_NAME
    for path in (kept, DIST / FILE_NAME):
        if path.is_file() and sha256_of(path) == SHA256:
            return path
    failures = []
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix="source-") as folder:
        for name, fetch in PLACES:
            try:
                os.replace(fetch(Path(folder)), kept)
                return kept
            except SourceError as error:
                failures.append(f"  {name}: {error}")
    raise SourceError(
        "could not get Caffe's source:\n"
        + "\n".join(failures)
        + "\nSet PYCAFFE_ARCHIVE to the address of Debian's archive of old releases, or"
        + f"\nbring {FILE_NAME} (sha256 {SHA256}) yourself and set PYCAFFE_SOURCE to its path."
    )


def unpack(folder):
    """Unpack the source into `folder`, replacing what is there."""
    source = tarball()
    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tarfile.open(source) as archive:
        # The filter refuses paths that leave the folder; the oldest Pythons lack it, and the sha256 is checked.
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))


def main():
    parser = argparse.ArgumentParser(description="Bring and verify Caffe's source.")
    parser.add_argument("--unpack", metavar="FOLDER", help="unpack it there; without this, print the tarball's path")
    options = parser.parse_args()
    try:
        if options.unpack:
            unpack(options.unpack)
        else:
            print(tarball())
    except SourceError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
