"""Report of one account as one page: its state, its numbers' changes, its campaigns and the calendar of its year."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from etl.read.account_overview import AccountOverview, AccountSync
from etl.read.holdings import Holding
from etl.read.status import AccountState
from etl.report.html import shell
from etl.report.html.accounts import held_section
from etl.report.html.attention import attention_section, items
from etl.report.html.causes import NumberedCauses, notes
from etl.report.html.charts import layered
from etl.report.html.markup import Element, Hide, element, safe_text
from etl.report.html.moves import latest_section, moved_section
from etl.report.html.parts import Cell, chip, figure, last_days, remark, section, shortened, table, unbroken
from etl.report.html.year import year_section
from etl.report.states import state
from etl.report.wording import lasting, moment, thousands


def account_page(seen: AccountOverview, *, made_at: datetime, max_age: timedelta, version: str, hide: Hide) -> str:
    """The page as text that ends in a newline. The same overview, instant and version give the same page.

    `max_age`: older data is stale; `hide`: function that masks secrets in all text.
    """
    (account,) = seen.status.accounts
    found = items(seen, max_age)
    names = {account.account_id: account.account_name}
    return shell.whole_page(
        f"vnsync report: account {seen.account_id}",
        [
            element("h1", _name(account), " ", shell.verdict(found)),
            element("p", _about(seen), class_="soft"),
            shell.times(seen.moment, made_at),
        ],
        _figures(seen, account),
        [
            attention_section(found),
            year_section(seen.year, seen.unpublished_days, seen.moment.astimezone(UTC).date()),
            moved_section(seen.moved, names, last_days(len(seen.activity.days))),
            latest_section(seen.latest, more=seen.more_changes, account_id=seen.account_id),
            held_section(seen),
            _syncs_section(seen, account),
        ],
        shell.page_footer(seen.moment, made_at, version, seen.source_url, _more(seen.account_id)),
        hide,
    )


def _name(account: AccountState) -> str:
    name = account.account_name
    return f"Account {account.account_id}" if name is None else safe_text(shortened(name))


def _about(seen: AccountOverview) -> str:
    zone = f", time zone {safe_text(seen.timezone)}" if seen.timezone else ""
    return f"Account {seen.account_id}{zone}. First observed at {moment(seen.first_observed_at)} UTC."


def _more(account_id: int) -> str:
    return (
        "`vnsync history NUMBER` is one number's life, "
        f"`vnsync changes --account {account_id} --details` each change; `vnsync verify` proves the history."
    )


def _figures(seen: AccountOverview, account: AccountState) -> Iterator[shell.Tile]:
    held = seen.holdings.get(seen.account_id, Holding())
    yield thousands(held.numbers), "numbers listed"
    yield thousands(held.unplaced), "in no campaign"
    yield thousands(held.campaigns), "campaigns"
    yield thousands(sum(sum(layered(day)) for day in seen.year.days)), "rows changed in a year"
    yield f"{lasting(account.age_seconds or 0)} ago", "observed"
    yield state(account.status), "last sync"


def _syncs_section(seen: AccountOverview, account: AccountState) -> Element:
    """Section with the last syncs, newest first, and the head of the chain."""
    heads = ["run", "started (UTC)", "observed", "status", "numbers", "requests", "opened", "closed", "note"]
    stopped = NumberedCauses.of([account] if not account.is_unreachable else [])
    told = notes([(sync.run_id, sync.error) for sync in seen.syncs], stopped)
    rows = [_sync(sync, note) for sync, note in zip(seen.syncs, told, strict=True)]
    shown = table(heads, rows, label="Last syncs", cards=True)
    return section("syncs", "Last syncs", _head(account.chain_digest), shown)


def _head(digest: str | None) -> Element | None:
    if digest is None:
        return None
    words = remark(
        "Head of the chain, which seals the whole history of this account. Keep it outside of the warehouse:"
    )
    return element("div", words, element("code", digest))


def _sync(sync: AccountSync, note: Element | None) -> list[Cell]:
    return [
        Cell([unbroken(str(sync.run_id))]),
        Cell([unbroken(moment(sync.started_at))]),
        Cell([unbroken(f"{sync.observed_at:%H:%M:%S}") if sync.observed_at else "–"]),
        Cell([chip(sync.status)]),
        figure(sync.listed_numbers),
        figure(sync.requests),
        figure(sync.rows_opened),
        figure(sync.rows_closed),
        Cell([note]),
    ]
