"""`vnsync accounts`, `config`, `db`, `doctor` and `sandbox`."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from etl.config.settings import DECLARED
from etl.store.engine import open_warehouse
from tests.support.running import TOKEN, Run, Source, command, environment


def test_accounts_of_an_agent(agency: Source, vnsync: Run) -> None:
    """Every customer with its name, time zone and users; hostile names are escaped."""
    done = vnsync("accounts", *agency.options)
    first, second = agency.world.customer_ids
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "account_id  account_name      timezone       users",
        f"     {first}  Acme              Europe/London      1",
        f'     {second}  Zoë\\x1b[2J"\\x0a7  Asia/Tokyo         1',
        "This agent's token can read 2 accounts.",
    ]


def test_accounts_of_a_customer(customer: Source, vnsync: Run) -> None:
    """A customer's token reaches one account."""
    done = vnsync("accounts", "--output", "json", *customer.options)
    (account,) = done.json["accounts"]
    assert done.json["role"] == "customer"
    assert (account["account_id"], account["account_name"]) == (customer.world.customer_ids[0], "Acme")


def test_accounts_out_of_reach_are_marked(agency: Source, vnsync: Run) -> None:
    """A customer that refuses the token is listed, with the reason."""
    agency.world.block(agency.world.customer_ids[1], "ip_not_whitelisted")
    accounts = vnsync("accounts", "--output", "json", *agency.options).json["accounts"]
    assert accounts[0]["problem"] == ""
    assert "ip_not_whitelisted" in accounts[1]["problem"]
    assert "ip_not_whitelisted" in vnsync("accounts", *agency.options).out


def test_quick_accounts_cost_two_points(agency: Source, vnsync: Run) -> None:
    """With --quick no customer is asked for its time zone."""
    accounts = vnsync("accounts", "--quick", "--output", "json", *agency.options).json["accounts"]
    assert [a["timezone"] for a in accounts] == [None, None]
    assert agency.api.count("get.account") == 0


def test_config_masks_and_names_sources(vnsync: Run) -> None:
    """Every setting is listed with its source; secrets are masked in both outputs."""
    variables = {"VNSYNC_API_TOKEN": TOKEN, "VNSYNC_DATABASE_URL": f"postgresql://u:{TOKEN}@h/d"}
    text = vnsync("config", "--log-level", "error", **variables)
    settings = vnsync("config", "--log-level", "error", "--output", "json", **variables).json["settings"]
    told = {s["setting"]: (s["value"], s["source"]) for s in settings}
    assert told.keys() == DECLARED.keys()
    assert told["api_token"] == ("****", "environment VNSYNC_API_TOKEN")
    assert told["database_url"] == ("postgresql://u:****@h/d", "environment VNSYNC_DATABASE_URL")
    assert told["log_level"] == ("error", "option --log-level")
    assert told["max_close_share"] == (0.5, "default")
    assert TOKEN not in text.out + json.dumps(settings)


def test_config_reads_the_file(vnsync: Run, clean: Path) -> None:
    """The file that was read is named with each of its settings."""
    (clean / "mine.toml").write_text('api_url = "uis"\n')
    done = vnsync("config", "--config", "mine.toml", "--output", "json").json
    assert done["config_file"] == "mine.toml"
    assert done["settings"][0] == {
        "setting": "api_url",
        "value": "https://dataapi.uiscom.ru/v2.0",
        "source": "file mine.toml",
    }


def test_db_up_and_down(empty_url: str, vnsync: Run) -> None:
    """An empty database is upgraded, reported as current, and emptied again, on both databases."""
    where = ("--database-url", empty_url)
    assert "is empty" in vnsync("db", "current", *where).out
    made = vnsync("db", "upgrade", "--output", "json", *where).json
    assert made["changed"] is True
    assert made["current"] == made["head"]
    assert vnsync("db", "upgrade", "--output", "json", *where).json["changed"] is False
    assert "up to date" in vnsync("db", "current", *where).out
    assert vnsync("db", "downgrade", "base", "--yes", "--output", "json", *where).json["current"] is None
    assert "is empty" in vnsync("db", "current", *where).out


def test_db_current_makes_no_file(vnsync: Run) -> None:
    """Looking at a database that is not there does not make it."""
    assert vnsync("db", "current").code == 0
    assert not Path("vnsync.db").exists()


def test_db_downgrade_to_an_unknown_revision(vnsync: Run) -> None:
    """A revision that does not exist is exit 78, with the ones that do."""
    vnsync("db", "upgrade")
    done = vnsync("db", "downgrade", "9999")
    assert done.code == 78
    assert "9999" in done.error


def checks(done: dict[str, Any]) -> dict[str, str]:
    """The worst state of each check."""
    states: dict[str, str] = {}
    for check in done["checks"]:
        if states.get(check["check"]) not in ("fail", "warn"):
            states[check["check"]] = check["state"]
    return states


def test_doctor_finds_all_well(agency: Source, vnsync: Run, warehouse_url: str) -> None:
    """With a good token and an upgraded database every check is ok and the exit code 0; on both databases."""
    done = vnsync("doctor", "--output", "json", "--database-url", warehouse_url, *agency.options)
    assert done.code == 0
    assert done.json["ok"] is True
    names = ("settings", "token", "listing", "clock", "database", "rights", "migrations", "installation", "tables")
    assert checks(done.json) == dict.fromkeys(names, "ok")


