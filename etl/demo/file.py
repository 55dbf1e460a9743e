"""SQLite file of the demo, which a later demo may replace, and clock of its days."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from etl.clock import SystemClock
from etl.errors import LocalTrouble, Misconfigured

if TYPE_CHECKING:
    from sqlalchemy import Engine

MARK = 0x766E6465
"""SQLite application id of a demo file ("vnde"): no file without it is ever replaced, unless it is empty."""


class DaysAgo(SystemClock):
    """Clock that is some days behind the machine's clock."""

    def __init__(self, days: int) -> None:
        self._back = timedelta(days=days)

    def now(self) -> datetime:
        """The current time, minus the days."""
        return super().now() - self._back


def fresh_warehouse(url: str) -> tuple[Engine, Path]:
    """(engine of an empty warehouse, its file). Replaces the file of an earlier demo.

    Raises Misconfigured for any URL but that of a SQLite file, LocalTrouble if the file was not created by a demo.
    """
    from etl.store import migrations
    from etl.store.engine import database_errors, open_warehouse

    path = _file(url)
    _remove_own(path)
    engine = open_warehouse(url)
    with database_errors(), engine.begin() as connection:
        connection.exec_driver_sql(f"pragma application_id = {MARK}")
    migrations.upgrade(engine)
    return engine, path


def _file(url: str) -> Path:
    from sqlalchemy.engine import make_url

    from etl.config.urls import database_url

    try:
        parsed = make_url(database_url(url))
    except ValueError as error:
        raise Misconfigured(f"--database-url is refused: {error}", remedy="Accepted: sqlite:///FILE.") from None
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise Misconfigured("the demo writes to a SQLite file of its own only", remedy="Accepted: sqlite:///FILE.")
    return Path(parsed.database)


def _remove_own(path: Path) -> None:
    if not path.exists():
        return
    if not _is_own(path):
        raise LocalTrouble(
            f"{path} already exists and was not created by `vnsync demo`",
            remedy="Choose another file with --database-url, or remove it.",
        )
    try:
        for each in (path, *_companions(path)):
            each.unlink(missing_ok=True)
    except OSError as error:
        raise LocalTrouble(f"the earlier demo's {path} cannot be removed: {error.strerror}") from error


def _companions(path: Path) -> Iterator[Path]:
    yield from (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal"))


def _is_own(path: Path) -> bool:
    """Whether a demo created the file, by the mark in it; also True for an empty file, which has no data to lose."""
    if path.is_file() and not path.stat().st_size:
        return True
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_reader(path)) as connection:
        return bool(connection.execute("pragma application_id").fetchone() == (MARK,))
    return False


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
