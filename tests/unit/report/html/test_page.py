"""The whole page as a reader meets it: one sentence for a cause, commands as code, names, and nothing by colour."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from etl.domain import tables
from etl.read.activity import Activity
from etl.read.holdings import TopCampaign
from etl.read.overview import Overview, RunSummary
from etl.read.status import AccountState, LastRun, Status
from etl.report.html.document import report_page
from etl.report.html.parts import prose
from etl.report.html.style import CSS
from tests.support.html_tree import Node, parsed, unreadable

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
EXPIRED = "the API key has expired. Make a new one, then run `vnsync doctor`"
HELD = "60 of 100 open numbers would be closed. If that is right, run `vnsync sync --account 3 --approve-close 3`"


def _account(account_id: int, **fields: Any) -> AccountState:
    known: dict[str, Any] = {"status": "succeeded", "observed_at": NOW, "age_seconds": 60.0, "listed_numbers": 5}
    return AccountState(account_id=account_id, last_run_id=1, **(known | fields))


def _run(run_id: int, status: str, error: str | None = None) -> RunSummary:
    started = NOW - timedelta(days=1)
    run = LastRun(run_id=run_id, status=status, started_at=started, finished_at=NOW, exit_code=3, error=error)
    return RunSummary(
        run=run, source_url="https://api.example/v2.0", version="1", succeeded=1, held=0, failed=0, unreachable=0,
        rows_opened=1, rows_closed=0,
    )  # fmt: skip


def _seen(accounts: tuple[AccountState, ...], *runs: RunSummary, campaigns: tuple[TopCampaign, ...] = ()) -> Overview:
    return Overview(
        moment=NOW,
        status=Status(accounts=accounts, last_run=runs[0].run if runs else None),
        runs=runs,
        holdings={},
        sizes=dict.fromkeys(tables.BY_NAME, 0),
        statuses=(("active", 5), ("=1", 1)),
        campaigns=campaigns,
        rejected=(),
        drift=(),
        drift_kinds_known=0,
        activity=Activity(per_account={}),
    )


def _page(seen: Overview) -> Node:
    return parsed(report_page(seen, made_at=NOW, max_age=timedelta(hours=26), version="1", hide=str))


def _troubled() -> Overview:
    failed = [_account(i, status="failed", error=f"account {i}: {EXPIRED}") for i in (1, 2)]
    held = _account(3, status="held", error=HELD, account_name="Three")
    runs = (
        _run(2601100900000001, "partial", f"account 1: {EXPIRED}; 1 other cause"),
        _run(2601090900000001, "failed", "the disk is full"),
        _run(2601080900000001, "failed", "the disk is full"),
    )
    campaign = TopCampaign(account_id=3, campaign_id=9, campaign_name="Spring", site_domain_name="a.example", numbers=4)
    return _seen((*failed, held, _account(4)), *runs, campaigns=(campaign,))


def test_a_cause_is_one_sentence_of_the_page() -> None:
    """Two accounts, a run and a row each: the sentence stands once, all else refers to it by its number."""
    page = _page(_troubled())
    assert page.text.count("the API key has expired") == 1
    assert page.text.count("60 of 100 open numbers would be closed") == 1
    assert page.text.count("the disk is full") == 1
    assert page.by_id("cause-1").text.startswith("Cause 1. 2 accounts (1, 2): the account: the API key has expired")
    states = {row[0]: row[1] for row in page.by_id("accounts").one("table").rows()}
    assert states == {
        "account": "last sync", "1": "failed cause 1", "2": "failed cause 1", "Three 3": "held cause 2",
        "4": "succeeded",
    }  # fmt: skip
    notes = [row[-1] for row in page.by_id("runs").one("table").rows()]
    assert notes == ["note", "cause 1; 1 other cause", "the disk is full", "as run 2601090900000001"]
    assert [link.attributes["href"] for link in page.by_id("runs").all("a")] == ["#cause-1"]


def test_a_remedy_for_several_accounts_is_a_command() -> None:
    """Two accounts are held for one cause: the command has the word ID where each account's id goes."""
    held = HELD.replace("account 3", "account 4").replace("close 3", "close 4")
    accounts = (_account(3, status="held", error=HELD), _account(4, status="held", error=held))
    attention = _page(_seen(accounts, _run(7, "held"))).by_id("attention")
    assert [code.text for code in attention.all("code")] == ["vnsync sync --account ID --approve-close ID"]
    assert attention.text.count("60 of 100 open numbers would be closed") == 1


def test_a_run_that_failed_by_its_accounts_cause_is_no_second_problem() -> None:
    """The item of the accounts states the cause; a run that failed for another cause has its own item."""
    failed = _account(1, status="failed", error=EXPIRED)
    told = [h.text for h in _page(_seen((failed,), _run(7, "failed", EXPIRED))).by_id("attention").all("h3")]
    assert told == ["1 account failed problem"]
    other = _page(_seen((failed,), _run(7, "failed", "the disk is full"))).by_id("attention")
    assert [h.text for h in other.all("h3")] == ["The last run failed (exit 3) problem", "1 account failed problem"]


