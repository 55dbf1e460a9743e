"""S01, S03: the key in logs, errors, tracebacks, files and databases.

In addition to these assertions, `tests/conftest.py` and `Outcome` search every output, file and database for it.
"""

from __future__ import annotations

import logging
import os
import resource
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from etl.cli.state import State
from etl.config.settings import load
from etl.extract.credentials import Login, PermanentKey
from etl.extract.jsonrpc import open_api
from etl.sandbox import faults
from etl.sandbox.failures import Failure
from etl.sandbox.rpc import Request
from etl.sandbox.transport import SandboxTransport
from etl.sandbox.world import World
from etl.store.engine import open_warehouse
from tests.support.echoes import places
from tests.support.rig import URL, FakeClock, Rig
from tests.support.running import Run, Source, command, environment
from tests.support.scenes import Scene
from tests.support.secrets import CANARY, in_bytes, in_files, in_text

pytestmark = pytest.mark.usefixtures("clean")

ERRORS = "select error from sync_runs union all select error from account_syncs"
ECHOES = places(CANARY)


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.fault("S01")
def test_source_that_sends_the_key_back(customer: Source, warehouse_url: str, vnsync: Run, echo: str) -> None:
    """For any echo in an answer, neither the line, nor the traceback, nor the rows about the run contain the key."""
    there = Scene(customer, warehouse_url)
    fault, code = ECHOES[echo]
    customer.api.faults.add(fault, times=None)
    patience = ("--retry-max-seconds", "0.01", "--log-level", "debug", "--log-format", "json", "--output", "json")
    done = vnsync("sync", "--database-url", warehouse_url, *customer.options, *patience)
    assert done.code == code, done.err
    told = [row[0] for row in there.rows(ERRORS) if row[0]]
    assert len(told) == 2
    assert not in_text(*told)
    assert there.rows("select * from virtual_numbers_history") == []
    customer.api.faults.clear()
    assert there.sync().code == 0
    there.is_true()


@pytest.mark.fault("S01")
def test_deprecation_that_quotes_the_key(customer: Source, vnsync: Run) -> None:
    """The notice is shown, with the version, which is the key, masked."""
    customer.api.faults.add(faults.Deprecated(latest=CANARY), times=None)
    done = vnsync("sync", *customer.options)
    assert done.code == 0
    assert "deprecated; the latest is ****" in done.err


@dataclass(frozen=True)
class SendsBack(faults.Fault):
    """An error that echoes a parameter of the request."""

    parameter: str

    def before(self, request: Request) -> None:
        raise Failure("forbidden", message=f"not with {request.params[self.parameter]}")


@pytest.mark.parametrize("level", ["debug", "error"])
@pytest.mark.parametrize(("method", "parameter"), [("login.user", "password"), (faults.LISTING, "access_token")])
@pytest.mark.fault("S01")
def test_session_key_and_password(
    customer: Source, warehouse_url: str, vnsync: Run, level: str, method: str, parameter: str
) -> None:
    """A login's session key is a secret like the password: an error that echoes it is shown without it."""
    customer.api.faults.add(SendsBack(parameter), times=None, method=method)
    login = {"VNSYNC_API_URL": customer.url, "VNSYNC_API_LOGIN": "sandbox", "VNSYNC_API_PASSWORD": "sandbox-password"}
    done = vnsync("sync", "--database-url", warehouse_url, "--output", "json", "--log-level", level, **login)
    assert done.code == 77
    assert "not with ****" in done.err
    told = str(Scene(customer, warehouse_url).rows(ERRORS))
    for secret in ("sandbox-password", "sandbox-session-"):
        assert secret not in done.out + done.err + told


