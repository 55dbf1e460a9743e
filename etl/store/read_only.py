"""Read-only SQLite files: on a read-only mount, or of another user. Reading them must not write either.

SQLite keeps a journal and its index next to a file, even for readers. If the journal is empty, the file is opened as
immutable, which needs neither. Another user may still write to it meanwhile; that is detected.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from sqlalchemy import Engine

from etl.errors import LocalTrouble, TryLater

OPTION = "vnsync_read_only"
"""Execution option of an engine: the `ReadOnlyFile`, if its file can only be read."""


class ReadOnlyFile(Struct, frozen=True, kw_only=True):
    """SQLite file that can only be read. `path`: without links, as for its journal; `reason`: why not written."""

    path: Path
    reason: str

    def connect(self, arguments: dict[str, Any]) -> sqlite3.Connection:
        """A connection that writes nothing: neither to the file nor, if possible, next to it."""
        immutable = "" if journal(self.path) else "&immutable=1"
        uri = f"file:{quote(str(self.path))}?mode=ro{immutable}"
        connection: sqlite3.Connection = sqlite3.connect(uri, uri=True, **arguments)
        return connection


def examine(path: Path) -> ReadOnlyFile | None:
    """The file if it can only be read; None if it can be written, too.

    Raises `LocalTrouble` if its journal has content that must be written to the file first.
    """
    real = Path(os.path.realpath(path))
    reason = _why_not(real)
    if reason is None:
        return None
    waiting = journal(real)
    if waiting is not None and not (waiting.name.endswith("-wal") and Path(f"{real}-shm").exists()):
        raise LocalTrouble(
            f"the database file {path} can only be read ({reason}), and its journal {waiting.name} has to be applied",
            remedy="Open it once where it can be written, or copy it there together with its journal",
        )
    return ReadOnlyFile(path=real, reason=reason)


def journal(path: Path) -> Path | None:
    """The journal of a SQLite file, if it has content; None if there is none."""
    for suffix in ("-wal", "-journal"):
        candidate = Path(f"{path}{suffix}")
        with contextlib.suppress(FileNotFoundError):
            if candidate.stat().st_size > 0:
                return candidate
    return None


def _why_not(path: Path) -> str | None:
    try:
        with open(path, "rb+"):
            pass
    except OSError as exc:
        return exc.strerror or type(exc).__name__
    needed = [Path(f"{path}{suffix}") for suffix in ("-wal", "-shm")]
    if os.access(path.parent, os.W_OK | os.X_OK) or all(os.access(each, os.W_OK) for each in needed):
        return None
    return f"the folder {path.parent} is not writable"


def refuse_writing(engine: Engine) -> None:
    """Raise `LocalTrouble` if the engine's file can only be read."""
    file: ReadOnlyFile | None = engine.get_execution_options().get(OPTION)
    if file is not None:
        raise LocalTrouble(f"cannot write the database file {file.path}: {file.reason}")


@contextlib.contextmanager
def unchanged(engine: Engine) -> Iterator[None]:
    """Raise `TryLater` at the end of the block if a file that was read without locks was written to meanwhile."""
    file: ReadOnlyFile | None = engine.get_execution_options().get(OPTION)
    before = file and _state(file.path)
    yield
    if file is not None and before is not None and _state(file.path) != before:
        raise TryLater(f"the database file {file.path} was written to while it was read", remedy="Run this again")


def _state(path: Path) -> tuple[object, ...] | None:
    """File attributes that a write changes; None while a journal makes SQLite use locks."""
    found = path.stat()
    return None if journal(path) else (found.st_ino, found.st_size, found.st_mtime_ns)
