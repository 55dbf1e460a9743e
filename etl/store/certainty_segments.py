"""Segments of the view `number_campaign_certainty`, as SQL: a number with one phone and one campaign, or with none.

Columns: account_id, virtual_number_id, virtual_phone_number, campaign_id, campaign_name, valid_from, valid_to;
`begins` (1: it took no other campaign's place), `ends_at` (when the number had left the campaign or had another phone
number; of a segment without a campaign: when it got one), `replaced` (1: another campaign may have taken its place),
`gone` (1: it is known until `valid_to`, for the number was removed).
"""

from __future__ import annotations

from etl.store.view_parts import EQUALS, FAR, GREATEST, LEAST, NO_TIME, Source, parts

NUMBERS, LINKS, CAMPAIGNS = "virtual_numbers", "virtual_number_campaigns", "campaigns"


def segments(dialect: str) -> str:
    """The query of all segments for `dialect`."""
    arms = [_with_campaign(dialect, *chosen) for chosen in parts(NUMBERS, LINKS, CAMPAIGNS)]
    arms += [_without(dialect, number, late=late) for (number,) in parts(NUMBERS) for late in (False, True)]
    return " union all ".join(arms)


def same_number(one: str, other: str) -> str:
    """Condition that two aliases are of one number."""
    return f"{one}.account_id = {other}.account_id and {one}.virtual_number_id = {other}.virtual_number_id"


def first_id(what: str, of: str, moment: str) -> str:
    """The lowest id of the campaigns that a number joined (`begun`) or left (`ended`) at a moment, null if none."""
    found = [f"{LINKS}_closed where valid_to = {moment}"]
    if what == "begun":
        found = [f"{source} where valid_from = {moment}" for ((source, _),) in parts(LINKS)]
    union = " union all ".join(
        f"select e.campaign_id from {source} e where {same_number('e', of)} and e.{condition}"
        for source, _, condition in (one.partition(" where ") for one in found)
    )
    return f"(select min(i.campaign_id) from ({union}) i)"


# -- with a campaign


def _with_campaign(dialect: str, number: Source, link: Source, campaign: Source) -> str:
    """Segments of current or closed numbers, links and campaigns, as chosen.

    `cross join` makes SQLite read campaigns after the links that refer to them; otherwise it may reorder them.
    """
    far = FAR[dialect]
    aliases = zip("nlc", (number, link, campaign), strict=True)
    ends = [f"{alias}.valid_to" for alias, (_, end) in aliases if end != "null"]
    end = f"{LEAST[dialect]}({', '.join(ends)})" if len(ends) > 1 else [*ends, NO_TIME[dialect]][0]
    start = f"{GREATEST[dialect]}(n.valid_from, l.valid_from, c.valid_from)"
    return f"""select n.account_id, n.virtual_number_id, n.virtual_phone_number, l.campaign_id, c.campaign_name,
  {start} as valid_from, {end} as valid_to, {_begins(dialect, start)} as begins,
  {_ends_at(dialect, number, link)} as ends_at, {_replaced(dialect, link)} as replaced, 0 as gone
from {number[0]} n
join {link[0]} l on {same_number("l", "n")}{_meets("n", number, "l", link, far)}
cross join {campaign[0]} c
where c.account_id = l.account_id and c.campaign_id = l.campaign_id{_meets("c", campaign, "l", link, far)}
  and {start} < {f"coalesce({end}, {far})" if ends else far}
"""


def _meets(alias: str, source: Source, other: str, others: Source, far: str) -> str:
    """Condition that two versions were valid at the same time; ends in functions, so that SQLite searches by key."""
    begun = "" if others[1] == "null" else f" and {alias}.valid_from < coalesce({other}.valid_to, {far})"
    return begun + ("" if source[1] == "null" else f" and coalesce({alias}.valid_to, {far}) > {other}.valid_from")


