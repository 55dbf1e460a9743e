"""The paginator over id windows, on plain numbers: no HTTP, no database."""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Callable, Sequence

import pytest

from etl.domain.windows import (
    REREADS,
    WHOLE,
    Again,
    Answer,
    Refuse,
    Split,
    Take,
    Verdict,
    Window,
    WindowPlan,
    cut,
    plan,
    split,
    still_fit,
)


def _list_all(heap: Sequence[int], limit: int, known: Sequence[int] = ()) -> tuple[list[int], int]:
    """The ids taken from a correct source whose rows are stored in `heap` order, and the count of answers."""
    place = {number_id: n for n, number_id in enumerate(heap)}
    ascending = sorted(heap)
    machine = WindowPlan.start(known, limit)
    taken: list[int] = []
    for requests in itertools.count():
        window = machine.window
        if window is None:
            return taken, requests
        low = 0 if window.after is None else bisect.bisect_right(ascending, window.after)
        high = len(ascending) if window.upto is None else bisect.bisect_right(ascending, window.upto)
        page = sorted(ascending[low:high], key=place.__getitem__)[:limit]
        verdict = machine.judge(Answer(page, high - low))
        assert not isinstance(verdict, Refuse), verdict
        if isinstance(verdict, Take):
            taken += page
    raise AssertionError("unreachable")


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        (WHOLE, [-5, 0, 2**62], []),
        (Window(10, 20), [11, 20], [10, 21]),
        (Window(None, 20), [-1, 20], [21]),
        (Window(10, None), [11], [10]),
    ],
)
def test_a_window_excludes_its_lower_edge_and_holds_its_upper(
    window: Window, inside: list[int], outside: list[int]
) -> None:
    """`(after, upto]`: so neighbours share no id and leave none out."""
    assert all(map(window.holds, inside))
    assert not any(map(window.holds, outside))


def test_cut_ignores_bounds_that_do_not_divide() -> None:
    """A bound at an edge or outside would make an empty window, so it makes none."""
    assert cut(Window(10, 20), [5, 10, 15, 20, 25]) == [Window(10, 15), Window(15, 20)]


def test_an_account_that_fits_is_one_window() -> None:
    """Fewer known numbers than `limit` cost one request: one answer is one moment."""
    assert plan(range(99), 100) == [WHOLE]


def test_an_account_that_fills_an_answer_is_two_windows() -> None:
    """A full answer may have been cut off, so the plan begins with two half windows and does not request it."""
    assert plan(range(100), 100) == [Window(None, 49), Window(49, None)]
    assert still_fit(plan(range(100), 100), 100, 100)


def test_a_larger_account_is_planned_to_eighty_percent() -> None:
    """250 known ids at 100 an answer become four windows of 62 or 63 ids, open at both ends."""
    windows = plan(range(1, 251), 100)
    assert windows == [Window(None, 62), Window(62, 125), Window(125, 187), Window(187, None)]


def test_split_cuts_at_the_quantiles_of_the_sample() -> None:
    """The received ids, in any order, determine where the window is cut."""
    assert split(WHOLE, [40, 10, 30, 20], 8, 4) == [Window(None, 10), Window(10, 20), Window(20, None)]


def test_split_extrapolates_once_a_sample_has_misled() -> None:
    """Rows stored by age: of an open end only the lowest ids come, so their density is carried on beyond them."""
    assert split(Window(0, None), [1, 2, 3, 4, 5], 12, 5, first=False) == [
        Window(0, 4), Window(4, 7), Window(7, None),
    ]  # fmt: skip
    assert split(Window(None, 100), [96, 97, 98, 99, 100], 8, 5, first=False) == [Window(None, 97), Window(97, 100)]


def test_no_window_is_cut_beyond_64_bits() -> None:
    """A false total extrapolates no edge beyond 64 bits, which a database could not store."""
    ids = [-(2**62), 2**62]
    assert split(Window(None, 2**62), ids, 10**9, 5, first=False) == [Window(None, ids[0]), Window(ids[0], ids[1])]
    assert split(Window(-(2**62) - 1, None), ids, 10**9, 5, first=False)[0].upto in ids


