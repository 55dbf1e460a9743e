"""Definitions in SQLite, which keeps the text of each statement: tables are compared part by part.

A column that was added by hand is in the text of the table; the parts that vnsync made are unchanged next to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from etl.store import migrations, schema, views
from etl.store.definitions import triggers
from etl.store.definitions.kinds import Definitions, Found

_OBJECTS = "select type, name, tbl_name, coalesce(sql, '') from sqlite_master where name not like 'sqlite_%'"
_OBLIGATORY = """
select m.name || '.' || c.name from sqlite_master m join pragma_table_info(m.name) c
where m.type = 'table' and c."notnull" and c.dflt_value is null order by 1"""
_TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|[(),]|\s+|[^\s(),'"`\[]+""", re.DOTALL
)
_BEFORE = re.compile(r"^\s*create\s+(?:temp\w*\s+)?trigger\s+.*?\bbegin\b", re.IGNORECASE | re.DOTALL)


def found(connection: Connection) -> Found:
    """The definitions under vnsync's names, and the additions of others."""
    ours = {f"{t.name}.{c.name}" for t in schema.metadata.sorted_tables for c in t.columns}
    tables = tuple(f"{t.name}." for t in schema.metadata.sorted_tables)
    obligatory = [
        name
        for name in connection.exec_driver_sql(_OBLIGATORY).scalars()
        if name.startswith(tables) and name not in ours
    ]
    harmful, harmless = [f"the column {name} takes no null and has no default" for name in obligatory], []
    for name, body in _triggers(connection):
        if triggers.writes(body, [t.name for t in schema.metadata.sorted_tables]):
            harmful.append(f"the trigger {name} is not vnsync's, and may change what is written")
        else:
            harmless.append(f"the trigger {name} is not vnsync's, and changes nothing that vnsync writes")
    return Found(definitions=dict(_definitions(connection)), harmful=tuple(harmful), harmless=tuple(harmless))


def wanted() -> Definitions:
    """The wanted definitions: made in memory by the migrations."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        migrations.upgrade(engine)
        with engine.connect() as connection:
            return dict(_definitions(connection))
    finally:
        engine.dispose()  # the pool would keep its one connection open


def _definitions(connection: Connection) -> Iterator[tuple[tuple[str, str], str]]:
    ours = {t.name for t in schema.metadata.sorted_tables} | set(views.NAMES)
    for kind, name, table, sql in connection.exec_driver_sql(_OBJECTS):
        if table not in ours:
            continue
        if kind == "table":
            yield (kind, name), ""
            for part in _parts(sql):
                yield ("clause", f"{name}: {part}"), ""
        elif kind != "trigger":
            yield (kind, name), " ".join(_words(sql))


def _triggers(connection: Connection) -> Iterator[tuple[str, str]]:
    """Triggers on vnsync's tables, with the statements that they execute."""
    tables = set(schema.metadata.tables)
    for kind, name, table, sql in connection.exec_driver_sql(_OBJECTS):
        if kind == "trigger" and table in tables:
            yield name, _BEFORE.sub("", sql)


def _words(sql: str) -> list[str]:
    """The words of a statement in lower case, without comments and without the quotes around names."""
    words = []
    for token in _TOKEN.findall(sql):
        if token.isspace() or token.startswith(("--", "/*")):
            continue
        words.append(token if token.startswith("'") else token.strip('"`[]').lower())
    return words


def _parts(sql: str) -> list[str]:
    """The columns and constraints of a `create table`, each in normalized form."""
    depth, parts, part = 0, [], list[str]()
    for word in _words(sql):
        if word == "(" and depth == 0:
            depth, part = 1, []
            continue
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth == 0 or (depth == 1 and word == ","):
            if part:
                parts.append(" ".join(part))
            part = []
        else:
            part.append(word)
        if depth == 0 and parts:
            break
    return parts
