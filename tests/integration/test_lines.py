"""Lines of versions as the databases write them: equal to the program's, for columns of any kind."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, text

from etl.domain.columns import Columns
from etl.domain.tables import NUMBER_SITE_BLOCKS, VIRTUAL_NUMBERS, Column, Kind, Table
from etl.store import copy_text

ADDED = tuple(
    Column(name=f"{'own' if personal else 'new'}_{kind.value}", kind=kind, personal=personal, later=True)
    for personal in (False, True)
    for kind in Kind
)
TYPES = {Kind.INTEGER: "bigint", Kind.TEXT: "text", Kind.BOOLEAN: "boolean"}
SAMPLES: dict[Kind, tuple[Any, ...]] = {
    Kind.INTEGER: (0, -7),
    Kind.TEXT: ("", "tab\tnewline\n\\N =Ünï"),
    Kind.BOOLEAN: (False, True),
    Kind.JSON: ('{"aa": 1.50, "b": ["\\t"]}', "{}"),
}


def _row(table: Table, number: int, chosen: int | None) -> tuple[Any, ...]:
    """A row with the key `number` and the sample `chosen` in each added column; None: null."""
    values = [None if chosen is None or not c.later else SAMPLES[c.kind][chosen] for c in table.values]
    return (*(number for _ in table.key), *values, 0)


def _mixed(table: Table, number: int) -> tuple[Any, ...]:
    """A row in which every other added column is null."""
    row = list(_row(table, number, 1))
    row[len(table.key) : -1 : 2] = [None] * len(row[len(table.key) : -1 : 2])
    return tuple(row)


@pytest.mark.parametrize("declared", [VIRTUAL_NUMBERS, NUMBER_SITE_BLOCKS], ids=lambda table: table.name)
def test_columns_of_later_releases_make_the_same_lines(warehouse: Engine, declared: Table) -> None:
    """Added columns are named, at the end, and omitted where null: lines read back equal those hashed while writing."""
    added = [c for c in ADDED if declared.personal or not c.personal]
    table = replace(declared, values=(*declared.values, *added))
    rows = [_row(table, 1, None), _row(table, 2, 0), _row(table, 3, 1), _mixed(table, 4)]
    json = "jsonb" if warehouse.name == "postgresql" else "text"
    columns = ", ".join(f"{c.name} {TYPES.get(c.kind, json)}" for c in table.columns)
    key = ", ".join(table.key_names)
    with warehouse.connect() as connection:
        connection.execute(text(f"create temporary table lines ({columns})"))
        for row in rows:
            values = {f"p{n}": value for n, value in enumerate(row[:-1])}
            casts = [f"cast(:p{n} as {TYPES.get(c.kind, json)})" for n, c in enumerate(table.columns)]
            connection.execute(text(f"insert into lines values ({', '.join(casts)})"), values)
        fields, source = copy_text.opened(table, warehouse.name), f"from lines v order by {key}"
        found = copy_text.stream(connection, fields, source, {}, optional=copy_text.optional(table))
        lines = b"".join(line for batch in found for line in batch)
    assert lines == Columns.of(table, rows).opened()
    assert lines.startswith(Columns.of(declared, [_row(declared, 1, None)]).opened())
