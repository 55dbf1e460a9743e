"""`vnsync sync`: output, exit codes, and state that it does not touch."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import subprocess
from pathlib import Path
from threading import Thread

import pytest

from etl.config.urls import HOSTS
from etl.store import schema
from tests.support.running import TOKEN, Run, Source, command, environment


def test_first_sync_makes_the_warehouse_and_says_what_changed(agency: Source, vnsync: Run) -> None:
    """An empty folder and a token are enough: one row for each account, and the run in one sentence."""
    done = vnsync("sync", *agency.options)
    first, second = agency.world.customer_ids
    lines = done.out.splitlines()
    assert done.code == 0
    assert lines[0] == "Rows added, changed and removed"
    assert lines[1].split() == ["account", "name", "status", "numbers", "added", "changed", "removed", "note"]
    assert lines[2].split()[:4] == [str(first), "Acme", "succeeded", "30"]
    assert f'{second}  Zoë\\x1b[2J"\\x0a7  succeeded        5' in lines[3]
    assert "2 of 2 accounts published" in lines[4]
    assert Path("vnsync.db").stat().st_mode & 0o777 == 0o600


def test_second_sync_changes_nothing_and_says_so(agency: Source, vnsync: Run) -> None:
    """When nothing changed at the source, nothing is opened or closed."""
    vnsync("sync", *agency.options)
    done = vnsync("sync", *agency.options)
    assert done.code == 0
    assert done.out.count("nothing changed") == 1


def test_log_lines_tell_the_way(agency: Source, vnsync: Run) -> None:
    """Off a terminal stderr holds one plain line for each step, with the account's name and the run id."""
    done = vnsync("sync", *agency.options)
    first = agency.world.customer_ids[0]
    run_id = done.out.split("Run ")[1].split()[0]
    assert f'INFO account {first} "Acme": 30 of 30 numbers read (run {run_id})' in done.err
    assert all(line.endswith(f"(run {run_id})") for line in done.err.splitlines())


def test_json_is_one_object_with_the_contract_s_fields(agency: Source, vnsync: Run) -> None:
    """The run's fields and, for each account, the columns of account_syncs; instants in ISO 8601 with a Z."""
    done = vnsync("sync", "--output", "json", "--log-format", "json", *agency.options)
    run = done.json
    assert {"run_id", "status", "exit_code", "error", "started_at", "finished_at", "accounts"} <= run.keys()
    assert (run["status"], run["exit_code"], run["error"]) == ("succeeded", 0, None)
    assert [a["account_id"] for a in run["accounts"]] == agency.world.customer_ids
    assert {c.name for c in schema.account_syncs.columns} <= run["accounts"][0].keys()
    assert run["accounts"][0]["listed_numbers"] == 30
    assert run["finished_at"].endswith("Z")
    assert {json.loads(line)["run_id"] for line in done.err.splitlines()} == {run["run_id"]}


def terminal_text(descriptor: int) -> bytes:
    """Text drawn since the last call; empty when the other end is closed."""
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""


def test_progress_on_a_terminal(agency: Source, process: Run) -> None:
    """With a terminal on stderr, progress is drawn there; stdout still holds the result alone."""
    ours, theirs = pty.openpty()
    read: list[bytes] = []
    reader = Thread(target=lambda: read.extend(iter(lambda: terminal_text(ours), b"")))
    reader.start()
    done = process("sync", "--output", "json", *agency.options, stderr=theirs)
    os.close(theirs)
    reader.join()
    os.close(ours)
    drawn = b"".join(read).decode()
    assert done.json["exit_code"] == 0
    assert f"run {done.json['run_id']}" in drawn
    assert "Acme" in drawn
    assert "rows added" in drawn
    assert " INFO " not in drawn


def test_details_show_each_table(agency: Source, vnsync: Run) -> None:
    """With --details, changes are shown table by table."""
    done = vnsync("sync", "--details", *agency.options)
    first = agency.world.customer_ids[0]
    assert any(line.split() == [str(first), "virtual_numbers", "30", "0", "0"] for line in done.out.splitlines())
    again = vnsync("sync", "--details", *agency.options)
    assert "nothing changed" in again.out
    assert "Rows, table by table" not in again.out


