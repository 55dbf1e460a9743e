"""The seal of an account sync: what it published, digested inside its own transaction. `docs/chain.md` has the format.

Tables in which nothing changed are not looked at, and what is sealed is read back: the versions of this moment. Only of
a first load the sections are made of its rows on their way (`first`).
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
    """Keep the sections of what was published, and give the new `chain_digest`.

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
    """What was closed and opened at this moment, read back; what was opened is staged.

    `changes`: how many versions of each, by table. Raises `IntegrityBroken` where not so many are found.
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
            f"{found.table}: {expected} {found.change.value}, and {found.versions} of them are there",
            remedy="Nothing was published. Somebody else writes to these tables: see `vnsync verify`",
        )
    return found


def section(
    connection: Connection, table: declared.Table, change: Change, stamp: PublicationStamp, *, staged: bool = False
) -> Section:
    """The versions of one table that were closed, or opened, at this moment, read back.

    `staged`: what was opened is also what is staged; in PostgreSQL it is found by that.
    """
    query = _query(table.name, change, connection.dialect.name, staged=staged)
    made = Lines()
    for batch in copy_text.stream(connection, *query, {"account": stamp.account_id, "now": stamp.observed_at}):
        made.extend(batch)
    return made.section(table.name, change)


Query = tuple[copy_text.Fields, str]


@cache
def _query(name: str, change: Change, dialect: str, *, staged: bool) -> Query:
    """The versions that were closed or opened now, in the order of their keys."""
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
    """The row's key is staged. It is to be found by its key then, and no index serves `is not distinct from`: the one
    of `valid_from` leads PostgreSQL to whole blocks, of which the more hold other accounts' rows the more there are.
    """
    key, stage = ", ".join(table.key_names), stage_for(dialect).tables[table.name].name
    return f"({', '.join(f'v.{name}' for name in table.key_names)}) in (select {key} from {stage})"
