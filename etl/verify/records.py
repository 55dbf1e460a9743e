"""Rows about runs, syncs, accounts and erasures, read as text, so that edited values of a wrong type are read too."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from msgspec import Struct
from sqlalchemy import Column, Connection, Table

from etl.domain import canonical
from etl.domain import tables as declared
from etl.domain.runs import AccountStatus
from etl.domain.tables import Kind
from etl.store import copy_text, schema
from etl.store.types import UtcDateTime

Text = str | None
_FALSE = frozenset({"0", "f", "false"})
"""Spellings of false as text, in either database."""


class Sync(Struct, frozen=True):
    """Row of `account_syncs`: the columns that verification needs."""

    account_id: str
    run_id: str
    status: str
    observed_at: Text
    account_name: Text
    timezone: Text
    listed_by_user_id: Text
    listed_by_credential: Text
    viewer_changed: str
    unreachable: Text
    rows_opened: str
    rows_closed: str
    quarantined: str
    chain_digest: Text

    @property
    def adopted(self) -> bool:
        """Whether the sync's viewer is the one that lists the account from then on."""
        return self.viewer_changed in _FALSE

    @property
    def published(self) -> bool:
        """Whether the sync is a link of the chain."""
        return self.status == AccountStatus.SUCCEEDED


class Account(Struct, frozen=True):
    """Row of `accounts`."""

    account_id: str
    account_name: Text
    timezone: Text
    listed_by_user_id: Text
    listed_by_credential: Text
    first_run_id: str
    last_run_id: str


class Sealed(Struct, frozen=True):
    """Row of `chain_sections`."""

    account_id: str
    run_id: str
    table_name: str
    change: str
    versions: str
    digest: str
    locator: str


class Erasure(Struct, frozen=True):
    """Row of `erasures`."""

    account_id: str
    virtual_number_id: str
    valid_from: Text
    digest: str
    erased_at: Text


class Binding(Struct, frozen=True):
    """Row of `installations`."""

    binding_id: str
    origin: str
    bound_at: Text
    run_id: Text

    @property
    def since(self) -> str:
        """Start of the binding as text; empty for an infinite value in PostgreSQL."""
        return self.bound_at or ""


class Records(Struct, frozen=True):
    """All rows outside the data tables, by account."""

    runs: frozenset[str]
    source_urls: dict[str, Text]
    """URL of the API that each run read."""
    bindings: list[Binding]
    syncs: dict[str, list[Sync]]
    accounts: dict[str, Account]
    sealed: dict[str, list[Sealed]]
    erasures: dict[str, list[Erasure]]
    quarantined: dict[tuple[str, str], int]
    first_reported: frozenset[tuple[str, str]]
    """Accounts and runs that `first_reported` names."""
    with_data: frozenset[str]
    """Accounts that have a row in some data table."""

    def without_sync(self, account_id: str, runs: Set[str]) -> Set[str]:
        """Existing runs among `runs` that have no sync of the account, whatever its status."""
        return (runs - {sync.run_id for sync in self.syncs.get(account_id, [])}) & self.runs

    def lost_syncs(self, account_id: str) -> Set[str]:
        """Runs without a sync of the account, although other rows show that they published it."""
        account = self.accounts.get(account_id)
        named = {s.run_id for s in self.sealed.get(account_id, [])}
        named |= {account.first_run_id, account.last_run_id} if account else set()
        return self.without_sync(account_id, named)


def read(connection: Connection) -> Records:
    """Read all records; the syncs of each account are ordered by their instants."""
    syncs: dict[str, list[Sync]] = {}
    for row in rows(connection, schema.account_syncs, Sync):
        syncs.setdefault(row.account_id, []).append(row)
    for of_account in syncs.values():
        of_account.sort(key=lambda s: (s.observed_at is None, s.observed_at or "", s.run_id))
    sealed: dict[str, list[Sealed]] = {}
    for section in rows(connection, schema.chain_sections, Sealed):
        sealed.setdefault(section.account_id, []).append(section)
    erasures: dict[str, list[Erasure]] = {}
    for erasure in rows(connection, schema.erasures, Erasure):
        erasures.setdefault(erasure.account_id, []).append(erasure)
    urls = {line[0] or "": line[1] for line in text_rows(connection, ["v.run_id", "v.source_url"], "from sync_runs v")}
    return Records(
        runs=frozenset(urls),
        source_urls=urls,
        bindings=sorted(
            rows(connection, schema.installations, Binding), key=lambda b: (len(b.binding_id), b.binding_id)
        ),
        syncs=syncs,
        accounts={a.account_id: a for a in rows(connection, schema.accounts, Account)},
        sealed=sealed,
        erasures=erasures,
        quarantined=_quarantined(connection),
        first_reported=frozenset(_first_reported(connection)),
        with_data=frozenset(_with_data(connection)),
    )


def _quarantined(connection: Connection) -> dict[tuple[str, str], int]:
    source = "from quarantine v group by v.account_id, v.run_id"
    counted = text_rows(connection, ["v.account_id", "v.run_id", "count(*)"], source)
    return {(account or "", run or ""): int(count or 0) for account, run, count in counted}


def _first_reported(connection: Connection) -> Iterator[tuple[str, str]]:
    for account, run in text_rows(connection, ["v.account_id", "v.run_id"], "from first_reported v"):
        yield account or "", run or ""


def _with_data(connection: Connection) -> Iterator[str]:
    for table in declared.TABLES:
        for name in (table.name, f"{table.name}_closed"):
            for row in text_rows(connection, ["v.account_id"], f"from (select distinct account_id from {name}) v"):
                yield row[0] or ""


def rows(connection: Connection, table: Table, kind: type[Any]) -> Iterator[Any]:
    """Rows of a table as objects of a struct whose fields are the table's columns."""
    names = list(kind.__annotations__)
    fields = [field_of(table.c[name], connection.dialect.name) for name in names]
    for row in text_rows(connection, fields, f"from {table.name} v"):
        yield kind(*row)


def field_of(column: Column[Any], dialect: str) -> str:
    """SQL expression for a column of `v` as a text field of a line, whatever value is stored in it."""
    if isinstance(column.type, UtcDateTime) and dialect == "postgresql":
        return copy_text.instant(f"v.{column.name}", dialect)
    return copy_text.field(declared.Column(name=column.name, kind=Kind.TEXT), dialect)


def text_rows(connection: Connection, fields: copy_text.Fields, source: str) -> Iterator[list[Text]]:
    """Rows of a query, with every value as text (`canonical.text_of`)."""
    for batch in copy_text.stream(connection, fields, source, {}):
        for line in batch:
            parts = canonical.text_of(line)[:-1].split("\t", len(fields) - 1)
            yield [canonical.value(part) for part in parts]
