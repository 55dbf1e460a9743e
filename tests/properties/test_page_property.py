"""A page compared with the last listing equals the page read alone, without its unchanged records."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from etl.domain.fingerprints import DIGEST, ListingPrint, Records, WindowPrint
from etl.domain.windows import WHOLE
from etl.extract.answers import Result
from etl.extract.page import Page, read_page
from etl.load.incremental import IncrementalState
from etl.transform.drift import DriftLog
from etl.transform.normalize import Normalizer

LIMIT = 100
_ids = st.integers(1, 12)
_broken = st.sampled_from([b'{"id": null}', b'{"id": "7"}', b'{"x": 1}', b'{"id": 99999999999999999999}', b"17"])
_sound = st.builds(
    lambda number, say: b'{"id": %d, "comment": "%s"}' % (number, say), _ids, st.sampled_from([b"", b"b"])
)
_answers = st.lists(st.one_of(_sound, _sound, _sound, _broken), max_size=12)


def _read(records: list[bytes], before: WindowPrint | None = None) -> Page:
    answer = Result(msgspec.Raw(b"[" + b",".join(records) + b"]"), {"total_items": len(records)})
    return replace(read_page(answer, LIMIT, before), window=WHOLE)


def _remembered(page: Page, unusable: int) -> WindowPrint:
    """Memory of a page whose number `unusable` could not be used."""
    memory = IncrementalState(ListingPrint(), Normalizer(DriftLog()))
    return _taken(memory, page, unusable)


def _taken(memory: IncrementalState, page: Page, unusable: int) -> WindowPrint:
    memory.take(page, {i: 100 + i for i in page.records if i != unusable}, [])
    return memory._new[-1]


def _by_id(records: Records) -> dict[int, tuple[bytes, int]]:
    digests = [records.digests[at : at + DIGEST] for at in range(0, len(records.digests), DIGEST)]
    return dict(zip(records.ids, zip(digests, records.phones, strict=True), strict=True))


@given(day=_answers, next_day=_answers, unusable=_ids)
def test_a_compared_page_is_the_page_alone(day: list[bytes], next_day: list[bytes], unusable: int) -> None:
    """Ids, digests and broken records are the same; each record is there, or has a place where its digest is."""
    before = _remembered(_read(day), unusable)
    alone, compared = _read(next_day), _read(next_day, before)
    if compared.is_unchanged:
        assert day == next_day
        return
    assert (list(compared.ids), compared.digests) == (list(alone.ids), alone.digests)
    assert [bytes(r) for r in compared.unreadable] == [bytes(r) for r in alone.unreadable]
    assert compared.numbers == alone.numbers
    if compared.known is None:
        assert compared.records.keys() == alone.records.keys()
        return
    at_place: dict[int, Any] = {}
    for at, (number_id, place) in enumerate(zip(compared.ids, compared.places, strict=True)):
        digest = compared.digests[at * DIGEST : (at + 1) * DIGEST]
        if place is not None:
            known = before.records()
            assert (known.ids[place], known.digests[place * DIGEST : (place + 1) * DIGEST]) == (number_id, digest)
            at_place[number_id] = place
    assert {i: bytes(r) for i, r in compared.records.items()} == {
        i: bytes(r) for i, r in alone.records.items() if i not in at_place
    }


@given(day=_answers, next_day=_answers, unusable=_ids)
def test_what_is_remembered_of_it_is_the_same(day: list[bytes], next_day: list[bytes], unusable: int) -> None:
    """Of each usable number the digest of its bytes and the key of its phone, compared or not; of no other."""
    before = _remembered(_read(day), unusable)
    compared = _read(next_day, before)
    if compared.is_unchanged:
        return
    new = IncrementalState(ListingPrint(windows=(before,)), Normalizer(DriftLog()))
    assert _by_id(_taken(new, compared, unusable).records()) == _by_id(_remembered(_read(next_day), unusable).records())
