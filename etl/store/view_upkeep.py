"""Upkeep of views: makes those that are missing or differ from `views`, and leaves the others alone.

A view is replaced in place if its columns allow that; else it is dropped and made again, and everything that others
attached to it is restored. If an object of theirs depends on it and prevents that, the error names the object, and
nothing is changed.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError

from etl.store import attached, ddl_comments, home, views

_COLUMNS_DIFFER = "42P16"
"""SQLSTATE of `create or replace view` when a column of the view would go, or be renamed or retyped."""
_DEFINITIONS = """
select c.relname, pg_get_viewdef(c.oid) from pg_catalog.pg_class c where c.relkind = 'v' and c.relnamespace = {where}"""
_HERE = "(select oid from pg_catalog.pg_namespace where nspname = current_schema())"


def there(connection: Connection) -> list[str]:
    """The views that exist, in the order in which they can be made."""
    return [each.name for each in home.owners(connection, views.NAMES) if each.kind == "view"]


def missing(connection: Connection) -> list[str]:
    """The views that do not exist, in the order in which they can be made."""
    found = set(there(connection))
    return [name for name in views.NAMES if name not in found]


def differing(connection: Connection, *, comments: bool = True) -> list[str]:
    """The views that are missing or differ. In PostgreSQL the role must be allowed to make temporary views.

    `comments`: whether a view of SQLite differs when only the comments in its text do.
    """
    if connection.dialect.name == "sqlite":
        found = _sqlite(connection, comments)
        made = _query if comments else _plain_query
        wanted = {name: _plain(_create(name, made(connection, name))) for name in views.NAMES}
    else:
        found, wanted = _postgresql(connection)
    return [name for name in views.NAMES if found.get(name) != wanted[name]]


def make(connection: Connection, names: Collection[str]) -> None:
    """Make or replace these views. Raises `Misconfigured` if an object that is not vnsync's prevents it."""
    new = missing(connection)
    home.refuse_taken(connection, [name for name in new if name in names])
    for name in views.NAMES:
        if name in names and name in new:
            _execute(connection, _create(home.qualified(connection, name), _query(connection, name)))
        elif name in names:
            _replace(connection, name)


def drop(connection: Connection, names: Collection[str]) -> list[attached.Attached]:
    """Drop these views. Returns what others attached to them. Raises `Misconfigured` if others' objects need one."""
    attached.refuse_dependents(connection, names)
    kept = attached.read(connection, names)
    for name in reversed(views.NAMES):
        if name in names:
            _execute(connection, f"drop view {home.qualified(connection, name)}")
    return kept


def _replace(connection: Connection, name: str) -> None:
    query, qualified = _query(connection, name), home.qualified(connection, name)
    if connection.dialect.name == "postgresql":
        savepoint = connection.begin_nested()
        try:
            _execute(connection, f"create or replace view {qualified} {attached.options(connection, name)}as\n{query}")
        except ProgrammingError as exc:
            savepoint.rollback()
            if getattr(exc.orig, "sqlstate", None) != _COLUMNS_DIFFER:
                raise
        else:
            savepoint.commit()
            return
    again = [name, *attached.ours_upon(connection, name)]
    kept = drop(connection, again)
    for each in views.NAMES:
        if each in again:
            _execute(connection, _create(home.qualified(connection, each), _query(connection, each)))
    attached.put_back(connection, kept)


def _create(name: str, query: str) -> str:
    return f"create view {name} as\n{query}"


def _plain_query(connection: Connection, name: str) -> str:
    return views.queries(connection.dialect.name)[name]


def _query(connection: Connection, name: str) -> str:
    query = _plain_query(connection, name)
    return ddl_comments.with_sentences(name, query) if connection.dialect.name == "sqlite" else query


def _execute(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)


# -- definitions in the database


def _sqlite(connection: Connection, comments: bool) -> dict[str, str]:
    found = connection.exec_driver_sql("select name, sql from sqlite_master where type = 'view'")
    return {name: _plain(sql if comments else ddl_comments.without_lines(sql)) for name, sql in found}


def _plain(sql: str) -> str:
    return " ".join(sql.split()).replace("CREATE VIEW", "create view", 1)


def _postgresql(connection: Connection) -> tuple[dict[str, str], dict[str, str]]:
    """The existing and the wanted definitions, both as the server writes them with one search path."""
    savepoint = connection.begin_nested()
    try:
        connection.exec_driver_sql(f"set local search_path to {home.quoted(connection)}, pg_temp")
        found = _definitions(connection, _HERE)
        for name, query in views.queries("postgresql").items():
            _execute(connection, f"create temporary view {name} as\n{query}")
        return found, _definitions(connection, "pg_my_temp_schema()")
    finally:
        savepoint.rollback()


def _definitions(connection: Connection, where: str) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.exec_driver_sql(_DEFINITIONS.format(where=where))}
