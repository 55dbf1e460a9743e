"""One answer split into records: each number once, the same one of two, in whatever order anything comes."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from etl.extract.answers import Result
from etl.extract.page import Page, read_page


def _page(*records: bytes) -> Page:
    return read_page(Result(msgspec.Raw(b"[" + b",".join(records) + b"]"), {"total_items": len(records)}), 10)


def _content(page: Page) -> Any:
    return msgspec.json.decode(page.records[7])


ONE = b'{"id": 7, "comment": "b", "campaigns": [1, 2]}'
AGAIN = b'{"campaigns": [2, 1], "comment": "b", "id": 7}'
OTHER = b'{"id": 7, "comment": "a", "campaigns": [2, 1]}'
OTHER_AGAIN = b'{"comment": "a", "campaigns": [1, 2], "id": 7}'


def test_the_same_content_in_another_order_is_a_duplicate() -> None:
    """Keys and elements in another order contradict nothing."""
    page = _page(ONE, AGAIN)
    assert (page.duplicates, page.conflicts) == (1, 0)


def test_of_two_contents_the_same_one_wins_in_any_order() -> None:
    """Whichever comes first, and in whatever order its keys are: else the number would flap from run to run."""
    for one, other in itertools.product((ONE, AGAIN), (OTHER, OTHER_AGAIN)):
        for order in ((one, other), (other, one)):
            page = _page(*order)
            assert (page.duplicates, page.conflicts) == (0, 1)
            assert _content(page)["comment"] == "a"


def test_records_that_cannot_be_decoded_are_compared_as_they_came() -> None:
    """A record with the right id and an impossible number in it: no exception here, the decoder will tell."""
    odd = b'{"id": 7, "x": 1' + b"0" * 5000 + b"}"
    page = _page(odd, ONE)
    assert (page.rows, page.conflicts) == (2, 1)
