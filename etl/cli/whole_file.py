"""Atomic write of a file that only its owner can read: a reader sees the whole file or none."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from etl.errors import LocalTrouble
from etl.files import flush_folder

REMEDY = "Nothing was written; an existing file is unchanged."


def write_whole(path: Path, content: bytes, *, replaces: bytes) -> None:
    """Write a file through a temporary one in the same folder; a reader sees the old one or the new one, never a part.

    Replaces an existing file only if it begins with `replaces`, so that a wrong name cannot destroy another file.
    Raises LocalTrouble, and leaves no temporary file behind.
    """
    try:
        _refuse(path, replaces)
        _replace(path, content)
    except OSError as error:
        raise LocalTrouble(f"{path} cannot be written: {error.strerror or error}", remedy=REMEDY) from error


def _refuse(path: Path, replaces: bytes) -> None:
    if not path.exists():
        return
    if path.is_dir():
        raise LocalTrouble(f"{path} is a folder", remedy=f"Name a file in it, such as {path / 'report.html'}.")
    if not stat.S_ISREG(path.stat().st_mode) or not _is_own(path, replaces):
        raise LocalTrouble(
            f"{path} already exists and is not a vnsync report", remedy="Choose another name, or remove it."
        )


def _is_own(path: Path, replaces: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(replaces)) == replaces


def _replace(path: Path, content: bytes) -> None:
    folder = path.parent
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name[:100]}.", suffix=".part")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    with contextlib.suppress(OSError):  # not every file system lets a folder be flushed
        flush_folder(folder)
