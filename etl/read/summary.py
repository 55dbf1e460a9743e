"""Counts of rows in the tables, and of the changes of one run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, Select, Table, and_, exists, func, select, text, union

from etl.domain.tables import NUMBER_CAMPAIGNS, VIRTUAL_NUMBERS
from etl.store import schema
from etl.store.engine import database_errors


class TableSize(Struct, frozen=True, kw_only=True):
    """Size of a table: its current rows, and its versions that have ended."""

    table: str
    rows: int
    ended: int


class AccountChanges(Struct, frozen=True, kw_only=True):
    """Counts of the changes of one run in one account. `moved`: numbers that stayed and changed their campaigns.

    `edited`: numbers with a changed field, such as status, name or comment; `switched`: links to scenarios with a
    changed field, such as on or off; `renamed`: campaigns, sites, blocks and scenarios with a changed field.
    """

    account_id: int
    added: int = 0
    removed: int = 0
    edited: int = 0
    moved: int = 0
    switched: int = 0
    renamed: int = 0


class Period(Struct, frozen=True, kw_only=True):
    """Period of a number in a campaign, with times as the warehouse writes them; `valid_to` is None while it lasts."""

    phone: str | None
    campaign: str | None
    valid_from: str
    valid_to: str | None


def table_sizes(engine: Engine) -> list[TableSize]:
    """Sizes of the eight tables with history, in the contract's order."""
    with database_errors(), engine.connect() as connection:
        return [
            TableSize(table=name, rows=_count(connection, table), ended=_count(connection, schema.closed[name]))
            for name, table in schema.current.items()
        ]


def run_changes(engine: Engine, run_id: int) -> dict[int, AccountChanges]:
    """Counts of the run's changes by account; accounts without changes are left out."""
    with database_errors(), engine.connect() as connection:
        counts = _counts_by_entity(connection, run_id)
        moved = {row.account_id: row.numbers for row in connection.execute(_moved(run_id))}
    return {i: _changes(i, counts.get(i, {}), moved.get(i, 0)) for i in sorted(counts.keys() | moved.keys())}


def moved_number(engine: Engine) -> tuple[int, list[Period]] | None:
    """(id, periods) of a number that was in more than one campaign; None if there is no such number."""
    links = schema.closed[NUMBER_CAMPAIGNS.name].c
    now = schema.current[NUMBER_CAMPAIGNS.name].c
    again = exists().where(now.account_id == links.account_id, now.virtual_number_id == links.virtual_number_id)
    wanted = select(links.account_id, links.virtual_number_id).where(again).order_by(links.valid_to.desc()).limit(1)
    with database_errors(), engine.connect() as connection:
        found = connection.execute(wanted).first()
        if found is None:
            return None
        rows = connection.execute(text(_PERIODS), {"account": found.account_id, "number": found.virtual_number_id})
        return found.virtual_number_id, [Period(phone=p, campaign=c, valid_from=a, valid_to=b) for p, c, a, b in rows]


_PERIODS = """
select virtual_phone_number, campaign_name, valid_from, valid_to from number_campaign_periods
where account_id = :account and virtual_number_id = :number order by valid_from
"""


def _count(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def _counts_by_entity(connection: Connection, run_id: int) -> dict[int, dict[tuple[str, str], int]]:
    """Counts of the rows of the view `changes`, by account, then by (entity, change)."""
    counted = text("select account_id, entity, change, count(*) from changes where run_id = :run group by 1, 2, 3")
    counts: dict[int, dict[tuple[str, str], int]] = {}
    for account_id, entity, change, number in connection.execute(counted, {"run": run_id}):
        counts.setdefault(account_id, {})[entity, change] = number
    return counts


def _changes(account_id: int, counts: dict[tuple[str, str], int], moved: int) -> AccountChanges:
    renamed = ("campaign", "site", "site block", "scenario")
    return AccountChanges(
        account_id=account_id,
        added=counts.get(("number", "added"), 0),
        removed=counts.get(("number", "removed"), 0),
        edited=counts.get(("number", "changed"), 0),
        moved=moved,
        switched=counts.get(("scenario of a number", "changed"), 0),
        renamed=sum(counts.get((entity, "changed"), 0) for entity in renamed),
    )


def _moved(run_id: int) -> Select[Any]:
    """Query of the count of numbers, by account, whose campaigns the run changed and which existed before and after."""
    changed = union(*_links_changed(run_id)).subquery()
    numbers, ended = schema.current[VIRTUAL_NUMBERS.name], schema.closed[VIRTUAL_NUMBERS.name]
    same = (numbers.c.account_id == changed.c.account_id) & (numbers.c.virtual_number_id == changed.c.virtual_number_id)
    earlier = exists().where(
        ended.c.account_id == numbers.c.account_id,
        ended.c.virtual_number_id == numbers.c.virtual_number_id,
        ended.c.valid_to == numbers.c.valid_from,
    )
    stayed = and_(same, (numbers.c.opened_run_id != run_id) | earlier)
    return (
        select(changed.c.account_id, func.count().label("numbers"))
        .select_from(changed.join(numbers, stayed))
        .group_by(changed.c.account_id)
    )


def _links_changed(run_id: int) -> Iterator[Select[Any]]:
    opened, closed = schema.current[NUMBER_CAMPAIGNS.name].c, schema.closed[NUMBER_CAMPAIGNS.name].c
    yield select(opened.account_id, opened.virtual_number_id).where(opened.opened_run_id == run_id)
    yield select(closed.account_id, closed.virtual_number_id).where(closed.closed_run_id == run_id)
