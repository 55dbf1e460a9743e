"""Queries that Datasette offers by name, for SQLite. Their parameters (`:number` and others) are fields of a form."""

from __future__ import annotations

NUMBER_LIFE = """\
with wanted as (
  select virtual_number_id from virtual_numbers where virtual_phone_number = :number
  union select virtual_number_id from virtual_numbers_closed where virtual_phone_number = :number
  union select cast(:number as integer)
)
select account_id, virtual_number_id, valid_from, valid_to, 'number' as what,
  coalesce(virtual_phone_number, 'erased') || coalesce(': ' || status, '') || coalesce(', ' || name, '') as value
from virtual_numbers_history where virtual_number_id in (select virtual_number_id from wanted)
union all
select account_id, virtual_number_id, valid_from, valid_to, 'campaign', campaign_name
from number_campaign_periods where virtual_number_id in (select virtual_number_id from wanted)
union all
select l.account_id, l.virtual_number_id, l.valid_from, l.valid_to, 'scenario',
  (select s.scenario_name from scenarios_history s
   where s.account_id = l.account_id and s.scenario_id = l.scenario_id and s.valid_from <= l.valid_from
   order by s.valid_from desc limit 1)
from virtual_number_scenarios_history l where l.virtual_number_id in (select virtual_number_id from wanted)
order by 1, 2, 3, 5"""

ATTRIBUTION = """\
select account_id, virtual_number_id, certainty, campaign_name, campaign_name_before, campaign_name_after,
  called_from, called_before
from number_campaign_certainty
where virtual_phone_number = :phone
  and (called_from is null or called_from <= :call_time) and (called_before is null or called_before > :call_time)
order by account_id, virtual_number_id, campaign_name, campaign_name_before, campaign_name_after"""

CHANGED = """\
select account_id, observed_at, previous_observed_at, entity, change, key, what
from changes
where observed_at >= coalesce(nullif(:day, ''), date('now', '-1 day'))
  and observed_at < date(coalesce(nullif(:day, ''), date('now', '-1 day')), '+1 day')
order by observed_at, account_id, entity"""

QUERIES: dict[str, dict[str, str | bool]] = {
    "number_life": {
        "title": "One number's life",
        "description": "Versions, campaigns and scenarios of a number, by its phone number as stored or its id.",
        "hide_sql": True,
        "sql": NUMBER_LIFE,
    },
    "attribution": {
        "title": "Campaign of a call",
        "description": "Campaign of a phone number at a moment in UTC, written 2026-03-01 09:30:00; how certain it is.",
        "hide_sql": True,
        "sql": ATTRIBUTION,
    },
    "changed": {
        "title": "What changed yesterday, or on another day",
        "description": "Changes observed on a day in UTC, written 2026-03-01; yesterday if it is left empty.",
        "hide_sql": True,
        "sql": CHANGED,
    },
}
