"""X02, X12: SIGTERM and SIGINT stop a run within ten seconds; a suspended process does no harm when it resumes."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from etl.sandbox import faults
from tests.stress.stage import Images, Stage, images, reading
from tests.support.processes import beside, ended, halt, playing, refused, resume, rows, wait_until

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
PLACES = [("elsewhere", 1, "request"), ("elsewhere", 6, "request"), ("elsewhere", 1, "after bulk"),
          ("publishing", 1, ""), ("publishing", 9, ""), ("publishing", 1, "after commit")]  # fmt: skip

ALONE = ("--concurrency", "1")
"""One worker only, because another one that writes to SQLite would keep the second run waiting."""
OUR_LOCKS = """from pg_locks where locktype = 'advisory' and granted
  and database = (select oid from pg_database where datname = current_database())"""


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=["sigint", "sigterm"])
@pytest.mark.fault("X02")
def test_stops_at_each_stage(play: Stage, number: signal.Signals, code: int) -> None:
    """Requesting, staging, publishing, just committed: 130 or 143 is recorded; each account is before or after."""
    for phase, nth, only in PLACES:
        before = play.truth()
        play.pass_day()
        pid = halt(play, phase, nth, only=only)
        start = time.monotonic()
        done = resume(play, pid, number)
        assert time.monotonic() - start < 10
        line = refused(done, code, f"stopped by {number.name}")
        play.between(before, play.truth())
        last = rows(play, "select run_id, status, exit_code from sync_runs where status = 'interrupted' order by 1")[-1]
        assert last[1:] == ("interrupted", code)
        assert str(last[0]) in line
        assert rows(play, "select * from account_claims") == []
        play.converge()


@pytest.mark.parametrize("wait", ["retry", "minute_limit", "silence"])
@pytest.mark.fault("X02")
def test_stops_while_it_waits(play: Stage, wait: str) -> None:
    """During the pause before a retry, for a minute limit, and for an answer that does not come."""
    asked, answer = threading.Event(), threading.Event()
    play.api.before_request.append(lambda _: asked.set())
    if wait == "retry":
        play.api.faults.add(faults.http(502), times=None, method=None)
    elif wait == "minute_limit":
        limits = {"minute_limit": 1, "minute_remaining": 0, "minute_reset": 50}
        play.api.faults.add(faults.Limits(limits), times=None, method=None)
    else:
        play.api.before_request.append(lambda _: answer.wait(20))
    pid = play.start("--retry-max-seconds", "300")
    assert asked.wait(20)
    time.sleep(0.4)  # until it waits; the end is the same for a signal at any time
    assert _seconds_to_stop(play, pid) < 10
    answer.set()
    play.api.faults.clear()
    play.api.before_request.clear()
    play.converge()


def _seconds_to_stop(play: Stage, pid: int) -> float:
    """Stop the run by SIGTERM and check its error. Returns how long it took."""
    start = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    done = ended(play)
    seconds = time.monotonic() - start
    refused(done, 143, "stopped by SIGTERM")
    return seconds


@pytest.mark.fault("X02")
def test_stops_in_the_middle_of_a_statement_postgresql(
    new_postgresql: Callable[..., str], postgresql_template: str, tmp_path: Path
) -> None:
    """A statement waits in the server: the run ends as stopped, and the statement is cancelled, too."""
    with playing(new_postgresql(postgresql_template), tmp_path) as play, psycopg.connect(play.url) as blocker:
        blocker.execute("lock table accounts in access exclusive mode")
        pid = play.start()
        waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        wait_until(lambda: rows(play, waiting), "the run does not wait")
        assert _seconds_to_stop(play, pid) < 10
        wait_until(lambda: not rows(play, waiting), "the statement waits on")
        blocker.rollback()
        play.converge()


@pytest.mark.parametrize("signals", [1, 2])
@pytest.mark.fault("X02")
def test_stops_in_time_where_signals_do_not_reach_sqlite(sqlite_template: Path, tmp_path: Path, signals: int) -> None:
    """SQLite waits for a writer without reacting to signals: the first ends the process in time, the second at once."""
    path = tmp_path / "warehouse.db"
    path.write_bytes(sqlite_template.read_bytes())
    with playing(f"sqlite:///{path}", tmp_path) as play:
        before = {a: images_of(play)[a] for a in play.truth()}
        pid = halt(play, "elsewhere", 1, only="after request")
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("begin immediate")
        start = time.monotonic()
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: "running" in str(rows(play, "select status from sync_runs")), "the run did not begin")
        time.sleep(0.5)
        for _ in range(signals):
            os.kill(pid, signal.SIGTERM)
            time.sleep(0.8)
        done = ended(play)
        assert time.monotonic() - start < (10 if signals == 1 else 5)
        refused(done, 143, "stopped by SIGTERM, at once")
        writer.execute("rollback")
        writer.close()
        play.between(before, play.truth())
        play.converge()


def images_of(play: Stage) -> Images:
    """The current content of the warehouse."""
    with reading(play.url) as engine:
        return dict(images(engine, play.truth()))


@pytest.mark.fault("X12")
def test_zombie_publishes_nothing(play: Stage, database: str) -> None:
    """A suspended run whose accounts another run took over finds this out when it resumes, and ends with 75."""
    play.pass_day()
    pid = halt(play, "elsewhere", 2, only="after bulk", words=ALONE)
    _let_its_lock_go(play, database)
    play.pass_day()
    with beside(play) as other:
        other.converge()
    done = resume(play, pid)
    line = refused(done, 75, "another run took over (the )?account")
    assert "run " in line
    play.equals(play.truth())
    assert rows(play, "select status from sync_runs where status = 'running'") == []
    play.converge()


def _let_its_lock_go(play: Stage, database: str) -> None:
    """Release the run's lock, as a cut link or a lost lock file would."""
    if database == "sqlite":
        (lock,) = play.folder.glob("warehouse.db.run-*.lock")
        lock.unlink()
        return
    with psycopg.connect(play.url, autocommit=True) as connection:
        connection.execute(f"select pg_terminate_backend(pid) {OUR_LOCKS}")
    wait_until(lambda: not rows(play, f"select 1 {OUR_LOCKS}"), "the lock stays")


@pytest.mark.fault("X12")
def test_stopped_and_continued(play: Stage) -> None:
    """A suspended run keeps its accounts: another one gets 75, and the first succeeds when it resumes."""
    play.pass_day()
    pid = halt(play, "elsewhere", 2, only="after bulk")
    with beside(play) as other:
        refused(other.run(), 75, "is being synced by run")
    assert resume(play, pid).code == 0
    play.converge()
