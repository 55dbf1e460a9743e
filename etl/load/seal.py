"""Seal of an account sync: the digest of what it published, made in its own transaction. Format: `docs/chain.md`.

The versions of this moment are read back and digested; tables without changes are not read. Only a first load makes its
sections from the rows while they are written (`first`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, insert

from etl.domain import tables as declared
from etl.domain.chain import Change, Lines, Link, Section
from etl.domain.runs import TableChange
from etl.errors import IntegrityBroken
from etl.load.diff import PublicationStamp
from etl.load.staging import stage_for
from etl.store import copy_text, schema


def seal(connection: Connection, link: Link, run_id: int, found: Iterable[Section]) -> str:
    """Store the sections of the publication. Returns the new `chain_digest`.

    `found`: in the order of the declared tables, closed before opened, none of them empty.
    """
    found = list(found)
    if found:
        connection.execute(insert(schema.chain_sections), [_row(link.account_id, run_id, s) for s in found])
    return link.digest(found)


def _row(account_id: int, run_id: int, section: Section) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "run_id": run_id,
        "table_name": section.table,
        "change": section.change.value,
        "versions": section.versions,
        "digest": section.digest,
        "locator": section.locator,
    }


def sections(connection: Connection, stamp: PublicationStamp, changes: Mapping[str, TableChange]) -> Iterator[Section]:
    """Sections of the versions that were closed and opened at this moment, read back. Opened versions are staged.

    `changes`: the expected counts, by table. Raises `IntegrityBroken` when another count is found.
    """
    for table in declared.TABLES:
        for change, expected in (
            (Change.CLOSED, changes[table.name].closed),
            (Change.OPENED, changes[table.name].opened),
        ):
            if expected:
                yield _counted(section(connection, table, change, stamp, staged=True), expected)


def _counted(found: Section, expected: int) -> Section:
    if found.versions != expected:
        raise IntegrityBroken(
            f"{found.table}: {expected} {found.change.value}, but {found.versions} found",
            remedy="Nothing was published. Another program writes to these tables: see `vnsync verify`",
        )
    return found


def section(
    connection: Connection, table: declared.Table, change: Change, stamp: PublicationStamp, *, staged: bool = False
) -> Section:
    """Section of the versions of one table that were closed, or opened, at this moment, read back.

    `staged`: the opened versions are also staged; PostgreSQL finds them by their staged keys.
    """
    query = _query(table.name, change, connection.dialect.name, staged=staged)
    made = Lines()
    parameters = {"account": stamp.account_id, "now": stamp.observed_at}
    optional = copy_text.optional(table) if change is Change.OPENED else 0
    for batch in copy_text.stream(connection, *query, parameters, optional=optional):
        made.extend(batch)
    return made.section(table.name, change)


Query = tuple[copy_text.Fields, str]


@cache
def _query(name: str, change: Change, dialect: str, *, staged: bool) -> Query:
    """Query for the versions that were closed or opened now, in the order of their keys."""
    table = declared.BY_NAME[name]
    key = ", ".join(f"v.{column}" for column in ("account_id", *table.key_names))
    account, now = (copy_text.parameter(p, dialect) for p in ("account", "now"))
    mine = f"v.account_id = {account}"
    if change is Change.CLOSED:
        source = f"from {name}_closed v where {mine} and v.valid_to = {now} order by {key}"
        return copy_text.closed(table, dialect), source
    at = f"v.valid_from = {now}"
    if staged and dialect == "postgresql":
        at = f"{_among_staged(table, dialect)} and v.valid_from is not distinct from {now}"
    return copy_text.opened(table, dialect), f"from {name} v where {mine} and {at} order by {key}"


def _among_staged(table: declared.Table, dialect: str) -> str:
    """Condition that the row's key is staged, so that PostgreSQL finds the row by its key: no index serves `is not
    distinct from`. The index of `valid_from` leads to whole blocks, and the more accounts, the more of them in vain.
    """
    key, stage = ", ".join(table.key_names), stage_for(dialect).tables[table.name].name
    return f"({', '.join(f'v.{name}' for name in table.key_names)}) in (select {key} from {stage})"
