"""One account's listing against the sandbox, with answers of at most 50 rows: complete, or the gap is reported."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from etl.domain.runs import Strategy
from etl.errors import SourceUnusable, Unavailable
from etl.extract.listing import Page
from etl.sandbox import faults
from tests.support.bench import LIMIT, Open, benches


@pytest.fixture
def opened() -> Iterator[Open]:
    """Makes a bench with a given count of numbers."""
    with benches() as make:
        yield make


def _shown(total: object) -> str:
    """The parameter's test id, equal in every process."""
    return "missing" if total is faults.MISSING else repr(total)


def _ids(pages: list[Page]) -> list[int]:
    return sorted(number_id for page in pages for number_id in page.records)


@pytest.mark.parametrize("numbers", [0, 1, 49])
def test_what_fits_into_one_answer_is_one_request_without_a_filter(opened: Open, numbers: int) -> None:
    """A single answer shows one moment, and needs no filter."""
    bench = opened(numbers)
    listing = bench.listing()
    assert _ids(list(listing.pages())) == bench.ids
    assert bench.asked() == [{"limit": 50, "offset": 0}]
    stats = listing.stats
    assert (stats.listed, stats.reported_total, stats.unaccounted) == (numbers, numbers, 0)
    assert stats.strategy is Strategy.WINDOWS


@pytest.mark.fault("P12")
def test_an_answer_that_is_full_to_the_brim_may_have_been_cut(opened: Open) -> None:
    """As many rows as the limit prove nothing, for any `total_items`: smaller windows are requested."""
    bench = opened(120)
    bench.api.faults.add(faults.TotalItems(LIMIT), when=lambda request: "filter" not in request.params)
    listing = bench.listing()
    assert _ids(list(listing.pages())) == bench.ids


@pytest.mark.parametrize("numbers", [50, 51, 400])
def test_overflow_splits_into_windows_that_hold_everything_once(opened: Open, numbers: int) -> None:
    """A first load of many numbers: windows from the received ids, each number in exactly one page."""
    bench = opened(numbers)
    listing = bench.listing()
    pages = list(listing.pages())
    assert _ids(pages) == bench.ids
    assert all(len(page.records) <= LIMIT for page in pages)
    assert (listing.stats.listed, listing.stats.unaccounted) == (numbers, 0)
    assert listing.announced == numbers


def test_known_ids_plan_the_windows(opened: Open) -> None:
    """Known ids plan windows without a wasted request: 400 numbers in ten windows of 40, the outer two open-ended."""
    bench = opened(400)
    pages = list(bench.listing(bench.ids).pages())
    assert _ids(pages) == bench.ids
    assert [len(page.records) for page in pages] == [40] * 10
    filters = [params["filter"] for params in bench.asked()]
    assert filters[0] == {"field": "id", "operator": "<=", "value": bench.ids[39]}
    assert filters[-1] == {"field": "id", "operator": ">", "value": bench.ids[359]}
    assert filters[1] == {
        "filters": [
            {"field": "id", "operator": ">", "value": bench.ids[39]},
            {"field": "id", "operator": "<=", "value": bench.ids[79]},
        ],
        "condition": "and",
    }


def test_known_ids_that_are_wrong_lose_nothing(opened: Open) -> None:
    """Known ids only shape the windows: ids beyond both ends and between them are listed."""
    bench = opened(400)
    assert _ids(list(bench.listing(range(-500, 100)).pages())) == bench.ids


@pytest.mark.parametrize(("times", "unaccounted", "requests"), [(1, 0, 2), (2, 0, 3), (None, 1, 3)])
@pytest.mark.fault("P13")
def test_a_short_answer_is_read_again(opened: Open, times: int | None, unaccounted: int, requests: int) -> None:
    """N-1 of N: requested again twice; if the row is still missing, the others are taken and the gap is counted."""
    bench = opened(30)
    bench.api.faults.add(faults.Drop(1), times=times)
    listing = bench.listing()
    assert len(_ids(list(listing.pages()))) == 30 - unaccounted
    assert listing.stats.unaccounted == unaccounted
    assert len(bench.asked()) == requests


@pytest.mark.fault("P12")
def test_a_total_that_is_too_small_does_not_end_the_listing(opened: Open) -> None:
    """More rows than `total_items`: requested again, then all of them are taken."""
    bench = opened(30)
    bench.api.faults.add(faults.TotalItems(7), times=None)
    listing = bench.listing()
    assert _ids(list(listing.pages())) == bench.ids
    assert listing.stats.unaccounted == 0


@pytest.mark.parametrize("total", [faults.MISSING, None, "30", -1, 30.0, True, [30], 10**18, 10**40], ids=_shown)
@pytest.mark.fault("P12")
def test_a_total_that_is_no_number_refuses_the_listing(opened: Open, total: object) -> None:
    """Without `total_items` an answer cannot be shown to be complete: exit 65, after three requests."""
    bench = opened(30)
    bench.api.faults.add(faults.TotalItems(total), times=None)
    with pytest.raises(SourceUnusable, match="total_items"):
        list(bench.listing().pages())
    assert len(bench.asked()) == 3


@pytest.mark.fault("P12")
def test_a_total_that_is_always_too_large_ends(opened: Open) -> None:
    """A source that announces 60 numbers for every window is refused after a bounded number of requests."""
    bench = opened(30)
    bench.api.faults.add(faults.TotalItems(60), times=None)
    with pytest.raises(SourceUnusable):
        list(bench.listing().pages())
    assert len(bench.asked()) <= 250


