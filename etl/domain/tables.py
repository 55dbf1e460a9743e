"""Declaration of the data tables, the only one: schema, staging, comparison, views and all readers are built from it.

Keys and columns are those of the public contract. Every table also carries `account_id` as the first part of its key.
Each table and column has its sentence beside it (`meaning`): comments, docs and metadata are made from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from functools import partial
from typing import Any

from msgspec import Struct

from etl.domain.meaning import Meaning

METHOD = "get.virtual_numbers"
REST = "*"
"""Name, in paths, of the fields that have no column; `extra` holds them."""
"""The API's method whose answer holds every field of these tables."""
NOT_SENT = "the API sent none"


class Kind(Enum):
    """Kind of value in a column; each database has its own type for it."""

    INTEGER = "integer"
    TEXT = "text"
    BOOLEAN = "boolean"
    JSON = "json"


LONGEST_INDEXED = 600
"""Most characters of a text in an index: at most 2 400 bytes; an entry of PostgreSQL holds at most 2 704."""


class Column(Struct, frozen=True, kw_only=True):
    """One column beyond `account_id`."""

    name: str
    kind: Kind
    meaning: str = ""
    """What it holds, with unit and time zone; the beginning of its sentence."""
    null: str = NOT_SENT
    """What null means, in a value column."""
    field: str | None = None
    """Path in a number's record, if it is not the table's `path` and the column's name."""
    personal: bool = False
    """Whether it may identify a person: an erasure empties it, and the chain holds only a digest of it."""
    later: bool = False
    """Whether a release after the first added it. The chain's lines hold it only where it is not null, by its name, so
    that what was sealed before keeps its digest (`docs/chain.md`).
    """


class Reference(Struct, frozen=True, kw_only=True):
    """Columns of a table that refer to a row of another table, by that table's whole key."""

    columns: tuple[str, ...]
    table: str


class Table(Struct, frozen=True, kw_only=True):
    """Table of current rows with history. `entity`: the name of one of its rows in texts for people.

    `per_number`: each row belongs to one number (the number itself, its links) and is added and removed with its
    record. The other tables are shared: a row exists as long as a row refers to it. `sought`: columns by which people
    look up rows, besides the key; `followed`: a part of the key by which rows are looked up in all accounts at once.
    `path`: place in a number's record from which the columns are read, as in `source_drift`. `meaning`: one sentence
    about its current rows, without a full stop.
    """

    name: str
    entity: str
    meaning: str
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
    def value_names(self) -> tuple[str, ...]:
        """Names of the value columns."""
        return tuple(c.name for c in self.values)

    def path_of(self, field: str) -> str:
        """Path of a field in a number's record: `$.scenarios[].is_active`."""
        return f"{self.path}.{field}"

    def source_of(self, column: Column) -> str:
        """Path of the field that a column is made from: `$.id`; of `extra` that of the fields without a column."""
        return column.field or self.path_of(column.name)

    def meaning_of(self, column: Column) -> Meaning:
        """The meaning of one of the columns."""
        null = f"{column.null}, or erased" if column.personal else column.null
        return Meaning(
            text=column.meaning,
            null=None if column in self.key else null,
            field=f"{METHOD} {self.source_of(column)}",
            personal=column.personal,
        )


def _column(kind: Kind, name: str, meaning: str, **more: Any) -> Column:
    return Column(name=name, kind=kind, meaning=meaning, **more)


_integer = partial(_column, Kind.INTEGER)
_text = partial(_column, Kind.TEXT)
_truth = partial(_column, Kind.BOOLEAN)


def _extra(path: str, *, personal: bool = False) -> Column:
    text = "Fields of the API's object that have no column, as a JSON object"
    null = "the API sent no such field"
    return _column(Kind.JSON, "extra", text, null=null, field=f"{path}.{REST}", personal=personal)


_of_number = Reference(columns=("virtual_number_id",), table="virtual_numbers")
_of_site = Reference(columns=("site_id",), table="sites")

