"""Constraints and triggers of others on the warehouse's tables: the errors when they forbid the writes of a sync.

The line names the constraint and its table, and the remedy tells its owner how to change it; a backup would not help.
vnsync's own constraints are left to the caller: no setting of the operator breaks them.
"""

from __future__ import annotations

import re
import sqlite3
from functools import cache
from typing import Any

from etl.errors import Misconfigured
from etl.store import schema

_KINDS = {
    "23001": "foreign key",
    "23502": "not-null constraint",
    "23503": "foreign key",
    "23505": "unique constraint",
    "23514": "check constraint",
    "23P01": "exclusion constraint",
}
_GONE = "Rows that are gone at the source are deleted here: make the key ON DELETE CASCADE or SET NULL, or drop it"
_UNKNOWN_TO = "vnsync does not fill the table that the key refers to: keep it filled before each sync, or drop the key"
_UNIQUE = "Rows may share such values, or exchange them: drop the constraint; a DEFERRABLE one allows exchanges"
_NULL = "vnsync does not fill this column: give it a default, or let it be null"
_OTHER = "vnsync writes what the source says: relax the constraint, or drop it"
_TRIGGER = "vnsync writes what the source says: have the trigger let the row pass, or drop it"
_FUNCTION = re.compile(r"function (?P<name>[^\s(]+\([^()\n]*\)) line \d+")
_SQLITE = re.compile(r"(?P<kind>UNIQUE|NOT NULL|CHECK) constraint failed: (?P<what>.+)")


def forbidden_by_postgresql(error: Any) -> Misconfigured | None:
    """The error for a constraint or trigger of others; None for any other error, or a constraint of vnsync."""
    state = getattr(error, "sqlstate", None) or ""
    if state == "P0001":
        return _of_function(error.diag.context or "")
    if state not in _KINDS:
        return None
    diag = error.diag
    own = diag.column_name in _columns(diag.table_name) if state == "23502" else diag.constraint_name in _own_names()
    if own:
        return None
    what = f"of column {diag.column_name}" if state == "23502" else diag.constraint_name
    table = f"{diag.schema_name}.{diag.table_name}"
    return Misconfigured(
        f"PostgreSQL: the {_KINDS[state]} {what} of table {table} forbids what the sync writes",
        remedy=_remedy(state, diag.table_name),
    )


def _remedy(state: str, table: str | None) -> str:
    if state in ("23001", "23503"):
        return _UNKNOWN_TO if _columns(table) else _GONE
    return {"23502": _NULL, "23505": _UNIQUE}.get(state, _OTHER)


def _of_function(context: str) -> Misconfigured | None:
    """The error for a function that raises one: it names only the function, whose own message may quote the row."""
    found = _FUNCTION.search(context)
    if found is None:
        return None
    return Misconfigured(f"PostgreSQL: the function {found['name']} refuses what the sync writes", remedy=_TRIGGER)


def forbidden_by_sqlite(error: sqlite3.Error) -> Misconfigured | None:
    """The same for SQLite, which names the columns of a unique constraint or index, not always the constraint."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name == "SQLITE_CONSTRAINT_TRIGGER":
        return Misconfigured(f"SQLite: a trigger refuses what the sync writes: {error}", remedy=_TRIGGER)
    found = _SQLITE.match(str(error))
    if found is None or _is_own(found["kind"], found["what"]):
        return None
    kind, what = found["kind"], found["what"]
    remedy = {"UNIQUE": _UNIQUE.partition(";")[0], "NOT NULL": _NULL}.get(kind, _OTHER)
    return Misconfigured(f"SQLite: the {kind} constraint of {what} forbids what the sync writes", remedy=remedy)


def _is_own(kind: str, what: str) -> bool:
    if kind == "CHECK":
        return what in _own_names()
    columns = [column.rpartition(".")[2] for column in what.split(", ")]
    table = what.partition(".")[0]
    if kind == "UNIQUE":
        return columns in _own_keys(table)
    return set(columns) <= _columns(table)


def _columns(table: str | None) -> set[str]:
    """The columns that vnsync declares for a table; none for a table that is not its own."""
    own = schema.metadata.tables.get(table or "")
    return set() if own is None else {c.name for c in own.columns}


def _own_keys(table: str) -> list[list[str]]:
    """The columns of each unique key that vnsync declares for a table."""
    own = schema.metadata.tables.get(table)
    if own is None:
        return []
    unique = [list(i.columns.keys()) for i in own.indexes if i.unique]
    return [list(own.primary_key.columns.keys()), *unique]


@cache
def _own_names() -> frozenset[str]:
    items: list[Any] = [i for t in schema.metadata.tables.values() for i in (*t.constraints, *t.indexes)]
    return frozenset(str(item.name) for item in items)