def test_only_the_accounts_asked_for(agency: Source, vnsync: Run) -> None:
    """With --account the others are left alone."""
    second = agency.world.customer_ids[1]
    done = vnsync("sync", "--account", second, "--output", "json", *agency.options)
    assert [a["account_id"] for a in done.json["accounts"]] == [second]


def test_fresh_accounts_are_left_out(agency: Source, vnsync: Run) -> None:
    """With --older-than a second start lists nothing that is fresh: exit 0, and one line says how many."""
    vnsync("sync", *agency.options)
    listed = agency.api.count("get.virtual_numbers")
    done = vnsync("sync", "--older-than", "20h", *agency.options)
    assert done.code == 0
    assert "2 accounts were observed in the last 20 hours and left out" in done.err
    assert "no account was tried" in done.out
    assert agency.api.count("get.virtual_numbers") == listed


def test_shards_take_each_account_once(agency: Source, vnsync: Run) -> None:
    """The parts of a division are disjoint and whole; an empty part is no failure."""
    parts = [vnsync("sync", "--shard", f"{k}/3", "--output", "json", *agency.options).json for k in (1, 2, 3)]
    assert [part["exit_code"] for part in parts] == [0, 0, 0]
    assert sorted(a["account_id"] for part in parts for a in part["accounts"]) == agency.world.customer_ids


@pytest.mark.parametrize(
    "words", [("--shard", "4/3"), ("--shard", "x"), ("--older-than", "soon"), ("--older-than", "0h")]
)
def test_a_part_or_age_that_is_none_is_a_usage_error(agency: Source, vnsync: Run, words: tuple[str, str]) -> None:
    """Exit 2, with the forms that are accepted; the database is not touched."""
    done = vnsync("sync", *words, *agency.options)
    assert done.code == 2
    assert "write K/N" in done.err or "write 90m, 26h or 3d" in done.err
    assert not Path("vnsync.db").exists()


def test_customer_s_own_token(customer: Source, vnsync: Run) -> None:
    """A customer's token syncs that one account."""
    done = vnsync("sync", "--output", "json", *customer.options)
    assert [a["listed_numbers"] for a in done.json["accounts"]] == [25]


def test_one_account_s_failure_is_exit_3_and_one_error_line(agency: Source, vnsync: Run) -> None:
    """The others are published; the error names the account, cause, remedy, published accounts and the run."""
    first = agency.world.customer_ids[0]
    agency.world.block(first, "ip_not_whitelisted")
    done = vnsync("sync", "--output", "json", "--log-level", "error", *agency.options)
    assert done.code == done.json["exit_code"] == 3
    assert [a["status"] for a in done.json["accounts"]] == ["failed", "succeeded"]
    error = done.err.splitlines()[-1]
    assert error.startswith(f"vnsync: error: account {first}: get.virtual_numbers is refused for user 510001")
    assert "whitelist in the client area" in error
    assert "1 of 2 accounts published." in error
    assert error.endswith(f"(run {done.json['run_id']}, exit 3)")


def test_mass_close_is_held_until_approved(customer: Source, vnsync: Run) -> None:
    """When most numbers are gone the account is held, exit 3, and the line says how to approve; approval publishes."""
    vnsync("sync", *customer.options)
    (account,) = customer.world.customer_ids
    for number in customer.world.numbers(account)[:24]:
        customer.world.remove(account, number)
    held = vnsync("sync", "--log-level", "error", *customer.options)
    assert held.code == 3
    assert f"--approve-close {account}" in held.error
    assert "Nothing was published. (run " in held.error
    approved = vnsync("sync", "--approve-close", account, "--output", "json", *customer.options)
    assert (approved.code, approved.json["accounts"][0]["listed_numbers"]) == (0, 1)


