"""Staging: every row of a batch arrives, as it was, whatever the batch's size."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, select

from etl.load import staging
from etl.load.bulk import TOGETHER


@pytest.mark.parametrize("count", [0, 1, TOGETHER - 1, TOGETHER, TOGETHER + 1, 2 * TOGETHER + 7])
def test_a_batch_of_any_size_arrives_whole(warehouse: Engine, count: int) -> None:
    """Rows that fill statements to the last place, and those that are left over."""
    rows = [
        (n, n % 3, -n, [None, True, False][n % 3], None if n % 2 else f'{{"{n}": "a\\tb"}}', n % 2)
        for n in range(count)
    ]
    with warehouse.connect() as connection:
        stage = staging.create(connection)
        staging.put(connection, {"virtual_number_scenarios": rows})
        table = stage.tables["virtual_number_scenarios"]
        assert [tuple(row) for row in connection.execute(select(table).order_by(table.c.virtual_number_id))] == rows
