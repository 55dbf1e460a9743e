"""Canonical lines of rows, which the chain hashes: computed by the database from the table declarations, and streamed.

`etl/domain/canonical.py` defines a line. PostgreSQL writes it by COPY. In SQLite, SQL composes it with
`sqlite_functions`, which every connection has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from etl.domain.canonical import ESCAPES
from etl.domain.chain import moment
from etl.domain.tables import Column, Kind, Table

BATCH = 2000
"""Lines that are passed on at once."""

Fields = list[str]
"""SQL expressions; each is one field of a line."""


def opened(table: Table, dialect: str) -> Fields:
    """The fields of an opened version `v`: key, values, and one digest of the personal values.

    Behind them stand the columns that later releases added; `stream` leaves them out where they are null.
    """
    fields = [field(c, dialect) for c in table.plain if not c.later]
    digest = [personal(table, dialect)] if table.personal else []
    return [*fields, *digest, *(named(c, dialect) for c in table.plain if c.later)]


def optional(table: Table) -> int:
    """How many of the last fields of `opened` are left out where they are null."""
    return len([c for c in table.plain if c.later])


def closed(table: Table, dialect: str) -> Fields:
    """The fields of a closed version `v`: its key, and when it began."""
    return [*(f"v.{name}" for name in table.key_names), instant("v.valid_from", dialect)]


def instant(expression: str, dialect: str) -> str:
    """An instant as the chain writes it; SQLite stores instants in that form."""
    if dialect == "sqlite":
        return expression
    return f"to_char({expression} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"


def field(column: Column, dialect: str) -> str:
    """A column of `v` as a field of a line."""
    name = f"v.{column.name}"
    if dialect == "postgresql":
        return name  # COPY does the rest
    if column.kind is Kind.BOOLEAN:
        return f"case {name} when 1 then 't' when 0 then 'f' else coalesce({name}, '\\N') end"
    if column.kind is Kind.TEXT:
        special = f"{name} glob '*['||char(8)||'-'||char(13)||'\\]*'"
        return f"case when {special} then vnsync_field({_bytes(name)}) else {nullable(name, dialect)} end"
    if column.kind is Kind.JSON:
        return f"case when {name} is null then '\\N' else vnsync_field(vnsync_json({_bytes(name)})) end"
    return nullable(name, dialect)


def named(column: Column, dialect: str) -> str:
    """A column of `v` that a later release added as a field of a line, with its name; null where the column is null."""
    if dialect == "sqlite":
        return f"case when v.{column.name} is null then '\\N' else '{column.name}='||{field(column, dialect)} end"
    return f"'{column.name}=' || {_as_text(column)}"


def _bytes(expression: str) -> str:
    """A value as `sqlite_functions` take it."""
    return f"cast({expression} as blob)"


def nullable(expression: str, dialect: str) -> str:
    """An expression without text, as a field of a line; PostgreSQL's COPY writes null by itself."""
    return f"coalesce({expression}, '\\N')" if dialect == "sqlite" else expression


def personal(table: Table, dialect: str) -> str:
    """The SHA-256 of the line of `v`'s personal columns."""
    fixed = [c for c in table.personal if not c.later]
    later = [c for c in table.personal if c.later]
    if dialect == "sqlite":
        return f"vnsync_digest({', '.join([str(len(fixed)), *map(_value, fixed), *map(_named_value, later)])})"
    line = " || chr(9) || ".join(f"coalesce({_escaped(c)}, '\\N')" for c in fixed)
    line += "".join(f" || coalesce(chr(9) || '{c.name}=' || {_escaped(c)}, '')" for c in later)
    return f"encode(sha256(convert_to({line}, 'UTF8')), 'hex')"


def _value(column: Column) -> str:
    """A column of `v` as `vnsync_digest` takes it: text that is not escaped yet."""
    name = f"v.{column.name}"
    if column.kind is Kind.BOOLEAN:
        return _bytes(f"case {name} when 1 then 't' when 0 then 'f' else {name} end")
    return f"vnsync_json({_bytes(name)})" if column.kind is Kind.JSON else _bytes(name)


def _named_value(column: Column) -> str:
    return _bytes(f"'{column.name}='||{_value(column)}")


def _as_text(column: Column) -> str:
    """A column of `v` as text, in PostgreSQL."""
    name = f"v.{column.name}"
    if column.kind is Kind.BOOLEAN:
        return f"case when {name} then 't' when not {name} then 'f' end"
    return name if column.kind is Kind.TEXT else f"{name}::text"


def _escaped(column: Column) -> str:
    expression = _as_text(column)
    for character, escape in ESCAPES.items():
        expression = f"replace({expression}, chr({ord(character)}), '{escape}')"
    return expression


def versions(table: Table, dialect: str) -> str:
    """All versions of an account (the parameter `account`) as a source `v`; the end of open versions is null."""
    columns = ", ".join(["account_id", *(c.name for c in table.columns)])
    mine = f"where account_id = {parameter('account', dialect)}"
    return (
        f"from (select {columns}, valid_from, valid_to, opened_run_id, closed_run_id from {table.name}_closed {mine}"
        f" union all select {columns}, valid_from, null, opened_run_id, null from {table.name} {mine}) v"
    )


def parameter(name: str, dialect: str) -> str:
    """A parameter of these statements, in the dialect's notation."""
    return f":{name}" if dialect == "sqlite" else f"%({name})s"


def stream(
    connection: Connection, fields: Fields, source: str, parameters: Mapping[str, Any], *, optional: int = 0
) -> Iterator[list[bytes]]:
    """The lines of `select fields source`, each with its newline, some thousand at a time.

    `source`: everything from `from` on; `parameters`: whole numbers, and aware datetimes in UTC. `optional`: how many
    of the last fields are left out where they are null.
    """
    read = _selected if connection.dialect.name == "sqlite" else _copied
    for batch in read(connection, fields, source, parameters):
        yield [_without_nulls(line, optional) for line in batch] if optional else batch


def _without_nulls(line: bytes, optional: int) -> bytes:
    first, *last = line[:-1].rsplit(b"\t", optional)
    return b"\t".join([first, *(field for field in last if field != b"\\N")]) + b"\n"


def _copied(
    connection: Connection, fields: Fields, source: str, parameters: Mapping[str, Any]
) -> Iterator[list[bytes]]:
    driver: Any = connection.connection.driver_connection
    with driver.cursor().copy(f"copy (select {', '.join(fields)} {source}) to stdout", parameters) as copy:
        rows = map(bytes, copy)
        while batch := list(islice(rows, BATCH)):
            yield batch


def _selected(
    connection: Connection, fields: Fields, source: str, parameters: Mapping[str, Any]
) -> Iterator[list[bytes]]:
    """The lines as bytes, which is how SQLite stores text: they need not become strings in between."""
    driver: Any = connection.connection.driver_connection
    stored = {name: moment(v) if isinstance(v, datetime) else v for name, v in parameters.items()}
    line = "||char(9)||".join(fields)
    found = driver.execute(f"select cast({line}||char(10) as blob) {source}", stored)
    while batch := found.fetchmany(BATCH):
        yield [line for (line,) in batch]
