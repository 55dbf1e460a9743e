"""Columns of the views in `views`, each with its sentence. A test compares them with what the databases report.

A column that a view takes from a table has that table's sentence (`_from`). A new column of a view needs one line here.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, Text
from sqlalchemy.types import TypeEngine

from etl.domain import tables as declared
from etl.domain.meaning import Meaning
from etl.store import schema
from etl.store.declaring import MEANING
from etl.store.described import Relation, RelationColumn, RelationKind
from etl.store.types import ID, JSON_TEXT, UtcDateTime


def _from(table: Table, *names: str, absent: str | None = None) -> list[RelationColumn]:
    """Columns of a table with their meanings. `absent`: what null means where the view has no row of that table."""
    return [
        RelationColumn(name=name, type=table.c[name].type, meaning=_perhaps_absent(table.c[name].info[MEANING], absent))
        for name in names
    ]


def _perhaps_absent(meaning: Meaning, absent: str | None) -> Meaning:
    if absent is None:
        return meaning
    null = absent if meaning.null is None else f"{absent}, or {meaning.null}"
    return Meaning(text=meaning.text, null=null, field=meaning.field, personal=meaning.personal)


def _own(name: str, type_: TypeEngine[Any], text: str, *, null: str | None = None) -> RelationColumn:
    """A column that the view works out."""
    return RelationColumn(name=name, type=type_, meaning=Meaning(text=text, null=null))


_TIME = UtcDateTime()
_TEXT = Text()


def _history(table: declared.Table) -> Relation:
    current, ended = schema.current[table.name], schema.closed[table.name]
    return Relation(
        name=f"{table.name}_history",
        kind=RelationKind.HISTORY,
        sentence=f"Versions of rows of {table.name}, those that have ended and those that are current.",
        columns=(
            *_from(current, "account_id", *(c.name for c in table.columns), "valid_from"),
            *_from(ended, "valid_to", absent="the version is current"),
            *_from(current, "opened_run_id"),
            *_from(ended, "closed_run_id", absent="the version is current"),
            _own("changed_at", _TIME, "Instant in UTC of the last change of the version: its end, else its begin"),
        ),
    )


_NUMBERS, _LINKS = schema.current["virtual_numbers"], schema.current["virtual_number_campaigns"]
_BLOCKS = schema.current["virtual_number_site_blocks"]
_WITHOUT_CAMPAIGN, _WITHOUT_BLOCK = "the number has no campaign", "the number has no site block in the campaign"

_ASSIGNMENTS = Relation(
    name="number_assignments",
    kind=RelationKind.ANSWERS,
    sentence="Numbers with their campaigns and site blocks now and all names, one row for each of these combinations.",
    columns=(
        *_from(schema.accounts, "account_id", "account_name"),
        *_from(_NUMBERS, "virtual_number_id", "virtual_phone_number", "redirection_phone_number"),
        *_from(_NUMBERS, "status", "category", "type", "name", "comment"),
        *_from(_LINKS, "campaign_id", absent=_WITHOUT_CAMPAIGN),
        *_from(schema.current["campaigns"], "campaign_name", "site_id", absent=_WITHOUT_CAMPAIGN),
        *_from(schema.current["sites"], "site_domain_name", absent="there is no site"),
        *_from(_BLOCKS, "site_block_id", absent=_WITHOUT_BLOCK),
        *_from(schema.current["site_blocks"], "site_block_name", absent=_WITHOUT_BLOCK),
        *_from(_BLOCKS, "is_tracking", absent=_WITHOUT_BLOCK),
        _own("scenario_names", _TEXT, "Names of the number's scenarios, with commas between them", null="it has none"),
    ),
)

_PERIODS = Relation(
    name="number_campaign_periods",
    kind=RelationKind.ANSWERS,
    sentence="Periods in which a campaign held a number while number, campaign and site stayed as they were.",
    columns=(
        *_from(_NUMBERS, "account_id", "virtual_number_id", "virtual_phone_number"),
        *_from(_NUMBERS, "status", "category", "type", "name"),
        *_from(_LINKS, "campaign_id"),
        *_from(schema.current["campaigns"], "campaign_name", "site_id"),
        *_from(schema.current["sites"], "site_domain_name", absent="there is no site"),
        _own("valid_from", _TIME, "Instant in UTC at which the period was first observed"),
        _own("valid_to", _TIME, "Instant in UTC at which the period was first observed to have ended", null="it lasts"),
        *_from(schema.accounts, "account_name"),
        _own(
            "starts_after",
            _TIME,
            "Instant in UTC of the account's observation before valid_from, after which the period began",
            null="there was none",
        ),
        _own(
            "ends_after",
            _TIME,
            "Instant in UTC of the account's observation before valid_to, after which the period ended",
            null="it lasts",
        ),
    ),
)

_NOT_CERTAIN, _NONE = "the campaign is not certain, or there was none", "there was none, or it is not known"

_CERTAINTY = Relation(
    name="number_campaign_certainty",
    kind=RelationKind.ANSWERS,
    sentence="Campaign of each number at each moment, and whether that is certain, for calls to be attributed.",
    columns=(
        *_from(schema.accounts, "account_id", "account_name"),
        *_from(_NUMBERS, "virtual_number_id", "virtual_phone_number"),
        _own(
            "called_from",
            _TIME,
            "Instant in UTC from which on the row answers for calls to the number",
            null="it answers for all calls before called_before",
        ),
        _own(
            "called_before",
            _TIME,
            "Instant in UTC before which the row answers for calls to the number",
            null="it answers for all calls since called_from",
        ),
        _own(
            "certainty",
            _TEXT,
            "Either certain, changed (between two observations), later (than the last one) or before (the first one)",
        ),
        _own("campaign_id", ID, "Campaign that held the number for certain", null=_NOT_CERTAIN),
        _own("campaign_name", _TEXT, "Name of the campaign that held the number for certain", null=_NOT_CERTAIN),
        _own("campaign_id_before", ID, "Candidate: the campaign observed last before", null=_NONE),
        _own("campaign_name_before", _TEXT, "Candidate: name of the campaign observed last before", null=_NONE),
        _own("campaign_id_after", ID, "Candidate: the campaign observed next", null=_NONE),
        _own("campaign_name_after", _TEXT, "Candidate: name of the campaign observed next", null=_NONE),
    ),
)

_CHANGES = Relation(
    name="changes",
    kind=RelationKind.ANSWERS,
    sentence="Changes that each observation showed, one row for each row of a data table that began, changed or ended.",
    columns=(
        *_from(_NUMBERS, "account_id"),
        _own("observed_at", _TIME, "Instant in UTC of the observation, by which the change had happened"),
        _own(
            "previous_observed_at",
            _TIME,
            "Instant in UTC of the account's observation before, after which the change happened",
            null="there was none",
        ),
        _own("run_id", ID, "Run that made the observation"),
        _own("entity", _TEXT, f"What changed: {', '.join(t.entity for t in declared.TABLES)}"),
        _own("key", JSON_TEXT, "Key of the row without the account, as a JSON object"),
        _own("change", _TEXT, "Kind of change: added, changed or removed"),
        _own("what", JSON_TEXT, "Values before and after, as a JSON object; either is null where there was no row"),
        *_from(_NUMBERS, "virtual_number_id", absent="the row belongs to no single number"),
        *_from(_NUMBERS, "virtual_phone_number", absent="the row belongs to no single number"),
        _own("kind", _TEXT, "What the change means, for example number_removed, campaign_joined or moved"),
        _own(
            "changed_columns",
            _TEXT,
            "Names of the columns that differ, with commas between them",
            null="the row was added or removed, or the table has no values beside its key",
        ),
    ),
)

VIEWS: tuple[Relation, ...] = (*map(_history, declared.TABLES), _ASSIGNMENTS, _PERIODS, _CERTAINTY, _CHANGES)
"""All views, in the order of `views.NAMES`."""
