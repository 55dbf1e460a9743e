"""Spans: links cut where a name changed, and only there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from etl.read.timeline import Gap, Span, Version, gaps, previous, spans

SHOWN = ("campaign_id", "campaign_name", "site_id", "domain")


def _day(day: int | None) -> datetime | None:
    return None if day is None else datetime(2026, 1, day, tzinfo=UTC)


def _version(start: int, end: int | None, **values: Any) -> Version:
    begin = _day(start)
    assert begin is not None
    return Version(valid_from=begin, valid_to=_day(end), values=values)


OBSERVED = [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 21)]


def _told(link: Version, **names: dict[int, list[Version]]) -> list[tuple[int, int | None, tuple[Any, ...]]]:
    told: list[Span] = list(spans(link, names, OBSERVED, shown=SHOWN))
    return [(s.valid_from.day, s.valid_to.day if s.valid_to else None, tuple(s.values[c] for c in SHOWN)) for s in told]


def test_a_campaign_renamed_meanwhile_shows_both_names() -> None:
    """The link is cut at the renaming, and nowhere else; names before and after the link do not show."""
    names = [
        _version(1, 2, campaign_name="Before", site_id=None),
        _version(2, 6, campaign_name="Spring", site_id=None),
        _version(6, 12, campaign_name="Summer", site_id=None),
        _version(12, None, campaign_name="After", site_id=None),
    ]
    assert _told(_version(3, 9, campaign_id=10), campaign_id={10: names}) == [
        (3, 6, (10, "Spring", None, None)),
        (6, 9, (10, "Summer", None, None)),
    ]


def test_a_version_that_reads_alike_makes_no_cut() -> None:
    """Another version of the campaign with the same name and site (its other fields changed) is not shown."""
    names = [_version(1, 5, campaign_name="A", site_id=1, extra=1), _version(5, None, campaign_name="A", site_id=1)]
    assert _told(_version(2, None, campaign_id=10), campaign_id={10: names}) == [(2, None, (10, "A", 1, None))]


def test_the_site_is_the_one_of_the_campaign_of_that_time() -> None:
    """A campaign that moved to another site, and a site that changed its address, each cut the span."""
    campaigns = [_version(1, 5, campaign_name="A", site_id=1), _version(5, None, campaign_name="A", site_id=2)]
    sites = {1: [_version(1, 3, domain="one"), _version(3, None, domain="uno")], 2: [_version(1, None, domain="two")]}
    assert _told(_version(1, 8, campaign_id=10), campaign_id={10: campaigns}, site_id=sites) == [
        (1, 3, (10, "A", 1, "one")),
        (3, 5, (10, "A", 1, "uno")),
        (5, 8, (10, "A", 2, "two")),
    ]


def test_a_name_that_nobody_knows_is_missing_not_invented() -> None:
    """A link whose campaign has no version is shown by its id alone."""
    assert _told(_version(1, 2, campaign_id=10), campaign_id={}) == [(1, 2, (10, None, None, None))]


def test_each_span_says_after_which_observation_it_began() -> None:
    """Not later than its beginning, and after the observation before; the first observation has none before."""
    told = list(spans(_version(1, 5, campaign_id=1), {}, OBSERVED, shown=SHOWN))
    assert told[0].after is None
    told = list(spans(_version(4, 5, campaign_id=1), {}, OBSERVED, shown=SHOWN))
    assert told[0].after == _day(3)
    assert previous(datetime(2026, 1, 4, 1, tzinfo=UTC), OBSERVED) == _day(4)


def test_gaps_are_the_times_between_lives() -> None:
    """Versions that touch leave none; a number that came back leaves one; an open end is none."""
    lives = [_version(1, 2), _version(2, 4), _version(7, None)]
    assert gaps(lives) == [Gap(valid_from=OBSERVED[3], valid_to=OBSERVED[6])]
