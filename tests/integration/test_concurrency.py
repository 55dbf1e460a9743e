"""Concurrent accounts: bounded, under one rate limit, and with the same outcome as one after the other."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from sqlalchemy import Engine

from etl.domain.events import Notice, Waiting
from etl.domain.recorder import NoRecorder, Publication
from etl.domain.runs import AccountResult, AccountStatus, RunResult, RunStatus
from etl.errors import Stopped
from etl.extract.credentials import Login
from etl.sandbox import faults
from etl.sandbox.limits import Limits
from etl.sandbox.transport import SandboxTransport
from etl.sandbox.world import CustomerPlan, World
from etl.store import migrations, threads
from etl.store.engine import open_warehouse
from tests.support import oracle
from tests.support.rig import Rig

LISTING = "get.virtual_numbers"
WORKERS = 4
PATIENCE = 20.0
"""Seconds after which a test gives up waiting."""


def _rig(engine: Engine, *numbers: int) -> Rig:
    return Rig(World(seed=4, customers=[CustomerPlan(numbers=n) for n in numbers], id_step=5), engine)


def _wrong(rig: Rig) -> dict[int, object]:
    found = {
        c: oracle.differences(oracle.current(rig.engine, c), oracle.expected(rig.world.truth(c)))
        for c in rig.world.customer_ids
    }
    return {c: difference for c, difference in found.items() if difference}


def _plain(result: AccountResult) -> AccountResult:
    """The result without its times."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return replace(result, run_id=1, started_at=start, observed_at=None, chain_digest=None)


class _Meeting(SandboxTransport):
    """Counts concurrent requests; the first listings wait until `workers` of them have arrived."""

    def __init__(self, rig: Rig, workers: int) -> None:
        super().__init__(rig.api)
        self.most = self._now = 0
        self._lock, self._all = threading.Lock(), threading.Barrier(workers)
        self._met = threading.Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            if LISTING.encode() in request.read() and not self._met.is_set():
                self._all.wait(PATIENCE)
                self._met.set()
            return super().handle_request(request)
        finally:
            with self._lock:
                self._now -= 1


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Callable[[httpx.BaseTransport], None]:
    """Sends the rig's requests through another transport."""
    return lambda transport: monkeypatch.setattr("tests.support.rig.SandboxTransport", lambda _api: transport)


def test_so_many_accounts_are_listed_at_once_and_not_one_more(
    warehouse: Engine, through: Callable[[httpx.BaseTransport], None]
) -> None:
    """Four listings run at the same moment, and never a fifth; every account is exact."""
    rig = _rig(warehouse, *[5] * 9)
    meeting = _Meeting(rig, WORKERS)
    through(meeting)
    result = rig.sync(concurrency=WORKERS)
    assert (result.exit_code, meeting.most) == (0, WORKERS)
    assert _wrong(rig) == {}


class _Ahead(NoRecorder):
    """Delays publication until `wanted` accounts have been listed."""

    def __init__(self, wanted: int) -> None:
        self.listed = 0
        self._wanted, self._changed = wanted, threading.Condition()

    def plans(self, account_id: int, bounds: Sequence[int]) -> None:
        with self._changed:
            self.listed += 1
            self._changed.notify_all()

    def publishes(self, publication: Publication) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.listed >= self._wanted, PATIENCE), "nobody went ahead"


