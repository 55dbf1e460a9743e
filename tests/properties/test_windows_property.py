"""The window paginator under any ids, any heap order, and numbers that come and go between answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etl.domain.windows import Answer, Refuse, Take, Window, WindowPlan, cut, plan, split

IDS = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300), unique=True, max_size=120)
LIMITS = st.integers(2, 20)


def _runs(examples: int) -> settings:
    """So many examples, on a machine however busy."""
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass
class Source:
    """Rows in heap order. `changes`: after so many answers these ids go and those come."""

    heap: list[int]
    limit: int
    changes: dict[int, tuple[list[int], list[int]]] = field(default_factory=dict)
    answers: int = 0
    ever: set[int] = field(default_factory=set)
    steady: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.ever, self.steady = set(self.heap), set(self.heap)

    def answer(self, window: Window) -> Answer:
        """One answer, whole at one moment; then the world moves on."""
        rows = [i for i in self.heap if window.holds(i)]
        gone, came = self.changes.get(self.answers, ([], []))
        self.heap = [i for i in self.heap if i not in gone] + [i for i in came if i not in self.heap]
        self.ever |= set(came)
        self.steady -= set(gone)
        self.answers += 1
        return Answer(rows[: self.limit], len(rows))


def _listed(source: Source, known: list[int], most: int) -> list[int]:
    machine = WindowPlan.start(sorted(known), source.limit)
    taken: list[int] = []
    while (window := machine.window) is not None:
        assert source.answers < most, "it does not come to an end"
        answer = source.answer(window)
        verdict = machine.judge(answer)
        assert not isinstance(verdict, Refuse), verdict
        if isinstance(verdict, Take):
            assert verdict.unaccounted == 0
            taken += answer.ids
    return taken


@given(ids=IDS, limit=LIMITS, data=st.data())
@_runs(120)
def test_a_standing_world_is_listed_exactly_once(ids: list[int], limit: int, data: st.DataObject) -> None:
    """For any ids, any order and any known ids, each is taken once, in a bounded number of requests."""
    heap = data.draw(st.permutations(ids))
    known = data.draw(st.lists(st.sampled_from(ids), unique=True) | IDS if ids else IDS)
    most = 20 + 12 * (len(ids) + len(known)) // limit
    taken = _listed(Source(heap, limit), known, most)
    assert sorted(taken) == sorted(ids)


@given(ids=IDS, limit=LIMITS, known=IDS, data=st.data())
@_runs(120)
def test_a_moving_world_loses_nobody_who_stays(
    ids: list[int], limit: int, known: list[int], data: st.DataObject
) -> None:
    """Numbers appear, vanish and return between answers: one that stays is taken once, and none twice."""
    some = st.lists(st.sampled_from(ids) if ids else st.integers(0, 9), max_size=5)
    changes = data.draw(
        st.dictionaries(st.integers(0, 30), st.tuples(some, st.lists(st.integers(0, 300), unique=True, max_size=5)))
    )
    source = Source(data.draw(st.permutations(ids)), limit, changes)
    came = sum(len(c) for _, c in changes.values())
    taken = _listed(source, known, 20 + 12 * (len(ids) + len(known) + came) // limit)
    assert len(taken) == len(set(taken))
    assert source.steady <= set(taken) <= source.ever


def _partitions(windows: list[Window], whole: Window) -> bool:
    ends = windows[0].after == whole.after and windows[-1].upto == whole.upto
    joined = all(a.upto == b.after for a, b in pairwise(windows))
    edges = [w.upto for w in windows[:-1] if w.upto is not None]
    inner = all(whole.holds(edge) and edge != whole.upto for edge in edges)
    return ends and joined and inner and len(edges) == len(windows) - 1 and edges == sorted(set(edges))


@given(known=IDS, limit=LIMITS)
@_runs(100)
def test_a_plan_covers_the_whole_line(known: list[int], limit: int) -> None:
    """Whatever is known, the planned windows leave no id out and hold none twice."""
    windows = plan(sorted(known), limit)
    assert _partitions(windows, Window())
    assert all(sum(w.holds(i) for i in known) <= limit for w in windows)


WINDOWS = st.builds(
    lambda a, width: Window(a, None if a is None or width is None else a + width),
    st.none() | st.integers(-500, 500),
    st.none() | st.integers(2, 500),
) | st.builds(lambda b: Window(None, b), st.integers(-500, 500))


@given(window=WINDOWS, offsets=st.lists(st.integers(1, 400), max_size=20), limit=LIMITS, more=st.integers(1, 500))
@_runs(100)
def test_a_split_covers_its_window(window: Window, offsets: list[int], limit: int, more: int) -> None:
    """Whatever sample came, the parts are the window itself, in order, without gap or overlap."""
    base = window.after if window.after is not None else (window.upto or 0) - 401
    sample = [base + offset for offset in offsets if window.holds(base + offset)]
    for first in (True, False):
        assert _partitions(split(window, sample, limit + more, limit, first=first), window)


@given(window=WINDOWS, bounds=st.lists(st.integers(-600, 600), unique=True).map(sorted))
@_runs(100)
def test_a_cut_covers_its_window(window: Window, bounds: list[int]) -> None:
    """Bounds inside cut, others do nothing, and together the pieces are the window."""
    pieces = cut(window, bounds)
    assert _partitions(pieces, window)
    assert len(pieces) == 1 + sum(window.holds(b) and b != window.upto for b in bounds)


@given(
    limit=LIMITS,
    answers=st.lists(
        st.builds(
            Answer,
            ids=st.lists(st.integers(-50, 50), max_size=25),
            total=st.none() | st.integers(-5, 10_000),
            unreadable=st.integers(0, 3),
        ),
        min_size=1,
        max_size=8,
    ),
    known=IDS,
)
@example(limit=2, answers=[Answer(ids=[], total=-5, unreadable=0)], known=[])
@_runs(120)
def test_a_lying_source_is_given_up_in_bounded_time(limit: int, answers: list[Answer], known: list[int]) -> None:
    """For any answers without end the paginator raises nothing, and ends by taking or by refusing."""
    machine = WindowPlan.start(sorted(known), limit)
    largest = max(0, *(a.total or 0 for a in answers))
    most = 4 * (len(known) // limit + 80 + largest // limit) * (3 + largest // limit)
    for n in range(min(most, 3000)):
        if machine.window is None or isinstance(machine.judge(answers[n % len(answers)]), Refuse):
            return
    assert most > 3000, "neither taken nor refused"
