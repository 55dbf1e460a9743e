"""SQLite files that can only be read: on a read-only mount, or of another user. Reading them must not write either.

SQLite keeps a journal and an index of it beside a file, even for readers. Where nothing is in the journal the file is
opened as immutable, which needs neither; somebody who may write to it can change it meanwhile, and that is noticed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine

from etl.errors import LocalTrouble, TryLater

OPTION = "vnsync_read_only"
"""Execution option of an engine whose file can only be read: its `ReadOnlyFile`."""


@dataclass(frozen=True, kw_only=True)
class ReadOnlyFile:
    """`path`: without links, as SQLite names its journal; `reason`: why it cannot be written."""

    path: Path
    reason: str

    def connect(self, arguments: dict[str, Any]) -> sqlite3.Connection:
        """A connection that writes nothing: neither to the file nor beside it where that can be helped."""
        immutable = "" if journal(self.path) else "&immutable=1"
        uri = f"file:{quote(str(self.path))}?mode=ro{immutable}"
        connection: sqlite3.Connection = sqlite3.connect(uri, uri=True, **arguments)
        return connection


def examine(path: Path) -> ReadOnlyFile | None:
    """The file when it can only be read; None when it can be written, too.

    Raises `LocalTrouble` when its journal holds what would have to be written into it first.
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
    """The journal beside a SQLite file that holds something; None when there is none."""
    for suffix in ("-wal", "-journal"):
        beside = Path(f"{path}{suffix}")
        with contextlib.suppress(FileNotFoundError):
            if beside.stat().st_size > 0:
                return beside
    return None


def _why_not(path: Path) -> str | None:
    try:
        with open(path, "rb+"):
            pass
    except OSError as exc:
        return exc.strerror or type(exc).__name__
    beside = [Path(f"{path}{suffix}") for suffix in ("-wal", "-shm")]
    if os.access(path.parent, os.W_OK | os.X_OK) or all(os.access(each, os.W_OK) for each in beside):
        return None
    return f"the folder {path.parent} is not writable"


def refuse_writing(engine: Engine) -> None:
    """Raises `LocalTrouble` when the engine's file can only be read."""
    file: ReadOnlyFile | None = engine.get_execution_options().get(OPTION)
    if file is not None:
        raise LocalTrouble(f"cannot write the database file {file.path}: {file.reason}")


@contextlib.contextmanager
def unchanged(engine: Engine) -> Iterator[None]:
    """Raises `TryLater` at the end when somebody wrote to a file that was read without its locks."""
    file: ReadOnlyFile | None = engine.get_execution_options().get(OPTION)
    before = file and _state(file.path)
    yield
    if file is not None and before is not None and _state(file.path) != before:
        raise TryLater(f"the database file {file.path} was written to while it was read", remedy="Run this again")


def _state(path: Path) -> tuple[object, ...] | None:
    """What changes with a write to the file; None while a journal makes SQLite take its locks."""
    found = path.stat()
    return None if journal(path) else (found.st_ino, found.st_size, found.st_mtime_ns)
