"""G01: a database shared with others: names in use, schemas, version tables of other programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, make_url

from etl.store import home, schema, views
from etl.store.engine import open_warehouse
from tests.support.fault_clusters import private
from tests.support.scenes import Scene, others, scene

BOTH = pytest.mark.parametrize("database", ["sqlite", "postgresql"])


@pytest.fixture
def stage(database: str, tmp_path: Path) -> Iterator[Scene]:
    """An empty database without a sync."""
    name = private().new_database(migrated=False) if database == "postgresql" else ""
    url = private().url(name) if name else f"sqlite:///{tmp_path / 'w.db'}"
    with scene(tmp_path / "scene", url) as made:
        yield made


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[Scene]:
    """A database of PostgreSQL that belongs to the role `etl`, which executes everything."""
    name = private().new_database(migrated=False)
    private().execute("do $$ begin create role etl login; exception when duplicate_object then null; end $$")
    private().execute(f"alter role etl reset all; alter database {name} owner to etl")
    private().execute("alter schema public owner to etl", name)
    with scene(tmp_path / "scene", private().url(name, "etl")) as made:
        yield made
    private().execute("alter role etl reset all")


def everything(stage: Scene) -> set[str]:
    """The names of all tables and views in the connection's first schema."""
    with stage.engine.connect() as connection:
        return {*inspect(connection).get_table_names(), *inspect(connection).get_view_names()}


TAKEN = {
    "view": ("create view changes as select 1 as x", "view changes"),
    "table": ("create table accounts (id integer primary key, email text)", "table accounts"),
    "history": ("create table sites_history (id integer primary key)", "table sites_history"),
    "version_table": ("create table vnsync_version (id integer primary key)", "table vnsync_version"),
    "index": ("create table mine (a integer); create index ix_campaigns_site_id on mine (a)", "ix_campaigns_site_id"),
}
TAKEN_IN_POSTGRESQL = {
    "sequence": ("create sequence quarantine", "sequence quarantine"),
    "materialized_view": ("create materialized view number_assignments as select 1 as x", "view number_assignments"),
    "type": ("create type changes as enum ('a', 'b')", "type changes"),
    "composite_type": ("create type sites as (a integer)", "type sites"),
}
CASES = [
    pytest.param(database, *case, id=f"{database}-{name}")
    for database, cases in (("sqlite", TAKEN), ("postgresql", {**TAKEN, **TAKEN_IN_POSTGRESQL}))
    for name, case in cases.items()
]


@pytest.mark.parametrize(("database", "statement", "says"), CASES)
@pytest.mark.fault("G01")
def test_name_that_is_taken(statement: str, says: str, database: str, stage: Scene) -> None:
    """Before the first migration, another program's object with one of vnsync's names is named with its schema and a
    remedy by `sync`, `doctor`, `plan` and `db upgrade`, exit 78: no request is spent, and the object stays."""
    others(stage, *statement.split("; "))
    before, asked = everything(stage), list[object]()
    stage.api.after_request.append(asked.append)
    for words in (("sync",), ("sync", "--no-upgrade"), ("plan",), ("doctor",)):
        line = stage.refused(stage.call(*words, *stage.source.options), 78, says=says)
        assert ("VNSYNC_DATABASE_SCHEMA=vnsync" if database == "postgresql" else "VNSYNC_DATABASE_URL=sqlite") in line
        assert ('the schema "public"' if database == "postgresql" else "the database file") in line
        assert not asked or words == ("doctor",), words
    for words in (("db", "upgrade"), ("status",)):
        stage.refused(stage.call(*words), 78, says=says)
    assert stage.call("db", "downgrade", "base", "--yes").code == 0
    assert everything(stage) == before


@BOTH
@pytest.mark.fault("G01")
def test_remedy_works(database: str, stage: Scene, tmp_path: Path) -> None:
    """The schema, or the file, that the line proposes works for the warehouse, and the other program's object stays."""
    others(stage, "create view changes as select 1 as x")
    url = stage.url
    where: tuple[str, ...] = ("--database-schema", "vnsync")
    if database == "postgresql":
        others(stage, "create schema vnsync")
    else:
        url, where = f"sqlite:///{tmp_path / 'vnsync.db'}", ()
    assert stage.sync(*where, url=url).code == 0
    assert stage.call("doctor", *stage.source.options, *where, url=url).code == 0
    assert stage.rows("select x from changes") == [(1,)]


@BOTH
@pytest.mark.parametrize("revision", ["ab12cd34ef56", "0001"])
@pytest.mark.fault("G01")
def test_alembic_of_another_program(revision: str, stage: Scene) -> None:
    """Another program's `alembic_version` is neither read nor written, for any content."""
    others(
        stage,
        "create table alembic_version (version_num varchar(32) primary key)",
        f"insert into alembic_version values ('{revision}')",
    )
    stage.recovers()
    assert stage.call("doctor", *stage.source.options).code == 0
    assert stage.call("db", "downgrade", "base", "--yes").code == 0
    assert stage.rows("select version_num from alembic_version") == [(revision,)]
    assert everything(stage) == {"alembic_version"}


@BOTH
@pytest.mark.fault("G01")
def test_version_table_lost(stage: Scene) -> None:
    """If vnsync's own tables exist without their version, the remedy is a backup, not another schema."""
    assert stage.sync().code == 0
    for statement in ("delete from vnsync_version", "drop table vnsync_version"):
        others(stage, statement)
        for words in (("sync",), ("doctor",)):
            line = stage.refused(stage.call(*words, *stage.source.options), 70, says="vnsync_version")
            assert "estore a backup" in line
    assert stage.rows("select count(*) from virtual_numbers")[0][0] > 0


