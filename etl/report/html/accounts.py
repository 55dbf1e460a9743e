"""Sections of the report on accounts: freshness, numbers and changes of each; and the largest campaigns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from etl.read.account_overview import AccountOverview
from etl.read.holdings import Holding
from etl.read.overview import Overview
from etl.read.status import AccountState, stale
from etl.report.html.attention import rank
from etl.report.html.causes import NumberedCauses, reference
from etl.report.html.charts import meter, spark
from etl.report.html.markup import Element, element
from etl.report.html.parts import (
    Cell,
    chip,
    figure,
    last_days,
    prose,
    remark,
    section,
    shortened,
    small,
    table,
    unbroken,
)
from etl.report.states import OTHER_VIEWER, state
from etl.report.wording import counted, lasting, moment, thousands

SHOWN = 150
"""Upper limit of the accounts on the page; totals include all accounts."""
HEADS = ("account", "last sync", "observed (UTC)", "numbers", "campaigns", "in no campaign", "changes", "by day")


def accounts_section(seen: Overview, max_age: timedelta) -> Element:
    """Section with a row for each account: those that need attention first, then the largest."""
    late = frozenset(a.account_id for a in stale(seen.status.accounts, max_age))
    ordered = sorted(seen.status.accounts, key=lambda a: (*rank(a, late), a.account_id))
    causes = NumberedCauses.of(a for a in seen.status.accounts if not a.is_unreachable).by_account()
    rows = [_row(seen, account, late, causes.get(account.account_id)) for account in ordered[:SHOWN]]
    shown = table(HEADS, rows, label="Accounts", cards=True) if rows else None
    return section("accounts", "Accounts", remark(_explained(seen, len(rows))), shown)


def _explained(seen: Overview, rows: int) -> str:
    known = len(seen.status.accounts)
    first = "Those that need attention first, then the largest."
    order = first if rows == known else f"{thousands(rows)} of {thousands(known)}: {first} `vnsync status` lists all."
    return f"{order} Changes are those of {last_days(len(seen.activity.days))}."


def _row(seen: Overview, account: AccountState, late: frozenset[int], cause: int | None) -> list[Cell]:
    held = seen.holdings.get(account.account_id, Holding() if account.observed_at else None)
    counts = seen.activity.per_account.get(account.account_id, ())
    return [
        name_cell(account.account_id, account.account_name),
        Cell([chip(account.status), *_remarks(account, cause)]),
        _observed(account, is_late=account.account_id in late),
        figure(held.numbers if held else None),
        figure(held.campaigns if held else None),
        figure(held.unplaced if held else None),
        figure(sum(counts)),
        Cell([spark(counts)]),
    ]


def name_cell(account_id: int, name: str | None) -> Cell:
    """Cell with the name of an account and its id."""
    own = unbroken(str(account_id))
    return Cell([own]) if name is None else Cell([shortened(name), element("small", own)])


def _remarks(account: AccountState, cause: int | None) -> Iterable[Element]:
    counts = [
        (account.quarantined, "in quarantine"),
        (account.suspects, "not proven gone"),
        (account.unaccounted, "not sent by the source"),
    ]
    if account.unreachable_since is not None:
        yield small(f"{state(account.status)} since {moment(account.unreachable_since)}")
    elif cause is not None:
        yield reference(cause)
    elif account.status != "succeeded" and account.error:
        yield element("small", prose(account.error, 160))
    yield from (small(f"{thousands(n)} {what}") for n, what in counts if n)
    if account.viewer_changed:
        yield small(OTHER_VIEWER)


def _observed(account: AccountState, *, is_late: bool) -> Cell:
    if account.observed_at is None or account.age_seconds is None:
        return Cell([chip("never", "bad")])
    age = f"{lasting(account.age_seconds)} ago"
    return Cell([unbroken(moment(account.observed_at)), chip(age, "warn") if is_late else small(age)])


# -- numbers and campaigns


def held_section(seen: Overview | AccountOverview) -> Element:
    """Section with the numbers by status, and the largest campaigns."""
    return section(
        "held",
        "Numbers and campaigns",
        element(
            "div",
            element("div", element("h3", "Numbers by status"), _statuses(seen.statuses, seen.sizes["virtual_numbers"])),
            element("div", element("h3", "Largest campaigns"), _campaigns(seen)),
            class_="split",
        ),
    )


def _statuses(statuses: Sequence[tuple[str | None, int]], total: int) -> Element:
    rows = [[Cell(status), figure(count), Cell([meter(count, total)])] for status, count in statuses]
    others = total - sum(count for _, count in statuses)
    if others:
        rows.append([Cell("others"), figure(others), Cell([meter(others, total)])])
    return (
        table(["status", "numbers", "share"], rows, label="Numbers by status")
        if rows
        else remark("No number is listed.")
    )


def _campaigns(seen: Overview | AccountOverview) -> Element:
    names = {account.account_id: account.account_name for account in seen.status.accounts}
    heads = ["campaign", *(["account"] if len(names) > 1 else []), "numbers"]
    rows = [
        [
            Cell([shortened(c.campaign_name or "–"), small(c.site_domain_name or "no site")]),
            *([name_cell(c.account_id, names.get(c.account_id))] if len(names) > 1 else []),
            figure(c.numbers),
        ]
        for c in seen.campaigns
    ]
    if not rows:
        return remark("No campaign holds a number.")
    shown = table(heads, rows, label="Largest campaigns")
    more = seen.sizes["campaigns"] - len(rows)
    return element("div", shown, remark(f"and {counted(more, 'campaign')} with fewer or none") if more > 0 else None)
