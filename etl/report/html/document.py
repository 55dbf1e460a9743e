"""Complete page of the report: one file that loads nothing and runs no script."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from etl.read.overview import Overview
from etl.read.status import stale
from etl.report.html import attention
from etl.report.html.accounts import accounts_section, held_section
from etl.report.html.activity import changes_section, runs_section
from etl.report.html.markup import Element, Hide, Style, element, written
from etl.report.html.parts import chip, remark, section
from etl.report.html.style import CSS, policy
from etl.report.wording import asked, counted, lasting, moment, printable, thousands

OPENING = '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="vnsync">'
"""First bytes of every report: a file that begins with them is an earlier report and may be replaced."""


def report_page(seen: Overview, *, made_at: datetime, max_age: timedelta, version: str, hide: Hide) -> str:
    """The page as text that ends in a newline. The same overview, instant and version give the same page.

    `max_age`: accounts with older data are stale; `hide`: function that masks secrets in all text.
    """
    return f"<!doctype html>\n{written(_html(seen, made_at, max_age, version), hide)}\n"


def _html(seen: Overview, made_at: datetime, max_age: timedelta, version: str) -> Element:
    found = attention.items(seen, max_age)
    return element(
        "html",
        _head(),
        element(
            "body",
            _header(seen, made_at, found),
            element(
                "main",
                _tiles(seen, max_age),
                _attention_section(found),
                changes_section(seen.activity),
                accounts_section(seen, max_age),
                held_section(seen),
                runs_section(seen),
            ),
            _footer(seen, made_at, version),
        ),
        lang="en",
    )


def _head() -> Element:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="generator", content="vnsync"),
        element("meta", http_equiv="Content-Security-Policy", content=policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("title", "vnsync report"),
        Style(CSS),
    )


def _header(seen: Overview, made_at: datetime, found: list[attention.Item]) -> Element:
    known = f"As known at {_known_at(seen, made_at)} UTC"
    times = known if seen.moment == made_at else f"{known}, created at {moment(made_at)} UTC"
    return element("header", element("h1", "Virtual numbers ", _verdict(found)), element("p", times, class_="soft"))


def _known_at(seen: Overview, made_at: datetime) -> str:
    return moment(made_at) if seen.moment == made_at else asked(seen.moment)


def _verdict(found: list[attention.Item]) -> Element:
    levels = [item.level for item in found]
    bad, warn = levels.count("bad"), levels.count("warn")
    if bad or warn:
        return chip(counted(bad + warn, "problem"), "bad" if bad else "warn")
    return chip("no problems", "good")


def _tiles(seen: Overview, max_age: timedelta) -> Element:
    tiles = [*_figures(seen, max_age)]
    return element("ul", (element("li", element("b", n), element("span", label)) for n, label in tiles), class_="tiles")


def _figures(seen: Overview, max_age: timedelta) -> Iterator[tuple[str, str]]:
    accounts = [a for a in seen.status.accounts if not a.is_unreachable]
    late = len(stale(accounts, max_age))
    ages = [a.age_seconds for a in accounts if a.age_seconds is not None]
    yield thousands(len(accounts)), "account" if len(accounts) == 1 else "accounts"
    yield thousands(seen.sizes["virtual_numbers"]), "numbers listed"
    yield thousands(seen.sizes["campaigns"]), "campaigns"
    yield f"{thousands(len(accounts) - late)} of {thousands(len(accounts))}", f"observed within {_hours(max_age)}"
    yield lasting(max(ages)) if ages else "–", "oldest data"
    yield seen.status.last_run.status if seen.status.last_run else "none", "last run"


def _hours(age: timedelta) -> str:
    return lasting(age.total_seconds())


def _attention_section(found: list[attention.Item]) -> Element:
    body = element("ul", map(attention.shown, found), class_="items") if found else remark("Nothing needs attention.")
    return section("attention", "What needs attention", body)


def _footer(seen: Overview, made_at: datetime, version: str) -> Element:
    source = f" Source: {printable(seen.runs[0].source_url)}." if seen.runs else ""
    days = counted(len(seen.activity.days), "observed day")
    known = f"as known at {_known_at(seen, made_at)} UTC"
    return element(
        "footer",
        element("p", f"Created by vnsync {version} at {moment(made_at)} UTC, {known}.{source}"),
        element(
            "p",
            f"Times are UTC. Each change happened between the previous observation and the time shown; {days} shown. "
            "For more, see vnsync status, vnsync history NUMBER, and the tables.",
        ),
    )
