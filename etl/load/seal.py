"""The seal of an account sync: what it published, digested inside its own transaction. `docs/chain.md` has the format.

Tables in which nothing changed are not looked at. What was opened is found by one scan of the account's current rows:
no index leads from an instant to them, and one would cost every sync more than the scan does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, insert

from etl.domain import tables as declared
from etl.domain.chain import Change, Lines, Link, Section
from etl.domain.runs import TableChange
from etl.store import lines, schema


def seal(connection: Connection, link: Link, run_id: int, now: datetime, changes: Mapping[str, TableChange]) -> str:
    """Digest the versions that were closed and opened `now`, keep the sections, and give the new `chain_digest`.

    `changes`: how many versions were closed and opened, by table.
    """
    found = list(_sections(connection, link.account_id, now, changes))
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


def _sections(
    connection: Connection, account_id: int, now: datetime, changes: Mapping[str, TableChange]
) -> Iterator[Section]:
    dialect, parameters = connection.dialect.name, {"account": account_id, "now": now}
    for table in declared.TABLES:
        change = changes[table.name]
        if change.closed:
            yield _section(connection, table, Change.CLOSED, _query(table.name, "valid_to", dialect), parameters)
        if change.opened:
            yield _section(connection, table, Change.OPENED, _query(table.name, "valid_from", dialect), parameters)


Query = tuple[lines.Fields, str]


def _section(
    connection: Connection, table: declared.Table, change: Change, query: Query, parameters: Mapping[str, Any]
) -> Section:
    made = Lines()
    for batch in lines.stream(connection, *query, parameters):
        made.extend(batch)
    return made.section(table.name, change)


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
