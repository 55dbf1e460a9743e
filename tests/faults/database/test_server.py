"""B04, B05, B10, B15, B18: a PostgreSQL that is busy, strict, unusually configured, or quotes rows in errors."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text

from etl.errors import IntegrityBroken
from etl.store.engine import database_errors, open_warehouse
from tests.support.fault_clusters import DEBIAN, Cluster, bundled, needs, private, temporary, wait_for
from tests.support.scenes import Scene, scene

BLOCKED = "select pid from pg_stat_activity where application_name = 'vnsync' and wait_event_type = 'Lock'"
CANARY = "Zoë Secretname"


def database(stage: Scene) -> str:
    return stage.url.split("/")[3].split("?")[0]


def configure(stage: Scene, **settings: str) -> None:
    for name, value in settings.items():
        private().execute(f"alter database {database(stage)} set {name} = '{value}'")


def reset(stage: Scene) -> None:
    private().execute(f"alter database {database(stage)} reset all")


@contextmanager
def session(stage: Scene, *statements: str) -> Iterator[psycopg.Connection[Any]]:
    """Another program's transaction, open during the block."""
    with psycopg.connect(stage.url) as connection:
        for statement in statements:
            connection.execute(statement)
        yield connection
        connection.rollback()


# -- B04


@pytest.mark.fault("B04")
def test_40p01_deadlock(stage: Scene) -> None:
    """A deadlock with another program's transaction, whose victim is the sync: exit 75, nothing published. The
    account's rows would have to be staged again, so the next run tries again."""
    before = stage.image()
    configure(stage, deadlock_timeout="500ms")
    with session(stage, "set local deadlock_timeout = '60s'", "select * from campaigns, sites for update") as other:
        stage.world.rename_campaign(
            stage.world.customer_ids[0], stage.rows("select campaign_id from campaigns")[0][0], "x"
        )

        def cross() -> None:
            wait_for(lambda: private().execute(BLOCKED))
            other.execute("update account_claims set run_id = run_id")
            other.rollback()

        crossing = threading.Thread(target=cross)
        crossing.start()
        done = stage.sync()
        crossing.join(30)
    line = stage.refused(done, 75, says="deadlock detected")
    assert "run again" in line
    assert stage.image() == before
    reset(stage)
    stage.recovers()


@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
@pytest.mark.fault("B04")
def test_40001_cannot_come_of_a_stricter_default(level: str, stage: Scene) -> None:
    """With a stricter default isolation, a row changed by others is no failure: each transaction of the sync sets the
    isolation that it needs."""
    configure(stage, default_transaction_isolation=level)
    stage.api.after_request.append(
        lambda _request: private().execute("update accounts set account_name = account_name || '!'", database(stage))
    )
    done = stage.sync()
    stage.api.after_request.clear()
    assert done.code == 0, done.err
    stage.recovers()


# -- B05


@pytest.mark.parametrize(
    ("setting", "says"), [("lock_timeout", "lock timeout"), ("statement_timeout", "statement timeout")]
)
@pytest.mark.fault("B05")
def test_blocker_session(setting: str, says: str, stage: Scene) -> None:
    """Another session locks a table for longer than the server's timeout: exit 75, nothing published."""
    before = stage.image()
    configure(stage, **{setting: "300ms"})
    with session(stage, "lock table campaigns in access exclusive mode"):
        done = stage.sync()
    line = stage.refused(done, 75, says=says)
    assert "run again" in line
    assert stage.image() == before
    reset(stage)
    stage.recovers()


@pytest.mark.fault("B05")
def test_nobody_is_waited_for_without_end(stage: Scene) -> None:
    """If the server sets no lock timeout, the sync sets its own; otherwise the server's timeout applies."""
    for server, expected in (("0", "30s"), ("7s", "7s")):
        configure(stage, lock_timeout=server)
        with stage.engine.connect() as connection:
            assert connection.exec_driver_sql("show lock_timeout").scalar() == expected


@pytest.mark.fault("B05")
def test_slow_source_is_no_idleness(stage: Scene) -> None:
    """During slow requests the server's timeout for idle transactions ends neither lock nor staging."""
    configure(stage, idle_in_transaction_session_timeout="500ms", idle_session_timeout="500ms")
    stage.api.after_request.append(lambda _request: threading.Event().wait(0.8))
    done = stage.sync()
    stage.api.after_request.clear()
    assert done.code == 0, done.err
    stage.recovers()


# -- B10

ODD = """
DateStyle = 'SQL, DMY'
TimeZone = 'Pacific/Apia'
IntervalStyle = 'sql_standard'
standard_conforming_strings = off
bytea_output = 'escape'
extra_float_digits = 0
default_transaction_isolation = 'serializable'
idle_in_transaction_session_timeout = 500
synchronous_commit = off
escape_string_warning = off
"""


def odd_settings(version: int) -> str:
    """Unusual settings of a server, limited to those that its version knows.

    The times are short compared with the source's delay, and long compared with one round trip on a busy machine.
    """
    return f"{ODD}\ntransaction_timeout = 1000" if version >= 17 else ODD