def test_the_next_accounts_are_listed_while_small_ones_are_written(
    warehouse: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many accounts again are listed ahead: none of the first is published before eight have been listed."""
    rig, ahead = _rig(warehouse, *[5] * 9), _Ahead(2 * WORKERS)
    monkeypatch.setattr("tests.support.rig.NO_RECORDER", ahead)
    assert rig.sync(concurrency=WORKERS).exit_code == 0
    assert ahead.listed == 9
    assert _wrong(rig) == {}


def test_the_outcome_is_that_of_one_after_the_other(
    warehouse: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Day after day: the same rows, the same counts of requests and retries, the accounts in the roster's order."""
    file = open_warehouse(f"sqlite:///{tmp_path_factory.mktemp('alone') / 'alone.db'}")
    migrations.upgrade(file)
    sizes = (60, 1, 0, 30, 200, 10, 90)
    beside, alone = _rig(warehouse, *sizes), _rig(file, *sizes)
    for _ in range(3):
        for rig in (beside, alone):
            rig.api.faults.add(faults.http(502), times=1)
        many, one = beside.sync(concurrency=WORKERS), alone.sync()
        assert [a.account_id for a in many.accounts] == beside.world.customer_ids
        assert [_unretried(a) for a in many.accounts] == [_unretried(a) for a in one.accounts]
        assert sum(a.requests for a in many.accounts) == sum(a.requests for a in one.accounts)
        assert _wrong(beside) == {}
        for rig in (beside, alone):
            rig.world.pass_day(share=0.1)
    assert oracle.broken_invariants(warehouse) == []
    assert beside.rows("select count(*) from account_claims") == [(0,)]


def _unretried(result: AccountResult) -> AccountResult:
    """The result without its times, and without the retries of the one fault."""
    return replace(_plain(result), requests=result.requests - result.retries, retries=0)


def test_every_account_counts_its_own_requests(warehouse: Engine) -> None:
    """The requests in `account_syncs` are those that the source received for that account."""
    rig = _rig(warehouse, *[20] * 8)
    asked: Counter[int] = Counter()
    users = {user: c for c in rig.world.customer_ids for user in rig.world.user_ids(c)}

    def count(request: dict[str, Any]) -> None:
        if (user := request["params"].get("user_id")) is not None:
            asked[users[user]] += 1

    rig.api.before_request.append(count)
    rig.api.faults.add(faults.http(502), times=5, method=LISTING)
    result = rig.sync(concurrency=WORKERS)
    assert {a.account_id: a.requests for a in result.accounts} == dict(asked)
    assert sum(a.retries for a in result.accounts) == 5


def test_two_writers_of_a_sqlite_file_never_meet(sqlite_template: Path, tmp_path: Path) -> None:
    """Accounts are published one at a time: even with a busy timeout of 0 no writer is refused."""
    path = tmp_path / "warehouse.db"
    path.write_bytes(sqlite_template.read_bytes())
    rig = _rig(open_warehouse(f"sqlite:///{path}?timeout=0"), *[40] * 12)
    with closing(sqlite3.connect(path)) as held:  # else SQLite locks the file as its last connection closes
        held.execute("select count(*) from sync_runs").fetchall()
        for _ in range(3):
            assert rig.sync(concurrency=8).exit_code == 0
            rig.world.pass_day(share=0.3)


def test_a_database_in_memory_takes_no_threads(warehouse: Engine) -> None:
    """A database in memory is one connection; files and servers allow one for each thread."""
    assert not threads.takes_threads(open_warehouse("sqlite://"))
    assert threads.takes_threads(warehouse)


# -- points and sessions, shared by all workers


def _limited(rig: Rig, minute: int | None, day: int | None) -> list[str]:
    """Limit the source. The returned list collects its refusals for lack of points."""
    rig.api.limits = Limits(lambda: rig.clock.time.timestamp(), minute, day)
    refused: list[str] = []
    check = rig.api.limits.check

    def checked() -> None:
        try:
            check()
        except Exception as exc:
            refused.append(str(exc))
            raise

    object.__setattr__(rig.api, "limits", _Checked(rig.api.limits, checked))
    return refused


class _Checked:
    """The source's limits with another check."""

    def __init__(self, limits: Limits, check: Callable[[], None]) -> None:
        self.spend, self.metadata, self.check = limits.spend, limits.metadata, check


@pytest.mark.parametrize("minute", [3, 4, 7, 20])
def test_the_minutes_points_are_never_overrun(warehouse: Engine, minute: int) -> None:
    """With few points for four workers, no request is sent without a point; waits are reported."""
    rig = _rig(warehouse, *[5] * 10)
    refused = _limited(rig, minute, None)
    result = rig.sync(concurrency=WORKERS)
    assert (result.exit_code, refused) == (0, [])
    assert any(isinstance(e, Waiting) for e in rig.events)


@pytest.mark.parametrize("day", [3, 4, 6, 10])
@pytest.mark.fault("P09")
def test_the_days_last_points_go_to_whole_accounts(warehouse: Engine, day: int) -> None:
    """P09: as many accounts are published as one after the other, and none begun in vain; zones are not requested."""
    rig = _rig(warehouse, *[5] * 9)
    refused = _limited(rig, None, day)
    result = rig.sync(concurrency=WORKERS)
    published = [a for a in result.accounts if a.status is AccountStatus.SUCCEEDED]
    assert (result.status, result.exit_code, refused) == (RunStatus.PARTIAL, 75, [])
    assert len(published) == day - 2
    assert {a.timezone for a in published} == {None}
    assert {a.exit_code for a in result.accounts if a not in published} == {75}
    assert len(result.accounts) == 9


def test_an_expired_session_is_renewed_once_for_everybody(
    warehouse: Engine, through: Callable[[httpx.BaseTransport], None]
) -> None:
    """Four requests are under way with an expired key: one worker logs in, and all continue with the new key."""
    rig = _rig(warehouse, *[5] * 12)
    through(_Meeting(rig, WORKERS))

    def expire(request: dict[str, Any]) -> None:
        if request["method"] == LISTING and rig.api.count(LISTING) == 0:
            rig.clock.time += timedelta(hours=2)

    rig.api.before_request.append(expire)
    result = rig.sync(concurrency=WORKERS, credentials=Login("sandbox", "sandbox-password"))
    assert (result.exit_code, rig.api.count("login.user"), rig.api.count(LISTING)) == (0, 2, 12 + WORKERS)
    assert _wrong(rig) == {}


# -- ends of a run


def test_a_source_that_answers_nobody_is_given_up(warehouse: Engine) -> None:
    """Three accounts in a row find the source unreachable: running ones end, the others are recorded as not tried."""
    rig = _rig(warehouse, *[5] * 20)
    rig.api.faults.add(faults.http(502), times=None, method=LISTING)
    result = rig.sync(concurrency=WORKERS, retry_max_seconds=1.0)
    assert (result.status, result.exit_code) == (RunStatus.FAILED, 69)
    assert [a.account_id for a in result.accounts] == rig.world.customer_ids
    untried = [a for a in result.accounts if str(a.error).startswith("not tried")]
    assert 20 - 3 - WORKERS < len(untried) <= 20 - 3


def test_one_that_fails_and_one_that_is_held_leave_the_others_published(warehouse: Engine) -> None:
    """Each account ends by itself, and the run with 3; only the emptied one differs from the source."""
    rig = _rig(warehouse, *[60] * 8)
    rig.sync(concurrency=WORKERS)
    emptied, blocked = rig.world.customer_ids[2], rig.world.customer_ids[5]
    for number in list(rig.world.numbers(emptied))[:50]:
        rig.world.remove(emptied, number)
    rig.world.block(blocked, "forbidden")
    result = rig.sync(concurrency=WORKERS)
    ends = {a.account_id: a.status for a in result.accounts if a.status is not AccountStatus.SUCCEEDED}
    assert ends == {emptied: AccountStatus.HELD, blocked: AccountStatus.FAILED}
    assert result.exit_code == 3
    assert set(_wrong(rig)) == {emptied}


def test_what_is_noticed_and_waited_for_names_its_account(warehouse: Engine) -> None:
    """Concurrent accounts mix their log lines; each event names its account."""
    rig = _rig(warehouse, *[5] * 6)
    rig.api.faults.add(faults.http(502), times=3, method=LISTING)
    rig.sync(concurrency=WORKERS)
    said = [e.account_id for e in rig.events if isinstance(e, Notice | Waiting)]
    assert len(said) == 3
    assert set(said) <= set(rig.world.customer_ids)


class _Bug(RuntimeError):
    """An unexpected error."""


@pytest.mark.parametrize("ending", [_Bug("unexpected"), Stopped(15, "SIGTERM")])
def test_what_ends_one_lane_ends_all_and_nothing_is_half_published(warehouse: Engine, ending: Exception) -> None:
    """Workers that wait for the source, or for the next minute, stop; each account is published whole or not at all."""
    rig = _rig(warehouse, *[5] * 12)

    def strike(request: dict[str, Any]) -> None:
        if request["method"] == LISTING and rig.api.count(LISTING) == 6:
            raise ending

    rig.api.before_request.append(strike)
    with pytest.raises(type(ending)):
        rig.sync(concurrency=WORKERS)
    assert rig.rows("select status from sync_runs") == [("interrupted",)]
    assert rig.rows("select count(*) from account_claims") == [(0,)]
    published = {r.account_id for r in rig.rows("select account_id from account_syncs where status = 'succeeded'")}
    assert set(_wrong(rig)) == set(rig.world.customer_ids) - published
    assert not any(t.name.startswith("worker ") for t in threading.enumerate())
    rig.api.before_request.clear()
    assert _finished(rig.sync(concurrency=WORKERS))
    assert _wrong(rig) == {}


def _finished(result: RunResult) -> bool:
    return (result.status, result.exit_code) == (RunStatus.SUCCEEDED, 0)