def test_what_failed_is_not_late_besides() -> None:
    """A failed account is listed with its cause and not as late; an account that is only old is listed as late."""
    old: dict[str, Any] = {"observed_at": NOW - timedelta(days=3), "age_seconds": 3 * 86_400.0}
    page = _page(_seen((_account(1, status="failed", error="x", **old), _account(2, **old)), _run(7, "partial")))
    assert [h.text for h in page.by_id("attention").all("h3")] == [
        "1 account failed problem", "1 account not observed within 26 h warning",
    ]  # fmt: skip


def test_accounts_of_which_the_same_is_true_share_a_sentence() -> None:
    """Eleven gaps of nine days are one line, not eleven."""
    accounts = tuple(_account(i, longest_gap_seconds=9 * 86_400.0) for i in range(1, 12))
    gaps = _page(_seen(accounts, _run(7, "succeeded"))).by_id("attention").all("ul")[1]
    assert [line.text for line in gaps.all("li")] == ["11 accounts (1, 2, 3, 4, 5 and 6 more): longest 9 d"]


def test_commands_are_code() -> None:
    """No backtick is left of a command: in remedies, errors, remarks and the foot of the page."""
    page = _page(_troubled())
    assert "`" not in page.text
    commands = [code.text for code in page.all("code")]
    assert "vnsync sync --account 3 --approve-close 3" in commands
    assert {"vnsync doctor", "vnsync verify", "vnsync history NUMBER"} <= set(commands)
    assert commands.count("vnsync sync --account 3 --approve-close 3") == 1


@pytest.mark.parametrize(
    "text", ["a `rm -rf /`", 'x "`vnsync erase 1`" y', "`vnsync sync\u202e`", "`vnsync a;b`", "``"]
)
def test_data_does_not_become_code(text: str) -> None:
    """Only a command of vnsync does, and none that stands in a quoted name."""
    assert [part for part in prose(text) if not isinstance(part, str)] == []


def test_ids_and_times_do_not_break() -> None:
    """A run id of sixteen digits, an instant and a length of time stay in one line."""
    page = _page(_troubled())
    whole = {node.text for node in page.of_class("unbroken")}
    assert {"2601100900000001", "2026-01-10 12:00:00"} <= whole
    assert re.search(r"\.unbroken\{white-space:nowrap\}", CSS)


def test_a_campaign_is_told_with_its_account() -> None:
    """By name and id, as in the table of accounts."""
    (held,) = [t for t in _page(_troubled()).all("table") if t.attributes["aria-label"] == "Largest campaigns"]
    assert held.rows() == [["campaign", "account", "numbers"], ["Spring a.example", "Three 3", "4"]]


def test_every_reader_can_read_it() -> None:
    """Headings in order, tables with names and heads, pictures with words, links that lead somewhere."""
    for seen in (_troubled(), _seen(()), replace(_troubled(), statuses=(), campaigns=())):
        page = _page(seen)
        assert unreadable(page) == []
        sections = [(f"#{s.attributes['id']}", s.one("h2").text) for s in page.one("main").all("section")]
        assert [(a.attributes["href"], a.text) for a in page.one("nav").all("a")] == sections


def test_cards_keep_their_roles() -> None:
    """Rows that are blocks on a narrow screen are still rows for a screen reader."""
    for table in _page(_troubled()).of_class("cards"):
        assert table.attributes["role"] == "table"
        assert {row.attributes["role"] for row in table.all("tr")} == {"row"}
        assert {cell.attributes["role"] for cell in table.all("td")} == {"cell"}
        assert {cell.attributes["data-label"] for cell in table.all("td")} <= {cell.text for cell in table.all("th")}


_PAIRS = [
    ("ink", "paper"), ("ink", "card"), ("soft", "card"), ("soft", "paper"), ("soft", "faint"), ("link", "card"),
    ("link", "paper"), ("ink", "faint"), ("good", "good-back"), ("warn", "warn-back"), ("bad", "bad-back"),
]  # fmt: skip


@pytest.mark.parametrize("scheme", range(3), ids=["light", "dark", "print"])
def test_text_stands_out(scheme: int) -> None:
    """Contrast of 4.5 to 1 for text and 3 to 1 for graphics, as WCAG requires, in each of the three palettes."""
    blocks = re.findall(r":root\{(.*?)\}", CSS, re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{3,6})", blocks[scheme]))
    found = {f"{a} on {b}": _contrast(colours[a], colours[b]) for a, b in _PAIRS}
    assert [pair for pair, contrast in found.items() if contrast < 4.5] == []
    assert min(_contrast(colours[name], colours["card"]) for name in ("one", "bad", "soft")) >= 3


def _contrast(one: str, two: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
