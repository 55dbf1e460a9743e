"""The numbers that the benchmark's source serves: made from their positions alone, so every machine sees the same.

A state of the source is a number of days: each day edits, removes and adds a share of the numbers. About 670 bytes and
4.2 rows a number, as an account of the field has them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

FIRST_ID, STEP = 100_003, 7
EDITED, REMOVED = 0.8, 0.1
"""Of what changes in a day, so much is edited and so much removed; the rest is new."""
SHARES = (0.0, 0.01, 0.1)
"""How much changes on the day of each state: nothing before the first load, then 1 %, then 10 %."""
PER_CAMPAIGN, PER_SITE, PER_SCENARIO = 50, 5, 200

STATUSES = ("active", "waiting", "reserved", "manual_lock")
CATEGORIES = ("usual", "bronze", "silver", "gold")
TYPES = ("va", "call_tracking", "dynamic_call_tracking")
_NUMBER = (
    '{"id":%d,"child_customer_id":%s,"virtual_phone_number":"7495%07d","redirection_phone_number":null,'
    '"activation_date":"2024-%02d-%02d 10:%02d:00","status":"%s","category":"%s","type":"%s","comment":"%s",'
    '"name":"Line %d of the northern office","campaigns":[%s],"scenarios":[%s]}'
)


def _dice(position: int, salt: int) -> float:
    """A number in [0, 1) for a position and what it decides."""
    return ((position * 2_654_435_761 + salt * 40_503_001) ^ (position >> 3) * 97) % 1_000_003 / 1_000_003


@cache
def _campaign(campaign: int, blocks: int, tracking: bool) -> str:
    site = campaign // PER_SITE
    tracked = _word(tracking)
    listed = ",".join(
        f'{{"site_block_id":{site * 4 + n},"site_block_name":"Block {n} of the landing page","is_tracking":{tracked}}}'
        for n in range(blocks)
    )
    return (
        f'{{"campaign_id":{campaign},"campaign_name":"Campaign {campaign}, spring and summer",'
        f'"site_id":{site},"site_domain_name":"www.site-{site}.example","site_blocks":[{listed}]}}'
    )


@cache
def _scenario(scenario: int, active: bool) -> str:
    return (
        f'{{"scenario_id":{scenario},"scenario_name":"Scenario {scenario}, office hours",'
        f'"call_processing_rule_id":{scenario * 3},"is_active":{_word(active)}}}'
    )


def _word(value: bool) -> str:
    return "true" if value else "false"


@dataclass(frozen=True)
class Change:
    """What has happened to a number by a state: how often it was edited, and whether it is still there."""

    edits: int
    alive: bool


def changed(position: int, days: int) -> Change:
    """What the days until a state did to the number at a position."""
    edits = 0
    for day in range(1, days + 1):
        share = _share(day)
        dice = _dice(position, day)
        if dice < share * REMOVED:
            return Change(edits, False)
        edits += dice < share * (REMOVED + EDITED)
    return Change(edits, True)


def _share(day: int) -> float:
    return SHARES[day] if day < len(SHARES) else SHARES[1]


def record(position: int, edits: int, customer: int | None, base: int) -> str:
    """The JSON of a number; `base`: the account's first campaign, `customer`: under an agent."""
    kind = position * 7 % 10
    campaign = base + position // PER_CAMPAIGN + (edits % 3 if kind in (1, 2) else 0)
    blocks = 2 if position % 5 == 0 else 1
    comment = f"kept for the hotline, revision {edits if kind not in (1, 2, 3) else 0}"
    status = STATUSES[(position + (edits if kind == 3 else 0)) % 4]
    return _NUMBER % (
        FIRST_ID + position * STEP, "null" if customer is None else customer, position % 10_000_000,
        position % 12 + 1, position % 28 + 1, position % 60, status, CATEGORIES[position // 3 % 4], TYPES[position % 3],
        comment, position, _campaign(campaign, blocks, position % 2 == 0),
        _scenario(base + position // PER_SCENARIO, (position + (edits if kind == 4 else 0)) % 9 != 0),
    )  # fmt: skip


def positions(first: int, count: int, days: int) -> Iterator[tuple[int, int]]:
    """The positions of an account that are alive in a state, ascending, with their edits; new ones are at the end."""
    added = sum(int(count * _share(day) * (1 - EDITED - REMOVED)) for day in range(1, days + 1))
    for position in range(first, first + count):
        change = changed(position, days)
        if change.alive:
            yield position, change.edits
    for position in range(first + count, first + count + added):
        yield position, 0


class Account:
    """One account's numbers in one state: their JSON end to end, and where each begins."""

    def __init__(self, first: int, count: int, days: int, customer: int | None) -> None:
        self.ids, self._starts, parts, at = array("q"), array("q"), [], 0
        base = first // PER_CAMPAIGN * 10 + 1
        for position, edits in positions(first, count, days):
            text = record(position, edits, customer, base).encode()
            self.ids.append(FIRST_ID + position * STEP)
            self._starts.append(at)
            parts.append(text)
            at += len(text) + 1
        self._starts.append(at)
        self.text = memoryview(b",".join(parts))

    def between(self, after: int | None, upto: int | None) -> tuple[int, int]:
        """The indexes of the numbers with ids in (after, upto]."""
        low = 0 if after is None else bisect_right(self.ids, after)
        return low, len(self.ids) if upto is None else max(low, bisect_right(self.ids, upto))

    def slice(self, low: int, high: int) -> memoryview:
        """The records from one index up to another, with commas between them."""
        return self.text[self._starts[low] : max(self._starts[low], self._starts[high] - 1)]

    def picked(self, wanted: Sequence[int]) -> bytes:
        """The records of these ids, as far as there are any."""
        places = [(bisect_left(self.ids, i), i) for i in sorted(set(wanted))]
        return b",".join(bytes(self.slice(n, n + 1)) for n, i in places if n < len(self.ids) and self.ids[n] == i)
