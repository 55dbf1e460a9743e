"""Page docs/tables.md: every table and view with its columns, and a diagram of the current tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from etl.describe.diagram import diagram
from etl.describe.types import type_names
from etl.store.described import Relation, RelationColumn, RelationKind

_INTRODUCTION = """\
# Tables and views

<!-- This page is made by `vnsync describe --format markdown > docs/tables.md`. Edit the declarations, not the page. -->

Every table, view and column, with one sentence for each. The same sentences are comments in the database, in Parquet
files and in the formats of `vnsync describe` ([describe.md](describe.md)).

- Each key of the data begins with `account_id`, so one warehouse holds many accounts. Columns of primary keys are bold.
- References between data tables are foreign keys in SQLite; in PostgreSQL `vnsync verify` proves them
  ([why](adr/0008-no-foreign-keys-on-postgresql.md)).
- Times are in UTC: `timestamptz` in PostgreSQL, text `YYYY-MM-DD HH:MM:SS.ffffff` in SQLite. `activation_date` alone is
  in the account's time zone, as the API sends it.
- "API" names the method and the field that a value comes from. Columns without it are made by vnsync.
- Types are those of PostgreSQL. SQLite has `integer` for `bigint` and `boolean`, `text` for times and `jsonb`.
"""
_PARTS = {
    RelationKind.ACCOUNTS: ("Accounts", ""),
    RelationKind.CURRENT: ("What exists now", "Rows are updated in place; what is proved gone leaves the table."),
    RelationKind.ANSWERS: ("Views that answer questions", ""),
    RelationKind.HISTORY: (
        "What was",
        "Each of the eight tables has a view over all of its versions: the columns of the table, with the same meaning,"
        " and these.",
    ),
    RelationKind.CLOSED: (
        "Ended versions",
        "Each of the eight tables has a table for versions that have ended: its columns, with the same meaning, and"
        " these. Read the views above instead.",
    ),
    RelationKind.SERVICE: (
        "How it got there",
        "Tables that say how rows came into the warehouse, and what the next run needs.",
    ),
}


def markdown(relations: Sequence[Relation]) -> str:
    """The whole page."""
    picture = f"```mermaid\n{diagram(relations)}```\n"
    parts = [_part(kind, [each for each in relations if each.kind is kind], relations) for kind in RelationKind]
    return "\n".join([_INTRODUCTION, "## The picture\n", picture, *parts])


def _part(kind: RelationKind, own: Sequence[Relation], relations: Sequence[Relation]) -> str:
    title, remark = _PARTS[kind]
    head = [f"## {title}", "", *([remark, ""] if remark else [])]
    current = {each.name: each for each in relations if each.kind is RelationKind.CURRENT}
    if kind in (RelationKind.HISTORY, RelationKind.CLOSED):
        return "\n".join([*head, *_versions(own, current)])
    return "\n".join([*head, *(line for relation in own for line in _section(relation))])


def _section(relation: Relation) -> Iterator[str]:
    yield from (f"### `{relation.name}`", "", relation.sentence, "")
    yield from _columns(relation.columns)
    yield from (_references(relation), "") if relation.links else ()


def _references(relation: Relation) -> str:
    links = [f"`{', '.join(link.columns)}` -> `{link.table}`" for link in relation.links]
    return f"References: {'; '.join(links)}."


def _versions(own: Sequence[Relation], current: dict[str, Relation]) -> Iterator[str]:
    """The columns that the versions have beyond those of their tables, once, and a line for each relation."""
    first = own[0]
    known = {column.name for column in current[first.name.rpartition("_")[0]].columns}
    yield from _columns([column for column in first.columns if column.name not in known])
    yield from ("| name | rows |", "|---|---|")
    yield from (f"| `{relation.name}` | {relation.sentence} |" for relation in own)
    yield ""


def _columns(columns: Sequence[RelationColumn]) -> Iterator[str]:
    yield from ("| column | type | meaning | null | API |", "|---|---|---|---|---|")
    yield from map(_row, columns)
    yield ""


def _row(column: RelationColumn) -> str:
    meaning, kind = column.meaning, type_names(column.type)["postgresql"]
    name = f"**`{column.name}`**" if column.key else f"`{column.name}`"
    field = "" if meaning.field is None else f"`{meaning.field}`"
    cells = (name, kind, meaning.text, meaning.null or "", field)
    return f"|{''.join(f' {cell} |' if cell else ' |' for cell in cells)}"
