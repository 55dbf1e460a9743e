"""G06, G12: one cause gives one line and its own exit code; formats, codes and suggestions of every command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from etl import errors
from etl.cli.main import COMMANDS
from etl.domain.causes import Failure, causes
from etl.domain.runs import AccountResult, AccountStatus, RunStatus, outcome, reason
from etl.read.status import AccountState, LastRun, Status, failure_code
from etl.sandbox import faults
from etl.sandbox.world import CustomerPlan, World
from tests.support.checkout import ROOT
from tests.support.running import Run, Source, listening
from tests.support.terminals import on_terminal

pytestmark = pytest.mark.usefixtures("clean")

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Source]:
    """An agency of twelve customers."""
    yield from listening(World(seed=4, customers=[CustomerPlan(numbers=3)] * 12), tmp_path)


def _dies(source: Source, after: int) -> None:
    """Block the key after so many answered listings."""
    source.api.faults.add(faults.error("access_token_blocked"), at=after, times=None)


# -- one cause


@pytest.mark.fault("G06")
def test_a_key_that_dies_gives_its_own_code_and_one_line(many: Source, warehouse_url: str, vnsync: Run) -> None:
    """Some accounts are published, then the key is refused: exit 77, the count of published ones, one line of cause."""
    _dies(many, 4)
    where = ("--database-url", warehouse_url)
    done = vnsync("sync", "--concurrency", 1, "--output", "json", "-q", *where, *many.options)
    told = done.json
    (cause,) = told["failures"]
    assert done.code == told["exit_code"] == told["error"]["exit_code"] == 77
    assert 0 < told["published"] < 12
    assert (cause["status"], len(cause["accounts"])) == ("failed", 12 - told["published"])
    assert told["error"]["code"] == "key_refused"
    assert told["error"]["message"].startswith(f"{len(cause['accounts'])} accounts: the API key is blocked (")
    assert sum("the API key is blocked" in line for line in done.err.splitlines()) <= 3, "first, all, and the error"
    status = vnsync("status", *where)
    assert status.out.count("the API key is blocked") == 1
    assert f"{len(cause['accounts'])} accounts failed: the API key is blocked" in status.out
    assert f"{told['published']} of 12 accounts published; " in status.out
    assert vnsync("status", "--fail", *where).code == 77


@pytest.mark.fault("G06")
def test_accounts_refused_one_by_one_are_one_line(many: Source, vnsync: Run) -> None:
    """Each customer's user lacks the same right: reported once for all, and the others are published: exit 3."""
    some = {u for c in many.world.customer_ids[2:] for u in many.world.user_ids(c)}
    many.api.faults.add(faults.error("forbidden"), times=None, when=lambda r: r.params.get("user_id") in some)
    done = vnsync("sync", "--log-format", "json", "--output", "json", *many.options)
    told = [json.loads(line) for line in done.err.splitlines()]
    (all_of_them,) = [t for t in told if t["event"] == "accounts_stopped"]
    assert (done.code, done.json["published"], done.json["error"]["code"]) == (3, 2, "incomplete")
    assert all_of_them["accounts"] == many.world.customer_ids[2:]
    assert sum(t["level"] == "error" and t["event"] == "account_finished" for t in told) == 1
    assert {t["run_id"] for t in told} == {done.json["run_id"]}
    assert vnsync("status", "--fail").code == 3


@pytest.mark.parametrize(
    ("url", "code"), [("sqlite:////nowhere/w.db", 74), ("postgresql://etl@127.0.0.1:1/calls", 69)], ids=["lite", "pg"]
)
@pytest.mark.fault("G06")
def test_doctor_ends_with_what_stops_all(url: str, code: int, many: Source, vnsync: Run) -> None:
    """A refused customer (3) comes first in the table, but a database that no sync can use gives the exit code."""
    first = many.world.customer_ids[0]
    many.world.block(first)
    try:
        assert vnsync("doctor", *many.options).code == 3
        done = vnsync("doctor", *many.options, "--database-url", url)
    finally:
        many.world.unblock(first)
    assert (done.code, done.error.startswith("vnsync: error: database: ")) == (code, True)


def _failed(account_id: int, error: str, code: int = 77) -> AccountResult:
    return AccountResult(
        run_id=1, account_id=account_id, status=AccountStatus.FAILED, started_at=NOW, error=error, exit_code=code
    )


