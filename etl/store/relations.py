"""Relations of a warehouse: every table and view with its columns and their sentences, gathered from the declarations.

Comments in databases and all that `vnsync describe` writes are made from this list.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from sqlalchemy import ForeignKeyConstraint, Table, Text

from etl.store import schema
from etl.store.declaring import MEANING
from etl.store.described import Link, Relation, RelationColumn, RelationKind
from etl.store.view_columns import VIEWS


@cache
def relations() -> tuple[Relation, ...]:
    """All relations: accounts, current tables, views, closed tables, then the others."""
    found = [*_tables(), *VIEWS, _version_table()]
    order = list(RelationKind)
    return tuple(sorted(found, key=lambda relation: order.index(relation.kind)))


def relation(name: str) -> Relation:
    """The relation of that name. Raises `KeyError` if there is none."""
    return _by_name()[name]


@cache
def _by_name() -> dict[str, Relation]:
    return {relation.name: relation for relation in relations()}


def _tables() -> Iterator[Relation]:
    kinds = {
        schema.accounts.name: RelationKind.ACCOUNTS,
        **{table.name: RelationKind.CURRENT for table in schema.current.values()},
        **{table.name: RelationKind.CLOSED for table in schema.closed.values()},
    }
    for table in schema.metadata.tables.values():
        yield Relation(
            name=table.name,
            kind=kinds.get(table.name, RelationKind.SERVICE),
            sentence=f"{table.info[MEANING]}.",
            columns=tuple(
                RelationColumn(name=c.name, type=c.type, meaning=c.info[MEANING], key=c.primary_key)
                for c in table.columns
            ),
            links=tuple(_links(table)),
        )


def _links(table: Table) -> Iterator[Link]:
    """The declared references, in the order of their columns."""
    constraints = sorted(table.foreign_key_constraints, key=lambda c: [table.c[n].name for n in c.column_keys])
    yield from map(_link, constraints)


def _link(constraint: ForeignKeyConstraint) -> Link:
    targets = [element.target_fullname.split(".") for element in constraint.elements]
    return Link(
        columns=tuple(constraint.column_keys), table=targets[0][0], referred=tuple(column for _, column in targets)
    )


def _version_table() -> Relation:
    return Relation(
        name=schema.VERSION_TABLE,
        kind=RelationKind.SERVICE,
        sentence=f"{schema.VERSION_MEANING}.",
        columns=tuple(
            RelationColumn(name=name, type=Text(), meaning=meaning, key=True)
            for name, meaning in schema.VERSION_COLUMNS.items()
        ),
    )
