from __future__ import annotations

import pytest

from etl.domain import tables as declared
from etl.load.table_diff import statements


@pytest.mark.parametrize("what", ["change", "differing", "open", "first", "gone"])
@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_statements_are_made_once(dialect: str, what: str) -> None:
    """The accounts of a process share a table's statements: their ids are parameters."""
    made = statements(dialect, declared.VIRTUAL_NUMBERS.name, what)
    again = statements(dialect, declared.VIRTUAL_NUMBERS.name, what)
    assert all(one is other for one, other in zip(made, again, strict=True))
    assert made
    assert "the_account" in str(made[0])