GOOD = AccountResult(run_id=1, account_id=1, status=AccountStatus.SUCCEEDED, started_at=NOW)


@pytest.mark.parametrize(
    ("texts", "together"),
    [
        (("refused for user 51", "refused for user 52"), True),
        (("the key is dead. Make one", "not tried: the key is dead. Make one"), True),
        (("13 of 25 would be closed", "14 of 25 would be closed"), False),
        (("forbidden", "whitelist"), False),
    ],
)
@pytest.mark.fault("G06")
def test_what_is_one_cause(texts: tuple[str, str], together: bool) -> None:
    """Different account and user ids, and "not tried", are the same cause; other figures and words are not."""
    failures = [
        Failure(account_id=i, account_name=None, status="failed", error=text) for i, text in enumerate(texts, 1)
    ]
    found = causes(failures)
    assert [c.account_ids for c in found] == ([[1, 2]] if together else [[1], [2]])


@pytest.mark.parametrize(
    ("stopped_by", "expected"),
    [(None, 3), (errors.SessionExpired("dead"), 77), (errors.DayLimit(), 75), (errors.Unavailable("down"), 69)],
)
@pytest.mark.fault("G06")
def test_the_code_of_a_cause_that_concerns_all(stopped_by: errors.VnsyncError | None, expected: int) -> None:
    """A cause that concerns all accounts gives the run its code, whatever was published before."""
    assert outcome([GOOD, _failed(2, "x")], stopped_by) == (RunStatus.PARTIAL, expected)


@pytest.mark.fault("G06")
def test_the_reason_is_the_cause_of_most_accounts() -> None:
    """The run's one line counts these accounts, and the other causes."""
    results = [_failed(1, "a"), _failed(2, "dead"), _failed(3, "dead"), _failed(4, "busy", 75)]
    assert reason(results, 77) == "2 accounts: dead; 2 other causes"
    assert reason(results, 75) == "account 4: busy; 2 other causes"
    assert reason(results[:2], 77) == "account 1: a; 1 other cause"
    assert reason(results[1:3], 77) == "2 accounts: dead"


def _state(status: str) -> AccountState:
    return AccountState(account_id=7, status=status, last_run_id=1)


def _run(status: str, code: int | None) -> LastRun:
    return LastRun(run_id=1, status=status, started_at=NOW, finished_at=NOW, exit_code=code, error=None)


@pytest.mark.parametrize(
    ("accounts", "run", "code"),
    [
        (["succeeded"], ("succeeded", 0), 0),
        (["succeeded", "failed"], ("partial", 3), 3),
        (["succeeded", "failed"], ("partial", 77), 77),
        (["held"], ("held", 3), 3),
        (["succeeded"], ("failed", 69), 69),
        (["failed"], ("succeeded", 0), 3),
        (["failed"], ("interrupted", 143), 3),
        (["succeeded"], ("interrupted", 143), 0),
        (["succeeded"], ("partial", 3), 0),
        (["failed"], ("running", None), 3),
        ([], None, 0),
    ],
)
@pytest.mark.fault("G06")
def test_code_for_monitors(accounts: list[str], run: tuple[str, int | None] | None, code: int) -> None:
    """The last run's code while an account is failed or held, or if the whole run failed; quarantine is no alarm."""
    found = Status(accounts=tuple(map(_state, accounts)), last_run=run and _run(*run))
    assert failure_code(found) == code


# -- formats


BEFORE_A_RUN = {
    "no token": (["sync"], 78, "misconfigured"),
    "an option that is none": (["sync", "--dry-run"], 2, "usage"),
    "a command that is none": (["snyc"], 2, "usage"),
    "no warehouse": (["status"], 78, "misconfigured"),
    "no folder": (["verify", "nowhere"], 2, "usage"),
    "a value that is none": (["changes", "--from", "soon"], 2, "usage"),
    "no archive": (["replay", "nowhere"], 2, "usage"),
    "a port that is none": (["sandbox", "--port", "70000"], 2, "usage"),
}


@pytest.mark.parametrize("name", BEFORE_A_RUN)
@pytest.mark.parametrize("spelling", [["--output", "json"], ["--output=json"]], ids=["apart", "joined"])
@pytest.mark.fault("G12")
def test_a_failure_is_an_object(name: str, spelling: list[str], vnsync: Run) -> None:
    """For any early failure `--output json` gives one object with the error, and the log has its code."""
    arguments, code, kind = BEFORE_A_RUN[name]
    done = vnsync(*arguments, *spelling, "--log-format", "json")
    error = done.json["error"]
    assert error.keys() == {"code", "message", "remedy", "exit_code", "retry_after_seconds"}
    assert (done.code, error["exit_code"], error["code"]) == (code, code, kind)
    assert error["message"]
    assert error["remedy"]
    told = json.loads(done.error)
    assert (told["code"], told["exit_code"], told["run_id"]) == (kind, code, None)


