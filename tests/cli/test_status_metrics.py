"""`vnsync status --output prometheus`: figures for a monitor, read back by Prometheus' own parsers."""

from __future__ import annotations

import contextlib
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from prometheus_client.parser import text_string_to_metric_families

from etl.clock import SystemClock
from etl.domain.runs import AccountStatus
from etl.errors import Stopped
from etl.extract.ledger import DayPoints
from etl.read.monitoring import Monitoring
from etl.read.status import AccountState, Status
from etl.report.metrics import MOST, gauges
from etl.report.prometheus import Gauge, exposition
from etl.sandbox.limits import Limits
from etl.store import runs
from etl.store.engine import open_warehouse
from tests.support.metrics import Figures, figure, parsed
from tests.support.running import Outcome, Run, Source, command, environment
from tests.support.tools import required

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def metrics(vnsync: Run, *options: object) -> Figures:
    done: Outcome = vnsync("status", "--output", "prometheus", *options)
    assert (done.code, done.err) == (0, "")
    return parsed(done.out)


@contextlib.contextmanager
def claimed(url: str, source: Source, account_id: int) -> Iterator[None]:
    """A run in progress that has claimed the account; it is stopped at the end."""
    engine, clock = open_warehouse(url), SystemClock()
    run = runs.running(engine, clock=clock, random=random.Random(1), source_url=source.url, version="0")
    with contextlib.suppress(Stopped), run as run_id:
        runs.claim(engine, run_id, [account_id], clock.now())
        yield
        raise Stopped(2, "SIGINT")


def test_sums_and_series_by_account(warehouse_url: str, agency: Source, vnsync: Run) -> None:
    """Observations, numbers and the run, as sums and by account; names are in a series of their own."""
    where = ("--database-url", warehouse_url)
    first, second = agency.world.customer_ids
    before = SystemClock().now().timestamp()
    assert vnsync("sync", *where, *agency.options).code == 0
    found = metrics(vnsync, *where)
    assert figure(found, "accounts", status="succeeded") == 2
    assert [figure(found, "accounts", status=s) for s in ("held", "failed", "unreachable")] == [0, 0, 0]
    assert (figure(found, "numbers"), figure(found, "account_numbers", account_id=second)) == (35, 5)
    assert figure(found, "account_info", account_id=first, account_name="Acme") == 1
    assert figure(found, "account_info", account_id=second, account_name='Zoë\\x1b[2J"\\x0a7') == 1
    assert figure(found, "account_status", account_id=first, status="succeeded") == 1
    observed = [figure(found, "account_last_observation_timestamp_seconds", account_id=a) or 0 for a in (first, second)]
    assert figure(found, "oldest_observation_timestamp_seconds") == min(observed) >= before
    assert figure(found, "newest_observation_timestamp_seconds") == max(observed)
    ended = figure(found, "last_run_end_timestamp_seconds")
    assert figure(found, "last_success_timestamp_seconds") == ended
    assert ended is not None
    assert max(observed) <= ended <= (figure(found, "status_timestamp_seconds") or 0)
    assert (figure(found, "last_run_exit_code"), figure(found, "runs_running")) == (0, 0)
    assert (figure(found, "accounts_left_out"), figure(found, "accounts_never_observed")) == (0, 0)


def test_what_needs_attention(warehouse_url: str, agency: Source, vnsync: Run) -> None:
    """A held, a failed and a quarantined account are counted; the last success stays that of the run before."""
    where = ("--database-url", warehouse_url)
    first, second = agency.world.customer_ids
    assert vnsync("sync", *where, *agency.options).code == 0
    success = figure(metrics(vnsync, *where), "last_success_timestamp_seconds")
    for number in agency.world.numbers(first)[:25]:
        agency.world.remove(first, number)
    agency.world.block(second, "forbidden")
    assert vnsync("sync", *where, *agency.options).code == 77
    found = metrics(vnsync, *where)
    assert [figure(found, "accounts", status=s) for s in ("succeeded", "held", "failed")] == [0, 1, 1]
    assert figure(found, "account_status", account_id=first, status="held") == 1
    assert figure(found, "account_status", account_id=first, status="succeeded") is None
    assert figure(found, "last_run_exit_code") == 77
    assert figure(found, "last_success_timestamp_seconds") == success
    agency.world.unblock(second)
    agency.world.put_raw(second, agency.world.numbers(second)[0], b'{"id": "no number"}')
    assert vnsync("sync", *where, *agency.options).code == 3
    found = metrics(vnsync, *where)
    assert figure(found, "quarantined_records") == figure(found, "account_quarantined_records", account_id=second) == 1


