"""Report of the whole warehouse as one page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from etl.read.overview import Overview
from etl.read.status import stale
from etl.report.html import shell
from etl.report.html.accounts import accounts_section, held_section
from etl.report.html.activity import changes_section, runs_section
from etl.report.html.attention import attention_section, items
from etl.report.html.markup import Hide, element
from etl.report.html.moves import moved_section
from etl.report.html.parts import last_days
from etl.report.html.year import year_section
from etl.report.wording import lasting, thousands

MORE = (
    "`vnsync report --account ID` is a page of one account, `vnsync history NUMBER` one number's life, "
    "`vnsync changes --details` each change; `vnsync verify` proves the history."
)


def report_page(seen: Overview, *, made_at: datetime, max_age: timedelta, version: str, hide: Hide) -> str:
    """The page as text that ends in a newline. The same overview, instant and version give the same page.

    `max_age`: accounts with older data are stale; `hide`: function that masks secrets in all text.
    """
    found = items(seen, max_age)
    names = {account.account_id: account.account_name for account in seen.status.accounts}
    source = seen.runs[0].source_url if seen.runs else None
    return shell.whole_page(
        "vnsync report",
        [element("h1", "Virtual numbers ", shell.verdict(found)), shell.times(seen.moment, made_at)],
        _figures(seen, max_age),
        [
            attention_section(found),
            changes_section(seen.activity),
            year_section(seen.year, seen.unpublished_days, seen.moment.astimezone(UTC).date()),
            moved_section(seen.moved, names, last_days(len(seen.activity.days))),
            accounts_section(seen, max_age),
            held_section(seen),
            runs_section(seen),
        ],
        shell.page_footer(seen.moment, made_at, version, source, MORE),
        hide,
    )


def _figures(seen: Overview, max_age: timedelta) -> Iterator[shell.Tile]:
    accounts = [a for a in seen.status.accounts if not a.is_unreachable]
    late = len(stale(accounts, max_age))
    ages = [a.age_seconds for a in accounts if a.age_seconds is not None]
    yield thousands(len(accounts)), "account" if len(accounts) == 1 else "accounts"
    yield thousands(seen.sizes["virtual_numbers"]), "numbers listed"
    yield thousands(seen.sizes["campaigns"]), "campaigns"
    yield (
        thousands(len(accounts) - late),
        f"of {thousands(len(accounts))} observed within {lasting(max_age.total_seconds())}",
    )
    yield lasting(max(ages)) if ages else "–", "oldest data"
    yield seen.status.last_run.status if seen.status.last_run else "none", "last run"