def _begins(dialect: str, start: str) -> str:
    """Whether the number came into the campaign, or the phone number to the number, without leaving another one."""
    in_place = (
        f"{_had_phone(dialect, 'l.valid_from')} and l.campaign_id = {first_id('begun', 'n', 'l.valid_from')}"
        f" and {first_id('ended', 'n', 'l.valid_from')} is not null"
    )
    return (
        f"case when l.valid_from = {start} then case when {in_place} then 0 else 1 end"
        f" when n.valid_from = {start} and not {_had_phone(dialect, 'n.valid_from')} then 1 else 0 end"
    )


def _ends_at(dialect: str, number: Source, link: Source) -> str:
    if link[1] != "null":
        return "l.valid_to"
    return NO_TIME[dialect] if number[1] == "null" else f"case when not {_keeps_phone(dialect)} then n.valid_to end"


def _replaced(dialect: str, link: Source) -> str:
    """Of several campaigns that were left at once, the first one counts as replaced."""
    if link[1] == "null":
        return "0"
    return f"case when l.campaign_id = {first_id('ended', 'n', 'l.valid_to')} then 1 else 0 end"


def _had_phone(dialect: str, moment: str) -> str:
    """Whether the number had the phone number of `n` until a moment, too."""
    same = f"{same_number('o', 'n')} and o.virtual_phone_number {EQUALS[dialect]} n.virtual_phone_number"
    begun = f"select 1 from {{0}} o where {same} and o.valid_from < {moment}"
    return (
        f"(exists ({begun.format(NUMBERS)}) or exists ({begun.format(f'{NUMBERS}_closed')} and o.valid_to >= {moment}))"
    )


def _keeps_phone(dialect: str) -> str:
    """Whether the number keeps the phone number of the closed version `n` at its end."""
    same = f"{same_number('o', 'n')} and o.virtual_phone_number {EQUALS[dialect]} n.virtual_phone_number"
    found = (
        f"exists (select 1 from {source} o where {same} and o.valid_from = n.valid_to)"
        for ((source, _),) in parts(NUMBERS)
    )
    return f"({' or '.join(found)})"


# -- without a campaign


def _without(dialect: str, number: Source, *, late: bool) -> str:
    """Segments of current or closed numbers without a campaign: since the version began, or `late`, since one ended."""
    least = LEAST[dialect]
    start = "d.valid_to" if late else "n.valid_from"
    joined = f"(select min(i.valid_from) from ({_links('valid_from', f'e.valid_from > {start}')}) i)"
    end = joined if number[1] == "null" else f"{least}(n.valid_to, coalesce({joined}, n.valid_to))"
    begins = "0" if late else f"case when {_had_phone(dialect, 'n.valid_from')} then 0 else 1 end"
    gone = (
        "0" if number[1] == "null" else f"case when {joined} is null and not {_keeps_phone(dialect)} then 1 else 0 end"
    )
    among = f"from {number[0]} n"
    if late:
        inside = "" if number[1] == "null" else " and d.valid_to < n.valid_to"
        other = f"{same_number('e', 'd')} and e.valid_to = d.valid_to and e.campaign_id < d.campaign_id"
        among += (
            f"\njoin {LINKS}_closed d on {same_number('d', 'n')} and d.valid_to > n.valid_from{inside}"
            f" and not exists (select 1 from {LINKS}_closed e where {other})"
        )
    return f"""select n.account_id, n.virtual_number_id, n.virtual_phone_number, null, null,
  {start}, {end}, {begins}, {joined}, 0, {gone}
{among}
where not exists ({_links("campaign_id", f"e.valid_from <= {start}", f"e.valid_to > {start}")})
"""


def _links(column: str, condition: str, when_closed: str = "1 = 1") -> str:
    """A column of the number's links, current and closed, that meet a condition."""
    return " union all ".join(
        f"select e.{column} from {source} e where {same_number('e', 'n')} and {condition}"
        + ("" if end == "null" else f" and {when_closed}")
        for ((source, end),) in parts(LINKS)
    )
