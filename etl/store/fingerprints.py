"""Fingerprints of listings, stored by window in a few compact values: read before a listing, written with its data.

They are valid only for the state that they were written with: the row in `listing_states` names the account's last
published sync and the version of vnsync that read it. If either differs, or if a row has another shape than the one
that was written, they are ignored, because a shortcut may always be dropped.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from functools import cache, partial
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    LargeBinary,
    Select,
    Table,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
)

from etl.domain.fingerprints import DIGEST, DriftEntry, ListingPrint, Records, WindowPrint
from etl.domain.windows import Window
from etl.store import schema
from etl.store.engine import database_errors, release_snapshot
from etl.store.upsert import insert_row

_OPEN = -(2**63)
"""Lower edge of a window that has none, because a key cannot be null."""
_HEAD = ("after_id", "upto_id", "digest", "numbers", "control_ids", "drift_entries")
_MINE = "mine"
"""The account, as a statement's parameter."""
_PACKED = {"ids": array("q").itemsize, "digests": DIGEST, "phones": array("q").itemsize}
"""Bytes of one number in each of the packed columns."""
_KINDS: dict[str, type] = {"after_id": int, "numbers": int, "digest": bytes, "control_ids": bytes, "drift_entries": str}
_drift_entries = msgspec.json.Decoder(tuple[DriftEntry, ...])


class Origin(Struct, frozen=True, kw_only=True):
    """Published sync to which fingerprints belong, and the version that made rows of its records."""

    run_id: int
    observed_at: datetime
    version: str


def read(connection: Connection, account_id: int, version: str) -> ListingPrint | None:
    """The fingerprints of the account's last published sync; None if this version may not use any."""
    mine = {_MINE: account_id}
    state = connection.execute(_state(), mine).first()
    if state is None or state.version != version:
        return None
    found = connection.execute(_heads(), mine).all()
    if not all(map(_is_whole, found)):
        return None
    try:
        return ListingPrint(
            windows=tuple(_window(row, partial(_records, connection, account_id, row.after_id)) for row in found),
            drift_entries=_drift_entries.decode(state.drift_entries),
        )
    except msgspec.MsgspecError:
        return None


def _is_whole(row: Any) -> bool:
    """Whether a window's row has the shape that `write` gives it: types, lengths, a digest only of all numbers."""
    if not all(isinstance(getattr(row, name), kind) for name, kind in _KINDS.items()):
        return False
    records = row.ids // _PACKED["ids"]
    packed = all(getattr(row, name) == records * size for name, size in _PACKED.items())
    counted = records == row.numbers if row.digest else records <= row.numbers
    return packed and counted and isinstance(row.upto_id, int | None) and not len(row.control_ids) % _PACKED["ids"]


@cache
def _state() -> Select[Any]:
    """Query for an account's state, if it is of its last published sync. Building it takes longer than executing it."""
    states, syncs = schema.listing_states, schema.account_syncs
    mine = select(syncs.c.run_id, syncs.c.observed_at).where(syncs.c.account_id == bindparam(_MINE))
    last = mine.where(syncs.c.observed_at.is_not(None)).order_by(syncs.c.observed_at.desc()).limit(1).subquery()
    is_last = and_(states.c.run_id == last.c.run_id, states.c.observed_at == last.c.observed_at)
    wanted = select(states.c.version, states.c.drift_entries).join(last, is_last)
    return wanted.where(states.c.account_id == bindparam(_MINE))


@cache
def _heads() -> Select[Any]:
    windows = schema.listing_windows
    lengths = (func.length(_bytes(name)).label(name) for name in _PACKED)
    rows = select(*(windows.c[name] for name in _HEAD), *lengths).where(windows.c.account_id == bindparam(_MINE))
    return rows.order_by(windows.c.after_id)


def _bytes(name: str) -> ColumnElement[bytes]:
    """A packed column as bytes: SQLite may have stored another type."""
    return cast(schema.listing_windows.c[name], LargeBinary)


def _window(row: Any, records: Callable[[], Records]) -> WindowPrint:
    return WindowPrint(
        window=Window(None if row.after_id == _OPEN else row.after_id, row.upto_id),
        digest=row.digest,
        numbers=row.numbers,
        control_ids=tuple(_unpacked(row.control_ids)),
        drift_entries=_drift_entries.decode(row.drift_entries),
        records=records,
    )


def _records(connection: Connection, account_id: int, after_id: int) -> Records:
    windows = schema.listing_windows
    wanted = select(_bytes("ids"), _bytes("digests"), _bytes("phones"))
    with database_errors():
        mine = wanted.where(windows.c.account_id == account_id, windows.c.after_id == after_id)
        ids, digests, phones = connection.execute(mine).one()
        release_snapshot(connection)
    return Records(_unpacked(ids), digests, _unpacked(phones))


def _unpacked(packed: bytes) -> array[int]:
    numbers = array("q")
    numbers.frombytes(packed)
    return numbers


def forget(connection: Connection, account_id: int) -> None:
    """Delete the account's fingerprints: its next sync decodes every record again."""
    for table in (schema.listing_windows, schema.listing_states):
        connection.execute(_all_of(table), {_MINE: account_id})


def write(
    connection: Connection,
    account_id: int,
    origin: Origin,
    *,
    kept: Collection[Window],
    new: Iterable[WindowPrint],
    drift_entries: tuple[DriftEntry, ...],
) -> None:
    """Store the fingerprints of the listing that this transaction publishes: `kept` windows stay, `new` are added."""
    windows = schema.listing_windows
    old = _all_of(windows)
    if edges := [_lower(window) for window in kept]:
        old = old.where(windows.c.after_id.not_in(edges))
    connection.execute(old, {_MINE: account_id})
    rows = [_row(account_id, one) for one in new]
    if rows:
        connection.execute(insert(windows), rows)
    renew(connection, account_id, origin, drift_entries=drift_entries)


def renew(connection: Connection, account_id: int, origin: Origin, *, drift_entries: tuple[DriftEntry, ...]) -> None:
    """Declare all stored windows of the account valid for the sync that this transaction publishes."""
    states = schema.listing_states
    state = {"run_id": origin.run_id, "observed_at": origin.observed_at, "version": origin.version}
    connection.execute(_all_of(states), {_MINE: account_id})
    insert_row(connection, states, {"account_id": account_id, "drift_entries": _json(drift_entries)} | state)


@cache
def _all_of(table: Table) -> Delete:
    return delete(table).where(table.c.account_id == bindparam(_MINE))


def storable(window: Window) -> bool:
    """Whether the window's lower edge differs from the value for none."""
    return window.after != _OPEN


def _lower(window: Window) -> int:
    return _OPEN if window.after is None else window.after


def _row(account_id: int, one: WindowPrint) -> dict[str, Any]:
    records = one.records()
    return {
        "account_id": account_id,
        "after_id": _lower(one.window),
        "upto_id": one.window.upto,
        "digest": one.digest,
        "numbers": one.numbers,
        "control_ids": array("q", one.control_ids).tobytes(),
        "drift_entries": _json(one.drift_entries),
        "ids": array("q", records.ids).tobytes(),
        "digests": records.digests,
        "phones": array("q", records.phones).tobytes(),
    }


def _json(drift_entries: tuple[DriftEntry, ...]) -> str:
    return msgspec.json.encode(drift_entries).decode()
