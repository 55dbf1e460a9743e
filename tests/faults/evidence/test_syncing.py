"""E08: tampered rows read by the commands that build on them: `sync`, `plan` and `doctor`."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError

from etl.store import schema
from etl.store.engine import open_warehouse
from tests.support.running import Outcome, Run, Source

pytestmark = pytest.mark.usefixtures("clean")

RELIED_ON = (
    schema.accounts, schema.account_syncs, schema.sync_runs, schema.account_claims, schema.installations,
    schema.listing_states, schema.listing_windows, schema.source_drift, schema.first_reported,
)  # fmt: skip
"""Tables from which the next run takes its state; the others hold data that are compared and kept."""
UGLY = {
    "sqlite": ("x'ff00'", "'x\x1b[2J'", f"'{'[' * 5_000}'", "-1", "1e400", "null", "'{\"a\": [1]}'"),
    "postgresql": ("'infinity'", "'-infinity'", "null", "-1", "'x\x1b[2J'", "'{\"a\": [1]}'", "9223372036854775807"),
}
ANSWERS = {0, 3, 65, 69, 70, 75, 77, 78}
"""Expected exit codes of a run; that of a bug is not among them."""


@pytest.fixture
def synced(customer: Source, warehouse_url: str, vnsync: Run) -> str:
    """A warehouse after two syncs, the second with changes."""
    for _ in range(2):
        assert vnsync("sync", "--database-url", warehouse_url, *customer.options).code == 0
        customer.world.pass_day(share=0.2)
    return warehouse_url


@pytest.fixture
def copies(synced: str, database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes copies of the synced warehouse; each call returns a URL."""
    if database == "postgresql":
        return lambda: str(request.getfixturevalue("new_postgresql")(make_url(synced).database))
    with open_warehouse(synced).connect() as connection:
        connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
    return lambda: f"sqlite:///{shutil.copy(str(make_url(synced).database), tmp_path / 'copy.db')}"


@pytest.mark.parametrize("every", [24, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.fault("E08")
def test_tampered_state_is_no_bug_of_a_sync(
    customer: Source, copies: Callable[[], str], vnsync: Run, database: str, every: int
) -> None:
    """Values of other types in every row of each column that the next run relies on: no command reports a bug."""
    wrong, tried = [], 0
    for edit in itertools.islice(_edits(database), 0, None, every):
        url = copies()
        if not _edited(open_warehouse(url), edit):
            continue
        tried += 1
        for words in ("doctor", "plan", "sync"):
            done = vnsync(words, "--database-url", url, *customer.options, "--log-level", "error")
            if problem := _problem(done):
                wrong.append(f"{problem}: {words} after {edit[:80]!r}: {done.err[:300]}")
    assert not wrong, "\n".join(wrong)
    assert tried > 20 / every


def _edits(database: str) -> Iterator[str]:
    """On SQLite two edits of each column, on PostgreSQL, where a copy takes longer, one."""
    values, each = itertools.cycle(UGLY[database]), 2 if database == "sqlite" else 1
    for table in RELIED_ON:
        for column in table.columns:
            for value in itertools.islice(values, each):
                yield f"update {table.name} set {column.name} = {value}"


def _problem(done: Outcome) -> str:
    if done.code not in ANSWERS:
        return f"exit {done.code}"
    return "a control character" if any(c < " " and c != "\n" for c in done.out + done.err) else ""


def _edited(engine: Engine, statement: str) -> bool:
    """Whether the database accepted the edit; SQLite's CHECKs are switched off for it."""
    with engine.connect() as connection:
        if engine.name == "sqlite":
            connection.exec_driver_sql("pragma ignore_check_constraints = on")
        try:
            connection.execute(text(statement.replace(":", "\\:")))
            connection.commit()
        except DBAPIError:
            return False
    return True
