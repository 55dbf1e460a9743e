"""Numbers missing from a listing, computed from windows that were read and windows that were skipped."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from etl.domain.fingerprints import DIGEST, ListingPrint, Records, WindowPrint
from etl.domain.windows import Window
from etl.extract.page import Page
from etl.load.incremental import IncrementalState
from etl.transform.drift import DriftLog
from etl.transform.normalize import Normalizer


def _memory() -> IncrementalState:
    return IncrementalState(None, Normalizer(DriftLog()))


def _print(window: Window, ids: list[int], *, clean: bool = True) -> WindowPrint:
    records = Records(ids, bytes(DIGEST * len(ids)), ids)
    return WindowPrint(
        window=window,
        digest=b"d" if clean else b"",
        numbers=len(ids),
        control_ids=(),
        drift_entries=(),
        records=lambda: records,
    )


LOW, HIGH = Window(None, 10), Window(10, None)


def _remembering(*, clean: bool = True) -> IncrementalState:
    """The memory of an account that was listed in two windows: the lower one is unchanged, the upper one was read."""
    before = ListingPrint(windows=(_print(LOW, [1, 10]), _print(HIGH, [11, 12], clean=clean)))
    memory = IncrementalState(before, Normalizer(DriftLog()))
    memory.keep(before.windows[0])
    page = Page({}, [], 2, [12, 13], window=HIGH, known=before.windows[1].records(), before=before.windows[1])
    memory.take(replace(page, digests=bytes(2 * DIGEST), places=[1, None]), {}, [])
    return memory


def _not_asked() -> list[int]:
    raise AssertionError("the warehouse was asked")


def test_what_is_remembered_tells_what_is_missing() -> None:
    """Where all open numbers are those of the last listing, the warehouse need not be asked for them."""
    assert _remembering().missing(4, _not_asked) == [11]


@pytest.mark.parametrize(("clean", "open_numbers"), [(True, 5), (False, 4)])
def test_what_is_remembered_in_part_does_not(clean: bool, open_numbers: int) -> None:
    """A number that is open and was not listed, or a record that could not be used: then only the warehouse knows."""
    assert _remembering(clean=clean).missing(open_numbers, lambda: [1, 10, 11, 12, 14]) == [11, 14]


def _page(window: Window | None, ids: list[int]) -> Page:
    return Page({}, [], len(ids), ids, window=window)


def test_what_is_missing_is_told_window_by_window() -> None:
    """An open number is missing if its own window did not contain it."""
    memory = _memory()
    memory.take(_page(Window(None, 10), [1, 10]), {}, [])
    memory.take(_page(Window(10, None), [11]), {}, [])
    assert memory.missing(5, lambda: [1, 2, 10, 11, 12]) == [2, 12]


def test_a_page_of_the_whole_account_replaces_the_windows_before_it() -> None:
    """After the filter is refused, the page listed by offsets also covers the empty window before it."""
    memory = _memory()
    memory.take(_page(Window(None, 10), []), {}, [])
    memory.take(_page(None, [1, 11]), {}, [])
    assert memory.missing(3, lambda: [1, 2, 11]) == [2]
