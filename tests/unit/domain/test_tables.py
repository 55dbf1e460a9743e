"""The declaration of the tables: properties on which other modules rely."""

from __future__ import annotations

from etl.domain.tables import TABLES, VIRTUAL_NUMBERS


def test_only_numbers_have_personal_columns() -> None:
    """Erasures empty numbers alone, and a digest in another table would change its lines of earlier releases."""
    assert [table.name for table in TABLES if table.personal] == [VIRTUAL_NUMBERS.name]


def test_columns_of_later_releases_are_the_last_and_never_part_of_a_key() -> None:
    """Rows of earlier releases are the beginning of later ones, and a key is never null."""
    for table in TABLES:
        assert not [c for c in table.key if c.later]
        assert sorted(table.values, key=lambda c: c.later) == list(table.values)