@pytest.mark.fault("P14")
def test_an_ignored_filter_is_noticed(opened: Open) -> None:
    """Rows outside the requested window show that the source ignores the filter: its answers are refused."""
    bench = opened(120)
    bench.api.faults.add(faults.IgnoreFilter(), times=None)
    with pytest.raises(SourceUnusable, match="ignores the filter"):
        list(bench.listing(bench.ids).pages())
    assert len(bench.asked()) == 3


def test_a_refused_filter_falls_back_to_offsets(opened: Open) -> None:
    """Where ids cannot be filtered, pages by offset also hold all numbers, and the strategy is offsets."""
    bench = opened(120)
    bench.api.id_filter = False
    listing = bench.listing(bench.ids)
    assert _ids(list(listing.pages())) == bench.ids
    stats = listing.stats
    assert (stats.strategy, stats.listed, stats.reported_total, stats.unaccounted) == (Strategy.OFFSETS, 120, 120, 0)
    once = [0, 50, 100]
    assert [params["offset"] for params in bench.asked()[1:]] == once * 2, "a second pass shows that nothing is new"


@pytest.mark.fault("P17")
def test_rows_that_move_between_offset_pages_are_found_by_another_pass(opened: Open) -> None:
    """A number edited on the first page moves to the heap's end and shifts others: none is lost or listed twice."""
    bench = opened(120)
    bench.api.id_filter = False
    moving = iter(bench.world.numbers(bench.account)[60:63])

    def shift(_request: object) -> None:
        for number_id in moving:
            bench.world.remove(bench.account, bench.world.numbers(bench.account)[0])
            bench.world.edit(bench.account, number_id, comment="moved")
            return

    bench.api.after_request.append(shift)
    listing = bench.listing(bench.ids)
    listed = _ids(list(listing.pages()))
    assert set(bench.ids) <= set(listed)
    assert len(listed) == len(set(listed))


@pytest.mark.fault("P18")
def test_offsets_have_a_wall(opened: Open) -> None:
    """More rows than offsets can reach are refused, and not cut off."""
    bench = opened(120)
    bench.api.id_filter = False
    bench.api.faults.add(faults.TotalItems(110_001), times=None)
    with pytest.raises(SourceUnusable, match="110001"):
        list(bench.listing().pages())


@pytest.mark.fault("P14")
def test_an_ignored_offset_never_passes_for_a_whole_listing(opened: Open) -> None:
    """The first page comes repeatedly, and the filter is refused: the listing fails, or counts the missing rows."""
    bench = opened(120)
    bench.api.id_filter = False
    bench.api.faults.add(faults.IgnoreOffset(), times=None)
    listing = bench.listing(bench.ids)
    try:
        listed = _ids(list(listing.pages()))
    except SourceUnusable:
        return
    assert len(listed) + listing.stats.unaccounted == 120


@pytest.mark.fault("P15", "P16")
def test_a_number_that_comes_twice(opened: Open) -> None:
    """P15, P16: the number is in the page once; equal and contradicting copies are counted separately."""
    bench = opened(30)
    bench.api.faults.add(faults.Duplicate())
    listing = bench.listing()
    (page,) = listing.pages()
    assert (len(page.records), listing.stats.duplicates, listing.stats.conflicts) == (30, 1, 0)


@pytest.mark.parametrize("comment", ["0 first", "zz last"])
@pytest.mark.fault("P16")
def test_of_contradicting_rows_the_same_one_wins(opened: Open, comment: str) -> None:
    """The row whose content sorts first wins, in any order of arrival, so that two runs give the same result."""
    bench = opened(1)
    (number_id,) = bench.ids
    bench.world.edit(bench.account, number_id, comment="m")
    bench.api.faults.add(faults.Duplicate({"comment": comment}))
    listing = bench.listing()
    (page,) = listing.pages()
    assert (listing.stats.duplicates, listing.stats.conflicts) == (0, 1)
    assert (f'"comment":"{comment}"'.encode() in bytes(page.records[number_id])) == (comment == "0 first")


@pytest.mark.fault("D07")
def test_records_without_a_usable_id_are_handed_on(opened: Open) -> None:
    """Such records count as received rows, and are returned separately for the quarantine."""
    bench = opened(5)
    strange = [b'{"id":"x"}', b'{"id":99999999999999999999}', b"[]", b"null", b'{"id":1.5}']
    for number_id, raw in zip(bench.ids, strange, strict=True):
        bench.world.put_raw(bench.account, number_id, raw)
    listing = bench.listing()
    (page,) = listing.pages()
    assert page.records == {}
    assert sorted(bytes(raw) for raw in page.unreadable) == sorted(strange)
    assert (listing.stats.listed, listing.stats.unaccounted) == (5, 0)


@pytest.mark.parametrize("data", [None, {}, "rows", 5])
@pytest.mark.fault("P04")
def test_data_that_is_no_list_is_refused(opened: Open, data: object) -> None:
    """P04: a result without a list of records is unusable."""
    bench = opened(5)
    bench.api.faults.add(faults.reshape(result={"data": data, "metadata": {"total_items": 5}}), times=None)
    with pytest.raises(SourceUnusable):
        list(bench.listing().pages())


def test_more_rows_than_asked_for_are_refused(opened: Open) -> None:
    """A source that ignores the limit is refused."""
    bench = opened(60)
    bench.api.before_request.append(lambda request: request["params"].update(limit=60))
    with pytest.raises(SourceUnusable):
        list(bench.listing().pages())


@pytest.mark.fault("H14")
def test_a_source_that_stays_down_is_unavailable(opened: Open) -> None:
    """A gateway's 502 gives eight tries, with waits on the clock, then the listing fails: exit 69."""
    bench = opened(5)
    bench.api.faults.add(faults.http(502), times=None)
    with pytest.raises(Unavailable, match="502"):
        list(bench.listing().pages())
    assert (bench.client.requests, bench.client.retries) == (8, 7)
