"""Bugs in writing versions."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from sqlalchemy import delete, false, true

from etl.load import diff, first, publish, table_diff
from etl.sync import account
from tests.simulation.mutants.planting import mutant


@mutant(diff.PublicationStamp, "parameters", "the clock is read anew for each statement")
def clock_read_twice(right: Any) -> Any:
    def parameters(self: diff.PublicationStamp) -> dict[str, Any]:
        told = dict(right.fget(self))
        _ticks.append(1)
        return told | {"the_moment": told["the_moment"] + len(_ticks) * publish.TICK}

    return property(parameters)


_ticks: list[int] = []


@mutant(publish.PublishTransaction, "_moment", "the wall clock is believed when it goes back", under=("clock_back",))
def clock_goes_back(right: Any) -> Any:
    return lambda self, now: now


@mutant(account.AccountSync, "_written", "what was learnt later carries the moment when the sync began")
def moment_of_the_start(right: Any) -> Any:
    return lambda self, listed: right(self, replace(listed, now=self._started))


@mutant(diff._Executor, "_run", "each statement commits by itself")
def no_transaction(right: Any) -> Any:
    def run(self: Any, statement: Any) -> int:
        count: int = right(self, statement)
        self._connection.commit()
        return count

    return run


@mutant(diff._Executor, "end", "versions that end are deleted")
def history_is_forgotten(right: Any) -> Any:
    def end(self: Any, table: Any, condition: str) -> None:
        lost = getattr(self.diff(table), condition)()
        self.closed[table.name] += self._run(delete(self.diff(table).current).where(lost))

    return end


@mutant(
    first._SealLines,
    "take",
    "a first load is sealed in the order in which its rows came",
    test="tests/integration/test_first_load.py::test_the_seal_of_rows_on_their_way_is_that_of_rows_read_back",
)
def sealed_as_it_came(right: Any) -> Any:
    def take(self: Any, columns: Any) -> None:
        right(self, columns)
        self.in_order = True

    return take


@mutant(table_diff.TableDiff, "changed", "a version that changed is not ended")
def changes_are_lost(right: Any) -> Any:
    return lambda self: false()


@mutant(table_diff.TableDiff, "unreferenced", "what nothing refers to any more stays open")
def shared_rows_stay(right: Any) -> Any:
    return lambda self: false()


@mutant(table_diff.TableDiff, "differs", "every reading makes a new version")
def every_reading_is_new(right: Any) -> Any:
    return lambda self: true()
