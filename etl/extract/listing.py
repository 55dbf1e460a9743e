"""Listing of one whole account. The API's rows move between requests, so it goes by id windows, by offsets if need be.

The listing passes on each window's records as received. It accepts no answer that contradicts itself, and a number
counts as gone only after the listing has proved it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from etl.domain.fingerprints import WindowPrint
from etl.domain.listing_stats import ListingStats
from etl.domain.runs import Strategy
from etl.domain.tables import METHOD
from etl.domain.windows import WHOLE, Again, Answer, Refuse, Split, Take, Verdict, Window, WindowPlan
from etl.errors import FilterRefused, SourceUnusable
from etl.extract.answers import Result
from etl.extract.jsonrpc import DataApi
from etl.extract.page import Page, Record, read_page, read_total
from etl.extract.prefetch import Begin
from etl.extract.proof import AbsenceProof, ListLength, Proof, Trace

__all__ = ["Listing", "Page", "Record"]

LIMIT = 10_000
"""The API's largest page."""
OFFSET_WALL = 110_000
"""How many rows offsets can reach: the largest offset and one page after it."""
OFFSET_PASSES = 4


class Listing:
    """Listing of one account as `user_id` sees it (None: with a customer's own token).

    `known`: the open ids of the warehouse, ascending; they shape the windows and nothing else. `bounds`: the ids of an
    earlier listing at which to cut the windows instead (`exactly`: none is joined with the next). `before`: the
    windows of the last listing; their unchanged records are not decoded. `begin`: requests the next window while this
    one is processed. `length`: how many ids the source accepts in one filter, as far as the run knows.
    """

    def __init__(
        self,
        api: DataApi,
        *,
        user_id: int | None,
        known: Sequence[int],
        limit: int = LIMIT,
        bounds: Sequence[int] | None = None,
        exactly: bool = False,
        before: Sequence[WindowPrint] = (),
        begin: Begin | None = None,
        length: ListLength | None = None,
    ) -> None:
        self._api, self._user_id, self._limit = api, user_id, limit
        again = None if bounds is None else WindowPlan.cut_at(bounds, limit, joins=not exactly)
        self._plan = again or WindowPlan.start(known, limit)
        self._taken: list[Window] = []
        self._first = self._plan.bounds
        self._before = {one.window: one for one in before}
        self._begin = begin
        self._next: Callable[[], Result] | None = None
        self._trace, self._length = Trace(), length or ListLength()
        self.stats = ListingStats()
        self.announced = 0
        """How many numbers the account has, as far as an answer about the whole account has reported it."""

    @property
    def bounds(self) -> list[int]:
        """The ids at which the account was cut into windows; before a window is read, and by offsets, the plan's."""
        return [w.upto for w in self._taken if w.upto is not None] or self._first

    def about(self, page: Page) -> int:
        """Estimate of how many numbers the account has, from a page that was just read."""
        return max(self.announced, page.rows * (len(self._taken) + len(self._plan.pending)))

    def start(self) -> None:
        """Request the first page, which may be fetched while other work is done."""
        self._next = self._asked_for(self._plan)

    def pages(self) -> Iterator[Page]:
        """Every page of the account. Each is complete at its own moment. Together they hold every number that existed
        throughout, or the stats report how many did not come.

        Raises `SourceUnusable` if the answers cannot be true, and the errors of `DataApi.call`.
        """
        try:
            yield from self._counted(self._by_windows())
        except FilterRefused:
            if self.stats.listed:
                raise
            self.stats = ListingStats(strategy=Strategy.OFFSETS)
            yield from self._counted(self._by_offsets())

    def _counted(self, pages: Iterator[Page]) -> Iterator[Page]:
        for page in pages:
            self.stats.listed += page.numbers
            self.stats.duplicates += page.duplicates
            self.stats.conflicts += page.conflicts
            self.stats.unreadable(len(page.unreadable), page.window or WHOLE)
            self._trace.take(page)
            yield page

    # -- by id windows

    def _by_windows(self) -> Iterator[Page]:
        plan = self._plan
        answer = self._next or self._asked_for(plan)
        while (window := plan.window) is not None and answer is not None:
            before = self._before.get(window)
            page = replace(self._read(answer(), whole=window == WHOLE, before=before), window=window)
            verdict = self._judged(plan, page)
            if isinstance(verdict, Refuse):
                raise SourceUnusable(f"the listing cannot be trusted: {verdict.reason}")
            answer = self._asked_for(plan)
            if isinstance(verdict, Take):
                self.stats.announced(page.total or 0, verdict.unaccounted, window)
                self._taken.append(window)
                yield page
            else:
                assert isinstance(verdict, Again | Split)

    def _asked_for(self, plan: WindowPlan) -> Callable[[], Result] | None:
        """Function that returns the answer to the next window, which may be under way already; None at the end."""
        if plan.window is None:
            return None
        self._api.afford(len(plan.pending))
        before = self._before.get(plan.window)
        call = partial(self._call, _within(plan.window), 0, known=before.digest if before else b"")
        return self._begin(call) if self._begin else call

    def _judged(self, plan: WindowPlan, page: Page) -> Verdict:
        if page.is_unchanged and page.before is not None:
            before = page.before
            return plan.pass_over(before.numbers, lambda: before.records().ids)
        return plan.judge(Answer(page.ids, self._at_least(page), len(page.unreadable)))

    def _at_least(self, page: Page) -> int | None:
        """Least count of a window's numbers, by its answer: an answer of `limit` rows may have been cut there."""
        full = page.rows >= self._limit
        return max(page.total, self._limit + 1) if full and page.total is not None else page.total

    # -- by offsets

    def _by_offsets(self) -> Iterator[Page]:
        """All pages as one, because a number may come on two of them: the later page wins, being newer.

        Rows move between pages, so the counts may hide a row that was skipped: passes are repeated until one brings
        nothing new. Numbers that are still missing then are `unaccounted`.
        """
        records: dict[int, Record] = {}
        unreadable: list[Record] = []
        total = known = 0
        for _ in range(OFFSET_PASSES):
            before = len(records)
            total, came, unreadable = self._offset_pass(records)
            # A record without an id may have come with one on an earlier pass: then it is counted once.
            known = len(records) + max(0, len(unreadable) - len(records.keys() - came))
            alone = total < self._limit
            if known >= total and (alone or len(records) == before):
                break
        self.stats.announced(total, max(0, total - known))
        yield Page(records, unreadable, total, list(records))

    def _offset_pass(self, records: dict[int, Record]) -> tuple[int, set[int], list[Record]]:
        """One pass over all pages: the total, the ids that came, and the records without an id."""
        unreadable: list[Record] = []
        came: set[int] = set()
        offset, total, before = 0, 1, set[int]()
        while offset < total:
            self._api.afford(math.ceil((total - offset) / self._limit))
            page = self._ask(None, offset)
            total = self._offset_total(page, offset)
            ids = set(page.ids)
            if len(ids) > 1 and ids == before:
                raise SourceUnusable("the listing cannot be trusted: the same page came twice, the offset is ignored")
            before = ids
            came |= ids
            records.update(page.records)
            unreadable += page.unreadable
            offset += self._limit
        return total, came, unreadable

    def _offset_total(self, page: Page, offset: int) -> int:
        """How many numbers the account has, by one page: after a full page there may always be another."""
        if page.total is None:
            raise SourceUnusable("the listing cannot be trusted: no usable total_items")
        total = max(page.total, offset + page.rows + 1) if page.rows >= self._limit else page.total
        if total > OFFSET_WALL:
            raise SourceUnusable(f"{total} numbers cannot be listed by offsets, and the id filter is refused")
        return total

    # -- proof of absence

    def prove(self, missing: Sequence[int], *, emptied: bool = False) -> Proof:
        """Proof about numbers that are open in the warehouse, ascending, and were not listed (see `proof`).

        `emptied`: an operator confirmed that numbers may close. Then no control id is needed if no answer, not even a
        refused one, held a row, and contradictions of the listing keep no number open.
        """
        absence = AbsenceProof(self._ask, self._trace, limit=self._limit, length=self._length, notice=self._api.notice)
        proof = absence.prove(missing, emptied=emptied)
        self.stats.found_alive(proof.alive)
        return proof if emptied else proof.doubting(self.stats.doubtful(proof.gone))

    # -- one request

    def _ask(self, where: dict[str, Any] | None, offset: int) -> Page:
        return self._read(self._call(where, offset), whole=where is None)

    def _call(self, where: dict[str, Any] | None, offset: int, *, known: bytes = b"") -> Result:
        params: dict[str, Any] = {"limit": self._limit, "offset": offset}
        if self._user_id is not None:
            params["user_id"] = self._user_id
        if where is not None:
            params["filter"] = where
        return self._api.call(METHOD, params, known=known)

    def _read(self, answer: Result, *, whole: bool, before: WindowPrint | None = None) -> Page:
        """The page in an answer; `whole`: the request was for the whole account."""
        page = read_page(answer, self._limit, before)
        self._trace.gave_rows |= page.rows > 0
        if whole:
            self.announced = max(self.announced, page.total or 0)
        return page


def _within(window: Window) -> dict[str, Any] | None:
    """The API's filter for a window; None for the whole account."""
    edges = [("after", ">", window.after), ("upto", "<=", window.upto)]
    filters = [{"field": "id", "operator": op, "value": value} for _, op, value in edges if value is not None]
    if len(filters) < 2:
        return filters[0] if filters else None
    return {"filters": filters, "condition": "and"}


def count_numbers(api: DataApi, user_id: int | None) -> int:
    """How many numbers a user (None: the token) sees, by `total_items` of a listing of one row; 0: not reported."""
    seen_by = {} if user_id is None else {"user_id": user_id}
    answer = api.call(METHOD, {"limit": 1, "offset": 0, **seen_by})
    return read_total(answer.metadata) or 0