def test_doctor_names_accounts_that_the_token_does_not_reach(agency: Source, vnsync: Run) -> None:
    """Accounts that this token does not reach: a warning, because it may be the wrong token."""
    first, second = agency.world.customer_ids
    assert vnsync("sync", "--account", second, *agency.options).code == 0
    assert vnsync("sync", "--account", first, *agency.options).code == 0
    agency.world.remove_customer(second)
    done = vnsync("doctor", *agency.options)
    assert done.code == 0
    assert f"1 account of the warehouse not readable with this token ({second})" in done.out


def test_doctor_before_the_first_sync(agency: Source, vnsync: Run) -> None:
    """A database file that is not there yet is no fault, and is not made."""
    done = vnsync("doctor", *agency.options)
    assert done.code == 0
    assert "`vnsync sync` creates it" in done.out
    assert done.out.splitlines()[-1] == "Ready to sync."
    assert not Path("vnsync.db").exists()


def test_doctor_warns_of_an_older_database(agency: Source, vnsync: Run) -> None:
    """A database without tables is a warning: the next sync mends it."""
    open_warehouse("sqlite:///vnsync.db")
    done = vnsync("doctor", "--output", "json", *agency.options)
    assert (done.code, checks(done.json)["migrations"]) == (0, "warn")


@pytest.mark.fault("A06")
def test_doctor_is_not_ready_when_a_customer_refuses(agency: Source, vnsync: Run) -> None:
    """One customer's listing is refused: a failure with the code that a sync would end with, and the remedy."""
    agency.world.block(agency.world.customer_ids[0], "ip_not_whitelisted")
    done = vnsync("doctor", "--output", "json", *agency.options)
    (finding,) = [c for c in done.json["checks"] if c["check"] == "whitelist"]
    assert (done.code, finding["state"]) == (3, "fail")
    assert "whitelist" in finding["remedy"]


def test_doctor_warns_of_loose_secrets(agency: Source, vnsync: Run) -> None:
    """A token file that others may read, and a password in the process list, are warnings that say how to fix them."""
    Path(agency.options[3]).chmod(0o644)
    url = "postgresql://u:word@127.0.0.1:1/d"
    done = vnsync("doctor", "--output", "json", "--database-url", url, *agency.options)
    warned = [c["remedy"] for c in done.json["checks"] if c["state"] == "warn"]
    assert warned == [
        f"chmod 600 {agency.options[3]}",
        "Set VNSYNC_DATABASE_URL instead, or keep the password in ~/.pgpass.",
    ]


def test_doctor_exits_with_the_first_failure_s_code(vnsync: Run) -> None:
    """Nothing is set and the database is down: both are reported, with the exit code of the first."""
    done = vnsync("doctor", "--output", "json", "--database-url", "postgresql://u@127.0.0.1:1/d")
    assert [(c["check"], c["exit_code"]) for c in done.json["checks"] if c["state"] == "fail"] == [
        ("token", 78),
        ("database", 69),
    ]
    assert (done.code, done.json["exit_code"]) == (78, 78)
    assert "VNSYNC_API_TOKEN_FILE" in done.error


def test_doctor_sees_missing_rights(
    agency: Source, vnsync: Run, new_postgresql: Callable[..., str], postgresql_template: str
) -> None:
    """A role that may read but not write fails the check of rights, with exit 77."""
    url = new_postgresql(postgresql_template)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop role if exists reader")
        connection.execute("create role reader login")
    reader = url.replace("postgres:@", "reader:@", 1) if "postgres:@" in url else url.replace("postgres@", "reader@", 1)
    done = vnsync("doctor", "--output", "json", *agency.options, VNSYNC_DATABASE_URL=reader)
    (finding,) = [c for c in done.json["checks"] if c["check"] == "rights"]
    assert (done.code, finding["state"], finding["exit_code"]) == (77, "fail", 77)
    assert "GRANT" in finding["remedy"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("role", "customers"), [("agent", 3), ("customer", 1)])
def test_sandbox_says_where_it_listens(number: signal.Signals, role: str, customers: int, vnsync: Run) -> None:
    """One JSON line as soon as it listens, then nothing; a sync against it works; a signal ends it quietly."""
    serving = subprocess.Popen(
        command("sandbox", "--numbers", 12, "--role", role),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert serving.stdout is not None
    told = json.loads(serving.stdout.readline())
    assert told.keys() == {"url", "token", "role", "user_ids"}
    assert (told["role"], len(told["user_ids"])) == (role, 3 if role == "agent" else 0)
    done = vnsync("sync", "--output", "json", VNSYNC_API_URL=told["url"], VNSYNC_API_TOKEN=told["token"])
    assert [a["listed_numbers"] for a in done.json["accounts"]] == [12] * customers
    serving.send_signal(number)
    assert serving.communicate(timeout=30) == ("", "")
    assert serving.returncode == 128 + number


def test_sandbox_port_that_is_taken(agency: Source, vnsync: Run) -> None:
    """A port in use is exit 74, with the way out."""
    port = agency.url.split(":")[2].split("/")[0]
    done = vnsync("sandbox", "--port", port)
    assert done.code == 74
    assert "Choose another --port." in done.error


def test_sandbox_counts_points() -> None:
    """With a day limit the sandbox's points run out, and a sync says to try later: exit 75."""
    serving = subprocess.Popen(
        command("sandbox", "--numbers", 12, "--day-limit", 3), env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert serving.stdout is not None
    told = json.loads(serving.stdout.readline())
    variables = {**environment(), "VNSYNC_API_URL": told["url"], "VNSYNC_API_TOKEN": told["token"]}
    done = subprocess.run(command("sync"), env=variables, capture_output=True, text=True, check=False, timeout=60)
    serving.terminate()
    serving.communicate(timeout=30)
    assert done.returncode == 75
    assert "API points" in done.stderr.splitlines()[-1]