VIRTUAL_NUMBERS = Table(
    name="virtual_numbers",
    entity="number",
    meaning="Virtual numbers that each account has now, one row for each",
    path="$",
    per_number=True,
    sought=("virtual_phone_number", "redirection_phone_number"),
    followed=("virtual_number_id",),
    key=(_integer("virtual_number_id", "Id of the number", field="$.id"),),
    values=(
        _integer("child_customer_id", "Id of the agent's customer that has the number"),
        _text("virtual_phone_number", "Phone number as sent, usually digits with the country code", personal=True),
        _text("redirection_phone_number", "Phone number to which calls are redirected, as sent", personal=True),
        _text("activation_date", "Time of activation as sent, in the account's time zone and never converted"),
        _text("status", "State of the number in the vendor's word, such as active or limit_lock"),
        _text("category", "Category of the number in the vendor's word, such as usual or gold"),
        _text("type", "Kind of use in the vendor's word: va, call_tracking or dynamic_call_tracking"),
        _text("comment", "Comment that a user wrote about the number", personal=True),
        _text("name", "Name that a user gave to the number", personal=True),
        _extra("$", personal=True),
    ),
)
CAMPAIGNS = Table(
    name="campaigns",
    entity="campaign",
    meaning="Advertising campaigns that hold a number now, one row for each",
    path="$.campaigns[]",
    key=(_integer("campaign_id", "Id of the campaign"),),
    values=(
        _text("campaign_name", "Name of the campaign"),
        _integer("site_id", "Id of the site to which the campaign belongs"),
        _extra("$.campaigns[]"),
    ),
    references=(_of_site,),
)
SITES = Table(
    name="sites",
    entity="site",
    meaning="Websites to which a campaign or a site block of a number belongs now, one row for each",
    path="$.campaigns[]",
    key=(_integer("site_id", "Id of the site"),),
    values=(_text("site_domain_name", "Domain name of the site"),),
)
SITE_BLOCKS = Table(
    name="site_blocks",
    entity="site block",
    meaning="Number blocks of websites in which a number is shown now, one row for each",
    path="$.campaigns[].site_blocks[]",
    key=(_integer("site_block_id", "Id of the site block"),),
    values=(
        _text("site_block_name", "Name of the site block"),
        _integer("site_id", "Id of the site that has the block", field="$.campaigns[].site_id"),
        _extra("$.campaigns[].site_blocks[]"),
    ),
    references=(_of_site,),
)
SCENARIOS = Table(
    name="scenarios",
    entity="scenario",
    meaning="Scenarios that process the calls of a number now, one row for each",
    path="$.scenarios[]",
    key=(_integer("scenario_id", "Id of the scenario"),),
    values=(_text("scenario_name", "Name of the scenario"),),
)
NUMBER_CAMPAIGNS = Table(
    name="virtual_number_campaigns",
    entity="campaign of a number",
    meaning="Links that say which campaign holds which number now, one row for each pair",
    path="$.campaigns[]",
    per_number=True,
    key=(
        _integer("virtual_number_id", "Id of the number that the campaign holds", field="$.id"),
        _integer("campaign_id", "Id of the campaign that holds the number"),
    ),
    references=(_of_number, Reference(columns=("campaign_id",), table="campaigns")),
)
NUMBER_SITE_BLOCKS = Table(
    name="virtual_number_site_blocks",
    entity="site block of a number",
    meaning="Links that say in which site block a campaign shows a number now, one row for each",
    path="$.campaigns[].site_blocks[]",
    per_number=True,
    key=(
        _integer("virtual_number_id", "Id of the number that is shown", field="$.id"),
        _integer("campaign_id", "Id of the campaign that holds the number", field="$.campaigns[].campaign_id"),
        _integer("site_block_id", "Id of the site block in which the number is shown"),
    ),
    values=(_truth("is_tracking", "Whether call tracking is on for the number in this site block, as sent"),),
    references=(
        Reference(columns=("virtual_number_id", "campaign_id"), table="virtual_number_campaigns"),
        Reference(columns=("site_block_id",), table="site_blocks"),
    ),
)
NUMBER_SCENARIOS = Table(
    name="virtual_number_scenarios",
    entity="scenario of a number",
    meaning="Links that say which scenario processes the calls of which number now, by which rule",
    path="$.scenarios[]",
    per_number=True,
    key=(
        _integer("virtual_number_id", "Id of the number whose calls are processed", field="$.id"),
        _integer("scenario_id", "Id of the scenario that processes them"),
        _integer("call_processing_rule_id", "Id of the rule that selects the scenario, 0 where it is not reported"),
    ),
    values=(
        _truth("is_active", "Whether the scenario is active for the number, as sent"),
        _extra("$.scenarios[]"),
    ),
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


def source_paths() -> tuple[str, ...]:
    """The paths of all fields that some column is made from, each once, in the order of the declaration."""
    return tuple(dict.fromkeys(table.source_of(column) for table in TABLES for column in table.columns))
