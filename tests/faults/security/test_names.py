"""S05, S10, S11: names from the source that look like SQL, terminal sequences or lines of a log."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from etl.domain import tables
from etl.sandbox import faults
from etl.sandbox.world import CustomerPlan, World
from tests.support.running import Run, Source, command, environment, listening
from tests.support.scenes import Scene
from tests.support.sqlish import SQLISH

pytestmark = pytest.mark.usefixtures("clean")

# -- S05


def _name_everything(world: World) -> None:
    """Give every name of the world a text of the corpus, and add fields with such names to records."""
    (account,) = world.customer_ids
    names = iter(SQLISH * 50)
    world.customer(account).name = next(names)
    for campaign in world.campaign_ids(account):
        world.rename_campaign(account, campaign, next(names))
    for block in world.block_ids(account):
        world.rename_block(account, block, next(names))
    for site in world.site_ids(account):
        world.rename_site(account, site, next(names))
    for scenario in world.scenario_ids(account):
        world.rename_scenario(account, scenario, next(names))
    for number in world.numbers(account):
        name = next(names)
        fields = {"comment": name, "name": name, "status": name, "virtual_phone_number": name, name: name}
        world.edit(account, number, **fields)


@pytest.mark.fault("S05")
def test_sql_in_every_name(customer: Source, warehouse_url: str) -> None:
    """SQL in names, comments, phone numbers, enumeration values and field names is stored as sent."""
    there = Scene(customer, warehouse_url)
    assert there.sync().code == 0
    _name_everything(there.world)
    there.a_day_passes()
    there.recovers()
    for name in tables.BY_NAME:
        assert there.rows(f"select count(*) from {name}")
    told = {row[0] for row in there.rows("select value from source_drift where path = '$.status'")}
    assert told & set(SQLISH)
    assert there.call("status").code == there.call("status", "--output", "json").code == 0


@pytest.mark.parametrize(
    "schema", ['x"; drop schema public cascade; --', "x, pg_catalog", "$user", "pg_temp", "x y", "é", "x\0", "1x", ""]
)
@pytest.mark.fault("S05")
def test_schema_is_a_plain_name(vnsync: Run, schema: str) -> None:
    """The only identifier among the settings has letters, digits and underscores; any other is refused unsent."""
    url = "postgresql://u@127.0.0.1:1/d"
    done = vnsync("sync", "--database-schema", schema, "--database-url", url)
    assert done.code == 78
    assert "--database-schema is" in done.error


@pytest.mark.parametrize("words", [("sync", "--account"), ("sync", "--approve-close"), ("db", "downgrade")])
@pytest.mark.parametrize("value", ["1; drop table accounts", "1 or 1=1", "'", "0x1", "1e3", "٣ or"])
@pytest.mark.fault("S05")
def test_arguments_are_numbers_or_known_words(
    customer: Source, vnsync: Run, words: tuple[str, ...], value: str
) -> None:
    """An id is a whole number, and a revision an existing one; anything else opens nothing."""
    done = vnsync(*words, value)
    assert done.code in (2, 78)
    assert customer.api.requests == []


@pytest.mark.parametrize("name", ["x'; drop table accounts; --.db", 'a"b.db', "a;b.db", "ünï.db", "%s.db", "a b.db"])
@pytest.mark.fault("S05")
def test_file_names(customer: Source, vnsync: Run, clean: Path, name: str) -> None:
    """A database file of any name is created under exactly this name."""
    assert vnsync("sync", "--database-url", f"sqlite:///{name}", *customer.options).code == 0
    assert {path.name for path in clean.iterdir()} == {"token", name}


# -- S10, S11

EVIL = (
    "\x1b]0;owned\x07",
    "a\x1b[2J\x1b[H\x1b[31mb",
    "a\x9b31mb\x9d0;owned\x9c",
    "a\r\nvnsync: error: all is lost. (exit 1)",
    "2026-01-01 00:00:00 ERROR forged (run 1)\n2026-01-01 00:00:00 INFO forged (run 2)",
    'x"\n{"event": "run_finished", "exit_code": 0}',
    "a\u2028b\u2029c\x85d\x0be\x0cf",
    "safe\u202egnp.exe\u202c\u2066x\u2069\u200f",
    "a\u200b\u200c\u200d\u2060\ufeff\u00ad\u3164\u115f\u2800b",
    "\u0338\u20e3a",
    "\U000e0001\U000e0041\ue000\uffff",
    "b" * 400,
    "x  succeeded  30  1  0  fine",
    "[red]x[/red] :smile: {} %s {0.__class__} \\x1b[2J",
    'A\\"  failed',
    "東京\uff0eＡ",
)
_ROW = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d (DEBUG|INFO|WARNING|ERROR) .* \(run \d{16}\)")


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Source]:
    """A customer for every hostile name, one of them blocked by an error with a hostile name and message."""
    world = World(seed=1, customers=[CustomerPlan(numbers=2, name=name, campaigns=1) for name in EVIL])
    for customer_id, name in zip(world.customer_ids, EVIL, strict=True):
        for number in world.numbers(customer_id):
            world.edit(customer_id, number, comment=name, status=name)
    yield from listening(world, tmp_path)


def _block(source: Source) -> int:
    """Block one customer by an error in which every word is hostile. Returns its id."""
    blocked = source.world.customer_ids[3]
    users = source.world.user_ids(blocked)
    evil = faults.error("".join(EVIL[:3]), field=EVIL[1], value=EVIL[2], message="\n".join(EVIL), helper=EVIL[4])
    source.api.faults.add(evil, times=None, when=lambda request: request.params.get("user_id") in users)
    return blocked


def _is_safe(text: str) -> bool:
    """Whether a text has no character that moves, hides, reorders or recolours, judged without the program's code."""
    bad = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return not [c for c in text if (unicodedata.category(c) in bad and c != "\n") or c in "\u3164\u115f\u2800\u034f"]


