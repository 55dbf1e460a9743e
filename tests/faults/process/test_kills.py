"""X01, X11, X17: killed anywhere, the warehouse has the state before or after, and the next run needs no repair."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.stress import crashes, cuts, kills
from tests.stress.clusters import Cluster, cluster
from tests.stress.link import link
from tests.stress.stage import Stage, stage
from tests.support.fault_clusters import wait_for
from tests.support.processes import halt, resume, rows, runner, traced

WRITES = {"sqlite": "pwrite64,fdatasync,fsync,unlink,ftruncate", "postgresql": "sendto,recvfrom"}
SWEEP = {"sqlite": (1, 2, 3, 6, 11, 20), "postgresql": (1, 5, 12, 21, 30, 40, 60)}
"""Numbers of these calls, counted from the start of publishing, at which the process is killed."""


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A cluster that the test may crash."""
    with tempfile.TemporaryDirectory(prefix="vnsync-crash-") as name:
        Path(name).chmod(0o755)
        with cluster(Path(name) / "pg") as made:
            yield made


@pytest.mark.parametrize("count", [5, pytest.param(20, marks=pytest.mark.soak)])
@pytest.mark.fault("X01")
def test_killed_at_swept_points_sqlite(tmp_path: Path, count: int) -> None:
    """Kills in publishing, elsewhere, in first loads, at any time: state before or after, and the next run succeeds."""
    names = iter(range(1000))
    with stage(f"sqlite:///{tmp_path}/w.db", tmp_path, runner=runner(0)) as play:
        counts = kills.campaign(
            play, count, new=lambda: f"sqlite:///{tmp_path}/n{next(names)}.db", rng=random.Random(3)
        )
    assert counts.landed.total() >= count


@pytest.mark.parametrize("count", [5, pytest.param(20, marks=pytest.mark.soak)])
@pytest.mark.fault("X01")
def test_killed_at_swept_points_postgresql(new_postgresql: Callable[..., str], tmp_path: Path, count: int) -> None:
    """The same on PostgreSQL, whose server continues when its client is killed."""
    with stage(new_postgresql(), tmp_path, runner=runner(0)) as play:
        counts = kills.campaign(play, count, new=new_postgresql, rng=random.Random(4))
    assert counts.landed.total() >= count


@pytest.mark.soak
@pytest.mark.fault("X01")
def test_killed_at_system_calls(play: Stage, database: str) -> None:
    """SIGKILL at the n-th call that writes, syncs or talks to the server during publishing, for several n."""
    landed = 0
    for number in SWEEP[database]:
        before = play.truth()
        play.pass_day()
        pid = halt(play, "publishing")
        with traced(pid, f"--inject={WRITES[database]}:signal=SIGKILL:when={number}"):
            done = resume(play, pid)
        play.between(before, play.truth())
        assert done.code in (0, -signal.SIGKILL)
        landed += done.code != 0
        play.converge()
    assert landed >= 4


@pytest.mark.soak
@pytest.mark.fault("X01")
def test_server_crashes_under_a_run_postgresql(own_cluster: Cluster, tmp_path: Path) -> None:
    """SIGKILL to the postmaster and to backends, and an immediate stop, under runs halted at swept points."""
    with stage(own_cluster.new(), tmp_path, runner=runner(0)) as play:
        counts = crashes.campaign(play, own_cluster, 3, random.Random(5))
    assert counts.crashes.total() == 3


@pytest.mark.soak
@pytest.mark.fault("X01")
def test_link_cut_between_commit_and_acknowledgement_postgresql(own_cluster: Cluster, tmp_path: Path) -> None:
    """The run looks the commit up: it reports exactly what was committed."""
    url = own_cluster.new()
    with link(own_cluster.socket) as (wire, port), stage(url, tmp_path, runner=runner(0)) as play:
        counts = cuts.campaign(play, wire, cuts.over_tcp(url, port), 4)
    assert counts.cuts[cuts.LOST_ACK] == 4


