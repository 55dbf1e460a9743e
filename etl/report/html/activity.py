"""Sections of the report on recent changes and on the last runs."""

from __future__ import annotations

from collections import Counter

from etl.domain import tables as declared
from etl.read.activity import Activity, Day
from etl.read.overview import Overview, RunSummary
from etl.report.html.causes import NumberedCauses, notes
from etl.report.html.charts import day_charts, layered
from etl.report.html.markup import Element, element
from etl.report.html.parts import Cell, chip, figure, last_days, remark, section, small, table, unbroken
from etl.report.wording import counted, lasting, moment, thousands

KINDS = ("added", "changed", "removed")
MOVED, KNOWN = "moved", "known now"
"""Kinds that have a column only if there are such rows."""
DAYS = 10
"""Upper limit of the days in the table."""


def changes_section(activity: Activity) -> Element:
    """Section with a bar for each day, and tables with the figures."""
    title = "Recent changes"
    if not activity.days:
        return section("changes", title, remark("Nothing was observed yet."))
    if not any(day.counts or day.known for day in activity.days):
        return section(
            "changes", title, remark(f"No changes on {counted(len(activity.days), 'observed day')}. {_FIRST}")
        )
    words = f"Rows added, changed or removed on {last_days(len(activity.days))} (UTC). {_FIRST}"
    explained = [
        remark(_MOVED) if any(kind == MOVED for day in activity.days for _, kind in day.counts) else None,
        remark(_KNOWN) if any(day.known for day in activity.days) else None,
    ]
    tables = element(
        "div",
        element("div", element("h3", "By kind"), _by_kind(activity), explained),
        element("div", element("h3", "By day"), _by_day(activity)),
        class_="split",
    )
    return section("changes", title, remark(words), day_charts(activity), tables)


_FIRST = "An account's first observation is not counted: all its rows were new to the warehouse."
_MOVED = "Moved: numbers that went from one account to another, counted in both."
_KNOWN = "Known now: rows with fields that the source reported for the first time. These are not changes."


def _by_kind(activity: Activity) -> Element:
    total: Counter[tuple[str, str]] = Counter()
    for day in activity.days:
        total.update(day.counts)
        total.update({(entity, KNOWN): rows for entity, rows in day.known.items()})
    met = {kind for (_, kind), rows in total.items() if rows}
    kinds = [*KINDS, *(kind for kind in (MOVED, KNOWN) if kind in met)]
    rows = [
        [Cell(t.entity), *(figure(total[t.entity, kind] or None) for kind in kinds)]
        for t in declared.TABLES
        if any(total[t.entity, kind] for kind in kinds)
    ]
    return table(["rows", *kinds], rows, label="Changes by kind")


def _by_day(activity: Activity) -> Element:
    rows = [_day(day) for day in reversed(activity.days[-DAYS:])]
    return table(["day", "accounts", "numbers", "assigned", "names"], rows, label="Changes by day")


def _day(day: Day) -> list[Cell]:
    observed = small(counted(day.observations, "observation")) if day.observations > day.accounts else None
    return [
        Cell([unbroken(str(day.day)), observed]),
        figure(day.accounts),
        *(figure(count or None) for count in layered(day)),
    ]


def runs_section(seen: Overview) -> Element:
    """Section with the last runs, newest first; a cause is told once, and then referred to."""
    heads = ["run", "started (UTC)", "took", "status", "accounts", "opened", "closed", "note"]
    stopped = NumberedCauses.of(a for a in seen.status.accounts if not a.is_unreachable)
    told = notes([(summary.run.run_id, summary.run.error) for summary in seen.runs], stopped)
    rows = [_run(summary, note) for summary, note in zip(seen.runs, told, strict=True)]
    body = table(heads, rows, label="Last runs", cards=True) if rows else remark("No run yet.")
    return section("runs", "Last runs", body)


def _run(summary: RunSummary, note: Element | None) -> list[Cell]:
    run = summary.run
    took = "–" if run.finished_at is None else lasting((run.finished_at - run.started_at).total_seconds())
    return [
        Cell([unbroken(str(run.run_id)), small(f"vnsync {summary.version}")]),
        Cell([unbroken(moment(run.started_at))]),
        Cell([unbroken(took)]),
        Cell([chip(run.status), small(f"exit {run.exit_code}") if run.exit_code else None]),
        Cell(_accounts(summary)),
        figure(summary.rows_opened),
        figure(summary.rows_closed),
        Cell([note]),
    ]


def _accounts(summary: RunSummary) -> str:
    counts = [
        (summary.succeeded, "published"),
        (summary.held, "held"),
        (summary.failed, "failed"),
        (summary.unreachable, "unreachable"),
    ]
    return ", ".join(f"{thousands(n)} {status}" for n, status in counts if n) or "none"
