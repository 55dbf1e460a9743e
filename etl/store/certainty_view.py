"""Query of the view `number_campaign_certainty`: at each moment, what the observations say about a number's campaign.

A sync sees a number when its record is read, between the begin of the account's sync and `observed_at`. A campaign is
certain between two sights that agree. Segments are periods in which a number has one phone number and one campaign by
one name, or no campaign; up to three rows are made of each.
"""

from __future__ import annotations

from etl.store.certainty_segments import first_id, same_number, segments
from etl.store.view_parts import FAR, GREATEST, LEAST, value_at, worked_out_once


def query(dialect: str) -> str:
    """The query for `dialect`. Part 1 of a segment: while it is certain; part 2: what follows; part 3: what precedes.

    A move from one campaign to another is part 2 of the segment that ended; part 3 is for what took no other's place.
    """
    greatest, least = GREATEST[dialect], LEAST[dialect]
    return f"""select s.account_id,
  (select a.account_name from accounts a where a.account_id = s.account_id) as account_name,
  s.virtual_number_id, s.virtual_phone_number,
  case s.part when 1 then s.valid_from when 2 then {greatest}(s.valid_from, coalesce(s.seen_until, s.valid_from))
    else case when s.seen_before is not null then {greatest}(s.seen_before, coalesce(s.left_at, s.seen_before)) end
    end as called_from,
  case s.part when 1 then {least}(s.seen_until, coalesce(s.valid_to, s.seen_until)) when 2 then s.valid_to
    else s.valid_from end as called_before,
  case s.part when 1 then 'certain' when 2 then case when s.ends_at is null then 'later' else 'changed' end
    else case when s.seen_before is null then 'before' else 'changed' end end as certainty,
  case when s.part = 1 then s.campaign_id end as campaign_id,
  case when s.part = 1 then s.campaign_name end as campaign_name,
  case when s.part < 3 then s.campaign_id end as campaign_id_before,
  case when s.part < 3 then s.campaign_name end as campaign_name_before,
  case s.part when 1 then s.campaign_id when 2 then s.next_id else s.campaign_id end as campaign_id_after,
  case s.part when 1 then s.campaign_name when 2 then {_name_of_next()} else s.campaign_name end as campaign_name_after
from ({_seen(dialect)}) s
where (s.part = 1 and s.valid_from < s.seen_until)
  or (s.part = 2 and (s.campaign_id is not null or s.ends_at is null)
    and (s.valid_to is null or s.seen_until is null or s.seen_until < s.valid_to))
  or (s.part = 3 and s.begins = 1 and (s.campaign_id is not null or s.seen_before is null))"""


def _name_of_next() -> str:
    return value_at(
        "campaigns", "campaign_name", "h.account_id = s.account_id and h.campaign_id = s.next_id", "s.ends_at"
    )


def _seen(dialect: str) -> str:
    """Each segment three times, with the sights around it and the campaign that took its place.

    `seen_before`: the last sight before it; `seen_until`: the last one of it; `left_at`: when another one ended.
    """
    left_at = f"select max(e.valid_to) from virtual_number_campaigns_closed e where {same_number('e', 's')}"
    query = f"""select k.part, s.*,
  case when s.begins = 1 then {_sight_before("s.valid_from")} end as seen_before,
  case when s.gone = 1 then s.valid_to else {_sight_before(f"coalesce(s.ends_at, {FAR[dialect]})")} end as seen_until,
  case when s.begins = 1 then ({left_at} and e.valid_to < s.valid_from) end as left_at,
  case when s.replaced = 1 then {first_id("begun", "s", "s.ends_at")} end as next_id
from ({segments(dialect)}) s
cross join (select 1 as part union all select 2 union all select 3) k"""
    return worked_out_once(query, 16)


def _sight_before(moment: str) -> str:
    """Begin of the last published sync before a moment that saw the segment's number; null if there is none.

    A sync with suspects may not have seen it, and one with a record of it in quarantine has not read all of it.
    """
    return (
        "(select p.started_at from account_syncs p where p.account_id = s.account_id and p.status = 'succeeded'"
        f" and p.suspects = 0 and p.observed_at < {moment} and (p.quarantined = 0 or not exists (select 1"
        " from quarantine q where q.account_id = p.account_id and q.run_id = p.run_id"
        " and q.virtual_number_id = s.virtual_number_id)) order by p.observed_at desc limit 1)"
    )
