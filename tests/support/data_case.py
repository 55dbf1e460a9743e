"""Data case: one account with records that a test chooses, its stored rows, and its recovery with correct records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, inspect, text

from etl.domain.runs import AccountResult, RunResult, RunStatus
from etl.sandbox.world import CustomerPlan, World
from tests.support import oracle
from tests.support.rig import TOKEN, Rig


@dataclass
class DataCase:
    """A customer of a few numbers that was synced once."""

    engine: Engine
    size: int = 12
    timezone: str | None = None
    archive: Path | None = None
    rig: Rig = field(init=False)
    numbers: list[int] = field(init=False)
    records: dict[int, dict[str, Any]] = field(init=False)
    """The true records, by id."""

    def __post_init__(self) -> None:
        world = World(
            seed=3, customers=[CustomerPlan(numbers=self.size, timezone=self.timezone)], role="customer", id_step=7
        )
        self.rig = Rig(world, self.engine, archive=self.archive)
        self.records = {r["id"]: r for r in world.truth(self.account)}
        self.numbers = sorted(self.records)
        self.ends(0)

    @property
    def account(self) -> int:
        """The id of the only account."""
        return self.rig.only

    # -- records of the source

    def send(self, number_id: int, **fields: Any) -> bytes:
        """Serve the number's record with other values, of any JSON type; non-ASCII characters are escaped."""
        return self.send_raw(number_id, json.dumps(self.records[number_id] | fields).encode())

    def send_raw(self, number_id: int, record: bytes) -> bytes:
        """Serve these bytes as the number's record."""
        self.rig.world.put_raw(self.account, number_id, record)
        return record

    def leave_out(self, number_id: int, name: str, /, **fields: Any) -> bytes:
        """Serve the number's record without one field, and with other values in other fields."""
        record = {k: v for k, v in self.records[number_id].items() if k != name} | fields
        return self.send_raw(number_id, json.dumps(record).encode())

    # -- results

    def ends(self, exit_code: int, *, quarantined: int = 0, **options: Any) -> AccountResult:
        """Run and check the end: exit code, terminal row, the history's rules, and no token anywhere."""
        result = self.rig.sync(**options)
        account = result.accounts[0]
        assert (result.exit_code, account.quarantined) == (exit_code, quarantined), account.error
        self._is_closed(result)
        return account

    def _is_closed(self, result: RunResult) -> None:
        (row,) = self.rows("select status, exit_code, finished_at from sync_runs where run_id = :r", r=result.run_id)
        assert row.status in set(RunStatus) - {RunStatus.RUNNING}
        assert (row.exit_code, row.finished_at is not None) == (result.exit_code, True)
        assert oracle.broken_invariants(self.engine) == []
        with self.engine.connect() as connection:
            for name in inspect(connection).get_table_names():
                assert not any(TOKEN in str(row) for row in connection.execute(text(f"select * from {name}")))

    def rows(self, statement: str, **parameters: Any) -> list[Any]:
        """The rows of a query."""
        return self.rig.rows(statement, **parameters)

    def stored(self, number_id: int) -> Any:
        """The number's current row."""
        (row,) = self.rows("select * from virtual_numbers where virtual_number_id = :n", n=number_id)
        return row

    def extra(self, number_id: int) -> Any:
        """The number's unknown fields, decoded."""
        value = self.stored(number_id).extra
        return json.loads(value) if isinstance(value, str) else value

    def image(self) -> oracle.Tables:
        """The current rows of the eight tables."""
        return oracle.current(self.engine, self.account)

    def image_of(self, number_id: int) -> Mapping[str, list[Any]]:
        """The current rows of a number, with their periods."""
        own = [name for name in oracle.COLUMNS if name.startswith("virtual_number")]
        mine = {"n": number_id}
        with self.engine.connect() as connection:
            return {
                name: sorted(
                    connection.execute(text(f"select * from {name} where virtual_number_id = :n"), mine), key=str
                )
                for name in own
            }

    def versions(self, number_id: int, column: str) -> list[Any]:
        """A column's values in the number's history, oldest first."""
        found = self.rows(
            f"select {column} from virtual_numbers_history where virtual_number_id = :n order by valid_from",
            n=number_id,
        )
        return [row[0] for row in found]

    def drift(self, kind: str) -> list[tuple[str, str]]:
        """Path and value of the drift of one kind."""
        found = self.rows("select path, value from source_drift where kind = :k order by 1, 2", k=kind)
        return [tuple(row) for row in found]

    def quarantined(self) -> list[Any]:
        """The rows of the quarantine, in the order of their numbers."""
        return self.rows(
            "select * from quarantine order by virtual_number_id is null, virtual_number_id, quarantine_id"
        )

    # -- checks

    def is_true(self) -> None:
        """Check that the current tables equal the source."""
        wanted = oracle.expected(self.rig.world.truth(self.account))
        assert not oracle.differences(self.image(), wanted)

    def is_quiet(self) -> None:
        """Check that another run with the same answer writes no data row."""
        again = self.rig.sync().accounts[0]
        assert (again.rows_opened, again.rows_closed) == (0, 0)

    def honest(self) -> None:
        """Serve the true records: the run exits with 0, the tables equal the source, and another run writes nothing."""
        self.rig.world.clear_raw(self.account)
        self.ends(0, approve_close=frozenset({self.account}))
        self.is_true()
        self.is_quiet()
