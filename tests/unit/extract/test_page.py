"""One answer split into records: each number once, the same one of two, in whatever order anything comes."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from msgspec.structs import replace

from etl.domain.fingerprints import Records, WindowPrint
from etl.domain.text import storable
from etl.domain.windows import WHOLE
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
    """A record with a valid id and an impossible number raises nothing here; the decoder reports it."""
    odd = b'{"id": 7, "x": 1' + b"0" * 5000 + b"}"
    page = _page(odd, ONE)
    assert (page.rows, page.conflicts) == (2, 1)


def _before(*records: bytes) -> WindowPrint:
    """Memory of a page of these records, with ids 1, 2 and so on."""
    page = _page(*records)
    ids = [msgspec.json.decode(record)["id"] for record in records]
    known = Records(ids, page.digests, ids)
    return WindowPrint(
        window=WHOLE, digest=b"another", numbers=len(ids), control_ids=(), drift_entries=(), records=lambda: known
    )


NUL = rb'{"id": 7, "comment": "a\u0000b"}'


def test_a_record_that_spells_out_what_another_one_is_stored_as_is_not_the_same() -> None:
    """Digests cover the bytes that were sent, not their stored form, which the source may send itself later."""
    spelled = storable(NUL)
    assert spelled != NUL
    page = _page_before(_before(NUL), spelled)
    assert list(page.records) == [7]
    assert _content(page)["comment"] == "a\u24002400" + "0000b"
    assert _page_before(_before(NUL), NUL).places == [0]


def test_what_databases_cannot_hold_is_replaced_whether_or_not_a_page_was_compared() -> None:
    """The same bytes give the same record on a first listing and next to unchanged records."""
    compared, alone = _page_before(_before(b'{"id": 1}'), b'{"id": 1}', NUL), _page(b'{"id": 1}', NUL)
    assert bytes(compared.records[7]) == bytes(alone.records[7]) == storable(NUL)
    assert compared.digests == alone.digests
    assert compared.places == [0, None]


def test_records_that_were_made_storable_with_their_answer_are_not_taken_for_sent_ones() -> None:
    """An answer with a lone surrogate is encoded as a whole; its stored form, sent later, is another record."""
    made = storable(rb'{"id": 7, "comment": "\ud800"}')
    day = Result(msgspec.Raw(b"[" + made + b"]"), {"total_items": 1}, storable=True)
    first = read_page(day, 10)
    known = Records([7], first.digests, [7])
    before = WindowPrint(
        window=WHOLE, digest=first.digest, numbers=1, control_ids=(), drift_entries=(), records=lambda: known
    )
    assert read_page(day, 10, before).is_unchanged
    assert list(_page_before(before, made).records) == [7]
    again = read_page(day, 10, replace(before, digest=b"another"))
    assert again.places == [0]
    assert bytes(first.records[7]) == made


def _page_before(before: WindowPrint, *records: bytes) -> Page:
    return read_page(Result(msgspec.Raw(b"[" + b",".join(records) + b"]"), {"total_items": len(records)}), 10, before)
