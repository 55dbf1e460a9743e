"""Segments of the view `number_campaign_certainty`, as SQL: a number with one phone and one campaign, or with none.

Columns: account_id, virtual_number_id, virtual_phone_number, campaign_id, campaign_name, valid_from, valid_to;
`begins` (1: it took no other campaign's place), `ends_at` (when the number had left the campaign or had another phone
number; of a segment without a campaign: when it got one), `replaced` (1: another campaign may have taken its place),
`gone` (1: it is known until `valid_to`, for the number was removed).

The versions of which segments are made come in many arms, so what is worked out from them stands outside of the arms:
SQLite reads the text of all views with each new connection.
"""

from __future__ import annotations

from etl.store.view_parts import EQUALS, FAR, GREATEST, LEAST, NO_TIME, Source, parts, worked_out_once

NUMBERS, LINKS, CAMPAIGNS = "virtual_numbers", "virtual_number_campaigns", "campaigns"


def segments(dialect: str) -> str:
    """The query of all segments for `dialect`."""
    least, had, keeps = LEAST[dialect], _had_phone(dialect), _keeps_phone(dialect)
    in_place = f"{had} and g.campaign_id = {first_id('begun', 'g', 'g.since')} and {first_id('ended', 'g', 'g.since')}"
    query = f"""select g.account_id, g.virtual_number_id, g.virtual_phone_number, g.campaign_id, g.campaign_name,
  g.since as valid_from,
  case when g.joined is null then g.until else {least}(g.joined, coalesce(g.until, g.joined)) end as valid_to,
  case when g.since = g.link_from then case when {in_place} is not null then 0 else 1 end
    when g.since = g.number_from and not {had} then 1 else 0 end as begins,
  case when g.campaign_id is null then g.joined when g.link_to is not null then g.link_to
    when g.number_to is not null and not {keeps} then g.number_to end as ends_at,
  case when g.campaign_id = {first_id("ended", "g", "g.link_to")} then 1 else 0 end as replaced,
  case when g.campaign_id is null and g.joined is null and g.number_to is not null and not {keeps} then 1
    else 0 end as gone
from (select r.*, case when r.campaign_id is null then
    (select min(i.valid_from) from ({_links("valid_from", "r", "e.valid_from > r.since")}) i) end as joined
  from ({" union all ".join(_versions(dialect))}) r) g"""
    return worked_out_once(query, 11)


def same_number(one: str, other: str) -> str:
    """Condition that two aliases are of one number."""
    return f"{one}.account_id = {other}.account_id and {one}.virtual_number_id = {other}.virtual_number_id"


def first_id(what: str, of: str, moment: str) -> str:
    """The lowest id of the campaigns that a number joined (`begun`) or left (`ended`) at a moment, null if none."""
    if what == "ended":
        return (
            f"(select min(e.campaign_id) from {LINKS}_closed e where {same_number('e', of)} and e.valid_to = {moment})"
        )
    return f"(select min(i.campaign_id) from ({_links('campaign_id', of, f'e.valid_from = {moment}')}) i)"


def _links(column: str, of: str, condition: str, when_closed: str = "1 = 1") -> str:
    """A column of a number's links, current and closed, that meet a condition."""
    return " union all ".join(
        f"select e.{column} from {source} e where {same_number('e', of)} and {condition}"
        + ("" if end == "null" else f" and {when_closed}")
        for ((source, end),) in parts(LINKS)
    )


def _had_phone(dialect: str) -> str:
    """Whether the number had its phone number before the segment, too."""
    same = f"{same_number('o', 'g')} and o.virtual_phone_number {EQUALS[dialect]} g.virtual_phone_number"
    begun = f"where {same} and o.valid_from < g.since"
    closed = f"select 1 from {NUMBERS}_closed o {begun} and o.valid_to >= g.since"
    return f"(exists (select 1 from {NUMBERS} o {begun}) or exists ({closed}))"


def _keeps_phone(dialect: str) -> str:
    """Whether the number keeps its phone number at the end of its version."""
    same = f"{same_number('o', 'g')} and o.virtual_phone_number {EQUALS[dialect]} g.virtual_phone_number"
    found = (
        f"exists (select 1 from {source} o where {same} and o.valid_from = g.number_to)"
        for ((source, _),) in parts(NUMBERS)
    )
    return f"({' or '.join(found)})"


# -- versions: account_id, number, phone, campaign, its name, since, until, number_from, number_to, link_from, link_to


def _versions(dialect: str) -> list[str]:
    linked = [_with_campaign(dialect, *chosen) for chosen in parts(NUMBERS, LINKS, CAMPAIGNS)]
    return linked + [_without(dialect, number, late=late) for (number,) in parts(NUMBERS) for late in (False, True)]


def _with_campaign(dialect: str, number: Source, link: Source, campaign: Source) -> str:
    """Periods of current or closed numbers, links and campaigns, as chosen.

    `cross join` makes SQLite read campaigns after the links that refer to them; otherwise it may reorder them.
    """
    far, none = FAR[dialect], NO_TIME[dialect]
    number_to, link_to, campaign_to = (
        none if end == "null" else f"{alias}.valid_to"
        for alias, (_, end) in zip("nlc", (number, link, campaign), strict=True)
    )
    ends = [end for end in (number_to, link_to, campaign_to) if end != none]
    end = f"{LEAST[dialect]}({', '.join(ends)})" if len(ends) > 1 else [*ends, none][0]
    start = f"{GREATEST[dialect]}(n.valid_from, l.valid_from, c.valid_from)"
    return f"""select n.account_id, n.virtual_number_id, n.virtual_phone_number, l.campaign_id, c.campaign_name,
  {start} as since, {end} as until, n.valid_from as number_from, {number_to} as number_to, l.valid_from as link_from,
  {link_to} as link_to
from {number[0]} n
join {link[0]} l on {same_number("l", "n")}{_meets("n", number, link, far)}
cross join {campaign[0]} c
where c.account_id = l.account_id and c.campaign_id = l.campaign_id{_meets("c", campaign, link, far)}
  and {start} < {f"coalesce({end}, {far})" if ends else far}
"""


def _meets(alias: str, source: Source, link: Source, far: str) -> str:
    """Condition that a version and the link were valid at once; ends in functions, so that SQLite searches by key."""
    begun = "" if link[1] == "null" else f" and {alias}.valid_from < coalesce(l.valid_to, {far})"
    return begun + ("" if source[1] == "null" else f" and coalesce({alias}.valid_to, {far}) > l.valid_from")


def _without(dialect: str, number: Source, *, late: bool) -> str:
    """Periods of current or closed numbers without a campaign: since the version began, or `late`, since one ended."""
    none = NO_TIME[dialect]
    start, until = "d.valid_to" if late else "n.valid_from", none if number[1] == "null" else "n.valid_to"
    among = f"from {number[0]} n"
    if late:
        inside = "" if number[1] == "null" else " and d.valid_to < n.valid_to"
        other = f"{same_number('e', 'd')} and e.valid_to = d.valid_to and e.campaign_id < d.campaign_id"
        among += (
            f"\njoin {LINKS}_closed d on {same_number('d', 'n')} and d.valid_to > n.valid_from{inside}"
            f" and not exists (select 1 from {LINKS}_closed e where {other})"
        )
    return f"""select n.account_id, n.virtual_number_id, n.virtual_phone_number, null as campaign_id,
  null as campaign_name, {start} as since, {until} as until, n.valid_from as number_from, {until} as number_to,
  {none} as link_from, {none} as link_to
{among}
where not exists ({_links("campaign_id", "n", f"e.valid_from <= {start}", f"e.valid_to > {start}")})
"""
