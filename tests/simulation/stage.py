"""Stage for seeds: a folder in memory, a migrated file to copy, and one engine that keeps its compiled statements."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from etl.store import migrations
from etl.store.engine import open_warehouse
from tests.simulation.driver import Watcher, watch

MEMORY = Path("/dev/shm")


class Idle:
    """Watcher of connections that belong to no process."""

    def connected(self, connection: sqlite3.Connection) -> None:
        """Do nothing."""

    def statement(self, sql: str) -> None:
        """Do nothing."""

    def committing(self) -> None:
        """Do nothing."""

    def committed(self) -> None:
        """Do nothing."""


class Stage:
    """Stage of one worker; each seed begins with an empty warehouse at the same path."""

    def __init__(self) -> None:
        where = MEMORY if MEMORY.is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=where))
        self.path = self.folder / "warehouse.db"
        self._template = self.folder / "template"
        self.current: Callable[[], Watcher] = Idle
        self.engine = open_warehouse(f"sqlite:///{self.path}")
        watch(self.engine, lambda: self.current())
        migrations.upgrade(self.engine)
        self._drop_views_for_people()
        shutil.copy(self.path, self._template)

    def _drop_views_for_people(self) -> None:
        """Drop the views for people: they are not read here, and parsing them takes a tenth of the time."""
        with self.engine.begin() as connection:
            for view in ("changes", "number_campaign_periods", "number_assignments"):
                connection.exec_driver_sql(f"drop view {view}")

    def reset(self) -> None:
        """Make the warehouse empty again."""
        for path in self.folder.iterdir():
            if path != self._template:
                path.unlink()
        shutil.copy(self._template, self.path)

    def locks(self) -> list[Path]:
        """The lock files of runs."""
        return sorted(self.folder.glob("*.lock"))

    def close(self) -> None:
        """Close the engine and remove the folder."""
        self.engine.dispose()
        shutil.rmtree(self.folder)
