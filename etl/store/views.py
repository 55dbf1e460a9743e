"""Views: the history of each table, and three for people. They are made from the declarations and so always match them.

Views hold no data, so they are not versioned: `view_upkeep` makes those that are missing or differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from etl.domain.tables import TABLES, Column, Kind, Table

FAR = {"postgresql": "'infinity'::timestamptz", "sqlite": "'9999-12-31 23:59:59.999999'"}
GREATEST = {"postgresql": "greatest", "sqlite": "max"}
LEAST = {"postgresql": "least", "sqlite": "min"}
OBJECT = {"postgresql": "jsonb_build_object", "sqlite": "json_object"}

NAMES = (*(f"{t.name}_history" for t in TABLES), "number_assignments", "number_campaign_periods", "changes")


def queries(dialect: str) -> dict[str, str]:
    """The query of each view for `dialect` (postgresql or sqlite), in an order in which the views can be made."""
    histories = {f"{table.name}_history": _history(table) for table in TABLES}
    changes = " union all ".join(_changes_of(t, dialect) for t in TABLES)
    return {
        **histories,
        "number_assignments": _assignments(dialect),
        "number_campaign_periods": _periods(dialect),
        "changes": changes,
    }


def _history(table: Table) -> str:
    columns = ", ".join(["account_id", *(c.name for c in table.columns)])
    return (
        f"select {columns}, valid_from, valid_to, opened_run_id, closed_run_id from {table.name}_closed\n"
        f"union all\n"
        f"select {columns}, valid_from, null, opened_run_id, null from {table.name}"
    )


def _assignments(dialect: str) -> str:
    names = {
        "postgresql": "string_agg(s.scenario_name, ', ' order by s.scenario_name)",
        "sqlite": "group_concat(s.scenario_name, ', ')",
    }[dialect]
    source = (
        "select distinct s.scenario_name from virtual_number_scenarios l"
        " join scenarios s on s.account_id = l.account_id and s.scenario_id = l.scenario_id"
        " where l.account_id = n.account_id and l.virtual_number_id = n.virtual_number_id order by s.scenario_name"
    )
    return f"""select n.account_id, a.account_name, n.virtual_number_id, n.virtual_phone_number,
  n.redirection_phone_number, n.status, n.category, n.type, n.name, n.comment,
  l.campaign_id, c.campaign_name, c.site_id, w.site_domain_name,
  lb.site_block_id, b.site_block_name, lb.is_tracking,
  (select {names} from ({source}) s) as scenario_names
from virtual_numbers n
join accounts a on a.account_id = n.account_id
left join virtual_number_campaigns l on l.account_id = n.account_id and l.virtual_number_id = n.virtual_number_id
left join campaigns c on c.account_id = l.account_id and c.campaign_id = l.campaign_id
left join sites w on w.account_id = c.account_id and w.site_id = c.site_id
left join virtual_number_site_blocks lb on lb.account_id = l.account_id
  and lb.virtual_number_id = l.virtual_number_id and lb.campaign_id = l.campaign_id
left join site_blocks b on b.account_id = lb.account_id and b.site_block_id = lb.site_block_id"""


def _parts(*tables: str) -> Iterator[list[tuple[str, str]]]:
    """Every choice of current or closed rows for each of the tables: (source, its `valid_to`) in their order.

    A view over these parts can use an index in SQLite, too; a view over a history view cannot.
    """
    kinds = [((name, "null"), (f"{name}_closed", "valid_to")) for name in tables]
    yield from (list(choice) for choice in product(*kinds))


def _periods(dialect: str) -> str:
    """Periods in which the link, the number, the campaign and the site all stay unchanged."""
    tables = ("virtual_number_campaigns", "virtual_numbers", "campaigns")
    arms = [_periods_of(dialect, dict(zip("lnc", parts, strict=True))) for parts in _parts(*tables)]
    return " union all ".join(arms)


def _periods_of(dialect: str, parts: dict[str, tuple[str, str]]) -> str:
    """The periods of current or closed links, numbers and campaigns, as chosen.

    `cross join` makes SQLite read campaigns after the links that refer to them; otherwise it may reorder them.
    """
    far, greatest, least = FAR[dialect], GREATEST[dialect], LEAST[dialect]
    ends = [f"{alias}.{end}" for alias, (_, end) in parts.items() if end != "null"] + [f"coalesce(w.valid_to, {far})"]
    start = f"{greatest}({', '.join(f'{p}.valid_from' for p in parts)}, coalesce(w.valid_from, l.valid_from))"
    end = f"{least}({', '.join(ends)})" if len(ends) > 1 else ends[0]
    meets = {alias: _meets(alias, parts, far) for alias in "nc"}
    return f"""select n.account_id, n.virtual_number_id, n.virtual_phone_number, n.status, n.category, n.type, n.name,
  l.campaign_id, c.campaign_name, c.site_id, w.site_domain_name,
  {start} as valid_from, nullif({end}, {far}) as valid_to
