"""Numbers that moved to another campaign or account: the newest changes of this kind."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Select, and_, exists, or_, select, union

from etl.domain import tables as declared
from etl.read.change_kinds import Kind
from etl.read.changes import Change, TimeRange, read_changes, version_events
from etl.store import schema

MOST = 25
"""Upper limit of the moves that are read."""
KINDS = (Kind.MOVED, Kind.NUMBER_MOVED_IN, Kind.NUMBER_MOVED_OUT)
_NOW = schema.current[declared.NUMBER_CAMPAIGNS.name]
_ENDED = schema.closed[declared.NUMBER_CAMPAIGNS.name]


class Moved(Struct, frozen=True, kw_only=True):
    """The newest moves, newest first; `more`: there are older ones. A move between accounts is there once."""

    changes: tuple[Change, ...] = ()
    more: bool = False


class _Pick(Struct, frozen=True, kw_only=True):
    """Number of an account, and the observation at which it may have moved."""

    account_id: int
    number_id: int
    at: datetime


def read_moved(
    connection: Connection, first_day: date | None, until: datetime, accounts: Collection[int] = ()
) -> Moved:
    """Moves that were observed from `first_day` to `until`, in all accounts or in `accounts`; none for no day."""
    if first_day is None:
        return Moved()
    start = datetime.combine(first_day, time(), UTC) - timedelta(microseconds=1)
    picked = _picks(connection, TimeRange(start=start, end=until, accounts=accounts))
    if not picked:
        return Moved()
    window = TimeRange(
        start=min(pick.at for pick in picked) - timedelta(microseconds=1),
        end=until,
        accounts={pick.account_id for pick in picked},
        numbers={pick.number_id for pick in picked},
    )
    moves = [change for change in read_changes(connection, window) if change.change_event.kind in KINDS]
    newest = sorted(_once(moves), key=lambda move: (-move.observed_at.timestamp(), move.account_id, _number(move)))
    return Moved(changes=tuple(newest[:MOST]), more=len(picked) > MOST)


def _once(moves: Collection[Change]) -> list[Change]:
    """The moves without those that another account tells, too: a number that came is told where it left."""
    left = {
        (_number(move), move.account_id, _other(move))
        for move in moves
        if move.change_event.kind is Kind.NUMBER_MOVED_OUT
    }
    return [
        move
        for move in moves
        if move.change_event.kind is not Kind.NUMBER_MOVED_IN
        or (_number(move), _other(move), move.account_id) not in left
    ]


def _number(move: Change) -> int:
    return move.change_event.number.id if move.change_event.number else 0


def _other(move: Change) -> int | None:
    return move.change_event.thing.id if move.change_event.thing else None


# -- which numbers


def _picks(connection: Connection, window: TimeRange) -> list[_Pick]:
    """The newest numbers of the range that may have moved, one more than are read."""
    found = union(_relinked(window), _between_accounts(window)).subquery()
    newest = select(found).order_by(found.c.at.desc(), found.c.account_id, found.c.virtual_number_id).limit(MOST + 1)
    rows = connection.execute(newest)
    return [_Pick(account_id=row.account_id, number_id=row.virtual_number_id, at=row.at) for row in rows]


def _relinked(window: TimeRange) -> Select[Any]:
    """Numbers that left a campaign and joined another one at the same observation."""
    left = _ENDED.alias("left")
    joined = (
        exists().where(
            other.c.account_id == left.c.account_id,
            other.c.virtual_number_id == left.c.virtual_number_id,
            other.c.valid_from == left.c.valid_to,
        )
        for other in (_NOW.alias("joined"), _ENDED.alias("joined_then"))
    )
    within = and_(left.c.valid_to > window.start, left.c.valid_to <= window.end)
    mine = [left.c.account_id.in_(window.accounts)] if window.accounts else []
    return select(left.c.account_id, left.c.virtual_number_id, left.c.valid_to.label("at")).where(
        within, or_(*joined), *mine
    )


def _between_accounts(window: TimeRange) -> Select[Any]:
    """Numbers that another account had before, or has afterwards."""
    events = version_events(declared.VIRTUAL_NUMBERS, window, names=False, moves=True).order_by(None).subquery()
    wanted = select(events.c.account_id, events.c.virtual_number_id, events.c["at"])
    return wanted.where(events.c.elsewhere.is_not(None))
