"""S17: the roles of docs/postgresql-roles.sql: each verb tried as each role, and a sync as the loader."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from etl.store import migrations, rights, schema, views
from tests.support.checkout import ROOT
from tests.support.fault_clusters import Cluster, private
from tests.support.scenes import Scene, scene

SQL = ROOT / "docs" / "postgresql-roles.sql"
CLOSED = [table.name for table in schema.closed.values()]
CURRENT = [table.name for table in schema.current.values()]
RECORDS = ["account_syncs", "chain_sections", "installations", "quarantine", "first_reported"]
STATES = {
    "sync_runs": "status", "accounts": "account_name", "source_drift": "last_run_id", "point_budgets": "state",
}  # fmt: skip
FIXED = {
    "sync_runs": "started_at", "accounts": "first_run_id", "source_drift": "first_run_id",
    "point_budgets": "credential",
}  # fmt: skip
MOVED = ["account_claims", "listing_states", "listing_windows"]
TABLES = [*CURRENT, *MOVED, *CLOSED, *RECORDS, *STATES, "erasures", "vnsync_version"]
VERBS = ("select", "insert", "update", "delete", "truncate", "drop", "alter", "index", "trigger", "rule", "owner")


@pytest.fixture(scope="module")
def warehouse() -> str:
    """A database made as documented: roles, then the schema by its owner, then the grants once more."""
    cluster = private()
    name = cluster.new_database(migrated=False)
    cluster.execute(SQL.read_text(), name)
    migrations.upgrade(cluster.engine(name, "vnsync_owner"))
    cluster.execute(SQL.read_text(), name)
    return name


@pytest.fixture
def loader(warehouse: str, tmp_path: Path) -> Iterator[Scene]:
    """A scene whose commands connect as the loader; the warehouse is bound to its source."""
    with scene(tmp_path / "scene", private().url(warehouse, "vnsync_loader")) as made:
        made.take_over()
        yield made


def statement(verb: str, table: str) -> str:
    """A statement that needs the verb's right on the whole table, and does not change any row."""
    columns = [c.name for c in schema.metadata.tables[table].columns] if table in schema.metadata.tables else []
    first = columns[0] if columns else "version_num"
    return {
        "select": f"select * from {table}",
        "insert": f"insert into {table} select * from {table} where false",
        "update": f"update {table} set {first} = {first} where false",
        "delete": f"delete from {table} where false",
        "truncate": f"truncate {table}",
        "drop": f"drop table {table} cascade",
        "alter": f"alter table {table} add column mine text",
        "index": f"create index on {table} ({first})",
        "trigger": f"alter table {table} disable trigger user",
        "rule": f"create rule r as on delete to {table} do instead nothing",
        "owner": f"alter table {table} owner to current_user",
    }[verb]


def allowed(cluster: Cluster, database: str, role: str, sql: str) -> bool:
    """Whether the role may execute a statement, which is rolled back."""
    with psycopg.connect(cluster.url(database, role)) as connection:
        try:
            connection.execute(sql)
        except psycopg.errors.InsufficientPrivilege:
            return False
        finally:
            connection.rollback()
    return True


def loader_may(table: str) -> set[str]:
    """Rights of the loader on a table, written here independently of the SQL on purpose."""
    if table in ("vnsync_version", "erasures"):
        return {"select"}
    if table in CURRENT:
        return {"select", "insert", "update", "delete"}
    if table in MOVED:
        return {"select", "insert", "delete"}
    return {"select", "insert"}  # the closed history, records, and states except for some columns


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.fault("S17")
def test_each_verb_on_each_table(table: str, warehouse: str) -> None:
    """The loader adds, and changes or deletes current rows only; the reader reads; neither changes a definition."""
    cluster = private()
    for role, may in (("vnsync_loader", loader_may(table)), ("vnsync_reader", {"select"})):
        done = {verb for verb in VERBS if allowed(cluster, warehouse, role, statement(verb, table))}
        assert done == may, role
    assert all(allowed(cluster, warehouse, "vnsync_owner", statement(verb, table)) for verb in ("drop", "alter"))