def test_points_left_of_the_day(warehouse_url: str, agency: Source, vnsync: Run) -> None:
    """Shared points of a token: left, limit and reset; no series once the reset has passed.

    The token's label tells nothing of the token.
    """
    where = ("--database-url", warehouse_url)
    agency.api.limits = Limits(lambda: 0.0, None, 1000)
    assert vnsync("sync", "--share-points", "yes", *where, *agency.options).code == 0
    found = metrics(vnsync, *where)
    ((name, labels),) = [key for key in found if key[0] == "vnsync_points_left"]
    token = dict(labels)["token"]
    assert re.fullmatch("key:[0-9a-f]{8}", token)
    assert 0 < found[name, labels] == 1000 - len(agency.api.requests)
    assert figure(found, "points_limit", token=token) == 1000
    reset = figure(found, "points_reset_timestamp_seconds", token=token)
    assert reset is not None
    assert 0 < reset - SystemClock().now().timestamp() <= 86_400
    with time_machine.travel(datetime.fromtimestamp(reset + 60, UTC), tick=True):
        assert not [name for name, _ in metrics(vnsync, *where) if name.startswith("vnsync_points")]


def test_claimed_accounts(warehouse_url: str, agency: Source, vnsync: Run) -> None:
    """While a run works on them they are claimed, and no longer when it has ended."""
    where = ("--database-url", warehouse_url)
    assert vnsync("sync", *where, *agency.options).code == 0
    with claimed(warehouse_url, agency, agency.world.customer_ids[0]):
        found = metrics(vnsync, *where)
    assert (figure(found, "runs_running"), figure(found, "accounts_claimed")) == (1, 1)
    assert [figure(found, "account_claimed", account_id=a) for a in agency.world.customer_ids] == [1, 0]
    assert figure(metrics(vnsync, *where), "accounts_claimed") == 0


def test_promtool_finds_nothing_to_object(agency: Source, vnsync: Run) -> None:
    """Prometheus' own check of the format, and of the names by its conventions."""
    promtool = required("promtool", "prometheus")
    agency.api.limits = Limits(lambda: 0.0, None, 1000)
    assert vnsync("sync", "--share-points", "yes", *agency.options).code == 0
    text = vnsync("status", "--output", "prometheus").out
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_nothing_was_ever_synced(new_postgresql: Callable[[], str], vnsync: Run) -> None:
    """Sums of nothing, and no observation: an alert on its absence fires."""
    found = metrics(vnsync, "--database-url", new_postgresql())
    assert figure(found, "accounts", status="succeeded") == 0
    assert figure(found, "oldest_observation_timestamp_seconds") is None


def test_without_a_warehouse_nothing_is_printed(vnsync: Run) -> None:
    """Exit 78 and no output, so that `&&` leaves the last figures in place."""
    done = vnsync("status", "--output", "prometheus")
    assert (done.code, done.out) == (78, "")


def test_an_earlier_moment_is_refused(vnsync: Run) -> None:
    """A monitor asks for the present."""
    done = vnsync("status", "--output", "prometheus", "--as-of", "2026-01-01")
    assert (done.code, done.out) == (2, "")
    assert "--as-of" in done.err


def test_exit_codes_are_those_of_status(agency: Source, vnsync: Run) -> None:
    """With --max-age the figures are whole and the code is 75."""
    assert vnsync("sync", *agency.options).code == 0
    with time_machine.travel(SystemClock().now() + timedelta(hours=30), tick=True):
        done = vnsync("status", "--output", "prometheus", "--max-age", "26h")
        short = vnsync("status", "--output", "prometheus", "--max-age", "26h", "--brief")
    assert (done.code, figure(parsed(done.out), "numbers")) == (75, 35)
    assert figure(parsed(short.out), "account_numbers", account_id=agency.world.customer_ids[0]) == 30


