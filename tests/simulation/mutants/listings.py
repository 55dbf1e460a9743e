"""Bugs in listing an account, and in talking to the source."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from etl.domain.windows import Take, Window, WindowPlan
from etl.errors import FilterRefused, VnsyncError
from etl.extract import jsonrpc, listing, page, points, retry
from etl.extract.listing import Listing
from tests.simulation.mutants.planting import mutant


@mutant(Listing, "pages", "a listing that breaks off is taken for the whole of it")
def break_is_end(right: Any) -> Any:
    def pages(self: Listing) -> Iterator[Any]:
        try:
            yield from right(self)
        except FilterRefused:
            raise
        except VnsyncError:
            return

    return pages


@mutant(WindowPlan, "_verdict", "total_items and the rows that came are not compared")
def trust_the_rows(right: Any) -> Any:
    def verdict(self: WindowPlan, window: Window, answer: Any) -> Any:
        return Take() if answer.total is not None and answer.total <= self.limit else right(self, window, answer)

    return verdict


@mutant(WindowPlan, "judge", "a short page is taken for the last one")
def stop_at_short_page(right: Any) -> Any:
    def judge(self: WindowPlan, answer: Any) -> Any:
        verdict = right(self, answer)
        if isinstance(verdict, Take) and len(answer.ids) < self.limit / 2:
            self.pending.clear()
        return verdict

    return judge


@mutant(listing, "_within", "the number on a window's upper edge belongs to no window")
def edge_belongs_to_nobody(right: Any) -> Any:
    def within(window: Window) -> Any:
        return right(window if window.upto is None else Window(window.after, window.upto - 1))

    return within


@mutant(WindowPlan, "start", "the last window ends at the highest known id, so newer numbers are never seen")
def last_window_is_closed(right: Any) -> Any:
    def start(cls: Any, known: Any, limit: int) -> WindowPlan:
        plan: WindowPlan = right.__func__(cls, known, limit)
        if known:
            plan.pending[0] = Window(plan.pending[0].after, known[-1])
        return plan

    return classmethod(start)


@mutant(page, "_each_once", "of two contradicting records of one number the later one wins", under=("twice_different",))
def last_record_wins(right: Any) -> Any:
    def each_once(raws: Any, digests: Any, ids: Any, total: Any) -> Any:
        made = right(raws, digests, ids, total)
        made.records.update({i: raw for i, raw in zip(ids, raws, strict=True) if i is not None})
        return made

    return each_once


@mutant(page, "_each_once", "records that came twice are dropped and not counted")
def repeats_are_not_counted(right: Any) -> Any:
    return lambda *answer: replace(right(*answer), duplicates=0, conflicts=0)


@mutant(jsonrpc, "decode", "an answer to another request is taken for the answer to this one")
def any_answer_will_do(right: Any) -> Any:
    def decode_any(body: bytes, request_id: int, *more: Any, **options: Any) -> Any:
        with contextlib.suppress(msgspec.DecodeError, KeyError, TypeError):
            sent = msgspec.json.decode(body)["id"]
            request_id = sent if isinstance(sent, int) and not isinstance(sent, bool) else request_id
        return right(body, request_id, *more, **options)

    return decode_any


@mutant(page, "storable", "U+0000 and lone surrogates are passed on to the database as they come")
def text_as_it_comes(right: Any) -> Any:
    return lambda body: body


@mutant(retry.RetryPolicy, "_over", "a passing fault is retried for ever")
def retry_for_ever(right: Any) -> Any:
    return lambda self, state, start: False


@mutant(points.Points, "_day_is_spent", "requests go on when the day's points are used up", under=("day_limit",))
def day_limit_is_ignored(right: Any) -> Any:
    return lambda self: False
