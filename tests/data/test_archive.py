"""Weights out of an archive: of what it holds, one file is read."""

import gzip
import tarfile

import numpy as np
import pytest
from helpers import tar_gz

from deepdream import WeightsError
from deepdream.data import cache, download
from deepdream.zoo import weights

pytestmark = pytest.mark.usefixtures("no_user_data", "empty_cache")


def evil_link():
    link = tarfile.TarInfo("a.caffemodel")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return link


def test_an_archive_writes_nowhere_else(archived_model, tmp_path):
    model, content, right = archived_model
    link = tarfile.TarInfo("x/a.caffemodel")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    climbing = "../" * 12 + str(tmp_path / "evil.txt").lstrip("/")
    content["/a.tar.gz"] = tar_gz(
        (climbing, b"evil"), (str(tmp_path / "evil.txt"), b"evil"), link, ("../../../../a.caffemodel", right)
    )
    before = sorted(tmp_path.rglob("*"))
    path = weights.weights_path(model)
    assert path.read_bytes() == right
    assert not path.is_symlink()
    assert {file for file in tmp_path.rglob("*") if file.is_file()} == {file for file in before if file.is_file()} | {
        path
    }


@pytest.mark.parametrize(
    "archive, says",
    [
        (lambda right: b"<html>", "not a gzip|damaged"),
        (lambda right: tar_gz(("a.caffemodel", right))[:-200], "damaged|end-of-stream"),
        (lambda right: gzip.compress(b"not a tar"), "damaged"),
        (lambda right: tar_gz(("b.caffemodel", right)), "0 files called a.caffemodel"),
        (lambda right: tar_gz(("x/a.caffemodel", right), ("y/a.caffemodel", right)), "2 files called a.caffemodel"),
        (lambda right: tar_gz(evil_link()), "0 files called a.caffemodel"),
        (lambda right: tar_gz(("a.caffemodel", right[:-40])), "damaged or cut short"),
    ],
)
def test_an_archive_that_is_not_right_leaves_nothing(archived_model, archive, says):
    model, content, right = archived_model
    content["/a.tar.gz"] = archive(right)
    with pytest.raises(WeightsError, match=f"a.tar.gz: .*({says})"):
        weights.weights_path(model)
    assert [file for file in cache.cache_folder().rglob("*") if file.is_file()] == []


def test_an_endless_file_is_given_up(archived_model, monkeypatch):
    model, content, _ = archived_model
    content["/a.tar.gz"] = tar_gz(("a.caffemodel", bytes(300_000)))
    monkeypatch.setattr(download, "MAX_FILE_BYTES", 100_000)
    with pytest.raises(WeightsError, match="the archive holds more than the 100,000 bytes allowed"):
        weights.weights_path(model)
    content["/a.tar.gz"] = np.random.RandomState(0).bytes(200_000)
    with pytest.raises(WeightsError, match="it sends more than the 100,000 bytes"):
        weights.weights_path(model)
