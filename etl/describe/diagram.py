"""Entity-relationship diagram of accounts, current tables and syncs, for Mermaid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from etl.describe.types import type_names
from etl.store.described import Link, Relation, RelationKind

_SHOWN = (RelationKind.ACCOUNTS, RelationKind.CURRENT)
_SYNCS = ("sync_runs", "account_syncs")
_ACCOUNT = "account_id"


def diagram(relations: Sequence[Relation]) -> str:
    """Mermaid's text of the diagram: the tables with their keys and references, and lines between them."""
    shown = [each for each in relations if each.kind in _SHOWN or each.name in _SYNCS]
    lines = [line for relation in shown for line in _lines_to(relation, shown)]
    boxes = [line for relation in shown for line in _box(relation)]
    return "\n".join(["erDiagram", *(f"    {line}" for line in (*lines, *boxes))]) + "\n"


def _lines_to(relation: Relation, shown: Sequence[Relation]) -> Iterator[str]:
    """A line for each reference. Tables that refer to no other table of theirs are drawn from their account."""
    names = {each.name for each in shown}
    links = [link for link in relation.links if link.table in names and not _is_run_of_row(relation, link)]
    for link in links:
        yield f'{link.table} {_end(relation, link)}--o{{ {relation.name} : "{", ".join(_own(link.columns))}"'
    if relation.kind is RelationKind.CURRENT and not links:
        yield f'accounts ||--o{{ {relation.name} : "{_ACCOUNT}"'
    if relation.name == _SYNCS[1]:  # the first sync of an account may have failed: then there is no account yet
        yield f'accounts |o--o{{ {relation.name} : "{_ACCOUNT}"'


def _is_run_of_row(relation: Relation, link: Link) -> bool:
    return link.table == _SYNCS[0] and relation.name not in _SYNCS


def _end(relation: Relation, link: Link) -> str:
    """Mermaid's sign for "one" or "one or none"."""
    optional = any(column.meaning.null for column in relation.columns if column.name in link.columns)
    return "|o" if optional else "||"


def _own(columns: Sequence[str]) -> list[str]:
    return [name for name in columns if name != _ACCOUNT]


def _box(relation: Relation) -> Iterator[str]:
    referring = {name for link in relation.links for name in link.columns}
    yield f"{relation.name} {{"
    for column in relation.columns:
        keys = [sign for sign, there in (("PK", column.key), ("FK", column.name in referring)) if there]
        kind = type_names(column.type)["postgresql"].replace("timestamp with time zone", "timestamptz")
        yield f"    {kind} {column.name} {', '.join(keys)}".rstrip()
    yield "}"
