"""The warehouse: runs, accounts, and eight tables of current rows, each with its closed versions.

A revision stands still: what it makes is written out here, whatever the program declares later.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
JSON = sa.Text().with_variant(JSONB(), "postgresql")

# table: (key, values, references)
DATA = {
    "virtual_numbers": (
        ("virtual_number_id",),
        {
            "child_customer_id": ID,
            "virtual_phone_number": sa.Text,
            "redirection_phone_number": sa.Text,
            "activation_date": sa.Text,
            "status": sa.Text,
            "category": sa.Text,
            "type": sa.Text,
            "comment": sa.Text,
            "name": sa.Text,
            "extra": JSON,
        },
        {},
    ),
    "campaigns": (
        ("campaign_id",),
        {"campaign_name": sa.Text, "site_id": ID, "extra": JSON},
        {("site_id",): ("sites", ("site_id",))},
    ),
    "sites": (("site_id",), {"site_domain_name": sa.Text}, {}),
    "site_blocks": (
        ("site_block_id",),
        {"site_block_name": sa.Text, "site_id": ID, "extra": JSON},
        {("site_id",): ("sites", ("site_id",))},
    ),
    "scenarios": (("scenario_id",), {"scenario_name": sa.Text}, {}),
    "virtual_number_campaigns": (
        ("virtual_number_id", "campaign_id"),
        {},
        {
            ("virtual_number_id",): ("virtual_numbers", ("virtual_number_id",)),
            ("campaign_id",): ("campaigns", ("campaign_id",)),
        },
    ),
    "virtual_number_site_blocks": (
        ("virtual_number_id", "campaign_id", "site_block_id"),
        {"is_tracking": sa.Boolean},
        {
            ("virtual_number_id", "campaign_id"): ("virtual_number_campaigns", ("virtual_number_id", "campaign_id")),
            ("site_block_id",): ("site_blocks", ("site_block_id",)),
        },
    ),
    "virtual_number_scenarios": (
        ("virtual_number_id", "scenario_id", "call_processing_rule_id"),
        {"is_active": sa.Boolean, "extra": JSON},
        {
            ("virtual_number_id",): ("virtual_numbers", ("virtual_number_id",)),
            ("scenario_id",): ("scenarios", ("scenario_id",)),
        },
    ),
}


def upgrade() -> None:
    _runs()
    _installations()
    _accounts()
    _findings()
    _erasures()
    _budgets()
    _listings()
    for name, (key, values, references) in DATA.items():
        _current(name, key, values, references)
        _closed(name, key, values)


def downgrade() -> None:
    for name in reversed(DATA):
        op.drop_table(f"{name}_closed")
    for name in reversed(DATA):
        op.drop_table(name)
    for name in ("listing_windows", "listing_states"):
        op.drop_table(name)
    for name in (
        "point_budgets",
        "account_claims",
        "erasures",
        "first_reported",
        "source_drift",
        "quarantine",
        "chain_sections",
    ):
        op.drop_table(name)
    for name in ("account_syncs", "accounts", "installations", "sync_runs"):
        op.drop_table(name)


def _id(name: str, *, nullable: bool = False, **more: object) -> sa.Column:
    return sa.Column(name, ID, nullable=nullable, **more)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _run_keys(table: str, *columns: str) -> list[sa.ForeignKeyConstraint]:
    return [sa.ForeignKeyConstraint([c], ["sync_runs.run_id"], name=f"fk_{table}_{c}") for c in columns]


def _make(name: str, *parts: object, types: str = "", **more: object) -> None:
    """A table. SQLite refuses values of a foreign storage class, in all columns or as the condition `types` says."""
    types = types or " and ".join(_typed(part) for part in parts if isinstance(part, sa.Column))
    check = sa.CheckConstraint(types, name=op.f(f"ck_{name}_types"))
    op.create_table(name, *parts, check.ddl_if(dialect="sqlite"), **more)


def _typed(column: sa.Column) -> str:
    kind = "text"
    if isinstance(column.type, sa.Integer | sa.Boolean):
        kind = "integer"
    elif isinstance(column.type, sa.LargeBinary):
        kind = "blob"
    return f"typeof({column.name}) " + (f"in ('{kind}', 'null')" if column.nullable else f"= '{kind}'")


def _runs() -> None:
    _make(
        "sync_runs",
        _id("run_id", autoincrement=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("exit_code", sa.Integer),
        sa.Column("source_url", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        _key("sync_runs", "run_id"),
        sa.CheckConstraint(
            "status in ('running', 'succeeded', 'partial', 'held', 'failed', 'interrupted')",
            name=op.f("ck_sync_runs_status"),
        ),
        sa.CheckConstraint("(status = 'running') = (finished_at is null)", name=op.f("ck_sync_runs_finished")),
    )


def _installations() -> None:
    _make(
        "installations",
        _id("binding_id", autoincrement=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("bound_at", TIME, nullable=False),
        _id("run_id", nullable=True),
        _key("installations", "binding_id"),
        *_run_keys("installations", "run_id"),
        sa.CheckConstraint("(binding_id = 1) = (run_id is not null)", name=op.f("ck_installations_first")),
    )


def _accounts() -> None:
    _make(
        "accounts",
        _id("account_id", autoincrement=False),
        sa.Column("account_name", sa.Text),
        sa.Column("timezone", sa.Text),
        _id("first_run_id"),
        _id("last_run_id"),
        _id("listed_by_user_id", nullable=True),
        sa.Column("listed_by_credential", sa.Text),
        sa.Column("described_at", TIME),
        sa.Column("users_compared_at", TIME),
        _key("accounts", "account_id"),
        *_run_keys("accounts", "first_run_id", "last_run_id"),
    )
    counts = ("unaccounted", "suspects", "duplicates", "conflicts", "quarantined", "rows_opened", "rows_closed")
    _make(
        "account_syncs",
        _id("run_id", autoincrement=False),
        _id("account_id", autoincrement=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("observed_at", TIME),
        sa.Column("strategy", sa.Text),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("retries", sa.Integer, nullable=False),
        sa.Column("reported_total", sa.Integer),
        sa.Column("listed_numbers", sa.Integer),
        *(sa.Column(name, sa.Integer, nullable=False) for name in counts),
        sa.Column("account_name", sa.Text),
        sa.Column("timezone", sa.Text),
        _id("listed_by_user_id", nullable=True),
        sa.Column("listed_by_credential", sa.Text),
        sa.Column("viewer_changed", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("unreachable", sa.Text),
        sa.Column("chain_digest", sa.Text),
        sa.Column("exit_code", sa.Integer, nullable=False, server_default="0"),
        sa.Column("error", sa.Text),
        _key("account_syncs", "run_id", "account_id"),
        *_run_keys("account_syncs", "run_id"),
        sa.CheckConstraint(
            "status in ('succeeded', 'held', 'failed', 'unreachable')", name=op.f("ck_account_syncs_status")
        ),
        sa.CheckConstraint(
            "(status = 'unreachable') = (unreachable is not null)", name=op.f("ck_account_syncs_unreachable")
        ),
        sa.CheckConstraint("status <> 'succeeded' or observed_at is not null", name=op.f("ck_account_syncs_observed")),
    )
    op.create_index(
        "ix_account_syncs_account_id_observed_at", "account_syncs", ["account_id", "observed_at"], unique=True
    )
    _make(
        "chain_sections",
        _id("account_id", autoincrement=False),
        _id("run_id", autoincrement=False),
        sa.Column("table_name", sa.Text, nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("versions", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("locator", sa.Text, nullable=False),
        _key("chain_sections", "account_id", "run_id", "table_name", "change"),
        *_run_keys("chain_sections", "run_id"),
        sa.CheckConstraint("change in ('closed', 'opened')", name=op.f("ck_chain_sections_change")),
    )
    _make(
        "account_claims",
        _id("account_id", autoincrement=False),
        _id("run_id"),
        _key("account_claims", "account_id"),
        *_run_keys("account_claims", "run_id"),
    )


def _findings() -> None:
    _make(
        "quarantine",
        _id("quarantine_id"),
        _id("run_id"),
        _id("account_id"),
        _id("virtual_number_id", nullable=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        _key("quarantine", "quarantine_id"),
        *_run_keys("quarantine", "run_id"),
    )
    op.create_index("ix_quarantine_account_id_run_id", "quarantine", ["account_id", "run_id"])
    _make(
        "source_drift",
        _id("account_id", autoincrement=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        _id("first_run_id"),
        _id("last_run_id"),
        _key("source_drift", "account_id", "path", "kind", "value"),
        *_run_keys("source_drift", "first_run_id", "last_run_id"),
    )
    _make(
        "first_reported",
        _id("account_id", autoincrement=False),
        sa.Column("path", sa.Text, nullable=False),
        _id("run_id", autoincrement=False),
        _key("first_reported", "account_id", "path", "run_id"),
        *_run_keys("first_reported", "run_id"),
    )


def _budgets() -> None:
    _make(
        "point_budgets",
        sa.Column("credential", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("roster", sa.Text),
        sa.Column("roster_at", TIME),
        sa.Column("leased_until", TIME),
        _key("point_budgets", "credential"),
    )


def _erasures() -> None:
    _make(
        "erasures",
        _id("account_id", autoincrement=False),
        _id("virtual_number_id", autoincrement=False),
        sa.Column("valid_from", TIME, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("erased_at", TIME, nullable=False),
        sa.Column("reason", sa.Text),
        _key("erasures", "account_id", "virtual_number_id", "valid_from"),
    )


def _listings() -> None:
    _make(
        "listing_states",
        _id("account_id", autoincrement=False),
        _id("run_id"),
        sa.Column("observed_at", TIME, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("drift_entries", sa.Text, nullable=False),
        _key("listing_states", "account_id"),
        *_run_keys("listing_states", "run_id"),
    )
    packed = ("ids", "digests", "phones")
    _make(
        "listing_windows",
        _id("account_id", autoincrement=False),
        _id("after_id", autoincrement=False),
        _id("upto_id", nullable=True),
        sa.Column("numbers", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("control_ids", sa.LargeBinary, nullable=False),
        sa.Column("drift_entries", sa.Text, nullable=False),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in packed),
        _key("listing_windows", "account_id", "after_id"),
    )
    if op.get_bind().dialect.name == "postgresql":  # digests do not compress, and trying takes longer than storing
        op.execute("alter table listing_windows " + ", ".join(f"alter {name} set storage external" for name in packed))


def _columns(key: tuple[str, ...], values: dict[str, object]) -> list[sa.Column]:
    return [
        *(_id(name, autoincrement=False) for name in ("account_id", *key)),
        *(sa.Column(name, kind) for name, kind in values.items()),
    ]


def _current(name: str, key: tuple[str, ...], values: dict, references: dict) -> None:
    foreign = [
        sa.ForeignKeyConstraint(
            ["account_id", *columns],
            [f"{target}.account_id", *(f"{target}.{c}" for c in target_key)],
            name=f"fk_{name}_account_id_{'_'.join(columns)}",
        ).ddl_if(dialect="sqlite")
        for columns, (target, target_key) in references.items()
    ]
    _make(
        name,
        *_columns(key, values),
        sa.Column("valid_from", TIME, nullable=False),
        _id("opened_run_id"),
        _key(name, "account_id", *key),
        *foreign,
        types="valid_from >= '' and valid_from < x''",
        sqlite_with_rowid=False,
    )
    for columns in references:
        if columns != key[: len(columns)]:
            op.create_index(f"ix_{name}_{'_'.join(columns)}", name, ["account_id", *columns])
    _asked(name, key)
    brin = {"postgresql_using": "brin", "postgresql_with": {"pages_per_range": 16}}
    op.create_index(f"ix_{name}_valid_from", name, ["valid_from"], **brin)


def _closed(name: str, key: tuple[str, ...], values: dict) -> None:
    _make(
        f"{name}_closed",
        *_columns(key, values),
        sa.Column("valid_from", TIME, nullable=False),
        sa.Column("valid_to", TIME, nullable=False),
        _id("opened_run_id"),
        _id("closed_run_id"),
        _key(f"{name}_closed", "account_id", *key, "valid_from"),
        *_run_keys(f"{name}_closed", "opened_run_id", "closed_run_id"),
        sa.CheckConstraint("valid_to > valid_from", name=op.f(f"ck_{name}_closed_period")),
        sqlite_with_rowid=False,
    )
    _asked(f"{name}_closed", key)
    for instant in ("valid_from", "valid_to"):
        op.create_index(f"ix_{name}_closed_{instant}", f"{name}_closed", [instant])


def _asked(table: str, key: tuple[str, ...]) -> None:
    if key == ("virtual_number_id",):
        for column in ("virtual_phone_number", "redirection_phone_number", "virtual_number_id"):
            filled = sa.column(column).is_not(None)
            where = {"postgresql_where": filled, "sqlite_where": filled}
            op.create_index(f"ix_{table}_{column}", table, [column], **where)
