"""Comments in the database: each table, view and column has its sentence, and comments of others are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_mock_engine, inspect, text

from etl.store import comments, migrations, views
from etl.store.engine import begin_writing, open_warehouse
from etl.store.relations import relations

SENTENCES = {
    (relation.name, column): sentence
    for relation in relations()
    for column, sentence in [("", relation.sentence), *((c.name, c.meaning.sentence) for c in relation.columns)]
}
VIEWS = [relation for relation in relations() if relation.is_view]
_COMMENTS = """
select c.relname, coalesce(a.attname, ''), d.description from pg_description d
join pg_class c on c.oid = d.objoid and d.classoid = 'pg_class'::regclass
left join pg_attribute a on a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0
where c.relnamespace = current_schema()::regnamespace"""


@pytest.fixture
def on_postgresql(postgresql_template: str, new_postgresql: Callable[..., str]) -> Engine:
    """A warehouse on PostgreSQL."""
    return open_warehouse(new_postgresql(postgresql_template))


def _in_database(engine: Engine) -> dict[tuple[str, str], str]:
    with engine.connect() as connection:
        return {(name, column): said for name, column, said in connection.execute(text(_COMMENTS))}


def _do(engine: Engine, *statements: str) -> None:
    with begin_writing(engine) as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_every_column_of_a_view_is_declared(warehouse: Engine) -> None:
    """The database reports for each view the columns of `etl/store/view_columns.py`, in their order."""
    with warehouse.connect() as connection:
        found = {name: [c["name"] for c in inspect(connection).get_columns(name)] for name in views.NAMES}
    assert found == {view.name: [column.name for column in view.columns] for view in VIEWS}


def test_types_of_views_are_those_of_the_database(on_postgresql: Engine) -> None:
    """The declared type of each view column is the type that PostgreSQL derives from the query."""
    dialect = create_mock_engine("postgresql://", lambda *_: None).dialect
    with on_postgresql.connect() as connection:
        query = (
            "select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a"
            " join pg_class c on c.oid = a.attrelid"
            " where c.relkind = 'v' and c.relnamespace = current_schema()::regnamespace and a.attnum > 0"
        )
        found = {(name, column): kind for name, column, kind in connection.execute(text(query))}
    assert found == {(v.name, c.name): c.type.compile(dialect=dialect).lower() for v in VIEWS for c in v.columns}


def test_only_columns_that_say_so_are_null(told: Engine) -> None:
    """In five days of changes only those view columns are null whose sentence explains null."""
    with told.connect() as connection:
        for view in VIEWS:
            never = ", ".join(column.name for column in view.columns if column.meaning.null is None)
            rows = connection.execute(text(f"select {never} from {view.name}")).all()
            assert rows, view.name
            assert [row for row in rows if None in row] == [], view.name


def test_postgresql_has_every_sentence_as_a_comment(on_postgresql: Engine) -> None:
    """The comments of tables, views and all of their columns are the sentences."""
    assert _in_database(on_postgresql) == SENTENCES


def test_sqlite_keeps_every_sentence_in_its_schema(sqlite_warehouse: Engine) -> None:
    """The text of each table and view, which `.schema` prints, contains the sentences as comments."""
    with sqlite_warehouse.connect() as connection:
        found: dict[str, str] = dict(
            connection.exec_driver_sql("select name, sql from sqlite_master where type in ('table', 'view')").all()
        )
    lacking = {key for key, sentence in SENTENCES.items() if f"{sentence}\n" not in found[key[0]]}
    assert lacking == set()


def test_comments_of_others_stay_and_missing_ones_are_written(on_postgresql: Engine) -> None:
    """`db upgrade` writes missing comments and keeps those of others; `--comments` writes all of them."""
    _do(
        on_postgresql,
        "comment on column sites.site_id is 'mine: 100% ''quoted'''",
        "comment on table sites is null",
        "comment on column changes.what is null",
    )
    assert migrations.upgrade(on_postgresql, thorough=True) is True
    changed = SENTENCES | {("sites", "site_id"): "mine: 100% 'quoted'"}
    assert _in_database(on_postgresql) == changed
    assert migrations.upgrade(on_postgresql, thorough=True) is False
    assert migrations.upgrade(on_postgresql, anew=True) is True
    assert _in_database(on_postgresql) == SENTENCES


def test_a_sync_does_not_write_comments(on_postgresql: Engine) -> None:
    """The upgrade before a run leaves a missing comment alone, because the role may not be the owner."""
    _do(on_postgresql, "comment on table sites is null")
    assert migrations.upgrade(on_postgresql) is False
    assert ("sites", "") not in _in_database(on_postgresql)


def test_notes_name_what_differs(on_postgresql: Engine) -> None:
    """A new warehouse has no notes; others state how many comments are missing or differ, and the first of each."""
    assert comments.notes(on_postgresql) == []
    _do(on_postgresql, "comment on view changes is 'mine'", "comment on column sites.site_id is null")
    missing, others = comments.notes(on_postgresql)
    assert missing.startswith("1 comment is missing, the first on sites.site_id")
    assert others.startswith("1 comment is not the text of this version of vnsync, the first on changes")
    assert "vnsync db upgrade --comments" in others


@pytest.mark.parametrize("query", ["select 1 as other", "select account_id, site_id from sites"])
def test_a_view_that_is_made_again_has_its_comments(on_postgresql: Engine, query: str) -> None:
    """A lost view, and a view that was there with other columns, get their comments when they are recreated."""
    _do(
        on_postgresql, "drop view number_assignments", f"create view number_assignments as {query}", "drop view changes"
    )
    assert migrations.upgrade(on_postgresql, thorough=True) is True
    assert _in_database(on_postgresql) == SENTENCES


def test_a_role_that_only_loads_is_not_asked_to_comment(on_postgresql: Engine) -> None:
    """`db upgrade` of a role that does not own the tables leaves missing comments to the owner, and succeeds."""
    role = "comments_loader"
    _do(
        on_postgresql,
        f"create role {role}",
        f"grant all on schema public to {role}",
        f"grant all on all tables in schema public to {role}",
        "comment on table sites is null",
    )
    try:
        with begin_writing(on_postgresql) as connection:
            connection.execute(text(f"set local role {role}"))
            assert comments.write(connection, anew=True) == 0
    finally:
        _do(on_postgresql, f"drop owned by {role}", f"drop role {role}")


def test_sqlite_has_nothing_to_write(sqlite_warehouse: Engine) -> None:
    """SQLite's comments are part of the schema's text, so there is nothing to compare."""
    assert migrations.upgrade(sqlite_warehouse, anew=True) is False
    assert comments.notes(sqlite_warehouse) == []


def test_a_view_of_sqlite_with_an_older_sentence_is_made_again(sqlite_warehouse: Engine, tmp_path: Path) -> None:
    """The view's query is the same, so only `db upgrade`, or the first run of another version, recreates the view."""
    with begin_writing(sqlite_warehouse) as connection:
        sql: Any = connection.exec_driver_sql("select sql from sqlite_master where name = 'changes'").scalar()
        connection.exec_driver_sql("drop view changes")
        connection.exec_driver_sql(sql.replace("-- Changes that", "-- Some changes that", 1))
    assert migrations.upgrade(sqlite_warehouse) is False
    assert migrations.upgrade(sqlite_warehouse, thorough=True) is True
    with sqlite_warehouse.connect() as connection:
        assert connection.exec_driver_sql("select sql from sqlite_master where name = 'changes'").scalar() == sql