def test_brief_leaves_out_accounts_that_are_well(agency: Source, vnsync: Run) -> None:
    """Sums over all, series of those that need attention."""
    assert vnsync("sync", *agency.options).code == 0
    first, second = agency.world.customer_ids
    agency.world.block(second, "forbidden")
    assert vnsync("sync", *agency.options).code == 3
    found = metrics(vnsync, "--brief")
    assert (figure(found, "numbers"), figure(found, "accounts_left_out")) == (35, 1)
    assert figure(found, "account_numbers", account_id=second) == 5
    assert figure(found, "account_numbers", account_id=first) is None


def test_it_is_utf8_in_every_locale(agency: Source, vnsync: Run) -> None:
    """The format knows no other encoding."""
    assert vnsync("sync", *agency.options).code == 0
    latin = {**environment(), "PYTHONIOENCODING": "latin-1"}
    told = subprocess.run(
        command("status", "--output", "prometheus"), env=latin, capture_output=True, timeout=60, check=True
    )
    assert 'account_name="Zoë' in told.stdout.decode("utf-8")


def _account(account_id: int, **more: Any) -> AccountState:
    facts = {
        "account_name": f"Customer {account_id}",
        "observed_at": NOON - timedelta(seconds=account_id),
        "status": AccountStatus.SUCCEEDED.value,
        "listed_numbers": 50,
        **more,
    }
    return AccountState(account_id=account_id, last_run_id=1, **facts)


@pytest.mark.parametrize(("shortened", "most"), [(False, MOST), (True, 20)])
def test_series_are_bounded_for_thousands_of_accounts(shortened: bool, most: int) -> None:
    """Accounts that need attention first, then the longest unobserved ones; the sums hold all of them."""
    accounts = tuple(_account(i, status="failed" if i == 7 else "succeeded") for i in range(3000))
    found = Monitoring(read_at=NOON, status=Status(accounts=accounts))
    figures = parsed(exposition(gauges(found, frozenset(), shortened=shortened)))
    series = [labels for name, labels in figures if name == "vnsync_account_numbers"]
    assert len(series) == (1 if shortened else most)
    assert len(figures) <= 20 + 9 * most
    shown = {int(dict(labels)["account_id"]) for labels in series}
    assert shown == ({7} if shortened else {7, *range(3000 - MOST + 1, 3000)})
    assert (figure(figures, "numbers"), figure(figures, "accounts_left_out")) == (150_000, 3000 - len(series))


def test_labels_and_help_are_escaped() -> None:
    """Backslash, quote and line end come back as they were, whatever a name holds."""
    name = 'a\\b"c\nd\\n, x="1"} 5'
    text = exposition([Gauge("vnsync_one", "a\\b\nc", (({"name": name}, 1.5),)), Gauge("vnsync_none", "nothing", ())])
    (family,) = text_string_to_metric_families(text)
    assert family.documentation == "a\\b\nc"
    assert [(s.labels, s.value) for s in family.samples] == [({"name": name}, 1.5)]


def test_an_unreachable_account_is_not_stale() -> None:
    """It is counted as unreachable, and its old observation does not make the warehouse old."""
    left = _account(9000, status="left", unreachable_since=NOON)
    found = Monitoring(
        read_at=NOON, status=Status(accounts=(_account(1), left)), points={"key:1": DayPoints(5, None, None)}
    )
    figures = parsed(exposition(gauges(found, frozenset(), shortened=False)))
    assert figure(figures, "oldest_observation_timestamp_seconds") == (NOON - timedelta(seconds=1)).timestamp()
    assert figure(figures, "accounts", status="unreachable") == 1
    assert (figure(figures, "points_left", token="key:1"), figure(figures, "points_limit", token="key:1")) == (5, None)
