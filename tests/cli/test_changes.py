"""`vnsync changes`: totals, details, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from etl.clock import SystemClock
from etl.snapshot.csv_text import original
from tests.support.running import Outcome, Run, Source

HOSTILE = '=cmd|"\x1b[2J"\n  1 (1): removed'


@pytest.fixture
def days(agency: Source, vnsync: Run) -> Source:
    """An agency that was synced on two days: a number edited, one removed, a rule switched, a campaign renamed."""
    world = agency.world
    assert vnsync("sync", *agency.options).code == 0
    first = world.customer_ids[0]
    one, two, *_ = world.numbers(first)
    world.edit(first, one, comment=HOSTILE)
    world.remove(first, two)
    world.rename_campaign(first, world.campaign_ids(first)[0], "New name")
    with time_machine.travel(SystemClock().now() + timedelta(hours=24), tick=True):
        assert vnsync("sync", *agency.options).code == 0
    return agency


def _asked(vnsync: Run, *arguments: str) -> Outcome:
    """Both days are over; only the second day's changes unless told otherwise."""
    with time_machine.travel(SystemClock().now() + timedelta(hours=30), tick=True):
        since = (SystemClock().now() - timedelta(hours=20)).isoformat()
        return vnsync("changes", "--from", since, *arguments)


def test_totals_first(days: Source, vnsync: Run) -> None:
    """Counts of changes by account and kind; details only with --details."""
    done = _asked(vnsync)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("3 changes, observed after ")
    lines = [line.split() for line in done.out.splitlines()[2:]]
    assert lines[0] == [str(days.world.customer_ids[0]), "Acme", "1", "number", "removed"]
    assert [line[1:] for line in lines[1:]] == [["comment", "changed"], ["campaign", "renamed"]]


@pytest.mark.usefixtures("days")
def test_details_name_the_interval_and_forge_nothing(vnsync: Run) -> None:
    """Under each observation its changes, each on one line, hostile text within quotes."""
    out = _asked(vnsync, "--details").out
    (heading,) = [line for line in out.splitlines() if ": after " in line]
    assert ", not later than " in heading
    assert sum(line.startswith("  ") and "(1): removed" in line for line in out.splitlines()) == 1
    assert "\x1b" not in out
    assert len([line for line in out.splitlines() if line.startswith("  ") and ": " in line]) == 3


def test_json_and_csv_carry_the_same_changes(days: Source, vnsync: Run) -> None:
    """One object with totals and changes; CSV with the same ones, hostile text whole and harmless."""
    told = _asked(vnsync, "--details", "--output", "json").json
    rows = list(csv.DictReader(io.StringIO(_asked(vnsync, "--output", "csv").out, newline="")))
    assert [row["kind"] for row in rows] == [c["kind"] for c in told["changes"]]
    assert {c["account_id"] for c in told["changes"]} == {days.world.customer_ids[0]}
    counted = Counter((c["kind"], c["entity"]) for c in told["changes"])
    (account,) = told["accounts"]
    assert {(t["kind"], t["entity"]): t["count"] for t in account["totals"]} == counted
    (comment,) = [c for c in told["changes"] if c["kind"] == "comment_changed"]
    (line,) = [row for row in rows if row["kind"] == "comment_changed"]
    assert (comment["before"], comment["after"]) == (comment["before"], HOSTILE)
    assert line["after"].startswith("'=")
    assert original(line["after"]) == HOSTILE
    assert comment["previous_observed_at"] < comment["observed_at"]


@pytest.mark.usefixtures("days")
def test_json_without_details_has_totals_only(vnsync: Run) -> None:
    """One object that names the window; every account's totals."""
    told = _asked(vnsync, "--output", "json").json
    assert told.keys() == {"from", "to", "accounts"}


def test_one_account_and_nothing_changed(days: Source, vnsync: Run) -> None:
    """The other account had no change in the window: a sentence, exit 0; CSV has its heading alone."""
    second = str(days.world.customer_ids[1])
    done = _asked(vnsync, "--account", second)
    assert (done.code, done.out.split(",")[0]) == (0, "Nothing changed")
    assert len(_asked(vnsync, "--account", second, "--output", "csv").out.splitlines()) == 1
    told: Any = json.loads(_asked(vnsync, "--account", second, "--output", "json", "--details").out)
    assert (told["accounts"], told["changes"]) == ([], [])


@pytest.mark.usefixtures("days")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "2999-01-01"), "--from 2999-01-01T00:00:00Z lies in the future"),
        (("--to", "2999-01-01"), "--to 2999-01-01T00:00:00Z lies in the future"),
        (("--to", "2020-01-01"), "--to 2020-01-01T00:00:00Z lies before the first observation"),
        (("--as-of", "2999-01-01"), "--as-of 2999-01-01T00:00:00Z lies in the future"),
        (("--as-of", "2020-01-01"), "--as-of 2020-01-01T00:00:00Z lies before the first observation"),
        (("--from", "2020-01-02", "--to", "2020-01-01"), "--from is not before --to"),
        (("--from", "2020-01-02", "--as-of", "2020-01-01"), "--from is not before --as-of"),
        (("--to", "2020-01-02", "--as-of", "2020-01-01"), "--to and --as-of are the same"),
        (("--account", "5"), "account 5 was never published"),
        (("--from", "soon"), "is not a date or time"),
        (("--output", "xml"), "xml"),
    ],
)
def test_bad_input_gets_one_line_and_exit_2(arguments: tuple[str, ...], words: str, vnsync: Run) -> None:
    """Future moments, moments before the first observation, empty time ranges, unknown accounts."""
    done = vnsync("changes", *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.error