def _cells(line: str) -> list[str]:
    return re.split(r" {2,}", line.strip())


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("log", ["text", "json"])
@pytest.mark.fault("S10", "S11")
def test_sync(hostile: Source, vnsync: Run, output: str, log: str) -> None:
    """Off a terminal: nothing unsafe on either stream, a line for each event, a row for each account."""
    blocked = _block(hostile)
    done = vnsync("sync", "--output", output, "--log-format", log, "--log-level", "debug", *hostile.options)
    assert done.code == 3
    assert _is_safe(done.out)
    assert _is_safe(done.err)
    lines = done.err.split("\n")[:-1]
    events = lines[: lines.index(next(line for line in lines if "exit 3)" in line))]
    if log == "json":
        told = [json.loads(line) for line in events]
        assert {each["event"] for each in told} >= {"run_started", "account_started", "account_finished"}
        assert sorted(e["account_name"] for e in told if e["event"] == "account_started") == sorted(EVIL)
    else:
        assert [line for line in events if not _ROW.fullmatch(line)] == []
        assert len([line for line in events if ": listing, " in line]) == len(EVIL)
    if output == "json":
        assert [a["account_name"] for a in done.json["accounts"]] == list(EVIL)
        assert done.out.count("\n") == 1
    else:
        rows = done.out.split("\n")[2 : 2 + len(EVIL)]  # below the title and the heads
        assert [_cells(row)[0] for row in rows] == [str(i) for i in hostile.world.customer_ids]
        assert {tuple(_cells(row)[2:4]) for row in rows} == {("succeeded", "2"), ("failed", "0")}
        assert _cells(rows[hostile.world.customer_ids.index(blocked)])[2] == "failed"


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("words", ["status", "accounts", "doctor", "status --max-age 1s"])
@pytest.mark.fault("S10", "S11")
def test_other_commands(hostile: Source, vnsync: Run, words: str, output: str) -> None:
    """Names and stored errors are shown harmlessly by status, accounts and doctor; JSON has them unchanged."""
    blocked = _block(hostile)
    vnsync("sync", "--log-level", "error", *hostile.options)
    options = () if words.startswith("status") else hostile.options
    done = vnsync(*words.split(), "--output", output, *options)
    assert _is_safe(done.out)
    assert _is_safe(done.err)
    assert len(done.err.splitlines()) == (done.code != 0)
    if output == "json":
        assert done.out.count("\n") == 1
        names = [a["account_name"] for a in done.json.get("accounts", [])]
        assert names == ([] if words == "doctor" else list(EVIL))
    elif words == "status":
        rows = done.out.split("\n")[1 : 1 + len(EVIL)]
        assert [_cells(row)[0] for row in rows] == [str(i) for i in hostile.world.customer_ids]
        assert [_cells(row)[0] for row in rows if " failed " in row and _cells(row)[4] == "failed"] == [str(blocked)]


def _on_terminal(words: list[str]) -> tuple[int, str]:
    """The exit code of a command whose output is a terminal, and everything drawn there."""
    ours, theirs = pty.openpty()
    drawn: list[bytes] = []

    def read() -> None:
        try:
            while piece := os.read(ours, 65_536):
                drawn.append(piece)
        except OSError:  # the other side is closed
            return

    reader = Thread(target=read)
    reader.start()
    variables = {**environment(), "COLUMNS": "200", "TERM": "xterm-256color"}
    code = subprocess.run(words, env=variables, stdout=theirs, stderr=theirs, check=False, timeout=60).returncode
    os.close(theirs)
    reader.join()
    os.close(ours)
    return code, b"".join(drawn).decode()


_DRAWING = re.compile(r"\x1b\[(?:\d{1,3}(?:;\d{1,3})*m|\?25[lh]|\d*[AK]|\d?K)|\r")
"""Sequences of the progress display itself: colours, cursor hidden or one line up, a line erased."""


@pytest.mark.fault("S10", "S11")
def test_on_a_terminal(hostile: Source) -> None:
    """The terminal gets only the display's own sequences: none clears the screen, sets a title or queries it."""
    _block(hostile)
    code, drawn = _on_terminal(command("sync", *hostile.options))
    assert code == 3
    assert "\x1b[" in drawn
    assert _is_safe(_DRAWING.sub("", drawn))
    assert "\x1b[2J" not in drawn
    assert "owned" in drawn
    code, drawn = _on_terminal(command("status"))
    assert code == 0
    assert _is_safe(_DRAWING.sub("", drawn))


@pytest.mark.fault("S10")
def test_usage_errors(vnsync: Run) -> None:
    """Text pasted into a command line is quoted safely, too."""
    for words in (
        ["\x1b[2J"],
        ["sync", "a\nb\u202e"],
        ["status", "--max-age", "\x9b1m"],
        ["db", "downgrade", "\x1b]0;"],
    ):
        done = vnsync(*words)
        assert done.code in (2, 78)
        assert _is_safe(done.err)
        assert done.error
