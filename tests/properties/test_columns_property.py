"""Rows as columns of canonical text: the same as field by field, whatever stands in them."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from etl.domain import tables
from etl.domain.canonical import field, json_text
from etl.domain.chain import Change, Lines
from etl.domain.columns import Columns
from etl.domain.tables import Column, Kind, Table

_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["\\N", "\\", "\t", "\n", "\r\n", "\v\f\b", ""]
)
_json = st.dictionaries(_texts, st.integers() | _texts | st.none(), max_size=2).map(json.dumps)
_VALUES = {
    Kind.INTEGER: st.integers(-(2**63), 2**63 - 1),
    Kind.TEXT: _texts,
    Kind.BOOLEAN: st.booleans(),
    Kind.JSON: _json,
}


def _rows(table: Table) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    key = st.tuples(*(st.integers(-50, 50) for _ in table.key))
    values = st.tuples(*(st.none() | _VALUES[c.kind] for c in table.values), st.integers(0, 7))
    whole = st.tuples(key, values).map(lambda parts: (*parts[0], *parts[1]))
    return st.lists(whole, min_size=1, max_size=8, unique_by=lambda row: row[: len(table.key)])


def _added(table: Table, number: int, kind: Kind, personal: bool) -> Column:
    return Column(name=f"added_{number}", kind=kind, personal=personal and bool(table.personal), later=True)


_kinds = st.lists(st.tuples(st.sampled_from(Kind), st.booleans()), max_size=3)
_tables = st.builds(
    lambda table, kinds: replace(table, values=(*table.values, *(_added(table, n, *k) for n, k in enumerate(kinds)))),
    st.sampled_from(tables.TABLES),
    _kinds,
)
"""The declared tables, with columns of later releases."""
_cases = _tables.flatmap(lambda table: st.tuples(st.just(table), _rows(table)))


def _field(column: Column, value: Any) -> str:
    return field(json_text(value) if column.kind is Kind.JSON else value)


def _line(columns: list[Column], row: dict[str, Any]) -> str:
    return "\t".join(_field(c, row[c.name]) for c in columns)


def _fields(columns: Iterable[Column], row: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The fields of the first release, and those of later ones, which are named and only there with a value."""
    first, later = [], []
    for column in columns:
        text = _field(column, row[column.name])
        if not column.later:
            first.append(text)
        elif row[column.name] is not None:
            later.append(f"{column.name}={text}")
    return first, later


def _opened(table: Table, row: dict[str, Any]) -> str:
    first, later = _fields((c for c in table.columns if not c.personal), row)
    digests = []
    if any(c.personal for c in table.columns):
        kept = "\t".join(itertools.chain(*_fields((c for c in table.columns if c.personal), row)))
        digests = [sha256(kept.encode()).hexdigest()]
    return "\t".join([*first, *digests, *later])


@given(_cases)
def test_columns_say_what_fields_say(case: tuple[Table, list[tuple[Any, ...]]]) -> None:
    """In the order of the keys, each row's line is that of its fields one by one, for COPY and for the chain."""
    table, rows = case
    columns = Columns.of(table, rows)
    names = [c.name for c in table.columns]
    ordered = [dict(zip(names, row, strict=False)) for row in sorted(rows, key=lambda row: row[: len(table.key)])]
    assert list(columns.copied()) == [_line(list(table.columns), row) for row in ordered]
    assert columns.opened().decode().split("\n") == [*(_opened(table, row) for row in ordered), ""]
    assert list(columns.rows(names)) == [tuple(row.values()) for row in ordered]
    assert (columns.first, columns.last) == tuple(
        tuple(row[k] for k in table.key_names) for row in (ordered[0], ordered[-1])
    )


@given(_cases, st.randoms(use_true_random=False))
def test_parts_of_rows_joined_are_the_columns_of_all(
    case: tuple[Table, list[tuple[Any, ...]]], dice: random.Random
) -> None:
    """Whether each part's keys are above the last one's or not, and whatever columns are null in a part."""
    table, rows = case
    for ordered in (sorted(rows), dice.sample(rows, len(rows))):
        at = dice.randint(0, len(rows))
        parts = [Columns.of(table, part) for part in (ordered[:at], ordered[at:]) if part]
        assert Columns.joined(parts).transported == Columns.of(table, rows).transported


@given(_cases)
def test_columns_survive_a_file(case: tuple[Table, list[tuple[Any, ...]]]) -> None:
    """Rows sent by another process, without columns that are null throughout, give the same lines."""
    table, rows = case
    columns = Columns.of(table, rows)
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode({name: columns.values(name) for name in columns.used}))
    assert Columns(table, sent).opened() == columns.opened()
    assert len(Columns(table, sent)) == len(rows)


@given(_cases)
def test_lines_as_one_text_give_the_section_of_lines_one_by_one(case: tuple[Table, list[tuple[Any, ...]]]) -> None:
    """Digest and locator do not depend on how lines are taken."""
    table, rows = case
    columns = Columns.of(table, rows)
    one, other = Lines(), Lines()
    one.extend_by(columns.opened(), columns.values(table.key_names[0]))
    for line in columns.opened().splitlines(keepends=True):
        other.add(line)
    assert one.section(table.name, Change.OPENED) == other.section(table.name, Change.OPENED)


@given(_cases)
def test_columns_without_values_leave_earlier_lines_as_they_were(case: tuple[Table, list[tuple[Any, ...]]]) -> None:
    """A release that adds columns writes the lines of the release before, as long as the columns are null."""
    table, rows = case
    first = [c.name for c in table.columns if not c.later]
    before = replace(table, values=tuple(c for c in table.values if not c.later))
    whole = Columns.of(table, rows)
    values = {name: whole.values(name) for name in first}
    assert Columns(table, values).opened() == Columns(before, values).opened()
