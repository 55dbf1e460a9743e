"""Dump of the warehouse file, read without product code; the tables are declared here again on purpose."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.simulation.records import Held, Row, canonical


@dataclass(frozen=True)
class Layout:
    """A data table: the count of its key columns after `account_id`, and the names of all columns."""

    keys: int
    columns: tuple[str, ...]

    @property
    def width(self) -> int:
        """The count of its columns: `account_id`, key and values."""
        return len(self.columns) + 1


def _layout(keys: int, columns: str) -> Layout:
    return Layout(keys, tuple(columns.split()))


LAYOUTS = {
    "virtual_numbers": _layout(
        1,
        "virtual_number_id child_customer_id virtual_phone_number redirection_phone_number activation_date"
        " status category type comment name extra",
    ),
    "campaigns": _layout(1, "campaign_id campaign_name site_id extra"),
    "sites": _layout(1, "site_id site_domain_name"),
    "site_blocks": _layout(1, "site_block_id site_block_name site_id extra"),
    "scenarios": _layout(1, "scenario_id scenario_name"),
    "virtual_number_campaigns": _layout(2, "virtual_number_id campaign_id"),
    "virtual_number_site_blocks": _layout(3, "virtual_number_id campaign_id site_block_id is_tracking"),
    "virtual_number_scenarios": _layout(3, "virtual_number_id scenario_id call_processing_rule_id is_active extra"),
}
OF_NUMBERS = ("virtual_numbers", "virtual_number_campaigns", "virtual_number_site_blocks", "virtual_number_scenarios")
SHARED = ("campaigns", "sites", "site_blocks", "scenarios")

RUN_COLUMNS = ("run_id", "started_at", "finished_at", "status", "exit_code", "error")
SYNC_COLUMNS = (
    "run_id", "account_id", "status", "started_at", "observed_at", "strategy", "requests", "retries", "listed_numbers",
    "unaccounted", "suspects", "duplicates", "conflicts", "quarantined", "rows_opened", "rows_closed", "error",
    "listed_by_user_id", "listed_by_credential", "unreachable",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A row of `sync_runs`."""

    run_id: int
    started_at: str
    finished_at: str | None
    status: str
    exit_code: int | None
    error: str | None


@dataclass(frozen=True)
class Sync:
    """A row of `account_syncs`."""

    run_id: int
    account_id: int
    status: str
    started_at: str
    observed_at: str | None
    strategy: str | None
    requests: int
    retries: int
    listed_numbers: int | None
    unaccounted: int
    suspects: int
    duplicates: int
    conflicts: int
    quarantined: int
    rows_opened: int
    rows_closed: int
    error: str | None
    listed_by_user_id: int | None
    listed_by_credential: str | None
    unreachable: str | None


@dataclass(frozen=True)
class Dump:
    """All rows of the warehouse at one commit. Data rows are tuples, in the order of their keys."""

    runs: dict[int, Run]
    syncs: dict[tuple[int, int], Sync]
    claims: dict[int, int]
    accounts: list[Row]
    quarantine: list[Row]
    current: dict[str, list[Row]]
    closed: dict[str, list[Row]]

    def viewer_of(self, account_id: int) -> tuple[int | None, str | None] | None:
        """The user and the credential that listed all of the account's open numbers; None: no viewer listed all."""
        found = next(((row[3], row[4]) for row in self.accounts if row[0] == account_id), None)
        return found if found is not None and self._listed_all(account_id, *found) else None

    def _listed_all(self, account_id: int, user_id: int | None, credential: str | None) -> bool:
        """Whether each open number was open at a sync of the viewer without suspects, or has a version of its syncs."""
        viewer = (account_id, user_id, credential)
        syncs = [s for s in self.syncs.values() if s.status == "succeeded"]
        mine = [s for s in syncs if (s.account_id, s.listed_by_user_id, s.listed_by_credential) == viewer]
        runs, whole = {s.run_id for s in mine}, max((s.observed_at or "" for s in mine if not s.suspects), default="")
        now = [(row[1], row[-2], row[-1]) for row in self.current["virtual_numbers"] if row[0] == account_id]
        ended = [row for row in self.closed["virtual_numbers"] if row[0] == account_id]
        listed = {number for number, since, run in now if since <= whole or run in runs}
        listed |= {row[1] for row in ended if row[-4] <= whole < row[-2] or row[-3] in runs}
        return all(number in listed for number, _, _ in now)


