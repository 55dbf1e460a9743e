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
from etl.load.diff import Moment
from etl.store import lines, schema


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


def sections(connection: Connection, moment: Moment, changes: Mapping[str, TableChange]) -> Iterator[Section]:
    """What was closed and opened at this moment, read back. `changes`: how many versions of each, by table."""
    for table in declared.TABLES:
        change = changes[table.name]
        if change.closed:
            yield section(connection, table, Change.CLOSED, moment)
        if change.opened:
            yield section(connection, table, Change.OPENED, moment)


def section(connection: Connection, table: declared.Table, change: Change, moment: Moment) -> Section:
    """The versions of one table that were closed, or opened, at this moment, read back."""
    instant = "valid_to" if change is Change.CLOSED else "valid_from"
    query = _query(table.name, instant, connection.dialect.name)
    made = Lines()
    for batch in lines.stream(connection, *query, {"account": moment.account_id, "now": moment.observed_at}):
        made.extend(batch)
    return made.section(table.name, change)


Query = tuple[lines.Fields, str]


@cache
def _query(name: str, instant: str, dialect: str) -> Query:
    """The versions that were closed (`valid_to`) or opened (`valid_from`) now, in the order of their keys."""
    table = declared.BY_NAME[name]
    ended = instant == "valid_to"
    fields = lines.closed(table, dialect) if ended else lines.opened(table, dialect)
    key = ", ".join(f"v.{column}" for column in ("account_id", *table.key_names))
    account, now = (lines.parameter(p, dialect) for p in ("account", "now"))
    source = f"{name}_closed" if ended else name
    return fields, f"from {source} v where v.account_id = {account} and v.{instant} = {now} order by {key}"
