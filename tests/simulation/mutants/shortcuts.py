"""Bugs in the shortcuts: fingerprints of a listing, and the skipping of unchanged pages and records."""

from __future__ import annotations

import contextlib
from typing import Any

from sqlalchemy import text

from etl.load import account as load_account
from etl.load import incremental
from etl.store import fingerprints
from tests.simulation.mutants.planting import mutant

TESTS = "tests/integration/test_shortcuts.py"


@mutant(
    incremental.IncrementalState,
    "take",
    "a record of which an element was refused is remembered, and not read again",
    test="tests/faults/access/test_elements.py::test_each_run_tells_of_it_anew",
)
def the_partly_read_is_as_before(right: Any) -> Any:
    return lambda self, page, numbers, noted, partly_read=(): right(self, page, numbers, noted)


@mutant(incremental.IncrementalState, "nothing_missing", "a listing that was partly skipped is taken for whole")
def skipping_is_whole(right: Any) -> Any:
    return lambda self, open_numbers: bool(self._kept) or right(self, open_numbers)


@mutant(
    load_account.AccountLoad,
    "contradicted",
    "what skipped records tell of a shared row is forgotten",
    test=f"{TESTS}::test_a_rename_amid_a_listing",
)
def the_skipped_are_silent(right: Any) -> Any:
    return lambda self, unlisted: []


@mutant(
    fingerprints,
    "read",
    "what is remembered is believed, whatever state it was written with",
    test=f"{TESTS}::test_a_memory_of_another_state_is_not_believed",
)
def any_memory_will_do(right: Any) -> Any:
    def read(connection: Any, account_id: int, version: str) -> Any:
        with contextlib.suppress(Exception):
            connection.execute(
                text(
                    "update listing_states set version = :v, run_id = s.run_id, observed_at = s.observed_at from"
                    " (select run_id, observed_at from account_syncs where account_id = :a and observed_at is not null"
                    " order by observed_at desc limit 1) s where account_id = :a"
                ),
                {"a": account_id, "v": version},
            )
        return right(connection, account_id, version)

    return read