def test_split_without_any_row_still_makes_progress() -> None:
    """A source that announces many and sends none is halved, not asked the same for ever."""
    assert split(Window(10, 20), [], 500, 5) == [Window(10, 15), Window(15, 20)]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer([1, 2], 2), Take()),
        (Answer([], 0), Take()),
        (Answer([1], 2, unreadable=1), Take()),
        (Answer([1], 2), Again("1 numbers of 2")),
        (Answer([1, 1], 2), Again("1 numbers of 2")),
        (Answer([1, 2, 3], 2), Again("3 numbers where total_items says 2")),
        (Answer([1], None), Again("no usable total_items, so it is unknown whether the answer is complete")),
    ],
)
def test_the_first_verdict_on_an_answer(answer: Answer, verdict: object) -> None:
    """An answer that agrees with itself is taken at once; one that does not is asked for again."""
    assert WindowPlan.start([], 10).judge(answer) == verdict


def test_a_row_outside_the_window_is_no_answer_to_it() -> None:
    """A source that ignores the filter is asked again, then refused: its rows would be taken twice."""
    machine = WindowPlan(limit=10, pending=[Window(5, 9)])
    verdicts = [machine.judge(Answer([6, 10], 2)) for _ in range(REREADS + 1)]
    assert [type(v) for v in verdicts] == [Again, Again, Refuse]
    assert verdicts[-1] == Refuse("1 row outside the ids asked for: the source ignores the filter")


@pytest.mark.parametrize(
    ("answer", "last"),
    [
        (Answer([1, 2], 5), Take(unaccounted=3)),
        (Answer([1, 2], 1), Take()),
        (Answer([1], None), Refuse("no usable total_items, so it is unknown whether the answer is complete")),
    ],
)
def test_a_disagreement_that_stays_ends(answer: Answer, last: object) -> None:
    """After two re-readings the rows are taken and the missing ones counted, or the answer is refused."""
    machine = WindowPlan.start([], 10)
    assert [type(machine.judge(answer)) for _ in range(REREADS)] == [Again] * REREADS
    assert machine.judge(answer) == last


def test_a_reread_that_agrees_leaves_nothing_unaccounted() -> None:
    """A row that was missing once and came on asking again is not counted as missing; the next window has new tries."""
    machine = WindowPlan(limit=10, pending=[Window(5, None), Window(None, 5)])
    machine.judge(Answer([1], 2))
    assert machine.judge(Answer([1, 2], 2)) == Take()
    assert (machine.tries, machine.window) == (0, Window(5, None))


def test_more_numbers_than_one_answer_holds_split_the_window() -> None:
    """An overflowing window is replaced by smaller ones, lowest first, and none of its rows is taken."""
    machine = WindowPlan.start([], 4)
    verdict = machine.judge(Answer([4, 1, 3, 2], 9))
    assert verdict == Split([Window(None, 1), Window(1, 2), Window(2, None)])
    assert machine.window == Window(None, 1)


def test_two_numbers_with_one_id_are_refused() -> None:
    """A window of a single id cannot be split; a source that announces more rows there is refused."""
    machine = WindowPlan(limit=1, pending=[Window(6, 7)])
    assert machine.judge(Answer([7], 3)) == Refuse("3 numbers announced for a single id")


def test_a_total_that_never_shrinks_is_refused_in_bounded_time() -> None:
    """A source that announces the same large number for every window is given up after a bounded number of splits."""
    machine = WindowPlan.start([], 10)
    verdicts: list[Verdict] = []
    while not verdicts or (len(verdicts) < 500 and not isinstance(verdicts[-1], Refuse)):
        verdicts.append(machine.judge(Answer([], 1000)))
    assert verdicts[-1] == Refuse("total_items stays above 10 however small the window: it cannot be true")
    assert 60 <= len(verdicts) <= 300


