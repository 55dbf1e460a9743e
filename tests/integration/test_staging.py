"""Staging: every row of a batch arrives unchanged, for any size of the batch."""

from __future__ import annotations

import threading
from functools import cache

import pytest
from sqlalchemy import BigInteger, Engine, select

from etl.domain.tables import Kind
from etl.load import staging
from etl.load.bulk import BATCH
from etl.load.staging import Stage
from etl.store.types import TYPES


@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 7])
def test_a_batch_of_any_size_arrives_whole(warehouse: Engine, count: int) -> None:
    """Any count of rows arrives completely, also one that fills its last statement only in part."""
    rows = [
        (n, n % 3, -n, [None, True, False][n % 3], None if n % 2 else f'{{"{n}": "a\\tb"}}', n % 2)
        for n in range(count)
    ]
    with warehouse.connect() as connection:
        stage = staging.create(connection)
        staging.put(connection, {"virtual_number_scenarios": rows})
        table = stage.tables["virtual_number_scenarios"]
        assert [tuple(row) for row in connection.execute(select(table).order_by(table.c.virtual_number_id))] == rows


def test_tables_of_another_shape_have_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pooler may reuse a session in which another version made its tables: this version uses other names."""
    mine = staging.stage_for("postgresql")
    monkeypatch.setattr(staging, "TYPES", TYPES | {Kind.BOOLEAN: BigInteger()})
    other = staging._stage_for.__wrapped__("postgresql")
    names = {table.name for table in (*mine.tables.values(), mine.gone)}
    assert len(names) == 9
    assert not names & {table.name for table in (*other.tables.values(), other.gone)}


def test_all_threads_see_the_same_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Concurrent accounts begin staging at once: they share one set of tables, as two sets would clash."""
    making, seen, made = staging._stage_for.__wrapped__, list[Stage](), list[Stage]()
    began, second = threading.Barrier(8), threading.Event()

    def make_slowly(dialect: str) -> Stage:
        mine = making(dialect)
        made.append(mine)
        if len(made) > 1:
            second.set()
        second.wait(0.2)  # until another thread could have made its own tables
        return mine

    monkeypatch.setattr(staging, "_stage_for", cache(make_slowly))

    def look() -> None:
        began.wait()
        seen.extend(staging.stage_for("sqlite") for _ in range(3))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(stage) for stage in seen}) == 1
