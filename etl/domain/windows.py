"""Id windows: a listing that cannot be sorted is cut into answers, each of which is complete at one moment.

A window `(after, upto]` is small enough when all its numbers fit into one answer. The API filters on `id`, does not
sort on it, and answers at most `limit` rows with `total_items`, the number of rows that match.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from msgspec import Struct

from etl.domain.figures import counted

FILL = 0.8
"""How full a planned window is. The rest is room for numbers that were added since the ids were read."""

MOST_PARTS = 4096
"""Most windows into which one window is cut, whatever total an answer claims."""

LOWEST_ID, HIGHEST_ID = -(2**63), 2**63 - 1
"""No id lies outside: databases hold 64 bits."""


class Window(Struct, frozen=True):
    """The numbers with `after < id <= upto`; None is open-ended."""

    after: int | None = None
    upto: int | None = None

    def holds(self, number_id: int) -> bool:
        """Whether an id lies in this window."""
        return (self.after is None or number_id > self.after) and (self.upto is None or number_id <= self.upto)


WHOLE = Window()


def cut(window: Window, bounds: Sequence[int]) -> list[Window]:
    """The window cut after each of the ascending `bounds` that lie within it."""
    edges = [window.after, *(b for b in bounds if _inside(window, b)), window.upto]
    return [Window(a, b) for a, b in itertools.pairwise(edges)]


def _inside(window: Window, bound: int) -> bool:
    return window.holds(bound) and bound != window.upto and LOWEST_ID <= bound <= HIGHEST_ID


def plan(known: Sequence[int], limit: int) -> list[Window]:
    """Windows for an account whose open ids are `known` (ascending): one if all fit, else each about 80 % full."""
    needed = _needed(len(known), limit)
    return cut(WHOLE, _quantiles(known, needed)) if needed > 1 else [WHOLE]


def _needed(numbers: int, limit: int) -> int:
    """How many windows are needed. A full one would be requested in vain: its answer may have been cut at the limit."""
    return 1 if numbers < limit else math.ceil(numbers / (limit * FILL))


def still_fit(windows: Sequence[Window], numbers: int, limit: int) -> bool:
    """Whether ascending `windows` can list `numbers` again: they leave no gap, and there are hardly too many."""
    edges = [(one.upto, following.after) for one, following in itertools.pairwise(windows)]
    gapless = all(upto is not None and upto == after for upto, after in edges)
    if not windows or not gapless or windows[0].after is not None or windows[-1].upto is not None:
        return False
    needed = _needed(numbers, limit)
    return len(windows) <= needed + needed // 4


def split(window: Window, sample: Sequence[int], total: int, limit: int, *, first: bool = True) -> list[Window]:
    """Smaller windows for one with `total` > `limit` numbers; the answer held the ids `sample` (in any order).

    The sample shows where the ids are. In an open-ended window it may have only the lowest (or highest) ids, if rows
    are stored by age; so if a sample has already misled (`first` is false), its density is extrapolated.
    """
    ids = sorted(set(sample))
    parts = max(2, min(MOST_PARTS, math.ceil(total / (limit * FILL))))
    if not first and len(ids) > 1 and (window.upto is None) != (window.after is None):
        step = max(1, (ids[-1] - ids[0]) * (limit * FILL) / len(ids))
        ahead = [ids[0] + int(step * n) for n in range(1, parts)]
        behind = [ids[-1] - int(step * n) for n in range(parts - 1, 0, -1)]
        if len(pieces := cut(window, ahead if window.upto is None else behind)) > 1:
            return pieces
    pieces = cut(window, _quantiles(ids, parts))
    return pieces if len(pieces) > 1 else cut(window, _middle(window, ids))


def _quantiles(ids: Sequence[int], parts: int) -> list[int]:
    return sorted({ids[len(ids) * n // parts - 1] for n in range(1, parts) if len(ids) * n // parts > 0})


def _middle(window: Window, ids: Sequence[int]) -> list[int]:
    low = window.after if window.after is not None else (ids[0] if ids else 0)
    high = window.upto if window.upto is not None else (ids[-1] if ids else low + 2)
    return [(low + high) // 2]


class Answer(Struct, frozen=True):
    """Content of a window's answer: the ids that came, `total_items` (None: absent or unusable), and how many
    rows came without a readable id.
    """

    ids: Sequence[int]
    total: int | None
    unreadable: int = 0


class Verdict(Struct, frozen=True):
    """Decision about a window's answer."""


class Take(Verdict, frozen=True):
    """Use the rows; `unaccounted` numbers were announced and did not come, in spite of repeated requests."""

    unaccounted: int = 0


class Again(Verdict, frozen=True):
    """Request the same window once more: the answer contradicts itself."""

    reason: str


class Split(Verdict, frozen=True):
    """Request these windows instead: the window has too many numbers for one answer."""

    windows: list[Window]


