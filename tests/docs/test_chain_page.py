"""docs/chain.md: the columns listed as not sealed are those whose tampering is not found."""

from __future__ import annotations

import re

from etl.store import schema
from tests.stress import unsealed
from tests.support.checkout import ROOT

PAGE = ROOT / "docs" / "chain.md"
_ROW = re.compile(r"^\| `(\w+)` \| (.*) \|$", re.MULTILINE)


def _listed(head: str) -> list[tuple[str, str]]:
    """The rows of the page's table under a head."""
    _, _, table = PAGE.read_text().partition(f"| table | {head} |")
    return _ROW.findall(table.partition("\n\n")[0])


def test_unsealed_columns_are_listed_one_by_one() -> None:
    """Table by table, the very columns that a tampering may change without being found."""
    told = {
        table: frozenset(re.findall(r"`(\w+)`", columns)) for table, columns in _listed("columns that are not sealed")
    }
    assert told == unsealed.COLUMNS


def test_unsealed_rows_are_listed() -> None:
    """The same for rows that may be added, edited and taken away."""
    assert dict(_listed("rows that are not sealed")) == unsealed.ROWS


def test_what_is_listed_is_there() -> None:
    """Every table of the lists is one of the warehouse's, and every column one of the table's."""
    assert unsealed.COLUMNS.keys() | unsealed.ROWS.keys() <= schema.metadata.tables.keys()
    for table, columns in unsealed.COLUMNS.items():
        assert columns <= set(schema.metadata.tables[table].c.keys())
