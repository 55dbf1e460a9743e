"""G02: views that others use: their grants, comments, views and triggers survive changes of vnsync's own views."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.store import migrations, views
from tests.support.fault_clusters import private
from tests.support.scenes import Scene, others, scene

BOTH = pytest.mark.parametrize("database", ["sqlite", "postgresql"])
POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"])
USED = "create view mine as select account_id, campaign_name from number_assignments"
OLDER = "create view changes as select account_id, observed_at, run_id as older_name from (select 1 as account_id, 2 as observed_at, 3 as run_id) x"  # noqa: E501 - one statement


@pytest.fixture
def stage(database: str, tmp_path: Path) -> Iterator[Scene]:
    """A warehouse after its first sync."""
    url = private().url(private().new_database()) if database == "postgresql" else f"sqlite:///{tmp_path / 'w.db'}"
    if database == "postgresql":
        private().execute("do $$ begin create role analyst; exception when duplicate_object then null; end $$")
    with scene(tmp_path / "scene", url) as made:
        assert made.sync().code == 0
        yield made


def grants(stage: Scene) -> list[tuple[object, ...]]:
    """Grants, owners, options and comments of vnsync's views, as PostgreSQL stores them."""
    return stage.rows(
        "select c.relname, array(select unnest(c.relacl)::text order by 1)::text, c.relowner, c.reloptions::text,"
        " obj_description(c.oid, 'pg_class'),"
        " array(select a.attname || coalesce(a.attacl::text, '') || coalesce(col_description(c.oid, a.attnum), '')"
        "   from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 order by 1)::text"
        " from pg_class c where c.relkind = 'v' and relnamespace = 'public'::regnamespace order by 1"
    )


ATTACHED = (
    "grant select on changes to analyst with grant option",
    "grant select on number_campaign_periods to public",
    "grant select (account_id, entity) on changes to public",
    "comment on view changes is 'what changed: 100 % of it, as it''s told'",
    "comment on column changes.entity is 'kind of thing'",
    "alter view changes set (security_barrier = true)",
)


@BOTH
@pytest.mark.fault("G02")
def test_only_what_is_missing_is_made(database: str, stage: Scene) -> None:
    """A user's view depends on `number_assignments` when `changes` is dropped: `sync` creates only `changes`, as
    `doctor` had advised; the user's view keeps its rows, grants and comments."""
    others(stage, USED)
    if database == "postgresql":
        others(stage, "grant select on mine to analyst", "comment on view mine is 'of ours'", *ATTACHED[1:2])
        others(stage, "grant select on number_assignments to analyst")
    before = stage.rows("select * from mine order by 1, 2")
    kept = [row for row in grants(stage) if row[0] != "changes"] if database == "postgresql" else []
    others(stage, "drop view changes")
    line = stage.refused(stage.call("doctor", *stage.source.options), 70, says="view changes is missing")
    assert "vnsync db upgrade" in line
    stage.recovers()
    assert stage.call("doctor", *stage.source.options).code == 0
    assert stage.rows("select * from mine order by 1, 2") == before
    if database == "postgresql":
        assert [row for row in grants(stage) if row[0] != "changes"] == kept


@BOTH
@pytest.mark.parametrize("words", [("db", "upgrade"), ("sync",)])
@pytest.mark.fault("G02")
def test_view_of_another_version(words: tuple[str, ...], database: str, stage: Scene) -> None:
    """A view of another version of vnsync, with other columns, is recreated by `db upgrade` and by the first `sync` of
    this version, as `doctor` advises."""
    others(stage, "drop view changes", OLDER, "update sync_runs set version = '0.0.1'")
    assert stage.call("doctor", *stage.source.options).code == 70
    done = stage.call(*words, *(stage.source.options if words == ("sync",) else ()))
    assert done.code == 0, done.err
    assert stage.call("doctor", *stage.source.options).code == 0
    assert stage.rows("select count(*) from changes where entity = 'number'")[0][0] > 0
    assert migrations.upgrade(stage.engine, thorough=True) is False


