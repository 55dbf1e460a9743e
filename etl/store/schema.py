"""Schema of the warehouse for SQLAlchemy; the data tables are made from the declarations in `domain.tables`.

The other tables are declared in `service_tables`, and are attributes of this module, too.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Column, Connection, ForeignKeyConstraint, Index, Table, event

from etl.domain import tables as declared
from etl.domain.meaning import Meaning
from etl.store.declaring import MEANING, account_key, column, meant, run_references
from etl.store.declaring import metadata as metadata
from etl.store.service_tables import account_claims as account_claims
from etl.store.service_tables import account_syncs as account_syncs
from etl.store.service_tables import accounts as accounts
from etl.store.service_tables import chain_sections as chain_sections
from etl.store.service_tables import erasures as erasures
from etl.store.service_tables import first_reported as first_reported
from etl.store.service_tables import installations as installations
from etl.store.service_tables import listing_states as listing_states
from etl.store.service_tables import listing_windows as listing_windows
from etl.store.service_tables import point_budgets as point_budgets
from etl.store.service_tables import quarantine as quarantine
from etl.store.service_tables import source_drift as source_drift
from etl.store.service_tables import sync_runs as sync_runs
from etl.store.types import ID, TYPES, UtcDateTime, storage_class

VERSION_TABLE = "vnsync_version"
"""Table in which Alembic keeps the schema's version. Its name is our own: other programs use `alembic_version`."""
VERSION_MEANING = "Version of the schema, one row"
VERSION_COLUMNS = {"version_num": Meaning(text="Revision of the migrations that made the schema, such as 0001")}
"""Meaning of that table and of its column, which Alembic makes."""


def _data_columns(table: declared.Table) -> list[Column[Any]]:
    key = [_data_column(table, c, primary_key=True, autoincrement=False) for c in table.key]
    return [account_key(), *key, *(_data_column(table, c) for c in table.values)]


def _data_column(table: declared.Table, declaration: declared.Column, **more: Any) -> Column[Any]:
    return meant(declaration.name, TYPES[declaration.kind], table.meaning_of(declaration), **more)


def _valid_from(**more: Any) -> Column[Any]:
    return column("valid_from", UtcDateTime, "Instant in UTC at which the version was first observed", **more)


def _opened_run_id() -> Column[Any]:
    return column("opened_run_id", ID, "Run that observed the beginning of the version")


ONLY_ON = "only_on"
"""Key in a constraint's `info`: the one dialect on which it is declared."""
_SQLITE_ONLY = {ONLY_ON: "sqlite"}


def _foreign_keys(table: declared.Table) -> list[ForeignKeyConstraint]:
    """Foreign keys, declared only in SQLite, where they cost nothing; in PostgreSQL `verify` checks them (ADR 0008)."""
    return [
        ForeignKeyConstraint(
            ["account_id", *reference.columns],
            [f"{reference.table}.account_id", *(f"{reference.table}.{n}" for n in _target_key(reference))],
            info=_SQLITE_ONLY,
        ).ddl_if(dialect="sqlite")
        for reference in table.references
    ]


def _target_key(reference: declared.Reference) -> tuple[str, ...]:
    return declared.BY_NAME[reference.table].key_names


def _indexes(table: declared.Table) -> list[Index]:
    """One index for each reference that the primary key does not serve: rows that refer to a campaign, a site, ..."""
    led_by_key = table.key_names
    return [
        Index(f"ix_{table.name}_{'_'.join(r.columns)}", "account_id", *r.columns)
        for r in table.references
        if r.columns != led_by_key[: len(r.columns)]
    ]


def _lookup_indexes(table: declared.Table, name: str) -> list[Index]:
    """Indexes to look up a phone number or an id in all accounts at once, so they do not begin with the account."""
    indexes = [Index(f"ix_{name}_{column}", column) for column in (*table.sought, *table.followed)]
    for index in indexes:
        event.listen(index, "before_create", _without_nulls)
    return indexes


def _without_nulls(index: Index, connection: Connection, **_more: object) -> None:
    """Leave out rows without a value: most numbers have no redirection number and then cost the index nothing."""
    (column,) = index.columns
    index.dialect_options[connection.dialect.name]["where"] = column.is_not(None)


def _begin_index(name: str) -> Index:
    """Index by begin of rows. A first load writes it for every row, so in PostgreSQL it is the cheapest kind, BRIN."""
    index = Index(f"ix_{name}_valid_from", "valid_from")
    event.listen(index, "before_create", _as_brin)
    return index


def _as_brin(index: Index, connection: Connection, **_more: object) -> None:
    """Set the kind when the index is created: in the declaration, users of SQLite would import PostgreSQL's dialect."""
    if connection.dialect.name == "postgresql":
        index.dialect_options["postgresql"].update({"using": "brin", "with": {"pages_per_range": 16}})


def _current(table: declared.Table) -> Table:
    return Table(
        table.name,
        metadata,
        *_data_columns(table),
        _valid_from(),
        _opened_run_id(),
        *_foreign_keys(table),
        *_indexes(table),
        *_lookup_indexes(table, table.name),
        _begin_index(table.name),
        sqlite_with_rowid=False,
        info={MEANING: table.meaning},
    )


def _closed(table: declared.Table) -> Table:
    return Table(
        f"{table.name}_closed",
        metadata,
        *_data_columns(table),
        _valid_from(primary_key=True),
        column("valid_to", UtcDateTime, "Instant in UTC at which the version was first observed to have ended"),
        _opened_run_id(),
        column("closed_run_id", ID, "Run that observed the end of the version"),
        CheckConstraint("valid_to > valid_from", name="period"),
        *_lookup_indexes(table, f"{table.name}_closed"),
        Index(f"ix_{table.name}_closed_valid_from", "valid_from"),
        Index(f"ix_{table.name}_closed_valid_to", "valid_to"),
        *run_references("opened_run_id", "closed_run_id"),
        sqlite_with_rowid=False,
        info={MEANING: f"Versions of rows of {table.name} that have ended, by a change or because the row is gone"},
    )


current = {t.name: _current(t) for t in declared.TABLES}
"""Tables of current rows, by table name."""
closed = {t.name: _closed(t) for t in declared.TABLES}
"""Tables of closed versions, by the name of the table of current rows."""


# -- storage classes, which PostgreSQL's types refuse by themselves


_IS_TEXT = "valid_from >= '' and valid_from < x''"
"""Condition that an instant is text, which sorts after numbers and before blobs. With a call such as `typeof`, SQLite
would keep a copy of each page that an INSERT of many rows changes, even of one that need not be undone.
"""


def _check_types(table: Table) -> None:
    """Refuse values of a wrong storage class in SQLite: in every column, but of current rows only in `valid_from`.

    A first load writes hundreds of thousands of current rows; the whole check would make it 8 % slower (docs/chain.md).
    """
    check = _IS_TEXT if table.name in current else " and ".join(map(_typed, table.columns))
    constraint = CheckConstraint(check, name="types", info=_SQLITE_ONLY)
    table.append_constraint(constraint.ddl_if(dialect="sqlite"))


def _typed(column: Column[Any]) -> str:
    kind = storage_class(column.type)
    return f"typeof({column.name}) " + (f"in ('{kind}', 'null')" if column.nullable else f"= '{kind}'")


for _table in metadata.tables.values():
    _check_types(_table)
