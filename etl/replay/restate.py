"""Comparison of the warehouse with a replay of the archive into a temporary warehouse. The warehouse is only read."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Engine

from etl.domain.ports import Report
from etl.replay.compare import Span, TableDifference, accounts_erased_from, differences
from etl.replay.outcome import Replayed
from etl.replay.rebuild import Selection, replay
from etl.store import migrations
from etl.store.engine import open_warehouse
from etl.workers.transformers import Transformers, inline


class Restated(Struct, frozen=True, kw_only=True):
    """Result of a replay, and its differences from the warehouse; accounts that could not be replayed are left out.

    `erased`: personal content was erased from the warehouse, so that a rebuilt one would have it again;
    `erased_archive`: it was erased from the archive, so that a rebuilt one would lack it. Both concern only the
    accounts that were compared.
    """

    replayed: Replayed
    tables: list[TableDifference]
    erased: bool = False
    erased_archive: bool = False

    @property
    def failed(self) -> list[int]:
        """Accounts that could not be replayed."""
        return self.replayed.failed

    @property
    def differing(self) -> list[TableDifference]:
        """Tables in which versions differ by more than an erasure."""
        return [t for t in self.tables if t.only_warehouse or t.only_replay]


def restate(asked: Selection, warehouse: Engine, *, report: Report, transformers: Transformers = inline) -> Restated:
    """Replay into a temporary SQLite warehouse, and compare its history with that of `warehouse`."""
    migrations.check(warehouse)
    with tempfile.TemporaryDirectory(prefix="vnsync-replay-") as temporary:
        engine = open_warehouse(f"sqlite:///{temporary}/replayed.db")
        migrations.upgrade(engine)
        done = replay(asked, engine, report=report, transformers=transformers)
        spans = _spans(asked, without=done.failed)
        return Restated(
            replayed=done,
            tables=list(differences(warehouse, engine, spans)),
            erased=bool(accounts_erased_from(warehouse) & spans.keys()),
            erased_archive=any(e.erased_from(account_id) for e in asked.episodes for account_id in spans),
        )


def _spans(asked: Selection, *, without: Collection[int]) -> dict[int, Span]:
    """By account: the time from its first archived observation to its last, without the accounts in `without`."""
    instants: dict[int, list[datetime]] = {}
    for episode in asked.episodes:
        for account_id in episode.published.keys() - without:
            instants.setdefault(account_id, []).append(episode.published[account_id].observed_at)
    return {account_id: Span(min(found), max(found)) for account_id, found in instants.items()}