def test_sparse_windows_are_joined() -> None:
    """After an answer far emptier than planned, the next windows are joined as far as its density says they fit."""
    machine = WindowPlan(
        limit=10, pending=[Window(90, None), Window(30, 90), Window(20, 30), Window(10, 20), Window(None, 10)]
    )
    assert machine.judge(Answer([2, 6, 10], 3)) == Take()
    assert machine.window == Window(10, 30)


def test_full_windows_are_not_joined() -> None:
    """As long as answers are as full as planned, the plan stands."""
    machine = WindowPlan(limit=5, pending=[Window(30, None), Window(20, 30), Window(10, 20), Window(None, 10)])
    assert machine.judge(Answer([1, 2, 3, 4], 4)) == Take()
    assert machine.window == Window(10, 20)


@pytest.mark.parametrize("order", ["ascending", "descending", "interleaved"])
@pytest.mark.parametrize("count", [0, 1, 50, 51, 333, 1200])
def test_every_number_is_taken_once_whatever_the_heap_order(order: str, count: int) -> None:
    """On a first load nothing is known of the ids; each is listed exactly once, at a price close to the least."""
    ids = [100_000 + 37 * n for n in range(count)]
    heap = {"ascending": ids, "descending": ids[::-1], "interleaved": ids[::2] + ids[1::2]}[order]
    taken, requests = _list_all(heap, 50)
    assert sorted(taken) == ids
    assert requests <= 6 + 4 * count // 50


def test_a_planned_listing_costs_little_more_than_the_least() -> None:
    """When the ids are known, windows are 80 % full and no request is wasted."""
    ids = [7 * n for n in range(2000)]
    taken, requests = _list_all(ids, 50, ids)
    assert (sorted(taken), requests) == (ids, 50)


def _sparse_then_dense(count: int) -> list[int]:
    """Ids forty apart at first and consecutive later, as when the vendor sells more numbers over time."""
    half = count // 2
    return [n * 40 for n in range(half)] + [half * 40 + n for n in range(half)]


def _shuffled(count: int) -> list[int]:
    """Rows in no order at all, so that a sample's quantiles are only about right."""
    return random.Random(1).sample(range(count), count)


@pytest.mark.parametrize("heap", [_sparse_then_dense(30_000), _shuffled(30_000)], ids=["denser later", "shuffled"])
def test_a_large_account_is_not_taken_for_a_lie(heap: list[int]) -> None:
    """A correct source is never refused: the bound on splits grows with the whole account, not with one window."""
    taken, _ = _list_all(heap, 100)
    assert sorted(taken) == sorted(heap)


@pytest.mark.parametrize("order", [sorted, list], ids=["ascending", "shuffled"])
def test_a_large_account_that_grew_is_not_taken_for_a_lie(order: Callable[[list[int]], list[int]]) -> None:
    """Twice as many numbers as were known: every planned window overflows, and each split is justified."""
    heap = order(_shuffled(20_000))
    taken, _ = _list_all(heap, 100, range(0, 20_000, 2))
    assert sorted(taken) == sorted(heap)


def _not_asked() -> list[int]:
    raise AssertionError("the ids were asked for")


def test_a_window_passed_over_asks_for_ids_only_where_windows_may_be_joined() -> None:
    """The ids of an unchanged window cost a query, made only if it is sparse and a bounded window follows."""
    alone = WindowPlan.cut_at([], limit=100)
    alone.pass_over(5, _not_asked)
    assert alone.window is None
    last = WindowPlan.cut_at([1000], limit=100)
    last.pass_over(5, _not_asked)
    assert last.window == Window(1000, None)
    given = WindowPlan.cut_at([1000, 2000], limit=100, joins=False)
    given.pass_over(5, _not_asked)
    assert given.window == Window(1000, 2000)
    sparse = WindowPlan.cut_at([1000, 2000, 3000], limit=100)
    sparse.pass_over(5, lambda: [100, 300, 500, 700, 900])
    assert sparse.window == Window(1000, 3000)
    full = WindowPlan.cut_at([1000, 2000, 3000], limit=100)
    full.pass_over(90, _not_asked)
    assert full.window == Window(1000, 2000)
