"""Log lines: each event as text and as JSON; a log that cannot be written stops nothing."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from etl.domain.events import (
    AccountFinished,
    AccountStarted,
    Event,
    Notice,
    NumbersRead,
    Publishing,
    RunFinished,
    RunStarted,
    Waiting,
)
from etl.domain.runs import AccountResult, AccountStatus, RunResult, RunStatus, Strategy, TableChange
from etl.report.terminal.log import Log

NOW = datetime(2026, 11, 23, 19, 36, 38, 250_000, tzinfo=UTC)
RUN = 2611231936380001
GOOD = AccountResult(
    run_id=RUN,
    account_id=101,
    account_name="Acme",
    status=AccountStatus.SUCCEEDED,
    started_at=NOW,
    observed_at=NOW,
    strategy=Strategy.WINDOWS,
    requests=3,
    listed_numbers=25_000,
    rows_opened=12,
    rows_closed=1,
    changes={"virtual_numbers": TableChange(opened=12, closed=1), "sites": TableChange()},
)
HELD = replace(GOOD, status=AccountStatus.HELD, error="13 of 25 open numbers would be closed", exit_code=3)
RESULT = RunResult(
    run_id=RUN,
    status=RunStatus.SUCCEEDED,
    exit_code=0,
    started_at=NOW - timedelta(seconds=4.2),
    finished_at=NOW,
    accounts=(GOOD,),
)
STARTED = RunStarted(run_id=RUN, source_url="https://dataapi.callgear.com/v2.0", accounts=1)
ACCOUNT = AccountStarted(account_id=101, account_name="Acme", expected=25_000)


def logged(*events: Event, as_json: bool = False, level: str = "info") -> list[str]:
    """The lines that the events leave."""
    stream = io.StringIO()
    log = Log(stream, now=lambda: NOW, json=as_json, level=level)
    for event in events:
        log(event)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (STARTED, "INFO run started: 1 account of https://dataapi.callgear.com/v2.0"),
        (ACCOUNT, 'INFO account 101 "Acme": listing, 25 000 numbers known'),
        (replace(ACCOUNT, expected=0), 'INFO account 101 "Acme": listing, first load'),
        (
            NumbersRead(account_id=101, read=10_000, expected=25_000, points_left=None),
            'INFO account 101 "Acme": 10 000 of 25 000 numbers read',
        ),
        (
            NumbersRead(account_id=101, read=10_000, expected=0, points_left=57),
            'INFO account 101 "Acme": 10 000 numbers read, 57 points left',
        ),
        (
            Waiting(seconds=42.4, reason="the minute's points are used up"),
            "INFO waiting 42 s: the minute's points are used up",
        ),
        (
            Waiting(seconds=0.3, reason="127.0.0.1 is unreachable", retry=1),
            "INFO retry 1 in 0.3 s: 127.0.0.1 is unreachable",
        ),
        (
            Publishing(account_id=101, listed=25_000),
            'INFO account 101 "Acme": 25 000 numbers listed, comparing and writing',
        ),
        (AccountFinished(result=GOOD), 'INFO account 101 "Acme": 25 000 numbers listed, 12 rows added, 1 removed'),
        (
            AccountFinished(result=replace(GOOD, rows_opened=0, rows_closed=0, suspects=2, retries=1)),
            'INFO account 101 "Acme": 25 000 numbers listed, nothing changed (2 not proven gone, left open, 1 retry)',
        ),
        (AccountFinished(result=HELD), 'WARNING account 101 "Acme": held: 13 of 25 open numbers would be closed'),
        (
            AccountFinished(result=replace(HELD, status=AccountStatus.FAILED)),
            'ERROR account 101 "Acme": failed: 13 of 25 open numbers would be closed',
        ),
        (Notice(message="is out of reach", account_id=101), 'WARNING account 101 "Acme": is out of reach'),
        (Notice(message="this version is deprecated"), "WARNING this version is deprecated"),
        (RunFinished(result=RESULT), "INFO succeeded: 1 of 1 account published, 12 rows added, 1 removed, in 4.2 s"),
    ],
)
def test_each_event_is_one_line_of_text(event: Event, line: str) -> None:
    """Time in UTC, level, what happened with the account's name, and the run."""
    lines = logged(STARTED, ACCOUNT, event)
    assert len(lines) == 3
    assert lines[-1] == f"2026-11-23 19:36:38 {line} (run {RUN})"


def test_json_log_is_one_object_a_line() -> None:
    """Every object has the same head; the event's own fields follow, instants as ISO 8601 with a Z."""
    events = (STARTED, ACCOUNT, AccountFinished(result=GOOD), RunFinished(result=RESULT))
    objects: list[dict[str, Any]] = [json.loads(line) for line in logged(*events, as_json=True)]
    head = {"ts", "level", "event", "run_id", "account_id", "message"}
    assert all(head <= o.keys() for o in objects)
    assert [o["event"] for o in objects] == ["run_started", "account_started", "account_finished", "run_finished"]
    assert {o["run_id"] for o in objects} == {RUN}
    assert [o["account_id"] for o in objects] == [None, 101, 101, None]
    assert objects[0]["ts"] == "2026-11-23T19:36:38.250000Z"
    assert (objects[2]["listed_numbers"], objects[2]["observed_at"]) == (25_000, "2026-11-23T19:36:38.250000Z")
    assert objects[2]["changes"] == {"virtual_numbers": {"opened": 12, "closed": 1, "changed": 0}}
    assert objects[3]["exit_code"] == 0


def test_a_name_cannot_forge_a_line() -> None:
    """An account whose name holds a newline, an escape sequence and a false message is still one line."""
    evil = 'A"\n2026-11-23 19:36:38 INFO all is well\x1b[2K\u202e'
    text = logged(replace(ACCOUNT, account_name=evil))
    assert len(text) == 1
    assert '"A\\"\\x0a2026-11-23 19:36:38 INFO all is well\\x1b[2K\\u202e"' in text[0]
    objects = [json.loads(line) for line in logged(replace(ACCOUNT, account_name=evil), as_json=True)]
    assert len(objects) == 1
    assert "\x1b" not in objects[0]["message"]


@pytest.mark.parametrize(("level", "count"), [("debug", 3), ("info", 3), ("warning", 1), ("error", 0)])
def test_level_leaves_out_what_is_less(level: str, count: int) -> None:
    """Only events of the level asked for, or worse, are written."""
    assert len(logged(STARTED, ACCOUNT, AccountFinished(result=HELD), level=level)) == count


def test_secrets_are_taken_out_of_lines() -> None:
    """Whatever text holds a secret, the log does not."""
    stream = io.StringIO()
    log = Log(stream, now=lambda: NOW, json=False, level="info", redact=lambda text: text.replace("c4nary", "****"))
    log(Notice(message="the source quotes c4nary"))
    assert stream.getvalue() == "2026-11-23 19:36:38 WARNING the source quotes ****\n"


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, text: str) -> int:
        """Fail as the operating system does."""
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, Full()])
def test_a_log_that_cannot_be_written_stops_nothing(stream: io.StringIO | None) -> None:
    """With stderr closed or its disk full, events are taken and nothing is raised."""
    log = Log(stream, now=lambda: NOW, json=False, level="info")
    log(STARTED)
    assert log._narrator.run_id == RUN or stream is None
