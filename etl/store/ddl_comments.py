"""Comments in SQLite, which has no COMMENT ON: sentences in the text of `create table` and `create view`.

SQLite keeps these texts: `.schema` and other tools show them. The text of a table stays as it was when the table was
made; a view is made again by `db upgrade` when a sentence has changed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, event

_HEAD = re.compile(r'\s*+CREATE TABLE "?(?:_alembic_tmp_)?(\w+)"? \($')
"""First line of a statement of SQLAlchemy; Alembic makes a table anew under another name, and renames it."""


@contextlib.contextmanager
def added(connection: Connection) -> Iterator[None]:
    """Add the sentences to tables that are made in the block, if the database is SQLite."""
    if connection.dialect.name != "sqlite":
        yield
        return
    event.listen(connection, "before_cursor_execute", _edit, retval=True)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", _edit)


def _edit(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> tuple[str, Any]:
    return commented(statement), parameters


def commented(statement: str) -> str:
    """A statement of SQLAlchemy; a `create table` of a known table with a sentence at the end of each column's line."""
    from etl.store.relations import relation, relations

    head, *lines = statement.strip("\n").split("\n")
    found = _HEAD.match(head)
    if not found or found[1] not in {each.name for each in relations()}:
        return statement
    made = relation(found[1])
    sentences = {column.name: column.meaning.sentence for column in made.columns}
    return "\n".join([f"{head} -- {made.sentence}", *(_line(line, sentences) for line in lines)])


def _line(line: str, sentences: dict[str, str]) -> str:
    """Only a line that ends with a comma: what follows a last column could stand behind the comment."""
    name = line.strip().partition(" ")[0].strip('"')
    is_column = line.startswith("\t") and line.rstrip().endswith(",") and name in sentences
    return f"{line.rstrip()} -- {sentences[name]}" if is_column else line


def without_lines(sql: str) -> str:
    """The text of a view without lines that are comments."""
    return "\n".join(line for line in sql.split("\n") if not line.startswith("--"))


def with_sentences(view: str, query: str) -> str:
    """The query of a view below comments with the sentences of the view and of its columns."""
    from etl.store.relations import relation

    made = relation(view)
    lines = [made.sentence, *(f"{column.name}: {column.meaning.sentence}" for column in made.columns)]
    return "".join(f"-- {line}\n" for line in lines) + query
