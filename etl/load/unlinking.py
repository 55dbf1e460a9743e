"""Links that a sync removes, counted inside its transaction for the mass-close guard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct
from sqlalchemy import Connection, and_, exists, func, literal_column, select

from etl.domain import tables as declared
from etl.domain.guard import NEVER_BELOW, Links
from etl.domain.runs import TableChange
from etl.load.diff import PublicationStamp
from etl.store import schema

LINKS = tuple(t for t in declared.TABLES if t.per_number and t is not declared.VIRTUAL_NUMBERS)


def removed_links(
    connection: Connection, stamp: PublicationStamp, changes: Mapping[str, TableChange]
) -> Iterator[Links]:
    """Counts of links that were removed at this moment from numbers that stay open, by table.

    Links of numbers that are gone do not count: the guard counts those numbers. A table is counted only if it had more
    versions closed than the guard always allows, so an ordinary sync counts nothing.
    """
    for table in LINKS:
        change = changes[table.name]
        if change.closed > NEVER_BELOW:
            ended = _ended(connection, table, stamp)
            before = _open_now(connection, table, stamp) - change.opened + ended.of_staying
            yield Links(table=table.name, open_before=before, removed=ended.removed)


class _Ended(Struct, frozen=True):
    """Ended links of numbers that stay open: all of them, and those that were not opened again (`removed`)."""

    of_staying: int
    removed: int


def _open_now(connection: Connection, table: declared.Table, stamp: PublicationStamp) -> int:
    current = schema.current[table.name]
    mine = select(func.count()).select_from(current).where(current.c.account_id == stamp.account_id)
    return connection.scalar(mine) or 0


def _ends_of(table: declared.Table) -> tuple[str, ...]:
    """The columns that identify the two ends of a link. A scenario under another rule is still the same link.

    So no link is removed when the API begins to report rules.
    """
    return tuple(dict.fromkeys(name for reference in table.references for name in reference.columns))


def _ended(connection: Connection, table: declared.Table, stamp: PublicationStamp) -> _Ended:
    current, closed = schema.current[table.name].c, schema.closed[table.name].c
    numbers = schema.current[declared.VIRTUAL_NUMBERS.name].c
    number = and_(numbers.account_id == closed.account_id, numbers.virtual_number_id == closed.virtual_number_id)
    same = and_(*(current[name] == closed[name] for name in ("account_id", *_ends_of(table))))
    stays = exists(literal_column("1")).where(number)
    again = exists(literal_column("1")).where(same)
    now = and_(closed.account_id == stamp.account_id, closed.valid_to == stamp.observed_at)
    counts = select(func.count(), func.count().filter(~again)).select_from(schema.closed[table.name])
    of_staying, removed = connection.execute(counts.where(now, stays)).one()
    return _Ended(of_staying, removed)
