"""Listing statistics: the sentence about numbers that were announced and not received."""

from __future__ import annotations

import pytest

from etl.domain.listing_stats import ListingStats
from etl.domain.windows import Window
from etl.errors import SourceUnusable

LOW, HIGH = Window(None, 100), Window(100, None)


def test_numbers_that_came_alive_are_accounted_for_in_their_own_window() -> None:
    """One that was missing below does not make up for one that is missing above."""
    stats = ListingStats()
    stats.announced(10, 2, LOW)
    stats.announced(10, 1, HIGH)
    assert stats.unaccounted == 3
    stats.found_alive([5, 7])
    assert (stats.unaccounted, stats.listed) == (1, 2)


def test_more_alive_than_were_missing_prove_nothing() -> None:
    """Some have come back since they were counted, so nothing says that the missing ones are among them."""
    stats = ListingStats()
    stats.announced(10, 1, LOW)
    stats.announced(10, 0, HIGH)
    stats.found_alive([5, 7, 200])
    assert stats.unaccounted == 1


def test_most_of_an_answer_missing_is_no_answer() -> None:
    """One of three may be missing, and one of one; two of three are refused."""
    ListingStats().announced(3, 1)
    ListingStats().announced(1, 1)
    with pytest.raises(SourceUnusable, match="1 of 3 announced numbers came"):
        ListingStats().announced(3, 2)