class Refuse(Verdict, frozen=True):
    """Refuse the answer: it cannot be one to this request."""

    reason: str


REREADS = 2
"""How often a window whose answer contradicts itself is requested again before its rows are used as they are."""


MOST_BARREN = 64
"""Most splits in a row without numbers: so many halve the whole range of 64-bit ids, so the total cannot be true."""


class WindowPlan(Struct):
    """Paginator over windows: a state machine of plain numbers, which takes each answer and names the next window.

    `pending`: the windows still to be requested, the next one last; they come in ascending order. `barren`: splits
    since a window last gave numbers. It bounds the work: a source whose totals cannot be true is refused in the end.
    """

    limit: int
    pending: list[Window]
    tries: int = 0
    splits: int = 0
    barren: int = 0
    joins: bool = True

    @classmethod
    def start(cls, known: Sequence[int], limit: int) -> WindowPlan:
        """A plan for an account whose open ids are `known`, ascending."""
        return cls(limit=limit, pending=plan(known, limit)[::-1])

    @classmethod
    def cut_at(cls, bounds: Sequence[int], limit: int, *, joins: bool = True) -> WindowPlan:
        """A plan with windows cut at these ids of an earlier listing, ascending. `joins`: small ones are joined."""
        return cls(limit=limit, pending=cut(WHOLE, bounds)[::-1], joins=joins)

    @property
    def bounds(self) -> list[int]:
        """The ids at which the pending windows are cut."""
        return [window.upto for window in reversed(self.pending) if window.upto is not None]

    @property
    def window(self) -> Window | None:
        """The window to request next; None if the listing is complete."""
        return self.pending[-1] if self.pending else None

    def judge(self, answer: Answer) -> Verdict:
        """Decide about the answer to `window`, and move on."""
        window = self.pending[-1]
        verdict = self._verdict(window, answer)
        if isinstance(verdict, Take):
            self._next([])
            self._merge(answer.ids)
            self.barren = 0 if answer.ids else self.barren
        elif isinstance(verdict, Split):
            self.splits, self.barren = self.splits + 1, self.barren + 1
            self._next(verdict.windows)
        else:
            self.tries += 1
        return verdict

    def pass_over(self, numbers: int, ids: Callable[[], Sequence[int]]) -> Take:
        """Move on as `judge` does, after an answer to `window` that is byte for byte one that was used before.

        `numbers`: how many it holds; `ids`: returns them, and is called only if needed.
        """
        self._next([])
        if self.joins and len(self.pending) > 1 and self._is_sparse(numbers):
            self._merge(ids())
        self.barren = 0 if numbers else self.barren
        return Take()

    def _is_sparse(self, numbers: int) -> bool:
        return 0 < numbers * 2 <= self.limit * FILL

    def _next(self, windows: list[Window]) -> None:
        self.pending.pop()
        self.pending.extend(reversed(windows))
        self.tries = 0

    def _merge(self, ids: Sequence[int]) -> None:
        """Join the next bounded windows as far as they fit into one, by the density of ids in the last answer.

        A plan made from an uneven sample has windows that are almost empty; each of them would cost a request.
        """
        if not self.joins or not self._is_sparse(len(ids)):
            return
        reach = max(ids) + (max(ids) - min(ids) + 1) * self.limit * FILL / len(ids)
        while len(self.pending) > 1 and (end := self.pending[-2].upto) is not None and end <= reach:
            first, _ = self.pending.pop(), self.pending.pop()
            self.pending.append(Window(first.after, end))

    def _verdict(self, window: Window, answer: Answer) -> Verdict:
        came = len(set(answer.ids)) + answer.unreadable
        if answer.ids and not (window.holds(min(answer.ids)) and window.holds(max(answer.ids))):
            outside = sum(not window.holds(i) for i in answer.ids)
            return self._refuse(f"{counted(outside, 'row')} outside the ids asked for: the source ignores the filter")
        if answer.total is None:
            return self._refuse("no usable total_items, so it is unknown whether the answer is complete")
        if answer.total > self.limit:
            return self._split(window, answer, answer.total)
        if came > answer.total:
            return self._again_or(Take(), f"{came} numbers where total_items says {answer.total}")
        if came < answer.total:
            return self._again_or(Take(answer.total - came), f"{came} numbers of {answer.total}")
        return Take()

    def _refuse(self, reason: str) -> Verdict:
        return self._again_or(Refuse(reason), reason)

    def _again_or(self, last: Verdict, reason: str) -> Verdict:
        return Again(reason) if self.tries < REREADS else last

    def _split(self, window: Window, answer: Answer, total: int) -> Verdict:
        if self.barren >= MOST_BARREN:
            return Refuse(f"total_items stays above {self.limit} however small the window: it cannot be true")
        if window.after is not None and window.upto is not None and window.upto - window.after <= 1:
            return Refuse(f"{total} numbers announced for a single id")
        return Split(split(window, answer.ids, total, self.limit, first=self.splits == 0))
