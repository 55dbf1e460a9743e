"""What an account sync publishes beside its rows: what it learnt of the account, refused records, departures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert

from etl.domain.runs import AccountResult
from etl.store import schema
from etl.store.upsert import upsert
from etl.transform.decode import Rejected
from etl.transform.drift import Drift


@dataclass(frozen=True, kw_only=True)
class AccountFacts:
    """What a sync learnt of the account itself: for its row in `accounts`."""

    account_name: str | None
    timezone: str | None
    listed_by_user_id: int | None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a sync publishes beside the rows: records that could not be used, and departures of the source."""

    facts: AccountFacts
    rejected: Collection[Rejected] = field(default_factory=list)
    drift: Collection[Drift] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class Told:
    """All that is known of an account sync when every record was read. `unreported`: some rows lack fields."""

    result: AccountResult
    findings: Findings
    unreported: bool


def save(connection: Connection, run_id: int, account_id: int, findings: Findings) -> None:
    """Write the account's row, and what was found out in this run."""
    _save_account(connection, run_id, account_id, findings.facts)
    for drift in sorted(findings.drift):
        key = {"account_id": account_id, "path": drift.path, "kind": drift.kind.value, "value": drift.value}
        seen = {"last_run_id": run_id}
        upsert(connection, schema.source_drift, key | {"first_run_id": run_id} | seen, seen)
    if findings.rejected:
        refused = [_quarantined(run_id, account_id, r) for r in findings.rejected]
        connection.execute(insert(schema.quarantine), refused)


def _save_account(connection: Connection, run_id: int, account_id: int, facts: AccountFacts) -> None:
    known = {
        "account_name": facts.account_name,
        "timezone": facts.timezone,
        "listed_by_user_id": facts.listed_by_user_id,
        "last_run_id": run_id,
    }
    upsert(connection, schema.accounts, {"account_id": account_id, "first_run_id": run_id} | known, known)


def _quarantined(run_id: int, account_id: int, rejected: Rejected) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "account_id": account_id,
        "virtual_number_id": rejected.virtual_number_id,
        "path": rejected.path,
        "reason": rejected.reason,
        "record": rejected.record.decode("utf-8", "backslashreplace"),
    }
