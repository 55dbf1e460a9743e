"""Erasure of one number's personal content from the warehouse: from current rows, closed versions and quarantine.

Each value becomes null, and a digest of the erased content is kept in `erasures`, so that the chain stays verifiable
and shows that content was erased. Only an owner of the tables may erase; a role that only loads may not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    Connection,
    Engine,
    FromClause,
    Table,
    and_,
    delete,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from etl.domain.tables import VIRTUAL_NUMBERS
from etl.errors import NotAllowed, Usage
from etl.store import copy_text, schema
from etl.store.engine import begin_writing, database_errors
from etl.store.liveness import refuse_while_running
from etl.store.locks import hold_schema

ERASED_RECORD = '{"erased": true}'
"""Replaces a quarantined record."""


class Erased(Struct, frozen=True, kw_only=True):
    """Counts of an erasure, or of what it would erase: versions and quarantined records of the number."""

    account_id: int
    virtual_number_id: int
    versions: int
    earlier: int
    """Versions whose content an earlier erasure removed."""
    quarantined: int


def erase_number(engine: Engine, account_id: int, number_id: int, *, now: datetime, reason: str | None) -> Erased:
    """Erase the number's personal content in one transaction. Versions that were erased earlier do not change.

    Raises `Usage` for a number that the warehouse never had, `TryLater` during a run, `NotAllowed` for other roles.
    """
    try:
        with database_errors(), begin_writing(engine) as connection:
            hold_schema(connection)
            refuse_while_running(connection, "what it publishes would not be erased")
            erased = _counted(connection, account_id, number_id)
            rows = list(_digests(connection, account_id, number_id, now, reason))
            if rows:
                connection.execute(insert(schema.erasures), rows)
            _empty(connection, account_id, number_id)
            _delete_fingerprints(connection, account_id)
    except NotAllowed as exc:
        raise NotAllowed(f"only an owner of the tables may erase ({exc})", remedy="Connect as the owner") from exc
    _overwrite(engine)
    return erased


def count_erasable(engine: Engine, account_id: int, number_id: int) -> Erased:
    """Count what `erase_number` would erase. Raises `Usage` for a number that the warehouse never had."""
    with database_errors(), engine.connect() as connection:
        return _counted(connection, account_id, number_id)


def _tables() -> tuple[Table, Table]:
    return schema.current[VIRTUAL_NUMBERS.name], schema.closed[VIRTUAL_NUMBERS.name]


def _of(table: FromClause, account_id: int, number_id: int) -> ColumnElement[bool]:
    return and_(table.c.account_id == account_id, table.c.virtual_number_id == number_id)


def _has_content(table: FromClause) -> ColumnElement[bool]:
    return or_(*(table.c[c.name].is_not(None) for c in VIRTUAL_NUMBERS.personal))


def _counted(connection: Connection, account_id: int, number_id: int) -> Erased:
    def count(table: Table, *conditions: ColumnElement[bool]) -> int:
        mine = select(func.count()).select_from(table).where(_of(table, account_id, number_id), *conditions)
        return connection.scalar(mine) or 0

    records = schema.quarantine
    quarantined = count(records, records.c.record != ERASED_RECORD)
    known = sum(count(table) for table in _tables()) + count(records)
    if not known:
        raise Usage(f"account {account_id} never had a number {number_id}", remedy="`vnsync history` lists the ids.")
    return Erased(
        account_id=account_id,
        virtual_number_id=number_id,
        versions=sum(count(table, _has_content(table)) for table in _tables()),
        earlier=count(schema.erasures),
        quarantined=quarantined,
    )


def _digests(
    connection: Connection, account_id: int, number_id: int, now: datetime, reason: str | None
) -> Iterator[dict[str, Any]]:
    """Rows for `erasures`: for each version, the digest of its personal content, which the chain contains."""
    digest: ColumnElement[str] = literal_column(copy_text.personal(VIRTUAL_NUMBERS, connection.dialect.name))
    for table in _tables():
        version = table.alias("v")
        found = select(version.c.valid_from, digest.label("digest"))
        mine = found.where(_of(version, account_id, number_id), _has_content(version))
        for valid_from, kept in connection.execute(mine):
            yield {
                "account_id": account_id,
                "virtual_number_id": number_id,
                "valid_from": valid_from,
                "digest": kept,
                "erased_at": now,
                "reason": reason,
            }


def _empty(connection: Connection, account_id: int, number_id: int) -> None:
    nothing = {c.name: null() for c in VIRTUAL_NUMBERS.personal}
    for table in _tables():
        connection.execute(update(table).where(_of(table, account_id, number_id)).values(nothing))
    records = schema.quarantine
    connection.execute(update(records).where(_of(records, account_id, number_id)).values(record=ERASED_RECORD))


def _delete_fingerprints(connection: Connection, account_id: int) -> None:
    """Delete the fingerprints of the account's listing: they are digests of the erased content, and still match it."""
    for table in (schema.listing_windows, schema.listing_states):
        connection.execute(delete(table).where(table.c.account_id == account_id))


def _overwrite(engine: Engine) -> None:
    """Rewrite a SQLite file, which otherwise keeps deleted content. On PostgreSQL, the owner runs VACUUM."""
    if engine.name != "sqlite":
        return
    with database_errors(), engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("vacuum")
        driver.execute("pragma wal_checkpoint(truncate)").fetchall()
