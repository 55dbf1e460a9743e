"""Migrations up and down, on both databases: they make the declared schema, and its constraints hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert, inspect, text
from sqlalchemy.exc import IntegrityError

from etl.errors import Misconfigured
from etl.store import migrations, schema
from etl.store.engine import begin_writing, open_warehouse
from etl.store.schema import VERSION_TABLE
from etl.store.views import NAMES

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=1)


@pytest.fixture
def empty(empty_url: str) -> Engine:
    """An empty database."""
    return open_warehouse(empty_url)


def _shape(engine: Engine) -> dict[str, Any]:
    """All tables, as the database itself describes them."""
    with engine.connect() as connection:
        inspector = inspect(connection)
        return {
            name: {
                "columns": {
                    c["name"]: (str(c["type"]), c["nullable"], c.get("default")) for c in inspector.get_columns(name)
                },
                "key": inspector.get_pk_constraint(name)["constrained_columns"],
                "indexes": {
                    (i["name"], tuple(i["column_names"]), bool(i["unique"])) for i in inspector.get_indexes(name)
                },
                "checks": {(c["name"], c["sqltext"]) for c in inspector.get_check_constraints(name)},
                "references": {
                    (tuple(f["constrained_columns"]), f["referred_table"], tuple(f["referred_columns"]))
                    for f in inspector.get_foreign_keys(name)
                },
            }
            for name in inspector.get_table_names()
            if name != VERSION_TABLE
        }


def test_the_migrations_make_what_the_program_declares(
    empty: Engine, database: str, request: pytest.FixtureRequest, tmp_path: Any
) -> None:
    """A migrated and a declared database have the same columns, types, keys, indexes, checks and references."""
    migrations.upgrade(empty)
    other = str(request.getfixturevalue("new_postgresql")()) if database == "postgresql" else None
    declared = open_warehouse(other or f"sqlite:///{tmp_path / 'declared.db'}")
    with begin_writing(declared) as connection:
        schema.metadata.create_all(connection)
    migrated = _shape(empty)
    assert migrated == _shape(declared)
    assert set(migrated) == set(schema.metadata.tables)


def test_an_upgrade_is_done_once(empty: Engine) -> None:
    """The first upgrade returns True, the second False; the check passes only after an upgrade."""
    assert migrations.current(empty) is None
    with pytest.raises(Misconfigured, match="no schema yet") as caught:
        migrations.check(empty)
    assert "vnsync db upgrade" in caught.value.remedy
    assert migrations.upgrade(empty) is True
    before = _shape(empty)
    assert migrations.upgrade(empty) is False
    assert _shape(empty) == before
    assert migrations.current(empty) == migrations.head()
    migrations.check(empty)


def test_a_downgrade_to_base_leaves_nothing(empty: Engine) -> None:
    """No table, view or index remains, and an upgrade succeeds again."""
    migrations.upgrade(empty)
    migrations.downgrade(empty, "base")
    with empty.connect() as connection:
        assert set(inspect(connection).get_table_names()) <= {VERSION_TABLE}
        assert inspect(connection).get_view_names() == []
    assert migrations.current(empty) is None
    assert migrations.upgrade(empty) is True
    migrations.check(empty)


def test_a_downgrade_of_nothing_does_nothing(empty: Engine) -> None:
    """An empty database is at base already."""
    migrations.downgrade(empty, "base")
    assert migrations.current(empty) is None


@pytest.mark.fault("X14")
def test_a_newer_schema_is_refused(warehouse: Engine) -> None:
    """X14: a revision unknown to this program is exit 78, and nothing is changed in either direction."""
    with begin_writing(warehouse) as connection:
        connection.execute(text("update vnsync_version set version_num = '9999'"))
    before = _shape(warehouse)
    for attempt in (migrations.upgrade, migrations.check, lambda engine: migrations.downgrade(engine, "base")):
        with pytest.raises(Misconfigured, match="9999") as caught:
            attempt(warehouse)
        assert caught.value.exit_code == 78
    assert _shape(warehouse) == before


def test_an_unknown_revision_to_go_to_is_refused(warehouse: Engine) -> None:
    """The remedy names the existing revisions."""
    with pytest.raises(Misconfigured, match="no revision 0815") as caught:
        migrations.downgrade(warehouse, "0815")
    assert "0001" in caught.value.remedy


def test_views_that_are_missing_are_made(warehouse: Engine) -> None:
    """Views hold no data, so an upgrade recreates a lost one."""
    with begin_writing(warehouse) as connection:
        connection.execute(text("drop view changes"))
    assert migrations.upgrade(warehouse) is True
    with warehouse.connect() as connection:
        assert set(inspect(connection).get_view_names()) == set(NAMES)


def test_every_view_answers(warehouse: Engine) -> None:
    """An empty warehouse has no rows, but each view can be queried."""
    with warehouse.connect() as connection:
        assert [connection.execute(text(f"select * from {name}")).all() for name in NAMES] == [[]] * len(NAMES)


def test_a_view_that_was_dumped_and_restored_is_the_same(warehouse: Engine) -> None:
    """A backup, or a partitioned table, creates views from the server's own text: the definition stays the same."""
    if warehouse.name == "sqlite":
        return  # SQLite keeps the text as it was written
    definition = "select pg_get_viewdef(cast(:name as regclass))"
    with warehouse.connect() as connection:
        for name in NAMES:
            told = connection.execute(text(definition), {"name": name}).scalar_one()
            connection.exec_driver_sql(f"create temporary view restored_{name} as {told}")
            restored = connection.execute(text(definition), {"name": f"restored_{name}"}).scalar_one()
            assert restored == told, name
        connection.rollback()