DATABASE_URLS = {
    "nobody_there": (f"postgresql://u:{CANARY}@127.0.0.1:1/d", 69),
    "in_the_query": (f"postgresql://u@127.0.0.1:1/d?password={CANARY}", 69),
    "escaped_name": (f"postgresql://u@127.0.0.1:1/d?%70assword={CANARY}", 69),
    "tls_key": (f"postgresql://u@127.0.0.1:1/d?sslmode=require&sslpassword={CANARY}", 69),
    "unescaped_at": (f"postgresql://u:pa@{CANARY}@127.0.0.1:1/d", 78),
    "unescaped_slash": (f"postgresql://u:{CANARY}/x@127.0.0.1:1/d", 78),
    "unescaped_all": (f"postgresql://u:a@b:{CANARY}/x@127.0.0.1:1/d", 78),
    "port_is_a_word": (f"postgresql://u:{CANARY}@127.0.0.1:port/d", 78),
    "odd_option": (f"postgresql://u:{CANARY}@127.0.0.1:1/d?sslmode=maybe", 78),
    "other_database": (f"mysql://u:{CANARY}@127.0.0.1:1/d", 78),
    "not_a_url": (f"u:{CANARY}@127.0.0.1/d", 78),
}


@pytest.mark.parametrize("words", ["config", "status", "doctor", "sync", "db current"])
@pytest.mark.parametrize("case", DATABASE_URLS)
@pytest.mark.fault("S01")
def test_database_password(customer: Source, vnsync: Run, case: str, words: str) -> None:
    """Usable or not, a database URL is shown without its password, and no error quotes it, at any log level."""
    url, code = DATABASE_URLS[case]
    options = customer.options if words in ("sync", "doctor") else ()
    done = vnsync(*words.split(), *options, "--log-level", "debug", VNSYNC_DATABASE_URL=url)
    if words == "config" and (code != 78 or case == "odd_option"):  # libpq checks its own options, settings do not
        assert (done.code, "****" in done.out) == (0, True)
    else:
        assert done.code == code
        assert done.err.splitlines()[0].startswith("vnsync: error: ")


@pytest.mark.fault("S01")
def test_refused_password_is_not_told(new_postgresql: Callable[..., str], customer: Source, vnsync: Run) -> None:
    """For a password that the server refuses, the line names the user and not the password."""
    url = new_postgresql().replace("//postgres:@", f"//nobody:{CANARY}@").replace("//postgres@", f"//nobody:{CANARY}@")
    assert CANARY in url
    done = vnsync("sync", *customer.options, "--log-level", "debug", VNSYNC_DATABASE_URL=url)
    assert done.code in (77, 78)
    assert "nobody" in done.err.splitlines()[0]


MISPLACED = {
    "as_the_file": {"VNSYNC_API_TOKEN_FILE": CANARY},
    "as_the_password_file": {"VNSYNC_API_PASSWORD_FILE": CANARY, "VNSYNC_API_LOGIN": "me"},
    "in_the_url": {"VNSYNC_API_URL": f"https://u:{CANARY}@dataapi.callgear.com/"},
    "within_a_url": {"VNSYNC_API_TOKEN": f"https://{CANARY}/", "VNSYNC_API_URL": "http://127.0.0.1:1"},
}


@pytest.mark.parametrize("case", MISPLACED)
@pytest.mark.parametrize("words", ["config", "doctor", "sync"])
@pytest.mark.fault("S01")
def test_key_put_in_the_wrong_place(vnsync: Run, case: str, words: str) -> None:
    """A key in place of its file's name, or in a URL, is reported and never repeated."""
    patience = () if words == "config" else ("--retry-max-seconds", "0.01")
    done = vnsync(words, *patience, **MISPLACED[case])
    assert done.code == {"config": 78 if case == "in_the_url" else 0}.get(words, 69 if case == "within_a_url" else 78)
    assert done.out + done.err


