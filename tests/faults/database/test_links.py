"""B01, B02, B03, B06: lost servers and links at the worst moments, and connection poolers."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.fault_clusters import Cluster, needs, private, temporary, wait_for
from tests.support.pgproxy import proxy
from tests.support.scenes import Scene, scene

END_BACKENDS = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'vnsync'"


def after(messages: int) -> Callable[[bytes, bytes], bool]:
    """True for each message after the first `messages`."""
    left = iter(range(messages))
    return lambda _kind, _body: next(left, None) is None


def once(trigger: Callable[[bytes, bytes], bool], then: Callable[[], str]) -> Callable[[bytes, bytes], str]:
    """A proxy's decision: `then` at the first message that fits, and afterwards only "pass"."""
    done: list[bool] = []

    def decide(kind: bytes, body: bytes) -> str:
        if done or not trigger(kind, body):
            return "pass"
        done.append(True)
        return then()

    return decide


def commits_account() -> Callable[[bytes, bytes], bool]:
    """Fits the publishing COMMIT, which follows the account's row."""
    seen: list[bool] = []

    def fits(_kind: bytes, body: bytes) -> bool:
        if b"INSERT INTO account_syncs" in body:
            seen.append(True)
        return bool(seen) and body.rstrip(b"\0").upper() == b"COMMIT"

    return fits


def through(stage: Scene, folder: Path) -> str:
    return stage.url.replace(f"host={private().folder}", f"host={folder}")


@pytest.mark.fault("B01")
def test_backend_killed_mid_copy(stage: Scene) -> None:
    """The backend dies during COPY: exit 69, nothing published, and the next run does all of it."""
    before = stage.image()

    def kill() -> str:
        private().execute(END_BACKENDS)
        return "pass"

    decide = once(lambda kind, _body: kind == b"d", kill)
    with proxy(private().folder, decide) as link:
        done = stage.sync(url=through(stage, link.folder))
    line = stage.refused(done, 69, says="run ")
    assert "Check that the server runs" in line
    assert stage.image() == before
    stage.recovers()


@pytest.mark.parametrize("how", ["kill", "immediate"])
@pytest.mark.fault("B02")
def test_server_dies_while_listing(how: str, stage: Scene) -> None:
    """SIGKILL to the postmaster, or an immediate stop, between two requests: exit 69; after recovery the next run ends
    the dead run's row and publishes."""
    before = stage.image()
    struck: list[bool] = []

    def strike(_request: object) -> None:
        if not struck and private().execute("select count(*) from pg_stat_activity where wait_event = 'ClientRead'"):
            struck.append(True)
            private().kill() if how == "kill" else private().stop()

    stage.api.after_request.append(strike)
    try:
        done = stage.sync()
    finally:
        stage.api.after_request.clear()
        private().start()
    stage.refused(done, 69, says="PostgreSQL: ")
    assert stage.image() == before
    stage.recovers()
    assert stage.rows("select count(*) from sync_runs where status = 'interrupted'") == [(1,)]


@pytest.mark.parametrize(
    ("cut", "codes"),
    [("drop", (69,)), ("deaf", (0,))],
    ids=["before_commit_arrives", "after_commit_before_its_answer"],
)
@pytest.mark.fault("B03")
def test_link_cut_around_commit(cut: str, codes: tuple[int, ...], stage: Scene) -> None:
    """The run looks up whether the commit happened: if so, it succeeds; if not, it ends with 69 and nothing is
    published."""
    before = stage.image()
    decide = once(commits_account(), lambda: cut)
    with proxy(private().folder, decide) as link:
        done = stage.sync(url=through(stage, link.folder))
    assert done.code in codes, done.err
    assert (stage.image() == before) is (cut == "drop")
    if done.code:
        stage.refused(done, *codes)
    stage.recovers()


@pytest.mark.fault("B03")
def test_link_cut_at_each_message(stage: Scene) -> None:
    """Cut at a dozen messages of a run (at each one, with FAULTS_EVERY_MESSAGE set): the data are the image before or
    after, and exit 0 is never reported for the image before."""
    counted = [0]

    def count(_kind: bytes, _body: bytes) -> str:
        counted[0] += 1
        return "pass"

    with proxy(private().folder, count) as link:
        assert stage.sync(url=through(stage, link.folder)).code == 0
    every = 1 if os.environ.get("FAULTS_EVERY_MESSAGE") else counted[0] // 12
    for place in range(3, counted[0], every):
        stage.a_day_passes()
        before = stage.image()
        with proxy(private().folder, once(after(place), lambda: "drop")) as link:
            done = stage.sync(url=through(stage, link.folder))
        if stage.image() == before:
            stage.refused(done, 69)
        else:
            stage.is_true_of_data()
    stage.recovers()