@pytest.mark.parametrize("table", list(STATES))
@pytest.mark.fault("S17")
def test_states_change_in_the_columns_that_may(table: str, warehouse: str) -> None:
    """Of runs, accounts, drift and points the loader can update the columns that a sync updates, and no others."""
    for column, may in ((STATES[table], True), (FIXED[table], False)):
        sql = f"update {table} set {column} = {column} where false"
        assert allowed(private(), warehouse, "vnsync_loader", sql) is may
        assert not allowed(private(), warehouse, "vnsync_reader", sql)


@pytest.mark.fault("S17")
def test_reader_reads_every_view(warehouse: str) -> None:
    """The reader, and no unnamed role, can read every view of the contract."""
    cluster = private()
    cluster.execute("drop role if exists stranger; create role stranger login")
    for view in views.NAMES:
        assert allowed(cluster, warehouse, "vnsync_reader", f"select * from {view}")
        assert not allowed(cluster, warehouse, "stranger", f"select * from {view}")


@pytest.mark.parametrize(
    ("role", "sql", "may"),
    [
        ("vnsync_loader", "create temporary table t (a int)", True),
        ("vnsync_reader", "create temporary table t (a int)", True),
        *itertools.product(
            ("vnsync_loader", "vnsync_reader"),
            (
                "create table mine (a int)",
                "create view mine as select 1",
                "create function mine() returns int language sql as 'select 1'",
                "create schema mine",
                "create role mine",
                "set session authorization vnsync_owner",
                "set role vnsync_owner",
                "alter role current_user superuser",
                "copy sites to program 'true'",
            ),
            (False,),
        ),
    ],
)
@pytest.mark.fault("S17")
def test_nothing_beside_the_tables(role: str, sql: str, may: bool, warehouse: str) -> None:
    """Neither role can create anything but temporary tables, or become another role."""
    assert allowed(private(), warehouse, role, sql) is may


@pytest.mark.fault("S17")
def test_sync_as_loader(loader: Scene) -> None:
    """The loader syncs a first and a changed day, which closes versions; `doctor` gives no warning."""
    assert loader.sync().code == 0
    loader.a_day_passes()
    loader.recovers()
    assert loader.rows("select count(*) from virtual_numbers_closed")[0][0] > 0
    done = loader.call("doctor", *loader.source.options)
    assert done.code == 0, done.out
    assert "warn" not in done.out.replace("see the warnings", "")


@pytest.mark.fault("S17")
def test_status_as_reader(loader: Scene, warehouse: str) -> None:
    """The reader sees the status of the warehouse, and cannot sync: the line names the missing right."""
    assert loader.sync().code == 0
    reader = private().url(warehouse, "vnsync_reader")
    assert loader.call("status", url=reader).code == 0
    line = loader.refused(loader.sync(url=reader), 77, says="vnsync_reader lacks ")
    assert "GRANT" in line


@pytest.mark.fault("S17")
def test_loader_at_an_older_schema(loader: Scene, tmp_path: Path) -> None:
    """If the schema has to change first, the loader's error says who must do it, and nothing is changed."""
    cluster = private()
    name = cluster.new_database(migrated=False)
    cluster.execute(SQL.read_text(), name)
    url = cluster.url(name, "vnsync_loader")
    line = loader.refused(loader.sync(url=url), 77, says="Run `vnsync db upgrade` as the schema's owner")
    assert "the tables do not exist yet, and this role may not create them" in line
    assert cluster.execute("select count(*) from pg_tables where schemaname = 'public'", name) == [(0,)]


@pytest.mark.fault("S17")
def test_upgrade_keeps_readers(warehouse: str) -> None:
    """Views that an upgrade recreates are readable at once, by the owner's default privileges."""
    cluster = private()
    engine = cluster.engine(warehouse, "vnsync_owner")
    cluster.execute("drop view changes", warehouse)
    assert migrations.upgrade(engine)
    assert allowed(cluster, warehouse, "vnsync_reader", "select * from changes")


@pytest.mark.fault("S17")
def test_sql_names_every_table(warehouse: str) -> None:
    """A table that is added to the schema must be added to the roles: each belongs to the owner and is declared."""
    owned = private().execute("select tablename from pg_tables where tableowner = 'vnsync_owner'", warehouse)
    assert {name for (name,) in owned} == set(rights.NEEDED) == set(TABLES)
    assert set(schema.metadata.tables) | {"vnsync_version"} == set(TABLES)