@pytest.mark.fault("G12")
def test_an_object_that_has_no_error_says_so(vnsync: Run, agency: Source) -> None:
    """The object of a successful sync has the member, which is null."""
    assert vnsync("sync", "--output", "json", "-q", *agency.options).json["error"] is None


@pytest.mark.fault("G12")
def test_a_day_limit_says_when_to_come_back(agency: Source, vnsync: Run) -> None:
    """The object contains the seconds to wait."""
    agency.api.faults.add(faults.error("limit_exceeded", params={"limit_type": "day"}), times=None)
    agency.api.faults.add(faults.Limits({"day_reset": 5400}), times=None)
    error = vnsync("sync", "--output", "json", "-q", *agency.options).json["error"]
    assert (error["code"], error["exit_code"], error["retry_after_seconds"]) == ("day_limit", 75, 5400)


@pytest.mark.fault("G12")
def test_codes_are_those_of_the_page() -> None:
    """docs/errors.md lists every kind of error once, with its exit code; no code is a class's name."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| ([\d, ]+) \|", page, re.MULTILINE)
    codes = {k.code: "130, 143" if k is errors.Stopped else str(k.exit_code) for k in errors.tree()}
    assert dict(listed) == codes
    assert len(listed) == len(errors.tree()) == len(codes)
    assert all(code == code.lower() for code in codes)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"db", "archive"}))
@pytest.mark.fault("G12")
def test_every_command_takes_output_q_and_v(name: str, vnsync: Run) -> None:
    """All commands have the options for JSON output, quiet and verbose."""
    told = vnsync(name, "--help").out
    assert "--output" in told
    assert "-q, --quiet" in told
    assert "-v, --verbose" in told


# -- suggestions


@pytest.mark.parametrize(
    ("arguments", "suggested"),
    [
        (["snyc"], "Did you mean `vnsync sync`?"),
        (["stats"], "Did you mean `vnsync status`?"),
        (["sync", "--dry-run"], "`vnsync plan` shows what a sync would do"),
        (["sync", "--dryrun"], "`vnsync plan` shows what a sync would do"),
        (["sync", "--DRY_RUN"], "`vnsync plan` shows what a sync would do"),
        (["status", "--json"], "Write --output json"),
        (["status", "--max-ag", "1h"], "Did you mean --max-age?"),
        (["-v"], "`vnsync sync -v`"),
        (["--quiet", "sync"], "Write it after the command"),
        (["--output", "json", "status"], "Write it after the command"),
    ],
)
@pytest.mark.fault("G12")
def test_what_was_probably_meant(arguments: list[str], suggested: str, vnsync: Run) -> None:
    """A misspelt command, or its name in other programs, is answered with the right name."""
    done = vnsync(*arguments)
    assert done.code == 2
    assert suggested in done.err


@pytest.mark.fault("G12")
def test_quiet_and_verbose(agency: Source, vnsync: Run) -> None:
    """-q shows warnings only, -v adds steps; both together, or with a log level, are refused."""
    assert vnsync("sync", "-q", *agency.options).err == ""
    assert " INFO " in vnsync("sync", "-v", *agency.options).err
    assert vnsync("sync", "-q", "-v", *agency.options).code == 2
    assert vnsync("status", "-q", "--log-level", "info").code == 2


@pytest.mark.fault("G12")
def test_sandbox_lets_days_pass(vnsync: Run) -> None:
    """The option takes a duration, and refuses anything else."""
    assert vnsync("sandbox", "--day-every", "often").code == 2
    assert "--day-every" in vnsync("sandbox", "--help").out


@pytest.mark.fault("G12")
def test_an_error_on_a_terminal_is_whole(tmp_path: Path) -> None:
    """Cause, remedy and code are on the screen, also at 40 columns."""
    where = f"sqlite:///{tmp_path / 'none.db'}"
    shown = "".join(on_terminal(40, "status", "--database-url", where, code=78))
    assert "there is no warehouse at" in shown
    assert "(exit 78)" in shown
