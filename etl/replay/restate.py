"""The past restated: an archive replayed beside the warehouse, and compared with it. The warehouse is only read."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from etl.domain.ports import Report
from etl.replay.compare import Span, TableDifference, accounts_erased_from, differences
from etl.replay.outcome import Replayed
from etl.replay.rebuild import Chosen, replay
from etl.store import migrations
from etl.store.engine import open_warehouse
from etl.workers.transformers import Transformers, inline


@dataclass(frozen=True, kw_only=True)
class Restated:
    """What a replay came to, and where the warehouse says otherwise; what could not be replayed is left out.

    `erased`: whether personal content was erased from the warehouse, so that a new one would hold it again;
    `erased_archive`: from the archive, so that it would lack it. Both of the accounts compared.
    """

    replayed: Replayed
    tables: list[TableDifference]
    erased: bool = False
    erased_archive: bool = False

    @property
    def failed(self) -> list[int]:
        """The accounts that could not be replayed."""
        return self.replayed.failed

    @property
    def differing(self) -> list[TableDifference]:
        """The tables in which versions differ by more than an erasure."""
        return [t for t in self.tables if t.only_warehouse or t.only_replay]


def restate(asked: Chosen, warehouse: Engine, *, report: Report, transformers: Transformers = inline) -> Restated:
    """Replay into a temporary SQLite warehouse, and compare its history with that of `warehouse`."""
    migrations.check(warehouse)
    with tempfile.TemporaryDirectory(prefix="vnsync-replay-") as temporary:
        engine = open_warehouse(f"sqlite:///{temporary}/replayed.db")
        migrations.upgrade(engine)
        done = replay(asked, engine, report=report, transformers=transformers)
        spans = _spans(asked, leaving_out=done.failed)
        return Restated(
            replayed=done,
            tables=list(differences(warehouse, engine, spans)),
            erased=bool(accounts_erased_from(warehouse) & spans.keys()),
            erased_archive=any(e.erased_from(account_id) for e in asked.episodes for account_id in spans),
        )


def _spans(asked: Chosen, *, leaving_out: Collection[int]) -> dict[int, Span]:
    """From the first observation of each account to its last."""
    moments: dict[int, list[datetime]] = {}
    for episode in asked.episodes:
        for account_id in episode.published.keys() - leaving_out:
            moments.setdefault(account_id, []).append(episode.published[account_id].observed_at)
    return {account_id: Span(min(found), max(found)) for account_id, found in moments.items()}
