"""What is missing from a listing, by what was listed and what was passed over."""

from __future__ import annotations

from etl.domain.windows import Window
from etl.extract.page import Page
from etl.load.memory import ListingMemory
from etl.transform.drift import DriftLog
from etl.transform.normalize import Normalizer


def _memory() -> ListingMemory:
    drift = DriftLog()
    return ListingMemory(None, Normalizer(drift), drift)


def _page(window: Window | None, ids: list[int]) -> Page:
    return Page({}, [], len(ids), ids, window=window)


def test_what_is_missing_is_told_window_by_window() -> None:
    """An open number is missing when its own window did not tell of it."""
    memory = _memory()
    memory.take(_page(Window(None, 10), [1, 10]), [], [])
    memory.take(_page(Window(10, None), [11]), [], [])
    assert memory.missing([1, 2, 10, 11, 12]) == [2, 12]


def test_a_page_of_the_whole_account_replaces_the_windows_before_it() -> None:
    """The filter was refused after an empty window: the page listed by offsets tells of that window, too."""
    memory = _memory()
    memory.take(_page(Window(None, 10), []), [], [])
    memory.take(_page(None, [1, 11]), [], [])
    assert memory.missing([1, 2, 11]) == [2]
