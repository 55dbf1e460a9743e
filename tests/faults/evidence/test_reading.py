"""E08: tampered rows and files read by the commands."""

from __future__ import annotations

import io
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from sqlalchemy import Engine, make_url, text

from etl.archive.layout import MARKER
from etl.cli.output import write_line, write_text
from etl.cli.state import State
from etl.snapshot.csv_text import line
from etl.store.engine import open_warehouse
from tests.stress.tampered_reading import KINDS, Findings, command, read_all, tampered
from tests.stress.tampering import days
from tests.stress.tampering_kinds import Tamperer

Copies = Callable[[], str]
TRIED = 3
BRACKETS = "[" * 100_000
NEWEST = "run_id = (select max(run_id) from sync_runs) and account_id = (select min(account_id) from accounts)"
ONE = "virtual_number_id = (select max(virtual_number_id) from virtual_numbers)"
UNREADABLE = {
    "sqlite": {
        "account_syncs": (f"update account_syncs set observed_at = '2026-02-30' where {NEWEST}", "status"),
        "sync_runs": ("update sync_runs set finished_at = '2026-02-30 00:00:00.000000'", "status"),
        "campaigns": ("update campaigns set campaign_name = x'ff'", "changes --details"),
        "virtual_numbers": (
            f"update virtual_numbers set extra = '[[[' where {ONE}",
            "snapshot --as-of 2026-02-01 --out OUT",
        ),
        "virtual_numbers_closed": ("update virtual_numbers_closed set valid_to = 7", "changes --output csv"),
        "virtual_numbers ": (f"update virtual_numbers set name = cast(x'ff' as text) where {ONE}", "changes --details"),
        "sites": ("update sites set account_id = 1.5", "snapshot --as-of 2026-02-01 --out OUT"),
    },
    "postgresql": {
        "account_syncs": ("update account_syncs set started_at = '-infinity'", "status --output json"),
        "sync_runs": ("update sync_runs set finished_at = 'infinity' where status <> 'running'", "status"),
        "virtual_numbers": ("update virtual_numbers_closed set valid_to = 'infinity'", "changes --details"),
        "campaigns": ("update campaigns_closed set valid_from = '-infinity'", "changes"),
    },
}
"""A table, an edit of it, and a command that reads it."""


@pytest.fixture
def copies(warehouse_url: str, database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Copies:
    """Makes copies of a warehouse with rows in every table; each call returns a URL."""
    engine = open_warehouse(warehouse_url)
    days(engine)
    engine.dispose()
    if database == "postgresql":
        return lambda: str(request.getfixturevalue("new_postgresql")(make_url(warehouse_url).database))
    with engine.connect() as connection:
        connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
    return lambda: f"sqlite:///{shutil.copy(str(make_url(warehouse_url).database), tmp_path / 'copy.db')}"


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.soak
@pytest.mark.usefixtures("no_settings")
@pytest.mark.fault("E08")
def test_no_tampering_is_a_bug(copies: Copies, database: str, tmp_path: Path) -> None:
    """For any edit, every reading command answers or names the table; none reports a bug of vnsync."""
    with open_warehouse(copies()).connect() as connection:
        tamperer = Tamperer(connection, random.Random(database))
    findings = Findings()
    while findings.tampered < TRIED:
        tampering, url = tamperer.draw(), copies()
        if tampering.kind in KINDS and tampered(open_warehouse(url), tampering):
            folder = tmp_path / f"out-{findings.tampered}"
            folder.mkdir()
            read_all(url, tampering, folder, findings)
    assert findings.wrong == []
    assert findings.codes[70]


@pytest.mark.usefixtures("no_settings")
@pytest.mark.fault("E08")
def test_values_that_cannot_be_read_are_named(copies: Copies, database: str, tmp_path: Path) -> None:
    """Exit 70, one line with the table and the row, from the command that read the value, and no control character."""
    for place, (table, (edit, words)) in enumerate(UNREADABLE[database].items()):
        url = copies()
        with open_warehouse(url).connect() as connection:
            if database == "sqlite":
                connection.exec_driver_sql("pragma ignore_check_constraints = on")
            assert connection.execute(text(edit)).rowcount
            connection.commit()
        code, _, err = command(words.replace("OUT", str(tmp_path / f"out-{place}")).split(), url)
        assert (code, len(err.splitlines())) == (70, 1), (edit, err)
        assert f"edited by hand: {table.strip()}" in err
        assert "_id " in err


@pytest.mark.usefixtures("no_settings")
@pytest.mark.fault("E08")
def test_a_sound_warehouse_leaves_a_bug_a_bug(
    warehouse: Engine, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An internal error over a warehouse that verifies is reported as a bug."""
    days(warehouse)
    monkeypatch.setattr("etl.report.freshness.run_line", lambda run, accounts: run.no_such_thing)
    code, _, err = command(["status"], warehouse_url)
    assert (code, "a bug in vnsync: AttributeError" in err) == (1, True)


FORGED = "x\x1b[2J\u202e\x07"


@pytest.mark.usefixtures("no_settings")
@pytest.mark.fault("E08")
def test_nothing_raw_is_shown(sqlite_warehouse: Engine) -> None:
    """Terminal escapes in columns that normally hold no text are escaped in all output for people."""
    days(sqlite_warehouse)
    with sqlite_warehouse.connect() as connection:
        connection.exec_driver_sql("pragma ignore_check_constraints = on")
        for edit in ("erasures set erased_at", "account_syncs set status", "sync_runs set status"):
            connection.execute(text(f"update {edit} = :forged"), {"forged": FORGED})
        connection.commit()
    for words in ("status", "verify", "changes", "verify --output json"):
        _, out, err = command(words.split(), str(sqlite_warehouse.url))
        assert not {*"\x1b\u202e\x07"} & {*out, *err}, words


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
@pytest.mark.fault("E08")
def test_csv_on_a_terminal_is_escaped(stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs get the exact text, a terminal gets escapes; a sentence is escaped for both."""
    out = stream()
    monkeypatch.setattr(sys, "stdout", out)
    with click.Context(click.Command("any"), obj=State()):
        write_text(line([FORGED, "two\nlines"]))
        write_line(FORGED)
    told = out.getvalue()
    escaped = "x\\x1b[2J\\u202e\\x07"
    assert told == f'"{escaped if stream is Terminal else FORGED}","two\nlines"\n{escaped}\n'


@pytest.mark.parametrize(("name", "words", "code"), [
    ("vnsync.toml", "config", 78), (f"archive/{MARKER}", "verify archive", 70),
    ("snapshot/manifest.json", "verify snapshot", 70),
])  # fmt: skip
@pytest.mark.fault("E08")
def test_brackets_without_end(name: str, words: str, code: int, no_settings: Path) -> None:
    """A file nested too deeply is damaged, and the line names it."""
    path = no_settings / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"a = {BRACKETS}" if name.endswith("toml") else BRACKETS)
    found, _, err = command(words.split(), f"sqlite:///{no_settings / 'w.db'}")
    assert (found, name.split("/")[-1] in err) == (code, True), err
