"""Verification of references, current and at every instant of the past, by set queries made from the declaration."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from etl.domain.tables import BY_NAME, TABLES, Reference, Table, referrers, shared_tables
from etl.domain.verification import Problem
from etl.store.copy_text import Fields
from etl.verify.records import text_rows


def check(connection: Connection) -> Iterator[Problem]:
    """References to missing rows, and shared rows without a reference to them."""
    for table in TABLES:
        for reference in table.references:
            yield from _dangling_now(connection, table, reference)
            yield from _dangling_in_history(connection, table, reference)
    for table in shared_tables():
        yield from _unreferenced(connection, table)


def _dangling_now(connection: Connection, table: Table, reference: Reference) -> Iterator[Problem]:
    source = (
        f"from {table.name} v where {_set(reference)} and not exists"
        f" (select 1 from {reference.table} t where {_same(reference, 't')})"
    )
    what = f"refers to a row of {reference.table} that does not exist"
    yield from _problems(connection, table.name, table, "v.opened_run_id", source, what)


def _dangling_in_history(connection: Connection, table: Table, reference: Reference) -> Iterator[Problem]:
    """Versions whose referenced row did not exist at their start, or ended before them without a next version.

    The conditions on `t.valid_to` are negated, so that SQLite looks rows up by their keys and not by that column.
    """
    ended = f"{table.name}_closed"
    target = f"{reference.table}_closed"
    same, same_next = _same(reference, "t"), _same(reference, "n")
    began = (
        f"from {ended} v where {_set(reference)} and not exists (select 1 from {target} t where {same}"
        f" and t.valid_from <= v.valid_from and not t.valid_to <= v.valid_from) and not exists"
        f" (select 1 from {reference.table} t where {same} and t.valid_from <= v.valid_from)"
    )
    what = f"began while the row of {reference.table} that it refers to did not exist"
    yield from _problems(connection, ended, table, "v.opened_run_id", began, what)
    for name, run, until in (
        (ended, "v.closed_run_id", " and not t.valid_to >= v.valid_to"),
        (table.name, "v.opened_run_id", ""),
    ):
        lost = (
            f"from {name} v join {target} t on {same} and not t.valid_to <= v.valid_from{until}"
            f" where {_set(reference)} and not exists (select 1 from {target} n where {same_next}"
            f" and n.valid_from = t.valid_to) and not exists"
            f" (select 1 from {reference.table} n where {same_next} and n.valid_from = t.valid_to)"
        )
        what = f"ended later than the row of {reference.table} that it refers to"
        yield from _problems(connection, name, table, run, lost, what)


def _unreferenced(connection: Connection, table: Table) -> Iterator[Problem]:
    conditions = []
    for other, reference in referrers(table):
        pairs = zip(reference.columns, table.key_names, strict=True)
        same = " and ".join(["o.account_id = v.account_id", *(f"o.{theirs} = v.{ours}" for theirs, ours in pairs)])
        conditions.append(f"not exists (select 1 from {other.name} o where {same})")
    source = f"from {table.name} v where {' and '.join(conditions)}"
    yield from _problems(connection, table.name, table, "v.opened_run_id", source, "nothing refers to it")


def _same(reference: Reference, alias: str) -> str:
    pairs = zip(BY_NAME[reference.table].key_names, reference.columns, strict=True)
    return " and ".join([f"{alias}.account_id = v.account_id", *(f"{alias}.{t} = v.{c}" for t, c in pairs)])


def _set(reference: Reference) -> str:
    return " and ".join(f"v.{column} is not null" for column in reference.columns)


def _problems(connection: Connection, name: str, table: Table, run: str, source: str, what: str) -> Iterator[Problem]:
    fields: Fields = ["v.account_id", run, *(f"v.{key}" for key in table.key_names)]
    for account_id, run_id, *key in text_rows(connection, fields, source):
        named = ", ".join(f"{column} {part}" for column, part in zip(table.key_names, key, strict=True))
        yield Problem(table=name, key=named, account_id=account_id, run_id=run_id, what=what)
