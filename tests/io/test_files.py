"""Files that are written whole or not at all."""

import errno
import os
import socket
import stat

import pytest

import deepdream as dd
from deepdream import ImageError
from deepdream.io import files
from deepdream.io.files import atomic_path, remove_leftovers, why_not_replaceable


def test_an_atomic_path_leaves_nothing_behind_when_its_block_fails(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "a.txt") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        raise ZeroDivisionError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def replace(path, text="new"):
    with atomic_path(path) as temporary:
        temporary.write_text(text)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failed_write_names_the_file_and_not_the_temporary_one(tmp_path, monkeypatch, code):
    with pytest.raises(OSError) as raised, atomic_path(tmp_path / "a.html"):
        raise OSError(code, os.strerror(code))
    assert (raised.value.errno, raised.value.filename) == (code, str(tmp_path / "a.html"))
    monkeypatch.setattr(files, "open", lambda *_: os.mkdir(tmp_path), raising=False)  # fails as a full disk does
    with pytest.raises(OSError) as raised, atomic_path(tmp_path / "b.html"):
        pass
    assert raised.value.filename == str(tmp_path / "b.html")
    assert not list(tmp_path.iterdir())


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(OSError) as raised, atomic_path(tmp_path / "a.txt"):
        (tmp_path / "none.txt").read_text()
    assert raised.value.filename == str(tmp_path / "none.txt")


def permissions(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path, mode):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(mode)
    with atomic_path(path) as temporary:
        assert permissions(temporary) == mode  # nobody else reads it meanwhile
        temporary.write_text("new")
    assert (path.read_text(), permissions(path)) == ("new", mode)


def test_what_runs_a_program_as_another_user_is_not_kept(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "a.txt").chmod(0o6750)
    replace(tmp_path / "a.txt")
    assert permissions(tmp_path / "a.txt") == 0o750


def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        replace(tmp_path / "a.txt")
    finally:
        os.umask(before)
    assert permissions(tmp_path / "a.txt") == 0o640


def test_a_file_that_is_replaced_has_the_time_of_the_replacement(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    os.utime(tmp_path / "a.txt", (1e9, 1e9))
    replace(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").stat().st_mtime > 1.1e9


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="this system has no extended attributes")
def test_a_file_that_is_replaced_keeps_its_extended_attributes(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    try:
        os.setxattr(path, "user.note", b"mine")
    except OSError:
        pytest.skip("the file system has no extended attributes")
    replace(path)
    assert os.getxattr(path, "user.note") == b"mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_that_is_replaced_keeps_its_owner_and_group(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    os.chown(path, 12345, 23456)
    path.chmod(0o640)
    replace(path)
    assert (path.stat().st_uid, path.stat().st_gid, permissions(path)) == (12345, 23456, 0o640)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_group_may_no_more_than_everyone(tmp_path, unprivileged):
    """Who may not give the file to the old one's group does not give its rights to a group of their own."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    os.chown(path, -1, 23456)
    path.chmod(0o666)
    tmp_path.chmod(0o777)
    with unprivileged():
        replace(path)
        assert permissions(path) == 0o666
        assert path.stat().st_gid != 23456
    os.chown(path, os.geteuid(), 23456)
    path.chmod(0o662)
    with unprivileged():
        replace(path)
        assert permissions(path) == 0o622


def test_a_read_only_file_is_not_replaced(tmp_path, unprivileged, sky):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    path.chmod(0o444)
    tmp_path.chmod(0o777)
    with unprivileged():
        assert why_not_replaceable(path) == "is read-only; change its permissions, or choose another name"
        with pytest.raises(ImageError, match=r"a\.png cannot be written: it is read-only; change its permissions"):
            dd.write_image(path, sky)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_no_file_is_not_replaced(tmp_path, monkeypatch, sky):
    monkeypatch.chdir(tmp_path)  # a socket's path may only be short
    os.mkfifo("pipe.png")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind("socket.png")
    (tmp_path / "null.png").symlink_to(os.devnull)
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.iterdir())
    for name in ("pipe.png", "socket.png", "null.png"):
        with pytest.raises(ImageError, match=rf"{name} cannot be written: it is a device, a pipe or the like"):
            dd.write_image(name, sky)
    with pytest.raises(ImageError, match=r"folder\.png cannot be written: it is a folder"):
        dd.write_image("folder.png", sky)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    assert sorted(tmp_path.iterdir()) == before


def no_replacing(monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "replace", refuse)


@pytest.mark.parametrize("code", [errno.EPERM, errno.EXDEV, errno.ENOTSUP])
def test_a_file_system_that_moves_no_file(tmp_path, monkeypatch, code):
    """A new file is copied; an older one, which a copy that fails would destroy, stays."""
    no_replacing(monkeypatch, code)
    replace(tmp_path / "new.txt")
    assert (tmp_path / "new.txt").read_text() == "new"
    with pytest.raises(OSError, match="the older file cannot be replaced") as caught:
        replace(tmp_path / "new.txt", "newer")
    assert caught.value.errno == code
    assert (tmp_path / "new.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["new.txt"]


def test_a_copy_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    no_replacing(monkeypatch, errno.EXDEV)
    monkeypatch.setattr(files.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        replace(tmp_path / "new.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks(tmp_path, monkeypatch, code):
    """Files are written; what may be another process's temporary file stays."""

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    with atomic_path(tmp_path / "a.txt") as temporary:
        remove_leftovers(tmp_path)
        temporary.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"
