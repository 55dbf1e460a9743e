"""Links that a sync removes, counted inside its transaction for the mass-close guard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
    """The links that numbers lost at this moment though they stay open, by table, where they may be too many.

    Links of numbers that are gone are the numbers' own matter. Nothing is counted on an ordinary day: only where more
    versions were closed than the guard always allows.
    """
    for table in LINKS:
        change = changes[table.name]
        if change.closed > NEVER_BELOW:
            ended = _ended(connection, table, stamp)
            before = _open_now(connection, table, stamp) - change.opened + ended.of_staying
            yield Links(table=table.name, open_before=before, removed=ended.removed)


@dataclass(frozen=True)
class _Ended:
    """Links of numbers that stay open: those that ended, and those of them that were not opened again."""

    of_staying: int
    removed: int


def _open_now(connection: Connection, table: declared.Table, stamp: PublicationStamp) -> int:
    current = schema.current[table.name]
    mine = select(func.count()).select_from(current).where(current.c.account_id == stamp.account_id)
    return connection.scalar(mine) or 0


def _ends_of(table: declared.Table) -> tuple[str, ...]:
    """The columns that say what is linked to what. A scenario held under another rule is held still.

    So an edition of the API that is the first to report rules removes no link.
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
