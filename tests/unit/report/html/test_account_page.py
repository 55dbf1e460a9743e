"""The page of one account: readable, the same for the same data, bounded, and about this account alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from etl.domain import tables
from etl.read.account_overview import CAMPAIGNS, LATEST, SYNCS, AccountOverview, AccountSync
from etl.read.activity import YEAR, Activity, Day
from etl.read.change_kinds import ChangeEvent, Kind, Thing
from etl.read.changes import Change
from etl.read.holdings import Holding, TopCampaign
from etl.read.moved import MOST, Moved
from etl.read.status import AccountState, LastRun, Status
from etl.report.html.account_page import account_page
from etl.report.html.shell import OPENING
from tests.support.html_tree import Node, parsed, unreadable

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
HEAD = "ab" * 32


def _account(**fields: Any) -> AccountState:
    known: dict[str, Any] = {
        "account_name": "Seven", "status": "succeeded", "observed_at": NOW - timedelta(hours=2), "age_seconds": 7200.0,
        "listed_numbers": 5, "chain_digest": HEAD,
    }  # fmt: skip
    return AccountState(account_id=7, last_run_id=1, **(known | fields))


def _sync(run_id: int, error: str | None = None) -> AccountSync:
    return AccountSync(
        run_id=run_id, status="failed" if error else "succeeded", started_at=NOW, observed_at=None if error else NOW,
        listed_numbers=5, requests=3, rows_opened=2, rows_closed=1, error=error,
    )  # fmt: skip


def _seen(account: AccountState, *syncs: AccountSync) -> AccountOverview:
    run = LastRun(run_id=1, status="succeeded", started_at=NOW, finished_at=NOW, exit_code=0, error=None)
    day = Day(day=date(2026, 1, 10), accounts=1, observations=1, counts={("number", "changed"): 3})
    year = Activity(days=(day,), per_account={7: (3,)})
    return AccountOverview(
        moment=NOW,
        account_id=7,
        timezone="Europe/Moscow",
        first_observed_at=NOW - timedelta(days=40),
        source_url="https://api.example/v2.0",
        status=Status(accounts=(account,), last_run=run),
        holdings={7: Holding(numbers=5, unplaced=1, campaigns=1)},
        sizes=dict.fromkeys(tables.BY_NAME, 0) | {"virtual_numbers": 5},
        statuses=(("active", 5),),
        campaigns=(TopCampaign(account_id=7, campaign_id=9, campaign_name="S", site_domain_name=None, numbers=4),),
        rejected=(),
        drift=(),
        drift_kinds_known=0,
        activity=year,
        year=year,
        unpublished_days=(),
        moved=Moved(),
        latest=(),
        more_changes=False,
        syncs=syncs,
    )


def _text(seen: AccountOverview) -> str:
    return account_page(seen, made_at=NOW, max_age=timedelta(hours=26), version="1", hide=str)


def _page(seen: AccountOverview) -> Node:
    return parsed(_text(seen))


def test_it_says_of_which_account_it_tells() -> None:
    """Name, id and zone above, figures in the tiles, and no column for an account."""
    page = _page(_seen(_account(), _sync(1)))
    assert page.one("head").one("title").text == "vnsync report: account 7"
    assert page.one("h1").text == "Seven no problems"
    assert "Account 7, time zone Europe/Moscow. First observed at 2025-12-01 12:00:00 UTC." in page.one("header").text
    assert [tile.text for tile in page.of_class("tiles")[0].all("li")] == [
        "5 numbers listed", "1 in no campaign", "1 campaigns", "3 rows changed in a year", "2 h ago observed",
        "succeeded last sync",
    ]  # fmt: skip
    (campaigns,) = [t for t in page.all("table") if t.attributes["aria-label"] == "Largest campaigns"]
    assert campaigns.rows() == [["campaign", "numbers"], ["S no site", "4"]]
    assert _page(_seen(_account(account_name=None))).one("h1").text == "Account 7 no problems"


def test_every_reader_can_read_it() -> None:
    """Headings in order, tables with names and heads, pictures with words, links that lead somewhere."""
    page = _page(_seen(_account(status="failed", error="x. Run `vnsync doctor`"), _sync(2, "x. Run `vnsync doctor`")))
    assert unreadable(page) == []
    assert [s.attributes["id"] for s in page.one("main").all("section")] == [
        "attention", "year", "moved", "latest", "held", "syncs",
    ]  # fmt: skip


def test_its_last_syncs_refer_to_the_cause() -> None:
    """The cause appears once, at the top; the page has the head of the chain."""
    syncs = [_sync(3, "no right"), _sync(2, "no right"), _sync(1, "broken"), _sync(0, "broken")]
    page = _page(_seen(_account(status="failed", error="no right"), *syncs))
    notes = [row[-1] for row in page.by_id("syncs").one("table").rows()[1:]]
    assert notes == ["cause 1", "cause 1", "broken", "as run 1"]
    assert page.text.count("no right") == 1
    assert [code.text for code in page.by_id("syncs").all("code")] == [HEAD]


def test_an_earlier_report_is_known_by_its_beginning() -> None:
    """A page of one account may replace one of the whole, and the same data gives the same bytes."""
    seen = _seen(_account(), _sync(1))
    assert _text(seen).startswith(OPENING)
    assert _text(seen) == _text(replace(seen))


def test_the_largest_page_stays_small() -> None:
    """All lists at their limits, with the longest names of characters that take the most room: below 1 MB."""
    name = "\U000e0001" * 300
    thing = Thing(entity="campaign", id=10**15, name=name)
    number = Thing(entity="number", id=10**15, name=name)
    event = ChangeEvent(kind=Kind.MOVED, number=number, before=[thing] * 9, after=[thing] * 9)
    change = Change(account_id=7, observed_at=NOW, previous_observed_at=NOW, run_id=1, change_event=event)
    latest = [replace(change, observed_at=NOW + timedelta(days=i)) for i in range(LATEST)]
    campaign = TopCampaign(account_id=7, campaign_id=1, campaign_name=name, site_domain_name=name, numbers=9)
    days = (date(2026, 1, 10) - timedelta(days=i) for i in reversed(range(YEAR)))
    year = tuple(Day(day=d, accounts=1, observations=1, counts={("number", "added"): 10**9}) for d in days)
    seen = replace(
        _seen(
            _account(account_name=name, status="failed", error=name * 9), *[_sync(i, name * 9) for i in range(SYNCS)]
        ),
        latest=tuple(latest),
        moved=Moved(changes=(change,) * MOST, more=True),
        campaigns=(campaign,) * CAMPAIGNS,
        year=Activity(days=year, per_account={}),
    )
    size = len(_text(seen).encode())
    assert 300_000 < size < 1_000_000