@pytest.mark.fault("X11")
def test_nothing_of_a_killed_run_has_to_be_cleared(play: Stage, database: str) -> None:
    """Killed with claims and lock: its row says running until the next run, which marks it and succeeds."""
    play.pass_day()
    pid = halt(play, "publishing")
    done = resume(play, pid, signal.SIGKILL)
    assert done.code == -signal.SIGKILL
    assert [r for r in rows(play, "select status from sync_runs") if r == ("running",)] == [("running",)]
    assert len(rows(play, "select * from account_claims")) == 2
    play.converge()
    assert rows(play, "select status, error from sync_runs where status = 'interrupted'") == [
        ("interrupted", "the process ended without finishing its run")
    ]


@pytest.mark.fault("X11")
def test_lock_file_from_another_machine_or_boot_sqlite(play_sqlite: Stage) -> None:
    """A lock file without a holder, of any origin, stops no run and is removed."""
    lock = play_sqlite.folder / "warehouse.db.run-2601010000000001.lock"
    lock.touch()
    play_sqlite.converge()
    assert not lock.exists()


@pytest.mark.fault("X17")
def test_synced_before_success_is_reported_sqlite(play_sqlite: Stage) -> None:
    """The journal is synced after its last write, before the run reports success."""
    play_sqlite.pass_day()
    pid = halt(play_sqlite, "publishing")
    with traced(pid, "--trace=pwrite64,fdatasync,fsync,write") as log:
        assert resume(play_sqlite, pid).code == 0
    calls = [m.groups() for m in re.finditer(r"(pwrite64|fdatasync|fsync|write)\(\d+<([^>]*)>", log.read_text())]
    journal = [i for i, (name, path) in enumerate(calls) if path.endswith("-wal") and name == "pwrite64"]
    synced = [i for i, (name, path) in enumerate(calls) if path.endswith("-wal") and name in ("fdatasync", "fsync")]
    told = [i for i, (name, path) in enumerate(calls) if name == "write" and path.endswith("/out")]
    assert journal
    assert told
    assert journal[-1] < synced[-1] < told[0]


@pytest.mark.soak
@pytest.mark.fault("X17")
def test_success_survives_a_crash_right_after_it_postgresql(own_cluster: Cluster, tmp_path: Path) -> None:
    """Even if the server answers before it syncs, data reported as published survive a crash."""
    url = own_cluster.new()
    with psycopg.connect(own_cluster.url, autocommit=True) as connection:
        for setting in ("synchronous_commit = off", "wal_writer_delay = '10s'", "wal_writer_flush_after = '100MB'"):
            connection.execute(f"alter system set {setting}")
        connection.execute("select pg_reload_conf()")
    with stage(url, tmp_path, runner=runner(0)) as play:
        play.converge()
        play.pass_day()
        assert play.run().code == 0
        own_cluster.crash("postmaster")
        own_cluster.start()
        play.equals(play.truth())
        assert rows(play, "select distinct status from sync_runs") == [("succeeded",)]


HELPED = """
import time
from etl.workers import pool
with pool.transformers(worth_it=1) as transformers, transformers(1, lambda: None) as transformer:
    print(transformer._process._child.pid, flush=True)
    time.sleep(600)
"""


def _at_work(process: Path) -> bool:
    """Whether a process, by its folder in /proc, exists and is no zombie, which has no command line."""
    try:
        return bool((process / "cmdline").read_bytes())
    except OSError:
        return False


@pytest.mark.fault("X01")
def test_the_process_beside_goes_with_the_one_it_helps() -> None:
    """A process killed by SIGKILL cannot end its helper, so the helper ends by itself; no process is left."""
    with subprocess.Popen([sys.executable, "-c", HELPED], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        helper = Path("/proc") / process.stdout.readline().decode().strip()
        try:
            wait_for(lambda: _at_work(helper), what="the helper")
        finally:
            process.kill()
    wait_for(lambda: not _at_work(helper), what="the helper's end")
