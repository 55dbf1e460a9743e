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
    """The query for `dialect`.

    What is alike for all tables stands outside of their arms: SQLite reads the text of all views with each connection.
    """
    return f"""select r.account_id, r.observed_at, r.previous_observed_at, r.run_id, r.entity, r.key, r.change, r.what,
  r.virtual_number_id,
  case when r.change = 'removed' then {_phone(just_before=True)} else {_phone(just_before=False)} end
    as virtual_phone_number,
  {_kind()} as kind, r.changed_columns
from (select s.*, {observation_before("s.account_id", "s.observed_at")} as previous_observed_at
  from ({" union all ".join(_of(table, dialect) for table in TABLES)}) s) r"""


def _phone(*, just_before: bool) -> str:
    """The number's phone number at the observation, or just before it; null for what numbers share."""
    same = _same_number("h")
    return value_at(VIRTUAL_NUMBERS.name, "virtual_phone_number", same, "r.observed_at", just_before=just_before)


# -- kinds


def _kind() -> str:
    numbers = (table for table in TABLES if table.per_number)
    each = "\n    ".join(f"when '{table.entity}' then {_kind_in(table)}" for table in numbers)
    shared = _by_change(SHARED_KINDS, _of_new("first_seen", "came_back", SHARED_KINDS[0]))
    return f"case r.entity {each}\n    else {shared} end"


def _kind_in(table: Table) -> str:
    kinds = KINDS[table.name]
    if table is VIRTUAL_NUMBERS:
        return _by_change(kinds, _of_new("number_first_seen", "number_came_back", kinds[0]))
    if table is not NUMBER_CAMPAIGNS:
        return _by_change(kinds)
    left = _any(f"{table.name}_closed", "m.valid_to = r.observed_at")
    joined = " or ".join(_any(source, "m.valid_from = r.observed_at") for ((source, _),) in parts(table.name))
    moved = f"(r.change = 'added' and {left}) or (r.change = 'removed' and ({joined}))"
    return f"case when {moved} then 'moved' else {_by_change(kinds)} end"


def _of_new(first: str, again: str, added: str) -> str:
    return f"case when r.previous_observed_at is null then '{first}' when r.again = 1 then '{again}' else '{added}' end"


def _by_change(kinds: tuple[str, str, str], of_added: str | None = None) -> str:
    added = of_added or f"'{kinds[0]}'"
    return f"case r.change when 'changed' then '{kinds[1]}' when 'removed' then '{kinds[2]}' else {added} end"


def _any(source: str, condition: str) -> str:
    """Whether a row of the number meets a condition. For `exists`, PostgreSQL might read the whole table."""
    return f"(select 1 from {source} m where {_same_number('m')} and {condition} limit 1) is not null"


def _same_number(alias: str) -> str:
    return f"{alias}.account_id = r.account_id and {alias}.virtual_number_id = r.virtual_number_id"


# -- rows of one table


def _of(table: Table, dialect: str) -> str:
    """Changes: opened versions (added, or changed if one ended at that time), and versions that ended for good.

    `again`: 1 if the row had been there earlier; only for rows that are no links.
    """
    same_key = _same_key(table, "o", "v")
    key = _object(dialect, [(k, f"v.{k}") for k in table.key_names])
    number = "v.virtual_number_id" if table.per_number else "null"
    before, after = (_object(dialect, [(c.name, _json(c, p, dialect)) for c in table.values]) for p in "ov")
    what = [("before", f"case when o.valid_to is null then null else {before} end"), ("after", after)]
    opened = " union all ".join(
        f"""select v.account_id, v.valid_from as observed_at, v.opened_run_id as run_id, '{table.entity}' as entity,
  {key} as key, case when o.valid_to is null then 'added' else 'changed' end as change,
  {_object(dialect, what)} as what, {number} as virtual_number_id,
  case when o.valid_to is not null then {_changed_columns(table, dialect)} end as changed_columns,
  {_again(table)} as again
from {source} v left join {table.name}_closed o on {same_key} and o.valid_to = v.valid_from
"""
        for ((source, _),) in parts(table.name)
    )
    followed = " and ".join(
        f"not exists (select 1 from {source} o where {same_key} and o.valid_from = v.valid_to)"
        for ((source, _),) in parts(table.name)
    )
    ended = f"""select v.account_id, v.valid_to, v.closed_run_id, '{table.entity}' as entity, {key} as key,
  'removed' as change, {_object(dialect, [("before", after), ("after", "null")])} as what,
  {number} as virtual_number_id, null as changed_columns, 0 as again
from {table.name}_closed v where {followed}
"""
    return f"{opened}union all {ended}"


def _changed_columns(table: Table, dialect: str) -> str:
    """Names of the columns that differ, in the table's order with commas between them."""
    if not table.values:
        return "null"
    differ = DIFFERS[dialect]
    named = " || ".join(f"case when o.{c} {differ} v.{c} then ', {c}' else '' end" for c in table.value_names)
    return f"substr({named}, 3)"


def _again(table: Table) -> str:
    if len(table.key) > 1:
        return "0"
    earlier = f"{_same_key(table, 'm', 'v')} and m.valid_to < v.valid_from"
    return f"(select 1 from {table.name}_closed m where {earlier} limit 1)"


# -- SQL


def _same_key(table: Table, one: str, other: str) -> str:
    return " and ".join(f"{one}.{k} = {other}.{k}" for k in ("account_id", *table.key_names))


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
