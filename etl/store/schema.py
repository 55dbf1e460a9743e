"""Schema of the warehouse for SQLAlchemy; the data tables are made from the declarations in `domain.tables`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    event,
    false,
)

from etl.domain import tables as declared
from etl.store.types import ID, TYPES, UtcDateTime, storage_class

VERSION_TABLE = "vnsync_version"
"""Table in which Alembic keeps the schema's version. Its name is our own: other programs use `alembic_version`."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def _key(name: str) -> Column[int]:
    return Column(name, ID, primary_key=True, autoincrement=False, nullable=False)


def _runs(*names: str) -> list[ForeignKeyConstraint]:
    return [ForeignKeyConstraint([name], ["sync_runs.run_id"]) for name in names]


sync_runs = Table(
    "sync_runs",
    metadata,
    _key("run_id"),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("status", Text, nullable=False),
    Column("exit_code", Integer),
    Column("source_url", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("error", Text),
    CheckConstraint("status in ('running', 'succeeded', 'partial', 'held', 'failed', 'interrupted')", name="status"),
    CheckConstraint("(status = 'running') = (finished_at is null)", name="finished"),
)

installations = Table(
    "installations",
    metadata,
    _key("binding_id"),
    Column("origin", Text, nullable=False),
    Column("bound_at", UtcDateTime, nullable=False),
    Column("run_id", ID),
    CheckConstraint("(binding_id = 1) = (run_id is not null)", name="first"),
    *_runs("run_id"),
)
"""Installations to which the accounts belong. The highest `binding_id` is in force; the others stay as a record."""

accounts = Table(
    "accounts",
    metadata,
    _key("account_id"),
    Column("account_name", Text),
    Column("timezone", Text),
    Column("first_run_id", ID, nullable=False),
    Column("last_run_id", ID, nullable=False),
    Column("listed_by_user_id", ID),
    Column("listed_by_credential", Text),
    Column("described_at", UtcDateTime),
    Column("users_compared_at", UtcDateTime),
    *_runs("first_run_id", "last_run_id"),
)
"""Facts about each account. `listed_by_...`: the viewer through whom its open numbers were listed; `described_at`: when
name and time zone were last requested; `users_compared_at`: when the listings of its other users were last compared."""

account_syncs = Table(
    "account_syncs",
    metadata,
    _key("run_id"),
    _key("account_id"),
    Column("status", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("observed_at", UtcDateTime),
    Column("strategy", Text),
    Column("requests", Integer, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("reported_total", Integer),
    Column("listed_numbers", Integer),
    *(
        Column(name, Integer, nullable=False)
        for name in ("unaccounted", "suspects", "duplicates", "conflicts", "quarantined", "rows_opened", "rows_closed")
    ),
    Column("account_name", Text),
    Column("timezone", Text),
    Column("listed_by_user_id", ID),
    Column("listed_by_credential", Text),
    Column("viewer_changed", Boolean, nullable=False, server_default=false()),
    Column("unreachable", Text),
    Column("chain_digest", Text),
    Column("exit_code", Integer, nullable=False, server_default="0"),
    Column("error", Text),
    CheckConstraint("status in ('succeeded', 'held', 'failed', 'unreachable')", name="status"),
    CheckConstraint("(status = 'unreachable') = (unreachable is not null)", name="unreachable"),
    CheckConstraint("status <> 'succeeded' or observed_at is not null", name="observed"),
    Index("ix_account_syncs_account_id_observed_at", "account_id", "observed_at", unique=True),
    *_runs("run_id"),
)

chain_sections = Table(
    "chain_sections",
    metadata,
    _key("account_id"),
    _key("run_id"),
    Column("table_name", Text, primary_key=True),
    Column("change", Text, primary_key=True),
    Column("versions", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("locator", Text, nullable=False),
    CheckConstraint("change in ('closed', 'opened')", name="change"),
    *_runs("run_id"),
)
"""Sections of the chain's links, so that `verify` can name the table and the row that was edited."""

quarantine = Table(
    "quarantine",
    metadata,
    Column("quarantine_id", ID, primary_key=True),
    Column("run_id", ID, nullable=False),
    Column("account_id", ID, nullable=False),
    Column("virtual_number_id", ID),
    Column("path", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("record", Text, nullable=False),
    Index("ix_quarantine_account_id_run_id", "account_id", "run_id"),
    *_runs("run_id"),
)

source_drift = Table(
    "source_drift",
    metadata,
    _key("account_id"),
    Column("path", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("first_run_id", ID, nullable=False),
    Column("last_run_id", ID, nullable=False),
    *_runs("first_run_id", "last_run_id"),
)

first_reported = Table(
    "first_reported",
    metadata,
    _key("account_id"),
    Column("path", Text, primary_key=True),
    _key("run_id"),
    *_runs("run_id"),
)
"""Fields that a run received for an account whose previous sync did not have them: known since then, not changed then.

`path` is written as in `source_drift`. One row for each time: a source may change its edition back and forth.
"""

erasures = Table(
    "erasures",
    metadata,
    _key("account_id"),
    _key("virtual_number_id"),
    Column("valid_from", UtcDateTime, primary_key=True, nullable=False),
    Column("digest", Text, nullable=False),
    Column("erased_at", UtcDateTime, nullable=False),
    Column("reason", Text),
)
"""Versions of numbers whose personal columns were emptied, with the digest of the old values: the chain stays valid."""

account_claims = Table(
    "account_claims",
    metadata,
    _key("account_id"),
    Column("run_id", ID, nullable=False),
    *_runs("run_id"),
)
"""Claims: the live run that is about to publish each account. The claim of a dead run has no effect."""

point_budgets = Table(
    "point_budgets",
    metadata,
    Column("credential", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("roster", Text),
    Column("roster_at", UtcDateTime),
    Column("leased_until", UtcDateTime),
)
"""API points of each token, where processes share them, and its roster. The table may be emptied at any time."""

listing_states = Table(
    "listing_states",
    metadata,
    _key("account_id"),
    Column("run_id", ID, nullable=False),
    Column("observed_at", UtcDateTime, nullable=False),
    Column("version", Text, nullable=False),
    Column("drift_entries", Text, nullable=False),
    *_runs("run_id"),
)
"""Published sync to which the rows of `listing_windows` belong. Both tables may be emptied at any time."""

listing_windows = Table(
    "listing_windows",
    metadata,
    _key("account_id"),
    _key("after_id"),
    Column("upto_id", ID),
    Column("numbers", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("control_ids", LargeBinary, nullable=False),
    Column("drift_entries", Text, nullable=False),
    Column("ids", LargeBinary, nullable=False),
    Column("digests", LargeBinary, nullable=False),
    Column("phones", LargeBinary, nullable=False),
)
"""Fingerprints of the listing, a row for each window; ids and others are packed, because they are read as a whole."""


def _data_columns(table: declared.Table) -> list[Column[object]]:
    key = [Column(c.name, TYPES[c.kind], primary_key=True, autoincrement=False, nullable=False) for c in table.key]
    return [_key("account_id"), *key, *(Column(c.name, TYPES[c.kind]) for c in table.values)]


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
        Column("valid_from", UtcDateTime, nullable=False),
        Column("opened_run_id", ID, nullable=False),
        *_foreign_keys(table),
        *_indexes(table),
        *_lookup_indexes(table, table.name),
        _begin_index(table.name),
        sqlite_with_rowid=False,
    )


def _closed(table: declared.Table) -> Table:
    return Table(
        f"{table.name}_closed",
        metadata,
        *_data_columns(table),
        Column("valid_from", UtcDateTime, primary_key=True, nullable=False),
        Column("valid_to", UtcDateTime, nullable=False),
        Column("opened_run_id", ID, nullable=False),
        Column("closed_run_id", ID, nullable=False),
        CheckConstraint("valid_to > valid_from", name="period"),
        *_lookup_indexes(table, f"{table.name}_closed"),
        Index(f"ix_{table.name}_closed_valid_from", "valid_from"),
        Index(f"ix_{table.name}_closed_valid_to", "valid_to"),
        *_runs("opened_run_id", "closed_run_id"),
        sqlite_with_rowid=False,
    )


current = {t.name: _current(t) for t in declared.TABLES}
"""Tables of current rows, by table name."""
closed = {t.name: _closed(t) for t in declared.TABLES}
"""Tables of closed versions, by the name of the table of current rows."""


# -- storage classes, which PostgreSQL's types refuse by themselves


def _check_types(table: Table) -> None:
    """Refuse values of a wrong storage class in SQLite: in every column, but of current rows only in `valid_from`.

    A first load writes hundreds of thousands of current rows; the whole check would make it 8 % slower (docs/chain.md).
    """
    columns = [table.c.valid_from] if table.name in current else list(table.columns)
    check = CheckConstraint(" and ".join(map(_typed, columns)), name="types", info=_SQLITE_ONLY)
    table.append_constraint(check.ddl_if(dialect="sqlite"))


def _typed(column: Column[Any]) -> str:
    kind = storage_class(column.type)
    return f"typeof({column.name}) " + (f"in ('{kind}', 'null')" if column.nullable else f"= '{kind}'")


for _table in metadata.tables.values():
    _check_types(_table)
