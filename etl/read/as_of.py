"""Warehouse as known at a moment: every declared table, and the accounts, by one rule.

A version holds at T when `valid_from <= T < valid_to`. Every change of an account sync has its `observed_at`, so the
state of an account at T is that of its last observation not later than T, and has no data observed after T.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    RowMapping,
    Select,
    Table,
    and_,
    case,
    func,
    null,
    select,
    union_all,
)
from sqlalchemy.sql.selectable import CompoundSelect, FromClause

from etl.domain import decimals
from etl.domain import tables as declared
from etl.domain.runs import AccountStatus
from etl.errors import Usage
from etl.store import schema


class Observed(Struct, frozen=True, kw_only=True):
    """An account as its last published sync, not later than the requested moment, observed it."""

    account_id: int
    account_name: str | None
    timezone: str | None
    observed_at: datetime
    chain_digest: str | None
    run_id: int


def rows(
    table: declared.Table, moment: datetime | None, accounts: Collection[int] = ()
) -> Select[Any] | CompoundSelect[Any]:
    """Query of the rows of `table` as of `moment` (None: now), ordered by key: account_id, its columns, valid_from.

    `accounts`: only these; empty: all.
    """
    now, ended = schema.current[table.name], schema.closed[table.name]
    columns = ["account_id", *(c.name for c in table.columns), "valid_from"]
    keys = columns[: 1 + len(table.key)]
    open_rows = _of(now, columns, accounts)
    if moment is None:
        return open_rows.order_by(*(now.c[k] for k in keys))
    then = _of(ended, columns, accounts).where(ended.c.valid_from <= moment, ended.c.valid_to > moment)
    both = union_all(open_rows.where(now.c.valid_from <= moment), then)
    return both.order_by(*(both.selected_columns[k] for k in keys))


def versions(table: declared.Table, moment: datetime) -> CompoundSelect[Any]:
    """Query of the versions of `table` that had begun by `moment`, ordered by key and `valid_from`.

    Columns: account_id, its columns, valid_from, valid_to; null while the version is open, as known at `moment`.
    """
    now, ended = schema.current[table.name], schema.closed[table.name]
    columns = ["account_id", *(c.name for c in table.columns), "valid_from"]
    then = case((ended.c.valid_to <= moment, ended.c.valid_to), else_=null()).label("valid_to")
    both = union_all(
        select(*(ended.c[name] for name in columns), then).where(ended.c.valid_from <= moment),
        select(*(now.c[name] for name in columns), null()).where(now.c.valid_from <= moment),
    )
    return both.order_by(*(both.selected_columns[k] for k in (*columns[: 1 + len(table.key)], "valid_from")))


def _of(table: Table, columns: Sequence[str], accounts: Collection[int]) -> Select[Any]:
    chosen = select(*(table.c[name] for name in columns))
    return chosen.where(table.c.account_id.in_(accounts)) if accounts else chosen


def history(table: declared.Table, moment: datetime | None) -> FromClause:
    """Query of the versions of `table` that had begun by `moment` (None: now); the versions that ended later included.

    Columns: those of the contract's history view. A reader must take a later `valid_to` as open.
    """
    now, ended = schema.current[table.name], schema.closed[table.name]
    names = ["account_id", *(c.name for c in table.columns), "valid_from", "opened_run_id"]
    open_ones = select(*(now.c[n] for n in names), null().label("valid_to"), null().label("closed_run_id"))
    closed = select(*(ended.c[n] for n in names), ended.c.valid_to, ended.c.closed_run_id)
    if moment is not None:
        open_ones = open_ones.where(now.c.valid_from <= moment)
        closed = closed.where(ended.c.valid_from <= moment)
    return union_all(closed, open_ones).subquery(f"{table.name}_known")


def values_of(table: declared.Table, row: RowMapping) -> dict[str, Any]:
    """The values of a stored row by column, with its key.

    A field that is a column since a later release was kept in `extra` before: it is taken from there, so that the
    version in which it moved does not look like a change.
    """
    values = {c.name: as_value(c, row[c.name]) for c in table.columns}
    extra = values.get("extra") or {}
    moved = [c.name for c in table.columns if c.later and values[c.name] is None and c.name in extra]
    if not moved:
        return values
    rest = {name: value for name, value in extra.items() if name not in moved}
    return values | {name: extra[name] for name in moved} | {"extra": rest or None}


def as_value(column: declared.Column, stored: Any) -> Any:
    """A stored value as a Python object: JSON is decoded, decimals keep every digit."""
    return decimals.loads(stored) if column.kind is declared.Kind.JSON and isinstance(stored, str) else stored


# -- accounts


def observed(connection: Connection, moment: datetime | None, accounts: Collection[int] = ()) -> list[Observed]:
    """The accounts that had been published by `moment` (None: now), by id, each as its last sync observed it."""
    syncs = schema.account_syncs
    published = _published(moment, accounts)
    newest = select(syncs.c.account_id, func.max(syncs.c.observed_at).label("instant")).where(published)
    last = newest.group_by(syncs.c.account_id).subquery()
    same = and_(syncs.c.account_id == last.c.account_id, syncs.c.observed_at == last.c.instant)
    return [_observed(row) for row in connection.execute(select(syncs).join(last, same).order_by(syncs.c.account_id))]


def _published(moment: datetime | None, accounts: Collection[int]) -> ColumnElement[bool]:
    syncs = schema.account_syncs.c
    conditions = [syncs.status == AccountStatus.SUCCEEDED.value]
    conditions += [] if moment is None else [syncs.observed_at <= moment]
    conditions += [syncs.account_id.in_(accounts)] if accounts else []
    return and_(*conditions)


def _observed(row: Row[Any]) -> Observed:
    return Observed(
        account_id=row.account_id,
        account_name=row.account_name,
        timezone=row.timezone,
        observed_at=row.observed_at,
        chain_digest=row.chain_digest,
        run_id=row.run_id,
    )


# -- moments without an answer


def refuse_future(moment: datetime | None, now: datetime, option: str) -> None:
    """Raises `Usage` for a moment in the future: the answer for it could still change."""
    if moment is not None and moment > now:
        raise Usage(f"{option} {_text(moment)} lies in the future", remedy=f"It is {_text(now)} now.")


def refuse_unknown(connection: Connection, moment: datetime | None, option: str, accounts: Collection[int]) -> None:
    """Raises `Usage` when an account of `accounts` is unknown, or when nothing had been observed by `moment`."""
    syncs = schema.account_syncs
    first = select(syncs.c.account_id, func.min(syncs.c.observed_at)).where(_published(None, accounts))
    begun = {row[0]: row[1] for row in connection.execute(first.group_by(syncs.c.account_id))}
    unknown = sorted(set(accounts) - begun.keys())
    if unknown:
        remedy = "`vnsync status` lists the accounts of this warehouse."
        raise Usage(f"account {unknown[0]} was never published into this warehouse", remedy=remedy)
    if not begun:
        raise Usage("nothing was ever published into this warehouse", remedy="Run `vnsync sync` first.")
    earliest = min(begun.values())
    if moment is not None and moment < earliest:
        raise Usage(
            f"{option} {_text(moment)} lies before the first observation",
            remedy=f"History starts at {_text(earliest)}.",
        )


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
