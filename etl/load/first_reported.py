"""Fields that are reported for an account for the first time, recorded in the transaction that publishes the sync.

An edition of the API that does not report a field leaves null in the tables (0 for a rule). When the field is reported,
null turns into values: they became known, which does not mean that they changed. Readers need the moment of that, and
`source_drift` keeps only the first and the last run of a drift.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, and_, bindparam, exists, insert, select

from etl.domain import tables as declared
from etl.load.diff import PublicationStamp
from etl.load.incremental import VERSION
from etl.store import schema
from etl.transform.drift import Drift, DriftKind

MISSING, UNKNOWN = DriftKind.MISSING_FIELD, DriftKind.UNKNOWN_FIELD
Field = tuple[declared.Table, declared.Column]
ColumnQuery = Callable[[declared.Table, declared.Column], bool]
"""Query of the warehouse about one column of an account: yes or no."""


def _fields() -> Iterator[tuple[str, Field]]:
    """Every declared column by its path; if several tables have the same path, the column of the first one."""
    for table in reversed(declared.TABLES):
        if table.values:
            yield from ((table.path_of(column.name), (table, column)) for column in table.columns)


FIELDS = dict(_fields())


def record(connection: Connection, stamp: PublicationStamp, drift: Collection[Drift]) -> None:
    """Add to `first_reported` the fields that this sync reports and the account's last one did not.

    `drift`: the drift of this sync. Call this after the diff, and before the drift and the account's row are saved:
    until then the account's row names its last published run.
    """
    before = _last_drift(connection, stamp.account_id)
    if before is None:
        return
    queries = _Queries(connection, stamp)
    upgraded = _last_version(connection, stamp.account_id) not in (None, VERSION)
    paths = first_reported(before, drift, in_use=queries.in_use, learnt=queries.learnt, upgraded=upgraded)
    if paths:
        key = {"account_id": stamp.account_id, "run_id": stamp.run_id}
        connection.execute(insert(schema.first_reported), [key | {"path": path} for path in sorted(paths)])


def first_reported(
    before: Collection[Drift],
    now: Collection[Drift],
    *,
    in_use: ColumnQuery,
    learnt: ColumnQuery,
    upgraded: bool = False,
) -> set[str]:
    """Paths of the fields that are reported for the first time, from the drift of two successive syncs.

    `in_use`: whether the account has rows that the field belongs to; `learnt`: whether it has its first value now. The
    decision is made for the whole account:

    - Some records lacked the field and none lacks it now: it is reported.
    - Some records still lack it: it is reported if no value of it was known before. Otherwise the source regularly
      omits it from some records (where it is null, for example), and a value that comes is a change.
    - An undocumented field came, and no record of the last sync had it: it is reported.
    - Since the last sync the program was `upgraded`, and a column that a later release added has its first value: it
      is reported, unless the last sync had it as an undocumented field.
    """
    lacked, lack = _paths(before, MISSING), _paths(now, MISSING)
    # sorted, because the same seed of a simulation must send the same statements
    completed = {path for path in sorted((lacked - lack) & FIELDS.keys()) if in_use(*FIELDS[path])}
    begun = {path for path in sorted(lacked & lack & FIELDS.keys()) if learnt(*FIELDS[path])}
    unknown = _paths(before, UNKNOWN)
    added = {path for path, (_, column) in FIELDS.items() if upgraded and column.later} - lacked - unknown
    came = {path for path in sorted(added) if learnt(*FIELDS[path])}
    return completed | begun | came | (_paths(now, UNKNOWN) - unknown)


def _paths(drift: Collection[Drift], kind: DriftKind) -> set[str]:
    """The paths of drift of one kind. Drift with a value is left out: it is a required field of a refused record."""
    return {d.path for d in drift if d.kind is kind and not d.value}


@cache
def _last_drift_query() -> Select[Any]:
    """Fields that the account's last published sync missed or did not know; one row of nulls when there were none."""
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
    """Drift of the account's last published sync; None when there was no sync."""
    rows = connection.execute(_last_drift_query(), {"mine": account_id}).all()
    return {Drift(path, DriftKind(kind)) for path, kind in rows if path is not None} if rows else None


def _last_version(connection: Connection, account_id: int) -> str | None:
    """`VERSION` of the program that made the account's last listing; None if there is no record of it."""
    states = schema.listing_states.c
    return connection.scalar(select(states.version).where(states.account_id == account_id))


class _Queries:
    """Queries about a column in an account's versions, including those of this sync.

    Staged rows would not do: unchanged records are not staged.
    """

    def __init__(self, connection: Connection, stamp: PublicationStamp) -> None:
        self._connection, self._stamp = connection, stamp

    def in_use(self, table: declared.Table, _column: declared.Column) -> bool:
        """Whether the account has a row that the field belongs to."""
        rows = schema.current[table.name]
        return self._exists(self._mine(rows))

    def learnt(self, table: declared.Table, column: declared.Column) -> bool:
        """Whether a version that began now has a value, and none that began earlier."""
        now, ended = schema.current[table.name], schema.closed[table.name]
        mine, at = self._mine(now, column), self._stamp.observed_at
        if not self._exists(mine, now.c.valid_from == at):
            return False
        return not self._exists(self._mine(ended, column)) and not self._exists(mine, now.c.valid_from < at)

    def _mine(self, rows: Table, column: declared.Column | None = None) -> ColumnElement[bool]:
        """The condition for the account's rows; with `column`, only those with a value in it."""
        mine = rows.c.account_id == self._stamp.account_id
        return mine if column is None else and_(mine, _known(rows.c[column.name]))

    def _exists(self, *conditions: ColumnElement[bool]) -> bool:
        return bool(self._connection.scalar(select(exists().where(*conditions))))


def _known(stored: Column[Any]) -> ColumnElement[bool]:
    """Whether a column has a value. A key cannot be null: 0 means that there is no value."""
    return stored != 0 if stored.primary_key else stored.is_not(None)