# -- B06


@pytest.mark.fault("B06")
def test_no_connection_is_free(stage: Scene) -> None:
    """All connections of the role are used: exit 75 says so, and a later run publishes."""
    cluster = private()
    cluster.execute("drop role if exists crowded; create role crowded login superuser")
    cluster.execute("alter role crowded nosuperuser connection limit 0")
    database = stage.url.split("/")[3].split("?")[0]
    line = stage.refused(stage.sync(url=cluster.url(database, "crowded")), 75, says="too many connections")
    assert "no free connections" in line
    stage.recovers()


@pytest.mark.fault("B06")
def test_server_is_full(tmp_path: Path) -> None:
    """Other sessions reach `max_connections` while a run is listing: exit 75, nothing published."""
    with temporary(bin=private().bin, conf="max_connections = 5\nsuperuser_reserved_connections = 0") as small:
        small.execute("create role etl login; alter database postgres owner to etl")
        small.execute("alter system set reserved_connections = 0")
        name = small.new_database("owner etl")
        with scene(tmp_path / "scene", small.url(name)) as stage:
            crowd: list[psycopg.Connection[Any]] = []

            def fill(_request: object) -> None:
                while len(crowd) < 20:
                    try:
                        crowd.append(psycopg.connect(small.url("postgres")))
                    except psycopg.OperationalError:
                        return

            stage.api.after_request.append(fill)
            done = stage.sync()
            stage.api.after_request.clear()
            for each in crowd:
                each.close()
            assert "too many clients" in stage.refused(done, 75)
            wait_for(lambda: stage.rows("select count(*) from virtual_numbers") == [(0,)])
            stage.recovers()


@pytest.fixture
def pooler(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Starts pgbouncer in transaction mode before the private cluster; returns its socket's folder."""
    needs(shutil.which("pgbouncer"), "pgbouncer")
    folder = Path(tempfile.mkdtemp(prefix="vnsync-pool-"))
    user = private().user
    if user:
        shutil.chown(folder, user, user)
    started: list[subprocess.Popen[bytes]] = []

    def start(size: int = 4) -> Path:
        (folder / "users.txt").write_text('"postgres" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={private().folder} port=5432\n[pgbouncer]\nlisten_addr=\nlisten_port=5432\n"
            f"unix_socket_dir={folder}\nauth_type=trust\nauth_file={folder}/users.txt\npool_mode=transaction\n"
            f"default_pool_size={size}\nquery_wait_timeout=1\nlogfile={folder}/log\n"
        )
        command = [str(shutil.which("pgbouncer")), str(folder / "pgbouncer.ini")]
        started.append(subprocess.Popen(command, user=user, stderr=subprocess.DEVNULL))
        wait_for((folder / ".s.PGSQL.5432").exists, what="pgbouncer")
        return folder

    yield start
    for each in started:
        each.terminate()
        each.wait(10)
    shutil.rmtree(folder)


@pytest.mark.fault("B06")
def test_pgbouncer_in_transaction_mode(stage: Scene, pooler: Callable[..., Path]) -> None:
    """A run works behind a pooler that changes sessions between transactions, including locks and claims."""
    url = through(stage, pooler())
    for _ in range(3):
        done = stage.sync(url=url)
        assert done.code == 0, done.err
        stage.is_true()
        stage.a_day_passes()
    stage.recovers()


@pytest.mark.fault("B06")
def test_pgbouncer_without_a_free_connection(stage: Scene, pooler: Callable[..., Path]) -> None:
    """A pool too small for a run's lock and its work: exit 75 after the pooler's timeout, nothing published."""
    before = stage.image()
    done = stage.sync(url=through(stage, pooler(size=1)))
    stage.refused(done, 75, says="query_wait_timeout")
    assert stage.image() == before
    stage.recovers()


@pytest.mark.fault("B06")
def test_cluster_is_our_own() -> None:
    """These tests kill only a cluster that they started, as its folder shows."""
    cluster: Cluster = private()
    assert cluster.execute("show data_directory") == [(str(cluster.data),)]