def _statement(table: str, columns: tuple[str, ...], order: str) -> str:
    return f"select {', '.join(columns)} from {table} order by {order}"


def _data_statements() -> Iterator[tuple[str, str, str]]:
    for name, layout in LAYOUTS.items():
        columns = ("account_id", *layout.columns, "valid_from", "opened_run_id")
        key = ", ".join(("account_id", *layout.columns[: layout.keys]))
        yield (
            name,
            _statement(name, columns, key),
            _statement(f"{name}_closed", (*columns, "valid_to", "closed_run_id"), f"{key}, valid_from"),
        )


_DATA = list(_data_statements())
_RUNS = _statement("sync_runs", RUN_COLUMNS, "run_id")
_SYNCS = _statement("account_syncs", SYNC_COLUMNS, "run_id, account_id")
_ACCOUNTS = (
    "select account_id, first_run_id, last_run_id, listed_by_user_id, listed_by_credential from accounts"
    " order by account_id"
)
_QUARANTINE = (
    "select run_id, account_id, virtual_number_id, path, reason, record from quarantine order by quarantine_id"
)


class Reader:
    """Reader of the file, on its own connection that stays open during a seed."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._version: int | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, for other statements."""
        return self._connection

    def changed(self) -> bool:
        """Whether something was committed since the last dump."""
        return self._data_version() != self._version

    def _data_version(self) -> int:
        return int(self._connection.execute("pragma data_version").fetchone()[0])

    def dump(self) -> Dump:
        """All rows at one moment."""
        self._version = self._data_version()
        rows = self.rows
        self._connection.execute("begin")
        try:
            runs = [Run(*row) for row in rows(_RUNS)]
            syncs = [Sync(*row) for row in rows(_SYNCS)]
            return Dump(
                runs={r.run_id: r for r in runs},
                syncs={(s.run_id, s.account_id): s for s in syncs},
                claims=dict(rows("select account_id, run_id from account_claims")),
                accounts=rows(_ACCOUNTS),
                quarantine=rows(_QUARANTINE),
                current={name: rows(current) for name, current, _ in _DATA},
                closed={name: rows(closed) for name, _, closed in _DATA},
            )
        finally:
            self._connection.execute("commit")

    def rows(self, statement: str) -> list[Row]:
        """The rows of a query."""
        return self._connection.execute(statement).fetchall()

    def copy_to(self, path: str) -> None:
        """Write a backup of the file."""
        target = sqlite3.connect(path)
        self._connection.backup(target)
        target.close()

    def restore_from(self, path: str) -> None:
        """Replace the file by a backup."""
        source = sqlite3.connect(path)
        source.backup(self._connection)
        source.close()

    def close(self) -> None:
        """Close the connection to the file."""
        self._connection.close()


# -- one account


@dataclass(frozen=True)
class Picture:
    """The content of one account's current tables: each number with its links, and the shared rows."""

    numbers: dict[int, Held]
    shared: dict[tuple[str, int], Row]


def picture(dump: Dump, account_id: int) -> Picture:
    """The account's current tables, number by number."""
    links: dict[str, dict[int, list[Row]]] = {name: {} for name in OF_NUMBERS[1:]}
    for name, found in links.items():
        width = LAYOUTS[name].width
        for row in dump.current[name]:
            if row[0] == account_id:
                found.setdefault(row[1], []).append(_values(name, row[:width])[2:])
    numbers = {}
    for row in dump.current["virtual_numbers"]:
        if row[0] == account_id:
            mine = [links[name].get(row[1], ()) for name in OF_NUMBERS[1:]]
            values = _values("virtual_numbers", row[: LAYOUTS["virtual_numbers"].width])[2:]
            numbers[row[1]] = Held(values, frozenset(r[0] for r in mine[0]), frozenset(mine[1]), frozenset(mine[2]))
    shared = {
        (name, row[1]): _values(name, row[: LAYOUTS[name].width])[2:]
        for name in SHARED
        for row in dump.current[name]
        if row[0] == account_id
    }
    return Picture(numbers, shared)


def _values(name: str, row: Row) -> Row:
    """The row with its JSON in one form."""
    columns = LAYOUTS[name].columns
    if columns[-1] != "extra" and name != "virtual_numbers":
        return row
    return (*row[:-1], _json(row[-1])) if columns[-1] == "extra" else row


def _json(text: Any) -> str | None:
    return None if text is None else canonical(json.loads(text))
