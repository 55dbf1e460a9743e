"""Query of the view `changes`: one row for each version that was opened or that ended for good."""

from __future__ import annotations

from etl.domain.tables import NUMBER_CAMPAIGNS, TABLES, VIRTUAL_NUMBERS, Column, Kind, Table
from etl.store.view_parts import DIFFERS, observation_before, parts, value_at

OBJECT = {"postgresql": "jsonb_build_object", "sqlite": "json_object"}

KINDS = {
    "virtual_numbers": ("number_added", "number_changed", "number_removed"),
    "virtual_number_campaigns": ("campaign_joined", "campaign_changed", "campaign_left"),
    "virtual_number_site_blocks": ("block_joined", "tracking_changed", "block_left"),
    "virtual_number_scenarios": ("scenario_given", "rule_changed", "scenario_taken"),
}
"""Kinds of an added, a changed and a removed row, by table."""
SHARED_KINDS = ("appeared", "changed", "disappeared")
"""The same for the tables that numbers share."""


def query(dialect: str) -> str:
    """The query for `dialect`."""
    return " union all ".join(_of(table, dialect) for table in TABLES)


def _of(table: Table, dialect: str) -> str:
    """Changes: opened versions (added, or changed if one ended at that time), and versions that ended for good."""
    same_key = _same_key(table, "o", "v")
    key = _object(dialect, [(k, f"v.{k}") for k in table.key_names])
    before, after = (_object(dialect, [(c.name, _json(c, p, dialect)) for c in table.values]) for p in "ov")
    what = [("before", f"case when o.valid_to is null then null else {before} end"), ("after", after)]
    opened = " union all ".join(
        f"""select v.account_id, v.valid_from as observed_at,
  {observation_before("v.account_id", "v.valid_from")} as previous_observed_at,
  v.opened_run_id as run_id, '{table.entity}' as entity, {key} as key,
  case when o.valid_to is null then 'added' else 'changed' end as change,
  {_object(dialect, what)} as what,
  {_number(table)} as virtual_number_id, {_phone(table, "v.valid_from")} as virtual_phone_number,
  case when o.valid_to is null then {_kind_of_added(table)} else '{_kinds(table)[1]}' end as kind,
  case when o.valid_to is not null then {_changed_columns(table, dialect)} end as changed_columns
from {source} v left join {table.name}_closed o on {same_key} and o.valid_to = v.valid_from
"""
        for ((source, _),) in parts(table.name)
    )
    followed = " and ".join(
        f"not exists (select 1 from {source} o where {same_key} and o.valid_from = v.valid_to)"
        for ((source, _),) in parts(table.name)
    )
    ended = f"""select v.account_id, v.valid_to, {observation_before("v.account_id", "v.valid_to")}, v.closed_run_id,
  '{table.entity}', {key}, 'removed',
  {_object(dialect, [("before", after), ("after", "null")])},
  {_number(table)}, {_phone(table, "v.valid_to", just_before=True)}, {_kind_of_removed(table)}, null
from {table.name}_closed v where {followed}
"""
    return f"{opened}union all {ended}"


# -- the number that a row concerns


def _number(table: Table) -> str:
    return "v.virtual_number_id" if table.per_number else "null"


def _phone(table: Table, moment: str, *, just_before: bool = False) -> str:
    """The number's phone number when a row was opened, or just before it ended; null for what numbers share."""
    if not table.per_number:
        return "null"
    if table is VIRTUAL_NUMBERS:
        return "v.virtual_phone_number"
    same = _same_key(VIRTUAL_NUMBERS, "h", "v")
    return value_at(VIRTUAL_NUMBERS.name, "virtual_phone_number", same, moment, just_before=just_before)


# -- kinds and columns


def _kinds(table: Table) -> tuple[str, str, str]:
    return KINDS.get(table.name, SHARED_KINDS)


def _kind_of_added(table: Table) -> str:
    added, _, _ = _kinds(table)
    if table is NUMBER_CAMPAIGNS:
        left = _any(f"{table.name}_closed", f"{_same_number('m')} and m.valid_to = v.valid_from")
        return f"case when {left} then 'moved' else '{added}' end"
    if table.per_number and table is not VIRTUAL_NUMBERS:
        return f"'{added}'"
    first, again = ("first_seen", "came_back")
    if table is VIRTUAL_NUMBERS:
        first, again = ("number_first_seen", "number_came_back")
    was = _any(f"{table.name}_closed", f"{_same_key(table, 'm', 'v')} and m.valid_to < v.valid_from")
    earlier = observation_before("v.account_id", "v.valid_from")
    return f"case when {earlier} is null then '{first}' when {was} then '{again}' else '{added}' end"


def _kind_of_removed(table: Table) -> str:
    _, _, removed = _kinds(table)
    if table is not NUMBER_CAMPAIGNS:
        return f"'{removed}'"
    joined = " or ".join(
        _any(source, f"{_same_number('m')} and m.valid_from = v.valid_to") for ((source, _),) in parts(table.name)
    )
    return f"case when {joined} then 'moved' else '{removed}' end"


def _any(source: str, condition: str) -> str:
    """Whether a row meets a condition. PostgreSQL may read the whole table for `exists`; it does not for this."""
    return f"(select 1 from {source} m where {condition} limit 1) is not null"


def _changed_columns(table: Table, dialect: str) -> str:
    """Names of the columns that differ, in the table's order with commas between them."""
    if not table.values:
        return "null"
    differ = DIFFERS[dialect]
    named = " || ".join(f"case when o.{c} {differ} v.{c} then ', {c}' else '' end" for c in table.value_names)
    return f"substr({named}, 3)"


# -- SQL


def _same_key(table: Table, one: str, other: str) -> str:
    return " and ".join(f"{one}.{k} = {other}.{k}" for k in ("account_id", *table.key_names))


def _same_number(alias: str) -> str:
    return f"{alias}.account_id = v.account_id and {alias}.virtual_number_id = v.virtual_number_id"


def _object(dialect: str, pairs: list[tuple[str, str]]) -> str:
    members = ", ".join(f"'{name}', {value}" for name, value in pairs)
    return f"{OBJECT[dialect]}({members})"


def _json(column: Column, alias: str, dialect: str) -> str:
    name = f"{alias}.{column.name}"
    if dialect == "sqlite" and column.kind is Kind.JSON:
        return f"json({name})"
    if dialect == "sqlite" and column.kind is Kind.BOOLEAN:
        return f"json(case {name} when 1 then 'true' when 0 then 'false' end)"
    return name
