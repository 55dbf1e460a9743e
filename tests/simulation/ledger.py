"""Ledger: a warehouse that is written step by step without the program's code, as input of the verifier."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from pathlib import Path

from tests.simulation import verifier
from tests.simulation.dump import Dump, Reader

FIRST, SECOND = "2026-01-01 00:00:01.000000", "2026-01-02 00:00:01.000000"

STARTED = """
insert into sync_runs (run_id, started_at, status, source_url, version) values ({run}, '{at}', 'running', 'u', 'v');
insert into account_claims values (5, {run});
"""
PUBLISHED = """
delete from account_claims where run_id = {run};
insert into account_syncs (run_id, account_id, status, started_at, observed_at, strategy, requests, retries,
  listed_numbers, unaccounted, suspects, duplicates, conflicts, quarantined, rows_opened, rows_closed)
  values ({run}, 5, 'succeeded', '{at}', '{at}', 'id_windows', 3, 0, 1, 0, 0, 0, 0, 0, {opened}, {closed});
"""
ENDED = "update sync_runs set status = 'succeeded', exit_code = 0, finished_at = '{at}' where run_id = {run};"
NUMBER = """
insert into virtual_numbers (account_id, virtual_number_id, virtual_phone_number, status, valid_from, opened_run_id)
  values (5, {number}, '+7', 'active', '{at}', {run});
"""
CLOSE = """
insert into virtual_numbers_closed (account_id, virtual_number_id, virtual_phone_number, status, valid_from,
  opened_run_id, valid_to, closed_run_id) select account_id, virtual_number_id, virtual_phone_number, status,
  valid_from, opened_run_id, '{at}', {run} from virtual_numbers where virtual_number_id = {number};
delete from virtual_numbers where virtual_number_id = {number};
"""
ACCOUNT = "insert into accounts (account_id, first_run_id, last_run_id) values (5, 1, 1);"
SEEN_AGAIN = "update accounts set last_run_id = {run} where account_id = 5;"

FIRST_SYNC = (PUBLISHED.format(run=1, at=FIRST, opened=2, closed=0) + ACCOUNT) + "".join(
    NUMBER.format(number=n, run=1, at=FIRST) for n in (10, 11)
)
SECOND_SYNC = (
    PUBLISHED.format(run=2, at=SECOND, opened=1, closed=1)
    + SEEN_AGAIN.format(run=2)
    + CLOSE.format(number=10, run=2, at=SECOND)
    + NUMBER.format(number=12, run=2, at=SECOND)
)


class Ledger:
    """The file, and the dump after the last step."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self.reader = Reader(str(path))
        self.dump = self.reader.dump()

    def step(self, script: str, *, live: Collection[int] = ()) -> list[str]:
        """Execute one transaction. Returns the verifier's findings."""
        self._connection.executescript(f"begin; {script} commit;")
        before, self.dump = self.dump, self.reader.dump()
        return list(verifier.between(before, self.dump, live))

    def whole(self, accepted: dict[tuple[int, str], Dump]) -> list[str]:
        """The verifier's findings in the whole history, given the dumps after accepted syncs."""
        snapshots = {key: dump.current for key, dump in accepted.items()}
        return list(verifier.whole(self.reader, self.dump, snapshots))

    def close(self) -> None:
        self._connection.close()
        self.reader.close()
