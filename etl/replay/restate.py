"""The past restated: an archive replayed beside the warehouse, and compared with it. The warehouse is only read."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from etl.archive.layout import existing
from etl.domain.ports import Report
from etl.replay.compare import Span, TableDifference, differences
from etl.replay.outcome import Episode, Replayed
from etl.replay.rebuild import episodes, replay
from etl.store import migrations
from etl.store.engine import open_warehouse


@dataclass(frozen=True)
class Restated:
    """What a replay came to, and where the warehouse says otherwise; what could not be replayed is left out."""

    replayed: Replayed
    tables: list[TableDifference]

    @property
    def failed(self) -> list[int]:
        """The accounts that could not be replayed."""
        return self.replayed.failed

    @property
    def differing(self) -> list[TableDifference]:
        """The tables in which versions differ."""
        return [t for t in self.tables if t.only_warehouse or t.only_replay]


def restate(
    folder: Path, warehouse: Engine, *, report: Report, runs: Collection[int] = (), until: datetime | None = None
) -> Restated:
    """Replay into a temporary SQLite warehouse, and compare its history with that of `warehouse`."""
    migrations.check(warehouse)
    with tempfile.TemporaryDirectory(prefix="vnsync-replay-") as temporary:
        engine = open_warehouse(f"sqlite:///{temporary}/replayed.db")
        migrations.upgrade(engine)
        done = replay(folder, engine, report=report, runs=runs, until=until)
        spans = _spans(episodes(existing(folder), runs, until), leaving_out=done.failed)
        return Restated(done, list(differences(warehouse, engine, spans)))


def _spans(wanted: list[Episode], *, leaving_out: Collection[int]) -> dict[int, Span]:
    """From the first observation of each account to its last."""
    moments: dict[int, list[datetime]] = {}
    for episode in wanted:
        for account_id in episode.published.keys() - leaving_out:
            moments.setdefault(account_id, []).append(episode.published[account_id].observed_at)
    return {account_id: Span(min(found), max(found)) for account_id, found in moments.items()}