def test_max_close_share_is_the_guard_s(vnsync: Run, customer: Source) -> None:
    """A share of 1 lets any number of closes through."""
    vnsync("sync", *customer.options)
    (account,) = customer.world.customer_ids
    for number in customer.world.numbers(account)[:24]:
        customer.world.remove(account, number)
    assert vnsync("sync", "--max-close-share", "1", *customer.options).code == 0


def test_no_upgrade_refuses_an_empty_database(agency: Source, vnsync: Run) -> None:
    """With --no-upgrade an empty database is refused before the source is asked anything."""
    done = vnsync("sync", "--no-upgrade", *agency.options)
    assert done.code == 78
    assert "vnsync db upgrade" in done.error
    assert not agency.api.requests


def test_settings_come_from_the_environment(agency: Source, vnsync: Run, clean: Path) -> None:
    """Everything can be set without a single option."""
    done = vnsync(
        "sync",
        VNSYNC_API_URL=agency.url,
        VNSYNC_API_TOKEN=TOKEN,
        VNSYNC_DATABASE_URL="sqlite:///mine.db",
        VNSYNC_LOG_LEVEL="error",
    )
    assert (done.code, done.err) == (0, "")
    assert (clean / "mine.db").exists()


def test_session_login(agency: Source, vnsync: Run) -> None:
    """A login and a password do instead of a key."""
    done = vnsync("sync", VNSYNC_API_URL=agency.url, VNSYNC_API_LOGIN="sandbox", VNSYNC_API_PASSWORD="sandbox-password")
    assert done.code == 0


def test_default_source_is_https() -> None:
    """Each of the vendor's hosts is reached over https."""
    assert all(url.startswith("https://") for url in HOSTS.values())


def test_token_is_nowhere(agency: Source, process: Run, clean: Path) -> None:
    """Neither the output nor any file, at the highest log level, holds the token; nor does a failing run's."""
    for account in (None, agency.world.customer_ids[0]):
        if account:
            agency.world.block(account)
        done = process("sync", "--log-level", "debug", *agency.options)
        assert TOKEN not in done.out + done.err
    files = [p for p in clean.iterdir() if p.is_file() and p.name != "token"]
    assert files
    assert not [p for p in files if TOKEN.encode() in p.read_bytes()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_a_run_cleanly(agency: Source, number: signal.Signals, clean: Path) -> None:
    """A signal while the source is being asked: exit 130 or 143, one error line, and the run's row is closed."""
    started: list[object] = []
    running: list[subprocess.Popen[str]] = []

    def interrupt(request: object) -> None:
        if len(agency.api.requests) >= 2 and not started:
            started.append(request)
            running[0].send_signal(number)

    agency.api.before_request.append(interrupt)
    with agency.api.lock:
        process = subprocess.Popen(
            command("sync", *agency.options),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
    out, err = process.communicate(timeout=60)
    assert started
    assert (process.returncode, out) == (128 + number, "")
    assert err.splitlines()[-1].startswith(f"vnsync: error: stopped by {number.name}")
    with sqlite3.connect(clean / "vnsync.db") as connection:
        rows = connection.execute("select status, exit_code from sync_runs").fetchall()
    connection.close()
    assert rows == [("interrupted", 128 + number)]


def test_environment_of_the_process_has_no_token(agency: Source) -> None:
    """With a token file neither the command line nor the environment of the process holds the token."""
    seen: list[bytes] = []
    running: list[subprocess.Popen[bytes]] = []

    def look(request: object) -> None:
        folder = Path(f"/proc/{running[0].pid}")
        seen.extend(folder.joinpath(name).read_bytes() for name in ("cmdline", "environ"))

    agency.api.before_request.append(look)
    with agency.api.lock:
        running.append(
            subprocess.Popen(
                command("sync", *agency.options),
                env=environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
    assert running[0].wait(timeout=60) == os.EX_OK
    assert len(seen) >= 2
    assert not [text for text in seen if TOKEN.encode() in text]
