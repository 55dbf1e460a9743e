"""The page's parts: text cannot become markup, cells cannot become formulas, and pictures hold their room."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from etl.domain import tables
from etl.read.activity import Activity, Day
from etl.read.overview import Overview
from etl.read.status import AccountState, Status
from etl.report.html import attention
from etl.report.html.charts import day_charts, spark
from etl.report.html.document import report_page
from etl.report.html.markup import element, safe_text, written
from etl.report.html.shell import OPENING
from etl.report.html.style import CSS
from tests.support.html_tree import parsed

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)


def _as_it_is(text: str) -> str:
    return text


def _account(account_id: int, **fields: Any) -> AccountState:
    known: dict[str, Any] = {"status": "succeeded", "observed_at": NOW, "age_seconds": 60.0, "listed_numbers": 5}
    return AccountState(account_id=account_id, last_run_id=1, **(known | fields))


def _seen(*accounts: AccountState) -> Overview:
    return Overview(
        moment=NOW,
        status=Status(accounts=accounts),
        runs=(),
        holdings={},
        sizes=dict.fromkeys(tables.BY_NAME, 0),
        statuses=(),
        campaigns=(),
        rejected=(),
        drift=(),
        drift_kinds_known=0,
        activity=Activity(per_account={}),
    )


def _page(seen: Overview) -> str:
    return report_page(seen, made_at=NOW, max_age=timedelta(hours=26), version="1", hide=_as_it_is)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>&\"'", "&lt;b&gt;&amp;&quot;&#x27;"),
        ("a\u2028b\u202ec\x00d\u200be", "a\\u2028b\\u202ec\\x00d\\u200be"),
        ("a\nb", "a\\x0ab"),
        ("\ud800", "\\ud800"),
    ],
)
def test_text_and_attributes_are_escaped(text: str, shown: str) -> None:
    """Markup characters as references, what cannot be seen as escapes; the same in an attribute."""
    assert written(element("p", text, title=text), _as_it_is) == f'<p title="{shown}">{shown}</p>'


def test_what_is_hidden_is_hidden_before_it_is_escaped() -> None:
    """A secret with markup characters in it is found all the same, in text and in attributes."""
    out = written(element("p", "a<&b", title="x a<&b"), lambda text: text.replace("a<&b", "****"))
    assert out == '<p title="x ****">****</p>'


@pytest.mark.parametrize("name", ["onclick", "onload", "style", "src", "srcdoc", "action"])
def test_what_could_run_or_fetch_cannot_be_made(name: str) -> None:
    """Handlers, inline styles and sources are refused, whatever they hold."""
    with pytest.raises(ValueError, match="no attribute"):
        element("p", **{name: "x"})


@pytest.mark.parametrize("address", ["javascript:alert(1)", "https://example.com", "//x", "data:text/html,x", ""])
def test_links_lead_to_places_of_the_page_only(address: str) -> None:
    """No link leaves the page."""
    with pytest.raises(ValueError, match="a link may lead only"):
        element("a", "x", href=address)
    assert written(element("a", "x", href="#runs"), _as_it_is) == '<a href="#runs">x</a>'


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\u00a0 =1", "＝1", "%x", "|x"])
def test_formulas_are_quoted(text: str) -> None:
    """Text that a spreadsheet would calculate begins with a quote."""
    assert safe_text(text).startswith('"')


@pytest.mark.parametrize(
    ("text", "shown"), [("Acme", "Acme"), ("7 = 7", "7 = 7"), (None, "–"), ("", '""'), (" ", '" "')]
)
def test_ordinary_text_is_told_as_it_is(text: str | None, shown: str) -> None:
    """Nothing is quoted without need; nothing at all is a dash, emptiness is visible."""
    assert safe_text(text) == shown


def test_the_style_sheet_cannot_end_early() -> None:
    """It is the one text that is written as it is."""
    assert "</" not in CSS
    assert "<!--" not in CSS
    assert "url(" not in CSS
    assert "@import" not in CSS


def test_every_page_begins_alike() -> None:
    """By its beginning a file is known as an earlier report."""
    assert _page(_seen()).startswith(OPENING)


def test_the_page_is_the_same_for_the_same_data() -> None:
    """The page depends only on the data that is passed in."""
    seen = _seen(_account(2, suspects=3), _account(1, status="failed", error="x"))
    assert _page(seen) == _page(seen)


def test_what_is_broken_stands_before_what_is_incomplete() -> None:
    """Order: failed and held, stale and incomplete, then notes; each item has a remedy."""
    seen = _seen(
        _account(1, longest_gap_seconds=9 * 86_400.0),
        _account(2, unaccounted=1),
        _account(3, suspects=2),
        _account(4, quarantined=3),
        _account(5, age_seconds=27 * 3600.0),
        _account(6, status="held", error="60 of 100"),
        _account(7, status="failed", error="forbidden", observed_at=None, age_seconds=None),
    )
    items = attention.items(seen, timedelta(hours=26))
    assert [i.level for i in items] == ["bad"] * 3 + ["warn"] * 4 + ["note"]
    assert all(item.remedy for item in items)
    assert any(item.command == "vnsync sync --account 6 --approve-close 6" for item in items)
    assert [a.account_id for a in sorted(seen.status.accounts, key=lambda a: attention.rank(a, frozenset({5})))] == [
        6, 7, 5, 4, 3, 2, 1,
    ]  # fmt: skip
    heads = [head.text for head in parsed(_page(seen)).by_id("attention").all("h3")]
    words = {"bad": "problem", "warn": "warning", "note": "note"}
    assert heads == [f"{item.title} {words[item.level]}" for item in items]


def test_an_account_that_left_is_a_note() -> None:
    """It is neither failed nor late, stands last, and does not count among those that are observed."""
    long_ago: dict[str, object] = {"observed_at": NOW - timedelta(days=9), "age_seconds": 9 * 86_400.0, "suspects": 3}
    left = _account(1, status="left", error="gone", unreachable_since=NOW - timedelta(days=8), **long_ago)
    seen = _seen(left, _account(2))
    (item,) = [item for item in attention.items(seen, timedelta(hours=26)) if item.title != "Nothing was ever synced"]
    assert (item.level, item.title) == ("note", "1 account cannot be listed for a known reason")
    page = _page(seen)
    assert "1 of 1 observed within 26 h" in [tile.text for tile in parsed(page).of_class("tiles")[0].all("li")]
    assert '<span class="chip note">left</span>' in page
    assert max([left, _account(2)], key=lambda a: attention.rank(a, frozenset())) is left


@pytest.mark.parametrize(("days", "words"), [(1, "the last observed day"), (30, "the last 30 observed days")])
def test_days_are_counted_in_words(days: int, words: str) -> None:
    """One day is not the last 1 day, in any section."""
    told = tuple(
        Day(day=NOW.date() - timedelta(days=back), accounts=1, observations=1, counts={("number", "added"): 1})
        for back in reversed(range(days))
    )
    page = _page(replace(_seen(_account(1)), activity=Activity(days=told, per_account={})))
    assert page.count(words) == 3


def test_all_well_is_said() -> None:
    """Fresh, complete accounts and a run that succeeded: the page says that nothing needs attention."""
    seen = _seen(_account(1))
    assert [item.title for item in attention.items(seen, timedelta(hours=26))] == ["Nothing was ever synced"]
    assert "no problems" not in _page(seen)


def test_thousands_of_accounts_stay_small() -> None:
    """Five thousand failed accounts with long names and errors: below 2 MB, the totals whole."""
    name, error = "\U000e0001" * 300, "<\u202e" * 500
    page = _page(_seen(*(_account(i, account_name=name, error=error, status="failed") for i in range(5_000))))
    assert len(page.encode()) < 2_000_000
    assert "5 000 accounts failed" in page
    assert "150 of 5 000" in page


def _activity(*counts: dict[tuple[str, str], int], apart: int = 1) -> Activity:
    days = (Day(day=date(2026, 1, 1 + apart * i), accounts=1, observations=1, counts=c) for i, c in enumerate(counts))
    return Activity(days=tuple(days), per_account={})


def test_bars_stay_in_their_room() -> None:
    """Days of a million changes and of one are both visible, and no bar leaves the chart."""
    counts = [{("number", "changed"): 1_000_000}, {("campaign", "changed"): 1, ("number", "added"): 1}]
    charts = parsed(written(day_charts(_activity(*counts, apart=3)), _as_it_is))
    for drawing in charts.all("svg"):
        width, height = map(float, drawing.attributes["viewbox"].split()[2:])
        for bar in drawing.all("rect"):
            x, y, w, h = (float(bar.attributes[name]) for name in ("x", "y", "width", "height"))
            assert min(x, y, h - 1, width - x - w, height - y - h) >= 0
    assert [len(drawing.all("rect")) for drawing in charts.all("svg")] == [2, 0, 1]
    assert [len(drawing.all("line")) for drawing in charts.all("svg")] == [1, 1, 1]
    assert [told.text for told in charts.all("title")] == [
        "2026-01-01: 1 000 000 changes", "2026-01-04: 1 change", "2026-01-04: 1 change",
    ]  # fmt: skip
    assert "A dashed line" in charts.text
    assert spark((0, 0)) is None
    assert "v-20.0h" in written(spark((0, 9, 1)), _as_it_is)


@pytest.mark.parametrize("days", [2, 3, 30])
def test_a_bar_is_as_wide_for_two_days_as_for_thirty(days: int) -> None:
    """No day fills the page: a bar has its width, and the picture is as wide as its bars."""
    charts = parsed(written(day_charts(_activity(*[{("number", "added"): 9}] * days)), _as_it_is))
    drawing = charts.all("svg")[0]
    assert {bar.attributes["width"] for bar in drawing.all("rect")} == {"22.8"}
    assert drawing.attributes["width"] == str(30 * days)
    assert "dashed" not in charts.text


def test_one_observed_day_has_no_chart() -> None:
    """There is nothing to compare it with: the table has its figures."""
    seen = replace(_seen(_account(1)), activity=_activity({("number", "added"): 9}))
    changes = parsed(_page(seen)).by_id("changes")
    assert changes.all("svg") == []
    assert ["2026-01-01", "1", "9", "–", "–"] in changes.all("table")[1].rows()
