"""Numbers that moved from one account to another are found by an index, for any count of numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects import sqlite

from etl.domain.tables import VIRTUAL_NUMBERS
from etl.read.moves import Edge, elsewhere
from etl.store import schema
from etl.store.engine import open_warehouse


@pytest.mark.parametrize("opened", [True, False])
def test_the_other_account_is_found_by_index(opened: bool, sqlite_template: Path) -> None:
    """SQLite searches current and closed numbers by id; neither table is scanned for each version."""
    edge = Edge.of(schema.closed[VIRTUAL_NUMBERS.name], opened=opened)
    statement = select(elsewhere(edge)).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    with open_warehouse(f"sqlite:///{sqlite_template}").connect() as connection:
        steps = [row.detail for row in connection.execute(text(f"explain query plan {statement}"))]
    searched = {tuple(step.split()[:5]) for step in steps if "_elsewhere" in step}
    assert searched == {
        ("SEARCH", "open_elsewhere", "USING", "INDEX", "ix_virtual_numbers_virtual_number_id"),
        ("SEARCH", "ended_elsewhere", "USING", "INDEX", "ix_virtual_numbers_closed_virtual_number_id"),
    }
