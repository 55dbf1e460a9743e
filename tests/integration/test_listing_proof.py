"""Proof of absence: a requested number is gone if it is missing while control ids come. Otherwise it may be alive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from etl.extract.listing import Listing
from etl.extract.proof import Proof
from etl.sandbox import faults
from etl.sandbox.rpc import Request
from tests.support.bench import LIMIT, Bench, Open, benches


@pytest.fixture
def opened() -> Iterator[Open]:
    """Makes a bench with a given count of numbers."""
    with benches() as make:
        yield make


def _listed(bench: Bench) -> Listing:
    listing = bench.listing()
    list(listing.pages())
    return listing


def _asks_for_ids(request: Request) -> bool:
    return bool(request.params.get("filter", {}).get("operator") == "in")


def _told(proof: Proof) -> tuple[list[int], list[int], list[int]]:
    return sorted(proof.gone), sorted(proof.alive), sorted(proof.suspects)


def _removed(bench: Bench, count: int) -> list[int]:
    gone = bench.ids[:count]
    for number_id in gone:
        bench.world.remove(bench.account, number_id)
    return gone


def test_a_number_that_left_is_proven_gone_between_control_ids(opened: Open) -> None:
    """One request for the missing id, with a listed id at each end: those come, the missing one does not."""
    bench = opened(30)
    gone = bench.ids[10]
    bench.world.remove(bench.account, gone)
    assert _told(_listed(bench).prove([gone])) == ([gone], [], [])
    low, asked, high = bench.asked()[-1]["filter"]["value"]
    assert asked == gone
    assert low < gone < high
    assert {low, high} <= set(bench.ids)


def test_an_id_below_all_others_has_control_ids_at_both_ends(opened: Open) -> None:
    """No listed id is lower: the request still begins and ends with a control id."""
    bench = opened(30)
    (gone,) = _removed(bench, 1)
    assert _told(_listed(bench).prove([gone])) == ([gone], [], [])
    first, asked, last = bench.asked()[-1]["filter"]["value"]
    assert (asked, {first, last} <= set(bench.ids[1:]), first != last) == (gone, True, True)


def test_a_number_that_the_listing_missed_is_alive(opened: Open) -> None:
    """A number missing from the listing comes when requested by id: it is alive, and no longer unaccounted for."""
    bench = opened(30)
    missed = bench.ids[7]
    bench.api.faults.add(faults.DropIds(frozenset({missed})), times=3)
    listing = _listed(bench)
    assert (listing.stats.listed, listing.stats.unaccounted) == (29, 1)
    proof = listing.prove([missed])
    assert _told(proof) == ([], [missed], [])
    assert (listing.stats.listed, listing.stats.unaccounted) == (30, 0)
    assert f'"id":{missed}'.encode() in bytes(proof.alive[missed])


@pytest.mark.parametrize(
    "fault",
    [
        faults.NoRows(),
        faults.EmptyPage(),
        faults.Drop(1),
        faults.TotalItems(4),
        faults.TotalItems(faults.MISSING),
        faults.IgnoreFilter(),
        faults.Foreign(),
        faults.Duplicate({"id": "x"}),
    ],
    ids=["no rows", "no rows of one", "a row short", "another total", "no total", "filter ignored", "foreign", "no id"],
)
def test_an_answer_that_proves_nothing_leaves_suspects(opened: Open, fault: faults.Fault) -> None:
    """No control id, another total, rows that were not requested: such an answer proves no number gone."""
    bench = opened(30)
    (gone,) = _removed(bench, 1)
    listing = _listed(bench)
    bench.api.faults.add(fault, times=None)
    assert _told(listing.prove([gone])) == ([], [], [gone])


def test_some_that_live_and_some_that_are_gone(opened: Open) -> None:
    """One request distinguishes living numbers from removed ones."""
    bench = opened(30)
    hidden, gone = bench.ids[20], _removed(bench, 2)
    bench.api.faults.add(faults.DropIds(frozenset({hidden})), times=3)
    assert _told(_listed(bench).prove([*gone, hidden])) == (gone, [hidden], [])


def test_many_missing_are_asked_in_several_questions(opened: Open) -> None:
    """Each request has as many ids as an answer may have rows, including its control ids."""
    bench = opened(200)
    gone = _removed(bench, 100)
    listing = _listed(bench)
    before = len(bench.asked())
    assert _told(listing.prove(gone)) == (gone, [], [])
    questions = [params["filter"]["value"] for params in bench.asked()[before:]]
    assert [len(q) for q in questions] == [LIMIT, LIMIT, 100 - 2 * (LIMIT - 2) + 2]


def test_one_failed_question_leaves_only_its_own_suspects(opened: Open) -> None:
    """If one of three requests is never answered with its control ids, the other two are still proofs."""
    bench = opened(200)
    gone = _removed(bench, 100)
    listing = _listed(bench)
    bench.api.faults.add(faults.NoRows(), times=None, when=lambda request: gone[60] in _wanted(request))
    proof = listing.prove(gone)
    assert (len(proof.gone), len(proof.suspects)) == (100 - (LIMIT - 2), LIMIT - 2)
    assert gone[60] in proof.suspects


@pytest.mark.fault("P19")
def test_where_nothing_was_listed_nothing_is_proven(opened: Open) -> None:
    """P19: 0 rows instead of N: there is no control id, so no request is sent, and all are suspects."""
    bench = opened(30)
    missing = bench.ids
    bench.api.faults.add(faults.NoRows(), times=None)
    listing = _listed(bench)
    before = len(bench.asked())
    assert _told(listing.prove(missing)) == ([], [], missing)
    assert len(bench.asked()) == before


def test_an_emptied_account_is_proven_when_an_operator_says_so(opened: Open) -> None:
    """With `emptied` a consistent empty answer is the proof that the numbers are gone."""
    bench = opened(30)
    gone = _removed(bench, 30)
    assert _told(_listed(bench).prove(gone, emptied=True)) == (gone, [], [])


def test_emptied_does_not_close_what_lives(opened: Open) -> None:
    """The operator approves, and the listing is empty, but the numbers come when requested by id: they are alive."""
    bench = opened(30)
    bench.api.faults.add(faults.NoRows())
    listing = _listed(bench)
    assert _told(listing.prove(bench.ids, emptied=True)) == ([], bench.ids, [])


def test_rows_in_a_refused_answer_contradict_that_the_account_is_empty(opened: Open) -> None:
    """A source that ignores the filter returned rows, so the account is not empty."""
    bench = opened(100)
    missing = list(bench.ids)
    bench.api.faults.add(faults.IgnoreFilter())
    bench.api.faults.add(faults.NoRows(), at=2, times=None)
    listing = bench.listing(known=missing)
    list(listing.pages())
    assert listing.stats.listed == 0
    assert _told(listing.prove(missing, emptied=True)) == ([], [], missing)


def test_a_number_that_answered_is_a_control_id_for_the_rest(opened: Open) -> None:
    """A number comes from an account approved as empty: from then on an empty answer without it proves nothing."""
    bench = opened(100)
    bench.api.faults.add(faults.NoRows())
    listing = _listed(bench)
    missing = list(bench.ids)
    alive = missing[3]
    for number_id in missing:
        if number_id != alive:
            bench.world.remove(bench.account, number_id)
    bench.api.faults.add(faults.NoRows(), at=2, times=None, when=_asks_for_ids)
    assert _told(listing.prove(missing, emptied=True)) == ([], [alive], [i for i in missing if i != alive])


def _wanted(request: Request) -> list[int]:
    wanted: list[int] = request.params.get("filter", {}).get("value", [])
    return wanted


@pytest.mark.parametrize("left", [30, 48])
def test_without_an_id_filter_one_whole_answer_is_the_proof(opened: Open, left: int) -> None:
    """Without a filter by id, one answer with the whole account proves that numbers missing from it are gone."""
    bench = opened(left + 1)
    bench.api.id_filter = False
    (gone,) = _removed(bench, 1)
    assert _told(_listed(bench).prove([gone])) == ([gone], [], [])


def _prove_by_offsets(bench: Bench, missing: Sequence[int]) -> Proof:
    bench.api.id_filter = False
    return _listed(bench).prove(missing)


def test_without_an_id_filter_a_larger_account_proves_nothing(opened: Open) -> None:
    """An account of several pages is never seen at one moment: missing numbers stay suspects."""
    bench = opened(120)
    (gone,) = _removed(bench, 1)
    assert _told(_prove_by_offsets(bench, [gone])) == ([], [], [gone])


def test_without_an_id_filter_an_empty_answer_proves_nothing(opened: Open) -> None:
    """An empty account cannot be distinguished from a source that returns no rows."""
    bench = opened(3)
    gone = _removed(bench, 3)
    assert _told(_prove_by_offsets(bench, gone)) == ([], [], gone)


def test_control_ids_that_left_meanwhile_are_replaced(opened: Open) -> None:
    """Both control ids are removed between listing and request: it is repeated with two others."""
    bench = opened(30)
    (gone,) = _removed(bench, 1)
    listing = _listed(bench)
    bench.api.faults.add(faults.error("internal_error"), times=None, when=_asks_for_ids)
    listing.prove([gone])
    bench.api.faults.clear()
    asked = bench.asked()[-1]["filter"]["value"]
    for control in set(asked) - {gone}:
        bench.world.remove(bench.account, control)
    assert _told(listing.prove([gone])) == ([gone], [], [])
    assert not set(bench.asked()[-1]["filter"]["value"]) & (set(asked) - {gone})


def test_what_came_before_the_filter_was_refused_is_not_forgotten(opened: Open) -> None:
    """The id filter is refused half-way, and the account is too large for one answer: a number that came is alive."""
    bench = opened(200)
    gone = _removed(bench, 100)
    listing = _listed(bench)
    missed = bench.ids[50]
    bench.api.faults.add(faults.error("filter_prohibited", "id"), at=2, times=None, when=_asks_for_ids)
    told = _told(listing.prove([missed, *gone]))
    assert told == ([], [missed], gone)
