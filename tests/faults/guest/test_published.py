"""G06: a run that published does not end as failed, and its result lists the published accounts for any end."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from etl.store import patience
from tests.support.fault_clusters import private
from tests.support.scenes import Scene, scene

AGENCY = 6


def slowly(request: dict[str, Any]) -> None:
    """Delay listings, so that every worker is busy while others need connections."""
    if request["method"] == "get.virtual_numbers":
        threading.Event().wait(0.4)


@pytest.mark.parametrize("limit", [2, 3, 5])
@pytest.mark.fault("G06")
def test_fewer_connections_than_a_run_takes_postgresql(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role with fewer connections than the run's workers need, down to two: all is published, with one notice."""
    monkeypatch.setattr(patience, "SECONDS", 0.2)
    cluster, role = private(), f"narrow_{limit}"
    cluster.execute(f"create role {role} login connection limit {limit}")
    name = cluster.new_database(f"owner {role}", migrated=False)
    with scene(tmp_path / "scene", cluster.url(name, role), numbers=20, customers=2 * AGENCY) as stage:
        stage.api.before_request.append(slowly)
        done = stage.sync("--output", "json", level="warning")
        stage.api.before_request.clear()
        assert done.code == 0, done.err
        assert [a["status"] for a in done.json["accounts"]] == ["succeeded"] * 2 * AGENCY
        notices = [line for line in done.err.splitlines() if "connections" in line]
        assert len(notices) == 1, done.err
        assert "--concurrency 4 takes up to 9" in notices[0]
        Scene(stage.source, cluster.url(name)).is_true()
        stage.a_day_passes()
        assert stage.sync("--concurrency", "1", level="warning").err == ""


@pytest.mark.fault("G06")
def test_one_connection_is_too_few_postgresql(tmp_path: Path) -> None:
    """With a single connection a run cannot hold its lock and work: 75 names the role's limit."""
    cluster = private()
    cluster.execute("create role single login connection limit 1")
    name = cluster.new_database("owner single", migrated=False)
    with scene(tmp_path / "scene", cluster.url(name, "single")) as stage:
        assert 'too many connections for role "single"' in stage.refused(stage.sync(), 75)


@contextmanager
def _written_by_others(url: str) -> Iterator[None]:
    """Another program holds the write lock of the SQLite file for longer than the timeout."""
    writer = sqlite3.connect(
        url.removeprefix("sqlite:///").partition("?")[0], isolation_level=None, check_same_thread=False
    )
    writer.execute("begin immediate")
    yield
    writer.execute("rollback")
    writer.close()


@contextmanager
def _closed(url: str) -> Iterator[None]:
    """The server admits no new session to the database, and ends the existing ones."""
    name = str(make_url(url).database)
    private().execute(f"alter database {name} with allow_connections false")
    private().execute(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
    yield
    private().execute(f"alter database {name} with allow_connections true")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.fault("G06")
def test_a_run_that_is_broken_off_tells_what_is_published(database: str, tmp_path: Path) -> None:
    """The database is lost in the middle of an agency: the JSON has the published accounts, the line counts them, and
    the next run continues."""
    if database == "sqlite":
        url, shut, code = f"sqlite:///{tmp_path / 'warehouse.db'}?timeout=0.2", _written_by_others, 75
    else:
        url, shut, code = private().url(private().new_database()), _closed, 77
    with scene(tmp_path / "scene", url, numbers=20, customers=AGENCY) as stage, ExitStack() as until_mended:
        listings = itertools.count(1)

        def break_off(request: dict[str, Any]) -> None:
            if request["method"] == "get.virtual_numbers" and next(listings) == 3:
                until_mended.enter_context(shut(url))

        assert stage.sync("--account", stage.world.customer_ids[-1]).code == 0
        stage.api.after_request.append(break_off)
        done = stage.sync("--concurrency", "1", "--output", "json")
        stage.api.after_request.clear()
        until_mended.close()
        line = stage.refused(done, code)
        told = done.json
        published = {a["account_id"] for a in told["accounts"] if a["status"] == "succeeded"}
        assert (len(published), told["exit_code"]) == (2, code)
        assert "2 accounts of this run are published" in line
        recorded = f"select account_id from account_syncs where run_id = {told['run_id']} and status = 'succeeded'"
        assert {i for (i,) in stage.rows(recorded)} == published
        stage.recovers()
