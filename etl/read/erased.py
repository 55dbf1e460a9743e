"""Versions of numbers whose personal content was erased, and the time of the erasure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, exists, false, select

from etl.domain import tables as declared
from etl.store import schema

Version = tuple[int, int, datetime]
"""account_id, virtual_number_id, valid_from."""


def erased_versions(connection: Connection, *numbers: tuple[int, int]) -> Mapping[Version, datetime]:
    """Time of erasure by version: of these numbers (account_id, virtual_number_id); of all numbers if none is given.

    Erased content is missing in the answer for every moment, so there is no parameter for a moment.
    """
    log = schema.erasures.c
    erasures = select(log.account_id, log.virtual_number_id, log.valid_from, log.erased_at)
    found: dict[Version, datetime] = {}
    for account_id, number_id in numbers:
        mine = erasures.where(log.account_id == account_id, log.virtual_number_id == number_id)
        found |= {(a, n, valid_from): erased_at for a, n, valid_from, erased_at in connection.execute(mine)}
    if not numbers:
        found = {(a, n, valid_from): erased_at for a, n, valid_from, erased_at in connection.execute(erasures)}
    return found


def is_erased(table: declared.Table, version: Table) -> ColumnElement[bool]:
    """Condition that a version of `table`, a row of `version`, was erased; false for tables other than numbers."""
    if table is not declared.VIRTUAL_NUMBERS:
        return false()
    key = ("account_id", "virtual_number_id", "valid_from")
    return exists().where(*(schema.erasures.c[name] == version.c[name] for name in key))