@pytest.mark.fault("S01")
def test_representations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects that hold a secret do not show it when printed, as by a debugger or an error report."""
    monkeypatch.setenv("VNSYNC_API_TOKEN", f"https://{CANARY}/")
    monkeypatch.setenv("VNSYNC_DATABASE_URL", f"postgresql://u:{CANARY}@h/d?password={CANARY}")
    monkeypatch.chdir(tmp_path)
    loaded, state = load(), State(secrets=[CANARY])
    engine = open_warehouse(f"postgresql://u:{CANARY}@h/d")
    login, key = Login("me", CANARY), PermanentKey(CANARY)
    clock = FakeClock()
    rig = Rig(World(), engine)
    transport = SandboxTransport(rig.api)
    with open_api(URL, key, clock=clock, random=rig.random, report=print, transport=transport) as api:
        held = [loaded, loaded.settings, state, engine, engine.url, login, key, api, *vars(api).values()]
        shown = [f"{one!r} {one}" for one in held if one != CANARY]
    assert len(shown) > 10
    assert not in_text(*shown, repr(loaded.settings), str(loaded))
    assert not in_text(*(f"{row}" for row in loaded.rows()))


@pytest.mark.fault("S01")
def test_other_libraries_logs(
    customer: Source, warehouse_url: str, vnsync: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """With all libraries' logs at debug level, requests are logged without the key."""
    for name in ("", "sqlalchemy", "alembic"):
        caplog.set_level(logging.DEBUG, name)
    assert vnsync("sync", "--database-url", warehouse_url, *customer.options).code == 0
    loud = {record.name.partition(".")[0] for record in caplog.records}
    assert {"httpcore", "httpx", "sqlalchemy"} <= loud
    assert not in_text(caplog.text, *(str(record.args) for record in caplog.records))


@pytest.mark.fault("S03")
def test_files_of_a_run_at_work(customer: Source, vnsync: Run, clean: Path) -> None:
    """During a run its database, journal, shared memory and lock contain no key, also in freed pages."""
    names: set[str] = set()

    def look(_request: object) -> None:
        names.update(path.name for path in clean.iterdir())
        assert not in_files(clean)

    customer.api.after_request.append(look)
    customer.api.faults.add(faults.error("error", message=CANARY), times=None)
    assert vnsync("sync", *customer.options).code == 65
    customer.api.faults.clear()
    assert vnsync("sync", *customer.options).code == 0
    assert {"vnsync.db", "vnsync.db-wal", "vnsync.db-shm"} <= names
    assert any(name.endswith(".lock") for name in names)


@pytest.mark.fault("S03")
def test_files_of_the_server(customer: Source, vnsync: Run, new_postgresql: Callable[..., str]) -> None:
    """PostgreSQL's own files, with the write-ahead log and the server's log, contain no key."""
    url = new_postgresql()
    customer.api.faults.add(faults.error("error", message=CANARY), times=None)
    assert vnsync("sync", "--database-url", url, *customer.options).code == 65
    customer.api.faults.clear()
    assert vnsync("sync", "--database-url", url, *customer.options).code == 0
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("checkpoint")
        ((folder,),) = connection.execute("show data_directory").fetchall()
        name = connection.info.dbname
        ((mine,),) = connection.execute("select oid from pg_database where datname = %s", (name,)).fetchall()
    files = [p for p in (Path(folder, "base", str(mine)), Path(folder, "pg_wal")) for p in p.rglob("*") if p.is_file()]
    assert len(files) > 100
    assert not [path for path in (*files, *Path(folder).glob("*log*")) if path.is_file() and in_bytes(path)]


@pytest.mark.fault("S03")
def test_a_key_in_a_record_is_data(customer: Source, vnsync: Run, clean: Path) -> None:
    """A comment with the key is stored as sent; output masks it."""
    (account,) = customer.world.customer_ids
    customer.world.edit(account, customer.world.numbers(account)[0], comment=f"my key: {CANARY}")
    customer.world.customer(account).name = f"Acme {CANARY}"
    done = vnsync("sync", "--output", "json", *customer.options)
    assert done.json["accounts"][0]["account_name"] == "Acme ****"
    rows = Scene(customer, "sqlite:///vnsync.db").rows("select comment from virtual_numbers where comment is not null")
    assert (f"my key: {CANARY}",) in rows
    Path("vnsync.db").unlink()


@pytest.mark.fault("S03")
def test_no_core_dump(customer: Source, clean: Path) -> None:
    """A run that crashes leaves no core dump, for any limit at its start."""
    limits: list[str] = []
    running: list[subprocess.Popen[bytes]] = []

    def look(_request: object) -> None:
        limits.extend(Path(f"/proc/{running[0].pid}/limits").read_text().splitlines())

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    customer.api.before_request.append(look)
    with customer.api.lock:
        running.append(
            subprocess.Popen(
                command("sync", *customer.options),
                env=environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
            )
        )
    assert running[0].wait(timeout=60) == os.EX_OK
    (soft,) = {line.split()[4] for line in limits if line.startswith("Max core file size")}
    assert soft == "0"
