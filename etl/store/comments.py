"""Comments in PostgreSQL: each table, view and column gets its sentence where it has no comment.

A comment that reads otherwise is left alone, because somebody else may have written it; `vnsync doctor` mentions such
comments, and `vnsync db upgrade --comments` replaces them. Only the owner of a relation may comment on it, so relations
of other owners are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from sqlalchemy import Connection, Engine, text

from etl.store import home
from etl.store.engine import database_errors

_FOUND = """
select c.relname, c.relkind = 'v' as is_view, part.attname, d.description, pg_has_role(c.relowner, 'USAGE') as is_owner
from pg_catalog.pg_class c
cross join lateral (select 0 as attnum, null::name as attname union all
  select a.attnum, a.attname from pg_catalog.pg_attribute a
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) part
left join pg_catalog.pg_description d on d.objoid = c.oid and d.classoid = 'pg_catalog.pg_class'::regclass
  and d.objsubid = part.attnum
where c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = current_schema())
  and c.relkind in ('r', 'p', 'v') and c.relname = any(:names)
order by c.relname, part.attnum
"""
_VERBATIM = {"no_parameters": True}


class Comment(Struct, frozen=True, kw_only=True):
    """Comment on a relation, or on its `column`: the one that was found, and the sentence that belongs there."""

    relation: str
    column: str | None
    is_view: bool
    found: str | None
    sentence: str
    is_owner: bool

    @property
    def is_missing(self) -> bool:
        """Whether there is no comment."""
        return self.found is None

    @property
    def is_others(self) -> bool:
        """Whether there is a comment that is not the sentence."""
        return self.found is not None and self.found != self.sentence

    def __str__(self) -> str:
        return self.relation if self.column is None else f"{self.relation}.{self.column}"


def read(connection: Connection) -> list[Comment]:
    """The comments on vnsync's tables, views and columns, also where one is missing; none in SQLite."""
    if connection.dialect.name != "postgresql":
        return []
    sentences = _sentences()
    rows = connection.execute(text(_FOUND), {"names": list({relation for relation, _ in sentences})})
    return [
        Comment(
            relation=relation,
            column=column,
            is_view=is_view,
            found=found,
            sentence=sentences[relation, column],
            is_owner=is_owner,
        )
        for relation, is_view, column, found, is_owner in rows
        if (relation, column) in sentences
    ]


def write(connection: Connection, *, anew: bool = False) -> int:
    """Write the missing comments of relations that the role owns, and with `anew` those that differ; how many."""
    wrong = [c for c in read(connection) if c.is_owner and (c.is_missing or (anew and c.is_others))]
    if wrong:
        statements = ";\n".join(_statement(connection, comment) for comment in wrong)
        connection.exec_driver_sql(statements, execution_options=_VERBATIM)
    return len(wrong)


def notes(engine: Engine) -> list[str]:
    """Sentences about comments that are missing or differ, for `vnsync doctor`."""
    with database_errors(), engine.connect() as connection:
        return list(_notes(read(connection)))


def _notes(found: list[Comment]) -> Iterator[str]:
    missing, others = [c for c in found if c.is_missing], [c for c in found if c.is_others]
    if missing:
        yield (
            f"{_counted(missing)} missing, the first on {missing[0]}; `vnsync db upgrade` as the owner of the tables"
            " writes what is missing"
        )
    if others:
        yield (
            f"{_counted(others)} not the text of this version of vnsync, the first on {others[0]}; that is harmless,"
            " and `vnsync db upgrade --comments` writes vnsync's own texts over them"
        )


def _counted(comments: list[Comment]) -> str:
    return "1 comment is" if len(comments) == 1 else f"{len(comments)} comments are"


def _sentences() -> dict[tuple[str, str | None], str]:
    """The sentence of each relation (with None) and of each of its columns."""
    from etl.store.relations import relations  # not on the way of every run

    return {
        (relation.name, column): sentence
        for relation in relations()
        for column, sentence in [(None, relation.sentence), *((c.name, c.meaning.sentence) for c in relation.columns)]
    }


def _statement(connection: Connection, comment: Comment) -> str:
    quote = connection.dialect.identifier_preparer.quote_identifier
    name = f"{home.quoted(connection)}.{quote(comment.relation)}"
    if comment.column is not None:
        name = f"column {name}.{quote(comment.column)}"
    else:
        name = f"{'view' if comment.is_view else 'table'} {name}"
    literal = comment.sentence.replace("'", "''")
    return f"comment on {name} is '{literal}'"
