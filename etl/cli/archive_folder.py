"""The check that an archive's folder is this user's: who writes there replaces evidence."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from etl.config.secret_file import foreign
from etl.errors import LocalTrouble

PARTS = ("", "objects", "runs", "erasures")


def refuse_foreign(folder: Path) -> None:
    """Raises `LocalTrouble` when a folder of the archive belongs to another user, or everybody may write to it."""
    for path in _there(folder):
        if why := foreign(path):
            remedy = f"Run `chmod go-w {path}` as its owner, or name a folder of your own"
            raise LocalTrouble(f"the archive {path} is not safe from others: {why}", remedy=remedy)


def group_writable(folder: Path) -> Iterator[str]:
    """One sentence for each folder of the archive that its group may write to."""
    for path in _there(folder):
        if path.stat().st_mode & stat.S_IWGRP:
            yield f"its group may write to the archive {path}: run `chmod g-w {path}`"


def _there(folder: Path) -> Iterator[Path]:
    return (path for part in PARTS if (path := folder / part).is_dir())