# -- rows that the database refuses


def _run(run_id: int = 1, **more: Any) -> dict[str, Any]:
    plain = {"run_id": run_id, "started_at": NOON, "finished_at": LATER, "status": "succeeded"}
    return {**plain, "source_url": "u", "version": "v", **more}


def _sync(**more: Any) -> dict[str, Any]:
    counts = ("unaccounted", "suspects", "duplicates", "conflicts", "quarantined", "rows_opened", "rows_closed")
    plain = {"run_id": 1, "account_id": 7, "status": "succeeded", "started_at": NOON, "observed_at": NOON}
    return {**plain, "requests": 1, "retries": 0, **dict.fromkeys(counts, 0), **more}


def _site(**more: Any) -> dict[str, Any]:
    return {"account_id": 7, "site_id": 1, "valid_from": NOON, "opened_run_id": 1, **more}


def _ended(**more: Any) -> dict[str, Any]:
    return {**_site(), "valid_to": LATER, "closed_run_id": 1, **more}


SITES, CLOSED = schema.current["sites"], schema.closed["sites"]


FORBIDDEN: dict[str, tuple[Any, list[dict[str, Any]]]] = {
    "two open versions of a key": (SITES, [_site(), _site(valid_from=LATER)]),
    "a closed version twice": (CLOSED, [_ended(), _ended()]),
    "an empty period": (CLOSED, [_ended(valid_to=NOON)]),
    "a period backwards": (CLOSED, [_ended(valid_to=NOON - timedelta(microseconds=1))]),
    "closed without an end": (CLOSED, [_ended(valid_to=None)]),
    "open without a beginning": (SITES, [_site(valid_from=None)]),
    "opened by no run": (SITES, [_site(opened_run_id=None)]),
    "unknown status of a run": (schema.sync_runs, [_run(3, status="finished")]),
    "running and finished": (schema.sync_runs, [_run(3, status="running")]),
    "finished without a time": (schema.sync_runs, [_run(3, finished_at=None)]),
    "a run twice": (schema.sync_runs, [_run(1)]),
    "unknown status of an account": (schema.account_syncs, [_sync(status="ok")]),
    "published without a moment": (schema.account_syncs, [_sync(observed_at=None)]),
    "two publications at one moment": (schema.account_syncs, [_sync(), _sync(run_id=2)]),
    "two claims of an account": (schema.account_claims, [{"account_id": 7, "run_id": run} for run in (1, 2)]),
}


def _is_taken(engine: Engine, table: Any, rows: list[dict[str, Any]]) -> bool:
    try:
        with engine.connect() as connection:  # rolled back at the end
            for row in rows:
                connection.execute(insert(table), row)
    except IntegrityError:
        return False
    return True


def test_the_database_refuses_forbidden_rows(warehouse: Engine) -> None:
    """The database itself enforces the contract, not only the program."""
    with begin_writing(warehouse) as connection:
        connection.execute(insert(schema.sync_runs), [_run(1), _run(2)])
    assert [name for name, (table, rows) in FORBIDDEN.items() if _is_taken(warehouse, table, rows)] == []


def test_the_rows_that_are_allowed_are_taken(warehouse: Engine) -> None:
    """The same rows without their faults are accepted, so the refusals above are caused by the faults."""
    with begin_writing(warehouse) as connection:
        connection.execute(insert(schema.sync_runs), [_run(1), _run(2)])
        connection.execute(insert(SITES), [_site(valid_from=LATER), _site(site_id=2)])
        connection.execute(insert(CLOSED), [_ended(), _ended(valid_from=NOON - timedelta(days=3), valid_to=NOON)])
        connection.execute(insert(schema.account_syncs), [_sync(), _sync(run_id=2, observed_at=LATER)])
    with warehouse.connect() as connection:
        periods = connection.execute(text("select count(*) from sites_history where account_id = 7")).scalar()
    assert periods == 4


def test_postgresql_refuses_a_version_of_an_unknown_run(
    postgresql_template: str, new_postgresql: Callable[..., str]
) -> None:
    """A foreign key: a closed version names existing runs. (SQLite enforces foreign keys only on request.)"""
    engine = open_warehouse(new_postgresql(postgresql_template))
    assert not _is_taken(engine, CLOSED, [_ended()])