@POSTGRESQL
@pytest.mark.fault("G02")
def test_grants_and_comments_survive(stage: Scene) -> None:
    """A view whose columns change is recreated with its grants, its columns' grants, comments, options and owner, and
    those of dependent views."""
    others(stage, *ATTACHED, "alter view changes owner to analyst", "grant select on sites_history to analyst")
    wanted = grants(stage)
    definition = stage.rows("select pg_get_viewdef('changes'::regclass)")[0][0]
    others(
        stage,
        "create or replace view changes with (security_barrier = true) as select *, 1 as older from ("
        + str(definition).strip().rstrip(";")
        + ") x",
    )
    assert grants(stage) != wanted
    assert stage.call("db", "upgrade").code == 0
    assert grants(stage) == wanted
    assert stage.call("doctor", *stage.source.options).code == 0


@POSTGRESQL
@pytest.mark.fault("G02")
def test_replaced_where_the_columns_allow(stage: Scene) -> None:
    """A view that differs only in its query is replaced in place, with its options: dependent views stay."""
    others(stage, "create view upon as select account_id, status from number_assignments")
    definition = stage.rows("select pg_get_viewdef('number_assignments'::regclass)")[0][0]
    others(stage, f"create or replace view number_assignments as {str(definition).strip().rstrip(';')} limit 3")
    others(stage, "alter view number_assignments set (security_invoker = true)")
    attached = grants(stage)
    oid = stage.rows("select 'number_assignments'::regclass::oid, 'upon'::regclass::oid")
    assert stage.call("doctor", *stage.source.options).code == 70
    assert stage.call("db", "upgrade").code == 0
    assert stage.rows("select 'number_assignments'::regclass::oid, 'upon'::regclass::oid") == oid
    assert stage.rows("select count(*) from upon")[0][0] > 3
    assert grants(stage) == attached
    assert stage.call("doctor", *stage.source.options).code == 0


IN_THE_WAY = {
    "view": ("create view mine as select older from changes", "drop view mine", "view mine"),
    "materialized_view": (
        "create materialized view mine as select older from changes",
        "drop materialized view mine",
        "materialized view mine",
    ),
    "function": (
        "create function mine() returns setof changes language sql as 'select * from changes'",
        "drop function mine",
        "function mine()",
    ),
    "trigger": (
        "create function f() returns trigger language plpgsql as 'begin return new; end';"
        " create trigger mine instead of insert on changes for each row execute function f()",
        "drop trigger mine on changes",
        "trigger mine on view changes",
    ),
    "rule": ("create rule mine as on insert to changes do instead nothing", "drop rule mine on changes", "rule mine"),
}


@POSTGRESQL
@pytest.mark.parametrize(("statement", "remedy", "says"), IN_THE_WAY.values(), ids=IN_THE_WAY)
@pytest.mark.fault("G02")
def test_object_in_the_way(statement: str, remedy: str, says: str, stage: Scene) -> None:
    """A user's object that depends on a removed column is named, exit 78, and nothing is lost: neither the object nor a
    view, a grant or a comment; after its removal the upgrade succeeds."""
    others(stage, *ATTACHED[:4], "drop view number_assignments")
    definition = stage.rows("select pg_get_viewdef('changes'::regclass)")[0][0]
    query = str(definition).strip().rstrip(";")
    others(stage, f"create or replace view changes as select *, 1 as older from ({query}) x", statement)
    before = grants(stage)
    line = stage.refused(stage.call("db", "upgrade"), 78, says=says)
    assert "depends on changes" in line
    assert grants(stage) == before
    others(stage, remedy)
    assert stage.call("db", "upgrade").code == 0
    assert stage.call("doctor", *stage.source.options).code == 0


