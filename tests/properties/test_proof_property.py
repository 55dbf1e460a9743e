"""A13, A15: whatever a source does to the length, order and count of its answers, no living number is called gone."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from etl.errors import FilterRefused, SourceUnusable
from etl.extract.answers import Result
from etl.extract.listing import Listing
from etl.extract.proof import Proof
from tests.support.vendor import matches

LIMIT = 12

COUNTS: dict[str, Callable[[int, int], int]] = {
    "all that match": lambda matching, sent: matching,
    "those that were sent": lambda matching, sent: sent,
    "rounded down to fives": lambda matching, sent: sent - sent % 5,
    "rounded up to tens": lambda matching, sent: -(-sent // 10) * 10,
    "at most ten": lambda matching, sent: min(sent, 10),
}
"""What `total_items` says, of the rows that match and those that were sent."""
ORDERS: dict[str, Callable[[list[int], random.Random], list[int]]] = {
    "ascending": lambda ids, dice: sorted(ids),
    "descending": lambda ids, dice: sorted(ids, reverse=True),
    "as stored": lambda ids, dice: ids,
    "another each time": lambda ids, dice: dice.sample(ids, len(ids)),
}


@dataclass
class Source:
    """A source of living numbers that cuts its answers to `cap` rows; it stands in for `DataApi`."""

    living: list[int]
    cap: int
    count: str
    order: str
    filters: bool = True
    dice: random.Random = field(default_factory=lambda: random.Random(3))
    requests: int = 0
    owed: int = 0
    """Numbers that are announced beyond those that are there."""

    def call(self, _method: str, params: dict[str, Any], *, known: bytes = b"") -> Result:
        """One answer."""
        self.requests += 1
        where = params.get("filter")
        if where and not self.filters:
            raise FilterRefused("no filter by id")
        matching = [i for i in self.living if matches({"id": i}, where)]
        ordered = ORDERS[self.order](matching, self.dice)[params["offset"] :]
        sent = ordered[: min(self.cap, params["limit"])]
        total = COUNTS[self.count](len(matching), len(sent)) + self.owed
        return Result(msgspec.Raw(msgspec.json.encode([{"id": i} for i in sent])), {"total_items": total})

    def afford(self, _requests: int) -> None:
        """There are points for everything."""

    def notice(self, _message: str) -> None:
        """Notices are ignored."""


def _proof(source: Source, known: list[int]) -> Proof | None:
    """The proof for the known numbers that are not listed; None where the listing is refused."""
    listing = Listing(source, user_id=None, known=known, limit=LIMIT)  # type: ignore[arg-type]  # a stand-in
    try:
        listed = {i for page in listing.pages() for i in page.records}
    except SourceUnusable:
        return None
    missing = [i for i in known if i not in listed]
    return listing.prove(missing) if missing else Proof()


IDS = st.sets(st.integers(1, 60), max_size=40)


@settings(max_examples=400, deadline=None)
@given(
    living=IDS,
    dead=IDS,
    cap=st.integers(1, LIMIT + 1),
    count=st.sampled_from(list(COUNTS)),
    order=st.sampled_from(list(ORDERS)),
    filters=st.booleans(),
)
@example(living={1, 2}, dead=set(), cap=1, count="those that were sent", order="ascending", filters=True)
@example(living={1, 2}, dead=set(), cap=1, count="those that were sent", order="ascending", filters=False)
@pytest.mark.fault("A13")
def test_no_living_number_is_gone_whatever_cuts_the_answers(
    living: set[int], dead: set[int], cap: int, count: str, order: str, filters: bool
) -> None:
    """For every cap, order and rounding of `total_items`, each living number that was open stays open."""
    source = Source(sorted(living, key=lambda i: i % 7), cap, count, order, filters)
    proof = _proof(source, sorted(living | dead))
    assert proof is None or not set(proof.gone) & living
    assert source.requests <= 500


@settings(max_examples=200, deadline=None)
@given(living=IDS.filter(bool), dead=IDS, order=st.sampled_from(list(ORDERS)))
@pytest.mark.fault("A13")
def test_an_honest_source_proves_every_absence(living: set[int], dead: set[int], order: str) -> None:
    """Where nothing is cut and totals are true, exactly the dead are gone and none is suspect, down to one number."""
    source = Source(sorted(living), LIMIT, "all that match", order)
    proof = _proof(source, sorted(living | dead))
    assert proof is not None
    assert (set(proof.gone), proof.suspects) == (dead - living, [])


@given(
    living=st.sets(st.integers(1, 60), min_size=2, max_size=6),
    dead=st.sets(st.integers(61, 99), max_size=5),
    owed=st.integers(1, 2),
)
@pytest.mark.fault("A15")
def test_as_many_stay_suspect_as_the_listing_owes(living: set[int], dead: set[int], owed: int) -> None:
    """A listing that announces more numbers than it gives keeps as many of the missing open: the lowest ids."""
    source = Source(sorted(living), LIMIT, "all that match", "as stored", owed=min(owed, len(living)))
    listing = Listing(source, user_id=None, known=sorted(living | dead), limit=LIMIT)  # type: ignore[arg-type]  # a stand-in
    list(listing.pages())
    source.owed = 0
    proof = listing.prove(sorted(dead)) if dead else Proof()
    owed = listing.stats.unaccounted
    assert owed >= 1
    assert (proof.suspects, proof.gone) == (sorted(dead)[:owed], sorted(dead)[owed:])
