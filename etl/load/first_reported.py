"""Fields that a sync is the first to see reported for an account, recorded in the transaction that publishes it.

An edition of the API that does not report a field leaves null in the tables (0 for a rule). When the field comes, null
turns into values: they are known now, and nothing says that they changed. Readers need the moment at which that
happened, and `source_drift` keeps only the first and the last run of a departure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, and_, bindparam, exists, insert, select

from etl.domain import tables as declared
from etl.load.diff import PublicationStamp
from etl.store import schema
from etl.transform.drift import Drift, DriftKind

MISSING, UNKNOWN = DriftKind.MISSING_FIELD, DriftKind.UNKNOWN_FIELD
Field = tuple[declared.Table, declared.Column]
Evidence = Callable[[declared.Table, declared.Column], bool]
"""Question to the warehouse about one column of an account."""


def _fields() -> Iterator[tuple[str, Field]]:
    """Every declared column by its path, of several tables with the same path the first one."""
    for table in reversed(declared.TABLES):
        if table.values:
            yield from ((table.path_of(column.name), (table, column)) for column in table.columns)


FIELDS = dict(_fields())


def record(connection: Connection, stamp: PublicationStamp, drift: Collection[Drift]) -> None:
    """Add to `first_reported` what this sync reports and the account's last one did not.

    `drift`: departures of this sync. To be called after the diff, and before they and the account's row are saved:
    until then the account's row names its last published run.
    """
    before = _last_drift(connection, stamp.account_id)
    if before is None:
        return
    evidence = _Evidence(connection, stamp)
    paths = first_reported(before, drift, in_use=evidence.in_use, learnt=evidence.learnt)
    if paths:
        key = {"account_id": stamp.account_id, "run_id": stamp.run_id}
        connection.execute(insert(schema.first_reported), [key | {"path": path} for path in sorted(paths)])


def first_reported(
    before: Collection[Drift], now: Collection[Drift], *, in_use: Evidence, learnt: Evidence
) -> set[str]:
    """Paths of the fields that are reported for the first time, from the departures of two syncs in a row.

    `in_use`: whether the account has rows that the field belongs to; `learnt`: whether it has its first value now. The
    decision is made for the whole account:

    - Some records lacked the field and none lacks it now: it is reported.
    - Some records lack it still: it is reported if no value of it was known before. Otherwise the source leaves it out
      of some records every day (where it is null, for example), and a value that comes is a change.
    - A field that is not documented came, and no record of the last sync had it: it is reported.
    """
    lacked, lack = _paths(before, MISSING), _paths(now, MISSING)
    # asked in the order of their names: the same seed of a simulation must send the same statements
    completed = {path for path in sorted((lacked - lack) & FIELDS.keys()) if in_use(*FIELDS[path])}
    begun = {path for path in sorted(lacked & lack & FIELDS.keys()) if learnt(*FIELDS[path])}
    return completed | begun | (_paths(now, UNKNOWN) - _paths(before, UNKNOWN))


def _paths(drift: Collection[Drift], kind: DriftKind) -> set[str]:
    """A missing field with a value is a required one of a record that was refused."""
    return {d.path for d in drift if d.kind is kind and not d.value}


@cache
def _last_time() -> Select[Any]:
    """Fields that the account's last published sync missed or did not know; one row of nulls when there was none."""
    accounts, drift = schema.accounts, schema.source_drift
    then = and_(
        drift.c.account_id == accounts.c.account_id,
        drift.c.last_run_id == accounts.c.last_run_id,
        drift.c.kind.in_([MISSING.value, UNKNOWN.value]),
        drift.c.value == "",
    )
    wanted = select(drift.c.path, drift.c.kind).select_from(accounts.outerjoin(drift, then))
    return wanted.where(accounts.c.account_id == bindparam("mine"))


def _last_drift(connection: Connection, account_id: int) -> set[Drift] | None:
    """Departures of the account's last published sync; None when there was no sync."""
    rows = connection.execute(_last_time(), {"mine": account_id}).all()
    return {Drift(path, DriftKind(kind)) for path, kind in rows if path is not None} if rows else None


class _Evidence:
    """What the versions of an account say of a column, the diff of this sync included.

    Staged rows say less: there are none of records that are as before.
    """

    def __init__(self, connection: Connection, stamp: PublicationStamp) -> None:
        self._connection, self._stamp = connection, stamp

    def in_use(self, table: declared.Table, _column: declared.Column) -> bool:
        """Whether the account has a row that the field belongs to."""
        rows = schema.current[table.name]
        return self._one_of(self._mine(rows))

    def learnt(self, table: declared.Table, column: declared.Column) -> bool:
        """Whether a version that began now has a value, and none that began earlier."""
        now, ended = schema.current[table.name], schema.closed[table.name]
        mine, at = self._mine(now, column), self._stamp.observed_at
        if not self._one_of(mine, now.c.valid_from == at):
            return False
        return not self._one_of(self._mine(ended, column)) and not self._one_of(mine, now.c.valid_from < at)

    def _mine(self, rows: Table, column: declared.Column | None = None) -> ColumnElement[bool]:
        """The account's rows; of them, those with a value in the column."""
        mine = rows.c.account_id == self._stamp.account_id
        return mine if column is None else and_(mine, _known(rows.c[column.name]))

    def _one_of(self, *conditions: ColumnElement[bool]) -> bool:
        return bool(self._connection.scalar(select(exists().where(*conditions))))


def _known(stored: Column[Any]) -> ColumnElement[bool]:
    """Whether a column has a value: in a key, which cannot be null, 0 stands for none."""
    return stored != 0 if stored.primary_key else stored.is_not(None)
