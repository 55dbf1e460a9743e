"""Opening files that others may have put something else in the place of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from etl.files import TooLarge, WrongKind, kind_of, open_regular, read_regular


def _put(path: Path, kind: str) -> None:
    if kind == "a folder":
        path.mkdir()
    elif kind == "a FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to(path.parent / "elsewhere")


def test_regular_file_is_read(tmp_path: Path) -> None:
    """In a folder that is itself reached by a link, whose name came from the operator."""
    (tmp_path / "real" / "in").mkdir(parents=True)
    (tmp_path / "real" / "in" / "x").write_bytes(b"text")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert read_regular(tmp_path / "link" / "in" / "x", below=tmp_path / "link", most=4) == b"text"


@pytest.mark.parametrize("kind", ["a folder", "a FIFO", "a link"])
@pytest.mark.fault("E07")
def test_anything_else_is_refused_unopened(tmp_path: Path, kind: str) -> None:
    """At once, and by its kind; a link also when it leads to a file."""
    (tmp_path / "elsewhere").write_bytes(b"text")
    _put(tmp_path / "x", kind)
    assert kind_of(tmp_path / "x") == kind
    with pytest.raises(WrongKind, match=kind), open_regular(tmp_path / "x", below=tmp_path):
        pass


@pytest.mark.fault("E07")
def test_folder_on_the_way_is_no_link(tmp_path: Path) -> None:
    """A file that is reached through a link within the folder is not opened."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_bytes(b"text")
    (tmp_path / "in").symlink_to("real")
    with pytest.raises(WrongKind), open_regular(tmp_path / "in" / "x", below=tmp_path):
        pass


def test_large_file_is_refused(tmp_path: Path) -> None:
    """No more is read than the bound."""
    (tmp_path / "x").write_bytes(b"12345")
    with pytest.raises(TooLarge):
        read_regular(tmp_path / "x", below=tmp_path, most=4)