@pytest.mark.parametrize("version", [15, 16, 18])
@pytest.mark.fault("B10")
def test_versions_and_settings(version: int, tmp_path: Path) -> None:
    """On each available version, with unusual dates, zone, strings, isolation and timeouts, syncs work as usual."""
    if version == 15:
        needs(DEBIAN / "postgres", "postgresql-15")
    programs = DEBIAN if version == 15 else bundled(version)
    with temporary(bin=programs, conf=odd_settings(version)) as cluster:
        assert cluster.execute("show server_version_num")[0][0].startswith(str(version))
        with scene(tmp_path / "scene", cluster.url(cluster.new_database(migrated=False))) as made:
            made.api.after_request.append(lambda _request: threading.Event().wait(1.2))
            assert made.sync().code == 0
            made.api.after_request.clear()
            made.a_day_passes()
            made.recovers()
            assert made.call("doctor", *made.source.options).code == 0


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
@pytest.mark.fault("B10")
def test_encoding_that_cannot_hold_every_name(encoding: str, tmp_path: Path) -> None:
    """A database whose encoding is not UTF8 is refused with exit 78 and left empty."""
    name = private().new_database(f"encoding '{encoding}' locale 'C' template template0", migrated=False)
    with scene(tmp_path / "scene", private().url(name)) as made:
        line = made.refused(made.sync(), 78, says=f"encoding is {encoding}")
    assert "ENCODING 'UTF8'" in line
    assert private().execute("select count(*) from pg_tables where schemaname = 'public'", name) == [(0,)]


# -- B15

LOOKS = 500
"""Looks at a waiting run until it holds no snapshot; a run that kept its snapshot would fail all of them."""


@pytest.mark.fault("B15")
def test_long_reader_and_vacuum(stage: Scene) -> None:
    """A reader that keeps its snapshot for days, and vacuum, neither block a run nor are blocked by it. A run's lock
    holds no snapshot, so dead rows can be removed while the run waits for the source. The run may still work on the
    previous window while the next is requested, so it is looked at several times."""
    seen: list[bool] = []
    holders = (
        "select count(*) from pg_stat_activity where application_name = 'vnsync' and backend_xmin is not null"
        " and backend_xid is null and state <> 'active'"
    )

    def vacuum(_request: object) -> None:
        private().execute("vacuum analyze", database(stage))
        seen.append(any(private().execute(holders)[0][0] == 0 for _ in range(LOOKS)))

    with session(stage, "set transaction isolation level repeatable read", "select * from changes") as reader:
        count = "select count(*) from virtual_numbers_history"
        before = reader.execute(count).fetchall()
        stage.api.after_request.append(vacuum)
        done = stage.sync()
        stage.api.after_request.clear()
        assert done.code == 0, done.err
        assert reader.execute(count).fetchall() == before
    assert seen
    assert all(seen)
    stage.recovers()


@pytest.mark.fault("B15")
def test_upgrade_does_not_wait_for_a_reader_without_end(stage: Scene) -> None:
    """A change of the schema conflicts with a long reader: it gives up in time, exit 75, and changes nothing."""
    configure(stage, lock_timeout="300ms")
    with session(stage, "select * from changes"):
        assert "lock timeout" in stage.refused(stage.call("db", "downgrade", "base", "--yes"), 75)
    reset(stage)
    stage.recovers()


# -- B18


def secretive(engine: Engine, made: Scene) -> None:
    """A number whose comment violates a constraint added by hand."""
    number = made.world.numbers(made.world.customer_ids[0])[0]
    made.world.edit(made.world.customer_ids[0], number, comment=CANARY)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"alter table virtual_numbers add constraint mine check (comment <> '{CANARY}') not valid"
        )


@pytest.mark.parametrize("level", ["error", "info", "debug"])
@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.fault("B18")
def test_23514_shows_no_row(level: str, style: str, stage: Scene) -> None:
    """The error of a refused row does not contain the row: neither on stderr, at any level, nor in the run's rows."""
    secretive(open_warehouse(stage.url), stage)
    done = stage.sync("--log-format", style, level=level)
    assert done.code == 78
    assert "relax the constraint, or drop it" in done.err
    kept = str(stage.rows("select error from sync_runs") + stage.rows("select error from account_syncs"))
    for words in ("Secretname", "DETAIL", "Failing row"):
        assert words not in done.err + done.out + kept


@pytest.mark.fault("B18")
def test_value_in_a_message_is_left_out(stage: Scene) -> None:
    """PostgreSQL quotes a value that it cannot cast in the message's first line; this line is not passed on either."""
    with (
        pytest.raises(IntegrityBroken, match="InvalidTextRepresentation") as caught,
        database_errors(),
        stage.engine.connect() as connection,
    ):
        connection.execute(text("select cast(:v as text)::int"), {"v": CANARY})
    told = "".join(traceback.format_exception(caught.value))
    assert "Secretname" not in told.replace(f'CANARY = "{CANARY}"', "")


@pytest.mark.fault("B10")
def test_private_cluster_is_ours() -> None:
    """These tests change settings only of a cluster that they started."""
    cluster: Cluster = private()
    assert cluster.execute("show data_directory") == [(str(cluster.data),)]