@BOTH
@pytest.mark.fault("G01")
def test_downgrade_says_what_it_would_drop(stage: Scene) -> None:
    """`db downgrade base` names every table and view and changes nothing without --yes; objects of others stay."""
    assert stage.sync().code == 0
    others(stage, "create table mine (id integer primary key)")
    before = stage.image()
    done = stage.call("db", "downgrade", "base")
    assert done.code == 0
    for name in (*schema.metadata.tables, *views.NAMES):
        assert name in done.out
    assert "--yes" in done.out
    assert stage.image() == before
    told = stage.call("db", "downgrade", "base", "--output", "json").out
    assert '"changed":false' in told.replace(" ", "")
    assert stage.call("db", "downgrade", "base", "--yes").code == 0
    assert everything(stage) == {"mine"}
    assert stage.sync().code == 0


@pytest.mark.fault("G01")
def test_schema_that_is_made_later(owned: Scene) -> None:
    """With the search path `"$user", public`, a schema with the role's name is created after the first sync: every
    command still finds the tables in their schema, and creates nothing in the new one."""
    assert owned.sync().code == 0
    name = str(make_url(owned.url).database)
    owned.a_day_passes()
    private().execute("create schema etl authorization etl", name)
    owned.recovers()
    for word in ("doctor", "plan"):
        done = owned.call(word, *owned.source.options)
        assert done.code == 0, done.err
    for words in (("status",), ("verify",), ("changes",), ("db", "upgrade")):
        done = owned.call(*words)
        assert done.code == 0, done.err
    made = "select count(*) from pg_class where relnamespace = 'etl'::regnamespace"
    assert private().execute(made, name) == [(0,)]


@pytest.mark.fault("G01")
def test_search_path_that_leads_past_the_warehouse(owned: Scene) -> None:
    """If the search path no longer leads to the warehouse, no second one is created: exit 78 names it and proposes the
    right schema."""
    assert owned.sync().code == 0
    name = str(make_url(owned.url).database)
    private().execute("create schema etl authorization etl", name)
    private().execute("alter role etl set search_path = etl")
    for words in (("sync",), ("doctor",), ("plan",)):
        line = owned.refused(owned.call(*words, *owned.source.options), 78, says='in the schema "public"')
        assert "VNSYNC_DATABASE_SCHEMA=public" in line
    owned.refused(owned.call("status"), 78)
    assert owned.sync("--database-schema", "public").code == 0
    assert owned.sync("--database-schema", "etl").code == 0


@pytest.mark.fault("G01")
def test_names_are_those_that_are_made(stage_of_both: Scene) -> None:
    """Every table, view and index that a migration makes is among the checked names."""
    engine = open_warehouse(stage_of_both.url)
    with engine.connect() as connection:
        asked = set(home.names(engine.name))
        kinds = "('r', 'v', 'i', 'S')"
        query = (
            f"select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in {kinds}"
            if engine.name == "postgresql"
            else "select name from sqlite_master where name not like 'sqlite_%'"
        )
        assert set(connection.exec_driver_sql(query).scalars()) == asked


@pytest.fixture(params=["sqlite", "postgresql"])
def stage_of_both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """A warehouse after a sync."""
    database = request.param
    url = private().url(private().new_database()) if database == "postgresql" else f"sqlite:///{tmp_path / 'w.db'}"
    with scene(tmp_path / "scene", url) as made:
        assert made.sync().code == 0
        yield made


@pytest.mark.fault("G01")
def test_names_are_taken_and_the_warehouse_is_elsewhere(stage_of_both: Scene, tmp_path: Path) -> None:
    """Without the setting a command finds other people's names in PostgreSQL: it names the existing warehouse, not a
    schema to create. A SQLite file is one schema, so there is no other."""
    if stage_of_both.engine.name == "sqlite":
        with stage_of_both.engine.connect() as connection:
            assert home.elsewhere(connection) == []
        return
    name = str(make_url(stage_of_both.url).database)
    for statement in (
        "alter schema public rename to vnsync",
        "create schema public",
        "create table public.accounts (id serial primary key, email text)",
    ):
        private().execute(statement, name)
    for words in (("status",), ("sync", *stage_of_both.source.options)):
        line = stage_of_both.refused(stage_of_both.call(*words), 78, says='in the schema "vnsync"')
        assert "Set VNSYNC_DATABASE_SCHEMA=vnsync" in line
    assert stage_of_both.call("status", "--database-schema", "vnsync").code == 0


@pytest.mark.fault("G01")
def test_table_in_the_place_of_a_view(stage_of_both: Scene) -> None:
    """If another program's table replaces one of the warehouse's views, the remedy is to rename or drop this table."""
    others(stage_of_both, "drop view changes", "create table changes (x integer)")
    for words in (("sync", *stage_of_both.source.options), ("db", "upgrade")):
        line = stage_of_both.refused(stage_of_both.call(*words), 78, says="table changes, which is not vnsync's")
        assert "rename or drop the table changes" in line
        assert "VNSYNC_DATABASE" not in line
    others(stage_of_both, "alter table changes rename to mine")
    assert "missing or changed views and comments were made again" in stage_of_both.call("db", "upgrade").out
    stage_of_both.recovers()
