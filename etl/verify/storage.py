"""Storage check: every stored value has its column's type, and every instant can be read.

SQLite stores any value in any column, sorts by storage class first and compares only within a class: an instant that
is stored as a blob reads the same in a line of the chain, but sorts after every instant of a query. PostgreSQL refuses
wrong types, but accepts infinite instants and years that Python cannot represent.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Connection, Table

from etl.domain.verification import Problem
from etl.store import schema
from etl.store.types import UtcDateTime, storage_class
from etl.verify.records import field_of, text_rows

SHORTCUTS = (schema.listing_states, schema.listing_windows, schema.point_budgets)
"""Tables that are not checked: with unexpected content they are dropped and not refused, for they may be emptied."""
RELIED_ON = tuple(table for table in schema.metadata.sorted_tables if table not in SHORTCUTS)
_DATA = {table.name for table in (*schema.current.values(), *schema.closed.values())}
_SPELT = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]." + "[0-9]" * 6
_RUNS = ("opened_run_id", "last_run_id", "run_id")
"""Columns that name the run that wrote a row, the most specific first."""


def check(connection: Connection) -> Iterator[Problem]:
    """Rows with values of a wrong type or unreadable instants: one problem per row, which names the columns."""
    for table in RELIED_ON:
        wrong = [found for column in table.columns for found in _wrong(table, column, connection.dialect.name)]
        if wrong:
            yield from _problems(connection, table, wrong)


Wrong = tuple[str, str]
"""SQL condition of a fault, and an SQL expression that describes the fault."""


def _wrong(table: Table, column: Column[object], dialect: str) -> Iterator[Wrong]:
    name, kind = f"v.{column.name}", storage_class(column.type)
    if dialect == "sqlite":
        allowed = f"('{kind}', 'null')" if column.nullable else f"('{kind}')"
        yield f"typeof({name}) not in {allowed}", f"'{column.name} is stored as '||typeof({name})||', not {kind}'"
    if isinstance(column.type, UtcDateTime) and table.name not in _DATA:  # data tables: compared with syncs
        yield _unreadable(name, dialect), f"'{column.name} is not an instant'"


def _unreadable(name: str, dialect: str) -> str:
    if dialect == "postgresql":
        return f"({name} < '0001-01-01 00:00:00+00' or {name} >= '10000-01-01 00:00:00+00')"
    second = f"substr({name}, 1, 19)"
    exists = f"datetime({second}, '+0 days') = {second}"  # date arithmetic turns 30 February into another date
    return f"typeof({name}) = 'text' and not coalesce({name} glob '{_SPELT}' and {name} >= '0001' and {exists}, 0)"


def _problems(connection: Connection, table: Table, wrong: list[Wrong]) -> Iterator[Problem]:
    key = [c.name for c in table.primary_key if c.name != "account_id"] or ["account_id"]
    run = next((name for name in _RUNS if name in table.c), None)
    account = "account_id" if "account_id" in table.c else None
    ids = [field_of(table.c[name], connection.dialect.name) if name else "''" for name in (account, run, *key)]
    description = "||".join(f"case when {condition} then {what}||'; ' else '' end" for condition, what in wrong)
    source = f"from {table.name} v where {' or '.join(condition for condition, _ in wrong)}"
    for account_id, run_id, *values, what in text_rows(connection, [*ids, description], source):
        yield Problem(
            table=table.name,
            key=", ".join(f"{name} {value}" for name, value in zip(key, values, strict=True)),
            account_id=account_id or None,
            run_id=run_id or None,
            what=(what or "").removesuffix("; "),
        )
