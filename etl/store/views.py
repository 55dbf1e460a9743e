"""Views: the history of each table, and three for people. They are made from the declarations and so always match them.

Views hold no data, so they are not versioned: `view_upkeep` makes those that are missing or differ.
"""

from __future__ import annotations

from etl.domain.tables import TABLES, Table
from etl.store import certainty_view, changes_view
from etl.store.view_parts import FAR, GREATEST, LEAST, Source, observation_before, parts

NAMES = (
    *(f"{t.name}_history" for t in TABLES),
    *("number_assignments", "number_campaign_periods", "number_campaign_certainty", "changes"),
)


def queries(dialect: str) -> dict[str, str]:
    """The query of each view for `dialect` (postgresql or sqlite), in an order in which the views can be made."""
    histories = {f"{table.name}_history": _history(table) for table in TABLES}
    return {
        **histories,
        "number_assignments": _assignments(dialect),
        "number_campaign_periods": _periods(dialect),
        "number_campaign_certainty": certainty_view.query(dialect),
        "changes": changes_view.query(dialect),
    }


def _history(table: Table) -> str:
    columns = ", ".join(["account_id", *(c.name for c in table.columns)])
    return (
        f"select {columns}, valid_from, valid_to, opened_run_id, closed_run_id, valid_to as changed_at"
        f" from {table.name}_closed\n"
        f"union all\n"
        f"select {columns}, valid_from, null, opened_run_id, null, valid_from from {table.name}"
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


def _periods(dialect: str) -> str:
    """Periods in which the link, the number, the campaign and the site all stay unchanged.

    What is worked out from a period stands outside of the arms: SQLite reads all views with each new connection.
    """
    tables = ("virtual_number_campaigns", "virtual_numbers", "campaigns")
    arms = [_periods_of(dialect, dict(zip("lnc", chosen, strict=True))) for chosen in parts(*tables)]
    return f"""select r.*, (select a.account_name from accounts a where a.account_id = r.account_id) as account_name,
  {observation_before("r.account_id", "r.valid_from")} as starts_after,
  {observation_before("r.account_id", "r.valid_to")} as ends_after
from ({" union all ".join(arms)}) r"""


def _periods_of(dialect: str, chosen: dict[str, Source]) -> str:
    """The periods of current or closed links, numbers and campaigns, as chosen.

    `cross join` makes SQLite read campaigns after the links that refer to them; otherwise it may reorder them.
    """
    far, greatest, least = FAR[dialect], GREATEST[dialect], LEAST[dialect]
    ends = [f"{alias}.{end}" for alias, (_, end) in chosen.items() if end != "null"] + [f"coalesce(w.valid_to, {far})"]
    start = f"{greatest}({', '.join(f'{p}.valid_from' for p in chosen)}, coalesce(w.valid_from, l.valid_from))"
    end = f"{least}({', '.join(ends)})" if len(ends) > 1 else ends[0]
    meets = {alias: _meets(alias, chosen, far) for alias in "nc"}
    return f"""select n.account_id, n.virtual_number_id, n.virtual_phone_number, n.status, n.category, n.type, n.name,
  l.campaign_id, c.campaign_name, c.site_id, w.site_domain_name,
  {start} as valid_from, nullif({end}, {far}) as valid_to
from {chosen["n"][0]} n
join {chosen["l"][0]} l on l.account_id = n.account_id and l.virtual_number_id = n.virtual_number_id{meets["n"]}
cross join {chosen["c"][0]} c
left join sites_history w on w.account_id = c.account_id and w.site_id = c.site_id
  and w.valid_from < {_end("c", chosen, far)} and coalesce(w.valid_to, {far}) > c.valid_from
  and w.valid_from < {_end("l", chosen, far)} and coalesce(w.valid_to, {far}) > l.valid_from
where c.account_id = l.account_id and c.campaign_id = l.campaign_id{meets["c"]} and {start} < {end}
"""


def _end(alias: str, chosen: dict[str, Source], far: str) -> str:
    return far if chosen[alias][1] == "null" else f"{alias}.valid_to"


def _meets(alias: str, chosen: dict[str, Source], far: str) -> str:
    """Condition that a version of `alias` and the link were valid at the same time; open versions have no end.

    The end is inside a function, so that SQLite, which may lack statistics, finds versions by their key, not their end.
    """
    begun = "" if chosen["l"][1] == "null" else f" and {alias}.valid_from < coalesce(l.valid_to, {far})"
    return begun + ("" if chosen[alias][1] == "null" else f" and coalesce({alias}.valid_to, {far}) > l.valid_from")