@POSTGRESQL
@pytest.mark.fault("G02")
def test_downgrade_names_what_stands_in_the_way(stage: Scene) -> None:
    """`db downgrade base --yes` drops nothing while a user's view or foreign key refers to a table."""
    before = stage.image()
    for make, drop, says in (
        (USED, "drop view mine", "view mine depends on number_assignments"),
        ("create view mine as select * from virtual_numbers", "drop view mine", "view mine depends on virtual_numbers"),
        (
            "create table mine (a bigint, s bigint, foreign key (a, s) references sites)",
            "drop table mine",
            "depends on sites",
        ),
    ):
        others(stage, make)
        stage.refused(stage.call("db", "downgrade", "base", "--yes"), 78, says=says)
        others(stage, drop)
    assert stage.image() == before
    assert stage.call("db", "downgrade", "base", "--yes").code == 0


@BOTH
@pytest.mark.fault("G02")
def test_name_of_a_lost_view_is_taken(stage: Scene) -> None:
    """If a user's table has the name of a dropped view, `sync` and `db upgrade` name it and leave it."""
    others(stage, "drop view changes", "create table changes (id integer)", "insert into changes values (7)")
    for words in (("sync", *stage.source.options), ("db", "upgrade")):
        stage.refused(stage.call(*words), 78, says="table changes")
    assert stage.rows("select id from changes") == [(7,)]
    others(stage, "drop table changes")
    stage.recovers()


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.fault("G02")
def test_triggers_on_views_survive(stage: Scene) -> None:
    """SQLite drops a view's triggers with the view: a user's trigger is recreated with it."""
    others(
        stage,
        "create trigger mine instead of insert on number_assignments begin select 1; end",
        "create trigger theirs instead of insert on changes begin select 1; end",
        "drop view changes",
        OLDER,
        "create trigger theirs instead of insert on changes begin select 1; end",
    )
    assert stage.call("db", "upgrade").code == 0
    found = stage.rows("select name, tbl_name from sqlite_master where type = 'trigger' order by 1")
    assert found == [("mine", "number_assignments"), ("theirs", "changes")]


LATER = '''
"""A later version of the schema."""
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None

def upgrade():
    {change}

def downgrade():
    pass
'''
CHANGES = {
    "column": ('op.add_column("sites", sa.Column("later", sa.Text))', True),
    "type": ('op.execute("alter table virtual_numbers alter column category type varchar(500)")', False),
}


@POSTGRESQL
@pytest.mark.parametrize(("change", "harmless"), CHANGES.values(), ids=CHANGES)
@pytest.mark.fault("G02")
def test_later_schema(change: str, harmless: bool, stage: Scene, tmp_path: Path, monkeypatch: object) -> None:
    """A later revision leaves the views alone if the tables can be changed under them; otherwise vnsync's views are
    recreated with their grants, and a user's view is named."""
    assert isinstance(monkeypatch, pytest.MonkeyPatch)
    others(stage, *ATTACHED, USED.replace("campaign_name", "category"))
    before, rows = grants(stage), stage.rows("select count(*) from mine")
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for path in (migrations.folder() / "env.py", *(migrations.folder() / "versions").glob("0001*.py")):
        (folder / path.relative_to(migrations.folder())).write_text(path.read_text())
    (folder / "versions" / "0002_later.py").write_text(LATER.format(change=change))
    monkeypatch.setattr(migrations, "folder", lambda: folder)
    if not harmless:
        stage.refused(stage.call("db", "upgrade"), 78, says="view mine depends on number_assignments")
        assert (migrations.current(stage.engine), grants(stage)) == ("0001", before)
        others(stage, "drop view mine")
        before = grants(stage)
    assert json.loads(stage.call("db", "upgrade", "--output", "json").out)["current"] == "0002"
    assert grants(stage) == before
    assert not harmless or stage.rows("select count(*) from mine") == rows


@pytest.mark.fault("G02")
def test_every_view_has_a_query() -> None:
    """The queries cover the views in the same order, for both databases."""
    for dialect in ("sqlite", "postgresql"):
        assert tuple(views.queries(dialect)) == views.NAMES
