"""Declaration of the data tables, the only one: schema, staging, comparison, views and all readers are built from it.

Keys and columns are those of the public contract. Every table also carries `account_id` as the first part of its key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """Kind of value in a column; each database has its own type for it."""

    INTEGER = "integer"
    TEXT = "text"
    BOOLEAN = "boolean"
    JSON = "json"


LONGEST_INDEXED = 600
"""Most characters of a text in an index: at most 2 400 bytes; an entry of PostgreSQL holds at most 2 704."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column beyond `account_id`."""

    name: str
    kind: Kind
    personal: bool = False
    """Whether it may identify a person: an erasure empties it, and the chain holds only a digest of it."""
    later: bool = False
    """Whether a release after the first added it. The chain's lines hold it only where it is not null, by its name, so
    that what was sealed before keeps its digest (`docs/chain.md`).
    """


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Columns of a table that refer to a row of another table, by that table's whole key."""

    columns: tuple[str, ...]
    table: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Table of current rows with history. `entity`: the name of one of its rows in texts for people.

    `per_number`: each row belongs to one number (the number itself, its links) and is added and removed with its
    record. The other tables are shared: a row exists as long as a row refers to it. `sought`: columns by which people
    look up rows, besides the key; `followed`: a part of the key by which rows are looked up in all accounts at once.
    `path`: place in a number's record from which the columns are read, as in `source_drift`.
    """

    name: str
    entity: str
    path: str
    key: tuple[Column, ...]
    values: tuple[Column, ...] = ()
    references: tuple[Reference, ...] = ()
    per_number: bool = False
    sought: tuple[str, ...] = ()
    followed: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """Key columns, then value columns: the order of a row's tuple."""
        return self.key + self.values

    @property
    def key_names(self) -> tuple[str, ...]:
        """Names of the key columns, without `account_id`."""
        return tuple(c.name for c in self.key)

    @property
    def personal(self) -> tuple[Column, ...]:
        """The columns that an erasure empties."""
        return tuple(c for c in self.columns if c.personal)

    @property
    def plain(self) -> tuple[Column, ...]:
        """The columns that stay when a number is erased."""
        return tuple(c for c in self.columns if not c.personal)

    @property
    def indexed_text(self) -> tuple[str, ...]:
        """Names of the text columns that some index covers, the primary key's among them."""
        covered = {*self.key_names, *self.sought, *self.followed, *(n for r in self.references for n in r.columns)}
        return tuple(c.name for c in self.columns if c.kind is Kind.TEXT and c.name in covered)

    @property
    def value_names(self) -> tuple[str, ...]:
        """Names of the value columns."""
        return tuple(c.name for c in self.values)

    def path_of(self, field: str) -> str:
        """Path of a field in a number's record: `$.scenarios[].is_active`."""
        return f"{self.path}.{field}"


def _columns(kind: Kind, *names: str, personal: bool = False) -> tuple[Column, ...]:
    return tuple(Column(name=name, kind=kind, personal=personal) for name in names)


_integers = Kind.INTEGER
_text = Kind.TEXT
_extra = _columns(Kind.JSON, "extra")
_of_number = Reference(columns=("virtual_number_id",), table="virtual_numbers")
_of_site = Reference(columns=("site_id",), table="sites")

VIRTUAL_NUMBERS = Table(
    name="virtual_numbers",
    entity="number",
    path="$",
    per_number=True,
    sought=("virtual_phone_number", "redirection_phone_number"),
    followed=("virtual_number_id",),
    key=_columns(_integers, "virtual_number_id"),
    values=(
        *_columns(_integers, "child_customer_id"),
        *_columns(_text, "virtual_phone_number", "redirection_phone_number", personal=True),
        *_columns(_text, "activation_date", "status", "category", "type"),
        *_columns(_text, "comment", "name", personal=True),
        *_columns(Kind.JSON, "extra", personal=True),
    ),
)
CAMPAIGNS = Table(
    name="campaigns",
    entity="campaign",
    path="$.campaigns[]",
    key=_columns(_integers, "campaign_id"),
    values=(*_columns(_text, "campaign_name"), *_columns(_integers, "site_id"), *_extra),
    references=(_of_site,),
)
SITES = Table(
    name="sites",
    entity="site",
    path="$.campaigns[]",
    key=_columns(_integers, "site_id"),
    values=_columns(_text, "site_domain_name"),
)
SITE_BLOCKS = Table(
    name="site_blocks",
    entity="site block",
    path="$.campaigns[].site_blocks[]",
    key=_columns(_integers, "site_block_id"),
    values=(*_columns(_text, "site_block_name"), *_columns(_integers, "site_id"), *_extra),
    references=(_of_site,),
)
SCENARIOS = Table(
    name="scenarios",
    entity="scenario",
    path="$.scenarios[]",
    key=_columns(_integers, "scenario_id"),
    values=_columns(_text, "scenario_name"),
)
NUMBER_CAMPAIGNS = Table(
    name="virtual_number_campaigns",
    entity="campaign of a number",
    path="$.campaigns[]",
    per_number=True,
    key=_columns(_integers, "virtual_number_id", "campaign_id"),
    references=(_of_number, Reference(columns=("campaign_id",), table="campaigns")),
)
NUMBER_SITE_BLOCKS = Table(
    name="virtual_number_site_blocks",
    entity="site block of a number",
    path="$.campaigns[].site_blocks[]",
    per_number=True,
    key=_columns(_integers, "virtual_number_id", "campaign_id", "site_block_id"),
    values=_columns(Kind.BOOLEAN, "is_tracking"),
    references=(
        Reference(columns=("virtual_number_id", "campaign_id"), table="virtual_number_campaigns"),
        Reference(columns=("site_block_id",), table="site_blocks"),
    ),
)
NUMBER_SCENARIOS = Table(
    name="virtual_number_scenarios",
    entity="scenario of a number",
    path="$.scenarios[]",
    per_number=True,
    key=_columns(_integers, "virtual_number_id", "scenario_id", "call_processing_rule_id"),
    values=(*_columns(Kind.BOOLEAN, "is_active"), *_extra),
    references=(_of_number, Reference(columns=("scenario_id",), table="scenarios")),
)

TABLES: tuple[Table, ...] = (
    VIRTUAL_NUMBERS,
    CAMPAIGNS,
    SITES,
    SITE_BLOCKS,
    SCENARIOS,
    NUMBER_CAMPAIGNS,
    NUMBER_SITE_BLOCKS,
    NUMBER_SCENARIOS,
)
"""The eight tables with history, in the contract's order."""

BY_NAME = {table.name: table for table in TABLES}


def referrers(table: Table) -> Iterator[tuple[Table, Reference]]:
    """The tables that refer to a shared `table`, so that its rows have to exist, each with its reference."""
    for other in TABLES:
        for reference in other.references:
            if reference.table == table.name:
                yield other, reference


def shared_tables() -> tuple[Table, ...]:
    """The shared tables, each after those that refer to it: the order in which unreferenced rows can be deleted."""
    shared = [t for t in TABLES if not t.per_number]
    return tuple(sorted(shared, key=lambda t: len([o for o, _ in referrers(t) if not o.per_number])))


def missing_bit(table: Table, column: str) -> int:
    """The bit of a staged row's `missing` which means that the source did not report `column`."""
    return 1 << [c.name for c in table.columns].index(column)
