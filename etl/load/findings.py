"""Findings of an account sync, published with its rows: facts of the account, refused records, drift."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Connection, Engine, Select, insert, select

from etl.domain.figures import counted
from etl.domain.viewer import NO_VIEWER, Viewer
from etl.extract.accounts import UnusableRow
from etl.store import schema
from etl.store.engine import begin_writing, database_errors
from etl.store.upsert import upsert
from etl.transform.decode import Rejected
from etl.transform.drift import Drift, DriftKind

BATCH_BYTES = 2**20
"""Bytes of refused records that are written together; a larger record is written alone."""
ROSTER = 0
"""The account id in `source_drift` for drift of an agent's roster, which belongs to no account."""


class AccountFacts(Struct, frozen=True, kw_only=True):
    """Facts of the account itself, for its row in `accounts`.

    `viewer`: the viewer whose listing the open numbers are; `described_at`: when name and time zone were last asked
    for; `users_compared_at`: when the totals of the account's other users were last asked for.
    """

    account_name: str | None
    timezone: str | None
    viewer: Viewer = NO_VIEWER
    described_at: datetime | None = None
    users_compared_at: datetime | None = None


class Findings(Struct, frozen=True, kw_only=True):
    """Findings of one account sync: facts of the account, records that could not be used, drift."""

    facts: AccountFacts
    rejected: Collection[Rejected] = field(default_factory=list)
    drift: Collection[Drift] = field(default_factory=set)


def save(connection: Connection, run_id: int, account_id: int, findings: Findings) -> None:
    """Write the account's row, its drift and its refused records."""
    _save_account(connection, run_id, account_id, findings.facts)
    for drift in sorted(findings.drift):
        _save_drift(connection, run_id, account_id, drift)
    for batch in _batches(findings.rejected):
        connection.execute(insert(schema.quarantine), [_quarantined(run_id, account_id, r) for r in batch])


def _batches(rejected: Iterable[Rejected]) -> Iterator[list[Rejected]]:
    """Refused records in batches of little memory."""
    batch, size = list[Rejected](), 0
    for one in rejected:
        batch.append(one)
        size += len(one.record)
        if size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _save_drift(connection: Connection, run_id: int, account_id: int, drift: Drift) -> None:
    key = {"account_id": account_id, "path": drift.path, "kind": drift.kind.value, "value": drift.value}
    seen = {"last_run_id": run_id}
    upsert(connection, schema.source_drift, key | {"first_run_id": run_id} | seen, seen.keys())


def _save_account(connection: Connection, run_id: int, account_id: int, facts: AccountFacts) -> None:
    known = {
        "account_name": facts.account_name,
        "timezone": facts.timezone,
        "listed_by_user_id": facts.viewer.user_id,
        "listed_by_credential": facts.viewer.credential,
        "described_at": facts.described_at,
        "users_compared_at": facts.users_compared_at,
        "last_run_id": run_id,
    }
    upsert(connection, schema.accounts, {"account_id": account_id, "first_run_id": run_id} | known, known.keys())


def _quarantined(run_id: int, account_id: int, rejected: Rejected) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "account_id": account_id,
        "virtual_number_id": rejected.virtual_number_id,
        "path": rejected.path,
        "reason": rejected.reason,
        "record": rejected.record.decode("utf-8", "backslashreplace"),
    }


def save_unusable(engine: Engine, run_id: int, rows: Sequence[UnusableRow], notice: Callable[[str], None]) -> None:
    """Record unusable rows of a roster in `source_drift`; `notice` is called for each one that is new there."""
    if not rows:
        return
    with database_errors(), begin_writing(engine) as connection:
        known = {(row.path, row.value) for row in connection.execute(_known_drift())}
        for row in rows:
            drift = Drift(f"{row.method}[]{row.path[1:]}", DriftKind.CHANGED_TYPE, row.reason)
            _save_drift(connection, run_id, ROSTER, drift)
            if (drift.path, drift.value) not in known:
                notice(f"{row.method}: {counted(row.rows, 'row')} left out as unusable ({drift.path}: {row.reason})")


def _known_drift() -> Select[Any]:
    drift = schema.source_drift.c
    return select(drift.path, drift.value).where(drift.account_id == ROSTER)
