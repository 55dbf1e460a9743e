"""Moves of numbers from one account of the warehouse to another: one rule, in SQL, for all readers of versions.

Ids of numbers are unique in an installation, and a warehouse holds one installation. So a number that ends in one
account while it is open in another one, or begins in another one in the same run, has moved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select

from etl.domain import tables as declared
from etl.store import schema
from etl.store.streams import stream

_NOW, _ENDED = schema.current[declared.VIRTUAL_NUMBERS.name], schema.closed[declared.VIRTUAL_NUMBERS.name]


class Move(Struct, frozen=True, kw_only=True):
    """A number that left `account_id` for `to_account_id`."""

    virtual_number_id: int
    account_id: int
    to_account_id: int


class Edge(Struct, frozen=True, kw_only=True):
    """Start (`opened`) or end of a number's version, as SQL columns: its key, its instant and its run."""

    account_id: ColumnElement[int]
    virtual_number_id: ColumnElement[int]
    at: ColumnElement[datetime]
    run_id: ColumnElement[int]
    opened: bool

    @classmethod
    def of(cls, version: Any, *, opened: bool) -> Edge:
        """Start or end of a row of current or closed numbers."""
        at, run_id = ("valid_from", "opened_run_id") if opened else ("valid_to", "closed_run_id")
        return cls(
            account_id=version.c.account_id,
            virtual_number_id=version.c.virtual_number_id,
            at=version.c[at],
            run_id=version.c[run_id],
            opened=opened,
        )


def elsewhere(edge: Edge, until: datetime | None = None) -> ColumnElement[int | None]:
    """Other account that had the number when it began here, or has it when it ended here; null if there is none.

    The number must be open in the other account at that moment, or the same run must have ended or opened it there, in
    any order of the accounts. `until`: versions that began later are ignored. Valid only for the first or the last
    version of a continuous period: the result for a version that follows or precedes another has no meaning.
    """
    condition = _came_from if edge.opened else _went_to
    found = []
    for versions in (_NOW.alias("open_elsewhere"), _ENDED.alias("ended_elsewhere")):
        number = versions.c.virtual_number_id
        same = and_(number == edge.virtual_number_id, number.is_not(None), versions.c.account_id != edge.account_id)
        known = [] if until is None else [versions.c.valid_from <= until]
        found.append(
            select(func.min(versions.c.account_id + 0)).where(same, *known, condition(edge, versions)).scalar_subquery()
        )
    return func.coalesce(*found)


def _came_from(edge: Edge, other: Any) -> ColumnElement[bool]:
    """Condition: a version of an earlier run that was open when the number began here, or ended in the same run."""
    earlier = and_(other.c.valid_from < edge.at, other.c.opened_run_id != edge.run_id)
    if "valid_to" not in other.c:
        return earlier
    return and_(earlier, or_(other.c.valid_to >= edge.at, other.c.closed_run_id == edge.run_id))


def _went_to(edge: Edge, other: Any) -> ColumnElement[bool]:
    """Condition: a version that is open when the number ends here, or that the same run opened."""
    holds = [other.c.valid_from <= edge.at, *([other.c.valid_to > edge.at] if "valid_to" in other.c else [])]
    return or_(and_(*holds), other.c.opened_run_id == edge.run_id)


def moves_of_run(connection: Connection, run_id: int, accounts: Collection[int], since: datetime) -> Iterator[Move]:
    """Numbers that the run ended in one of `accounts` and that another account has, by account and number.

    `since`: the earliest observation of these accounts in the run.
    """
    mine = and_(_ENDED.c.valid_to >= since, _ENDED.c.closed_run_id == run_id, _ENDED.c.account_id.in_(accounts))
    still = exists().where(
        _NOW.c.account_id == _ENDED.c.account_id, _NOW.c.virtual_number_id == _ENDED.c.virtual_number_id
    )
    target = elsewhere(Edge.of(_ENDED, opened=False)).label("target")
    gone = select(_ENDED.c.account_id, _ENDED.c.virtual_number_id, target).where(mine, ~still).subquery()
    wanted = select(gone).where(gone.c.target.is_not(None)).order_by(gone.c.account_id, gone.c.virtual_number_id)
    for row in stream(connection, wanted):
        yield Move(virtual_number_id=row.virtual_number_id, account_id=row.account_id, to_account_id=row.target)


def moves_of_number(
    connection: Connection, account_id: int, number_id: int, until: datetime | None
) -> Iterator[tuple[datetime, bool, int]]:
    """(instant, came, other account) for each version that began or ended in an account with a move.

    `came`: the version began, and the number came from the other account; else it ended, and the number went there.
    `until`: later observations are ignored.
    """
    for versions, opened in ((_NOW, True), (_ENDED, True), (_ENDED, False)):
        edge = Edge.of(versions, opened=opened)
        other = elsewhere(edge, until).label("other")
        mine = and_(edge.account_id == account_id, edge.virtual_number_id == number_id)
        known = [] if until is None else [edge.at <= until]
        for at, found in connection.execute(select(edge.at, other).where(mine, *known)):
            if found is not None:
                yield at, opened, found
