"""Files that are written whole or not at all."""

import pytest

from deepdream.io.files import atomic_path


def test_an_atomic_path_leaves_nothing_behind_when_its_block_fails(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "a.txt") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        raise ZeroDivisionError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
