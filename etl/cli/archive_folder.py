"""Check that only this user can write to an archive's folder: another writer could replace evidence."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from etl.config.secret_file import foreign
from etl.errors import LocalTrouble

PARTS = ("", "objects", "runs", "erasures")


def refuse_foreign(folder: Path) -> None:
    """Raises `LocalTrouble` when a folder of the archive belongs to another user, or every user may write to it."""
    for path in _existing(folder):
        if why := foreign(path):
            remedy = f"Run `chmod go-w {path}` as its owner, or name a folder of your own"
            raise LocalTrouble(f"the archive {path} is not safe from others: {why}", remedy=remedy)


def group_writable(folder: Path) -> Iterator[str]:
    """One warning for each folder of the archive that its group may write to."""
    for path in _existing(folder):
        if path.stat().st_mode & stat.S_IWGRP:
            yield f"its group may write to the archive {path}: run `chmod g-w {path}`"


def _existing(folder: Path) -> Iterator[Path]:
    return (path for part in PARTS if (path := folder / part).is_dir())