from {parts["n"][0]} n
join {parts["l"][0]} l on l.account_id = n.account_id and l.virtual_number_id = n.virtual_number_id{meets["n"]}
cross join {parts["c"][0]} c
left join sites_history w on w.account_id = c.account_id and w.site_id = c.site_id
  and w.valid_from < {_end("c", parts, far)} and coalesce(w.valid_to, {far}) > c.valid_from
  and w.valid_from < {_end("l", parts, far)} and coalesce(w.valid_to, {far}) > l.valid_from
where c.account_id = l.account_id and c.campaign_id = l.campaign_id{meets["c"]} and {start} < {end}
"""


def _end(alias: str, parts: dict[str, tuple[str, str]], far: str) -> str:
    return far if parts[alias][1] == "null" else f"{alias}.valid_to"


def _meets(alias: str, parts: dict[str, tuple[str, str]], far: str) -> str:
    """Condition that a version of `alias` and the link were valid at the same time; open versions have no end.

    The end is inside a function, so that SQLite, which may lack statistics, finds versions by their key, not their end.
    """
    begun = "" if parts["l"][1] == "null" else f" and {alias}.valid_from < coalesce(l.valid_to, {far})"
    return begun + ("" if parts[alias][1] == "null" else f" and coalesce({alias}.valid_to, {far}) > l.valid_from")


def _changes_of(table: Table, dialect: str) -> str:
    """Changes: opened versions (added, or changed if one ended at that time), and versions that ended for good."""
    same_key = " and ".join(f"o.{k} = v.{k}" for k in ("account_id", *table.key_names))
    key = _object(dialect, [(k, f"v.{k}") for k in table.key_names])
    before, after = (_object(dialect, [(c.name, _json(c, p, dialect)) for c in table.values]) for p in "ov")
    what = [("before", f"case when o.valid_to is null then null else {before} end"), ("after", after)]
    opened = " union all ".join(
        f"""select v.account_id, v.valid_from as observed_at, {_previous("v.valid_from")} as previous_observed_at,
  v.opened_run_id as run_id, '{table.entity}' as entity, {key} as key,
  case when o.valid_to is null then 'added' else 'changed' end as change,
  {_object(dialect, what)} as what
from {source} v left join {table.name}_closed o on {same_key} and o.valid_to = v.valid_from
"""
        for ((source, _),) in _parts(table.name)
    )
    followed = " and ".join(
        f"not exists (select 1 from {source} o where {same_key} and o.valid_from = v.valid_to)"
        for ((source, _),) in _parts(table.name)
    )
    ended = f"""select v.account_id, v.valid_to, {_previous("v.valid_to")}, v.closed_run_id,
  '{table.entity}', {key}, 'removed',
  {_object(dialect, [("before", after), ("after", "null")])}
from {table.name}_closed v where {followed}
"""
    return f"{opened}union all {ended}"


def _previous(moment: str) -> str:
    return (
        "(select max(p.observed_at) from account_syncs p where p.account_id = v.account_id"
        f" and p.status = 'succeeded' and p.observed_at < {moment})"
    )


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
